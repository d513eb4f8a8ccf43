"""What a process that runs for months asks of its memory: glibc's heaps and Python's collector of cycles."""

import asyncio
import ctypes
import functools
import gc
import logging
import sys
from collections.abc import Callable
from typing import ClassVar, Final

logger = logging.getLogger(__name__)

M_ARENA_MAX: Final = -8
"""Of mallopt (glibc's malloc.h)."""

ARENAS: Final = 2

TIDY_INTERVAL_S: Final = 30.0
"""Sixty viewers, one after the other, left 33 MB more without it."""


class _MallInfo2(ctypes.Structure):
    """glibc's malloc.h: ``uordblks`` is what is handed out of the heaps, ``hblkhd`` what is beside them."""

    _fields_: ClassVar = [
        (name, ctypes.c_size_t)
        for name in (
            "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
        )
    ]


def settle_objects() -> None:
    """What is there now, the modules' 108,000 objects for the most part, is never looked at again by
    Python's collector of cycles. Looking takes 64 ms, in which no other thread runs: two frames' time
    at 30 a second."""
    gc.collect()
    gc.freeze()


def share_heaps() -> None:
    """Let all threads take their memory from a few heaps; call it before there are threads. Where the system
    is not glibc nothing happens.

    By default each thread gets one of its own, eight for each core at most. Streams come and go with their
    threads, and each heap keeps the most that it ever had: 100 MB more after a hundred webcams.
    """
    mallopt = getattr(_libc(), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, ARENAS)


def handed_out_bytes() -> int | None:
    """What the process has of the C library and has not freed: what grows with a leak, where the resident
    memory also grows with gaps between what lasts. Python's small objects are not in it
    (``sys.getallocatedblocks``). None where the system is not glibc 2.33 or newer. Looks at every gap, 0.1 us
    each, while nobody gets memory."""
    mallinfo2 = getattr(_libc(), "mallinfo2", None)
    if mallinfo2 is None:
        return None
    mallinfo2.restype = _MallInfo2
    found = mallinfo2()
    return int(found.uordblks + found.hblkhd)


async def keep_tidy(interval_s: float = TIDY_INTERVAL_S) -> None:
    """Until cancelled. What ended peers leave are objects that refer to each other in circles. They go now,
    and not with a collection some minutes later, until when more of them would come; then the memory is given
    back. After ``settle_objects`` there is little to look at."""
    while True:
        await asyncio.sleep(interval_s)
        try:
            await asyncio.to_thread(_tidy)
        except RuntimeError as error:  # there can be no thread now; the next time there may
            logger.warning("the memory is not tidied: %s", error)


def _tidy() -> None:
    gc.collect()
    give_back_memory()


def give_back_memory() -> None:
    """What was used and is free goes back to the system, from the middle of a heap too. By itself glibc gives
    back only what is free at the end: one small object that lasts, above a stream's buffers, keeps all
    that was below it, 600 MB after forty estimators, of which 20 were in use. Other C libraries give back by
    themselves. Takes some milliseconds: not for the event loop."""
    _malloc_trim()(0)


@functools.cache
def _malloc_trim() -> Callable[[int], object]:
    return getattr(_libc(), "malloc_trim", lambda keep_bytes: None)


def _libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" else None
