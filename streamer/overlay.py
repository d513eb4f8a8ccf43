"""Drawing poses and notices, straight on the Y, U and V planes: no picture turns into RGB and back."""

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from streamer.aio import assert_off_loop
from streamer.config import OverlayConfig
from streamer.landmarks import CONNECTIONS, NAMES
from streamer.model import Frame, Plane, Pose

MIN_VISIBILITY = 0.5
"""Landmarks less visible than this are not drawn, as in MediaPipe's own drawing_utils."""

_SUBPIXEL_BITS = 3
_NOTICE_SIZE_PX = (640, 360)
_NOTICE_LIGHT = 0.35  # what is left of the last picture's light and colour
_LINE_LETTERS = 54  # what fits a line at every width, as the letters grow with it


class Colour(NamedTuple):
    """BT.601 limited range."""

    y: int
    u: int
    v: int


def _colour(red: int, green: int, blue: int) -> Colour:
    """From 8-bit RGB (ITU-R BT.601, limited range)."""
    return Colour(
        round(16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255),
        round(128 + (-37.797 * red - 74.203 * green + 112.0 * blue) / 255),
        round(128 + (112.0 * red - 93.786 * green - 18.214 * blue) / 255),
    )


_ORANGE, _BLUE, _GREY = (255, 138, 0), (0, 190, 255), (235, 235, 235)
LEFT: Final = _colour(*_ORANGE)
RIGHT: Final = _colour(*_BLUE)
MIDDLE: Final = _colour(*_GREY)
_RGB: Final = {LEFT: _ORANGE, RIGHT: _BLUE, MIDDLE: _GREY}


def _side(index: int) -> Colour:
    """Left and right are the person's own, as in the landmarks' names."""
    name = NAMES[index]
    return LEFT if "left" in name else RIGHT if "right" in name else MIDDLE


_COLOURS: Final = np.array([_side(index) for index in range(len(NAMES))])
_ONE_COLOUR: Final = np.array([MIDDLE] * len(NAMES))


def _by_colour() -> dict[Colour, NDArray[np.intp]]:
    """Colour -> (n, 2) pairs of landmarks. What joins left and right has the colour of the middle."""
    groups: dict[Colour, list[tuple[int, int]]] = {}
    for a, b in CONNECTIONS:
        groups.setdefault(_side(a) if _side(a) == _side(b) else MIDDLE, []).append((a, b))
    return {colour: np.array(pairs) for colour, pairs in groups.items()}


_CONNECTIONS_BY_COLOUR: Final = _by_colour()


class SkeletonPainter:
    """The usual overlay: connections as lines, landmarks as dots, left and right in two colours; or as
    much of it as ``look`` says."""

    def __init__(self, look: OverlayConfig | None = None) -> None:
        self._look = look or OverlayConfig()

    def annotate(self, frame: Frame, poses: tuple[Pose, ...]) -> Frame:
        """A new frame with the poses drawn on it."""
        assert_off_loop()
        canvas = _copy(frame)
        if self._look.style != "none":
            for pose in poses:
                _draw_pose(canvas, pose, self._look)
        return canvas

    def notice(self, frame: Frame | None, text: str) -> Frame:
        """``text``: lines of ASCII, as OpenCV's fonts have no other letters."""
        assert_off_loop()
        canvas = _blank() if frame is None else _dimmed(frame)
        _write(canvas.planes()[0], text)
        return canvas


class Box(NamedTuple):
    """Pixels from left and top up to, but not with, right and bottom."""

    left: int
    top: int
    right: int
    bottom: int


def box_of(pose: Pose, width: int, height: int) -> Box | None:
    """The part of a picture that the pose's overlay touches; None where it touches nothing."""
    places, visible = _visible_places(pose)
    if not visible.any():
        return None
    points = places[visible] * (width, height)
    margin = 2 * _thickness_px(width, height) + 2
    left, top = np.clip(points.min(axis=0) - margin, 0, (width, height)).astype(int).tolist()
    right, bottom = np.clip(points.max(axis=0) + margin, 0, (width, height)).astype(int).tolist()
    return Box(left, top, right, bottom) if left < right and top < bottom else None


