"""What the probe sends: a clip whose pictures carry their number, encoded once beforehand.

Sending packets that lie ready costs the probe next to no CPU, and no time before a frame leaves; only
runs with loss encode live, since a lost packet's key frame can't be made in advance.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from aiortc import MediaStreamTrack
from av import VideoFrame
from av.video.frame import PictureType

from tests.rigs.marker import NUMBERS, burn_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from av.video.codeccontext import VideoCodecContext
    from numpy.typing import NDArray

    Pictures = Sequence[NDArray[np.uint8]]

CLIP_FRAMES = 120
TICKS_PER_S = 90_000
KEY_FRAME_S = 2
UNIQUE_S = 10
"""A number comes again no sooner than after this: no latency below it can be taken for a smaller one."""

BITRATE = 1_500_000
"""Bits per second; as much as aiortc 1.16 ever gives a VP8 viewer (MAX_BITRATE of its codecs/vpx.py)."""

REFERENCE_STEP = 16
"""Of every so many sent pictures one is kept as the server sees it, to compare the returned one."""

VP8_OPTIONS = {
    "cpu-used": "-6",
    "deadline": "realtime",
    "lag-in-frames": "0",
    "noise-sensitivity": "4",
    "overshoot-pct": "15",
    "partitions": "0",
    "static-thresh": "1",
    "undershoot-pct": "100",
}
"""As aiortc 1.16 sets them (Vp8Encoder of its codecs/vpx.py)."""

H264_OPTIONS = {
    "profile": "baseline",
    "preset": "veryfast",
    "tune": "zerolatency",
    "forced-idr": "1",
    "sc_threshold": "0",
}
"""What browsers' cameras send: baseline without delay; parameter sets stand before each key frame."""


@dataclass(frozen=True)
class NumberedClip:
    """Encoded pictures 0, 1, 2, … of a loop; the first begins with a key frame.

    ``luma``: number -> the luma plane (height, width) that decoding gives, of some of them.
    ``positions``: number -> the place of its picture in the source clip.
    """

    packets: tuple[bytes, ...]
    luma: Mapping[int, NDArray[np.uint8]]
    positions: tuple[int, ...]


def load_pictures(clip: Path, width: int, height: int) -> list[NDArray[np.uint8]]:
    """Decode the first 4 s of a clip to I420 pictures of shape (height * 3 / 2, width)."""
    pictures: list[NDArray[np.uint8]] = []
    with av.open(clip) as container:
        for frame in container.decode(video=0):
            scaled = frame.reformat(width=width, height=height, format="yuv420p")
            pictures.append(scaled.to_ndarray().astype(np.uint8, copy=False))
            if len(pictures) == CLIP_FRAMES:
                break
    return pictures


def position_of(number: int, pictures: int) -> int:
    """The place of frame ``number`` in a clip that runs forward and backward for ever."""
    position = number % (2 * pictures)
    return min(position, 2 * pictures - 1 - position)


