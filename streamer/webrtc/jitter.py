"""From RTP packets, in whatever order they come, to whole encoded pictures in the order of sending."""

import time
from bisect import insort
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from aiortc.rtp import RtpPacket

from streamer.model import H264_IDR, H264_PARAMETER_SET, Codec, h264_units

SEARCH_INTERVAL_S = 0.02
"""Between two searches of all that waits behind a gap: a sender that never ends a picture must not make
each of its packets dear."""

PATIENCE_S = 0.25
"""How long pictures wait behind a lost packet: what two or three retransmissions take on most networks.
Less than a picture's repair is worth nothing, more is a freeze that a key frame would have ended."""

SILENCE_S = 1.0
"""After so long without a packet nothing that was sent meanwhile is worth asking for."""

CAPACITY = 2048
"""Packets that may wait: a quarter of a second at more than 60 Mbit/s."""

MAX_MISORDER = 100  # packets by which the very first ones may come out of order, as aiortc has it

_H264_DELIMITER = 9  # NAL unit type
_VP8_START_CODE = b"\x9d\x01\x2a"  # RFC 6386, section 9.1


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPicture:
    """``timestamp``: RTP's, as on the wire. ``received_mono``: when its last packet came."""

    data: bytes
    codec: Codec
    timestamp: int
    is_keyframe: bool
    received_mono: float


def is_keyframe(codec: Codec, data: bytes) -> bool:
    """Can a decoder begin with this picture? By a VP8 frame's header (RFC 6386, section 9.1), or an IDR
    slice in an H.264 access unit in Annex B form."""
    if codec == "vp8":
        return len(data) > 6 and not data[0] & 1 and data[3:6] == _VP8_START_CODE
    return any(kind == H264_IDR for kind, _ in h264_units(data))


def begins_keyframe(codec: Codec, data: bytes) -> bool:
    """Is this the beginning of a key frame, whatever came before it?"""
    if codec == "vp8":
        return is_keyframe(codec, data)
    if not data.startswith(b"\0\0"):
        return False
    kinds = [kind for kind, _ in h264_units(data)]
    is_first = kinds[:1] in ([H264_PARAMETER_SET], [_H264_DELIMITER])
    return is_first and (H264_PARAMETER_SET in kinds or H264_IDR in kinds)


@dataclass(frozen=True, slots=True, eq=False)
class _Arrived:
    packet: RtpPacket
    data: bytes
    at_mono: float


