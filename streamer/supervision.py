"""The state machine of one stream: its source is run again and again, and what ends a run says what is next.

CONNECTING ──first frame──► LIVE ──source lost──► RECONNECTING ──first frame──► LIVE
    ├──source error──► RECONNECTING ──error: wait with back-off──► RECONNECTING
    ├──wrong password, forbidden address──► FAILED ──long wait, or restart──► RECONNECTING
    ├──its processes keep dying──► FAILED ──pause of the breaker, or restart──► RECONNECTING
    ├──nobody watches, and it may rest──► PAUSED ──somebody does──► CONNECTING
    └──(from any state) the source's own end, or close──► ENDED
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from streamer.aio import cancel_and_wait
from streamer.breaker import Breaker
from streamer.errors import (
    DecoderDied,
    DecoderGivenUp,
    SourceEnded,
    SourceError,
    SourceForbidden,
    SourceRejected,
    StreamerError,
)
from streamer.logs import now_about
from streamer.model import Status, StreamState
from streamer.ports import FrameReceiver, Source
from streamer.retry import RetryPolicy
from streamer.screens import Watchers
from streamer.telemetry import SessionMeter

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Hands:
    """What a supervisor does with its session, on the event loop.

    ``connect``: the receiver of the connection that now begins. ``disconnect``: nothing of it goes out any
    more; how many frames had come. ``renew_worker``: after it has given up. ``tell``: another status.
    """

    connect: Callable[[], FrameReceiver]
    disconnect: Callable[[], int]
    renew_worker: Callable[[], Awaitable[None]]
    tell: Callable[[Status], None]


class _WorkerGaveUp(Exception):
    """The worker ended. ``error``: why; ``wait_s``: before another is tried."""

    def __init__(self, error: StreamerError, wait_s: float) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait_s = wait_s


class Supervisor:
    """Of the stream ``name``. Belongs to the event loop's thread.

    ``estimators``: the breaker of the stream's estimators, for its worker, of which ``give_up`` tells.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        retry: RetryPolicy,
        watchers: Watchers,
        meter: SessionMeter,
        hands: Hands,
    ) -> None:
        self.estimators = Breaker(retry)
        self._readers = Breaker(retry)  # the source's processes
        self._name = name
        self._source = source
        self._retry = retry
        self._watchers = watchers
        self._meter = meter
        self._hands = hands
        self._loop = asyncio.get_running_loop()
        self._worker_end: asyncio.Future[_WorkerGaveUp] = self._loop.create_future()
        self._task: asyncio.Task[None] | None = None

    @property
    def worker_restarts(self) -> int:
        """How often a process (or thread) that works for the stream died, or hung, and was replaced."""
        return self.estimators.deaths + self._readers.deaths

    def start(self) -> None:
        """Whatever had failed before is tried now."""
        self.estimators.close()
        self._readers.close()
        self._worker_end = self._loop.create_future()
        self._task = self._loop.create_task(self._run(), name=f"source-{self._name}")

    async def stop(self) -> None:
        """Closes the source and waits for it. Twice is safe."""
        await cancel_and_wait(self._task)

    def give_up(self, error: StreamerError, wait_s: float | None) -> None:
        """The worker did, and another may be tried after ``wait_s``; None: when a person has mended it."""
        logger.error("stream %s: its worker gave up: %s", self._name, error)
        if not self._worker_end.done():
            wait_s = self._retry.rejected_s if wait_s is None else wait_s
            self._worker_end.set_result(_WorkerGaveUp(error, wait_s))

    async def _run(self) -> None:
        now_about(stream=self._name)
        attempt = 0
        while True:
            try:
                if not self._watchers.may_rest:  # a camera that is down is not tried for nobody
                    await self._run_source()
                self._hands.disconnect()
                await self._rest()
                continue
            except SourceEnded as ended:
                self._hands.disconnect()
                self._hands.tell(Status(StreamState.ENDED, str(ended)))
                return
            except Exception as error:
                had_video = self._hands.disconnect() > 0
                attempt = 1 if had_video else attempt + 1
                self._meter.losses += had_video and isinstance(error, SourceError)
                status = self._judge(error, attempt)
            await self._wait_for_retry(status)

    async def _run_source(self) -> None:
        """One connection. Returns once nobody watches a stream that may pause; else raises what ended
        it."""
        if self._worker_end.done():  # it gave up between two connections
            raise self._worker_end.result()
        running = self._loop.create_task(self._source.run(self._hands.connect()))
        resting = self._loop.create_task(self._watchers.until_idle())
        try:
            awaited: set[asyncio.Future[Any]] = {running, resting, self._worker_end}
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            if self._worker_end.done():
                raise self._worker_end.result()
            if running.done():
                running.result()
        finally:
            await cancel_and_wait(running, resting)

    async def _rest(self) -> None:
        self._hands.tell(Status(StreamState.PAUSED, "nobody watches"))
        await self._watchers.until_wanted()
        self._hands.tell(Status(StreamState.CONNECTING, "opening the camera"))

    def _judge(self, error: Exception, attempt: int) -> Status:
        """What a connection's end means, and when the next is tried."""
        match error:
            case _WorkerGaveUp(error=cause, wait_s=wait_s):
                return _status(StreamState.FAILED, cause, wait_s, attempt)
            case DecoderGivenUp(wait_s=wait_s):
                return _status(StreamState.FAILED, error, wait_s, attempt)
            case DecoderDied():
                pause = self._readers.note_death(time.monotonic())
                state = StreamState.FAILED if pause.is_open else StreamState.RECONNECTING
                return _status(state, error, pause.wait_s, attempt)
            case SourceError():
                delay_s = self._retry.delay_s(attempt)
                return _status(StreamState.RECONNECTING, error, delay_s, attempt)
            case SourceRejected() | SourceForbidden():
                return _status(StreamState.FAILED, error, self._retry.rejected_s, attempt)
        # A fault of ours must not leave the stream dead and called live.
        logger.error("stream %s: the source broke", self._name, exc_info=error)
        fault = StreamerError("the server failed on this camera; its log has the details")
        return _status(StreamState.FAILED, fault, self._retry.rejected_s, attempt)

    async def _wait_for_retry(self, status: Status) -> None:
        self._hands.tell(status)
        await asyncio.sleep(status.retry_in_s or 0.0)
        if self._worker_end.done() and not await self._has_new_worker():
            return  # the one before has still given up: that is told again, and waited for again
        self._meter.reconnects += 1
        trying = Status(
            StreamState.RECONNECTING, status.detail, status.error_kind, attempt=status.attempt
        )
        self._hands.tell(trying)

    async def _has_new_worker(self) -> bool:
        """A system that has no thread left today may have one tomorrow."""
        try:
            await self._hands.renew_worker()
        except Exception:
            logger.exception("stream %s: its worker can't be started", self._name)
            return False
        self._worker_end = self._loop.create_future()
        return True


def _status(state: StreamState, error: StreamerError, wait_s: float, attempt: int) -> Status:
    return Status(state, str(error), error.kind, wait_s, attempt)
