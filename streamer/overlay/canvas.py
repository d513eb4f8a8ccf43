"""Lines, dots and stamps, straight on the Y, U and V planes: no picture turns into RGB and back."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from streamer.model import Frame, Plane
from streamer.overlay.colours import Colour

SUBPIXEL_BITS = 3

Places = NDArray[np.float32]
"""(…, 2): x and y in 0..1 of the picture's width and height."""


class Lines(NamedTuple):
    """Of one colour. ``paths``: (lines, 2 or more, 2), the places that each line leads through."""

    colour: Colour
    paths: Places


class Box(NamedTuple):
    """Pixels from left and top up to, but not with, right and bottom."""

    left: int
    top: int
    right: int
    bottom: int


_NOTHING = Box(0, 0, 0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """A picture, or a part of it, to be drawn on. ``width``, ``height``: of the whole picture; ``box``: the
    part, at even pixels; ``planes``: the part's Y, U and V."""

    width: int
    height: int
    box: Box
    planes: tuple[Plane, Plane, Plane]

    @classmethod
    def of(cls, frame: Frame) -> "Canvas":
        """Draws on the frame itself."""
        whole = Box(0, 0, frame.width, frame.height)
        return cls(frame.width, frame.height, whole, frame.planes())

    def lines(self, groups: Sequence[Lines], width_px: float) -> None:
        drawn = self._all_points(groups)
        for plane, channel, halvings in self._planes():
            # A little wider than the brightness: without its colour, a line has a grey edge.
            thickness = _thickness(width_px / 2 + 0.5 if halvings else width_px)
            shift = SUBPIXEL_BITS + halvings
            for colour, paths in drawn:
                cv2.polylines(plane, paths, False, colour[channel], thickness, shift=shift)

    def dots(self, places: Places, colours: NDArray[np.intp], radius_px: float) -> None:
        """``places``: (n, 2). ``colours``: (n, 3), that of each place."""
        radius = round(radius_px * 2**SUBPIXEL_BITS)
        points = self._points(places).tolist()
        levels = colours.T.tolist()
        for plane, channel, halvings in self._planes():
            shift = SUBPIXEL_BITS + halvings
            for centre, level in zip(points, levels[channel], strict=True):
                cv2.circle(plane, centre, radius, level, cv2.FILLED, shift=shift)

    def stamp(self, luma: Plane, colour: Colour, left: int, top: int) -> None:
        """A rectangle of ``colour``, but for its brightness. Even in place and size, and within the
        picture."""
        height, width = luma.shape
        y, u, v = self.planes
        y[top : top + height, left : left + width] = luma
        for plane, level in ((u, colour.u), (v, colour.v)):
            plane[top // 2 : (top + height) // 2, left // 2 : (left + width) // 2] = level

    def around(self, places: Places, margin_px: float) -> Box:
        """The part of the picture that drawing at these places touches, to even pixels."""
        left, top, right, bottom = (
            box_around(places, self.width, self.height, margin_px) or _NOTHING
        )
        return Box(left // 2 * 2, top // 2 * 2, right + right % 2, bottom + bottom % 2)

    @contextmanager
    def faint(self, box: Box, strength: float) -> Iterator["Canvas"]:
        """What is drawn meanwhile in the box lets the picture shine through. ``strength``: 0..1, 1 hides
        it."""
        parts = [
            plane[box.top // step : box.bottom // step, box.left // step : box.right // step]
            for plane, step in zip(self.planes, (1, 2, 2), strict=True)
        ]
        y, u, v = (part.copy() for part in parts)
        yield Canvas(self.width, self.height, box, (y, u, v))
        if y.size:
            for part, drawn in zip(parts, (y, u, v), strict=True):
                cv2.addWeighted(drawn, strength, part, 1 - strength, 0, dst=part)

    def _planes(self) -> Iterator[tuple[Plane, int, int]]:
        """Each plane, the number of its channel, and how often its size was halved."""
        return zip(self.planes, range(3), (0, 1, 1), strict=True)

    def _all_points(self, groups: Sequence[Lines]) -> list[tuple[Colour, list[NDArray[np.int32]]]]:
        """At once, which takes a fraction of the time of one after the other."""
        points = self._points(np.concatenate([paths.reshape(-1, 2) for _, paths in groups]))
        ends = np.cumsum([paths.size // 2 for _, paths in groups]).tolist()
        return [
            (colour, list(points[end - paths.size // 2 : end].reshape(paths.shape)))
            for (colour, paths), end in zip(groups, ends, strict=True)
        ]

    def _points(self, places: Places) -> NDArray[np.int32]:
        return fixed_point(places * (self.width, self.height) - self.box[:2])


def _thickness(width_px: float) -> int:
    """What OpenCV is to be told: with more than 1, its lines are an odd number of pixels wide: 3 with 2,
    5 with 4."""
    odd = 2 * int((width_px - 1) / 2 + 0.5) + 1
    return max(1, odd - 1)


def box_around(places: Places, width: int, height: int, margin_px: float) -> Box | None:
    """The part of a picture around all places, (n, 2); None where that is nothing."""
    if not len(places):
        return None
    (x1, y1), (x2, y2) = places.min(axis=0).tolist(), places.max(axis=0).tolist()
    left, right = (
        min(max(int(x), 0), width) for x in (x1 * width - margin_px, x2 * width + margin_px)
    )
    top, bottom = (
        min(max(int(y), 0), height) for y in (y1 * height - margin_px, y2 * height + margin_px)
    )
    return Box(left, top, right, bottom) if left < right and top < bottom else None


def fixed_point(points: NDArray[np.floating]) -> NDArray[np.int32]:
    """OpenCV's sub-pixel coordinates, kept within what it can hold: MediaPipe may place a landmark far
    outside the picture."""
    limit = 2**14
    fixed: NDArray[np.int32] = (np.clip(points, -limit, limit) * 2**SUBPIXEL_BITS).astype(np.int32)
    return fixed
