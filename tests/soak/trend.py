"""How fast a figure grows: the line of least squares with its standard error, and Theil and Sen's slope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MAX_POINTS = 2000
"""Theil and Sen's slope looks at all pairs: of more points every so-manyth is taken."""


@dataclass(frozen=True)
class Trend:
    """Slopes in units per hour.

    ``error``: the standard error of ``slope``. Values that follow each other closely are alike, so they
    count as the number of independent ones that their correlation leaves (Santer 2000). ``robust``: the
    median of the slopes between all pairs of points (Theil 1950, Sen 1968), which one outlier in four
    does not move far.
    """

    slope: float
    error: float
    robust: float


def trend(hours: Sequence[float], values: Sequence[float]) -> Trend:
    """Of ``values`` at these times; ValueError with fewer than three."""
    if len(hours) < 3:
        raise ValueError(f"{len(hours)} points have no trend.")
    x, y = np.asarray(hours, float), np.asarray(values, float)
    centred = x - x.mean()
    spread = float(centred @ centred)
    slope = float(centred @ (y - y.mean())) / spread
    rest = y - y.mean() - slope * centred
    error = float(np.sqrt(float(rest @ rest) / (_independent(rest) - 2) / spread))
    return Trend(slope, error, theil_sen(x, y))


def theil_sen(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """The median of the slopes between all pairs of points."""
    step = -(-len(x) // MAX_POINTS)
    x, y = x[::step], y[::step]
    first, second = np.triu_indices(len(x), 1)
    return float(np.median((y[second] - y[first]) / (x[second] - x[first])))


def lowest_in_bins(
    hours: Sequence[float], values: Sequence[float], bin_h: float
) -> tuple[list[float], list[float]]:
    """In each span of ``bin_h`` the lowest value: what is left when all who come and go are gone."""
    lowest: dict[int, tuple[float, float]] = {}
    for hour, value in zip(hours, values, strict=True):
        place = int(hour / bin_h)
        if place not in lowest or value < lowest[place][1]:
            lowest[place] = (hour, value)
    found = [lowest[place] for place in sorted(lowest)]
    return [hour for hour, _ in found], [value for _, value in found]


def _independent(rest: NDArray[np.float64]) -> float:
    """How many independent values are in a series whose neighbours are alike."""
    power = float(rest @ rest)
    if power == 0:
        return float(len(rest))
    alike = min(max(float(rest[1:] @ rest[:-1]) / power, 0.0), 0.99)
    return max(3.0, len(rest) * (1 - alike) / (1 + alike))
