"""The thread in which one stream's frames become poses and annotated pictures.

It owns the one-frame slot, the estimator and the drawing. Plain data goes in (``Frame``) and comes out
(``PoseResult``, ``Picture``), so that this half of a session can move into a process of its own.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from streamer.aio import LatestSlot
from streamer.errors import EstimatorError, ModelError, StreamerError
from streamer.model import Frame, Picture, PoseResult
from streamer.ports import Estimator, EstimatorFactory, Painter
from streamer.screens import Screens

logger = logging.getLogger(__name__)

MAX_RESULTS_IN_FLIGHT = 2
"""Results handed to the event loop and not yet taken by it; the worker waits beyond that, and the slot
drops frames meanwhile, so that a busy loop never collects a backlog."""

MIN_SIDE_PX = 16

MAX_ESTIMATOR_FAILURES = 3
"""Frames in a row that a new estimator, too, refused: then the fault is not the frame's."""


@dataclass(slots=True, eq=False)
class Intake:
    """The frames of one connection of the source: counted where they come in. ``over``: whatever is
    still under way of it comes too late to be shown."""

    frames_in: int = 0
    dropped: int = 0
    over: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """A frame in the slot, with its place on the stream's clock."""

    intake: Intake
    frame: Frame
    pts: int
    epoch: int
    rotation: int


@dataclass(slots=True)
class _Epoch:
    """Counts since the stream last started anew."""

    number: int = 0
    seq: int = -1
    intake: Intake | None = None
    dropped_before: int = 0
    rotation: int = 0  # of its last frame

    def begin(self, number: int, intake: Intake) -> None:
        self.dropped_before = intake.dropped if intake is self.intake else 0
        self.number, self.seq, self.intake = number, -1, intake


class PoseWorker:
    """``on_result`` and ``on_failure`` are called on the event loop; ``put`` comes from any thread.

    ``screens`` get annotated pictures straight from this thread, and only while there are any.
    """

    def __init__(
        self,
        name: str,
        make_estimator: EstimatorFactory,
        painter: Painter,
        screens: Screens,
        on_result: Callable[[Intake, PoseResult], None],
        on_failure: Callable[[StreamerError], None],
    ) -> None:
        self.make_estimator = make_estimator  # a new one takes effect with the next frame
        self.painter = painter  # the same
        self._screens = screens
        self._on_result = on_result
        self._on_failure = on_failure
        self._slot: LatestSlot[_Job] = LatestSlot()
        self._deliveries = threading.Semaphore(MAX_RESULTS_IN_FLIGHT)
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name=f"pose-{name}", daemon=True)
        self._name = name

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Takes no more frames; does not wait for the one in work."""
        self._slot.close()
        for _ in range(MAX_RESULTS_IN_FLIGHT):
            self._deliveries.release()

    async def close(self) -> None:
        """Stops, and waits until the thread has ended."""
        self.stop()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)

    def put(self, intake: Intake, frame: Frame, pts: int, epoch: int, rotation: int = 0) -> None:
        """``pts`` and ``epoch``: the frame's place on the stream's clock. ``rotation``: by how much it was
        turned, in degrees; where that changes, nobody is where they were. A frame too small to show
        anybody counts as dropped."""
        intake.frames_in += 1
        too_small = min(frame.width, frame.height) < MIN_SIDE_PX
        if too_small or self._slot.put(_Job(intake, frame, pts, epoch, rotation)):
            intake.dropped += 1

    def forget_waiting(self, intake: Intake) -> None:
        """The connection is over: its waiting frame will not be processed."""
        if self._slot.clear():
            intake.dropped += 1

    # -- everything below runs in the worker's thread -----------------------------------------------

    def _run(self) -> None:
        estimator: Estimator | None = None
        built_by: EstimatorFactory | None = None
        epoch, failures = _Epoch(), 0
        try:
            while (job := self._slot.take()) is not None:
                taken = time.monotonic()
                if estimator is None or built_by is not self.make_estimator:
                    if estimator is not None:
                        estimator.close()
                    built_by = self.make_estimator
                    estimator = built_by()
                try:
                    self._process(estimator, epoch, job, taken)
                    failures = 0
                except EstimatorError as error:
                    failures += 1
                    if failures == MAX_ESTIMATOR_FAILURES:
                        raise
                    logger.warning("stream %s: %s; starting a new estimator", self._name, error)
                    built_by = None
        except (ModelError, EstimatorError) as error:
            self._loop.call_soon_threadsafe(self._on_failure, error)
        except Exception:  # a fault of ours must not leave the stream dead and called live
            logger.exception("stream %s: the pose thread broke", self._name)
            failure = StreamerError("the server failed on this stream; its log has the details")
            self._loop.call_soon_threadsafe(self._on_failure, failure)
        finally:
            if estimator is not None:
                estimator.close()

    def _process(self, estimator: Estimator, epoch: _Epoch, job: _Job, taken: float) -> None:
        frame, intake = job.frame, job.intake
        if job.epoch != epoch.number:
            epoch.begin(job.epoch, intake)
            estimator.reset()
        elif job.rotation != epoch.rotation:
            estimator.reset()
        epoch.rotation = job.rotation
        poses = estimator.estimate(frame, job.pts)
        estimated = time.monotonic()
        if self._screens.annotated and not intake.over:
            self._screens.show_annotated(Picture(self.painter.annotate(frame, poses), job.pts))
        drawn = time.monotonic()
        epoch.seq += 1
        result = PoseResult(
            epoch=epoch.number,
            seq=epoch.seq,
            pts=job.pts,
            frame=frame,
            poses=poses,
            dropped=intake.dropped - epoch.dropped_before,
            latency_ms={
                "decode": frame.decode_ms,
                "queue": (taken - frame.received_mono) * 1000 - frame.decode_ms,
                "pose": (estimated - taken) * 1000,
                "draw": (drawn - estimated) * 1000,
                "total": (drawn - frame.received_mono) * 1000,
            },
        )
        self._deliveries.acquire()
        self._loop.call_soon_threadsafe(self._deliver, intake, result)

    def _deliver(self, intake: Intake, result: PoseResult) -> None:
        """On the event loop."""
        self._deliveries.release()
        self._on_result(intake, result)
