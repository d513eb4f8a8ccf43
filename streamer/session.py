"""A session joins one source, one estimator and any number of sinks; here is its state machine.

    CONNECTING ──first frame──► LIVE ──source lost──► RECONNECTING ──first frame──► LIVE
        ├──source error──► RECONNECTING ──error: wait with back-off──► RECONNECTING
        ├──wrong password, forbidden address──► FAILED ──long wait, or restart──► RECONNECTING
        └──(from any state) the source's own end, or close──► ENDED

Frames go source -> one-frame slot -> worker thread (estimate, draw) -> event loop -> sinks. A frame
that finds the slot full replaces the one in it, so that latency stays flat under any load.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from streamer.aio import cancel_and_wait
from streamer.errors import (
    SourceEnded,
    SourceError,
    SourceForbidden,
    SourceRejected,
    StreamerError,
)
from streamer.model import (
    Frame,
    Packet,
    Picture,
    PoseResult,
    SessionStats,
    Status,
    StreamState,
    VideoInfo,
)
from streamer.ports import EstimatorFactory, Painter, Sink, Source
from streamer.telemetry import SessionMeter
from streamer.timeline import Timeline
from streamer.worker import Intake, PoseWorker

logger = logging.getLogger(__name__)

NOTICE_INTERVAL_S = 0.5


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait before the next try: quick at first, then capped, with jitter so that many
    cameras behind one switch do not come back in the same instant."""

    first_s: float = 0.5
    factor: float = 1.6
    cap_s: float = 3.0
    jitter: float = 0.2
    rejected_s: float = 300.0

    def delay_s(self, attempt: int) -> float:
        """``attempt`` counts from 1."""
        exponent = min(attempt - 1, 16)  # far beyond the cap, and no overflow after a year of tries
        delay = min(self.cap_s, self.first_s * self.factor**exponent)
        return delay * random.uniform(1 - self.jitter, 1 + self.jitter)


@dataclass(slots=True, eq=False)
class _Connection:
    """The FrameReceiver of one run of the source, filled from whatever thread the source has."""

    session: "Session"
    intake: Intake = field(default_factory=Intake)

    def opened(self, video: VideoInfo) -> None:
        self.session._from_source(self, lambda: self.session._on_opened(video))

    def forward(self, packet: Packet) -> None: ...

    def put(self, frame: Frame) -> None:
        self.session._worker.put(self.intake, frame)
        if self.intake.frames_in == 1:
            self.session._from_source(self, self.session._on_live)


