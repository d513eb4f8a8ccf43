"""One stage of a pipeline in a thread of its own, a few items ahead of whoever takes them."""

import queue
import threading
from collections.abc import Iterator
from typing import Generic, Self, TypeVar

T = TypeVar("T")

_LOOK_AGAIN_S = 0.05


class Ahead(Generic[T]):
    """Runs a generator in a thread, at most ``size`` items ahead; a context manager, whose end stops the
    generator, closes it in that thread and waits for it. The generator's error is raised where the
    items are taken."""

    def __init__(self, items: Iterator[T], size: int, name: str) -> None:
        self._items = items
        self._queue: queue.Queue[T | _End] = queue.Queue(size)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        while self._thread.is_alive():  # it may be waiting for room
            try:
                self._queue.get(timeout=_LOOK_AGAIN_S)
            except queue.Empty:
                continue
        self._thread.join()

    @property
    def ident(self) -> int | None:
        """The thread's."""
        return self._thread.ident

    def __iter__(self) -> Iterator[T]:
        while not isinstance(item := self._queue.get(), _End):
            yield item
        if item.error is not None:
            raise item.error

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._items:
                self._queue.put(item)
                if self._stopped.is_set():
                    break
            close = getattr(self._items, "close", None)
            if close is not None:
                close()
        except BaseException as caught:  # carried over to whoever takes the items
            error = caught
        self._queue.put(_End(error))


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error
