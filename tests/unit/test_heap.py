"""Memory that comes back: heaps of threads, the collector of cycles, what is free in the middle."""

import asyncio
import contextlib
import gc
import subprocess
import sys
import threading
import weakref

from streamer.heap import handed_out_bytes, keep_tidy, settle_objects
from tests.fakes import PATIENCE_S

HEAPS_OF_THREADS = """
import sys, threading
from streamer.heap import share_heaps
if sys.argv[1] == "shared":
    share_heaps()
everybody = threading.Barrier(6)
def work():
    kept = [bytes(70_000) for _ in range(20)]  # too large for Python's own heap
    everybody.wait()
threads = [threading.Thread(target=work) for _ in range(6)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
starts = [int(line.split("-")[0], 16) for line in open("/proc/self/maps") if len(line.split()) == 5]
print(sum(start % (64 << 20) == 0 for start in starts))  # glibc begins each heap of threads at such a place
"""


def test_threads_share_a_few_heaps() -> None:
    def heaps(how: str) -> int:
        command = [sys.executable, "-c", HEAPS_OF_THREADS, how]
        return int(subprocess.run(command, capture_output=True, check=True, timeout=15).stdout)

    assert heaps("shared") < 3 < heaps("apart")


def test_collector_of_cycles_has_next_to_nothing_to_look_at_once_the_service_runs() -> None:
    before = len(gc.get_objects())
    try:
        settle_objects()
        assert len(gc.get_objects()) < before / 20
    finally:
        gc.unfreeze()


def test_handed_out_memory_is_what_was_asked_for_and_not_freed() -> None:
    before = handed_out_bytes()
    kept = [bytearray(50_000) for _ in range(400)]  # too large for Python's own heap
    large = bytearray(64 << 20)  # beside glibc's heaps
    with_them = handed_out_bytes()
    assert before is not None
    assert with_them is not None
    assert with_them - before > 19e6 + len(large)
    del kept, large
    after = handed_out_bytes()
    assert after is not None
    assert after - before < 2e6


class Peer:
    """Refers to itself, as what aiortc leaves of one."""

    def __init__(self) -> None:
        self.me = self


async def test_what_ended_peers_leave_is_collected_every_now_and_then() -> None:
    gone = threading.Event()
    gc.disable()  # by itself the collector comes some time
    tidying = asyncio.create_task(keep_tidy(interval_s=0.01))
    try:
        weakref.finalize(Peer(), gone.set)
        assert await asyncio.to_thread(gone.wait, PATIENCE_S)
    finally:
        gc.enable()
        tidying.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await tidying


PINNED_HEAP = """
import ctypes, sys
from streamer.heap import give_back_memory
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
blocks = [libc.malloc(60_000) for _ in range(500)]  # below what glibc takes from the system by itself
for block in blocks:
    ctypes.memset(ctypes.c_void_p(block), 1, 60_000)
libc.malloc(60_000)  # at the end of the heap: it stays
for block in blocks:
    libc.free(ctypes.c_void_p(block))
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
before = resident()
give_back_memory()
print(before - resident())
"""


def test_what_is_free_below_something_that_stays_is_given_back() -> None:
    command = [sys.executable, "-c", PINNED_HEAP]
    given = int(subprocess.run(command, capture_output=True, check=True).stdout)
    assert given > 25 << 20
