"""Processes that do tasks: a crash in a decoder or in MediaPipe ends one of them, and fails one task.

They hold one another up less than threads would, and end by themselves when this process is gone.
"""

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol, Self

import av.error

from streamer.analyze.segment import Report
from streamer.errors import StreamerError

_REPORT_S = 0.1
_END_S = 5.0


class Task(Protocol):
    """Plain data that goes to another process, and so does what ``run`` returns."""

    def run(self, report: Report) -> Any: ...


@dataclass(frozen=True, slots=True)
class Progress:
    frames: int


@dataclass(frozen=True, slots=True)
class Done:
    result: Any


@dataclass(frozen=True, slots=True)
class Failed:
    reason: str


Event = Progress | Done | Failed


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    connection: Connection
    task: Task | None = None


class Pool:
    """At most ``size`` processes, each with one task; started when there is something to do. Used in one
    thread; a context manager, whose end ends the processes, whatever they do."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._context = multiprocessing.get_context("spawn")  # MediaPipe's threads survive no fork
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            self._end(worker)
        self._workers.clear()

    @property
    def has_room(self) -> bool:
        return sum(worker.task is not None for worker in self._workers) < self._size

    @property
    def is_busy(self) -> bool:
        return any(worker.task is not None for worker in self._workers)

    def start(self, task: Task) -> None:
        """Call it while the pool has room."""
        idle = next((worker for worker in self._workers if worker.task is None), None)
        worker = idle or self._hire()
        worker.task = task
        try:
            worker.connection.send(task)
        except OSError:
            pass  # it died between two tasks, which ``events`` will tell

    def events(self, timeout_s: float) -> Iterator[tuple[Task, Event]]:
        """What happened to tasks, as soon as anything does."""
        busy = [worker for worker in self._workers if worker.task is not None]
        ready = wait([worker.connection for worker in busy], timeout_s)
        for worker in busy:
            if worker.connection not in ready:
                continue
            task = worker.task
            assert task is not None
            try:
                event: Event = worker.connection.recv()
            except (EOFError, OSError):
                self._workers.remove(worker)
                event = Failed(self._end(worker))
            if not isinstance(event, Progress):
                worker.task = None
            yield task, event

    def _hire(self) -> _Worker:
        here, there = self._context.Pipe()
        process = self._context.Process(target=_work, args=(there,), daemon=True)
        process.start()
        there.close()  # so that its end is seen here
        worker = _Worker(process, here)
        self._workers.append(worker)
        return worker

    def _end(self, worker: _Worker) -> str:
        """How it came to its end."""
        worker.connection.close()
        worker.process.join(_END_S)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join(_END_S)
        code = worker.process.exitcode or 0
        how = f"signal {-code}" if code < 0 else f"status {code}"
        return f"the process that worked on it ended with {how}; is there enough memory?"


def _work(connection: Connection) -> None:
    """A process's life: tasks one by one, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches all; the first process decides
    _silence()
    while True:
        try:
            task: Task = connection.recv()
            event = _outcome(task, connection)
            connection.send(event)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return


def _outcome(task: Task, connection: Connection) -> Event:
    counted, told_mono = 0, time.monotonic()

    def report(frames: int) -> None:
        """Raises BrokenPipeError when nobody is there any more: the work then ends."""
        nonlocal counted, told_mono
        counted += frames
        if time.monotonic() - told_mono > _REPORT_S:
            connection.send(Progress(counted))
            counted, told_mono = 0, time.monotonic()

    try:
        result = task.run(report)
        connection.send(Progress(counted))
        return Done(result)
    except (BrokenPipeError, ConnectionResetError):
        raise
    except StreamerError as error:
        return Failed(str(error))
    except (OSError, av.error.FFmpegError) as error:
        return Failed(f"{error.strerror or error}")
    except Exception:  # a fault of ours fails this task, and is told in full
        return Failed(f"this is a fault of Streamer's:\n{traceback.format_exc()}")


def _silence() -> None:
    """MediaPipe and FFmpeg write remarks to stderr, where the progress is shown."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
