"""A session joins one source, one estimator and any number of sinks; ``supervision`` has its states.

Frames go source -> entrance -> one-frame slot -> worker thread (estimate, draw) -> screens, and what was
found -> event loop -> sinks. A frame that finds the slot full replaces the one in it, so that latency stays
flat under any load. Plain pictures and the camera's own packets pass the worker by: see ``entrance``.
"""

import asyncio
import logging
import time
from collections.abc import Mapping

from streamer.aio import cancel_and_wait, tell_all
from streamer.config import MAX_POSES, Idle, LimitsConfig, PoseConfig, PrivacyConfig, Rotation
from streamer.entrance import Entrance
from streamer.errors import EstimatorError, EstimatorSilent
from streamer.model import (
    ModelStatus,
    PoseResult,
    SessionStats,
    Status,
    StreamState,
    VideoInfo,
)
from streamer.notices import Notices, Situation
from streamer.ports import EstimatorFactory, FrameReceiver, Painter, Sink, Source
from streamer.pose.zones import Zones
from streamer.privacy import Obscurer
from streamer.retry import RetryPolicy
from streamer.screens import Screens, Watchers
from streamer.supervision import Hands, Supervisor
from streamer.telemetry import Histogram, SessionMeter
from streamer.worker import Intake, PoseWorker

logger = logging.getLogger(__name__)


