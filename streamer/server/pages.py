"""The pages and their files."""

import asyncio
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from streamer.access import Role
from streamer.server.keys import OUTSIDE
from streamer.server.rules import Narrow, Rule, ruled

WEB_FOLDER: Final = Path(__file__).resolve().parents[2] / "web"
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
