"""Small tools of concurrency, without words of the domain."""

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")

SILENCE_S = 10.0
"""Between two words about faults in one kind of listener: they come with every frame."""

END_S = 30.0
"""For a thread that was told to end: longer than all that it may wait for by our own limits."""

_spoken_mono: dict[type, float] = {}


class LatestSlot(Generic[T]):
    """Hands the newest item from any thread to one consumer thread; an item not taken in time is dropped."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self._closed = False

    def put(self, item: T) -> bool:
        """Never blocks. True if an item that nobody had taken was replaced."""
        with self._changed:
            if self._closed:
                return False
            replaced = self._item is not None
            self._item = item
            self._changed.notify()
            return replaced

    def take(self) -> T | None:
        """Waits for an item; None once the slot is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._item is not None)
            if self._closed:
                return None
            item, self._item = self._item, None
            return item

    def clear(self) -> bool:
        """Forgets a waiting item. True if there was one."""
        with self._changed:
            had, self._item = self._item is not None, None
            return had

    def close(self) -> None:
        """Wakes the consumer; later items are ignored."""
        with self._changed:
            self._closed = True
            self._item = None
            self._changed.notify_all()


def tell_all(listeners: Iterable[T], tell: Callable[[T], object]) -> None:
    """Each of them, as they are now: a fault in one is logged, and costs the others nothing. From any
    thread."""
    for listener in tuple(listeners):
        try:
            tell(listener)
        except Exception:
            kind, now = type(listener), time.monotonic()
            if now - _spoken_mono.get(kind, -SILENCE_S) >= SILENCE_S:
                _spoken_mono[kind] = now
                logger.exception("a %s is at fault, and was passed over", kind.__name__)


def in_daemon_thread(name: str, work: Callable[[], T]) -> Future[T]:
    """Runs what may hang in a thread of its own: neither the threads that all share nor the end of the
    process wait for it. The future can't be cancelled; whoever stops waiting leaves the thread to
    itself."""
    outcome: Future[T] = Future()
    outcome.set_running_or_notify_cancel()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # carried over to whoever waits for it
            outcome.set_exception(error)

    # What is logged there is about what it is here.
    here = contextvars.copy_context()
    threading.Thread(target=here.run, args=(run,), name=name, daemon=True).start()
    return outcome


class Inquiry(Generic[T]):
    """What blocks and may hang, as a disk does, asked in a daemon thread: one at a time, whose answer is for
    all who ask meanwhile. So what hangs has one thread, and none of those that all share."""

    def __init__(self, name: str, ask: Callable[[], T]) -> None:
        self._name = name
        self._ask = ask
        self._under_way: asyncio.Future[T] | None = None
        self._is_late = False

    async def answer(self, timeout_s: float) -> T:
        """Raises TimeoutError, at once where somebody has waited for this answer in vain before."""
        under_way = self._under_way
        if under_way is None or under_way.done():
            under_way = asyncio.wrap_future(in_daemon_thread(self._name, self._ask))
            under_way.add_done_callback(lambda it: it.cancelled() or it.exception())  # seen
            self._under_way, self._is_late = under_way, False
        await asyncio.wait({under_way}, timeout=0.0 if self._is_late else timeout_s)
        if not under_way.done():
            self._is_late = True
            raise TimeoutError
        return under_way.result()


async def cancel_and_wait(*tasks: "asyncio.Task[object] | None") -> None:
    """Cancels the tasks and returns when they are done. Their errors are not raised here: whoever
    owns a task has read its result before cancelling it."""
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def until_ended(thread: threading.Thread, timeout_s: float = END_S) -> None:
    """One that hangs is left behind, with words in the log: it holds up neither whoever closes it nor one of
    the threads that all share."""
    await asyncio.to_thread(thread.join, timeout_s)
    if thread.is_alive():
        logger.error("the thread %s hangs and was abandoned", thread.name)


def percentile(values: Iterable[float], share: float) -> float:
    """The nearest-rank percentile of some values, share in 0..1; NaN when there are none."""
    ordered = sorted(values)
    if not ordered:
        return float("nan")
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def assert_off_loop() -> None:
    """Heavy work calls this first. Raises RuntimeError in a thread whose event loop is running."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError("this work would block the event loop; it belongs in a thread of its own")
