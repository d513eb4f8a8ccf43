"""An RTSP camera that says what a test wants it to say: one asyncio server, RTP in the same connection."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

SESSION = "Session: 4711;timeout=60\r\n"


@dataclass(frozen=True)
class Request:
    method: str
    uri: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def cseq(self) -> str:
        return self.headers.get("cseq", "1")

    @property
    def is_over_tcp(self) -> bool:
        return "interleaved" in self.headers.get("transport", "")


def reply(request: Request, headers: str = "", body: bytes = b"", status: str = "200 OK") -> bytes:
    """``headers``: lines, each with its end."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    head = f"RTSP/1.0 {status}\r\nCSeq: {request.cseq}\r\n{headers}{length}\r\n"
    return head.encode("latin-1") + body


def sdp_of(codec: str, extra: str = "", connection: str = "0.0.0.0") -> bytes:
    """``codec``: as SDP calls it: ``H264/90000``."""
    payload_type = 26 if codec.startswith("JPEG") else 96
    lines = ["v=0", "o=- 0 0 IN IP4 0.0.0.0", "s=x", f"c=IN IP4 {connection}", "t=0 0"]
    lines += [f"m=video 0 RTP/AVP {payload_type}", f"a=rtpmap:{payload_type} {codec}"]
    lines += [extra] if extra else []
    return ("\r\n".join([*lines, "a=control:track1"]) + "\r\n").encode()


@dataclass
class Script:
    """What a camera says. The defaults are a good one's, whose video never comes."""

    sdp: bytes = field(default_factory=lambda: sdp_of("H264/90000"))
    transport: str = "RTP/AVP/TCP;unicast;interleaved=0-1"
    media: Callable[[], Iterator[bytes]] = lambda: iter(())
    pause_s: float = 0.0
    """Between two pieces of ``media``."""

    def answer(self, request: Request) -> bytes:
        match request.method:
            case "DESCRIBE":
                base = f"Content-Type: application/sdp\r\nContent-Base: {request.uri}/\r\n"
                return reply(request, base, self.sdp)
            case "SETUP":
                return reply(request, f"Transport: {self.transport}\r\n{SESSION}")
            case _:
                return reply(request, f"Public: DESCRIBE, SETUP, PLAY\r\n{SESSION}")


@contextlib.asynccontextmanager
async def scripted_camera(
    script_of: Callable[[str], Script], host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[int]:
    """Its port. ``script_of`` gets the path that a visitor first asks for."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ValueError):
            await _converse(reader, writer, script_of)
        writer.close()

    server = await asyncio.start_server(serve, host, port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, script_of: Callable[[str], Script]
) -> None:
    script: Script | None = None
    playing: asyncio.Task[None] | None = None
    try:
        while request := await _read(reader):
            script = script or script_of("/" + request.uri.partition("://")[2].partition("/")[2])
            writer.write(script.answer(request))
            await writer.drain()
            if request.method == "PLAY" and playing is None:
                playing = asyncio.create_task(_play(script, writer))
    finally:
        if playing is not None:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)


async def _play(script: Script, writer: asyncio.StreamWriter) -> None:
    for piece in script.media():
        writer.write(piece)
        await writer.drain()
        if script.pause_s:
            await asyncio.sleep(script.pause_s)
    writer.close()


async def _read(reader: asyncio.StreamReader) -> Request | None:
    """The next request; None of RTCP, at the end of which there is one."""
    while True:
        first = await reader.readexactly(1)
        if first == b"$":
            head = await reader.readexactly(3)
            await reader.readexactly(int.from_bytes(head[1:], "big"))
            continue
        text = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        start, *lines = text.strip().split("\r\n")
        method, uri, _ = start.split(" ", 2)
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        return Request(method, uri, headers)
