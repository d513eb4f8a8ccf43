"""Is there a person at all? A score from 0 to 1 that means it.

MediaPipe answers "here are 33 landmarks", and keeps them as long as its flag is above one half: on
tables, bottles and cars, too. Two things tell a person from what only resembles one: the flag, and how
sharply the heat maps of the landmarks that are sure point to one place each. Both are combined as
log-odds, and those are filtered in media time, as one blurred frame makes nobody vanish and one lucky
frame makes no person. docs/decisions/0023 tells how the constants were found.
"""

import math
from typing import Final

import numpy as np

from streamer.pose.networks import Sighting

SURE_LANDMARKS: Final = 12
"""The heat maps that count are the sharpest of the 33, so many: as many as a head and shoulders in
front of a webcam have."""

_FLAG_WEIGHT: Final = 0.4
_PEAK_WEIGHT: Final = 4.0
_BIAS: Final = -3.8
"""Log-odds per log-odds of the flag and of the mean peak."""

_FLAG_LIMIT: Final = 8.0
_PEAK_LIMIT: Final = 0.98

LIMIT: Final = 4.0
"""Of the log-odds of one frame and of all together, a score of 0.018 to 0.982: what is sure can still
change within two time constants."""

PLAIN: Final = 2.0
"""Log-odds of one frame from which on somebody is plainly there."""

PLAIN_WEIGHT: Final = 0.5
"""How much such a frame counts at least if the detector agrees: two independent witnesses."""

UNDETECTED: Final = -2.0
"""Added to the log-odds of a frame in doubt if the detector, asked as well, sees nobody."""

TIME_CONSTANT_S: Final = 0.25
"""What the frames of so long a time say counts as one independent observation: neighbouring frames
err alike."""


def evidence(sighting: Sighting) -> float:
    """Log-odds, from -``LIMIT`` to ``LIMIT``, that the landmark network saw a person, of this frame alone."""
    peaks = np.partition(sighting.peaks, -SURE_LANDMARKS)[-SURE_LANDMARKS:]
    flag = min(max(_log_odds(sighting.flag), -_FLAG_LIMIT), _FLAG_LIMIT)
    peak = _log_odds(min(max(float(peaks.mean()), 1 - _PEAK_LIMIT), _PEAK_LIMIT))
    return min(max(_FLAG_WEIGHT * flag + _PEAK_WEIGHT * peak + _BIAS, -LIMIT), LIMIT)


class Presence:
    """Of one person, from when he or she was found.

    The first frame counts in full: who is plainly there is published at once.
    """

    def __init__(self) -> None:
        self._log_odds = 0.0
        self._last_s: float | None = None
        self.in_doubt = False

    @property
    def score(self) -> float:
        """0..1: how likely it is that a person is there."""
        return 1 / (1 + math.exp(-self._log_odds))

    def update(self, sighting: Sighting, t_s: float, *, detected: bool) -> None:
        """``detected``: the detector sees somebody there, too, at about this time. It alone makes nobody a
        person, as it takes bottles for people. But who was one before (fallen, blurred, half hidden) stays
        one as long as it does, and goes sooner if it does not: ``in_doubt`` asks for that. And whoever is
        plainly there for both is believed within two frames, also
        where something else was followed before."""
        seen = evidence(sighting)
        self.in_doubt = seen < 0
        if self._last_s is None:
            self._log_odds = seen
        elif not (self.in_doubt and detected and self._log_odds > 0):
            weight = min(max(t_s - self._last_s, 0.0) / TIME_CONSTANT_S, 1.0)
            if detected and seen >= PLAIN:
                weight = max(weight, PLAIN_WEIGHT)
            elif self.in_doubt and not detected:
                seen = max(seen + UNDETECTED, -LIMIT)
            self._log_odds = min(max(self._log_odds + weight * seen, -LIMIT), LIMIT)
        self._last_s = t_s


def _log_odds(share: float) -> float:
    share = min(max(share, 1e-9), 1 - 1e-9)
    return math.log(share / (1 - share))