class Session:
    """Runs until its source ends or ``close``. Belongs to the event loop's thread."""

    def __init__(
        self,
        name: str,
        source: Source,
        make_estimator: EstimatorFactory,
        pose: PoseConfig,
        painter: Painter,
        retry: RetryPolicy,
        idle: Idle = "run",
        rotation: Rotation = 0,
        privacy: PrivacyConfig | None = None,
        limits: LimitsConfig | None = None,
    ) -> None:
        self.name = name
        self.status = Status(StreamState.CONNECTING, "connecting")
        self.last_result: PoseResult | None = None
        self.model: ModelStatus | None = None  # of the last result
        self._notice_due = asyncio.Event()
        # A new viewer of a lost camera gets its notice at once.
        self.screens = Screens(self._notice_due)
        self.watchers = Watchers(idle)
        self._entrance = Entrance(
            self.screens,
            Obscurer(privacy or PrivacyConfig()),
            rotation,
            limits or LimitsConfig(),
            self._on_live,
        )
        self._make_estimator = make_estimator
        self._pose = pose
        self._painter = painter
        self._sinks: list[Sink] = []
        self._loop = asyncio.get_running_loop()
        self._max_poses = MAX_POSES
        self._zones = Zones()
        self._meter = SessionMeter()
        hands = Hands(
            self._connect, self._entrance.disconnect, self._renew_worker, self._set_status
        )
        self._supervisor = Supervisor(name, source, retry, self.watchers, self._meter, hands)
        self._worker = self._new_worker()
        self._changing = asyncio.Lock()  # a restart and the end, or two restarts, come one by one
        self._notifier: asyncio.Task[None] | None = None

    # -- life ---------------------------------------------------------------------------------------

    def start(self) -> None:
        self._worker.start()
        self._supervisor.start()
        notices = Notices(
            self.name, self.screens, self._notice_due, self._situation, self._stream_now
        )
        self._notifier = self._loop.create_task(notices.run(), name=f"notice-{self.name}")

    async def close(self) -> None:
        """Stops the source and the worker, and waits for both. Twice is safe."""
        async with self._changing:
            await self._supervisor.stop()
            await cancel_and_wait(self._notifier)
            self._entrance.disconnect()
            await self._worker.close()
            if self.status.state is not StreamState.ENDED:
                self._set_status(Status(StreamState.ENDED, "stopped"))

    async def restart(self) -> None:
        """Opens the source anew, now; also mends a session whose worker had given up. Nothing happens
        to a session that has ended."""
        async with self._changing:
            if self.status.state is StreamState.ENDED:
                return
            await self._supervisor.stop()
            self._entrance.disconnect()
            await self._renew_worker()
            self._set_status(Status(StreamState.RECONNECTING, "restarting"))
            self._supervisor.start()

    def configure(self, pose: PoseConfig) -> None:
        """Other options from the next frame on, or once their model is loaded."""
        self._pose = pose
        self._worker.configure(pose)

    def repaint(self, painter: Painter) -> None:
        """The next frame is drawn on by another painter."""
        self._painter = self._worker.painter = painter

    @property
    def rotation(self) -> Rotation:
        """Degrees clockwise by which the camera's pictures are turned, before anything else sees them.

        May change at any time, from the next frame on: people are looked for anew then, the stream and its
        clock go on. While it is not 0 the camera's own packets, which nobody can turn, go to no viewer.
        """
        return self._entrance.rotation

    @rotation.setter
    def rotation(self, degrees: Rotation) -> None:
        self._entrance.turn(degrees)

    @property
    def video(self) -> VideoInfo | None:
        """What the source turned out to be, in the size that is shown; None before it is known."""
        return self._entrance.video

    @property
    def max_poses(self) -> int:
        """Of the people found so many are told of, from the next frame on."""
        return self._max_poses

    @max_poses.setter
    def max_poses(self, count: int) -> None:
        self._max_poses = self._worker.max_poses = count

    @property
    def zones(self) -> Zones:
        """Where people must be to be told of, from the next frame on."""
        return self._zones

    @zones.setter
    def zones(self, zones: Zones) -> None:
        self._zones = self._worker.zones = zones

    @property
    def obscurer(self) -> Obscurer:
        """Hides people, or shows them, at present."""
        return self._entrance.obscurer

    def set_privacy(self, privacy: PrivacyConfig) -> None:
        """From here on nothing goes out that was made under the setting before: neither what waits
        somewhere, nor what other threads have in work."""
        self.obscurer.rule.over = True
        self._worker.obscurer = obscurer = Obscurer(privacy)
        self.last_result = None
        self._entrance.hide(obscurer)
        self._notice_due.set()

    @property
    def result(self) -> PoseResult | None:
        """Of the newest frame, while it is live and poses come."""
        status = self.status
        comes = status.state is StreamState.LIVE and status.error_kind is None
        return self.last_result if comes else None

    @property
    def frame_age_s(self) -> float | None:
        """Since the newest processed frame reached the server; None before the first."""
        return self._meter.frame_age_s

    @property
    def stage_times(self) -> Mapping[str, Histogram]:
        """What all frames took in each stage, seconds."""
        return self._meter.stages

    def stats(self) -> SessionStats:
        stats = self._meter.snapshot(*self._entrance.count())
        if self.model is not None:
            stats.model_complexity = self.model.model_complexity
            stats.model_reason = self.model.reason
        stats.worker_restarts = self._supervisor.worker_restarts
        return stats

    def _new_worker(self) -> PoseWorker:
        worker = PoseWorker(
            self.name,
            self._make_estimator,
            self._pose,
            self._painter,
            self.obscurer,
            self._max_poses,
            self.screens,
            self._on_result,
            self._on_model,
            self._on_trouble,
            self._supervisor.give_up,
            self._supervisor.estimators,
        )
        worker.zones = self._zones
        return worker

    async def _renew_worker(self) -> None:
        await self._worker.close()
        self._worker = self._new_worker()
        self._worker.start()

    # -- sinks --------------------------------------------------------------------------------------

    def subscribe(self, sink: Sink) -> None:
        self._sinks.append(sink)
        sink.on_status(self.status)

    def unsubscribe(self, sink: Sink) -> None:
        if sink in self._sinks:
            self._sinks.remove(sink)

    def stream_time(self, media_pts: int) -> tuple[int, int] | None:
        """A time of the source's clock on the stream's, and its epoch; None while nothing comes."""
        return self._entrance.timeline.translate(media_pts)

    def note_latency(self, stage: str, ms: float) -> None:
        """What a stage behind the session took, for the figures."""
        self._meter.note(stage, ms)

    # -- what its supervisor tells it to do ---------------------------------------------------------

    def _set_status(self, status: Status) -> None:
        """The only place where the state changes."""
        if status.state is not self.status.state:
            why = f": {status.detail}" if status.detail else ""
            state, name = status.state.value, self.name
            # Whoever closes it is none of its own tasks, which log its name by themselves.
            logger.info("stream %s is %s%s", name, state, why, extra={"stream": name})
        self.status = status
        self._notice_due.set()
        tell_all(self._sinks, lambda sink: sink.on_status(status))

    def _connect(self) -> FrameReceiver:
        return self._entrance.connect(self._worker)

    # -- what comes from the source and the worker --------------------------------------------------

    def _on_live(self) -> None:
        self._set_status(Status(StreamState.LIVE))

    def _on_result(self, intake: Intake, result: PoseResult) -> None:
        if intake.over:
            return  # the last frame of a connection that is over: its notice is on the screen already
        if result.rule.over:
            return  # its frame must not be seen any more
        if self.status.state is StreamState.LIVE and self.status.error_kind is not None:
            self._set_status(Status(StreamState.LIVE))
        self.last_result = result
        self._meter.processed(result.latency_ms, result.frame.received_mono)
        tell_all(self._sinks, lambda sink: sink.on_result(result))

    def _on_model(self, status: ModelStatus) -> None:
        if status == self.model:
            return  # a new worker's, with the model of the one before
        self.model = status
        tell_all(self._sinks, lambda sink: sink.on_model(status))

    def _on_trouble(self, error: EstimatorError) -> None:
        """Frames come and no poses: live all the same. That the estimator is silent is told where nothing
        better is known."""
        is_news = self.status.error_kind is None or not isinstance(error, EstimatorSilent)
        if self.status.state is StreamState.LIVE and is_news:
            self._set_status(Status(StreamState.LIVE, str(error), error.kind))

    def _situation(self) -> Situation:
        last = self.last_result.frame if self.last_result else None
        return Situation(self.status, last, self.obscurer.rule, self._painter)

    def _stream_now(self) -> int:
        return self._entrance.timeline.now(time.monotonic())
