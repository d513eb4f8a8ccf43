"""What a receiver tells the sender of a camera: what came and when, what to send again, and when a key
frame is wanted."""

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiortc.rtp import RtpPacket

from streamer.webrtc.jitter import nearer_way


class TransportFeedback:
    """Collects arrival times of one receiver's packets and reports them every 50 ms.

    Format: draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1. A packet that comes after
    it was reported as lost is reported once more, with all that came since: senders take the first
    good news of a packet, and count it as lost no more.
    """

    INTERVAL_S = 0.05
    MEMORY_S = 0.5
    """How late a packet may come and still be told."""

    MAX_STATUSES = 2000
    MAX_ARRIVALS = 280
    """In one report, which with both of these at their worst is 1.2 kB and fits a packet."""

    _TICKS_PER_S = 4000  # receive deltas count 250 us
    _TICKS_PER_REFERENCE = 256  # the reference time counts 64 ms

    def __init__(self) -> None:
        self._arrivals: dict[int, int] = {}  # transport sequence number, unwrapped -> ticks
        self._oldest = 0  # what is before it has been forgotten
        self._newest: int | None = None
        self._next = 0  # the first that the next report tells of
        self._count = 0
        self._reported_at = 0.0

    def add(self, sequence_number: int, arrival_s: float) -> None:
        """Of a packet that comes twice the first time counts."""
        if self._newest is None:
            self._newest = self._next = sequence_number
            self._oldest = sequence_number - 0x8000  # the first to arrive may not be the first sent
        number = self._newest + nearer_way(sequence_number - self._newest, 16)
        if self._next > self._newest:  # all is told: a good moment to forget
            self._forget(int((arrival_s - self.MEMORY_S) * self._TICKS_PER_S))
        if number in self._arrivals or number < self._oldest:
            return
        self._arrivals[number] = int(arrival_s * self._TICKS_PER_S)
        self._newest = max(self._newest, number)
        self._next = min(self._next, number)

    def due(self, now_s: float) -> bool:
        has_news = self._newest is not None and self._next <= self._newest and self._arrivals
        return bool(has_news) and now_s - self._reported_at >= self.INTERVAL_S

    def reports(self, sender_ssrc: int, media_ssrc: int, now_s: float) -> list[bytes]:
        """RTCP packets on everything that came since the last ones: nearly always one. Call it when
        ``due``."""
        assert self._newest is not None
        self._reported_at = now_s
        packets = []
        waiting = sorted(number for number in self._arrivals if number >= self._next)
        while waiting:
            first = self._next if waiting[0] - self._next < self.MAX_STATUSES else waiting[0]
            told = self._fitting(first, waiting)
            packets.append(self._report(sender_ssrc, media_ssrc, first, told))
            self._next = told[-1] + 1
            waiting = waiting[len(told) :]
        return packets

    def _forget(self, before_ticks: int) -> None:
        """Packets come nearly in order: the oldest stand in front."""
        for number, ticks in list(self._arrivals.items()):
            if ticks >= before_ticks:
                return
            del self._arrivals[number]
            self._oldest = max(self._oldest, number + 1)

    def _fitting(self, first: int, numbers: list[int]) -> list[int]:
        """So many of the arrived packets as one report can tell of."""
        last_ticks = self._arrivals[numbers[0]]
        for place, number in enumerate(numbers):
            ticks = self._arrivals[number]
            is_near = abs(ticks - last_ticks) <= 0x7FFF  # what 16 bits hold: 8 s
            if place == self.MAX_ARRIVALS or number - first >= self.MAX_STATUSES or not is_near:
                return numbers[:place]
            last_ticks = ticks
        return numbers

    def _report(self, sender_ssrc: int, media_ssrc: int, first: int, told: list[int]) -> bytes:
        reference = self._arrivals[told[0]] // self._TICKS_PER_REFERENCE
        ticks = reference * self._TICKS_PER_REFERENCE
        symbols, deltas = [0] * (told[-1] - first + 1), b""
        for number in told:
            delta, ticks = self._arrivals[number] - ticks, self._arrivals[number]
            is_small = 0 <= delta <= 0xFF
            symbols[number - first] = 1 if is_small else 2
            deltas += bytes([delta]) if is_small else struct.pack("!h", delta)
        head = struct.pack("!IIHH", sender_ssrc, media_ssrc, first & 0xFFFF, len(symbols))
        head += (reference & 0xFFFFFF).to_bytes(3, "big") + bytes([self._count & 0xFF])
        self._count += 1
        return _rtcp_packet(head + _status_chunks(symbols) + deltas)


