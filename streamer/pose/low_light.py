"""Dark pictures, made brighter for the networks. What people are shown stays as it is.

The networks have learned from well lit pictures. In the dark a camera uses a small part of its scale, and
noise fills it: so the noise is averaged a little, and what is used is spread over the whole scale, colours
too, since without them fewer people are found.
"""

from dataclasses import replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from streamer.aio import assert_off_loop
from streamer.model import Frame, Plane
from streamer.pixels import to_rgb

Mode = Literal["auto", "off", "on"]

BLACK, WHITE, NEUTRAL = 16, 235, 128
"""Of limited range (ITU-R BT.601): of luma, and of chroma."""

BRIGHT_SHARE = 0.95
"""Of a picture's pixels: the level that so many stay below says how bright it is. A lamp or a screen in a
dark room is smaller than the rest."""

DARK, LIT = 0.55, 0.65
"""Of the scale: a picture of a lower level is dark, one of a higher level is not, and between the two it is
what it was. With whatever is white in it exposed as it should be, a picture has 0.7 and more. One without,
a grey road, may count as dark, which does it no harm (docs/decisions/0029)."""

PATIENCE = 30
"""Frames in a row, a second at 30 a second, that must be so before it counts: a lorry that fills the picture
for a moment, and makes the camera close its iris, is no dusk."""

TARGET = 0.8
"""Of the scale: where that level is brought to; what is brighter has the rest."""

DARK_SHARE = 0.01
MAX_GAIN = 16.0
"""Beyond it there is nothing but noise: sixteen times a range of 11 levels would fill the scale."""

_GLANCE, _LOOK = 8, 4
"""Every so many rows and columns are counted: to see whether a picture is dark, and how dark."""


class LowLight:
    """For one stream, in one thread. ``mode``: brighten dark pictures, none, or all; may be changed."""

    def __init__(self, mode: Mode = "auto") -> None:
        self.mode: Mode = mode
        self._is_dark: bool | None = None  # no frame has come yet
        self._contrary = 0  # frames in a row that looked otherwise

    @property
    def is_on(self) -> bool:
        """Was the last picture made brighter?"""
        return self.mode == "on" or (self.mode == "auto" and self._is_dark is True)

    def apply(self, frame: Frame) -> NDArray[np.uint8]:
        """The frame, which stays as it is, as RGB for the networks: shape (H, W, 3), uint8, C-contiguous."""
        assert_off_loop()
        if self.mode == "auto":
            self._judge(brightness(frame))
        return to_rgb(brightened(frame) if self.is_on else frame)

    def _judge(self, level: float) -> None:
        is_dark = level < (LIT if self._is_dark else DARK)
        self._contrary = self._contrary + 1 if is_dark is not self._is_dark else 0
        if self._is_dark is None or self._contrary == PATIENCE:
            self._is_dark, self._contrary = is_dark, 0


def brightness(frame: Frame) -> float:
    """0 to 1: the level that nearly all of the picture stays below."""
    return (_level(_counts(frame.planes()[0], _GLANCE), BRIGHT_SHARE) - BLACK) / (WHITE - BLACK)


def brightened(frame: Frame) -> Frame:
    """With its levels spread over the scale, and half of the noise."""
    bright = replace(frame, i420=np.empty_like(frame.i420))
    luma, *chroma = bright.planes()
    cv2.GaussianBlur(frame.planes()[0], (3, 3), 0, dst=luma)
    counts = _counts(luma, _LOOK)  # without noise the darkest are the black
    black = max(BLACK, _level(counts, DARK_SHARE))
    used = max(1, _level(counts, BRIGHT_SHARE) - black)
    gain = min(max(TARGET * (WHITE - BLACK) / used, 1.0), MAX_GAIN)
    cv2.LUT(luma, _line(gain, black, BLACK), dst=luma)
    colours = _line(gain, NEUTRAL, NEUTRAL)
    for noisy, plane in zip(frame.planes()[1:], chroma, strict=True):
        cv2.blur(noisy, (3, 3), dst=plane)
        cv2.LUT(plane, colours, dst=plane)
    return bright


def _counts(luma: Plane, step: int) -> NDArray[np.intp]:
    """How many of each level there are."""
    return np.bincount(luma[::step, ::step].ravel(), minlength=256)


def _level(counts: NDArray[np.intp], share: float) -> int:
    """The lowest level that at least this share of what was counted does not exceed."""
    total = counts.cumsum()
    return int(np.searchsorted(total, share * total[-1]))


def _line(gain: float, before: int, after: int) -> Plane:
    """The table of a straight line through that point."""
    levels = (np.arange(256) - before) * gain + after
    return np.clip(np.round(levels), BLACK, WHITE).astype(np.uint8)
