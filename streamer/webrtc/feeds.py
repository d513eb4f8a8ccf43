"""Encoded pictures on their way to viewers: each feed is encoded (or forwarded) once, and sent to all.

screens ─► EncodedFeed (one thread: scale, encode, packetise) ─┐
                                                               ├─► its task ─► each viewer's sender
camera's packets ─► ForwardedFeed (packetise) ─────────────────┘
"""

import asyncio
import logging
import math
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder

from streamer.aio import LatestSlot, cancel_and_wait, until_ended
from streamer.encoders import VideoEncoder
from streamer.model import (
    ALWAYS,
    VIDEO_CLOCK_HZ,
    Codec,
    Forwarded,
    Frame,
    Packet,
    Picture,
    Rule,
)
from streamer.pixels import half_size
from streamer.webrtc.adaptation import LOW_BITRATE, LOW_FPS, START_BITRATE

logger = logging.getLogger(__name__)

MIN_KEYFRAME_INTERVAL_S = 0.5
"""However many viewers join or lose packets, there are at most two key frames a second for all."""

MAX_WAITING = 60
"""Pictures that wait for the event loop; beyond that it is so late that only a key frame helps."""

MAX_IN_FLIGHT = 2
"""Encoded pictures handed to the event loop and not yet sent; the encoder waits beyond that, and its slot
drops pictures meanwhile."""

MAX_FAILURES = 3
"""Pictures in a row that a new encoder, too, refused: then the fault is not the picture's, and the next
try comes after a rest."""

REST_S = 5.0

_FPS_HINT = 30.0

_LOW_INTERVAL = round(0.9 * VIDEO_CLOCK_HZ / LOW_FPS)  # ticks; a little less, since cameras jitter


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """One picture, ready for RTP. ``received_mono``: when the frame reached us; None of a notice.
    ``ready_mono``: when it was encoded, or forwarded; ``encode_ms`` is None of what was forwarded.
    ``rule``: as of ``Picture``."""

    payloads: list[bytes]
    pts: int
    is_keyframe: bool
    received_mono: float | None
    ready_mono: float
    encode_ms: float | None = None
    rule: Rule = ALWAYS


class Receiver(Protocol):
    """Who takes a feed's pictures, on the event loop."""

    async def take(self, feed: "Feed", coded: Coded) -> None: ...

    def on_gap(self, feed: "Feed") -> None:
        """Pictures were left out: nothing that follows can be decoded before a key frame."""


NoteLatency = Callable[[str, float], None]


class Feed(ABC):
    """What the two kinds share: the queue to the event loop, and the task that sends."""

    def __init__(self, name: str, note_latency: NoteLatency) -> None:
        self.name = name
        self.receivers: list[Receiver] = []
        self._note_latency = note_latency
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Coded] = asyncio.Queue(MAX_WAITING)
        self._task = self._loop.create_task(self._send_all(), name=f"feed-{name}")
        self._has_gap = False

    @abstractmethod
    def request_keyframe(self) -> bool:
        """False where there is nobody to ask."""

    async def close(self) -> None:
        await cancel_and_wait(self._task)

    def _arrived(self, coded: Coded) -> None:
        """On the event loop."""
        if self._has_gap and not coded.is_keyframe:
            return
        self._has_gap = self._queue.full()
        if not self._has_gap:
            self._queue.put_nowait(coded)
            return
        logger.info("feed %s is behind: it goes on with the next key frame", self.name)
        while not self._queue.empty():
            self._queue.get_nowait()
        for receiver in tuple(self.receivers):
            receiver.on_gap(self)
        self.request_keyframe()

    async def _send_all(self) -> None:
        while True:
            coded = await self._queue.get()
            for receiver in tuple(self.receivers):
                if coded.rule.over:
                    break
                try:
                    await receiver.take(self, coded)
                except Exception:  # one picture lost for one of them
                    logger.exception("feed %s: a picture could not be sent", self.name)
                    receiver.on_gap(self)
            self._on_sent(coded)

    def _on_sent(self, coded: Coded) -> None:
        now = time.monotonic()
        if coded.encode_ms is not None:
            self._note_latency("encode", coded.encode_ms)
        self._note_latency("send", (now - coded.ready_mono) * 1000)
        if coded.received_mono is not None:
            self._note_latency("sent", (now - coded.received_mono) * 1000)


class ForwardedFeed(Feed):
    """The camera's own packets: a ``PacketSink``."""

    def __init__(
        self,
        name: str,
        note_latency: NoteLatency,
        ask_camera: Callable[[], bool],
        on_forwarded: Callable[[], None],
    ) -> None:
        super().__init__(name, note_latency)
        self._ask_camera = ask_camera
        self._on_change = on_forwarded
        self._packetiser = Packetiser()

    def forward(self, packet: Packet) -> None:
        if self.receivers:
            payloads = self._packetiser.payloads(packet)
            coded = Coded(
                payloads,
                packet.pts,
                packet.is_keyframe,
                packet.received_mono,
                time.monotonic(),
                rule=packet.rule,
            )
            self._loop.call_soon_threadsafe(self._arrived, coded)

    def on_forwarded(self, forwarded: Forwarded | None) -> None:
        self._on_change()

    def request_keyframe(self) -> bool:
        return self._ask_camera()


