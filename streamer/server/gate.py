"""New work is for a server that is ready: not before it has started, and not while it ends."""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from streamer.errors import ShuttingDown, Starting
from streamer.server.guard import FILES, GUARD
from streamer.server.keys import SERVICES

_ALWAYS: Final = frozenset({"/healthz", "/readyz", "/metrics"})


@web.middleware
async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Raises Starting or ShuttingDown, which become 503 with Retry-After. Who ends something may."""
    services = request.app[SERVICES]
    if services.ready or request.method == "DELETE":
        return await handler(request)
    path = request.app[GUARD].inside(request)
    if path in _ALWAYS or path.startswith(FILES):  # a page that is there says what happens
        return await handler(request)
    if services.draining:
        raise ShuttingDown("The server is shutting down; try again when it is back.")
    raise Starting("The server is starting; try again in a moment.")
