"""Media towards a TURN server goes out at once or not at all, and its end does not wait for a dead one."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aioice import Connection
from aioice.turn import TurnClientTcpProtocol, TurnTransport

from streamer.webrtc import relaying
from streamer.webrtc.relaying import CHANNEL_REFRESH_S, MAX_BACKLOG_BYTES, RelayedProtocol
from tests.fakes import PATIENCE_S

VIEWER = ("203.0.113.7", 5000)
PACKET = bytes(1200)


class Deaf:
    """A TURN server that takes connections and then neither reads nor answers, and our side of one."""

    def __init__(self) -> None:
        self._over = asyncio.Event()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._ignore, "127.0.0.1", 0, limit=1)
        host, port = self._server.sockets[0].getsockname()
        self.client = TurnClientTcpProtocol((host, port), "u", "p", 600, CHANNEL_REFRESH_S)
        self.client.peer_to_channel[VIEWER] = 0x4000
        self.client.channel_refresh_at[0x4000] = 0.0  # due
        self.wire, _ = await asyncio.get_running_loop().create_connection(
            lambda: self.client, host, port
        )
        self.protocol = RelayedProtocol(Connection(ice_controlling=False))
        turn_transport: Any = TurnTransport(self.client)
        self.client.receiver = self.protocol
        self.protocol.connection_made(turn_transport)

    async def _ignore(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._over.wait()
        writer.close()

    async def close(self) -> None:
        self._over.set()
        self.wire.abort()
        self._server.close()
        await self._server.wait_closed()


@pytest.fixture
async def deaf() -> AsyncIterator[Deaf]:
    made = Deaf()
    await made.start()
    yield made
    await made.close()


def tasks() -> set[Any]:
    return asyncio.all_tasks()


async def test_packets_for_a_server_that_takes_nothing_are_dropped_and_not_kept(deaf: Deaf) -> None:
    before = tasks()
    for _ in range(50_000):  # 60 MB, more than the kernel buffers
        await deaf.protocol.send_data(PACKET, VIEWER)
    assert 0 < deaf.wire.get_write_buffer_size() <= MAX_BACKLOG_BYTES + len(PACKET) + 4
    assert tasks() == before, "no packet waits in a task of its own"
    assert not deaf.client.transactions, "media does not ask for the channel's refresh"


async def test_packet_without_a_channel_is_dropped(deaf: Deaf) -> None:
    await deaf.protocol.send_data(PACKET, ("203.0.113.8", 5000))
    assert deaf.wire.get_write_buffer_size() == 0 and not deaf.client.transactions


async def test_packet_over_a_lost_connection_is_dropped(deaf: Deaf) -> None:
    deaf.wire.abort()
    await deaf.protocol.send_data(PACKET, VIEWER)


async def test_end_does_not_wait_for_a_dead_server(
    deaf: Deaf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "GIVE_BACK_S", 0.05)
    before = tasks()
    deaf.protocol.send_stun(_Message(), ("203.0.113.8", 5000))  # type: ignore[arg-type]
    begun = time.monotonic()
    await asyncio.wait_for(deaf.protocol.close(), PATIENCE_S)
    assert time.monotonic() - begun < PATIENCE_S
    assert tasks() == before, "neither the end nor what waited for a channel"
    assert deaf.wire.is_closing()
    await asyncio.wait_for(deaf.protocol.close(), PATIENCE_S)  # twice is safe


class _Message:
    """A connectivity check, as far as it matters here."""

    def __bytes__(self) -> bytes:
        return b"check"


async def test_channel_is_refreshed_before_its_permission_ends(deaf: Deaf) -> None:
    assert deaf.client.channel_refresh_time < 300  # RFC 8656, section 9
