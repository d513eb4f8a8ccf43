"""The way to a camera that has several addresses."""

import asyncio
import contextlib
import ipaddress
import socket
import time

import pytest

from streamer.errors import SourceUnreachable
from streamer.sources.address import CameraUrl
from streamer.sources.relay import Relay, open_relay
from tests.fakes import PATIENCE_S

ELSEWHERE = ipaddress.ip_address("127.0.0.2")
HERE = ipaddress.ip_address("127.0.0.1")


async def test_next_address_is_tried_when_one_does_not_answer() -> None:
    accepted = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set()
        writer.close()

    async with await asyncio.start_server(accept, str(HERE), 0) as camera:
        url = CameraUrl("rtsp", "cam.example", camera.sockets[0].getsockname()[1], "")
        async with open_relay(url, [ELSEWHERE, HERE], PATIENCE_S):
            await asyncio.wait_for(accepted.wait(), PATIENCE_S)
        with pytest.raises(SourceUnreachable):
            async with open_relay(url, [ELSEWHERE], PATIENCE_S):
                pass


async def test_connection_goes_to_the_checked_address_whatever_the_name_means_by_then() -> None:
    """DNS rebinding: between the check and the connection the name gets another address."""
    visits: list[str] = []
    accepted = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(writer.get_extra_info("sockname")[0])
        accepted.set()
        writer.close()

    async with await asyncio.start_server(accept, str(HERE), 0) as forbidden:
        port = forbidden.sockets[0].getsockname()[1]
        async with await asyncio.start_server(accept, str(ELSEWHERE), port):
            url = CameraUrl("rtsp", "localhost", port, "")  # which now means HERE
            async with open_relay(url, [ELSEWHERE], PATIENCE_S):
                await asyncio.wait_for(accepted.wait(), PATIENCE_S)
    assert visits == [str(ELSEWHERE)]


async def test_nothing_from_a_redirect_on_is_passed_on() -> None:
    """The child could follow it where no Landlock keeps it from."""

    left = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"RTSP/1.0 200 OK\r\n\r\n")
        await reader.readline()
        writer.write(b"RTSP/1.0 302 Found\r\nLocation: rtsp://10.0.0.9/\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        left.set()

    async with await asyncio.start_server(answer, str(HERE), 0) as camera:
        url = CameraUrl("rtsp", str(HERE), camera.sockets[0].getsockname()[1], "")
        async with open_relay(url, [HERE], PATIENCE_S) as relay, asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_connection(relay.host, relay.port)
            assert await reader.readuntil(b"\r\n\r\n") == b"RTSP/1.0 200 OK\r\n\r\n"
            writer.write(b"DESCRIBE\r\n")
            assert await reader.read() == b""
            assert relay.redirected
            writer.close()
            await writer.wait_closed()
        await asyncio.wait_for(left.wait(), PATIENCE_S)


ANSWER = b"RTSP/1.0 200 OK\r\nCSeq: 3\r\n%b\r\n\r\nv=0\r\ns=x\nt"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"Transport: RTP/AVP;unicast;source=10.9.9.9;server_port=1-2", b"server_port=1-2"),
        (b"Transport: RTP/AVP;unicast;server_port=1-2", b"server_port=1-2"),
        (
            b"tRAN\rSPORT: RTP/AVP;sour\rce=10.9.9.9;source=10.9.9.8,RTP/AVP;source=10.9.9.7",
            b"RTP/AVP",
        ),
        (b"Transport: RTP/AVP;" + b" " * 5000 + b"source=10.9.9.9", b"RTP/AVP"),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_over_udp_ffmpeg_is_told_the_cameras_own_address_as_the_source(
    said: bytes, told: bytes, step: int
) -> None:
    with socket.create_server((str(HERE), 0)) as listener:
        relay = Relay(listener, udp_source="10.0.0.5")
    answer = ANSWER % said
    heard = b"".join(
        relay._with_own_source(answer[at : at + step]) for at in range(0, len(answer), step)
    )
    assert b"10.9.9" not in heard
    assert heard.count(b"source=") == 1 and heard.index(b";source=10.0.0.5;") < 60
    assert told in heard
    assert heard.endswith(b"\r\n\r\nv=0\r\ns=x\n"), "a body must stay as it is"


@pytest.mark.parametrize("piece", [b"RTSP/", b"RTSP/ ", b"RTSP/ 0", b"RTSP/1.0 302", b" ", b"0"])
def test_what_a_camera_says_is_looked_through_at_once(piece: bytes) -> None:
    """Time that grows with the square of a piece's length would stop all other streams."""
    with socket.create_server((str(HERE), 0)) as listener:
        relay = Relay(listener)
    begun_s = time.thread_time()
    relay._read_along(piece * (32_768 // len(piece)))
    assert time.thread_time() - begun_s < 0.1
