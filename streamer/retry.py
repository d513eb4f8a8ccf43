"""How long to wait before the next try."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait before the next try: quick at first, then capped, with jitter so that many
    cameras behind one switch do not come back in the same instant: less by up to this share, since
    ``cap_s`` is what the configuration promises. ``rejected_s``: for what a person must
    mend. ``open_s``: for what died too often (``breaker``), twice as long each time up to ``open_cap_s``."""

    first_s: float = 0.5
    factor: float = 1.6
    cap_s: float = 3.0
    jitter: float = 0.2
    rejected_s: float = 300.0
    open_s: float = 30.0
    open_cap_s: float = 300.0

    def delay_s(self, attempt: int) -> float:
        """``attempt`` counts from 1."""
        exponent = min(attempt - 1, 16)  # far beyond the cap, and no overflow after a year of tries
        delay = min(self.cap_s, self.first_s * self.factor**exponent)
        return delay * random.uniform(1 - self.jitter, 1)