class PictureBuffer:
    """Stands in the place of aiortc's ``JitterBuffer`` for video, and never hands it a frame: whoever
    owns this one calls ``take`` after each packet.

    A picture leaves with the packet that carries RTP's marker bit (RFC 3551, section 4.1), or with the
    first one of the next picture, and so do all that are complete after it. Behind a packet that does
    not come for ``patience_s`` it gives up: it goes on with the next picture whose beginning is known,
    and holds back all but a key frame, for which ``wants_keyframe`` then asks. So it does at the start.
    """

    def __init__(
        self,
        codec_of: Callable[[int], Codec | None],
        *,
        capacity: int = CAPACITY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``codec_of`` a payload type."""
        self.wants_keyframe = True
        self.patience_s = PATIENCE_S
        self.ssrc: int | None = None  # of the newest packet
        self._codec_of = codec_of
        self._capacity = capacity
        self._clock = clock
        self._packets: dict[int, _Arrived] = {}  # by sequence number, unwrapped
        self._next = self._scanned = self._newest = 0  # _next.._scanned - 1 are of one picture
        self._is_fresh = True  # nothing has left yet
        self._is_aligned = False  # at _next a picture begins for sure
        self._key_starts: deque[int] = deque()  # where key frames begin, as far as known
        self._gap: tuple[int, float] | None = None  # a packet that lacks, since when
        self._heard_mono = 0.0
        self._search_mono = 0.0  # not again before
        self._has_news = False

    @property
    def next_sequence_number(self) -> int:
        """Packets before this one (16 bits) are of no more use."""
        return self._next & 0xFFFF

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """As aiortc's receiver calls it, with the payload unwrapped into ``_data``."""
        now = self._clock()
        number = self._unwrap(packet, now)
        if number is not None and number not in self._packets:
            inner: Any = packet
            self._packets[number] = _Arrived(packet, inner._data, now)
            codec = self._codec_of(packet.payload_type)
            if codec is not None and begins_keyframe(codec, inner._data):
                insort(self._key_starts, number)
            self._newest = max(self._newest, number)
            self._has_news = True
            self._heard_mono = now
        return False, None

    def take(self) -> list[EncodedPicture]:
        """All pictures that may leave, in the order of sending."""
        if not self._has_news:
            return []  # a packet that had come before
        self._has_news = False
        pictures = list(self._complete())
        while self._skip_lost():
            pictures += self._complete()
        return pictures

    # -- arriving -----------------------------------------------------------------------------------

    def _unwrap(self, packet: RtpPacket, now: float) -> int | None:
        """The packet's place, or None when it comes too late."""
        if self.ssrc != packet.ssrc:  # the first, or a sender that began anew
            self._is_fresh, self.ssrc = self.ssrc is None, packet.ssrc
            return self._begin_at(packet.sequence_number)
        number = self._newest + nearer_way(packet.sequence_number - self._newest, 16)
        if number > self._newest + 1 and now - self._heard_mono > SILENCE_S:
            return self._begin_at(number)
        if not -2 * self._capacity <= number - self._next < self._capacity:
            return self._begin_at(number)
        if number >= self._next:
            return number
        if self._is_fresh and self._next - number <= MAX_MISORDER:
            self._next = self._scanned = number
            self._gap = None
            return number
        return None

    def _begin_at(self, number: int) -> int:
        self._packets.clear()
        self._key_starts.clear()
        self._next = self._scanned = self._newest = number
        self._is_aligned = False
        self._gap = None
        self.wants_keyframe = True
        return number

    # -- leaving ------------------------------------------------------------------------------------

    def _complete(self) -> Iterator[EncodedPicture]:
        while (end := self._end_of_picture()) is not None:
            parts = [self._packets.pop(number) for number in range(self._next, end)]
            was_aligned, self._is_fresh = self._is_aligned, False
            self._go_on_at(end)
            picture = self._join(parts, was_aligned)
            if picture is not None:
                yield picture

    def _end_of_picture(self) -> int | None:
        """The number after the last packet of the picture at ``_next``, if all have come."""
        while (arrived := self._packets.get(self._scanned)) is not None:
            if arrived.packet.timestamp != self._packets[self._next].packet.timestamp:
                return self._scanned
            self._scanned += 1
            if arrived.packet.marker:
                return self._scanned
        return None

    def _join(self, parts: list[_Arrived], was_aligned: bool) -> EncodedPicture | None:
        """None for padding, and for what a decoder could make nothing of."""
        data = b"".join(part.data for part in parts)
        codec = self._codec_of(parts[0].packet.payload_type)
        if not data or codec is None:
            return None
        is_key = is_keyframe(codec, data)
        if not was_aligned:
            is_key = begins_keyframe(codec, data)
        if self.wants_keyframe and not is_key:
            return None
        self.wants_keyframe = False
        received_mono = max(part.at_mono for part in parts)
        return EncodedPicture(data, codec, parts[0].packet.timestamp, is_key, received_mono)

    # -- giving up ----------------------------------------------------------------------------------

    def _skip_lost(self) -> bool:
        """Goes on behind a gap that is not worth waiting for. True if it did."""
        if self._scanned > self._newest or not self._packets:
            self._gap = None
            return False
        if self._gap is None or self._gap[0] != self._scanned:
            since = min(each.at_mono for n, each in self._packets.items() if n > self._scanned)
            self._gap = (self._scanned, since)
        is_over = self._clock() - self._gap[1] > self.patience_s
        self.wants_keyframe |= is_over
        if is_over and self._clock() < self._search_mono:
            return False
        start = self._next_start(is_over)
        if start is None:
            self._search_mono = self._clock() + SEARCH_INTERVAL_S
            return False
        for number in [number for number in self._packets if number < start]:
            del self._packets[number]
        self._go_on_at(start)
        self._gap = None
        return True

    def _go_on_at(self, number: int) -> None:
        self._next = self._scanned = number
        self._is_aligned = True
        while self._key_starts and self._key_starts[0] < number:
            self._key_starts.popleft()

    def _next_start(self, is_over: bool) -> int | None:
        """Where behind the gap to go on, if so: at a key frame when one is wanted and it is not a key
        frame that is being repaired; when the gap ``is_over``, at any picture."""
        behind = [number for number in self._key_starts if number > self._scanned]
        is_at_keyframe = len(behind) < len(self._key_starts)
        if behind and self.wants_keyframe and (is_over or not is_at_keyframe):
            return behind[0]
        if not is_over:
            return None
        for number in sorted(number for number in self._packets if number > self._scanned):
            here, before = self._packets[number].packet, self._packets.get(number - 1)
            if before is not None and (
                before.packet.marker or before.packet.timestamp != here.timestamp
            ):
                return number
        return None


def nearer_way(difference: int, bits: int) -> int:
    """The difference of two numbers that wrap around, as the nearer way."""
    half = 1 << (bits - 1)
    return (difference + half) % (1 << bits) - half


class RtpClock:
    """A camera's RTP timestamps as media time: ticks since its first picture, which grow where
    timestamps wrap around."""

    def __init__(self) -> None:
        self._newest: tuple[int, int] | None = None  # timestamp, pts

    def place(self, timestamp: int) -> int:
        """The time of a picture."""
        pts = self.of(timestamp) or 0
        if self._newest is None or pts > self._newest[1]:
            self._newest = (timestamp, pts)
        return pts

    def of(self, timestamp: int) -> int | None:
        """Any time near the newest picture's; None before the first."""
        if self._newest is None:
            return None
        newest, pts = self._newest
        return pts + nearer_way(timestamp - newest, 32)
