"""Which of a pose is drawn, how wide, and in which colours."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamer.config import OverlayConfig
from streamer.landmarks import CONNECTIONS, NAMES
from streamer.model import Pose
from streamer.overlay.canvas import Canvas, Lines, Places
from streamer.overlay.colours import MIDDLE, SIDE_COLOURS, Colour, person_colour, side_colour

MIN_VISIBILITY = 0.5
"""Landmarks less visible than this are not drawn, as in MediaPipe's own drawing_utils; where a pose says
which of its landmarks are predicted, that counts instead."""

MIN_PRESENCE = 0.5
"""Predicted landmarks less likely than this to be in the picture are not drawn at all."""

FAINT = 0.5
"""How much of predicted landmarks' colour is seen. They are half as wide, too."""


def _by_colour() -> dict[Colour, NDArray[np.intp]]:
    """Colour -> (n, 2) pairs of landmarks. What joins left and right has the colour of the middle."""
    groups: dict[Colour, list[tuple[int, int]]] = {}
    for a, b in CONNECTIONS:
        both = side_colour(a) == side_colour(b)
        groups.setdefault(side_colour(a) if both else MIDDLE, []).append((a, b))
    return {colour: np.array(pairs) for colour, pairs in groups.items()}


CONNECTIONS_BY_COLOUR: Final = _by_colour()


class Person(NamedTuple):
    """``places``: x and y of all landmarks, (33, 2), where those not to be drawn are at 0. ``plain``,
    ``faint``: (33,), which are to be drawn, and how; none is both."""

    pose: Pose
    places: Places
    plain: NDArray[np.bool_]
    faint: NDArray[np.bool_]

    @classmethod
    def of(cls, pose: Pose) -> "Person":
        places = pose.landmarks[:, :2]
        finite = np.isfinite(places).all(axis=1)
        if pose.predicted is None:
            plain = finite & (pose.landmarks[:, 3] >= MIN_VISIBILITY)
            faint = np.zeros_like(plain)
        else:
            plain = finite & ~pose.predicted
            faint = finite & pose.predicted & (pose.landmarks[:, 4] >= MIN_PRESENCE)
        return cls(pose, np.where((plain | faint)[:, None], places, np.float32(0)), plain, faint)


def suiting_width_px(width: int, height: int) -> int:
    """Of lines, in a picture of this size."""
    return max(2, round(min(width, height) / 180))


def line_width_px(look: OverlayConfig, width: int, height: int) -> float:
    return look.line_width or suiting_width_px(width, height)


def one_colour(look: OverlayConfig, person: int) -> Colour | None:
    """None: each side has its own. With their numbers, people have colours of their own, too."""
    if look.side_colours:
        return None
    return person_colour(person) if look.ids else MIDDLE


def draw_figure(canvas: Canvas, person: Person, look: OverlayConfig) -> None:
    pose, places, plain, faint = person
    width_px = line_width_px(look, canvas.width, canvas.height)
    alone = one_colour(look, pose.id)
    colours = SIDE_COLOURS if alone is None else np.tile(np.array(alone), (len(NAMES), 1))
    if faint.any():
        seen = plain | faint
        with canvas.faint(canvas.around(places[seen], width_px + 2), FAINT) as part:
            if look.style == "skeleton":
                part.lines(_lines(places, seen, faint, alone), width_px / 2)
            part.dots(places[faint], colours[faint], (width_px + 1) / 2)
    if look.style == "skeleton":
        canvas.lines(_lines(places, plain, plain, alone), width_px)
    canvas.dots(places[plain], colours[plain], width_px + 1)


def _lines(
    places: Places, seen: NDArray[np.bool_], either: NDArray[np.bool_], alone: Colour | None
) -> list[Lines]:
    """Connections of two landmarks that are ``seen``, one of which is ``either`` of some."""
    groups = []
    for colour, pairs in CONNECTIONS_BY_COLOUR.items():
        drawn = pairs[seen[pairs].all(axis=1) & either[pairs].any(axis=1)]
        groups.append(Lines(alone or colour, places[drawn]))
    return groups
