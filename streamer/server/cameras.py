"""/api/v1/devices and /api/v1/discover: which cameras there are to add."""

from dataclasses import asdict

from aiohttp import web
from pydantic import Field

from streamer.access import Role
from streamer.config import Section
from streamer.errors import SourceStalled
from streamer.server.guard import read_json
from streamer.server.keys import SERVICES
from streamer.server.openapi import describe, json_answer, json_body
from streamer.server.shapes import Device
from streamer.sources.discovery import FoundCamera
from streamer.sources.onvif import CameraStream, Login

routes = web.RouteTableDef()


class StreamsRequest(Section):
    """Body of POST /api/v1/discover/streams. ``address``: a camera's host, or the ``xaddr`` of one that
    was found."""

    address: str = Field(max_length=512)
    username: str = Field(default="", max_length=256)
    password: str = Field(default="", max_length=256)


@routes.get("/api/v1/devices")
@describe(
    "Cameras",
    "The USB cameras of the server's machine",
    role=Role.ADMIN,
    answers={200: json_answer(list[Device])},
    problems=(502,),
)
async def list_devices(request: web.Request) -> web.Response:
    try:
        return web.json_response(await request.app[SERVICES].devices())
    except TimeoutError:
        raise SourceStalled(
            "The system does not tell which USB cameras there are: one may hang; plug it in anew."
        ) from None


@routes.post("/api/v1/discover")
@describe(
    "Cameras",
    "Searches the network for cameras that speak ONVIF",
    role=Role.ADMIN,
    answers={200: json_answer(list[FoundCamera])},
    problems=(503,),
)
async def find_cameras(request: web.Request) -> web.Response:
    found = await request.app[SERVICES].find_cameras()
    return web.json_response([asdict(camera) for camera in found])


@routes.post("/api/v1/discover/streams")
@describe(
    "Cameras",
    "Asks an ONVIF camera for the addresses of its video",
    role=Role.ADMIN,
    body=json_body(StreamsRequest),
    answers={200: json_answer(list[CameraStream])},
    problems=(502, 503),
)
async def ask_camera(request: web.Request) -> web.Response:
    body = StreamsRequest.model_validate(await read_json(request))
    login = Login(body.username, body.password)
    streams = await request.app[SERVICES].ask_camera(body.address, login)
    return web.json_response([asdict(stream) for stream in streams])
