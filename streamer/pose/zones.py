"""Where people count: a region that they must be in, and zones in which they are ignored.

All places are in 0..1 of the width and height of the picture as it is shown.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from streamer.landmarks import NAMES

BORDER = 0.02
"""How far outside somebody who was inside may be: landmarks of a person who stands still stray by less."""

MAX_CROPPED = 0.8
"""Of the picture's width and height: a larger part of it would hardly be seen larger."""

_TORSO = [
    NAMES.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("shoulder", "hip")
]

_ASIDE = 0.001
"""The weight of a landmark that is not of the torso: it counts where nothing of the torso is seen."""

_UNSEEN = 1e-6
"""Added to each visibility, so that somebody of whom nothing is seen has a place."""

_WEIGHTS = np.full(len(NAMES), _ASIDE, np.float32)
_WEIGHTS[_TORSO] = 1.0

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

_Corners = Sequence[tuple[float, float]]


class Zones:
    """``region``: the corners of a polygon; none: the whole picture. ``ignore``: of such polygons."""

    def __init__(self, region: _Corners = (), ignore: Sequence[_Corners] = ()) -> None:
        self._region = np.array(region, np.float32) if region else None
        self._ignore = [np.array(zone, np.float32) for zone in ignore]

    def __bool__(self) -> bool:
        """Is there any place where somebody would not count?"""
        return self._region is not None or bool(self._ignore)

    def admits(self, landmarks: NDArray[np.float32], was_admitted: bool = False) -> bool:
        """Does this person, of shape (33, 5), count? ``was_admitted``: in the frame before."""
        return not self or self.admits_point(*middle(landmarks), was_admitted)

    def admits_point(self, x: float, y: float, was_admitted: bool = False) -> bool:
        """Of a person of whom only the middle is known: the detector's hips."""
        return self._depth(x, y) >= (-BORDER if was_admitted else 0.0)

    def crop(self) -> Box | None:
        """The part of the picture in which to look for people; None: all of it.

        Around the region as much again as half of it: whoever is in it, and no larger than it is, shows
        whole. In a picture of that part alone the detector sees far people larger.
        """
        if self._region is None:
            return None
        low, high = self._region.min(axis=0), self._region.max(axis=0)
        around = np.maximum((high - low) / 2, BORDER)  # a region may be a line, or a point
        left, top = np.clip(low - around, 0, 1)
        right, bottom = np.clip(high + around, 0, 1)
        if max(right - left, bottom - top) > MAX_CROPPED:
            return None
        return float(left), float(top), float(right), float(bottom)

    def _depth(self, x: float, y: float) -> float:
        """The distance to the nearest border; negative where nobody counts."""
        # At an edge of the picture a person is partly, or quite, beyond it.
        point = (min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0))
        inside = [] if self._region is None else [cv2.pointPolygonTest(self._region, point, True)]
        outside = [-cv2.pointPolygonTest(zone, point, True) for zone in self._ignore]
        return min(inside + outside, default=1.0)


def middle(landmarks: NDArray[np.float32]) -> tuple[float, float]:
    """Where a person of shape (33, 5) is: the middle of the torso as far as it is seen.

    Shoulders and hips hold still while arms and legs swing, and one of them is in nearly every picture: of
    somebody behind a desk the shoulders count, in a picture of legs the hips. Each landmark weighs as much
    as it is visible, so that nothing jumps when one comes or goes.
    """
    weights = _WEIGHTS * (landmarks[:, 3] + _UNSEEN)
    x, y = weights @ landmarks[:, :2] / weights.sum()
    return float(x), float(y)
