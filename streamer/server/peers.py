"""/webcam, /whip, /whep: SDP offers in, answers out (RFC 9725 for WHIP)."""

import re
from http import HTTPStatus
from typing import cast, get_args

from aiohttp import web

from streamer.errors import InvalidRequest
from streamer.model import VideoMode
from streamer.server.guard import read_text
from streamer.server.keys import SERVICES
from streamer.webrtc.peers import Answer
from streamer.webrtc.sdp import MAX_OFFER_BYTES

routes = web.RouteTableDef()

SDP = "application/sdp"
SDP_FRAGMENT = "application/trickle-ice-sdpfrag"


@routes.post("/webcam")
@routes.post("/webcam/{id}")
async def open_webcam(request: web.Request) -> web.Response:
    mode = _video_mode(request)
    offer = await read_text(request, SDP, MAX_OFFER_BYTES)
    peers = request.app[SERVICES].peers
    return _created(await peers.open_webcam(offer, request.match_info.get("id"), mode))


@routes.post("/whip")
@routes.post("/whip/{id}")
async def open_whip(request: web.Request) -> web.Response:
    offer = await read_text(request, SDP, MAX_OFFER_BYTES)
    peers = request.app[SERVICES].peers
    return _created(await peers.open_whip(offer, request.match_info.get("id")))


@routes.post("/whep/{id}")
async def open_whep(request: web.Request) -> web.Response:
    mode = _video_mode(request)
    offer = await read_text(request, SDP, MAX_OFFER_BYTES)
    peers = request.app[SERVICES].peers
    return _created(await peers.open_whep(offer, request.match_info["id"], mode))


@routes.options("/whip")
@routes.options("/whip/{id}")
@routes.options("/whep/{id}")
async def describe_endpoint(request: web.Request) -> web.Response:
    """What may be sent here. Without a word of other origins, whose pages come no further."""
    return web.Response(headers={"Allow": "GET,HEAD,OPTIONS,POST", "Accept-Post": SDP})


@routes.get("/whip")
@routes.get("/whip/{id}")
@routes.get("/whep/{id}")
async def read_endpoint(request: web.Request) -> web.Response:
    """There is nothing to read (RFC 9725, section 4.1)."""
    return web.Response(status=HTTPStatus.NO_CONTENT)


@routes.options("/api/v1/peers/{id}")
async def describe_peer(request: web.Request) -> web.Response:
    """The same for every id: this tells nobody which ones there are."""
    allowed = {"Allow": "DELETE,GET,HEAD,OPTIONS,PATCH", "Accept-Patch": SDP_FRAGMENT}
    return web.Response(headers=allowed)


@routes.get("/api/v1/peers/{id}")
async def read_peer(request: web.Request) -> web.Response:
    """Nothing to read either, but whether the peer is there."""
    request.app[SERVICES].peers.ice_tag(request.match_info["id"])
    return web.Response(status=HTTPStatus.NO_CONTENT)


@routes.patch("/api/v1/peers/{id}")
async def add_candidates(request: web.Request) -> web.Response:
    peers, peer = request.app[SERVICES].peers, request.match_info["id"]
    _check_ice_session(request, peers.ice_tag(peer))
    fragment = await read_text(request, SDP_FRAGMENT, MAX_OFFER_BYTES)
    await peers.add_candidates(peer, fragment)
    return web.Response(status=HTTPStatus.NO_CONTENT)


@routes.delete("/api/v1/peers/{id}")
async def close_peer(request: web.Request) -> web.Response:
    await request.app[SERVICES].peers.close_peer(request.match_info["id"])
    return web.Response(status=HTTPStatus.OK)


@routes.get("/api/v1/ice")
async def ice_servers(request: web.Request) -> web.Response:
    servers = [server.model_dump() for server in request.app[SERVICES].ice_servers]
    return web.json_response({"iceServers": servers})


def _video_mode(request: web.Request) -> VideoMode:
    mode = request.query.get("video", "annotated")
    for known in get_args(VideoMode):
        if mode == known:
            return cast("VideoMode", known)
    modes = ", ".join(f"`?video={known}`" for known in get_args(VideoMode))
    raise InvalidRequest(f"There is no video mode of this name. There are {modes}.")


def _check_ice_session(request: web.Request, tag: str) -> None:
    """Candidates may say which ICE session they are for. Those that don't are for the only one there is:
    clients in use send none (docs/decisions/0020)."""
    wanted = request.headers.get("If-Match", "*").strip()
    if wanted != "*" and f'"{tag}"' not in re.split(r"\s*,\s*", wanted):
        raise web.HTTPPreconditionFailed(reason="If-Match names another ICE session than this.")


def _created(answer: Answer) -> web.Response:
    return web.Response(
        status=HTTPStatus.CREATED,
        body=answer.sdp.encode(),
        content_type=SDP,  # and no charset, which it has not (RFC 8866, section 8.1)
        headers={
            "Location": f"/api/v1/peers/{answer.peer}",
            "ETag": f'"{answer.ice_tag}"',
            "X-Stream-Id": answer.stream,
        },
    )
