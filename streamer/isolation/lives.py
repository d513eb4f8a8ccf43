"""How a child lives: as a process, or where the system can't fork (Windows) as a thread of the service."""

import contextlib
import logging
import os
import select
import signal
import socket
import threading
import time
from typing import Final, Protocol

from streamer.isolation.channel import Channel
from streamer.isolation.landlock import Rights
from streamer.isolation.memory import SharedMemory, new_memory
from streamer.isolation.nursery import Born, nursery
from streamer.isolation.worker import Worker, run

logger = logging.getLogger(__name__)

END_LOOK_S: Final = 0.002


class Life(Protocol):
    """``pid``: of the process in which it works. ``memory``: what it shares with us."""

    pid: int
    memory: SharedMemory

    def finish(self) -> None:
        """The channel's end was shut: it may end by itself."""

    def kill(self) -> None:
        """At once, from any thread; twice is safe."""

    def exit_code(self, timeout_s: float) -> int | None:
        """Once it has ended, within this time; negative: the signal. None: not known."""

    def has_ended(self) -> bool:
        """As far as it can be known."""

    def close(self) -> None: ...


class ProcessLife:
    """A child of the fork server."""

    def __init__(
        self, module: str, title: str, max_bytes: int, rights: Rights, connection: socket.socket
    ) -> None:
        """Raises OSError, WorkerDied."""
        descriptor = new_memory()
        try:
            self.memory = SharedMemory(descriptor)
            descriptors = (connection.fileno(), descriptor)
            born = nursery.start(module, title, max_bytes, rights, descriptors)
        finally:
            os.close(descriptor)
        self.memory.set_pulse(time.monotonic())
        self.pid = born.pid
        self._born: Born | None = born
        self._lock = threading.Lock()

    def finish(self) -> None:
        """It sees the end by itself."""

    def kill(self) -> None:
        with self._lock:
            if self._born is None:
                return
            if self._born.descriptor is None:
                nursery.kill(self._born.number)
                return
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._born.descriptor, signal.SIGKILL)

    def exit_code(self, timeout_s: float) -> int | None:
        born = self._born
        if born is None:
            return None
        deadline = time.monotonic() + timeout_s
        if born.descriptor is not None and not _ends(born.descriptor, timeout_s):
            return None
        while (code := nursery.exit_code(born.number)) is None and time.monotonic() < deadline:
            time.sleep(END_LOOK_S)
        return code

    def has_ended(self) -> bool:
        with self._lock:
            descriptor = None if self._born is None else self._born.descriptor
            return descriptor is None or _ends(descriptor, 0.0)

    def close(self) -> None:
        with self._lock:
            born, self._born = self._born, None
        if born is not None and born.descriptor is not None:
            os.close(born.descriptor)


def _ends(descriptor: int, timeout_s: float) -> bool:
    """Whether the process does within this time. The fork server, which others need, is left alone."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


class ThreadLife:
    """It can neither be killed nor limited: this is no isolation, only the same work."""

    def __init__(
        self, module: str, title: str, max_bytes: int, rights: Rights, connection: socket.socket
    ) -> None:
        self.pid = os.getpid()
        self.memory = SharedMemory(-1)
        self.memory.set_pulse(float("inf"))  # nobody stops a thread
        self._title = title
        self._worker = Worker(Channel(connection.dup(), self.memory, is_child=True))
        work = threading.Thread(target=self._run, args=(module,), name=title, daemon=True)
        self._ended = threading.Event()
        self._code: int | None = None
        work.start()

    def finish(self) -> None:
        self._worker.finish()

    def kill(self) -> None:
        self._worker.finish()

    def exit_code(self, timeout_s: float) -> int | None:
        self._ended.wait(timeout_s)
        return self._code

    def has_ended(self) -> bool:
        return self._ended.is_set()

    def close(self) -> None:
        if not self._ended.is_set():
            logger.warning("a thread hangs and was abandoned: %s", self._title)

    def _run(self, module: str) -> None:
        try:
            self._code = run(module, self._worker)
        finally:
            self._worker.close()
            self._ended.set()


CAN_FORK: Final = hasattr(os, "fork")


def prepare() -> None:
    """So that the first child need not wait. Raises WorkerDied."""
    if CAN_FORK:
        nursery.warm_up()


def end() -> None:
    """No child lives after this, and none is started."""
    nursery.close(for_good=True)


def begin(
    module: str, title: str, max_bytes: int, rights: Rights, connection: socket.socket
) -> Life:
    """``connection``: the child's end, which the caller closes. Raises OSError, WorkerDied."""
    kind = ProcessLife if CAN_FORK else ThreadLife
    return kind(module, title, max_bytes, rights, connection)
