"""Certificates, cameras, and the servers that help peers to connect."""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from streamer.app import camera_source
from streamer.certificates import certificate_names, certificate_until
from streamer.config import ICE_URL, Config, StreamConfig
from streamer.doctor.finding import Finding, ok, problem, warning
from streamer.errors import StreamerError
from streamer.server.guard import own_names
from streamer.sources.probe import probe

CAMERA_TIMEOUT_S: Final = 20.0
MAX_PROBES: Final = 4
STUN_TIMEOUT_S: Final = 2.0
EXPIRES_SOON_S: Final = 21 * 86_400
_BINDING: Final = b"\x00\x01\x00\x00\x21\x12\xa4\x42"
"""A STUN Binding request without attributes, but for its transaction's id: RFC 8489, section 5."""


def certificates(config: Config, tls_folder: Path) -> Iterator[Finding]:
    server, subject = config.server, "certificate"
    if not server.speaks_https:
        yield ok(subject, "none is needed: plain http")
        return
    file = Path(server.tls_cert) if server.tls_cert else tls_folder / "server.pem"
    if server.tls and not file.exists():
        yield ok(subject, "one of the server's own will be made at the start")
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            file, server.tls_key or None
        )
        until, names = certificate_until(file), certificate_names(file)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        fix = "give [server] tls_cert a chain in PEM, and tls_key the key that belongs to it"
        yield problem(subject, f"{file} can't be used: {error}", fix)
        return
    renew = "renew it: the server takes it within a minute"
    left_s, day = until - time.time(), time.strftime("%Y-%m-%d", time.gmtime(until))
    if left_s < 0:
        yield problem(subject, f"{file} ran out on {day}", renew)
    elif left_s < EXPIRES_SOON_S and not server.tls:
        yield warning(subject, f"{file} runs out on {day}", renew)
    else:
        yield ok(subject, f"{file} holds until {day}")
    unnamed = {name.lower() for name in server.allowed_hosts} - names
    if unnamed and not server.tls and not any(name.startswith("*.") for name in names):
        yield warning(
            subject,
            f"it does not name {', '.join(sorted(unnamed))} of [server] allowed_hosts",
            "get one that does: browsers refuse a name that is not in it",
        )
    elif not own_names(server) & names and server.tls_cert:
        yield warning(
            subject,
            f"it is for {', '.join(sorted(names)) or 'no name at all'}, which the server does not go by",
            "add its name to [server] allowed_hosts, or get one for this server's name",
        )


async def cameras(config: Config, streams: Iterable[StreamConfig]) -> list[Finding]:
    """Looks at all of them, some at a time."""
    places = asyncio.Semaphore(MAX_PROBES)

    async def look(stream: StreamConfig) -> Finding:
        async with places:
            return await _camera(stream, config)

    return await asyncio.gather(*(look(each) for each in streams))


async def _camera(stream: StreamConfig, config: Config) -> Finding:
    subject = "cameras"
    try:
        camera = camera_source(stream.source, config)
        async with asyncio.timeout(CAMERA_TIMEOUT_S):
            found = await probe(camera)
    except TimeoutError:
        return problem(
            subject,
            f"{stream.id}: no answer in {CAMERA_TIMEOUT_S:.0f} s",
            "is it on, and is its address still the same?",
        )
    except StreamerError as error:
        return problem(subject, f"{stream.id}: {error}", "`streamer probe URL` tries it alone")
    fps = "" if found.fps is None else f", {found.fps:.0f} fps"
    return ok(subject, f"{stream.id}: {found.codec}, {found.width}x{found.height}{fps}")


async def ice(config: Config) -> list[Finding]:
    """Whether each STUN and TURN server answers; whether it takes our login only a peer shows."""
    urls = [url for server in config.webrtc.ice_servers for url in server.urls]
    if not urls:
        return [ok("ice", "no STUN or TURN server: peers in the same network need none")]
    return list(await asyncio.gather(*(_ice_server(url) for url in urls)))


async def _ice_server(url: str) -> Finding:
    found = ICE_URL.fullmatch(url)
    assert found is not None  # the configuration has seen to it
    secure = found["scheme"].endswith("s")
    host, port = found["host"].strip("[]"), int(found["port"] or (5349 if secure else 3478))
    over_tcp = secure or found["transport"] == "tcp"
    try:
        async with asyncio.timeout(STUN_TIMEOUT_S):
            await (_connects(host, port) if over_tcp else _answers_stun(host, port))
    except (OSError, TimeoutError) as error:
        words = "no answer" if isinstance(error, TimeoutError) else str(error)
        return problem(
            "ice", f"{url}: {words}", "is it running, and does a firewall let this machine through?"
        )
    return ok("ice", f"{url} answers")


async def _connects(host: str, port: int) -> None:
    _, writer = await asyncio.open_connection(host, port)
    writer.close()


async def _answers_stun(host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    (family, kind, protocol, _, address), *_ = await loop.getaddrinfo(
        host, port, type=socket.SOCK_DGRAM
    )
    with socket.socket(family, kind, protocol) as one:
        one.setblocking(False)
        await loop.sock_sendto(one, _BINDING + os.urandom(12), address)
        await loop.sock_recv(one, 2048)
