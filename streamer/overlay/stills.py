"""The same overlay on pictures that people upload, with smooth edges: a still is looked at for longer."""

import cv2
import numpy as np
from numpy.typing import NDArray

from streamer.aio import assert_off_loop
from streamer.model import Pose
from streamer.overlay.canvas import SUBPIXEL_BITS, Box, box_around, fixed_point
from streamer.overlay.colours import RGB, side_colour
from streamer.overlay.figure import CONNECTIONS_BY_COLOUR, Person, suiting_width_px


def box_of(pose: Pose, width: int, height: int) -> Box | None:
    """The part of a picture that the pose's overlay touches; None where it touches nothing."""
    _, places, plain, _ = Person.of(pose)
    return box_around(places[plain], width, height, 2 * suiting_width_px(width, height) + 2)


def draw_on_rgb(part: NDArray[np.uint8], pose: Pose, box: Box, width: int, height: int) -> None:
    """Draws the landmarks that are seen, and their connections.

    ``part``: shape (H, W, 3), the pixels in ``box`` of a picture of ``width`` and ``height``; of a large
    one the most part need not be touched. It is drawn on itself.
    """
    assert_off_loop()
    thickness = suiting_width_px(width, height)
    radius = (thickness + 1) * 2**SUBPIXEL_BITS
    _, places, plain, _ = Person.of(pose)
    points = fixed_point(places * (width, height) - (box.left, box.top))
    for colour, pairs in CONNECTIONS_BY_COLOUR.items():
        lines = list(points[pairs[plain[pairs].all(axis=1)]])
        cv2.polylines(part, lines, False, RGB[colour], thickness, cv2.LINE_AA, SUBPIXEL_BITS)
    for index in np.flatnonzero(plain):
        centre, rgb = points[index].tolist(), RGB[side_colour(int(index))]
        cv2.circle(part, centre, radius, rgb, cv2.FILLED, cv2.LINE_AA, SUBPIXEL_BITS)
