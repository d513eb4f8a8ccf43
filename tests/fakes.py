"""Stand-ins for the ports of a session. They do what a test tells them, when it tells them, and say
what was done to them; none of them waits for a time to pass."""

import asyncio
import os
import threading
import time
from collections.abc import Callable

import numpy as np

from streamer.config import PoseConfig
from streamer.errors import EstimatorError, ModelError, StreamerError
from streamer.landmarks import NAMES
from streamer.model import (
    LANDMARK_COUNT,
    Forwarded,
    Frame,
    ModelStatus,
    Packet,
    Picture,
    Pose,
    PoseResult,
    Status,
    StreamState,
    VideoInfo,
)
from streamer.ports import Estimator, FrameReceiver
from streamer.sinks import Form

PATIENCE_S = float(os.environ.get("TESTS_PATIENCE_S", "60"))
"""How long a test waits for an event before it fails: a machine may be ten times slower than another, and
busy with other things. `make controls`, where tests are to fail, has less."""


def make_frame(
    pts: int = 0,
    *,
    width: int = 64,
    height: int = 48,
    luma: int = 100,
    received_mono: float | None = None,
) -> Frame:
    """A plain grey frame."""
    i420 = np.full((height * 3 // 2, width), 128, np.uint8)
    i420[:height] = luma
    mono = time.monotonic() if received_mono is None else received_mono
    return Frame(i420, pts, mono, received_at=1_760_000_000.0)


def make_pose(**places: tuple[float, float]) -> Pose:
    """A pose whose named landmarks are visible at these places (x, y in 0..1), and no others."""
    landmarks = np.zeros((LANDMARK_COUNT, 5), np.float32)
    for name, (x, y) in places.items():
        landmarks[NAMES.index(name)] = (x, y, 0.0, 1.0, 1.0)
    return Pose(1, 0.9, landmarks, np.zeros((LANDMARK_COUNT, 3), np.float32))


class FakeSource:
    """A camera in the test's hands. Each run first raises the next of ``failures``; when there are
    none left it stays connected until ``end``."""

    def __init__(self, *failures: Exception) -> None:
        self.shown = {"type": "rtsp", "url": "rtsp://10.0.0.1:554/"}
        self.runs = 0
        self.open_connections = 0
        self._failures = list(failures)
        self._connections: asyncio.Queue[FrameReceiver] = asyncio.Queue()
        self._receiver: FrameReceiver | None = None
        self._ending: asyncio.Future[None] | None = None

    async def run(self, receiver: FrameReceiver) -> None:
        self.runs += 1
        if self._failures:
            raise self._failures.pop(0)
        self._ending = asyncio.get_running_loop().create_future()
        self.open_connections += 1
        self._connections.put_nowait(receiver)
        try:
            await self._ending
        finally:
            self.open_connections -= 1

    async def connected(self) -> FrameReceiver:
        """Waits for the next run to get through."""
        self._receiver = await asyncio.wait_for(self._connections.get(), PATIENCE_S)
        return self._receiver

    def put(self, *frames: Frame) -> None:
        """Hands frames to the newest connection that the test has waited for."""
        assert self._receiver is not None, "await connected() first"
        for frame in frames:
            self._receiver.put(frame)

    def forward(self, packet: Packet) -> None:
        assert self._receiver is not None, "await connected() first"
        self._receiver.forward(packet)

    def open(self, video: VideoInfo) -> None:
        assert self._receiver is not None, "await connected() first"
        self._receiver.opened(video)

    def end(self, error: Exception) -> None:
        assert self._ending is not None, "await connected() first"
        self._ending.set_exception(error)


class FakeEstimator:
    """Finds one person whose every landmark is at (0.5, 0.5).

    ``log``: the options it was given, and the pts of the frames that it saw, in their order.
    """

    def __init__(self, maker: "FakeEstimators", options: PoseConfig) -> None:
        self._maker = maker
        self.options = options
        self.model_complexity = options.model_complexity
        self.log: list[PoseConfig | int] = [options]
        self.seen: list[int] = []  # pts
        self.resets = 0
        self.closed = 0
        self.threads = {threading.get_ident()}

    def estimate(self, frame: Frame, pts: int) -> tuple[Pose, ...]:
        assert not self.closed, "used after close"
        assert not self.seen or pts > self.seen[-1], "time ran back"
        self.threads.add(threading.get_ident())
        self._load()
        self.seen.append(pts)
        self.log.append(pts)
        self._maker.work(frame)
        return (make_pose(**dict.fromkeys(NAMES, (0.5, 0.5))),)

    @property
    def bystanders(self) -> tuple[Pose, ...]:
        return self._maker.bystanders

    def configure(self, options: PoseConfig) -> None:
        assert not self.closed, "used after close"
        self.threads.add(threading.get_ident())
        if options.model_complexity in self._maker.missing:
            raise ModelError("not on this machine")
        self.options = options
        self.log.append(options)

    def reset(self) -> None:
        self.resets += 1

    def _load(self) -> None:
        """The network that the options ask for, unless it takes its time."""
        if self._maker.is_loading:
            return
        if self.options.model_complexity in self._maker.broken:
            self.options = self.options.model_copy(
                update={"model_complexity": self.model_complexity}
            )
            raise ModelError("can't be loaded")
        self.model_complexity = self.options.model_complexity

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.closed += 1


class FakeEstimators:
    """An EstimatorFactory that remembers what it built.

    ``refusals``: so many of the next frames are refused. ``unbuildable``: raised instead of building.
    ``crash``: raised by the next frame. While held, every frame waits inside ``estimate``. ``missing``,
    ``broken``: by their ``model_complexity``, models that are refused at once, or when they are loaded.
    While ``is_loading``, no network that was asked for is there yet.
    """

    def __init__(self) -> None:
        self.built: list[FakeEstimator] = []
        self.frames: list[Frame] = []
        self.bystanders: tuple[Pose, ...] = ()
        self.refusals = 0
        self.unbuildable: StreamerError | None = None
        self.crash: Exception | None = None
        self.missing: set[int] = set()
        self.broken: set[int] = set()
        self.is_loading = False
        self._news = threading.Condition()
        self._open = threading.Event()
        self._open.set()

    def __call__(self, options: PoseConfig, name: str = "") -> Estimator:
        if self.unbuildable is not None:
            raise self.unbuildable
        self.built.append(FakeEstimator(self, options))
        return self.built[-1]

    def work(self, frame: Frame) -> None:
        with self._news:
            self.frames.append(frame)
            self._news.notify_all()
        assert self._open.wait(PATIENCE_S), "held for too long"
        if self.crash is not None:
            crash, self.crash = self.crash, None
            raise crash
        if self.refusals:
            self.refusals -= 1
            raise EstimatorError("refused, as the test wants it")

    def hold(self) -> None:
        self._open.clear()

    def let_go(self) -> None:
        self._open.set()

    def wait_for_frames(self, count: int) -> None:
        """Blocks until that many frames, refused ones too, have come into an estimator."""
        with self._news:
            came = self._news.wait_for(lambda: len(self.frames) >= count, PATIENCE_S)
        assert came, f"{len(self.frames)} of {count} frames came"

    async def frames_come(self, count: int) -> None:
        await asyncio.to_thread(self.wait_for_frames, count)


class FakePainter:
    """An annotated frame is the frame's copy, one level brighter; a notice is a small black one.
    ``crash``: raised by the next frame."""

    def __init__(self) -> None:
        self.crash: Exception | None = None
        self.annotated: list[Frame] = []
        self.notices: list[tuple[Frame | None, str]] = []

    def annotate(self, frame: Frame, poses: tuple[Pose, ...]) -> Frame:
        if self.crash is not None:
            crash, self.crash = self.crash, None
            raise crash
        self.annotated.append(frame)
        return Frame(frame.i420 + 1, frame.pts, frame.received_mono, frame.received_at)

    def notice(self, frame: Frame | None, text: str) -> Frame:
        self.notices.append((frame, text))
        return make_frame(width=2, height=2, luma=0)


class _Recording:
    """``until`` waits for what a test expects."""

    def __init__(self) -> None:
        self._news = asyncio.Event()

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not met():
                self._news.clear()
                await self._news.wait()


class RecordingSink(_Recording):
    """Keeps all it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.results: list[PoseResult] = []
        self.statuses: list[Status] = []
        self.models: list[ModelStatus] = []

    @property
    def states(self) -> list[StreamState]:
        return [status.state for status in self.statuses]

    def on_result(self, result: PoseResult) -> None:
        self.results.append(result)
        self._news.set()

    def on_status(self, status: Status) -> None:
        self.statuses.append(status)
        self._news.set()

    def on_model(self, status: ModelStatus) -> None:
        self.models.append(status)
        self._news.set()

    async def results_come(self, count: int) -> None:
        await self.until(lambda: len(self.results) >= count)

    async def state_comes(self, state: StreamState) -> None:
        await self.until(lambda: self.statuses[-1].state is state)


class RecordingScreen(_Recording):
    """Keeps all pictures it is shown, from whatever thread, and the packets it is forwarded."""

    def __init__(self, *, annotated: bool = True) -> None:
        super().__init__()
        self.annotated = annotated
        self.pictures: list[Picture] = []
        self.packets: list[Packet] = []
        self.forwarded: list[Forwarded | None] = []
        self._loop = asyncio.get_running_loop()

    def show(self, picture: Picture) -> None:
        self.pictures.append(picture)
        self._loop.call_soon_threadsafe(self._news.set)

    def forward(self, packet: Packet) -> None:
        self.packets.append(packet)
        self._loop.call_soon_threadsafe(self._news.set)

    def on_forwarded(self, forwarded: Forwarded | None) -> None:
        self.forwarded.append(forwarded)
        self._news.set()

    async def pictures_come(self, count: int) -> None:
        await self.until(lambda: len(self.pictures) >= count)


class RecordingListener:
    """Keeps the messages of a stream: pose messages apart, and all in their order."""

    def __init__(self, form: Form = "json") -> None:
        self.form: Form = form
        self.all: list[str | bytes] = []
        self.poses: list[str | bytes] = []
        self.heard: list[str] = []

    def pose(self, message: str | bytes) -> None:
        self.poses.append(message)
        self.all.append(message)

    def news(self, message: str) -> None:
        self.heard.append(message)
        self.all.append(message)


class FakeTransport:
    """A DTLS transport that keeps what is sent instead of encrypting it."""

    state = "connected"
    _stats_id = "transport"

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.news = asyncio.Event()
        self.is_broken = False

    async def _send_rtp(self, data: bytes) -> None:
        if self.is_broken:
            raise ConnectionError
        self.sent.append(data)
        self.news.set()

    def _register_rtp_sender(self, sender: object, parameters: object) -> None: ...

    def _unregister_rtp_sender(self, sender: object) -> None: ...

    def _get_stats(self) -> dict[str, object]:
        return {}


class FakeClock:
    """A monotonic clock that moves when it is told to."""

    def __init__(self, now_s: float = 0.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s
