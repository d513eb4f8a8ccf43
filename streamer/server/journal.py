"""What became of every request: its id, its line in the log, and the counts that ``/metrics`` shows."""

import logging
import secrets
import time
from collections import Counter
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from streamer.logs import about
from streamer.server.keys import OUTSIDE, PROBLEM, REQUEST_ID

logger = logging.getLogger("streamer.requests")

MAX_PATH_CHARACTERS: Final = 128
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Journal:
    """Belongs to the event loop's thread. ``answered``: by the status's first digit, as "2xx"; ``refused``:
    by the kind of the problem."""

    def __init__(self) -> None:
        self.answered: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The outermost of all: what is refused before a handler is noted, too."""
        request[REQUEST_ID] = secrets.token_hex(8)
        begun_mono = time.monotonic()
        with about(request_id=request[REQUEST_ID], client=request.remote or ""):
            try:
                response = await handler(request)
            except web.HTTPException as answer:
                self._note(request, answer.status, begun_mono)
                raise
            self._note(request, response.status, begun_mono)
            return response

    def _note(self, request: web.Request, status: int, begun_mono: float) -> None:
        problem = request.get(PROBLEM)
        self.answered[f"{status // 100}xx"] += 1
        if problem is not None:
            self.refused[problem] += 1
        if problem is None and request.method in _READING:
            return  # it got what it asked for; who asks whether we are ready may hear that we are not
        path, client = _shown_path(request), _client(request)
        is_ours = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        logger.log(
            logging.WARNING if is_ours else logging.INFO,
            "%s %s: %s%s, from %s",
            *(request.method, path, status, f" {problem}" if problem else "", client),
            extra={
                "each": True,
                "client": client,
                "method": request.method,
                "path": path,
                "status": status,
                "problem": problem or "",
                "duration_ms": round((time.monotonic() - begun_mono) * 1000, 1),
            },
        )


JOURNAL = web.AppKey("journal", Journal)


def _client(request: web.Request) -> str:
    """As the proxies tell, once that is known."""
    outside = request.get(OUTSIDE)
    return (outside.client if outside else request.remote) or ""


def _shown_path(request: web.Request) -> str:
    """Without the query, where secrets are; of a peer's id, which is one, the beginning."""
    resource = request.match_info.route.resource
    if resource is None:
        return request.path[:MAX_PATH_CHARACTERS]
    path = resource.canonical
    for name, value in request.match_info.items():
        shown = f"{value[:8]}…" if "/peers/" in path else value[:MAX_PATH_CHARACTERS]
        path = path.replace(f"{{{name}}}", shown)
    return path
