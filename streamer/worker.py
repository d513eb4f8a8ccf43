"""The thread in which one stream's frames become poses and annotated pictures.

It owns the one-frame slot, the estimator and the drawing. Plain data goes in (``Frame``) and comes out
(``PoseResult``, ``Picture``), so that this half of a session can move into a process of its own.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from streamer.aio import LatestSlot, until_ended
from streamer.breaker import Breaker
from streamer.config import PoseConfig
from streamer.errors import (
    EstimatorError,
    EstimatorReplaced,
    EstimatorSilent,
    ModelError,
    StreamerError,
)
from streamer.logs import now_about
from streamer.model import Frame, ModelStatus, Picture, Pose, PoseResult
from streamer.ports import EstimatorFactory, Painter
from streamer.pose.zones import Zones
from streamer.privacy import Obscurer
from streamer.screens import Screens
from streamer.switching import SwitchingEstimator

logger = logging.getLogger(__name__)

MAX_RESULTS_IN_FLIGHT = 2
"""Results handed to the event loop and not yet taken by it; the worker waits beyond that, and the slot
drops frames meanwhile, so that a busy loop never collects a backlog."""

MIN_SIDE_PX = 16

SILENT_S = 3.0
"""For so long the estimator may be at one frame before anybody is told that no poses come. One that is hung
is replaced before; this is for one whose machine has no time for it, or whose networks are still read."""


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
    """``on_result``, ``on_model``, ``on_trouble`` and ``on_failure`` are called on the event loop; ``put``
    and ``configure`` come from any thread.

    An estimator that fails, or dies, is replaced; ``breaker`` says when. ``on_trouble`` is told of it, and
    with each frame that comes while it is silent; the next result is the end of that. The worker ends, and
    tells ``on_failure``, when the breaker is open, with the seconds until another worker may be tried; or
    when there is no model, with None.

    ``screens`` get annotated pictures straight from this thread, and only while there are any; and the
    plain ones, where people are hidden in them. ``max_poses``: so many of those found are told of; there
    may be more who are to be hidden.
    """

    def __init__(
        self,
        name: str,
        make_estimator: EstimatorFactory,
        options: PoseConfig,
        painter: Painter,
        obscurer: Obscurer,
        max_poses: int,
        screens: Screens,
        on_result: Callable[[Intake, PoseResult], None],
        on_model: Callable[[ModelStatus], None],
        on_trouble: Callable[[EstimatorError], None],
        on_failure: Callable[[StreamerError, float | None], None],
        breaker: Breaker,
    ) -> None:
        self.painter = painter  # a new one takes effect with the next frame
        self.obscurer = obscurer  # the same
        self.max_poses = max_poses  # the same
        self.zones = Zones()  # where people must be to be told of; the same
        self._told: set[int] = set()  # the ids of those told of in the last frame
        self._screens = screens
        self._on_result = on_result
        self._on_model = on_model
        self._on_trouble = on_trouble
        self._asked_mono: float | None = None  # since when the estimator owes an answer
        self._on_failure = on_failure
        self._breaker = breaker
        self._stopping = threading.Event()
        self._slot: LatestSlot[_Job] = LatestSlot()
        self._deliveries = threading.Semaphore(MAX_RESULTS_IN_FLIGHT)
        self._loop = asyncio.get_running_loop()
        self._estimator = SwitchingEstimator(
            name,
            make_estimator,
            options,
            self._tell_model,
        )
        self._thread = threading.Thread(target=self._run, name=f"pose-{name}", daemon=True)
        self._name = name

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Takes no more frames; does not wait for the one in work."""
        self._stopping.set()
        self._slot.close()
        for _ in range(MAX_RESULTS_IN_FLIGHT):
            self._deliveries.release()

    async def close(self) -> None:
        """Stops, and waits until the thread has ended."""
        self.stop()
        if self._thread.ident is not None:
            await until_ended(self._thread)

    def put(self, intake: Intake, frame: Frame, pts: int, epoch: int, rotation: int = 0) -> None:
        """``pts`` and ``epoch``: the frame's place on the stream's clock. ``rotation``: by how much it was
        turned, in degrees; where that changes, nobody is where they were. A frame too small to show
        anybody counts as dropped."""
        intake.frames_in += 1
        asked_mono = self._asked_mono  # of an earlier frame
        too_small = min(frame.width, frame.height) < MIN_SIDE_PX
        if too_small or self._slot.put(_Job(intake, frame, pts, epoch, rotation)):
            intake.dropped += 1
        if asked_mono is not None and time.monotonic() - asked_mono > SILENT_S:
            silent = f"no poses have come for {SILENT_S:g} s: what finds people is starting, busy or stuck"
            self._tell_trouble(EstimatorSilent(silent))

    def configure(self, options: PoseConfig) -> None:
        """From the next frame on, or once their model is loaded."""
        self._estimator.configure(options)

    def forget_waiting(self, intake: Intake) -> None:
        """The connection is over: its waiting frame will not be processed."""
        if self._slot.clear():
            intake.dropped += 1

    # -- everything below runs in the worker's thread -----------------------------------------------

    def _run(self) -> None:
        now_about(stream=self._name)
        estimator, epoch = self._estimator, _Epoch()
        try:
            while (job := self._slot.take()) is not None:
                self._asked_mono = taken = time.monotonic()
                try:
                    self._process(estimator, epoch, job, taken)
                    estimator.note(taken, job.intake.frames_in, job.intake.dropped)
                except ModelError as error:
                    self._give_up(error, None)
                    return
                except Exception as error:  # of a frame, and not of the whole stream
                    wait_s = self._start_over(error)
                    if wait_s is not None:
                        self._give_up(_told(error), wait_s)
                        return
        finally:
            estimator.close()

    def _start_over(self, error: Exception) -> float | None:
        """The next frame gets a new estimator. Until then nothing is shown of which it is not known who is
        in it; and as at the beginning, nobody is trusted to be nowhere. Not None: for so long it is no use.
        """
        why = "the server failed on a frame"
        if isinstance(error, EstimatorError):
            why = str(error).rstrip(".")
            logger.warning("stream %s: %s; starting a new estimator", self._name, why)
        else:
            logger.error("stream %s: the pose thread broke", self._name, exc_info=error)
        self._estimator.close()
        self.obscurer.reset()
        self._told = set()
        pause = self._breaker.note_death(time.monotonic())
        if pause.is_open:
            return pause.wait_s
        self._tell_trouble(EstimatorReplaced(f"{why}; another one starts"))
        self._stopping.wait(pause.wait_s)
        return None

    def _give_up(self, error: StreamerError, wait_s: float | None) -> None:
        self._loop.call_soon_threadsafe(self._on_failure, error, wait_s)

    def _process(
        self, estimator: SwitchingEstimator, epoch: _Epoch, job: _Job, taken: float
    ) -> None:
        intake, obscurer = job.intake, self.obscurer
        if job.epoch != epoch.number:
            epoch.begin(job.epoch, intake)
            estimator.reset()
            obscurer.reset()
        elif job.rotation != epoch.rotation:
            estimator.reset()
            obscurer.reset()
        epoch.rotation = job.rotation
        found = estimator.estimate(job.frame, job.pts)
        self._asked_mono = None
        poses = self._choose(found)
        estimated = time.monotonic()
        frame = obscurer.obscure(job.frame, found + estimator.bystanders, job.pts)
        if not intake.over:
            self._show(Picture(frame, job.pts, rule=obscurer.rule), poses, obscurer)
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
            rule=obscurer.rule,
        )
        self._deliveries.acquire()
        self._loop.call_soon_threadsafe(self._deliver, intake, result)

    def _show(self, picture: Picture, poses: tuple[Pose, ...], obscurer: Obscurer) -> None:
        if not obscurer.shows_camera:  # else they are shown by whoever puts them in
            self._screens.show_plain(picture)
        if self._screens.annotated:
            annotated = self.painter.annotate(picture.frame, poses)
            self._screens.show_annotated(replace(picture, frame=annotated))

    def _choose(self, found: tuple[Pose, ...]) -> tuple[Pose, ...]:
        """Those who are told of: where people are hidden, more are found than count."""
        zones, told = self.zones, self._told
        counting = [pose for pose in found if zones.admits(pose.landmarks, pose.id in told)]
        poses = tuple(counting[: self.max_poses])
        self._told = {pose.id for pose in poses}
        return poses

    def _tell_model(self, status: ModelStatus) -> None:
        self._loop.call_soon_threadsafe(self._on_model, status)

    def _tell_trouble(self, error: EstimatorError) -> None:
        self._loop.call_soon_threadsafe(self._on_trouble, error)

    def _deliver(self, intake: Intake, result: PoseResult) -> None:
        """On the event loop."""
        self._deliveries.release()
        self._on_result(intake, result)


def _told(error: Exception) -> StreamerError:
    """What is told of what made the worker give up."""
    if isinstance(error, EstimatorError):
        return EstimatorError(
            f"finding people keeps failing: {str(error).rstrip('.')}. It is tried again later; a restart of "
            "the stream tries now. If it stays so, the server's log has more, and a lighter model may help"
        )
    return StreamerError("the server failed on this stream; its log has the details")
