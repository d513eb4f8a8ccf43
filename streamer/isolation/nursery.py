"""Starting children: from the fork server, which is started when it is needed and again when it died."""

import contextlib
import itertools
import json
import logging
import os
import socket
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from streamer.errors import WorkerDied
from streamer.isolation.forks import MAX_LINE_BYTES
from streamer.isolation.landlock import Rights

logger = logging.getLogger(__name__)

START_TIMEOUT_S: Final = 60.0  # from a cold disk, on a busy machine
ANSWER_TIMEOUT_S: Final = 2.0  # a fork takes 4 ms
CLOSE_LOOK_S: Final = 0.05
_PADDING: Final = "-" * 120  # room for the titles of children, in place of the arguments
_PACKAGES: Final = Path(__file__).resolve().parents[2]

Answer = tuple[dict[str, Any], int | None]


@dataclass(frozen=True, slots=True)
class Born:
    """A child. ``number``: its id here. ``descriptor``: of the process (pidfd_open(2)), to be closed by
    whoever has it; None where there is no such thing."""

    number: int
    pid: int
    descriptor: int | None


class Nursery:
    """The fork server, seen from the service. From any thread, but never from the event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_over = False
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def warm_up(self) -> None:
        """So that the first child need not wait for the imports. Raises WorkerDied."""
        with self._lock:
            try:
                self._running()
            except OSError as error:
                self._end()
                raise WorkerDied(_no_worker(error.strerror)) from error

    def start(
        self,
        module: str,
        title: str,
        max_memory_bytes: int,
        rights: Rights,
        descriptors: tuple[int, int],
    ) -> Born:
        """Raises WorkerDied when no child can be had."""
        number = next(self._numbers)
        request = {
            **{"do": "start", "id": number, "module": module, "title": title},
            **{"max_memory_bytes": max_memory_bytes, "rights": asdict(rights)},
        }
        with self._lock:
            try:
                answer, got = self._ask(request, descriptors)
            except (OSError, ValueError):  # it died since the last: a fresh one
                self._end()
                try:
                    answer, got = self._ask(request, descriptors)
                except (OSError, ValueError) as error:
                    self._end()
                    raise WorkerDied("The process that starts workers does not answer.") from error
        if "error" in answer:
            raise WorkerDied(_no_worker(answer["error"]))
        return Born(number, int(answer["pid"]), got)

    def kill(self, number: int) -> None:
        """At once; twice is safe."""
        with self._lock:
            try:
                self._ask_only({"do": "kill", "id": number})
            except (OSError, ValueError):
                self._end()  # and with it all of its children

    def exit_code(self, number: int) -> int | None:
        """Of a child that has ended; negative: the signal. None while it lives or is not known."""
        with self._lock:
            try:
                answer, _ = self._ask_only({"do": "ask", "id": number})
            except (OSError, ValueError):
                self._end()
                return None
        return answer.get("code")

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None else None

    def close(self, *, for_good: bool = False) -> None:
        """Ends it and its children, and does not wait until it has started if it is only starting.
        ``for_good``: no other is started, whoever wants a child."""
        self._is_over |= for_good
        while not self._lock.acquire(timeout=CLOSE_LOOK_S):
            if (process := self._process) is not None:
                process.kill()  # whoever waits for what it says has the lock
        try:
            self._end()
        finally:
            self._lock.release()

    def _ask_only(self, request: dict[str, Any]) -> Answer:
        """Of one that runs: another would know nothing of the child."""
        return self._ask(request) if self._control is not None else ({}, None)

    def _ask(self, request: dict[str, Any], descriptors: tuple[int, ...] = ()) -> Answer:
        control = self._running()
        line = json.dumps(request).encode()
        if len(line) > MAX_LINE_BYTES:  # cut off it would be the end of all children
            raise WorkerDied(_no_worker("the names of its files are too long"))
        socket.send_fds(control, [line], descriptors)
        return _line(control)

    def _running(self) -> socket.socket:
        if self._is_over:
            raise WorkerDied("No worker is started any more: the service ends.")
        if self._control is not None and self._process is not None:
            if self._process.poll() is None:
                return self._control
            logger.warning("the process that starts workers died: it is started again")
            self._end()
        here, there = socket.socketpair()
        self._control = here
        with there:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "streamer.isolation.forks", _PADDING],
                stdin=there.fileno(),
                stdout=subprocess.DEVNULL,
                env=environment(),
                # Out of the reach of Ctrl+C, but in the same session: Linux weighs sessions against
                # each other (sched(7), autogroup).
                process_group=0,
            )
        here.settimeout(START_TIMEOUT_S)
        try:
            _line(here)
        except (OSError, ValueError) as error:
            self._end()
            raise WorkerDied("The process that starts workers does not start.") from error
        here.settimeout(ANSWER_TIMEOUT_S)
        return here

    def _end(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(ANSWER_TIMEOUT_S)
        self._control = self._process = None


def _no_worker(reason: str | None) -> str:
    return f"No worker can be started: {reason}."


def _line(control: socket.socket) -> Answer:
    """An answer, and the descriptor that came with it. Raises OSError, ValueError."""
    line, got = b"", None
    while not line.endswith(b"\n"):
        part, descriptors, _, _ = socket.recv_fds(control, MAX_LINE_BYTES, 1)
        if not part:
            raise ConnectionResetError
        line += part
        got = descriptors[0] if descriptors else got
    return json.loads(line), got


def environment() -> dict[str, str]:
    """The same code as ours, wherever it lies; none of our settings, since a token is among them."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("STREAMER_")}
    paths = [str(_PACKAGES), kept.get("PYTHONPATH", "")]
    # With threads of its own, OpenBLAS would make the fork server one that can't fork safely.
    own = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "OPENBLAS_NUM_THREADS": "1"}
    return kept | own


nursery: Final = Nursery()
"""The service's one."""
