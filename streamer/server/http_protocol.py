"""aiohttp's side of a connection, which tells what the connection waits for; and the deadlines that aiohttp
has not: for half a head, for half a body, and for an answer that nobody takes."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Final

from aiohttp import StreamReader, web
from aiohttp.http_exceptions import BadHttpMessage, HttpProcessingError, LineTooLong
from aiohttp.typedefs import Handler

from streamer.config import LimitsConfig
from streamer.errors import StreamerError
from streamer.server.connections import Connection, Connections, Phase
from streamer.server.problems import bare_problem

logger = logging.getLogger(__name__)

LINGERING_S: Final = 2.0
"""For a body that nobody wants any more, so that the client comes to read the answer."""

MAX_FIELDS: Final = 100
"""Header fields of a request; browsers send about 20."""

MAX_FIELD_BYTES: Final = 8192
"""Of each, as with most servers: aiohttp's time for a cookie grows with the square of its length."""

SERVER: Final = "Streamer"
"""No version: who looks for old ones need not be helped."""


class HttpProtocol(web.RequestHandler):
    """One connection. ``connection`` is its place among all."""

    __slots__ = ("_body", "_connection", "_connections", "_head_bytes", "_limits", "_unanswered")

    def __init__(
        self,
        server: web.Server,
        connections: Connections,
        connection: Connection,
        limits: LimitsConfig,
    ) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # aiohttp's annotation forgets that it may be None
            max_line_size=limits.max_url_bytes,
            max_field_size=min(MAX_FIELD_BYTES, limits.max_header_bytes),
            max_headers=MAX_FIELDS,
            lingering_time=LINGERING_S,
        )
        self._connections = connections
        self._connection = connection
        self._limits = limits
        self._body: StreamReader | None = None  # of the newest request
        self._head_bytes = 0
        self._unanswered = 0

    @property
    def refused(self) -> StreamerError | None:
        """What its requests are answered, if there is no room for it."""
        return self._connection.refused

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connection.part = self.part  # before, TLS was shaking hands
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._connection.leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self._request_count
        is_body = self._body is not None and not self._body.is_eof()
        super().data_received(data)
        self._unanswered += self._request_count - before
        if self._messages:
            self._body = self._messages[-1][1]
        phase = self._connection.phase
        if self._unanswered:
            if phase in (Phase.HEAD, Phase.IDLE):
                self.enter(Phase.ANSWER)
            self._head_bytes = 0
            return
        if is_body:
            return  # its request was refused before it had come: aiohttp drops it, for LINGERING_S
        if phase is Phase.IDLE:
            self.enter(Phase.HEAD)
        self._head_bytes += len(data)
        if self._head_bytes > self._limits.max_header_bytes and phase is not Phase.PARTING:
            self._hang_up(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, self._too_long())

    def check_head(self, request: web.BaseRequest) -> None:
        """Of one that came whole, within one piece of data, nobody has counted the bytes yet. Raises
        HTTPRequestHeaderFieldsTooLarge."""
        size = len(request.raw_path) + sum(len(k) + len(v) + 4 for k, v in request.raw_headers)
        if size > self._limits.max_header_bytes:
            raise web.HTTPRequestHeaderFieldsTooLarge(reason=self._too_long())

    def enter(self, phase: Phase) -> None:
        self._connections.enter(self._connection, phase)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Sends the answer. One that is not taken in time ends the connection."""
        # aiohttp's own, before any of ours: it would be in its sender's words.
        if resp.status == HTTPStatus.EXPECTATION_FAILED:
            resp = _answer(HTTPStatus.EXPECTATION_FAILED, "Expect nothing but `100-continue`.")
        if self.refused is not None:
            resp.force_close()
        try:
            async with asyncio.timeout(self._limits.answer_timeout_s):
                return await super().finish_response(request, resp, start_time)
        except TimeoutError:
            logger.info("an answer was not taken in time")
            self._abort()
            return resp, True
        finally:
            self._unanswered -= 1
            if not self._unanswered:
                self.enter(Phase.IDLE)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP is told so, in no more of its own words, and without filling the log."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        logger.debug("a request could not be read: %s", type(exc).__name__)
        too_long = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        if isinstance(exc, LineTooLong):
            is_address = exc.args[1] == self._limits.max_url_bytes
            return _answer(
                HTTPStatus.REQUEST_URI_TOO_LONG if is_address else too_long, self._too_long()
            )
        if isinstance(exc, BadHttpMessage) and exc.message == "Too many headers received":
            return _answer(too_long, f"A request has {MAX_FIELDS} header fields at most.")
        return _answer(HTTPStatus.BAD_REQUEST, "This is no HTTP request.")

    def part(self, at_once: bool) -> None:
        """Ends the connection: politely, if it has begun to say something."""
        if self._head_bytes and not at_once:
            late = "The request's head did not come in time."
            self._hang_up(HTTPStatus.REQUEST_TIMEOUT, late)
        else:
            self._abort()

    def _hang_up(self, status: HTTPStatus, detail: str) -> None:
        """Between two answers, where aiohttp has no request to answer."""
        if self._connection.phase is not Phase.PARTING:
            self.enter(Phase.PARTING)
        if self.transport is not None:
            body = bare_problem(status, detail).encode()
            head = (
                f"HTTP/1.1 {int(status)} {status.phrase}\r\nServer: {SERVER}\r\n"
                "Content-Type: application/problem+json\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.force_close()

    def _abort(self) -> None:
        """What is still to be sent is lost: the other side does not take it."""
        if self.transport is not None:
            self.transport.abort()

    def _too_long(self) -> str:
        limits = self._limits
        return (
            f"A request's address has {limits.max_url_bytes} bytes at most, a header field "
            f"{MAX_FIELD_BYTES}, its whole head {limits.max_header_bytes}."
        )


@contextlib.asynccontextmanager
async def receiving(request: web.BaseRequest, timeout_s: float) -> AsyncIterator[None]:
    """While a request's body is read. Raises HTTPRequestTimeout when it does not come in time."""
    protocol = request.protocol
    if isinstance(
        protocol, HttpProtocol
    ):  # and not in a server of aiohttp's own, as some tests have
        protocol.enter(Phase.BODY)
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError:
        raise web.HTTPRequestTimeout(reason="The body did not come in time.") from None
    finally:
        if isinstance(protocol, HttpProtocol):
            protocol.enter(Phase.ANSWER)


@web.middleware
async def turn_away(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tells those for whom there is no room, and who say too much. Raises LimitReached, TooManyRequests,
    HTTPRequestHeaderFieldsTooLarge."""
    protocol = request.protocol
    if isinstance(protocol, HttpProtocol):
        if protocol.refused is not None:
            raise protocol.refused
        protocol.check_head(request)
    return await handler(request)


def _answer(status: HTTPStatus, detail: str) -> web.Response:
    response = web.Response(
        status=status, text=bare_problem(status, detail), content_type="application/problem+json"
    )
    response.headers["Server"] = SERVER
    response.force_close()
    return response
