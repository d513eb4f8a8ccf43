"""When a stream that may adapt steps down to a lighter model, and when it comes back. Pure: the times and
counts come in with each frame.

It steps down when it has had no time to spare and lost frames for seconds on end: frames that are lost in
a burst, with time to spare after it, say nothing of the model. It steps up when the heavier model would
leave time to spare. What that one would cost now is estimated: what the lighter one costs now, times how
much dearer the heavier one was when the two were last run one after the other, most likely under one load.
An estimate may be wrong: while there is time to spare at all, the heavier model is tried now and then; and
a step up that fails doubles all waits for the next.
"""

from collections import deque
from dataclasses import dataclass

WINDOW_S = 3.0
"""What is looked at: long enough that a slow disk or a new viewer is no overload."""

MAX_BUSY = 0.95
MAX_DROPPED = 0.10
"""Shares of the time and of the frames; above both, the machine can't keep up."""

MAX_EXPECTED = 0.75
"""The share of the time that the heavier model may be expected to take, for a step up."""

ROOM_S, TRIAL_S = 10.0, 600.0
"""For how long there must be room for the heavier model, by the estimate, or time to spare with the lighter
one, without a break."""

MAX_PATIENCE = 64
"""By so much both become longer, at most."""

PROBATION_S = 60.0
"""A step up has failed when the next step down comes within so long."""


@dataclass(frozen=True, slots=True)
class _Sums:
    """Up to a moment: seconds of work, and frames."""

    at_s: float
    busy_s: float
    frames: int
    arrived: int
    dropped: int


class _Window:
    """The last seconds, from frame to frame."""

    def __init__(self) -> None:
        self._sums: deque[_Sums] = deque()

    def add(self, sums: _Sums) -> None:
        if self._sums and sums.arrived < self._sums[-1].arrived:
            self._sums.clear()  # another connection: its counts begin at 0
        self._sums.append(sums)
        while len(self._sums) > 1 and sums.at_s - self._sums[1].at_s >= WINDOW_S:
            self._sums.popleft()

    def clear(self) -> None:
        self._sums.clear()

    @property
    def length_s(self) -> float:
        return self._sums[-1].at_s - self._sums[0].at_s if self._sums else 0.0

    @property
    def busy(self) -> float:
        return (self._sums[-1].busy_s - self._sums[0].busy_s) / self.length_s

    @property
    def dropped(self) -> float:
        arrived = self._sums[-1].arrived - self._sums[0].arrived
        return (self._sums[-1].dropped - self._sums[0].dropped) / arrived if arrived else 0.0

    @property
    def cost_s(self) -> float:
        """Of a frame."""
        frames = self._sums[-1].frames - self._sums[0].frames
        return (self._sums[-1].busy_s - self._sums[0].busy_s) / frames

    @property
    def arrived_per_s(self) -> float:
        return (self._sums[-1].arrived - self._sums[0].arrived) / self.length_s


class _Lasting:
    """For how long something has been so, without a break."""

    def __init__(self) -> None:
        self._since_s: float | None = None

    def seconds(self, now_s: float, *, is_so: bool) -> float:
        if not is_so:
            self._since_s = None
            return 0.0
        if self._since_s is None:
            self._since_s = now_s
        return now_s - self._since_s


class Adaptation:
    """``target``: the ``model_complexity`` to run, ``wanted`` or lower. One that can't be had is no target
    again (``give_up``)."""

    def __init__(self, wanted: int) -> None:
        self.target = wanted
        self._wanted = wanted
        self._lowest = 0
        self._window = _Window()
        self._busy_s, self._frames = 0.0, 0
        self._cost_above_s: float | None = None  # of the heavier model, in its last seconds
        self._dearer: dict[int, float] = {}  # model -> how much more the next heavier one costs
        self._patience = 1
        self._room, self._spare = _Lasting(), _Lasting()
        self._stepped_up_s: float | None = None

    def note(self, now_s: float, busy_s: float, arrived: int, dropped: int, running: int) -> None:
        """After each frame: the time by any steady clock, how long this frame kept the worker busy, the
        frames that have arrived and been dropped since the connection began, and the model that ran."""
        self._busy_s += busy_s
        self._frames += 1
        if running != self.target:
            self._forget()  # it is still being loaded
            return
        self._window.add(_Sums(now_s, self._busy_s, self._frames, arrived, dropped))
        if self._window.length_s < WINDOW_S:
            return
        if self._cost_above_s is not None:
            self._dearer[self.target] = max(1.0, self._cost_above_s / self._window.cost_s)
            self._cost_above_s = None
        if self._window.busy > MAX_BUSY and self._window.dropped > MAX_DROPPED:
            self._step_down(now_s, self._window.cost_s)
        elif self.target < self._wanted and self._may_step_up(now_s):
            self.target += 1
            self._stepped_up_s = now_s
            self._forget()

    def give_up(self, running: int) -> None:
        """The target can't be had: ``running`` goes on, and the target is none again."""
        if self.target < running:
            self._lowest = running
        else:
            self._wanted = running
        self.target = running
        self._cost_above_s = None
        self._forget()

    def _step_down(self, now_s: float, cost_s: float) -> None:
        self._forget()
        if self.target == self._lowest:
            return
        failed = self._stepped_up_s is not None and now_s - self._stepped_up_s < PROBATION_S
        self._cost_above_s = cost_s
        self._patience = min(2 * self._patience, MAX_PATIENCE) if failed else 1
        self.target -= 1

    def _may_step_up(self, now_s: float) -> bool:
        window = self._window
        expected = window.cost_s * self._dearer[self.target] * window.arrived_per_s
        room_s = self._room.seconds(now_s, is_so=expected <= MAX_EXPECTED)
        spare_s = self._spare.seconds(now_s, is_so=window.busy <= MAX_EXPECTED)
        return room_s >= ROOM_S * self._patience or spare_s >= TRIAL_S * self._patience

    def _forget(self) -> None:
        self._window.clear()
        self._room, self._spare = _Lasting(), _Lasting()
