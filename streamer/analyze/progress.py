"""How far it is: a bar with the time left on a terminal, plain lines elsewhere; results on stdout."""

import sys
import time
from typing import Protocol

from tqdm import tqdm

_LINE_EVERY_S = 10.0


class ProgressView(Protocol):
    def expect(self, frames: int) -> None:
        """So many more are to come (or fewer, if negative)."""

    def advance(self, frames: int) -> None: ...

    def say(self, line: str) -> None:
        """A line that stays."""

    def close(self) -> None: ...


def open_progress() -> ProgressView:
    return Bar() if sys.stderr.isatty() else Lines()


class Bar:
    def __init__(self) -> None:
        self._bar = tqdm(total=0, unit=" frames", dynamic_ncols=True, smoothing=0.05)

    def expect(self, frames: int) -> None:
        self._bar.total = max(0, self._bar.total + frames)
        self._bar.refresh()

    def advance(self, frames: int) -> None:
        self._bar.update(frames)

    def say(self, line: str) -> None:
        self._bar.write(line, file=sys.stdout)

    def close(self) -> None:
        self._bar.close()


class Lines:
    def __init__(self) -> None:
        self._total = self._done = 0
        self._began_mono = self._told_mono = time.monotonic()

    def expect(self, frames: int) -> None:
        self._total += frames

    def advance(self, frames: int) -> None:
        self._done += frames
        now = time.monotonic()
        if now - self._told_mono < _LINE_EVERY_S:
            return
        self._told_mono = now
        rate = self._done / (now - self._began_mono)
        left_s = max(0, self._total - self._done) / max(rate, 1e-6)
        text = f"{self._done} of {self._total} frames, {rate:.0f} a second, {left_s:.0f} s left"
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def say(self, line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def close(self) -> None: ...
