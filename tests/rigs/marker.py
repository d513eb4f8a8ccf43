"""A frame's number burnt into its picture, so that it is known again after encoding and drawing.

Sixteen bits as a 4x4 grid of black and white squares in the top left corner, each 1/40 of the
width wide (16 px at 640): large enough for strong compression, and clear of the clip's person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUMBERS = 1 << 16
_GRID = 4
_BLACK, _WHITE = 16, 235  # video range
_WEIGHTS = 1 << np.arange(_GRID * _GRID).reshape(_GRID, _GRID)


def burn_number(luma: NDArray[np.uint8], number: int) -> None:
    """Write ``number`` modulo ``NUMBERS`` into a luma plane of shape (height, width)."""
    side_px = luma.shape[1] // 40
    bits = (number % NUMBERS & _WEIGHTS) != 0
    squares = np.where(bits, np.uint8(_WHITE), np.uint8(_BLACK))
    corner = squares.repeat(side_px, axis=0).repeat(side_px, axis=1)
    luma[: corner.shape[0], : corner.shape[1]] = corner


def read_number(luma: NDArray[np.uint8]) -> int:
    """Return the number in a luma plane of shape (height, width).

    ``luma`` may be of another size than the one that was written, as long as the whole picture was
    scaled; a picture without a number gives a meaningless one.
    """
    side_px = luma.shape[1] // 40
    corner = luma[: _GRID * side_px, : _GRID * side_px]
    squares = corner.reshape(_GRID, side_px, _GRID, side_px)
    inner = slice(side_px // 4, side_px - side_px // 4)
    means = squares[:, inner, :, inner].mean(axis=(1, 3))
    return int(_WEIGHTS[means > (_BLACK + _WHITE) / 2].sum())
