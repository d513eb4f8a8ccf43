"""The way to a camera that has several addresses."""

import asyncio
import ipaddress

import pytest

from streamer.errors import SourceUnreachable
from streamer.sources.address import CameraUrl
from streamer.sources.relay import open_relay
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
