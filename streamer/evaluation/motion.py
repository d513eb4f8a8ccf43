"""Jitter while a person holds still, and how far smoothing makes the landmarks come late."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MAX_LAG_S = 0.5
_LAG_STEP_S = 0.001
_MIN_FRAMES = 8
"""A shorter stretch tells nothing of lag."""

_KERNEL = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
"""Symmetric, so that it moves no signal in time."""


@dataclass(slots=True)
class Jitter:
    """A sum and how many terms it has, to be added up over stretches."""

    total: float = 0.0
    count: int = 0

    @property
    def mean(self) -> float:
        return self.total / self.count


def jitter(times_s: Array, points: Array, torso: float) -> Jitter:
    """The acceleration of landmarks of somebody who holds still, in torsos per s^2: all of it is error.

    The second difference over the time steps as they are: 2 ((p2 - p1) / dt2 - (p1 - p0) / dt1) / (dt1 +
    dt2), its length in the picture, for each landmark of ``points`` (n, landmarks, 2) and frame that has
    two neighbours. The mean is the figure, as of the acceleration error of Kanazawa and others (CVPR
    2019). It weights fast trembling most, which is what people see, but not a single jump above all.
    """
    if len(times_s) < 3:
        return Jitter()
    steps = np.diff(times_s)[:, None, None]
    speeds = np.diff(points, axis=0) / steps / torso
    accelerations = 2 * np.diff(speeds, axis=0) / (steps[1:] + steps[:-1])
    lengths = np.linalg.norm(accelerations, axis=-1)
    return Jitter(float(lengths.sum()), lengths.size)


def lag_s(times_s: Array, points: Array, raw: Array) -> float | None:
    """How much later ``points`` (n, landmarks, 2) are than ``raw``, which they were made of.

    The shift of raw's time for which the squares of the differences, over all landmarks and both axes,
    add up to the least; from 0 to 0.5 s in steps of 1 ms, between frames by interpolation. Fast movements
    count most: there the squares are large. Both signals first pass the same short symmetric kernel,
    since interpolation smooths noise half-way between two frames, and would draw the best shift there.
    None for less than eight frames, or where nothing moves.
    """
    if len(times_s) < _MIN_FRAMES:
        return None
    late, early = _calm(points), _calm(raw)
    if not (late.std(axis=0).max(initial=0.0) > 0):
        return None
    times = times_s[2:-2]
    shifts = np.arange(0.0, MAX_LAG_S, _LAG_STEP_S)
    # Judged on the same frames at every shift: else long ones would be judged on fewer.
    judged = times - times[0] >= min(MAX_LAG_S, (times[-1] - times[0]) / 2)
    shifts = shifts[shifts <= times[judged][0] - times[0]]
    costs = [
        ((late[judged] - _at(times[judged] - shift, times, early)) ** 2).sum() for shift in shifts
    ]
    return float(shifts[int(np.argmin(costs))])


def _calm(points: Array) -> Array:
    """(n, landmarks, 2) -> (n - 4, landmarks * 2)."""
    flat = points.reshape(len(points), -1)
    return np.apply_along_axis(np.convolve, 0, flat, _KERNEL, mode="valid")


def _at(wanted_s: Array, times_s: Array, values: Array) -> Array:
    """Linear interpolation of (n, columns) at each of the times."""
    after = np.clip(np.searchsorted(times_s, wanted_s, side="right"), 1, len(times_s) - 1)
    before = after - 1
    share = (wanted_s - times_s[before]) / (times_s[after] - times_s[before])
    return values[before] + (values[after] - values[before]) * share[:, None]


def runs_of(places: list[int]) -> Iterator[list[int]]:
    """Cuts a rising list where a number is left out."""
    run: list[int] = []
    for place in places:
        if run and place != run[-1] + 1:
            yield run
            run = []
        run.append(place)
    if run:
        yield run
