"""Pictures between PyAV, which decodes and encodes, and our ``Frame``."""

import time
from dataclasses import replace
from fractions import Fraction

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

from streamer.aio import assert_off_loop
from streamer.model import VIDEO_CLOCK_HZ, Frame, Plane

# Every stream has a thread of its own; OpenCV's pool would only pass small rows around.
cv2.setNumThreads(0)

JPEG_QUALITY = 80
"""libjpeg's: 40.5 dB and 39 kB at 640x480, 43 dB and 89 kB at 1280x720; no worse than the video sent by
WebRTC."""


def to_frame(picture: av.VideoFrame, pts: int, received_mono: float, received_at: float) -> Frame:
    """Copies a picture that was decoded just now; an odd last column or row is left out.

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
    i420 = _copy_i420(picture)
    decode_ms = (time.monotonic() - received_mono) * 1000
    return Frame(i420, pts, received_mono, received_at, decode_ms)


def must_convert(picture: av.VideoFrame) -> bool:
    """Is it anything but the limited-range yuv420p that nearly every camera and browser sends?"""
    return picture.format.name != "yuv420p" or _is_full_range(picture)


_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


def turned(frame: Frame, degrees: int) -> Frame:
    """Turned counterclockwise by a multiple of 90 degrees: phones film as they are held, and note how.

    By OpenCV, straight into the new planes: a twentieth of the time that NumPy takes.
    """
    degrees %= 360
    if degrees == 0:
        return frame
    assert_off_loop()
    width, height = (frame.width, frame.height) if degrees == 180 else (frame.height, frame.width)
    result = replace(frame, i420=np.empty((height * 3 // 2, width), np.uint8))
    for plane, target in zip(frame.planes(), result.planes(), strict=True):
        cv2.rotate(plane, _TURNS[degrees], dst=target)
    return result


def small_rgb(frame: Frame, width_px: int) -> NDArray[np.uint8]:
    """The frame halved until a further half would be narrower than ``width_px``, as RGB.

    Shape (H', W', 3), uint8, C-contiguous; H' and W' are even, and the aspect ratio is the frame's
    within that rounding.
    """
    return to_rgb(small(frame, width_px))


def small(frame: Frame, width_px: int) -> Frame:
    """The frame halved so often, or the frame itself.

    Halves only, on the planes and before any conversion: OpenCV makes them with vector instructions in a
    third of the time that FFmpeg's scaler takes, and nearer to the exact mean.
    """
    assert_off_loop()
    while frame.width >= 2 * width_px and frame.height >= 4:
        frame = half_size(frame)
    return frame


def to_rgb(frame: Frame) -> NDArray[np.uint8]:
    """Shape (H, W, 3), uint8, C-contiguous."""
    assert_off_loop()
    rgb: NDArray[np.uint8] = cv2.cvtColor(frame.i420, cv2.COLOR_YUV2RGB_I420)  # type: ignore[assignment]
    return rgb


def half_size(frame: Frame) -> Frame:
    """Half the width and height, rounded down to even."""
    assert_off_loop()
    width, height = frame.width // 4 * 2, frame.height // 4 * 2
    half = replace(frame, i420=np.empty((height * 3 // 2, width), np.uint8))
    for large, small in zip(frame.planes(), half.planes(), strict=True):
        # Where a row or column is left over, the exact mean would be eight times slower.
        is_exact = large.shape == (small.shape[0] * 2, small.shape[1] * 2)
        method = cv2.INTER_AREA if is_exact else cv2.INTER_LINEAR
        cv2.resize(large, (small.shape[1], small.shape[0]), dst=small, interpolation=method)
    return half


def to_jpeg(frame: Frame, width_px: int | None = None) -> bytes:
    """The frame as JPEG, at most ``width_px`` wide, its height in proportion.

    By way of OpenCV's RGB it costs two thirds of what FFmpeg's encoder takes straight from the planes
    (`streamer bench --stills` prints both).
    """
    assert_off_loop()
    if width_px is not None and width_px < frame.width:
        frame = _scaled(frame, width_px)
    bgr = cv2.cvtColor(frame.i420, cv2.COLOR_YUV2BGR_I420)
    done, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise ValueError(f"a {frame.width}x{frame.height} frame can't be encoded as JPEG")
    return jpeg.tobytes()


def _scaled(frame: Frame, width_px: int) -> Frame:
    """Of this width or a pixel less, since both sides stay even."""
    width = max(2, width_px // 2 * 2)
    height = max(2, round(frame.height * width / frame.width / 2) * 2)
    small = replace(frame, i420=np.empty((height * 3 // 2, width), np.uint8))
    for plane, target in zip(frame.planes(), small.planes(), strict=True):
        cv2.resize(plane, target.shape[::-1], dst=target, interpolation=cv2.INTER_AREA)
    return small


def equalized(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture of shape (H, W, 3) with contrast where it was dark: CLAHE on its luma, colours kept.

    The tiles are those of OpenCV's own example. The clip limit was chosen on the clip of the tests at a
    tenth of its light, with noise: of 20 frames MediaPipe finds the person in none as they are, in 13
    with a limit of 2 to 8, in 5 with 40.
    """
    assert_off_loop()
    parts = cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)
    parts[:, :, 0] = cv2.createCLAHE(clipLimit=3.0, tileGridSize=(8, 8)).apply(parts[:, :, 0])
    brighter: NDArray[np.uint8] = cv2.cvtColor(parts, cv2.COLOR_YCrCb2RGB)  # type: ignore[assignment]
    return brighter


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