def draw_on_rgb(part: NDArray[np.uint8], pose: Pose, box: Box, width: int, height: int) -> None:
    """Draws the same overlay with smooth edges, as a still is looked at for longer than a frame.

    ``part``: shape (H, W, 3), the pixels in ``box`` of a picture of ``width`` and ``height``; of a large
    one the most part need not be touched. It is drawn on itself.
    """
    assert_off_loop()
    thickness = _thickness_px(width, height)
    radius = (thickness + 1) * 2**_SUBPIXEL_BITS
    places, visible = _visible_places(pose)
    points = _fixed_point(places * (width, height) - (box.left, box.top))
    for colour, pairs in _CONNECTIONS_BY_COLOUR.items():
        lines = list(points[pairs[visible[pairs].all(axis=1)]])
        cv2.polylines(part, lines, False, _RGB[colour], thickness, cv2.LINE_AA, _SUBPIXEL_BITS)
    for index in np.flatnonzero(visible):
        centre, rgb = points[index].tolist(), _RGB[_side(int(index))]
        cv2.circle(part, centre, radius, rgb, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL_BITS)


def _copy(frame: Frame) -> Frame:
    return Frame(frame.i420.copy(), frame.pts, frame.received_mono, frame.received_at)


def _blank() -> Frame:
    width, height = _NOTICE_SIZE_PX
    i420 = np.full((height * 3 // 2, width), 128, np.uint8)
    i420[:height] = 30
    return Frame(i420, pts=0, received_mono=0.0, received_at=0.0)


def _dimmed(frame: Frame) -> Frame:
    """Towards black: luma to 16, both chromas to 128."""
    canvas = _copy(frame)
    for plane, black in zip(canvas.planes(), (16, 128, 128), strict=True):
        levels = black + (np.arange(256) - black) * _NOTICE_LIGHT
        plane[:] = np.clip(levels, 0, 255).astype(np.uint8)[plane]
    return canvas


def _draw_pose(canvas: Frame, pose: Pose, look: OverlayConfig) -> None:
    thickness = _thickness_px(canvas.width, canvas.height)
    places, visible = _visible_places(pose)
    drawn = [
        (colour if look.side_colours else MIDDLE, pairs[visible[pairs].all(axis=1)])
        for colour, pairs in _CONNECTIONS_BY_COLOUR.items()
        if look.style == "skeleton"
    ]
    colours = (_COLOURS if look.side_colours else _ONE_COLOUR)[visible].T.tolist()
    for plane, channel, scale in zip(canvas.planes(), range(3), (1.0, 0.5, 0.5), strict=True):
        height, width = plane.shape
        points = _fixed_point(places * (width, height))
        line_px = max(1, round(thickness * scale))
        for colour, pairs in drawn:
            lines = list(points[pairs])
            cv2.polylines(plane, lines, False, colour[channel], line_px, shift=_SUBPIXEL_BITS)
        radius = round((thickness + 1) * scale * 2**_SUBPIXEL_BITS)
        for centre, level in zip(points[visible].tolist(), colours[channel], strict=True):
            cv2.circle(plane, centre, radius, level, cv2.FILLED, shift=_SUBPIXEL_BITS)


def _thickness_px(width: int, height: int) -> int:
    return max(2, round(min(width, height) / 180))


def _visible_places(pose: Pose) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """x and y of all landmarks, (33, 2), where those not to be drawn are at 0; and which are to be."""
    places = pose.landmarks[:, :2]
    visible = (pose.landmarks[:, 3] >= MIN_VISIBILITY) & np.isfinite(places).all(axis=1)
    return np.where(visible[:, None], places, 0.0), visible


def _fixed_point(points: NDArray[np.float32]) -> NDArray[np.int32]:
    """OpenCV's sub-pixel coordinates, kept within what it can hold: MediaPipe may place a landmark far
    outside the picture."""
    limit = 2**14
    fixed: NDArray[np.int32] = (np.clip(points, -limit, limit) * 2**_SUBPIXEL_BITS).astype(np.int32)
    return fixed


def _write(luma: Plane, text: str) -> None:
    height, width = luma.shape
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, max(0.5, width / 1100)
    lines = [line for part in text.split("\n") for line in _wrapped(part, _LINE_LETTERS)]
    step = round(34 * scale)
    top = height // 2 - step * (len(lines) - 1) // 2
    for row, line in enumerate(lines):
        size = scale if row == 0 else scale * 0.7
        (text_width, text_height), _ = cv2.getTextSize(line, font, size, 1)
        origin = (max(4, (width - text_width) // 2), top + row * step + text_height // 2)
        cv2.putText(luma, line, origin, font, size, 235, max(1, round(scale * 1.6)), cv2.LINE_AA)


def _wrapped(line: str, limit: int) -> list[str]:
    rows = [""]
    for word in line.encode("ascii", "replace").decode().split():
        if rows[-1] and len(rows[-1]) + len(word) >= limit:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    return rows
