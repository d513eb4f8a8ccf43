"""The pages, their files, and the health of the service."""

import asyncio
from http import HTTPStatus
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from streamer.access import Role
from streamer.model import StreamState
from streamer.server.keys import OUTSIDE, SERVICES
from streamer.server.openapi import describe, json_answer
from streamer.server.rules import Narrow, Rule, ruled
from streamer.server.shapes import Health, Readiness

WEB_FOLDER: Final = Path(__file__).resolve().parents[2] / "web"
STALE_AFTER_MS: Final = 10_000
_BASE: Final = '<base href="/">'
_ALL: Final = Rule(Role.NONE)
_WATCHERS: Final = Rule(Role.VIEW, Narrow.BY_HANDLER)  # a page itself shows nothing of any stream
_OPERATORS: Final = Rule(Role.OPERATE)
_PAGES: Final = {
    "/": ("index.html", _WATCHERS),
    "/webcam": ("webcam.html", _OPERATORS),
    "/picture": ("picture.html", _OPERATORS),
    "/streams/{id}": ("stream.html", _WATCHERS),
    "/docs": ("docs.html", _WATCHERS),
    "/login": ("login.html", _ALL),
    "/trust": ("trust.html", _ALL),
}

routes = web.RouteTableDef()


def add_pages(app: web.Application) -> None:
    for path, (name, rule) in _PAGES.items():
        app.router.add_get(path, ruled(rule)(page(WEB_FOLDER / name)))
    for file in WEB_FOLDER.rglob("*"):  # by name, so that nothing else is ever served
        if file.is_file():
            app.router.add_get(f"/static/{file.relative_to(WEB_FOLDER).as_posix()}", _file(file))
    app.add_routes(routes)


@routes.get("/client.js")
@ruled(_ALL)
async def client_module(request: web.Request) -> web.Response:
    """The JavaScript client, whose own modules lie beside it."""
    raise web.HTTPPermanentRedirect("static/client.js")


def page(file: Path) -> Handler:
    """Its references are relative to its `<base>`, which says where the sender sees this server."""

    async def show(request: web.Request) -> web.Response:
        text = await asyncio.to_thread(file.read_text, "utf-8")
        base = f'<base href="{request[OUTSIDE].path("/")}">'
        return web.Response(text=text.replace(_BASE, base, 1), content_type="text/html")

    return show


def _file(file: Path) -> Handler:
    @ruled(_ALL)
    async def show(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(file)

    return show


@routes.get("/healthz")
@describe(
    "Service", "Whether the process serves", role=Role.NONE, answers={200: json_answer(Health)}
)
async def health(request: web.Request) -> web.Response:
    """200 while the process serves. ``stale_streams``: how many are live and yet without new frames."""
    stale = 0
    for stream in request.app[SERVICES].streams:
        age_ms = stream.session.stats().frame_age_ms
        if stream.session.status.state is StreamState.LIVE and (age_ms or 0) > STALE_AFTER_MS:
            stale += 1
    return web.json_response({"status": "ok", "stale_streams": stale})


@routes.get("/readyz")
@describe(
    "Service",
    "Whether it accepts work",
    role=Role.NONE,
    answers={
        200: json_answer(Readiness),
        503: json_answer(Readiness, "Starting, or shutting down"),
    },
)
async def readiness(request: web.Request) -> web.Response:
    ready = request.app[SERVICES].ready
    status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
    return web.json_response({"ready": ready}, status=status)
