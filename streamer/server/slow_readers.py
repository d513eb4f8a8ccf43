"""What every answer without an end does about readers that do not keep up."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

logger = logging.getLogger(__name__)

WRITE_TIMEOUT_S: Final = 10.0
"""A reader that takes nothing for so long is gone, or stands still."""


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
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            yield
    except TimeoutError:
        logger.info("a reader took nothing for %g s and was sent away", WRITE_TIMEOUT_S)
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the reader takes nothing") from None
