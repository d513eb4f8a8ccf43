"""A peer's packets through a TURN server, which may be slow or dead without holding anybody up.

aioice makes a task of each packet that goes to a TURN server; while a channel is bound or refreshed they
all wait for its answer, each asking anew, and over TCP they wait in a buffer without end. Here media
goes out at once on the channel that the connectivity checks have bound, or is dropped. The checks
themselves, a few a minute, keep aioice's way and with it refresh the channel.
"""

import asyncio
import logging
import struct
from typing import Any

from aioice.ice import StunProtocol

from streamer.aio import cancel_and_wait

logger = logging.getLogger(__name__)

MAX_BACKLOG_BYTES = 256 * 1024
"""Waiting for a TURN server that takes nothing: half a second of 4 Mbit/s, and a key frame of 1920x1080.
What comes later is worth nothing."""

CHANNEL_REFRESH_S = 240
"""aioice's 500 s refresh a channel in time, but not the permission that comes with it: that ends after
300 s (RFC 8656, section 9)."""

GIVE_BACK_S = 1.0
"""For the TURN server's answer that the allocation is gone. A dead one gives none; it would be asked
for half a minute, while the allocation ends by itself."""


class RelayedProtocol(StunProtocol):
    """One allocation; ``transport`` is aioice's ``TurnTransport``."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._client.channel_refresh_time = CHANNEL_REFRESH_S

    @property
    def _client(self) -> Any:
        """aioice's protocol towards the TURN server."""
        turn_transport: Any = self.transport
        return turn_transport._TurnTransport__inner_protocol

    async def send_data(self, data: bytes, addr: tuple[str, int]) -> None:
        """Never waits. What can't be sent now is lost, as on any network."""
        client = self._client
        channel = client.peer_to_channel.get(addr)
        wire = client.transport
        if channel is None or wire.is_closing():
            return
        if wire.get_write_buffer_size() <= MAX_BACKLOG_BYTES:
            client._send(struct.pack("!HH", channel, len(data)) + data)

    async def close(self) -> None:
        """Gives the allocation back, if the TURN server still answers. Twice is safe."""
        ours: Any = self
        turn_transport: Any = self.transport
        turn_transport.close()
        _, pending = await asyncio.wait([ours._StunProtocol__closed], timeout=GIVE_BACK_S)
        if pending:
            logger.info("a TURN server did not answer to the end of an allocation")
        await cancel_and_wait(
            turn_transport._TurnTransport__close_task,
            *turn_transport._TurnTransport__send_tasks,
        )
