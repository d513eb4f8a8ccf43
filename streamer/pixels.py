"""Pictures between PyAV, which decodes and encodes, and our ``Frame``."""

from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from numpy.typing import NDArray

from streamer.aio import assert_off_loop
from streamer.model import VIDEO_CLOCK_HZ, Frame, Plane

RGB_ROW_STEP_PX = 32
"""FFmpeg pads rows; an RGB picture whose width is a multiple of this many pixels has no padding."""


def to_frame(picture: av.VideoFrame, pts: int, received_mono: float, received_at: float) -> Frame:
    """Copies a decoded picture; an odd last column or row is left out.

    Costs one copy, less than half a millisecond for 640x480, unless ``must_convert`` says more; then
    it must not be on the event loop.
    """
    if must_convert(picture):
        assert_off_loop()
        picture = picture.reformat(
            format="yuv420p",
            src_color_range=ColorRange.JPEG if _is_full_range(picture) else None,
            dst_color_range=ColorRange.MPEG,
        )
    return Frame(_copy_i420(picture), pts, received_mono, received_at)


def must_convert(picture: av.VideoFrame) -> bool:
    """Is it anything but the limited-range yuv420p that nearly every camera and browser sends?"""
    return picture.format.name != "yuv420p" or _is_full_range(picture)


class RgbScaler:
    """Frames as small RGB pictures, in one pass of FFmpeg's scaler. One for each thread that needs it:
    it keeps the scaler's tables from frame to frame, whose making costs more than the scaling."""

    def __init__(self, max_width_px: int) -> None:
        self._max_width_px = max_width_px
        self._scaler = VideoReformatter()

    def scale(self, frame: Frame) -> NDArray[np.uint8]:
        """Shape (H', W', 3), uint8, C-contiguous.

        W' is at most ``max_width_px`` and the frame's own width, rounded down to a multiple of 32 (a
        narrower frame keeps its width); H' keeps the aspect ratio within rounding.
        """
        assert_off_loop()
        width = min(self._max_width_px, frame.width)
        width = width // RGB_ROW_STEP_PX * RGB_ROW_STEP_PX or width
        height = max(1, round(frame.height * width / frame.width))
        rgb = self._scaler.reformat(
            to_av(frame), width, height, "rgb24", interpolation=Interpolation.AREA, threads=1
        ).to_ndarray()
        # MediaPipe reads rows without a gap and silently garbles any other array.
        return np.ascontiguousarray(rgb, dtype=np.uint8)


class Shrinker:
    """Frames at half their width and height. One for each thread that needs it, as ``RgbScaler``."""

    def __init__(self) -> None:
        self._scaler = VideoReformatter()

    def shrink(self, frame: Frame) -> Frame:
        assert_off_loop()
        picture = self._scaler.reformat(
            to_av(frame),
            max(2, frame.width // 4 * 2),
            max(2, frame.height // 4 * 2),
            "yuv420p",
            interpolation=Interpolation.AREA,
            threads=1,
        )
        i420 = _copy_i420(picture)
        return Frame(i420, frame.pts, frame.received_mono, frame.received_at, frame.decode_ms)


def to_av(frame: Frame, pts: int | None = None) -> av.VideoFrame:
    """The frame for an encoder, sharing its memory. ``pts``: 90 kHz ticks; default: the frame's."""
    if frame.height % 4 == 0:
        picture = av.VideoFrame.from_numpy_buffer(frame.i420, "yuv420p")
    else:  # PyAV 18 would take it for two rows less, and the colours for shifted: this one copies
        picture = av.VideoFrame.from_ndarray(frame.i420, "yuv420p")
    picture.pts = frame.pts if pts is None else pts
    picture.time_base = Fraction(1, VIDEO_CLOCK_HZ)
    return picture


def _is_full_range(picture: av.VideoFrame) -> bool:
    """FFmpeg's yuvj... formats mean full range, whatever the picture's own flag says."""
    return picture.color_range == ColorRange.JPEG or picture.format.name.startswith("yuvj")


def _copy_i420(picture: av.VideoFrame) -> Plane:
    """One contiguous array from planes whose rows may be padded."""
    width, height = picture.width & ~1, picture.height & ~1
    i420 = np.empty((height * 3 // 2, width), np.uint8)
    chroma = i420[height:].reshape(2, height // 2, width // 2)
    for source, target in zip(picture.planes, (i420[:height], *chroma), strict=True):
        rows = np.frombuffer(memoryview(source), np.uint8).reshape(-1, source.line_size)
        target[:] = rows[: target.shape[0], : target.shape[1]]
    return i420
