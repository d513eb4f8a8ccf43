"""How much a viewer is sent: the rate of the full rendition, and who takes the low one instead."""

import math
from collections.abc import Iterable

from streamer.config import VideoConfig

START_BITRATE = 1_000_000
"""Bits per second until a viewer's own estimate comes; half of it shows blocks at 640x480."""

LOW_BITRATE = 250_000
LOW_FPS = 15
"""The low rendition: half the width and height, at most so many pictures a second."""

_REFERENCE_PIXELS = 640 * 480
_REFERENCE_BITRATE = 1_500_000
_FLOOR_SHARE = 0.35  # of the highest rate: below that the full size is not worth having

_TOO_LITTLE = 0.75
"""A viewer whose estimate is below this share of the full rendition's rate does not get it through."""

_TOO_MUCH_LOSS = 0.15
_LITTLE_LOSS = 0.05
_PATIENCE_S = 2.0  # how long it must be bad
_FIRST_TRIAL_S = 10.0
_LAST_TRIAL_S = 80.0


def highest_bitrate(limits: VideoConfig, width: int, height: int) -> int:
    """Of the full rendition, bits per second. By default it grows with the square root of the number of
    pixels, since larger pictures have less detail in each: 2.6 Mbit/s at 1280x720, 3.9 at 1920x1080."""
    if limits.max_bitrate:
        return limits.max_bitrate
    return round(_REFERENCE_BITRATE * math.sqrt(width * height / _REFERENCE_PIXELS))


def full_bitrate(estimates: Iterable[int], limits: VideoConfig, highest: int) -> int:
    """The full rendition follows the best of its viewers: who can't follow takes the low one."""
    lowest = min(highest, max(limits.min_bitrate, round(_FLOOR_SHARE * highest)))
    return max(lowest, min(highest, max(estimates, default=START_BITRATE)))


def is_worth_changing(now_bps: int, wanted_bps: int, highest_bps: int) -> bool:
    """An encoder that changes its rate may have to start anew with a key frame: rates change by steps,
    and down more readily than up."""
    if wanted_bps < now_bps:
        return wanted_bps <= 0.85 * now_bps
    return wanted_bps >= 1.25 * now_bps or (wanted_bps >= highest_bps and now_bps < highest_bps)


class Link:
    """What one viewer's reports say of the way to it. ``is_low``: it takes the low rendition.

    The full rendition is tried again after a while, since an estimate can't grow far beyond what is
    sent; each trial that fails doubles the wait.
    """

    def __init__(self) -> None:
        self.is_low = False
        self.estimate_bps: int | None = None
        self._loss = 0.0
        self._bad_since: float | None = None
        self._changed_at = -math.inf
        self._trial_s = _FIRST_TRIAL_S

    def on_estimate(self, bps: int) -> None:
        self.estimate_bps = bps

    def on_loss(self, share: float) -> None:
        self._loss = share

    def settle(self, full_bps: int, now_s: float) -> bool:
        """Decides anew; True when ``is_low`` has changed. ``full_bps``: the full rendition's rate."""
        if self.is_low:
            return self._try_full(now_s)
        narrow = self.estimate_bps is not None and self.estimate_bps < _TOO_LITTLE * full_bps
        if not narrow and self._loss <= _TOO_MUCH_LOSS:
            self._bad_since = None
            if now_s - self._changed_at > 2 * self._trial_s:
                self._trial_s = _FIRST_TRIAL_S  # the last trial went well
            return False
        if self._bad_since is None:
            self._bad_since = now_s
        if now_s - self._bad_since < _PATIENCE_S:
            return False
        if now_s - self._changed_at < self._trial_s:
            self._trial_s = min(_LAST_TRIAL_S, 2 * self._trial_s)
        self._change(now_s, low=True)
        return True

    def _try_full(self, now_s: float) -> bool:
        calm = self._loss <= _LITTLE_LOSS
        wide = self.estimate_bps is None or self.estimate_bps >= 0.9 * LOW_BITRATE
        if not (calm and wide and now_s - self._changed_at >= self._trial_s):
            return False
        self.estimate_bps = None  # it tells of the low rendition
        self._change(now_s, low=False)
        return True

    def _change(self, now_s: float, *, low: bool) -> None:
        self.is_low, self._changed_at, self._bad_since = low, now_s, None
