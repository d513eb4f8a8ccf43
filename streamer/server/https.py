"""https on the server's port: whose certificate, kept from running out; and plain http told where to go."""

import asyncio
import contextlib
import logging
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from aiohttp import web

from streamer.aio import cancel_and_wait
from streamer.certificates import Authority, certificate_until, machine_hosts
from streamer.config import ServerConfig
from streamer.errors import ConfigError
from streamer.server.guard import is_loopback, own_names

logger = logging.getLogger(__name__)

LOOK_INTERVAL_S: Final = 60.0
"""Between looks at the certificate: a machine gets a new address now and then."""

FIRST_BYTES_S: Final = 10.0
"""For a connection's first byte, and for the handshake."""

ACCEPT_RETRY_S: Final = 1.0
"""After a failed accept: the process has no file descriptor left."""

_HANDSHAKE: Final = b"\x16"
"""A TLS connection's first byte: RFC 8446, section 5.1. No HTTP request begins so."""

_ANY: Final = {"", "0.0.0.0", "::"}


class Https:
    """The context of every connection, and the authority of its certificate, if that is our own."""

    def __init__(self, context: ssl.SSLContext, authority: Authority | None, file: Path) -> None:
        self._file = file
        self.context = context
        self.authority = authority

    def until(self) -> float | None:
        """When the certificate that is on the disk runs out, Unix seconds; None where it can't be read.
        Waits for the disk."""
        try:
            return certificate_until(self._file)
        except (OSError, ValueError):
            return None

    async def keep_fresh(self, interval_s: float = LOOK_INTERVAL_S) -> None:
        """Until cancelled. New connections get the new certificate; the others stay."""
        while self.authority is not None:
            await asyncio.sleep(interval_s)
            try:
                if await asyncio.to_thread(self.authority.renew):
                    self.context.load_cert_chain(self.authority.server_file)
                    logger.info("the server has a new certificate")
            except (
                Exception
            ):  # whatever it is may be gone at the next look; without one it runs out
                logger.exception("the server's certificate can't be renewed")


async def open_https(config: ServerConfig, folder: Path) -> Https | None:
    """None for plain http. ``folder`` holds the certificates of our own. Raises ConfigError."""
    if not config.speaks_https:
        return None
    authority = None
    cert, key = config.tls_cert, config.tls_key or None
    if config.tls:
        named = own_names(config) - _ANY
        authority = Authority(folder, lambda: machine_hosts() | named)
        await asyncio.to_thread(authority.open)
        cert = str(authority.server_file)
        logger.info(
            "%s is the authority of the certificate; its SHA-256 fingerprint is %s; how a device "
            "learns to trust it: %s",
            authority.name,
            authority.fingerprint,
            _trust_pages(config),
        )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        await asyncio.to_thread(context.load_cert_chain, cert, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"[server] tls_cert, tls_key: can't be used: {error}") from error
    return Https(context, authority, Path(cert))


@contextlib.asynccontextmanager
async def listening(
    runner: web.AppRunner, listener: socket.socket, https: Https | None
) -> AsyncIterator[None]:
    """Serves what ``listener`` accepts, with https also those who speak plain http."""
    async with contextlib.AsyncExitStack() as stack:
        if https is not None:
            fresh = asyncio.create_task(https.keep_fresh(), name="certificate")
            stack.push_async_callback(cancel_and_wait, fresh)
        if https is None or sys.platform == "win32":  # its event loop can't tell of a first byte
            site = web.SockSite(runner, listener, ssl_context=https.context if https else None)
            await site.start()
            stack.push_async_callback(site.stop)
        else:
            assert runner.server is not None
            door = Doorman(listener, runner.server, https.context)
            stack.push_async_callback(cancel_and_wait, asyncio.create_task(door.run(), name="door"))
        yield


class Doorman:
    """Looks at the first byte of each connection and gives it to the server with TLS, or without; the
    guard then sends a plain request to https."""

    def __init__(
        self,
        listener: socket.socket,
        server: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext,
    ) -> None:
        self._listener = listener
        self._server = server
        self._context = context

    async def run(self) -> None:
        """Until cancelled."""
        self._listener.setblocking(False)
        admissions = set[asyncio.Task[None]]()  # each with a time limit
        try:
            while True:
                connection = await self._accept()
                admission = asyncio.create_task(self._admit(connection), name="admission")
                admissions.add(admission)
                admission.add_done_callback(admissions.discard)
        finally:
            await cancel_and_wait(*admissions)

    async def _accept(self) -> socket.socket:
        while True:
            try:
                connection, _ = await asyncio.get_running_loop().sock_accept(self._listener)
            except OSError as error:
                logger.error("no connection can be accepted: %s", error)
                await asyncio.sleep(ACCEPT_RETRY_S)
            else:
                return connection

    async def _admit(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            with contextlib.ExitStack() as ours:
                ours.callback(connection.close)
                async with asyncio.timeout(FIRST_BYTES_S):
                    await _readable(connection)
                is_tls = connection.recv(1, socket.MSG_PEEK) == _HANDSHAKE
                ours.pop_all()  # from here on it is the loop's to close
            await loop.connect_accepted_socket(
                self._server,
                connection,
                ssl=self._context if is_tls else None,
                ssl_handshake_timeout=FIRST_BYTES_S if is_tls else None,
            )
        except OSError as error:  # it went, said nothing, or does not like our certificate
            logger.debug("a connection was not made: %s", error)


def _trust_pages(config: ServerConfig) -> str:
    """At each IPv4 address where another device may find it; else where it was told to listen."""
    hosts = machine_hosts() if config.host in _ANY else {config.host}
    others = [host for host in hosts if host[-1:].isdigit() and not is_loopback(host)]
    shown = sorted(host for host in others if ":" not in host) or [config.host]
    return ", ".join(f"https://{host}:{config.port}/trust" for host in shown)


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    there = asyncio.Event()
    loop.add_reader(connection, there.set)
    try:
        await there.wait()
    finally:
        loop.remove_reader(connection)