class Session:
    """Runs until its source ends or ``close``. Belongs to the event loop's thread."""

    def __init__(
        self,
        name: str,
        source: Source,
        make_estimator: EstimatorFactory,
        painter: Painter,
        retry: RetryPolicy,
    ) -> None:
        self.name = name
        self.status = Status(StreamState.CONNECTING, "connecting")
        self.video: VideoInfo | None = None
        self.last_result: PoseResult | None = None
        self._source = source
        self._painter = painter
        self._retry = retry
        self._sinks: list[Sink] = []
        self._loop = asyncio.get_running_loop()
        self._timeline = Timeline(time.monotonic())
        self._worker = self._new_worker(make_estimator)
        self._meter = SessionMeter()
        self._connection = _Connection(self)
        self._earlier = Intake()  # the sums of all connections before this one
        self._notice_due = asyncio.Event()
        self._changing = asyncio.Lock()  # a restart and the end, or two restarts, come one by one
        self._supervisor: asyncio.Task[None] | None = None
        self._notifier: asyncio.Task[None] | None = None

    # -- life ---------------------------------------------------------------------------------------

    def start(self) -> None:
        self._worker.start()
        self._supervisor = self._loop.create_task(self._supervise(), name=f"source-{self.name}")
        self._notifier = self._loop.create_task(self._show_notices(), name=f"notice-{self.name}")

    async def close(self) -> None:
        """Stops the source and the worker, and waits for both. Twice is safe."""
        async with self._changing:
            await cancel_and_wait(self._supervisor, self._notifier)
            self._end_connection()
            await self._worker.close()
            if self.status.state is not StreamState.ENDED:
                self._set_status(Status(StreamState.ENDED, "stopped"))

    async def restart(self) -> None:
        """Opens the source anew, now; also mends a session whose worker had given up. Nothing happens
        to a session that has ended."""
        async with self._changing:
            if self.status.state is StreamState.ENDED:
                return
            await cancel_and_wait(self._supervisor)
            await self._worker.close()
            self._end_connection()
            self._worker = self._new_worker(self._worker.make_estimator)
            self._sinks_changed()
            self._set_status(Status(StreamState.RECONNECTING, "restarting"))
            self._worker.start()
            self._supervisor = self._loop.create_task(self._supervise(), name=f"source-{self.name}")

    def reconfigure(self, make_estimator: EstimatorFactory) -> None:
        """The next frame goes to a new estimator."""
        self._worker.make_estimator = make_estimator

    def stats(self) -> SessionStats:
        intake = self._connection.intake
        return self._meter.snapshot(
            self._earlier.frames_in + intake.frames_in, self._earlier.dropped + intake.dropped
        )

    def _new_worker(self, make_estimator: EstimatorFactory) -> PoseWorker:
        return PoseWorker(
            self.name, make_estimator, self._painter, self._timeline, self._on_result, self._fail
        )

    # -- sinks --------------------------------------------------------------------------------------

    def subscribe(self, sink: Sink) -> None:
        self._sinks.append(sink)
        self._sinks_changed()
        sink.on_status(self.status)

    def unsubscribe(self, sink: Sink) -> None:
        if sink in self._sinks:
            self._sinks.remove(sink)
            self._sinks_changed()

    def _sinks_changed(self) -> None:
        self._worker.pictures_wanted = any(sink.wants_picture for sink in self._sinks)
        self._notice_due.set()  # a new viewer of a lost camera gets its notice at once

    def _give_picture(self, frame: Frame, pts: int) -> None:
        for sink in tuple(self._sinks):
            if sink.wants_picture:
                sink.on_picture(Picture(frame, pts))

    # -- the state machine --------------------------------------------------------------------------

    def _set_status(self, status: Status) -> None:
        """The only place where the state changes."""
        if status.state is not self.status.state:
            logger.info("stream %s is %s. %s", self.name, status.state.value, status.detail)
        self.status = status
        self._notice_due.set()
        for sink in tuple(self._sinks):
            sink.on_status(status)

    async def _supervise(self) -> None:
        attempt = 0
        while True:
            self._timeline.restart()
            try:
                await self._source.run(self._connection)
            except SourceEnded as ended:
                self._end_connection()
                self._set_status(Status(StreamState.ENDED, str(ended)))
                return
            except (SourceRejected, SourceForbidden) as error:
                attempt += 1
                status = self._status_of(StreamState.FAILED, error, attempt)
            except SourceError as error:
                attempt = 1 if self._connection.intake.frames_in else attempt + 1
                status = self._status_of(StreamState.RECONNECTING, error, attempt)
            except Exception:  # a fault of ours must not leave the stream dead and called live
                logger.exception("stream %s: the source broke", self.name)
                attempt += 1
                fault = StreamerError("the server failed on this camera; its log has the details")
                status = self._status_of(StreamState.FAILED, fault, attempt)
            self._end_connection()
            await self._wait_for_retry(status)

    def _end_connection(self) -> None:
        ended = self._connection.intake
        self._worker.forget_waiting(ended)
        self._earlier.frames_in += ended.frames_in
        self._earlier.dropped += ended.dropped
        self._connection = _Connection(self)

    def _status_of(self, state: StreamState, error: StreamerError, attempt: int) -> Status:
        rejected = state is StreamState.FAILED
        delay_s = self._retry.rejected_s if rejected else self._retry.delay_s(attempt)
        return Status(state, str(error), error.kind, delay_s, attempt)

    async def _wait_for_retry(self, status: Status) -> None:
        self._set_status(status)
        await asyncio.sleep(status.retry_in_s or 0.0)
        self._meter.reconnects += 1
        self._set_status(
            Status(
                StreamState.RECONNECTING, status.detail, status.error_kind, attempt=status.attempt
            )
        )

    def _from_source(self, connection: _Connection, action: Callable[[], None]) -> None:
        """Brings a source's word onto the loop, unless that connection is over by then."""
        self._loop.call_soon_threadsafe(
            lambda: action() if connection is self._connection else None
        )

    def _on_opened(self, video: VideoInfo) -> None:
        self.video = video

    def _on_live(self) -> None:
        self._set_status(Status(StreamState.LIVE))

    def _on_result(self, intake: Intake, result: PoseResult, annotated: Frame | None) -> None:
        if intake is not self._connection.intake:
            return  # the last frame of a connection that is over: its notice is on the screen already
        self.last_result = result
        self._meter.processed(result.latency_ms, result.frame.received_mono)
        for sink in tuple(self._sinks):
            sink.on_result(result)
        if annotated is not None:
            self._give_picture(annotated, result.pts)

    def _fail(self, error: StreamerError) -> None:
        """The worker gave up: something that no retry of the source can mend."""
        logger.error("stream %s failed: %s", self.name, error)
        if self._supervisor is not None:
            self._supervisor.cancel()
        self._worker.stop()
        self._end_connection()
        self._set_status(Status(StreamState.FAILED, str(error), error.kind))

    async def _show_notices(self) -> None:
        """While no frame comes, viewers get the last picture, dimmed, with the reason."""
        shown: tuple[str, Frame | None] | None = None
        notice: Frame | None = None
        while True:
            self._notice_due.clear()
            status = self.status
            if status.state is StreamState.LIVE or not self._worker.pictures_wanted:
                await self._notice_due.wait()
                continue
            last = self.last_result.frame if self.last_result else None
            due = (_notice_text(status, lost=last is not None), last)
            if notice is None or due != shown:
                try:
                    notice = await asyncio.to_thread(self._painter.notice, due[1], due[0])
                except Exception:  # a notice that can't be drawn is no reason to draw no other
                    logger.exception("stream %s: a notice could not be drawn", self.name)
                    await self._notice_due.wait()
                    continue
                shown = due
            if self.status is status:
                self._give_picture(notice, self._timeline.now(time.monotonic()))
                with contextlib.suppress(TimeoutError):  # no news: show it again
                    await asyncio.wait_for(self._notice_due.wait(), NOTICE_INTERVAL_S)


def _notice_text(status: Status, *, lost: bool) -> str:
    """What viewers read in the picture while nothing comes."""
    if status.state is StreamState.RECONNECTING:
        return f"camera {'lost' if lost else 'not there'}, retrying\n{status.detail}"
    return status.detail
