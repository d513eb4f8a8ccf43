"""How often somebody may do something."""

import math
import time
from collections.abc import Callable
from typing import Final

from streamer.errors import TooManyRequests

MAX_CLIENTS: Final = 4096
"""That are remembered. Beyond, those are forgotten first who have not asked for longest."""


class Bucket:
    """A token bucket: ``at_once`` (left out: as many as in a minute), and then ``per_minute`` spread over
    each minute. ``clock``: monotonic, in seconds."""

    def __init__(
        self,
        per_minute: float,
        clock: Callable[[], float] = time.monotonic,
        at_once: float | None = None,
    ) -> None:
        self._per_s = per_minute / 60.0
        self._tokens = self._size = per_minute if at_once is None else at_once
        self._clock = clock
        self._filled_mono = clock()

    def take(self) -> bool:
        """One; False where there is none."""
        if self._filled() < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def lose(self) -> None:
        """One, or what there is of one."""
        self._tokens = max(0.0, self._filled() - 1.0)

    @property
    def wait_s(self) -> float:
        """Until there is one; 0: now."""
        return max(0.0, (1.0 - self._filled()) / self._per_s)

    def _filled(self) -> float:
        """How many there are by now."""
        now = self._clock()
        self._tokens += (now - self._filled_mono) * self._per_s
        self._tokens, self._filled_mono = min(self._tokens, self._size), now
        return self._tokens


class Rate:
    """The same rate for each client. ``what``: how a message calls what they may do so often; ``key``: of
    the configuration."""

    def __init__(
        self, per_minute: int, what: str, key: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_minute = per_minute
        self._words = f"One client may {what} {per_minute} times a minute ({key}); wait a moment."
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}

    def take(self, client: str) -> None:
        """Raises TooManyRequests. ``client``: "" is nobody, who has no limit."""
        if not client:
            return
        bucket = self._buckets.pop(client, None) or Bucket(self._per_minute, self._clock)
        self._buckets[client] = bucket  # now the last
        if len(self._buckets) > MAX_CLIENTS:
            del self._buckets[next(iter(self._buckets))]
        if not bucket.take():
            raise TooManyRequests(self._words, math.ceil(bucket.wait_s))
