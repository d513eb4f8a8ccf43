"""How far it is: a bar with the time left on a terminal, plain lines elsewhere; results on stdout."""

import sys
import time
from typing import Protocol

from tqdm import tqdm

_LINE_EVERY_S = 10.0


class ProgressView(Protocol):
    def expect(self, count: int) -> None:
        """So many more are to come (or fewer, if negative)."""

    def advance(self, count: int) -> None: ...

    def say(self, line: str) -> None:
        """A line that stays."""

    def close(self) -> None: ...


def open_progress(unit: str = "frames") -> ProgressView:
    return Bar(unit) if sys.stderr.isatty() else Lines(unit)


class Bar:
    def __init__(self, unit: str = "frames") -> None:
        self._bar = tqdm(total=0, unit=f" {unit}", dynamic_ncols=True, smoothing=0.05)

    def expect(self, count: int) -> None:
        self._bar.total = max(0, self._bar.total + count)
        self._bar.refresh()

    def advance(self, count: int) -> None:
        self._bar.update(count)

    def say(self, line: str) -> None:
        self._bar.write(line, file=sys.stdout)

    def close(self) -> None:
        self._bar.close()


class Lines:
    def __init__(self, unit: str = "frames") -> None:
        self._unit = unit
        self._total = self._done = 0
        self._began_mono = self._told_mono = time.monotonic()

    def expect(self, count: int) -> None:
        self._total += count

    def advance(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now - self._told_mono < _LINE_EVERY_S:
            return
        self._told_mono = now
        rate = self._done / (now - self._began_mono)
        left_s = max(0, self._total - self._done) / max(rate, 1e-6)
        text = (
            f"{self._done} of {self._total} {self._unit}, {rate:.3g} a second, {left_s:.0f} s left"
        )
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def say(self, line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def close(self) -> None: ...
