"""The pages, their files, and signing in."""

import asyncio
import logging
from http import HTTPStatus
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from streamer.server.guard import GUARD, SESSION_COOKIE, read_json
from streamer.server.keys import OUTSIDE
from streamer.server.openapi import Answer, describe, json_body
from streamer.server.problems import problem
from streamer.server.shapes import Login

WEB_FOLDER: Final = Path(__file__).resolve().parents[2] / "web"
_BASE: Final = '<base href="/">'
_PAGES: Final = {
    "/": "index.html",
    "/webcam": "webcam.html",
    "/picture": "picture.html",
    "/streams/{id}": "stream.html",
    "/docs": "docs.html",
    "/login": "login.html",
    "/trust": "trust.html",
}

logger = logging.getLogger(__name__)
routes = web.RouteTableDef()


def add_pages(app: web.Application) -> None:
    for path, name in _PAGES.items():
        app.router.add_get(path, page(WEB_FOLDER / name))
    for file in WEB_FOLDER.rglob("*"):  # by name, so that nothing else is ever served
        if file.is_file():
            app.router.add_get(f"/static/{file.relative_to(WEB_FOLDER).as_posix()}", _file(file))
    app.add_routes(routes)


@routes.get("/client.js")
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
    async def show(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(file)

    return show


@routes.post("/api/v1/login")
@describe(
    "Service",
    "The access token becomes a session cookie",
    body=json_body(Login),
    answers={204: Answer("Signed in", headers={"Set-Cookie": "The session"})},
)
async def sign_in(request: web.Request) -> web.Response:
    token = Login.model_validate(await read_json(request)).token
    guard = request.app[GUARD]
    if not guard.token_is_right(token):
        logger.warning("a wrong access token came from %s", request[OUTSIDE].client)
        return problem(request, HTTPStatus.UNAUTHORIZED, "wrong-token", "That token is not right.")
    response = web.Response(status=HTTPStatus.NO_CONTENT)
    response.set_cookie(
        SESSION_COOKIE,
        guard.session_value(),
        httponly=True,
        samesite="Strict",
        secure=request[OUTSIDE].scheme == "https",
        path=request[OUTSIDE].prefix or "/",
    )
    return response
