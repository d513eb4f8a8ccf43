"""A child process, seen from the thread that gives it work."""

import contextlib
import logging
import signal
import socket
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from streamer.aio import assert_off_loop
from streamer.config import WorkersConfig
from streamer.errors import WorkerDied, WorkerHung, WorkerStuck
from streamer.isolation import lives
from streamer.isolation.channel import Channel, ChannelBroken, ChannelClosed
from streamer.isolation.landlock import Rights
from streamer.isolation.roles import ROLES
from streamer.isolation.worker import CRASH

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from streamer.isolation.lives import Life

LAST_LOOK_S: Final = 0.5
"""Between the end of a child's messages and its own, if it died."""

failures: Final = Counter[tuple[str, str]]()
"""Children that were lost, by role and by how: "died", "hung" or "lied". For the metrics."""

logger = logging.getLogger(__name__)

END_TIMEOUT_S: Final = 1.0
"""For a killed child to be gone; one that hangs in the kernel (a disk, a camera) is left to it."""

_left: Final[list[tuple[str, str, "Life"]]] = []
"""Those that were, with role and name. No other is started beside one: a camera whose driver hangs is tried
again every few seconds, and each try would be one more process until there can be none."""

_leaving: Final = threading.Lock()
"""Of this list: two that are closed, or started, at a time may have one name, as a stream and a probe do."""


class Child:
    """One process for one stream. ``start``, ``send``, ``receive`` and ``close`` come from one thread at a
    time and never from the event loop; ``kill`` and ``finish`` from anywhere.

    ``role``: a key of ``ROLES``, which says what runs there. ``name``: the stream's, for ``ps`` and the
    log. ``rights``: what it may reach. Everything a child says may be a lie: its user checks sizes, kinds
    and texts.
    """

    def __init__(
        self, role: str, name: str, rights: Rights, config: WorkersConfig | None = None
    ) -> None:
        self.pid = 0
        self._role = role
        self._name = name
        self._rights = rights
        self._config = config or WorkersConfig()
        self._channel: Channel | None = None
        self._life: Life | None = None
        self._lock = threading.Lock()
        self._killed = threading.Event()

    def start(self) -> None:
        """Within milliseconds. Raises WorkerDied when there can be no child now, and WorkerStuck when the
        last one of this role and name can't be ended."""
        assert_off_loop()
        self._check_room()
        with contextlib.ExitStack() as stack:  # of what there is when the rest can't be had
            try:
                self._begin(stack)
            except OSError as error:
                raise WorkerDied(f"No worker can be started: {error.strerror}.") from error
            stack.pop_all()
        if self._killed.is_set():
            self.kill()

    def _check_room(self) -> None:
        with _leaving:
            for each in [each for each in _left if each[2].has_ended()]:
                _left.remove(each)
                each[2].close()
            if any((role, name) == (self._role, self._name) for role, name, _ in _left):
                raise WorkerStuck(
                    f"The last {self._role} worker of {self._name} hangs in the system and can't be ended: "
                    "no other is started beside it."
                )

    def _begin(self, stack: contextlib.ExitStack) -> None:
        here, there = socket.socketpair()
        stack.callback(here.close)
        most = self._config.max_memory_mb << 20
        title = f"streamer-worker {self._role} {self._name}"
        with there:
            life = lives.begin(ROLES[self._role], title, most, self._rights, there)
        stack.callback(life.close)
        channel = Channel(here, life.memory, is_child=False)
        with self._lock:
            self._life, self.pid, self._channel = life, life.pid, channel

    def send(
        self, header: dict[str, Any], *buffers: "ReadableBuffer", timeout_s: float | None = None
    ) -> None:
        """Raises WorkerDied, and WorkerHung when it takes nothing for ``timeout_s`` (default: the
        configuration's); ValueError when the body does not fit into a slot of 16 MiB."""
        timeout_s = self._config.hang_timeout_s if timeout_s is None else timeout_s
        try:
            self._connected().send(header, *buffers, timeout_s=timeout_s)
        except ChannelClosed as error:
            raise self._death() from error
        except ChannelBroken as error:
            raise self._lie(error) from error
        except TimeoutError as error:
            raise self._hang() from error

    def receive(self, timeout_s: float) -> tuple[dict[str, Any], memoryview]:
        """Its next message; the body holds until the next call. Raises WorkerDied, and WorkerHung when
        none came in time. In both cases the child is ended."""
        assert_off_loop()
        try:
            header, body = self._connected().receive(timeout_s)
        except ChannelClosed as error:
            raise self._death() from error
        except ChannelBroken as error:
            raise self._lie(error) from error
        except TimeoutError as error:
            raise self._hang() from error
        if CRASH in header:
            words = str(header[CRASH])
            logger.warning("the %s worker of %s failed: %s", self._role, self._name, words)
            raise self._death()
        return header, body

    def wait(self, timeout_s: float) -> bool:
        """Whether something has come within this time, if only its end. Raises WorkerHung when the
        child is stopped or is at a piece of work for too long."""
        assert_off_loop()
        channel = self._connected()
        if channel.wait(timeout_s):
            return True
        now_mono, memory = time.monotonic(), channel.memory
        stopped = now_mono - memory.pulse_mono > self._config.hang_timeout_s
        if stopped or 0.0 < memory.busy_until_mono < now_mono:
            raise self._hang()
        return False

    def refuse(self, lie: str) -> WorkerDied:
        """The child said what can't be true: ends it. The error is for the caller to raise."""
        return self._lie(lie)

    def finish(self) -> None:
        """Asks it to end by itself."""
        with self._lock:
            if self._channel is not None and self._life is not None:
                self._channel.finish()
                self._life.finish()

    def kill(self) -> None:
        """At once, from any thread. ``receive`` raises WorkerDied."""
        self._killed.set()
        with self._lock:
            if self._channel is not None and self._life is not None:
                self._channel.cut()
                self._life.kill()

    def close(self) -> None:
        """Ends it and waits until it is gone; twice is safe."""
        self.kill()
        with self._lock:
            channel, self._channel = self._channel, None
            life, self._life = self._life, None
        if channel is None or life is None:
            return
        if life.exit_code(END_TIMEOUT_S) is None and not life.has_ended():
            logger.warning("the %s worker of %s hangs in the system", self._role, self._name)
            with _leaving:
                _left.append((self._role, self._name, life))
        else:
            life.close()
        channel.close()
        life.memory.close()

    def _connected(self) -> Channel:
        if self._channel is None:
            raise WorkerDied(f"The {self._role} worker of {self._name} is not running.")
        return self._channel

    def _death(self) -> WorkerDied:
        reason = self._reason()
        if not self._killed.is_set():
            failures[self._role, "died"] += 1
        self.kill()
        return WorkerDied(f"The {self._role} worker of {self._name} died{reason}.")

    def _lie(self, error: object) -> WorkerDied:
        failures[self._role, "lied"] += 1
        self.kill()
        logger.warning("the %s worker of %s said %s", self._role, self._name, error)
        return WorkerDied(f"The {self._role} worker of {self._name} said what can't be true.")

    def _hang(self) -> WorkerHung:
        failures[self._role, "hung"] += 1
        self.kill()
        return WorkerHung(f"The {self._role} worker of {self._name} hung and was ended.")

    def _reason(self) -> str:
        """How it ended, as far as it is known a moment later."""
        if self._killed.is_set():
            return ": it was ended"
        code = None if self._life is None else self._life.exit_code(LAST_LOOK_S)
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                return f" of {signal.Signals(-code).name}"
        return "" if code is None else f" with exit code {code}"
