"""The server's ports: accepts connections, as far as there is room, and finds out whether they speak TLS."""

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from streamer.aio import cancel_and_wait
from streamer.config import LimitsConfig, ServerConfig
from streamer.server.connections import Connection, Connections
from streamer.server.http_protocol import HttpProtocol
from streamer.server.https import Https

logger = logging.getLogger(__name__)

ACCEPT_RETRY_S: Final = 1.0
"""After a failed accept: the process has no file descriptor left."""

CROWD: Final = 32
"""Connections that are accepted in one turn of the event loop, if so many wait: one a turn would leave those
who mean well at the end of a long queue, all of them in one turn would stop everything else."""

TLS_SHUTDOWN_S: Final = 1.0
"""For the other side's farewell, which many leave out."""

_HANDSHAKE: Final = b"\x16"
"""A TLS connection's first byte: RFC 8446, section 5.1. No HTTP request begins so."""


@contextlib.asynccontextmanager
async def listening(
    runner: web.AppRunner,
    config: ServerConfig,
    limits: LimitsConfig,
    *ports: tuple[socket.socket, Https | None],
) -> AsyncIterator[Connections]:
    """Serves what these sockets accept; those with https also for who speaks plain http, whom the guard
    sends to https."""
    assert runner.server is not None
    connections = Connections(limits, config.trusted_proxies)
    async with contextlib.AsyncExitStack() as stack:
        tasks: list[asyncio.Task[None]] = [
            asyncio.create_task(connections.watch(), name="deadlines")
        ]
        for listener, https in ports:
            if https is not None:
                tasks.append(asyncio.create_task(https.keep_fresh(), name="certificate"))
            door = Doorman(listener, runner.server, connections, limits, https)
            tasks.append(asyncio.create_task(door.run(), name="door"))
        stack.push_async_callback(cancel_and_wait, *tasks)
        yield connections


class Doorman:
    """Owns each connection from its first moment on, so that each counts and each has a deadline, and gives
    it to the server."""

    def __init__(
        self,
        listener: socket.socket,
        server: web.Server,
        connections: Connections,
        limits: LimitsConfig,
        https: Https | None,
    ) -> None:
        self._listener = listener
        self._server = server
        self._connections = connections
        self._limits = limits
        self._https = https

    async def run(self) -> None:
        """Until cancelled."""
        self._listener.setblocking(False)
        admissions = set[asyncio.Task[None]]()  # each with a deadline
        accepted = 0
        try:
            while True:
                socket_, address = await self._accept()
                admission = asyncio.create_task(self._admit(socket_, address), name="admission")
                admissions.add(admission)
                admission.add_done_callback(admissions.discard)
                accepted += 1
                if accepted % CROWD == 0:
                    await asyncio.sleep(0)
        finally:
            await cancel_and_wait(*admissions)

    async def _accept(self) -> tuple[socket.socket, str]:
        while True:
            try:
                accepted, address = await asyncio.get_running_loop().sock_accept(self._listener)
            except Exception as error:  # whatever it is, the port must not be closed from then on
                logger.error("no connection can be accepted: %s", error)
                await asyncio.sleep(ACCEPT_RETRY_S)
            else:
                return accepted, address[0]

    async def _admit(self, accepted: socket.socket, address: str) -> None:
        this = asyncio.current_task()
        assert this is not None
        connection = self._connections.admit(address, lambda at_once: this.cancel())
        if connection is None:
            accepted.close()
            return
        try:
            await self._hand_over(accepted, connection)
        except OSError as error:  # it went, said nothing, or does not like our certificate
            logger.debug("a connection was not made: %s", error)
            connection.leave()
        except BaseException:
            connection.leave()
            raise

    async def _hand_over(self, accepted: socket.socket, connection: Connection) -> None:
        context = None if self._https is None else self._https.context
        with contextlib.ExitStack() as ours:
            ours.callback(accepted.close)
            # The event loop of Windows can't tell of a first byte.
            if context is not None and sys.platform != "win32":
                await _readable(accepted)
                if accepted.recv(1, socket.MSG_PEEK) != _HANDSHAKE:
                    context = None
            ours.pop_all()  # from here on it is the loop's to close
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: HttpProtocol(self._server, self._connections, connection, self._limits),
            accepted,
            ssl=context,
            ssl_handshake_timeout=self._limits.header_timeout_s if context else None,
            ssl_shutdown_timeout=TLS_SHUTDOWN_S if context else None,
        )


async def _readable(accepted: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    there = asyncio.Event()
    loop.add_reader(accepted, there.set)
    try:
        await there.wait()
    finally:
        loop.remove_reader(accepted)
