"""How much a returned picture differs from the one that the server was sent, away from the drawing.

The reference is the sent packet's own decoded picture, thus what the server saw: only what the server's
drawing and encoding changed counts. Squares of 16x16 pixels (at 640 wide; in proportion elsewhere) near
any connection of the pose that the published model finds in the source picture are left out, and so is
the number in the corner, whoever drew there and whether or not he did. Of the other squares the mean
squared error of the luma, over all compared pictures, gives one figure: the same for every server.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from streamer.landmarks import CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Points = Sequence[tuple[float, float]]  # of 33 landmarks, in 0..1 of width and height

SQUARES_ACROSS = 40
"""The marker's squares are as wide (tests/rigs/marker.py), so that whole ones of ours cover it."""

MARKER_SQUARES = 5  # it has four a side; one more for what the encoder smears
MARGIN_SQUARES = 1.0
"""About a hundredth of the picture's diagonal: lines, dots, and landmarks that are smoothed otherwise."""


def untouched(points: Points | None, width: int, height: int) -> NDArray[np.bool_]:
    """Which squares nobody draws on: shape (rows, 40). ``points`` None: no pose was found."""
    side = width // SQUARES_ACROSS
    rows = height // side
    mask = np.ones((rows, SQUARES_ACROSS), np.bool_)
    mask[:MARKER_SQUARES, :MARKER_SQUARES] = False
    if points is None:
        return mask
    places = np.array(points) * (width, height) / side
    centres = np.stack(np.meshgrid(np.arange(SQUARES_ACROSS), np.arange(rows)), axis=2) + 0.5
    for first, second in CONNECTIONS:
        steps = max(2, math.ceil(2 * float(np.abs(places[first] - places[second]).max())))
        for share in np.linspace(0.0, 1.0, steps):
            place = places[first] + share * (places[second] - places[first])
            mask &= np.abs(centres - place).max(axis=2) > 0.5 + MARGIN_SQUARES
    return mask


def squared_errors(
    sent: NDArray[np.uint8], returned: NDArray[np.uint8], mask: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The mean squared error of each square that ``mask`` lets pass. A returned picture of another size
    is scaled to the sent one's first, as a viewer would see it."""
    height, width = sent.shape
    if returned.shape != sent.shape:
        scaled = cv2.resize(returned, (width, height), interpolation=cv2.INTER_LINEAR)
        returned = scaled.astype(np.uint8, copy=False)
    rows, columns = mask.shape
    side = width // columns
    difference = sent.astype(np.float32) - returned
    squares = difference[: rows * side, : columns * side].reshape(rows, side, columns, side)
    errors: NDArray[np.float64] = np.square(squares).mean(axis=(1, 3), dtype=np.float64)
    return errors[mask]


def psnr_db(
    kept: Sequence[tuple[int, NDArray[np.uint8]]],
    sent: Mapping[int, NDArray[np.uint8]],
    masks: Mapping[int, NDArray[np.bool_]],
) -> float | None:
    """Of returned pictures (number, luma); None without one. All mappings go by the number."""
    errors = [squared_errors(sent[number], luma, masks[number]) for number, luma in kept]
    values = list(itertools.chain.from_iterable(errors))
    if not values:
        return None
    return 10 * math.log10(255**2 / max(float(np.mean(values)), 1e-6))
