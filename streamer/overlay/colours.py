"""The overlay's colours, the same as on the pages (web/look.js)."""

from typing import Final, NamedTuple

import numpy as np

from streamer.landmarks import NAMES


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
DARK: Final = _colour(16, 16, 16)
RGB: Final = {LEFT: _ORANGE, RIGHT: _BLUE, MIDDLE: _GREY}

_PEOPLE: Final = tuple(
    _colour(*rgb)
    for rgb in (
        (255, 214, 10),
        (48, 209, 88),
        (255, 105, 180),
        (191, 140, 255),
        (255, 95, 85),
        (102, 230, 200),
        (222, 184, 135),
        (120, 180, 255),
    )
)
"""As many as there may be people; all light, for dark numbers on them."""


def person_colour(person: int) -> Colour:
    """By the ``id``; the ninth person has the first one's."""
    return _PEOPLE[(person - 1) % len(_PEOPLE)]


def side_colour(index: int) -> Colour:
    """Of a landmark. Left and right are the person's own, as in the landmarks' names."""
    name = NAMES[index]
    return LEFT if "left" in name else RIGHT if "right" in name else MIDDLE


SIDE_COLOURS: Final = np.array([side_colour(index) for index in range(len(NAMES))])
