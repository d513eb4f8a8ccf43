"""The pages, their files, signing in, and the health of the service."""

from http import HTTPStatus
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from streamer.model import StreamState
from streamer.server.guard import GUARD, SESSION_COOKIE, read_json
from streamer.server.keys import SERVICES
from streamer.server.problems import problem

WEB_FOLDER: Final = Path(__file__).resolve().parents[2] / "web"
STALE_AFTER_MS: Final = 10_000
_PAGES: Final = {
    "/": "index.html",
    "/webcam": "webcam.html",
    "/picture": "picture.html",
    "/streams/{id}": "stream.html",
    "/login": "login.html",
}

routes = web.RouteTableDef()


def add_pages(app: web.Application) -> None:
    for path, name in _PAGES.items():
        app.router.add_get(path, _page(WEB_FOLDER / name))
    for file in WEB_FOLDER.rglob("*"):  # by name, so that nothing else is ever served
        if file.is_file():
            app.router.add_get(f"/static/{file.relative_to(WEB_FOLDER).as_posix()}", _page(file))
    app.add_routes(routes)


def _page(file: Path) -> Handler:
    async def show(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(file)

    return show


@routes.post("/api/v1/login")
async def sign_in(request: web.Request) -> web.Response:
    body = await read_json(request)
    token = body.get("token") if isinstance(body, dict) else None
    guard = request.app[GUARD]
    if not isinstance(token, str) or not guard.token_is_right(token):
        return problem(request, HTTPStatus.UNAUTHORIZED, "wrong-token", "That token is not right.")
    response = web.Response(status=HTTPStatus.NO_CONTENT)
    response.set_cookie(
        SESSION_COOKIE,
        guard.session_value(),
        httponly=True,
        samesite="Strict",
        secure=request.secure,
        path="/",
    )
    return response


@routes.get("/healthz")
async def health(request: web.Request) -> web.Response:
    """200 while the process serves. ``stale_streams``: how many are live and yet without new frames."""
    stale = 0
    for stream in request.app[SERVICES].streams:
        age_ms = stream.session.stats().frame_age_ms
        if stream.session.status.state is StreamState.LIVE and (age_ms or 0) > STALE_AFTER_MS:
            stale += 1
    return web.json_response({"status": "ok", "stale_streams": stale})


@routes.get("/readyz")
async def readiness(request: web.Request) -> web.Response:
    ready = request.app[SERVICES].ready
    status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
    return web.json_response({"ready": ready}, status=status)