def loop_length(pictures: int, fps: int) -> int:
    """Frames after which the numbers start again: whole rounds of the clip, ``UNIQUE_S`` or more."""
    round_length = 2 * pictures
    return round_length * -(-UNIQUE_S * fps // round_length)


def numbered(picture: NDArray[np.uint8], number: int) -> VideoFrame:
    """A copy of an I420 picture that carries ``number``, as a frame."""
    canvas = picture.copy()
    burn_number(canvas[: canvas.shape[0] * 2 // 3], number)
    return VideoFrame.from_ndarray(canvas, format="yuv420p")


def encode_numbered(
    pictures: Pictures,
    codec: str,
    fps: int = 30,
    bitrate: int = BITRATE,
    length: int | None = None,
) -> NumberedClip:
    """Encode ``pictures`` with ``codec`` ("VP8", "H264"); takes some ms a frame. ``length``: how many
    frames; by default enough to repeat them for ever."""
    length = length or loop_length(len(pictures), fps)
    positions = tuple(position_of(number, len(pictures)) for number in range(length))
    height, width = pictures[0].shape[0] * 2 // 3, pictures[0].shape[1]
    encoder = _encoder(codec, width, height, fps, bitrate)
    packets: list[bytes] = []
    for number, position in enumerate(positions):
        frame = numbered(pictures[position], number)
        frame.pts, frame.time_base = number, Fraction(1, fps)
        if number % (KEY_FRAME_S * fps) == 0:
            frame.pict_type = PictureType.I
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    packets += [bytes(packet) for packet in encoder.encode(None)]
    if len(packets) != length:
        raise RuntimeError(f"{codec} made {len(packets)} packets of {length} pictures.")
    return NumberedClip(tuple(packets), dict(_references(codec, packets)), positions)


def _encoder(codec: str, width: int, height: int, fps: int, bitrate: int) -> VideoCodecContext:
    name, options = {"VP8": ("libvpx", VP8_OPTIONS), "H264": ("libx264", H264_OPTIONS)}[codec]
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.bit_rate, encoder.time_base = bitrate, Fraction(1, fps)
    encoder.framerate = Fraction(fps, 1)
    encoder.gop_size = 10 * KEY_FRAME_S * fps  # they are forced where they are wanted
    encoder.max_b_frames = 0
    encoder.thread_count = 2
    rates = {"maxrate": str(bitrate), "bufsize": str(bitrate)}
    if codec == "VP8":
        encoder.qmin, encoder.qmax = 2, 56
        rates["minrate"] = str(bitrate)
    encoder.options = {**options, **rates}
    return encoder


def _references(codec: str, packets: Sequence[bytes]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    decoder = av.CodecContext.create({"VP8": "libvpx", "H264": "h264"}[codec], "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1  # each packet gives its picture at once
    for number, data in enumerate(packets):
        packet = av.Packet(data)
        packet.pts = number
        for frame in decoder.decode(packet):
            if frame.pts is not None and frame.pts % REFERENCE_STEP == 0:
                yield frame.pts, luma_of(frame).copy()


def luma_of(frame: VideoFrame) -> NDArray[np.uint8]:
    """A view on a planar frame's luma, (height, width)."""
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: frame.height, : frame.width]


class PacedTrack(MediaStreamTrack):
    """A track that gives frame after frame at ``fps``; ``on_sent`` gets each one's number as it leaves.

    It never waits for the receiver: a late call makes up for the time, as a camera does.
    """

    kind = "video"

    def __init__(self, fps: int, on_sent: Callable[[int], None]) -> None:
        super().__init__()
        self._fps = fps
        self._on_sent = on_sent
        self._started_at: float | None = None
        self._count = 0

    async def _next(self) -> tuple[int, int]:
        """Wait for the next frame's time; its count from 0, and its pts."""
        if self._started_at is None:
            self._started_at = time.monotonic()
        count = self._count
        self._count += 1
        await asyncio.sleep(max(0.0, self._started_at + count / self._fps - time.monotonic()))
        return count, count * TICKS_PER_S // self._fps


class PacketTrack(PacedTrack):
    """Sends a numbered clip's packets for ever; aiortc only cuts them into RTP."""

    def __init__(self, clip: NumberedClip, fps: int, on_sent: Callable[[int], None]) -> None:
        super().__init__(fps, on_sent)
        self._clip = clip

    async def recv(self) -> av.Packet[Any]:
        count, pts = await self._next()
        number = count % len(self._clip.packets)
        packet = av.Packet(self._clip.packets[number])
        packet.pts, packet.time_base = pts, Fraction(1, TICKS_PER_S)
        self._on_sent(number)
        return packet


class LiveTrack(PacedTrack):
    """Sends pictures that aiortc encodes as they leave, so that it can answer a lost picture's report."""

    def __init__(self, pictures: Pictures, fps: int, on_sent: Callable[[int], None]) -> None:
        super().__init__(fps, on_sent)
        self._pictures = pictures

    async def recv(self) -> VideoFrame:
        count, pts = await self._next()
        frame = numbered(self._pictures[position_of(count, len(self._pictures))], count)
        frame.pts, frame.time_base = pts, Fraction(1, TICKS_PER_S)
        self._on_sent(count % NUMBERS)
        return frame