class EncodedFeed(Feed):
    """Pictures encoded in a thread of this feed's own: a ``PictureSink``.

    ``is_low``: half the size, at most 15 pictures a second, 250 kbit/s. ``bit_rate``: bits per second,
    changed from the event loop; an encoder takes it over with its next picture.
    """

    def __init__(
        self, name: str, note_latency: NoteLatency, codec: Codec, *, annotated: bool, is_low: bool
    ) -> None:
        super().__init__(name, note_latency)
        self.annotated = annotated
        self.is_low = is_low
        self.bit_rate = LOW_BITRATE if is_low else START_BITRATE
        self.rate_set_mono = -math.inf
        self.size: tuple[int, int] | None = None
        self._codec = codec
        self._slot: LatestSlot[Picture] = LatestSlot()
        self._in_flight = threading.Semaphore(MAX_IN_FLIGHT)
        self._keyframe_wanted = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"encode-{name}", daemon=True)
        self._thread.start()

    def show(self, picture: Picture) -> None:
        self._slot.put(picture)

    def request_keyframe(self) -> bool:
        self._keyframe_wanted.set()
        return True

    async def close(self) -> None:
        """Stops, and waits until the thread has ended."""
        self._slot.close()
        self._in_flight.release()
        await super().close()
        await until_ended(self._thread)

    def _on_sent(self, coded: Coded) -> None:
        self._in_flight.release()
        super()._on_sent(coded)

    # -- everything below runs in the feed's thread ----------------------------------------------------

    def _run(self) -> None:
        work, failures, rests_until = _Work(self._codec, is_low=self.is_low), 0, 0.0
        while (picture := self._slot.take()) is not None:
            if time.monotonic() < rests_until or not work.is_due(picture):
                continue
            try:
                coded = work.encode(picture, self.bit_rate, self._keyframe_wanted)
            except Exception:  # the other feeds go on; of this one the log says why it stands still
                logger.exception("feed %s: a picture could not be encoded", self.name)
                work.close()
                failures += 1
                if failures >= MAX_FAILURES:
                    rests_until = time.monotonic() + REST_S
                continue
            failures = 0
            self.size = work.size
            self._in_flight.acquire()
            self._loop.call_soon_threadsafe(self._arrived, coded)
        work.close()


class _Work:
    """What a feed's thread has: the encoder for the present size, and when it last did what."""

    def __init__(self, codec: Codec, *, is_low: bool) -> None:
        self.size: tuple[int, int] | None = None  # of the pictures as they come
        self._codec = codec
        self._is_low = is_low
        self._packetiser = Packetiser()
        self._encoder: VideoEncoder | None = None
        self._encoded_size = (0, 0)
        self._rule = ALWAYS
        self._last_pts: int | None = None
        self._keyframe_mono = -MIN_KEYFRAME_INTERVAL_S

    def is_due(self, picture: Picture) -> bool:
        """Not if it comes too late, or too early for the low rendition."""
        if self._last_pts is None:
            return True
        least = _LOW_INTERVAL if self._is_low else 1
        return picture.pts - self._last_pts >= least

    def encode(self, picture: Picture, bit_rate: int, keyframe_wanted: threading.Event) -> Coded:
        begun = time.monotonic()
        frame = half_size(picture.frame) if self._is_low else picture.frame
        if picture.rule is not self._rule:  # nothing may be predicted from what was seen before
            self.close()
            self._rule = picture.rule
        encoder = self._encoder_for(frame, bit_rate)
        self.size = (picture.frame.width, picture.frame.height)
        is_wanted = keyframe_wanted.is_set()
        force = is_wanted and begun - self._keyframe_mono >= MIN_KEYFRAME_INTERVAL_S
        if force:
            keyframe_wanted.clear()
        packet = encoder.encode(frame, picture.pts, force_keyframe=force)
        payloads = self._packetiser.payloads(packet)
        ready = time.monotonic()
        if packet.is_keyframe:
            self._keyframe_mono = begun
        self._last_pts = picture.pts
        received_mono = None if picture.is_notice else picture.frame.received_mono
        encode_ms = (ready - begun) * 1000
        return Coded(
            payloads,
            picture.pts,
            packet.is_keyframe,
            received_mono,
            ready,
            encode_ms,
            picture.rule,
        )

    def close(self) -> None:
        if self._encoder is not None:
            self._encoder.close()
            self._encoder = None

    def _encoder_for(self, frame: Frame, bit_rate: int) -> VideoEncoder:
        size = (frame.width, frame.height)
        if self._encoder is None or self._encoded_size != size:
            self.close()
            fps = LOW_FPS if self._is_low else _FPS_HINT
            self._encoder = VideoEncoder(self._codec, *size, bit_rate, fps)
            self._encoded_size = size
        self._encoder.set_bit_rate(bit_rate)
        return self._encoder


class Packetiser:
    """Encoded pictures as RTP payloads (RFC 7741, RFC 6184)."""

    def __init__(self) -> None:
        self._picture_id = random.getrandbits(15)

    def payloads(self, packet: Packet) -> list[bytes]:
        if packet.codec == "h264":
            units = H264Encoder._split_bitstream(packet.data)
            return H264Encoder._packetize(
                unit for unit in units if unit
            )  # it trips over empty ones
        self._picture_id = (self._picture_id + 1) & 0x7FFF
        return Vp8Encoder._packetize(packet.data, self._picture_id)
