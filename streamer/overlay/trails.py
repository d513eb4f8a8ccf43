"""Where hands and feet were in the last second of media time."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from streamer.config import OverlayConfig
from streamer.landmarks import NAMES
from streamer.model import VIDEO_CLOCK_HZ
from streamer.overlay.canvas import Canvas, Lines, Places
from streamer.overlay.colours import Colour, side_colour
from streamer.overlay.figure import Person, line_width_px, one_colour

KEPT_TICKS: Final = VIDEO_CLOCK_HZ

STEP_TICKS: Final = VIDEO_CLOCK_HZ // 16
"""Places are kept this far apart, which bounds them: to a hand's way, more would add nothing."""

GAP_TICKS: Final = VIDEO_CLOCK_HZ // 2
"""Frames further apart than this have nothing to do with each other."""

STRENGTHS: Final = (0.3, 0.6, 0.9)
"""Of the oldest third of a trail, the middle one and the newest: how much of its colour is seen."""

_LIMBS: Final = ("left_wrist", "right_wrist", "left_ankle", "right_ankle")
_INDICES: Final = np.array([NAMES.index(name) for name in _LIMBS])
_COLOURS: Final = [side_colour(index) for index in _INDICES.tolist()]
_EACH_LIMB: Final = range(len(_LIMBS))
_UNSEEN: Final = np.full((len(_LIMBS), 2), np.nan, np.float32)


_Alike = dict[tuple[Colour, int], list[Places]]
"""Paths by their colour and length: those that can be drawn at once."""


@dataclass(frozen=True, slots=True, eq=False)
class _Moment:
    """``places``: person -> (4, 2), that of each limb, NaN where it was not seen."""

    pts: int
    places: dict[int, Places]


class Trails:
    """Of all people in successive frames, which are forgotten when the media time jumps."""

    def __init__(self) -> None:
        self._moments: deque[_Moment] = deque()

    def add(self, pts: int, people: Sequence[Person]) -> None:
        """``pts``: 90 kHz ticks of media time."""
        moments = self._moments
        if moments and not 0 < pts - moments[-1].pts <= GAP_TICKS:
            moments.clear()
        while moments and pts - moments[0].pts > KEPT_TICKS:
            moments.popleft()
        if len(moments) > 1 and moments[-1].pts - moments[-2].pts < STEP_TICKS:
            moments.pop()
        moments.append(_Moment(pts, {person.pose.id: _limbs(person) for person in people}))

    def draw(self, canvas: Canvas, look: OverlayConfig) -> None:
        """Those of the people in the newest frame, the oldest parts first."""
        width_px = line_width_px(look, canvas.width, canvas.height)
        thirds: list[_Alike] = [{} for _ in STRENGTHS]
        for person in self._moments[-1].places:
            alone = one_colour(look, person)
            for third, limb, path in self._paths(person):
                alike = (alone or _COLOURS[limb], len(path))
                thirds[third].setdefault(alike, []).append(path)
        for alike_paths, strength in zip(thirds, STRENGTHS, strict=True):
            groups = [Lines(colour, np.array(each)) for (colour, _), each in alike_paths.items()]
            if groups:
                places = np.concatenate([lines.paths.reshape(-1, 2) for lines in groups])
                with canvas.faint(canvas.around(places, width_px + 2), strength) as part:
                    part.lines(groups, width_px)

    def _paths(self, person: int) -> Iterator[tuple[int, int, Places]]:
        """The third of the second (0: the oldest), the limb's number, and where it went then."""
        newest = self._moments[-1].pts
        ages = np.array([newest - moment.pts for moment in self._moments])
        thirds = np.minimum((KEPT_TICKS - ages) * len(STRENGTHS) // KEPT_TICKS, len(STRENGTHS) - 1)
        way = np.stack([moment.places.get(person, _UNSEEN) for moment in self._moments])
        begin = 0
        for third in range(len(STRENGTHS)):
            end = int(np.count_nonzero(thirds <= third))
            for limb in _EACH_LIMB:
                for path in _unbroken(way[max(begin - 1, 0) : end, limb]):
                    yield third, limb, path
            begin = end


def _limbs(person: Person) -> Places:
    plain = person.plain[_INDICES, None]
    seen: Places = np.where(plain, person.places[_INDICES], np.float32(np.nan))
    return seen


def _unbroken(way: Places) -> list[Places]:
    """The pieces of two places or more between those where the limb was not seen."""
    hidden = np.isnan(way[:, 0])
    if not hidden.any():
        return [way] if len(way) > 1 else []
    pieces = np.split(way, np.flatnonzero(hidden[1:] != hidden[:-1]) + 1)
    return [piece for piece in pieces if len(piece) > 1 and not np.isnan(piece[0, 0])]
