"""What every answer that is large or without an end does about readers that do not keep up."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import hdrs, web

from streamer.server.keys import SERVICES

logger = logging.getLogger(__name__)

LAST_WRITE_TIMEOUT_S: Final = 1.0
"""For a reader that takes nothing, once the server stops: who is told to end it (Docker) waits for ten
seconds. Before, it is [limits] write_timeout_s."""

CHUNK_BYTES: Final = 256 * 1024
"""Of a body, what a reader must take in that time: more than aiohttp and the transport pass over
without waiting (64 KiB), and little enough for a link of 0.2 Mbit/s."""


class Writes:
    """The writes to all readers that are under way."""

    def __init__(self) -> None:
        self._timeouts: set[asyncio.Timeout] = set()
        self._stopping = False

    @contextlib.asynccontextmanager
    async def one_more(self, timeout_s: float) -> AsyncIterator[None]:
        """Raises TimeoutError."""
        if self._stopping:
            timeout_s = min(timeout_s, LAST_WRITE_TIMEOUT_S)
        async with asyncio.timeout(timeout_s) as timeout:
            self._timeouts.add(timeout)
            try:
                yield
            finally:
                self._timeouts.discard(timeout)

    async def hurry(self, _: web.Application) -> None:
        """The server stops, which would wait for them."""
        self._stopping = True
        latest = asyncio.get_running_loop().time() + LAST_WRITE_TIMEOUT_S
        for timeout in self._timeouts:
            if not timeout.expired():
                timeout.reschedule(min(latest, timeout.when() or latest))


WRITES: Final = web.AppKey("writes", Writes)


def add_writes(app: web.Application) -> None:
    app[WRITES] = writes = Writes()
    app.on_shutdown.append(writes.hurry)


def keep_buffers_small(request: web.Request, size_bytes: int) -> None:
    """What the system may hold back of a slow reader, which would otherwise be megabytes of the past."""
    if request.transport is not None:
        request.transport.set_write_buffer_limits(size_bytes)
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size_bytes)


@contextlib.asynccontextmanager
async def in_time(request: web.Request) -> AsyncIterator[None]:
    """Hangs up on a reader that takes nothing: a polite end would have to wait for it as well."""
    try:
        timeout_s = request.app[SERVICES].limits.write_timeout_s
        async with request.app[WRITES].one_more(timeout_s):
            yield
    except TimeoutError:
        logger.info("a reader took nothing for a while and was sent away")
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the reader takes nothing") from None


async def send_body(
    request: web.Request, body: bytes, headers: dict[str, str]
) -> web.StreamResponse:
    """A large answer, all of which aiohttp would keep for as long as its reader likes."""
    response = web.StreamResponse(headers=headers)
    response.content_length = len(body)
    await response.prepare(request)
    rest = memoryview(b"" if request.method == hdrs.METH_HEAD else body)
    with contextlib.suppress(ConnectionResetError):  # it has left
        while rest:
            async with in_time(request):
                await response.write(rest[:CHUNK_BYTES])
            rest = rest[CHUNK_BYTES:]
        await end(request, response)
    return response


async def end(request: web.Request, response: web.StreamResponse) -> None:
    """The last that is written waits for the reader as well: aiohttp would do it without a limit."""
    async with in_time(request):
        await response.write_eof()
