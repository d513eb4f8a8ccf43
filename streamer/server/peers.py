"""/webcam, /whip, /whep: SDP offers in, answers out (RFC 9725 for WHIP)."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import cast, get_args

from aiohttp import web

from streamer.access import Role
from streamer.errors import InvalidRequest, NotFound
from streamer.model import VideoMode
from streamer.server.access import caller_of
from streamer.server.guard import read_text
from streamer.server.keys import OUTSIDE, SERVICES
from streamer.server.openapi import Answer, Query, describe, json_answer, text_body
from streamer.server.rates import take_offer
from streamer.server.rules import Narrow
from streamer.server.shapes import IceConfiguration
from streamer.webrtc.peers import Answer as PeerAnswer

routes = web.RouteTableDef()

SDP = "application/sdp"
SDP_FRAGMENT = "application/trickle-ice-sdpfrag"
_ANSWERED = Answer(
    "The SDP answer",
    text_body(SDP),
    {
        "Location": "The peer's address: DELETE it to end it",
        "ETag": "The ICE session, for PATCH",
        "X-Stream-Id": "The stream's id",
    },
)
_VIDEO = Query(
    "video",
    "What comes back: the poses drawn in, the camera's own picture, or messages only",
    {"enum": list(get_args(VideoMode)), "default": "annotated"},
)


@routes.post("/webcam")
@routes.post("/webcam/{id}")
@describe(
    "WebRTC",
    "A peer that sends its camera and gets the annotated video back",
    role=Role.OPERATE,
    body=text_body(SDP),
    answers={201: _ANSWERED},
    problems=(404, 409, 503),
    query=(_VIDEO,),
)
async def open_webcam(request: web.Request) -> web.Response:
    mode = _video_mode(request)
    offer = await _read_offer(request)
    peers = request.app[SERVICES].peers
    stream = request.match_info.get("id")
    return _created(request, await peers.open_webcam(offer, stream, mode, caller_of(request)))


@routes.post("/whip")
@routes.post("/whip/{id}")
@describe(
    "WebRTC",
    "WHIP: a peer that publishes",
    role=Role.OPERATE,
    body=text_body(SDP),
    answers={201: _ANSWERED},
    problems=(409, 503),
)
async def open_whip(request: web.Request) -> web.Response:
    offer = await _read_offer(request)
    peers = request.app[SERVICES].peers
    answer = await peers.open_whip(offer, request.match_info.get("id"), caller_of(request))
    return _with_links(_created(request, answer), peers.ice_links())


@routes.post("/whep/{id}")
@describe(
    "WebRTC",
    "WHEP: a peer that watches",
    role=Role.VIEW,
    narrow=Narrow.BY_ID,
    body=text_body(SDP),
    answers={201: _ANSWERED},
    problems=(404, 503),
    query=(_VIDEO,),
)
async def open_whep(request: web.Request) -> web.Response:
    mode = _video_mode(request)
    offer = await _read_offer(request)
    peers = request.app[SERVICES].peers
    answer = await peers.open_whep(offer, request.match_info["id"], mode, caller_of(request))
    return _with_links(_created(request, answer), peers.ice_links())


@routes.options("/whip")
@routes.options("/whip/{id}")
@describe(
    "WebRTC",
    "What may be sent here",
    role=Role.OPERATE,
    answers={200: Answer("In the headers")},
)
async def describe_whip(request: web.Request) -> web.Response:
    """What may be sent here, and through which servers a client may gather before it makes its offer."""
    return _described(request)


@routes.options("/whep/{id}")
@describe(
    "WebRTC",
    "What may be sent here",
    role=Role.VIEW,
    narrow=Narrow.BY_ID,
    answers={200: Answer("In the headers")},
    problems=(404,),
)
async def describe_whep(request: web.Request) -> web.Response:
    """As of WHIP, the same for every id: this tells nobody which ones there are."""
    return _described(request)


@routes.get("/whip")
@routes.get("/whip/{id}")
@describe(
    "WebRTC",
    "Nothing to read",
    role=Role.OPERATE,
    answers={204: Answer("There is nothing to read")},
)
async def read_whip(request: web.Request) -> web.Response:
    """There is nothing to read (RFC 9725, section 4.1)."""
    return web.Response(status=HTTPStatus.NO_CONTENT)


@routes.get("/whep/{id}")
@describe(
    "WebRTC",
    "Nothing to read",
    role=Role.VIEW,
    narrow=Narrow.BY_ID,
    answers={204: Answer("There is nothing to read")},
    problems=(404,),
)
async def read_whep(request: web.Request) -> web.Response:
    """There is nothing to read."""
    return web.Response(status=HTTPStatus.NO_CONTENT)


@routes.options("/api/v1/peers/{id}")
@describe(
    "WebRTC",
    "What a peer takes",
    role=Role.VIEW,
    narrow=Narrow.BY_HANDLER,
    answers={200: Answer("In the headers")},
)
async def describe_peer(request: web.Request) -> web.Response:
    """The same for every id: this tells nobody which ones there are."""
    allowed = {"Allow": "DELETE,GET,HEAD,OPTIONS,PATCH", "Accept-Patch": SDP_FRAGMENT}
    return web.Response(headers=allowed)


@routes.get("/api/v1/peers/{id}")
@describe(
    "WebRTC",
    "Whether a peer is there",
    role=Role.VIEW,
    narrow=Narrow.BY_HANDLER,
    answers={204: Answer("It is")},
    problems=(404,),
)
async def read_peer(request: web.Request) -> web.Response:
    """Nothing to read either, but whether the peer is there."""
    request.app[SERVICES].peers.ice_tag(_own_peer(request))
    return web.Response(status=HTTPStatus.NO_CONTENT)


@routes.patch("/api/v1/peers/{id}")
@describe(
    "WebRTC",
    "Trickle ICE: further candidates of a peer",
    role=Role.VIEW,
    narrow=Narrow.BY_HANDLER,
    body=text_body(SDP_FRAGMENT),
    answers={204: Answer("Taken")},
    problems=(404, 412, 422),
)
async def add_candidates(request: web.Request) -> web.Response:
    peers, peer = request.app[SERVICES].peers, _own_peer(request)
    _check_ice_session(request, peers.ice_tag(peer))
    fragment = await read_text(request, SDP_FRAGMENT, _max_sdp_bytes(request))
    await peers.add_candidates(peer, fragment)
    return web.Response(status=HTTPStatus.NO_CONTENT)


@routes.delete("/api/v1/peers/{id}")
@describe(
    "WebRTC",
    "Ends a peer",
    role=Role.VIEW,
    narrow=Narrow.BY_HANDLER,
    answers={200: Answer("Ended")},
    problems=(404,),
)
async def close_peer(request: web.Request) -> web.Response:
    await request.app[SERVICES].peers.close_peer(_own_peer(request))
    return web.Response(status=HTTPStatus.OK)


@routes.get("/api/v1/ice")
@describe(
    "WebRTC",
    "For RTCPeerConnection",
    role=Role.VIEW,
    narrow=Narrow.BY_HANDLER,
    answers={200: json_answer(IceConfiguration)},
)
async def ice_servers(request: web.Request) -> web.Response:
    configuration = request.app[SERVICES].peers.ice_configuration()
    return web.json_response(configuration, headers={"Cache-Control": "no-store"})


HANDLERS = frozenset({open_webcam, open_whip, open_whep, add_candidates, close_peer})
"""That change something, and have limits of their own: offers a minute, candidates, peers."""


async def _read_offer(request: web.Request) -> str:
    """Raises TooManyRequests."""
    take_offer(request)
    return await read_text(request, SDP, _max_sdp_bytes(request))


def _max_sdp_bytes(request: web.Request) -> int:
    return request.app[SERVICES].limits.max_sdp_bytes


def _described(request: web.Request) -> web.Response:
    response = web.Response(headers={"Allow": "GET,HEAD,OPTIONS,POST", "Accept-Post": SDP})
    return _with_links(response, request.app[SERVICES].peers.ice_links())


def _own_peer(request: web.Request) -> str:
    """Its id. Raises NotFound, also when it is somebody else's."""
    peer = request.match_info["id"]
    if not caller_of(request).owns(request.app[SERVICES].peers.owner(peer)):
        raise NotFound("There is no such peer; its connection has ended.")
    return peer


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
    if wanted != "*" and f'"{tag}"' not in map(str.strip, wanted.split(",")):
        raise web.HTTPPreconditionFailed(reason="If-Match names another ICE session than this.")


def _created(request: web.Request, answer: PeerAnswer) -> web.Response:
    return web.Response(
        status=HTTPStatus.CREATED,
        body=answer.sdp.encode(),
        content_type=SDP,  # and no charset, which it has not (RFC 8866, section 8.1)
        headers={
            "Location": request[OUTSIDE].path(f"/api/v1/peers/{answer.peer}"),
            "ETag": f'"{answer.ice_tag}"',
            "X-Stream-Id": answer.stream,
        },
    )


def _with_links(response: web.Response, links: Sequence[str]) -> web.Response:
    """One ``Link`` for each. They hold credentials: nobody on the way may keep them."""
    for link in links:
        response.headers.add("Link", link)
    if links:
        response.headers["Cache-Control"] = "no-store"
    return response
