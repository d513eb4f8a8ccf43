"""Encoding for viewers: one picture in, one packet out, with settings for speed.

docs/performance.md has the figures behind the settings, and the command that prints them.
"""

import math
from fractions import Fraction

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from streamer.aio import assert_off_loop
from streamer.config import VideoConfig
from streamer.model import VIDEO_CLOCK_HZ, Codec, Frame, Packet
from streamer.pixels import to_av

_GOP_FRAMES = 3000
"""Key frames come when somebody needs one; a regular one would cost ten times a picture's bits."""

_BUFFER_S = {"vp8": 1.0, "h264": 0.5}
"""How far the rate control may run ahead of its target; less makes a key frame ugly."""

_CEILING = 4
"""libx264 changes its rate without a new context up to the one it was opened with, which is this many
times the first one asked for. A source of a quarter of ``fps_hint`` needs as much."""

_MIN_CHANGE = 0.1
"""Rates closer together than this share are one rate."""

_INTERVAL_WEIGHT = 0.05
"""Of the newest picture in the running mean of the time between two: a second or so counts."""

_MAX_INTERVAL_S = 1.0
"""A longer gap is a pause, not a frame rate."""

_VP8_SPEED = -14
"""libvpx's ``cpu-used``: the quickest at which a returned picture is no worse than one that aiortc's settings
encode at the same rate."""


_REFERENCE_PIXELS = 640 * 480
_REFERENCE_BITRATE = 1_500_000


def highest_bitrate(limits: VideoConfig, width: int, height: int) -> int:
    """Of the full rendition, bits per second. By default it grows with the square root of the number of
    pixels, since larger pictures have less detail in each: 2.6 Mbit/s at 1280x720, 3.9 at 1920x1080."""
    if limits.max_bitrate:
        return limits.max_bitrate
    return round(_REFERENCE_BITRATE * math.sqrt(width * height / _REFERENCE_PIXELS))


class VideoEncoder:
    """Pictures of one size in one codec. Used by one thread at a time, off the event loop.

    ``bit_rate``: bits per second. ``fps_hint``: about how many pictures a second will come. Each
    ``encode`` gives that very picture's packet, whose first one is a key frame; other key frames come
    only on request, or where a new bit rate needs a new context.
    """

    def __init__(
        self, codec: Codec, width: int, height: int, bit_rate: int, fps_hint: float = 30
    ) -> None:
        self._codec = codec
        self._size = (width, height)
        self._bit_rate = bit_rate
        self._fps_hint = fps_hint
        self._interval_s = 1 / fps_hint
        self._last_pts: int | None = None
        self._time = 0.0  # the encoder's own, in the same ticks
        self._context: VideoCodecContext | None = None
        self._opened_for = 0

    @property
    def bit_rate(self) -> int:
        return self._bit_rate

    def encode(self, frame: Frame, pts: int, *, force_keyframe: bool = False) -> Packet:
        """``pts``: 90 kHz ticks. Raises ValueError for a frame of another size, and what PyAV raises
        when the encoder fails."""
        assert_off_loop()
        if (frame.width, frame.height) != self._size:
            raise ValueError(f"a {frame.width}x{frame.height} frame for an encoder of {self._size}")
        context = self._context_for_rate()
        picture = to_av(frame, self._regular(pts))  # a new one: no forced type stays behind
        picture.pict_type = PictureType.I if force_keyframe else PictureType.NONE
        (packet,) = context.encode(picture)
        return Packet(bytes(packet), self._codec, pts, packet.is_keyframe, frame.received_mono)

    def set_bit_rate(self, bit_rate: int) -> None:
        """Callable from any thread; holds from the next picture on.

        H.264 goes on without a key frame, but for a rate of more than four times the first one. libvpx
        as FFmpeg binds it can't change its rate: VP8 begins anew with a key frame, so call it seldom.
        Changes of less than a tenth may be left out.
        """
        self._bit_rate = bit_rate

    def close(self) -> None:
        """Gives back the memory now; harmless again."""
        self._context = None

    def _regular(self, pts: int) -> int:
        """The time that the encoder is told; viewers are told the given one.

        libvpx sends 1.6 times its rate when now and then a picture is missing (it gives the one after the
        gap the bits of both, and the rest no less). So it gets the mean time between two pictures.
        """
        if self._last_pts is not None:
            interval_s = min(max(pts - self._last_pts, 1) / VIDEO_CLOCK_HZ, _MAX_INTERVAL_S)
            self._interval_s += (interval_s - self._interval_s) * _INTERVAL_WEIGHT
            self._time += max(1.0, self._interval_s * VIDEO_CLOCK_HZ)
        self._last_pts = pts
        return round(self._time)

    def _context_for_rate(self) -> VideoCodecContext:
        if self._codec == "h264":
            # libx264 without look-ahead takes every picture for 1 / fps_hint s long.
            slowness = min(self._interval_s * self._fps_hint, _CEILING)
            rate = round(self._bit_rate * slowness)
            if self._context is None or rate > self._opened_for:
                self._opened_for = self._bit_rate * _CEILING
                self._context = _open_h264(*self._size, self._bit_rate, self._fps_hint)
            if _differ(rate, self._context.bit_rate or 1):
                self._context.bit_rate = rate
        elif self._context is None or _differ(self._bit_rate, self._opened_for):
            self._opened_for = self._bit_rate
            self._context = _open_vp8(*self._size, self._bit_rate, self._fps_hint)
        return self._context


