"""What calls itself a camera and lies, wavers or tries to send us elsewhere."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from streamer.config import RtspConfig, RtspSource
from streamer.errors import (
    SourceForbidden,
    SourceStalled,
    SourceUnreachable,
    SourceUnusable,
    StreamerError,
)
from streamer.model import Frame, Packet, VideoInfo
from streamer.sources.rtsp import RtspCamera

PATIENT = RtspConfig(open_timeout_s=60.0, read_timeout_s=60.0)
QUICK = RtspConfig(open_timeout_s=0.5, read_timeout_s=0.5)  # where nothing else ends it
SOON = RtspConfig(open_timeout_s=5.0, read_timeout_s=5.0)  # nor before an answer has come
SDP = b"v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\n"

Listen = Callable[..., Awaitable[int]]


class NoFrames:
    def opened(self, video: VideoInfo) -> None:
        raise AssertionError("there is no video")

    def forward(self, packet: Packet) -> None:
        raise AssertionError("there are no packets")

    def put(self, frame: Frame) -> None:
        raise AssertionError("there are no frames")


@pytest.fixture
async def listen() -> AsyncIterator[Listen]:
    """Serve connections; each request is answered with the pieces given, CSEQ replaced."""
    servers: list[asyncio.Server] = []

    async def start(*pieces: bytes, after: str = "", visits: list[str] | None = None) -> int:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if visits is not None:
                visits.append("someone came")
            try:
                await talk(reader, writer, pieces, after.encode())
            except (asyncio.IncompleteReadError, ConnectionError):
                pass  # they left
            finally:
                writer.close()

        servers.append(await asyncio.start_server(answer, "127.0.0.1", 0))
        port: int = servers[-1].sockets[0].getsockname()[1]
        return port

    yield start
    for server in servers:
        server.close()


async def talk(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    pieces: tuple[bytes, ...],
    after: bytes,
) -> None:
    """Answers OPTIONS and what else comes before ``after`` with OK, then gives the pieces."""
    reached = not after
    while True:
        request = await reader.readuntil(b"\r\n\r\n")
        cseq = next(x for x in request.split(b"\r\n") if x.lower().startswith(b"cseq:"))
        reached = reached or request.startswith(after)
        for piece in pieces if reached else (b"RTSP/1.0 200 OK\r\nCSEQ\r\n\r\n",):
            writer.write(piece.replace(b"CSEQ", cseq))
            await writer.drain()
            await asyncio.sleep(0.01)  # so that the pieces are not sent as one


async def visit(port: int, config: RtspConfig = PATIENT) -> StreamerError:
    camera = RtspCamera(RtspSource(url=f"rtsp://u:s3cret@127.0.0.1:{port}/x"), config)
    with pytest.raises(StreamerError) as caught:
        await camera.run(NoFrames())
    assert "s3cret" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("after", ["", "DESCRIBE"])
@pytest.mark.parametrize(
    "pieces",
    [
        [b"RTSP/1.0 302 Found\r\nCSEQ\r\nLOCATION\r\n\r\n"],
        [b"RTSP/1.0 301 Moved\nCSEQ\nLOCATION\n\n"],
        [b"RTSP/1.0 3", b"02 Found\r\nCSEQ\r\nLOCATION\r\n\r\n"],
        [b"RTS", b"P/1.0", b" ", b"3", b"0", b"7 x\r\nCSEQ\r\nLOCATION\r\n\r\n"],
        [b"R\rTSP/1.0 \r3\r02 x\nCSEQ\nLOCATION\n\n"],
        [b"RTSP/1.0\t\t 301 x\r\nCSEQ\r\nLOCATION\r\n\r\n"],
        [b"RTSP/1.0 \v302 x\r\nCSEQ\r\nLOCATION\r\n\r\n"],
        [b"RTSP/9 +0302 x\nCSEQ\nLOCATION\n\n"],
        [b"RTSP/1.0" + b" " * 3000, b"302 x\r\nCSEQ\r\nLOCATION\r\n\r\n"],
        [b"$\x00\x00\x00RTSP/1.0 302 x\r\nCSEQ\r\nLOCATION\r\n\r\n"],
        [b"$\x00\x00\x04RTSP", b"RTSP/1.0 302 x\r\nCSEQ\r\nLOCATION\r\n\r\n"],
    ],
)
async def test_redirect_reaches_nobody(listen: Listen, pieces: list[bytes], after: str) -> None:
    visits: list[str] = []
    elsewhere = await listen(visits=visits)
    location = b"Location: rtsp://127.0.0.1:%d/x" % elsewhere
    port = await listen(*(p.replace(b"LOCATION", location) for p in pieces), after=after)
    error = await visit(port)
    assert isinstance(error, SourceForbidden)
    assert "redirects" in str(error)
    assert visits == []


async def test_port_that_says_nothing_is_unreachable(listen: Listen) -> None:
    error = await visit(await listen(), QUICK)
    assert isinstance(error, SourceUnreachable)
    assert "does not answer" in str(error)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"SSH-2.0-OpenSSH\r\n"],
        [b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"],
        [b"\x00" * 5000],
        [b"$" * 5000],
    ],
)
async def test_port_that_speaks_something_else_is_unusable(
    listen: Listen, pieces: list[bytes]
) -> None:
    error = await visit(await listen(*pieces), SOON)
    assert isinstance(error, SourceUnusable)
    assert "does not speak RTSP" in str(error)


@pytest.mark.parametrize("status", [b"453 Not Enough Bandwidth", b"503 Service Unavailable"])
async def test_camera_that_refuses_to_play_is_unusable(listen: Listen, status: bytes) -> None:
    port = await listen(b"RTSP/1.0 " + status + b"\r\nCSEQ\r\n\r\n", after="DESCRIBE")
    assert isinstance(await visit(port), SourceUnusable)


@pytest.mark.parametrize(
    "media", [b"", b"m=audio 0 RTP/AVP 0\r\n", b"m=video 0 RTP/AVP 96\r\na=rtpmap:96 X/90000\r\n"]
)
async def test_camera_without_usable_video_is_unusable(listen: Listen, media: bytes) -> None:
    body = SDP + media
    head = b"RTSP/1.0 200 OK\r\nCSEQ\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n"
    port = await listen(head % len(body) + body, after="DESCRIBE")
    assert isinstance(await visit(port), SourceUnusable | SourceStalled)


async def test_camera_that_leaves_in_the_middle_of_opening_is_unusable() -> None:
    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"RTSP/1.0 200 OK\r\n")
        writer.close()

    server = await asyncio.start_server(leave, "127.0.0.1", 0)
    error = await visit(server.sockets[0].getsockname()[1])
    server.close()
    assert isinstance(error, SourceUnusable)


async def test_tls_is_not_spoken_by_a_plain_port(listen: Listen) -> None:
    port = await listen(b"RTSP/1.0 200 OK\r\n\r\n")
    camera = RtspCamera(RtspSource(url=f"rtsps://127.0.0.1:{port}/x"), QUICK)
    with pytest.raises((SourceUnusable, SourceUnreachable)):
        await camera.run(NoFrames())
