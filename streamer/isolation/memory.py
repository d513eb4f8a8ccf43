"""The memory that a child shares with its parent: slots for bodies in both directions, and signs of life.

It is known to the two alone and gone with them, even if both are killed: there is no name to leak. Its
size is sealed, so that a hijacked child can't take the ground from under its parent's feet (SIGBUS).
"""

import contextlib
import mmap
import os
import sys
import tempfile
from typing import Final

SLOTS: Final = 4
SLOT_BYTES: Final = 16 << 20
"""More than the largest picture: 3840x2160 in I420 has 12.4 MB. Only what is used takes up memory."""

_PAGE: Final = mmap.PAGESIZE
SIZE: Final = _PAGE + 2 * SLOTS * SLOT_BYTES

_NUMBER_BYTES: Final = 8
_COUNTS: Final = 2  # bodies taken: by the direction, to the child and to the parent
_PULSE: Final = 0  # of the times, which follow
_BUSY_UNTIL: Final = 1

TO_CHILD: Final = 0
TO_PARENT: Final = 1


def new_memory() -> int:
    """A descriptor of fresh shared memory; close it once it is mapped and handed over."""
    if sys.platform != "linux":
        with tempfile.TemporaryFile() as file:
            file.truncate(SIZE)
            return os.dup(file.fileno())
    import fcntl

    descriptor = os.memfd_create("streamer-worker", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, SIZE)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


class SharedMemory:
    """A view on it; both sides have one. Whatever the other side wrote may be a lie."""

    def __init__(self, descriptor: int) -> None:
        self._map = mmap.mmap(descriptor, SIZE)
        self._view = memoryview(self._map)
        # Written and read by one machine instruction each. `struct` first writes zeros and then byte by
        # byte, and the other side, which looks at any moment, saw counts and times that never were.
        counts_end = _COUNTS * _NUMBER_BYTES
        self._taken = self._view[:counts_end].cast("Q")
        self._times = self._view[counts_end : counts_end + 2 * _NUMBER_BYTES].cast("d")

    def slot(self, direction: int, number: int, size: int) -> memoryview:
        """The first bytes of the slot that the body of this number, counted from 0, goes through."""
        start = _PAGE + (direction * SLOTS + number % SLOTS) * SLOT_BYTES
        return self._view[start : start + size]

    def taken(self, direction: int) -> int:
        """How many bodies the receiving side has done with."""
        return self._taken[direction]

    def set_taken(self, direction: int, count: int) -> None:
        self._taken[direction] = count

    @property
    def pulse_mono(self) -> float:
        """When the child last showed that it runs; 0 before. The clock is the same for all processes."""
        return self._times[_PULSE]

    def set_pulse(self, now_mono: float) -> None:
        self._times[_PULSE] = now_mono

    @property
    def busy_until_mono(self) -> float:
        """When the child's present piece of work has to be finished; 0 while it has none."""
        return self._times[_BUSY_UNTIL]

    def set_busy_until(self, time_mono: float) -> None:
        self._times[_BUSY_UNTIL] = time_mono

    def close(self) -> None:
        """Unmapped at once, or as soon as nobody looks at a slot any more."""
        with contextlib.suppress(BufferError):
            self._taken.release()
            self._times.release()
            self._view.release()
            self._map.close()
