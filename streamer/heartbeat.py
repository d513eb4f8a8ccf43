"""How late the event loop is: every message, packet and answer waits as long."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from streamer.logs import tell_held_back
from streamer.telemetry import Histogram

BEAT_S = 0.25
WINDOW_S = 60.0
TELL_EVERY_BEATS = 40
LAG_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Heartbeat:
    """``run`` wakes four times a second and notes by how much too late. It is the event loop's thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.lag_s = Histogram(LAG_BOUNDS_S)
        self._clock = clock
        self._worst: deque[tuple[float, float]] = (
            deque()
        )  # (when, lag), each less than those before

    async def run(self) -> None:
        """Until cancelled."""
        beats = 0
        while True:
            due_mono = self._clock() + BEAT_S
            await asyncio.sleep(BEAT_S)
            self.note(max(0.0, self._clock() - due_mono))
            beats += 1
            if beats % TELL_EVERY_BEATS == 0:
                tell_held_back()

    def note(self, lag_s: float) -> None:
        self.lag_s.add(lag_s)
        while self._worst and self._worst[-1][1] <= lag_s:
            self._worst.pop()
        self._worst.append((self._clock(), lag_s))

    def worst_s(self) -> float:
        """Of the last minute, in seconds."""
        while self._worst and self._clock() - self._worst[0][0] > WINDOW_S:
            self._worst.popleft()
        return self._worst[0][1] if self._worst else 0.0