def _status_chunks(symbols: list[int]) -> bytes:
    """Runs of one symbol (section 3.1.3), or seven symbols of two bits each (3.1.4)."""
    chunks, start = b"", 0
    while start < len(symbols):
        end = start + 1
        while end < len(symbols) and symbols[end] == symbols[start]:
            end += 1
        if end - start > 7:
            chunk = symbols[start] << 13 | end - start
        else:
            end = min(start + 7, len(symbols))
            chunk = 0xC000
            for position, symbol in enumerate(symbols[start:end]):
                chunk |= symbol << (12 - 2 * position)
        chunks += struct.pack("!H", chunk)
        start = end
    return chunks


def _rtcp_packet(body: bytes) -> bytes:
    """A transport-layer feedback message (RFC 4585, section 6.1), FMT 15."""
    padding = -len(body) % 4
    if padding:
        body += bytes(padding - 1) + bytes([padding])
    return struct.pack("!BBH", 0x80 | (0x20 if padding else 0) | 15, 205, len(body) // 4) + body


@dataclass(slots=True)
class _Missing:
    asked_mono: float = 0.0
    times: int = 0


class Retransmissions:
    """Stands in the place of aiortc's ``NackGenerator``, which asks for a packet again only when yet
    another one is lost: this one asks at once, and again after each round trip without an answer."""

    MIN_INTERVAL_S = 0.04
    ASSUMED_ROUND_TRIP_S = 0.1
    MAX_TIMES = 10
    MAX_MISSING = 500
    """With more than this, only a key frame helps; libwebrtc keeps about as many for sending again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.missing: list[int] = []  # aiortc asks for these when ``add`` says so
        self.round_trip_s: float | None = None  # from a request to its answer, smoothed
        self._clock = clock
        self._ssrc: int | None = None
        self._newest = 0
        self._open: dict[int, _Missing] = {}  # by sequence number, unwrapped

    def add(self, packet: RtpPacket) -> bool:
        """A packet has come, for the first time or again: is there anything to ask for?"""
        now = self._clock()
        if self._ssrc != packet.ssrc:
            self._ssrc, self._newest = packet.ssrc, packet.sequence_number
            self._open.clear()
        number = self._newest + nearer_way(packet.sequence_number - self._newest, 16)
        answered = self._open.pop(number, None)
        if answered is not None and answered.times == 1:
            self._learn(now - answered.asked_mono)
        if number > self._newest + self.MAX_MISSING:
            self._open.clear()
        else:
            self._open |= {lost: _Missing() for lost in range(self._newest + 1, number)}
        self._newest = max(self._newest, number)
        self.missing = self._due(now) if self._open else []
        return bool(self.missing)

    def forget_before(self, sequence_number: int) -> None:
        """Nobody waits for these any more."""
        first = self._newest + nearer_way(sequence_number - self._newest, 16)
        for number in [number for number in self._open if number < first]:
            del self._open[number]

    def _due(self, now: float) -> list[int]:
        round_trip_s = self.round_trip_s or self.ASSUMED_ROUND_TRIP_S
        interval_s = max(self.MIN_INTERVAL_S, 1.25 * round_trip_s)  # an answer may well take longer
        due = []
        for number, missing in list(self._open.items()):
            if missing.times == self.MAX_TIMES or number < self._newest - self.MAX_MISSING:
                del self._open[number]
            elif not missing.times or now - missing.asked_mono >= interval_s:
                missing.asked_mono, missing.times = now, missing.times + 1
                due.append(number & 0xFFFF)
        return due

    def _learn(self, round_trip_s: float) -> None:
        before = self.round_trip_s
        self.round_trip_s = round_trip_s if before is None else before + (round_trip_s - before) / 8


class KeyframeRequests:
    """When to ask for a key frame: at once, and every 0.3 s until one comes, since a request can be lost
    and libwebrtc answers no more of them."""

    INTERVAL_S = 0.3

    def __init__(self) -> None:
        self._is_wanted = False
        self._asked_mono = float("-inf")

    def want(self) -> None:
        self._is_wanted = True

    def came(self) -> None:
        self._is_wanted = False

    def due(self, now: float) -> bool:
        """Whoever calls this asks, if it is True."""
        if not self._is_wanted or now - self._asked_mono < self.INTERVAL_S:
            return False
        self._asked_mono = now
        return True
