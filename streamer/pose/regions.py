"""Regions: the rotated squares of a picture that the landmark network looks at.

All places are in pixels of the picture, x to the right and y down; rotation in radians, as MediaPipe's
NormalizedRect has it: of an upright person it is 0. Sizes and angles are those of
pose_detection_to_roi.pbtxt and pose_landmarks_to_roi.pbtxt of MediaPipe.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

ENLARGEMENT = 1.25
"""Of the square through the point that says how far the body reaches (RectTransformation scale)."""

Matrix = NDArray[np.float64]
"""(2, 3): takes (x, y, 1) to (x, y)."""


class Region(NamedTuple):
    """A square of ``size`` pixels around (``x``, ``y``), turned by ``rotation`` radians."""

    x: float
    y: float
    size: float
    rotation: float

    def to_crop(self, side: int) -> Matrix:
        """From the picture to the region's own ``side`` x ``side`` pixels, corner to corner: MediaPipe
        does not shift by half a pixel."""
        scale = side / self.size
        cos, sin = math.cos(self.rotation) * scale, math.sin(self.rotation) * scale
        half = side / 2
        return np.array(
            [
                [cos, sin, half - cos * self.x - sin * self.y],
                [-sin, cos, half + sin * self.x - cos * self.y],
            ]
        )

    def from_unit(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points of shape (N, 2) in 0..1 of the region, in pixels of the picture."""
        middle = np.array([self.x, self.y], np.float32)
        places: NDArray[np.float32] = (points - np.float32(0.5)) @ (
            self.turn() * np.float32(self.size)
        ) + middle
        return places

    def turn(self) -> NDArray[np.float32]:
        """(2, 2): ``points @ turn()`` are the region's directions in the picture."""
        cos, sin = math.cos(self.rotation), math.sin(self.rotation)
        return np.array([[cos, sin], [-sin, cos]], np.float32)

    def crop(self, rgb: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
        """Shape (side, side, 3). Beyond the picture its edge goes on, as in MediaPipe."""
        return cv2.warpAffine(  # type: ignore[return-value]
            rgb, self.to_crop(side), (side, side), borderMode=cv2.BORDER_REPLICATE
        )

    def moved(self, dx: float, dy: float) -> "Region":
        return self._replace(x=self.x + dx, y=self.y + dy)

    def overlap(self, other: "Region") -> float:
        """Intersection over union, 0..1, of both squares as if neither was turned: MediaPipe's
        association takes them so, too."""
        half, other_half = self.size / 2, other.size / 2
        width = min(self.x + half, other.x + other_half) - max(self.x - half, other.x - other_half)
        height = min(self.y + half, other.y + other_half) - max(self.y - half, other.y - other_half)
        shared = max(width, 0.0) * max(height, 0.0)
        return shared / (self.size**2 + other.size**2 - shared)


def region_around(centre: NDArray[np.float32], reach: NDArray[np.float32]) -> Region:
    """Around the mid-hip point ``centre`` (x, y), so large that ``reach``, a point above the head on the
    body's axis, lies on the inscribed circle, and then ``ENLARGEMENT`` times that."""
    dx, dy = float(reach[0] - centre[0]), float(reach[1] - centre[1])
    size = max(2 * math.hypot(dx, dy) * ENLARGEMENT, 1.0)
    rotation = math.pi / 2 - math.atan2(-dy, dx)
    rotation -= 2 * math.pi * math.floor((rotation + math.pi) / (2 * math.pi))
    return Region(float(centre[0]), float(centre[1]), size, rotation)
