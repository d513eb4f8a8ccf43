"""What runs in a child: the side of the channel that does the work."""

import contextlib
import importlib
import os
import select
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from streamer.isolation.channel import Channel, ChannelBroken, ChannelClosed
from streamer.isolation.memory import SharedMemory

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PULSE_S: Final = 0.2
"""Between two signs of life."""

SEND_TIMEOUT_S: Final = 10.0
"""A parent that takes nothing for so long has forgotten this child."""

CRASH: Final = "crash"
"""The key of a child's last words; no other header has it."""

MAX_LAST_WORDS: Final = 2000  # characters


class Worker:
    """The child's end of the channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._finished = threading.Event()
        self._on_finish: Callable[[], None] = lambda: None

    def when_finished(self, act: Callable[[], None]) -> None:
        """Calls it, in another thread, once the parent waits for our end."""
        self._on_finish = act
        if self._finished.is_set():
            act()

    def finish(self) -> None:
        """The parent waits for our end."""
        self._finished.set()
        self._on_finish()

    def receive(self) -> tuple[dict[str, Any], memoryview]:
        """The next message, whenever it comes; its body holds until the next. Raises ChannelClosed at
        the end."""
        while not self._channel.wait(PULSE_S):
            pass
        return self._channel.receive(SEND_TIMEOUT_S)

    def send(self, header: dict[str, Any], *buffers: "ReadableBuffer") -> None:
        """Raises ChannelClosed, TimeoutError; ValueError when the body does not fit into a slot."""
        self._channel.send(header, *buffers, timeout_s=SEND_TIMEOUT_S)

    def close(self) -> None:
        self._channel.close()

    @contextlib.contextmanager
    def working(self, limit_s: float) -> Iterator[None]:
        """Around what could hang: after this time the parent takes it for hung."""
        self._channel.memory.set_busy_until(time.monotonic() + limit_s)
        try:
            yield
        finally:
            self._channel.memory.set_busy_until(0.0)


def live(module: str, connection: socket.socket, memory_descriptor: int) -> int:
    """A child's life; returns its exit code."""
    memory = SharedMemory(memory_descriptor)
    os.close(memory_descriptor)
    worker = Worker(Channel(connection, memory, is_child=True))
    memory.set_pulse(time.monotonic())
    pulse = threading.Thread(target=_beat, args=(worker, connection, memory), daemon=True)
    pulse.start()
    return run(module, worker)


def run(module: str, worker: Worker) -> int:
    """The module's ``main(worker)`` to its end. Python's errors reach the parent as text."""
    try:
        importlib.import_module(module).main(worker)
    except (ChannelClosed, ChannelBroken):
        return 0  # the parent is gone, or has finished with us
    except BaseException:
        words = traceback.format_exc()[-MAX_LAST_WORDS:]
        with contextlib.suppress(ChannelClosed, TimeoutError):
            worker.send({CRASH: words})
        return 1
    return 0


def _beat(worker: Worker, connection: socket.socket, memory: SharedMemory) -> None:
    """Shows that this process runs; ends it once its parent is gone, even if it waits or works."""
    half_closed = getattr(select, "POLLRDHUP", 0)  # Linux
    poll = select.poll()
    poll.register(connection, half_closed)  # the end (POLLHUP) is always told
    while True:
        memory.set_pulse(time.monotonic())
        for _, event in poll.poll(PULSE_S * 1000):
            if event & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
                os._exit(0)
            worker.finish()
            poll.modify(connection, 0)
