"""What a peer may send on its data channels. Pages have next to nothing to say; aiortc takes whatever comes:
channels and half messages without end, whether or not it has granted room for them."""

import logging
from collections.abc import Callable
from typing import Any

from streamer.config import LimitsConfig
from streamer.rates import Bucket

logger = logging.getLogger(__name__)


class FloodGate:
    """Counts the pieces of messages that an ``RTCSctpTransport`` takes in. ``on_flood`` is called once, with
    what was too much, and nothing is taken any more."""

    def __init__(
        self, transport: Any, limits: LimitsConfig, on_flood: Callable[[str], None]
    ) -> None:
        self._transport = transport
        self._limits = limits
        self._on_flood = on_flood
        self._bucket = Bucket(limits.messages_per_minute)
        self._room_bytes = self._transport._advertised_rwnd
        self._is_shut = False
        self._take = self._transport._receive_data_chunk
        self._transport._receive_data_chunk = self._receive

    async def _receive(self, chunk: Any) -> None:
        if self._is_shut:
            return
        await self._take(chunk)
        too_much = self._too_much()
        if too_much:
            self._is_shut = True
            self._on_flood(too_much)

    def _too_much(self) -> str:
        limits, transport = self._limits, self._transport
        if not self._bucket.take():
            return f"more than {limits.messages_per_minute} messages a minute"
        if len(transport._inbound_streams) > limits.max_channels:
            return f"more than {limits.max_channels} data channels"
        # What is not a whole message yet; aiortc counts it for the room that it tells the peer.
        if self._room_bytes - transport._advertised_rwnd > limits.max_message_bytes:
            return f"a message of more than {limits.max_message_bytes} bytes"
        return ""
