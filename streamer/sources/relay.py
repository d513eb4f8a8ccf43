"""The one connection to a camera, which FFmpeg reaches through a door on loopback.

FFmpeg opens its own sockets: it resolves names anew, follows an RTSP redirect to any host, and may
hang in a read. So it gets a port of ours instead of the camera's. Behind that port is a connection
to the address that was checked; it ends when the camera tries to redirect, and closing it ends
every read.
"""

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import AsyncIterator, Sequence

from streamer.aio import cancel_and_wait
from streamer.errors import SourceUnreachable, SourceUnusable
from streamer.sources.address import CameraUrl, IpAddress, listening_on

Conversation = tuple[asyncio.StreamReader, asyncio.StreamWriter]

CHUNK_BYTES = 1 << 16

# A reply that FFmpeg takes for a redirect (RFC 2326, section 11.3), as leniently as it reads one. It is
# looked for from the last RTSP/ of a word on: from each, a camera could make it take half a minute.
_REDIRECT = re.compile(rb"RTSP/(?:(?!RTSP/)\S)*[ \t]+[\v\f+0]*3\d\d")
_MAX_STATUS_LINE_BYTES = 4096

_TRANSPORT = b"transport:"
_PIECE_OF_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_SOURCE = re.compile(rb"source=[^;,]*")
_MAX_LINE_BYTES = 1 << 16


class Relay:
    """``host`` and ``port``: where FFmpeg finds the camera. ``answered``: the other side has said
    something, ``speaks_rtsp``: and it was RTSP; ``redirected``: it tried to send us elsewhere, and
    was cut off. ``udp_source``: with video over UDP the camera's address, else empty."""

    def __init__(self, listener: socket.socket, udp_source: str = "") -> None:
        self.host, self.port = listener.getsockname()[:2]
        self.answered = False
        self.speaks_rtsp = False
        self.redirected = False
        self._listener = listener
        self._unfinished_line = b""
        self._udp_source = udp_source.encode()
        self._held = b""  # of a line that may be a transport's
        self._is_in_line = False

    async def run(self, camera: Conversation) -> None:
        """Passes on one conversation, until either side ends it."""
        loop = asyncio.get_running_loop()
        accepted, _ = await loop.sock_accept(self._listener)
        self._listener.close()
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader, writer = await asyncio.open_connection(sock=accepted)
        pumps = (
            loop.create_task(self._pump(reader, camera[1])),
            loop.create_task(self._pump(camera[0], writer, from_camera=True)),
        )
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            writer.close()  # sends what is buffered, then ends the read that FFmpeg may be in
            await cancel_and_wait(*pumps)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, from_camera: bool = False
    ) -> None:
        with contextlib.suppress(OSError):  # a broken connection is one that ended
            while chunk := await source.read(CHUNK_BYTES):
                if from_camera:
                    self._read_along(chunk)
                    chunk = self._with_own_source(chunk) if self._udp_source else chunk
                    if self.redirected:
                        return
                sink.write(chunk)
                await sink.drain()

    def _with_own_source(self, chunk: bytes) -> bytes:
        """What may go on by now. FFmpeg sends UDP to whatever address a SETUP's answer calls the source
        (RFC 2326, section 12.39), else to this machine: it is told the camera's own, whatever the camera
        says. Over UDP nothing but text comes on this way."""
        out = b""
        for piece in _PIECE_OF_LINE.findall(chunk):
            if self._is_in_line:
                out += piece
                self._is_in_line = not piece.endswith(b"\n")
                continue
            line = self._held + piece
            text = line.replace(b"\r", b"")
            may_be_transport = _TRANSPORT.startswith(text[: len(_TRANSPORT)].lower())
            self._held = line if may_be_transport and not line.endswith(b"\n") else b""
            if self._held:
                self.redirected |= (
                    len(line) > _MAX_LINE_BYTES
                )  # no camera's; what it hides matters not
            elif may_be_transport:
                own = b";source=%b;" % self._udp_source
                out += _SOURCE.sub(b"", text[:-1]).replace(b";", own, 1) + b"\r\n"
            else:
                out += line
                self._is_in_line = not line.endswith(b"\n")
        return out

    def _read_along(self, chunk: bytes) -> None:
        """FFmpeg skips carriage returns wherever they stand; a chunk may end inside a line."""
        self.answered = True
        text = self._unfinished_line + chunk.replace(b"\r", b"")
        self.redirected = bool(_REDIRECT.search(text))
        start = text.rfind(b"RTSP/")
        self.speaks_rtsp = self.speaks_rtsp or start >= 0
        if start < 0 or b"\n" in text[start:]:
            start = len(text) - len(b"RTSP/") + 1
        self._unfinished_line = text[max(start, 0) :][:_MAX_STATUS_LINE_BYTES]


@contextlib.asynccontextmanager
async def open_relay(
    url: CameraUrl, addresses: Sequence[IpAddress], timeout_s: float, *, over_udp: bool = False
) -> AsyncIterator[Relay]:
    """Connects to the first of the camera's addresses (at least one) that answers. ``over_udp``: how its
    video is to come.

    Raises SourceUnreachable when none does within ``timeout_s``, SourceUnusable when TLS fails.
    """
    camera = await connect_to_any(url, addresses, timeout_s)
    try:
        # RTP over UDP comes from the camera itself: FFmpeg's sockets must be of its family.
        family = camera[1].get_extra_info("socket").family
        host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        with (
            socket.create_server((host, 0), family=family, backlog=1) as listener,
            listening_on(listener.getsockname()[1]),
        ):
            listener.setblocking(False)
            there = camera[1].get_extra_info("peername")[0]
            relay = Relay(listener, there if over_udp else "")
            conversation = asyncio.create_task(relay.run(camera), name=f"relay-{url.place}")
            try:
                yield relay
            finally:
                await cancel_and_wait(conversation)
    finally:
        camera[1].close()


async def connect_to_any(
    url: CameraUrl, addresses: Sequence[IpAddress], timeout_s: float
) -> Conversation:
    share_s = timeout_s / len(addresses)
    for address in addresses[:-1]:
        with contextlib.suppress(SourceUnreachable):  # the next may answer
            return await _connect(url, address, share_s)
    return await _connect(url, addresses[-1], share_s)


async def _connect(url: CameraUrl, address: IpAddress, timeout_s: float) -> Conversation:
    tls = camera_tls() if url.scheme == "rtsps" else None
    try:
        async with asyncio.timeout(timeout_s):
            return await asyncio.open_connection(
                str(address), url.port, ssl=tls, server_hostname=url.host if tls else None
            )
    except ssl.SSLError as error:
        raise SourceUnusable(f"{url.place} does not speak TLS: try rtsp:// there") from error
    except TimeoutError as error:
        raise SourceUnreachable(f"nothing answers at {url.place}") from error
    except ConnectionRefusedError as error:
        raise SourceUnreachable(f"{url.place} refuses connections: is the port right?") from error
    except OSError as error:
        reason = (error.strerror or "no connection").lower()
        raise SourceUnreachable(f"{url.place} can't be reached: {reason}") from error


def camera_tls() -> ssl.SSLContext:
    """Cameras sign their certificates themselves: this encrypts, and does not authenticate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
