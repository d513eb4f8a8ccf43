"""Where somebody goes: place, size and velocity in media time, and how far off a sighting is."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Place = NDArray[np.float64]
"""(2,): x and y in pixels of the picture."""

AGILITY_S, CROWDED_AGILITY_S = 0.2, 0.6
"""People change their velocity within a few tenths of a second: the filter's time constant. In a crowd
it is longer, where a change is rather the network's, which slides over to somebody else."""

MOMENTUM_S = 1.0
"""How long somebody unseen is taken to go on as before; the velocity fades with this time constant."""

NOISE, DRIFT_PER_S = 0.02, 0.3
"""Standard deviation of a prediction, in sizes (a region's side: 1.25 to 1.5 body heights): of the
network's own noise, and what a person may do otherwise than predicted, a second: 0.6 m."""

SIZE_NOISE, SIZE_DRIFT_PER_S = 0.1, 0.3
"""The same of the size, as a share of it: crouching, coming nearer."""


CLOSE = 0.5
"""Sizes, about a metre: people nearer to each other than that may be mistaken for each other."""


@dataclass(slots=True)
class Motion:
    """Of somebody first seen at ``place`` with a region of ``size`` pixels, at media time ``seen_s``."""

    place: Place
    size: float
    seen_s: float
    _velocity: Place = field(default_factory=lambda: np.zeros(2))
    _steps: int = 0

    def shift(self, t_s: float) -> Place:
        """The way from the last place to where the person should be at ``t_s``."""
        fade_s = MOMENTUM_S * -math.expm1(-(t_s - self.seen_s) / MOMENTUM_S)
        return self._velocity * fade_s

    def go(self, place: Place, size: float, t_s: float, *, crowded: bool = False) -> None:
        passed_s = t_s - self.seen_s
        if passed_s <= 0:
            return
        self._steps += 1
        agility_s = CROWDED_AGILITY_S if crowded else AGILITY_S
        share = max(-math.expm1(-passed_s / agility_s), 1 / (self._steps + 1))
        self._velocity += share * ((place - self.place) / passed_s - self._velocity)
        self.size += share * (size - self.size)
        self.place, self.seen_s = place, t_s

    def is_near(self, place: Place) -> bool:
        return bool(np.linalg.norm(place - self.place) < CLOSE * self.size)

    def copy(self) -> "Motion":
        return Motion(self.place, self.size, self.seen_s, self._velocity.copy(), self._steps)

    def misfit(self, off_px: float, size: float, t_s: float, *, turns: float = 0.0) -> float:
        """Squared, in standard deviations, of what is seen ``off_px`` from where it was predicted for
        ``t_s``; 0 is as predicted. ``turns``: the share of the predicted way that is uncertain, too."""
        age_s = max(t_s - self.seen_s, 0.0)
        way = turns * float(np.linalg.norm(self.shift(t_s))) / self.size
        off = off_px / self.size / (NOISE + DRIFT_PER_S * age_s + way)
        growth = math.log(size / self.size) / (SIZE_NOISE + SIZE_DRIFT_PER_S * age_s)
        return off**2 + growth**2
