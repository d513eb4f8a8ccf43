"""The end of the service: asked for by a signal, in good order, and over in time whatever hangs.

SIGTERM or SIGINT: no new work, readers and viewers are told, everything closes side by side. A second one
ends the process at once. So does the deadline, for what can't be closed: a thread in a driver, a dead disk.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable
from queue import SimpleQueue
from types import FrameType
from typing import Final, NoReturn, TypeVar

T = TypeVar("T")

logger = logging.getLogger(__name__)

DEADLINE_S: Final = 8.0
"""From the signal to the exit. Docker kills after 10 s, systemd after 90."""

NEWS_S: Final = 0.3
"""For the news to reach viewers and readers before their connections are closed; requests that come
meanwhile are told to come later."""

CLOSE_TIMEOUT_S: Final = 5.2
"""For all that closes side by side. aiohttp's share is twice SHUTDOWN_TIMEOUT_S (app.py)."""

LAST_WORDS_S: Final = 0.5

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether the service was told to end."""

    def __init__(self, deadline_s: float = DEADLINE_S) -> None:
        self._asked = asyncio.Event()
        self._deadline_s = deadline_s
        self._came: SimpleQueue[int] = SimpleQueue()

    def listen(self) -> None:
        """To the signals; called on the event loop."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(NotImplementedError):  # Windows: KeyboardInterrupt does it
            for number in SIGNALS:
                loop.add_signal_handler(number, self._on_signal)
                # asyncio's own does nothing here, and leaves all to a loop that may stand still in a call.
                signal.signal(number, self._at_once)
            threading.Thread(target=self._watch, name="stop", daemon=True).start()

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    async def wait(self) -> None:
        await self._asked.wait()

    async def unless_asked(self, work: Awaitable[T]) -> T | None:
        """Its result, or None as soon as the service is to end: the work is cancelled then."""
        task = asyncio.ensure_future(work)
        asked = asyncio.ensure_future(self._asked.wait())
        try:
            await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            for each in (task, asked):
                each.cancel()

    def _at_once(self, number: int, frame: FrameType | None) -> None:
        """Between any two steps of the first thread: no lock may be asked for here."""
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)  # the kernel's, which nothing here can hold up
        self._came.put(number)

    def _watch(self) -> None:
        number = self._came.get()
        logger.info(
            "%s: the service ends; once more, and it ends at once", signal.strsignal(number)
        )
        time.sleep(self._deadline_s)
        _give_up()

    def _on_signal(self) -> None:
        """On the event loop, when that comes to it."""
        for each in SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)  # asyncio puts back what was before
        self._asked.set()


async def close_together(timeout_s: float, **works: Awaitable[object]) -> None:
    """Closes them side by side. What takes longer is left behind with a word in the log, and so is what
    fails: nothing may keep the rest from closing. Whoever is left behind is cancelled and not waited for."""
    tasks = [asyncio.ensure_future(_named(name, work)) for name, work in works.items()]
    done, late = await asyncio.wait(tasks, timeout=timeout_s)
    names = dict(zip(tasks, works, strict=True))
    for task in done:
        if (error := task.exception()) is not None:
            logger.error("%s could not be closed", names[task], exc_info=error)
    for task in late:
        logger.error("%s could not be closed in %.1f s and are left behind", names[task], timeout_s)
        task.cancel()


async def _named(name: str, work: Awaitable[object]) -> None:
    if (task := asyncio.current_task()) is not None:
        task.set_name(f"close-{name}")
    await work


def leave(code: int = 0) -> NoReturn:
    """Ends the process without Python's own clearing up, which waits for threads, and in which one that hangs
    in a driver can crash the rest. Children end with their parent (isolation); what is to be kept has been
    written by now."""
    logging.shutdown()
    with contextlib.suppress(OSError):  # whoever read it is gone
        sys.stdout.flush()
    os._exit(code)


def _give_up() -> None:
    """The log may be what hangs, and some thread have its lock."""
    words = threading.Thread(target=_say_who_hangs, daemon=True)
    words.start()
    words.join(LAST_WORDS_S)
    os._exit(0)


def _say_who_hangs() -> None:
    alive = [each.name for each in threading.enumerate() if each is not threading.current_thread()]
    logger.error("some threads hang, the process ends without them: %s", ", ".join(alive))
    logging.shutdown()
