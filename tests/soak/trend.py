"""How fast a figure grows: Theil and Sen's slope of its lowest values, and the range that is certain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MAX_POINTS = 2000
"""All pairs of points are looked at: of more points every so-manyth is taken."""

_OF_90_PERCENT = 1.645
"""Standard deviations to either side, of a normal distribution."""


@dataclass(frozen=True)
class Trend:
    """In units per hour. ``slope``: the median of the slopes between all pairs of points (Theil 1950, Sen
    1968), which one outlier in four does not move far.

    ``low`` and ``high``: where it lies with a probability of 90 %, by the ranks of those slopes (Sen 1968),
    which outliers don't move far either; at most all of them. Values that follow each other closely are
    alike, so they count as the number of independent ones that their correlation leaves (Santer 2000).
    """

    slope: float
    low: float
    high: float


def trend(hours: Sequence[float], values: Sequence[float]) -> Trend:
    """Of ``values`` at these times; ValueError with fewer than three."""
    if len(hours) < 3:
        raise ValueError(f"{len(hours)} points have no trend.")
    step = -(-len(hours) // MAX_POINTS)
    x, y = np.asarray(hours, float)[::step], np.asarray(values, float)[::step]
    first, second = np.triu_indices(len(x), 1)
    slopes = np.sort((y[second] - y[first]) / (x[second] - x[first]))
    slope = float(np.median(slopes))
    rest = y - slope * x
    n = len(x)
    # Of Kendall's count of pairs that rise less those that fall, where nothing grows.
    variance = n * (n - 1) * (2 * n + 5) / 18 * n / _independent(rest - np.median(rest))
    away = _OF_90_PERCENT * float(np.sqrt(variance))
    low = slopes[max(0, int((len(slopes) - away) / 2))]
    high = slopes[min(len(slopes) - 1, int((len(slopes) + away) / 2) + 1)]
    return Trend(slope, float(low), float(high))


def lowest_in_bins(
    hours: Sequence[float], values: Sequence[float], bin_h: float
) -> tuple[list[float], list[float]]:
    """In each span of ``bin_h`` the lowest value: what is left when all who come and go are gone. The spans
    are longer by as much as makes the last one whole: half of one may have had guests all the time."""
    span_h = hours[-1] - hours[0]
    count = max(1, int(span_h / bin_h + 1e-9))
    lowest: dict[int, tuple[float, float]] = {}
    for hour, value in zip(hours, values, strict=True):
        place = min(int((hour - hours[0]) / span_h * count), count - 1) if span_h else 0
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