def _differ(rate: int, other: int) -> bool:
    return abs(rate - other) > _MIN_CHANGE * other


def _context(name: str, width: int, height: int, fps_hint: float) -> VideoCodecContext:
    context = av.CodecContext.create(name, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base = Fraction(1, VIDEO_CLOCK_HZ)
    context.framerate = Fraction(fps_hint).limit_denominator(1001)
    context.gop_size = _GOP_FRAMES
    context.max_b_frames = 0
    # A second thread costs a quarter more CPU, and one is done in 10 ms even at 1920x1080.
    context.thread_count = 1
    return context


def _open_vp8(width: int, height: int, bit_rate: int, fps_hint: float) -> VideoCodecContext:
    """libvpx for real time at a constant rate, without its denoiser, which is meant for a camera's own
    encoder: ours sees pictures that were decoded already."""
    context = _context("libvpx", width, height, fps_hint)
    context.bit_rate = bit_rate
    context.qmin, context.qmax = 2, 56
    context.options = {
        "deadline": "realtime",
        "cpu-used": str(_VP8_SPEED),
        "noise-sensitivity": "0",
        "static-thresh": "500",  # a block that differs less (45 dB) is left as it is
        "lag-in-frames": "0",
        "minrate": str(bit_rate),
        "maxrate": str(bit_rate),
        "bufsize": str(round(bit_rate * _BUFFER_S["vp8"])),
        "overshoot-pct": "15",
        "undershoot-pct": "100",
    }
    context.open()
    return context


def _open_h264(width: int, height: int, bit_rate: int, fps_hint: float) -> VideoCodecContext:
    """libx264 in the constrained baseline profile, which every browser decodes, with parameter sets
    before each key frame."""
    context = _context("libx264", width, height, fps_hint)
    # It obeys a lower rate later if it starts at a constant rate and with the highest one.
    context.bit_rate = bit_rate * _CEILING
    context.profile = "Baseline"
    context.options = {
        "preset": "superfast",
        "tune": "zerolatency",
        "maxrate": str(bit_rate * _CEILING),
        "bufsize": str(round(bit_rate * _BUFFER_S["h264"])),
        "forced-idr": "1",
        "x264-params": "scenecut=0:repeat-headers=1:annexb=1",
    }
    context.open()
    return context
