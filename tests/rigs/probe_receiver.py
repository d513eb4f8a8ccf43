"""aiortc's receiver made to behave as a browser's: no frame waits for the next one, losses are asked for
again, and what does not come is given up for a key frame."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.utils import uint16_gt

if TYPE_CHECKING:
    from aiortc import RTCRtpReceiver
    from aiortc.rtp import RtpPacket

CAPACITY = 1024  # packets: seconds of video at the rates of the bench
TICK_S = 0.05
REPEAT_NACK_S = 0.1
GIVE_UP_S = 0.5
REPEAT_PLI_S = 0.3
MAX_NACKS = 64
RTP_HEADER_BYTES = 12


class BrowserBuffer(JitterBuffer):
    """Releases a frame on its RTP marker bit; after a gap that was given up, nothing but a key frame."""

    def __init__(self) -> None:
        super().__init__(capacity=CAPACITY, is_video=True)
        self.waits_for_key_frame = False

    @property
    def origin(self) -> int | None:
        """The sequence number that is waited for."""
        return self._origin

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        lost, frame = super().add(packet)
        self.waits_for_key_frame |= lost
        return lost, frame

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:
        while (packets := self._complete_head()) is not None:
            self.remove(len(packets))
            data = b"".join(part._data for part in packets)  # type: ignore[attr-defined] # set by the depayloader
            if self.waits_for_key_frame and not is_key_frame(data):
                continue
            if data:  # padding has none
                self.waits_for_key_frame = False
                return JitterFrame(data, packets[0].timestamp)
        return None

    def next_frame(self) -> JitterFrame | None:
        """The next one that is complete."""
        return None if self._origin is None else self._remove_frame(self._origin)

    def is_blocked(self) -> bool:
        """Has something come behind a packet that is missing?"""
        if self._origin is None or self._complete_head() is not None:
            return False
        packets = (
            self._packets[(self._origin + n) % self._capacity] for n in range(self._capacity)
        )
        missing = False
        for packet in packets:
            if packet is None:
                missing = True
            elif missing:
                return True
        return False

    def give_up(self) -> None:
        """Forget everything up to the first frame that begins behind the gap."""
        assert self._origin is not None
        self.waits_for_key_frame = True
        missing = False
        for count in range(self._capacity):
            packet = self._packets[(self._origin + count) % self._capacity]
            if packet is None:
                missing = True
            elif missing and packet.marker:
                self.remove(count + 1)
                return

    def _complete_head(self) -> list[RtpPacket] | None:
        packets: list[RtpPacket] = []
        assert self._origin is not None
        for offset in range(self._capacity):
            packet = self._packets[(self._origin + offset) % self._capacity]
            if packet is None:
                return None
            if packets and packet.timestamp != packets[0].timestamp:
                return packets  # a sender without markers
            packets.append(packet)
            if packet.marker:
                return packets
        return None


def is_key_frame(data: bytes) -> bool:
    """Of VP8 (RFC 6386, section 9.1) or H.264 in Annex B form (a unit of type 5 or 7: IDR, SPS)."""
    if not data.startswith((b"\0\0\1", b"\0\0\0\1")):
        return len(data) > 6 and not data[0] & 1 and data[3:6] == b"\x9d\x01\x2a"
    start = data.find(b"\0\0\1")
    while 0 <= start < len(data) - 3:
        if data[start + 3] & 0x1F in (5, 7):
            return True
        start = data.find(b"\0\0\1", start + 3)
    return False


class FixedEstimate:
    """Stands for aiortc's bandwidth estimator: always says ``bitrate``, twice a second."""

    def __init__(self, bitrate: int) -> None:
        self._bitrate = bitrate
        self._said_at = 0.0

    def add(self, *, ssrc: int, **_: int) -> tuple[int, list[int]] | None:
        now = time.monotonic()
        if now - self._said_at < 0.5:
            return None
        self._said_at = now
        return self._bitrate, [ssrc]


class BrowserReceiver:
    """Changes an aiortc receiver (before it starts) and counts what it gets.

    ``bitrate``: what the sender is told that the network bears, bits/s; None leaves it to aiortc, whose
    estimate falls when the machine is merely busy.
    """

    def __init__(self, receiver: RTCRtpReceiver, bitrate: int | None) -> None:
        self.received: list[
            tuple[float, int]
        ] = []  # (arrival, bytes of a packet and its RTP header)
        inside: Any = receiver  # for what has no types
        self._receiver = inside
        self._buffer = BrowserBuffer()
        self._ssrc: int | None = None
        self._stock = receiver._handle_rtp_packet
        self._blocked_since: float | None = None
        self._nacked_at = self._asked_at = 0.0
        inside._RTCRtpReceiver__jitter_buffer = self._buffer
        if bitrate is not None:
            inside._RTCRtpReceiver__remote_bitrate_estimator = FixedEstimate(bitrate)
        inside._handle_rtp_packet = self._handle

    async def run(self) -> None:
        """Mend losses until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            if self._ssrc is not None:
                await self._mend(self._ssrc, time.monotonic())

    async def _handle(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        self.received.append((time.monotonic(), len(packet.payload) + RTP_HEADER_BYTES))
        codec = self._receiver._RTCRtpReceiver__codecs.get(packet.payload_type)
        is_media = codec is not None and codec.name.lower() != "rtx"
        if is_media:
            self._ssrc = packet.ssrc
        await self._stock(packet, arrival_time_ms=arrival_time_ms)
        if is_media:
            self._codec = codec
        while self._ssrc is not None and (frame := self._buffer.next_frame()) is not None:
            mapper = self._receiver._RTCRtpReceiver__timestamp_mapper
            frame.timestamp = mapper.map(frame.timestamp)
            self._receiver._RTCRtpReceiver__decoder_queue.put((self._codec, frame))

    async def _mend(self, ssrc: int, now: float) -> None:
        buffer = self._buffer
        if not buffer.is_blocked():
            self._blocked_since = None
        elif self._blocked_since is None:
            self._blocked_since = now
        elif now - self._blocked_since > GIVE_UP_S:
            buffer.give_up()
            self._blocked_since = None
        missing = self._receiver._RTCRtpReceiver__nack_generator.missing
        for number in tuple(missing):
            if buffer.origin is not None and uint16_gt(buffer.origin, number):
                missing.discard(number)
        if missing and now - self._nacked_at > REPEAT_NACK_S:
            self._nacked_at = now
            await self._receiver._send_rtcp_nack(ssrc, sorted(missing)[:MAX_NACKS])
        if buffer.waits_for_key_frame and now - self._asked_at > REPEAT_PLI_S:
            self._asked_at = now
            await self._receiver._send_rtcp_pli(ssrc)
