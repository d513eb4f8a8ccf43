"""Lines on their way to stderr, in a thread of their own.

Whoever reads the log may have stopped: a pager, a collector that is stuck, journald on a dead disk. The pipe
is full after 64 KiB then, and a write to it never returns. So nobody who has something to say writes
himself: the service would stand still with its log, and not even end.
"""

import contextlib
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

MAX_WAITING_BYTES: Final = 1 << 20
"""Some thousand lines: a reader that pauses loses none, one that is gone costs no more memory than this."""

FLUSH_S: Final = 0.5
"""In the end, for what still waits."""


def write_to_stderr(data: bytes) -> None:
    """All of it, past Python's own buffer, whose lock others would wait for. Raises OSError."""
    if sys.__stderr__ is None:  # the service was started without one
        return
    number, left = sys.__stderr__.fileno(), memoryview(data)
    while left:
        left = left[os.write(number, left) :]


class LogWriter:
    """From any thread. ``left_out``: the lines so far that found no room or could not be written. ``tell``
    makes the line that says of how many the reader now misses, where they are missing."""

    def __init__(
        self,
        write: Callable[[bytes], object] = write_to_stderr,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self.left_out = 0
        self.tell: Callable[[int], str] = "{} lines of the log were left out".format
        self._write = write
        self._max_waiting_bytes = max_waiting_bytes
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._waiting_bytes = 0  # with the line that is being written
        self._untold = 0
        self._thread: threading.Thread | None = None

    def put(self, line: str) -> None:
        """Never waits. Where there is no room, the line is left out; and so are those after it until half of
        the room is free, so that the gaps are few."""
        data = f"{line}\n".encode(errors="backslashreplace")
        with self._changed:
            if self._untold or self._waiting_bytes + len(data) > self._max_waiting_bytes:
                self._untold += 1
                self.left_out += 1
            else:
                self._add(data)
            self._changed.notify_all()
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="log", daemon=True)
                # There may be none to be had: then the next line tries.
                with contextlib.suppress(RuntimeError):
                    thread.start()
                    self._thread = thread

    def flush(self, timeout_s: float = FLUSH_S) -> bool:
        """Whether all has been written within this time."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._waiting_bytes and not self._untold, timeout_s
            )

    def _add(self, data: bytes) -> None:
        self._lines.append(data)
        self._waiting_bytes += len(data)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self._untold)
                if self._untold and self._waiting_bytes <= self._max_waiting_bytes // 2:
                    told, self._untold = self._untold, 0
                    self._add(f"{self.tell(told)}\n".encode(errors="backslashreplace"))
                data = self._lines.popleft()
            try:
                self._write(data)
            except OSError:  # the reader is gone: there is nobody to tell, but the figures
                self.left_out += 1
            with self._changed:
                self._waiting_bytes -= len(data)
                self._changed.notify_all()


stderr: Final = LogWriter()
"""The service's one."""
