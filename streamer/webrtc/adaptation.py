"""How much a viewer is sent: the rate of the full rendition, and who takes the low one instead."""

import math
from collections.abc import Iterable

from streamer.config import VideoConfig

START_BITRATE = 1_000_000
"""Bits per second until a viewer's own estimate comes; half of it shows blocks at 640x480."""

LOW_BITRATE = 250_000
LOW_FPS = 15
"""The low rendition: half the width and height, at most so many pictures a second."""

_FLOOR_SHARE = 0.35  # of the highest rate: below that the full size is not worth having

_ENOUGH = 1.2
"""An estimate so many times what is sent tells only that this gets through: libwebrtc lets its estimate
grow to half as much again as what it receives, and no further."""

_TOO_LITTLE = 0.75
"""A viewer whose estimate is below this share of what it is sent does not get it all."""

_SOME_LOSS = 0.02
"""A link that is too narrow loses packets before long. An estimate that is low without any loss comes from
a viewer, or a server, that is short of CPU: half the picture would not help it."""

_TOO_MUCH_LOSS = 0.15
_LITTLE_LOSS = 0.1
_PATIENCE_S = 2.0  # how long it must be bad
_PATIENCE_ON_TRIAL_S = 0.5
_ON_TRIAL_S = 5.0
_FIRST_TRIAL_S = 10.0
_LAST_TRIAL_S = 80.0


def full_bitrate(capacities: Iterable[int | None], limits: VideoConfig, highest: int) -> int:
    """The full rendition follows the best of its viewers: who can't follow takes the low one.

    ``capacities``: of those viewers who have reported, as ``Link.capacity_bps``.
    """
    known = [highest if each is None else each for each in capacities]
    lowest = min(highest, max(limits.min_bitrate, round(_FLOOR_SHARE * highest)))
    return max(lowest, min(highest, max(known, default=START_BITRATE)))


def is_worth_changing(now_bps: int, wanted_bps: int, highest_bps: int) -> bool:
    """An encoder that changes its rate may have to start anew with a key frame: rates change by steps,
    and down more readily than up."""
    if wanted_bps < now_bps:
        return wanted_bps <= 0.85 * now_bps
    return wanted_bps >= 1.25 * now_bps or (wanted_bps >= highest_bps and now_bps < highest_bps)


class Link:
    """What one viewer's reports say of the way to it.

    ``is_low``: it takes the low rendition. ``capacity_bps``: what gets through; None while that is more
    than what is sent, ``has_reported`` or not.

    The full rendition is tried again after a while, since nothing else tells that the way has become
    wider; each trial that fails doubles the wait.
    """

    def __init__(self) -> None:
        self.is_low = False
        self.has_reported = False
        self.capacity_bps: int | None = None
        self._estimate_bps = 0
        self._is_narrow = False
        self._loss = 0.0
        self._bad_since: float | None = None
        self._changed_at = -math.inf
        self._trial_s = _FIRST_TRIAL_S

    def on_estimate(self, bps: int, sent_bps: float) -> None:
        """``bps``: what the viewer believes in; ``sent_bps``: what it has been sent of late. An estimate
        that grows, however small, comes from a link that is not full."""
        is_growing = bps > 1.02 * self._estimate_bps > 0
        self.has_reported, self._estimate_bps = True, bps
        self.capacity_bps = None if bps >= _ENOUGH * sent_bps else bps
        self._is_narrow = bps < _TOO_LITTLE * sent_bps and not is_growing

    def on_loss(self, share: float) -> None:
        self._loss = share

    def settle(self, now_s: float) -> bool:
        """Decides anew; True when ``is_low`` has changed."""
        if self.is_low:
            return self._try_full(now_s)
        is_narrow = self._is_narrow and self._loss >= _SOME_LOSS
        if not is_narrow and self._loss <= _TOO_MUCH_LOSS:
            self._bad_since = None
            if now_s - self._changed_at > 2 * self._trial_s:
                self._trial_s = _FIRST_TRIAL_S  # the last trial went well
            return False
        if self._bad_since is None:
            self._bad_since = now_s
        is_on_trial = now_s - self._changed_at < _ON_TRIAL_S
        if now_s - self._bad_since < (_PATIENCE_ON_TRIAL_S if is_on_trial else _PATIENCE_S):
            return False
        if now_s - self._changed_at < self._trial_s:
            self._trial_s = min(_LAST_TRIAL_S, 2 * self._trial_s)
        self._change(now_s, low=True)
        return True

    def _try_full(self, now_s: float) -> bool:
        is_calm = self._loss <= _LITTLE_LOSS and not self._is_narrow
        if not is_calm or now_s - self._changed_at < self._trial_s:
            return False
        self._change(now_s, low=False)
        return True

    def _change(self, now_s: float, *, low: bool) -> None:
        self.is_low, self._changed_at, self._bad_since = low, now_s, None
        self.has_reported, self._is_narrow = False, False  # what it said was of the other rendition
