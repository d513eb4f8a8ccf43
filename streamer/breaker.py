"""When something that keeps dying is replaced, and when it is left alone for a while: a circuit breaker.
Pure: the times come in.

Closed: what has died is replaced, the first time at once, then after waits that grow. Open: it has died
too often, and is tried again only after a long pause. The next one is on trial (half-open): if it dies soon,
too, the pause is twice as long; if it lives on, all is as at the beginning.
"""

from collections import deque
from dataclasses import dataclass

from streamer.retry import RetryPolicy

MAX_DEATHS = 5
WINDOW_S = 30.0
"""The breaker opens with so many deaths in so long. What dies more rarely is down for less of the time than
a pause would take: a camera with one bad picture a minute is better shown with gaps than not at all."""


@dataclass(frozen=True, slots=True)
class Pause:
    """How long to wait before what has died is replaced. ``is_open``: it has died too often."""

    wait_s: float
    is_open: bool


class Breaker:
    """Of one thing that may die. ``deaths``: in all. Used by one thread at a time."""

    def __init__(self, retry: RetryPolicy) -> None:
        self.deaths = 0
        self._retry = retry
        self._recent: deque[float] = deque(maxlen=MAX_DEATHS)
        self._open_s = retry.open_s
        self._trial_from_s: float | None = None

    def note_death(self, now_s: float) -> Pause:
        """``now_s``: by any steady clock."""
        self.deaths += 1
        if self._trial_from_s is not None:
            if 0.0 <= now_s - self._trial_from_s < WINDOW_S:
                self._open_s = min(2 * self._open_s, self._retry.open_cap_s)
                return self._open(now_s)
            self.close()  # it lived on; or somebody did not wait for the trial, and began anew by hand
        self._recent.append(now_s)
        while now_s - self._recent[0] >= WINDOW_S:
            self._recent.popleft()
        if len(self._recent) == MAX_DEATHS:
            return self._open(now_s)
        earlier = len(self._recent) - 1
        return Pause(self._retry.delay_s(earlier) if earlier else 0.0, is_open=False)

    def close(self) -> None:
        """All is as at the beginning, but for the count: somebody has looked after it."""
        self._recent.clear()
        self._open_s = self._retry.open_s
        self._trial_from_s = None

    def _open(self, now_s: float) -> Pause:
        self._recent.clear()
        self._trial_from_s = now_s + self._open_s
        return Pause(self._open_s, is_open=True)
