"""The worker thread: frames in, results out, under overload and with estimators that fail."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable

import pytest

from streamer.breaker import MAX_DEATHS, Breaker
from streamer.config import MAX_POSES, PoseConfig, PrivacyConfig
from streamer.errors import (
    EstimatorError,
    EstimatorReplaced,
    EstimatorSilent,
    ModelError,
    StreamerError,
)
from streamer.model import Frame, ModelStatus, PoseResult
from streamer.pose.zones import Zones
from streamer.privacy import Obscurer, sought
from streamer.retry import RetryPolicy
from streamer.screens import Screens
from streamer.worker import MAX_RESULTS_IN_FLIGHT, Intake, PoseWorker
from tests.fakes import PATIENCE_S, FakeEstimators, FakePainter, RecordingScreen, make_frame

FRAME = 3000  # ticks at 30 fps
AT_ONCE = RetryPolicy(first_s=0.001, cap_s=0.001)


class Bench:
    """A worker with fakes on all sides."""

    def __init__(self) -> None:
        self.estimators = FakeEstimators()
        self.painter = FakePainter()
        self.intake = Intake()
        self.results: list[PoseResult] = []
        self.screens = Screens(asyncio.Event())
        self.models: list[ModelStatus] = []
        self.troubles: list[EstimatorError] = []
        self.failures: list[StreamerError] = []
        self.retry_in_s: float | None = None  # of the last failure
        self.breaker = Breaker(AT_ONCE)
        self.news = asyncio.Event()
        self.worker = PoseWorker(
            "bench",
            self.estimators,
            PoseConfig(),
            self.painter,
            Obscurer(PrivacyConfig()),
            MAX_POSES,
            self.screens,
            self._on_result,
            self.models.append,
            self._on_trouble,
            self._on_failure,
            self.breaker,
        )

    def put(self, *numbers: int) -> None:
        for number in numbers:
            self.put_frame(make_frame(number * FRAME))

    def put_frame(self, frame: Frame, epoch: int = 1) -> None:
        self.worker.put(self.intake, frame, frame.pts, epoch)

    def _on_result(self, intake: Intake, result: PoseResult) -> None:
        self.results.append(result)
        self.news.set()

    def _on_trouble(self, error: EstimatorError) -> None:
        self.troubles.append(error)
        self.news.set()

    def _on_failure(self, error: StreamerError, wait_s: float | None) -> None:
        self.failures.append(error)
        self.retry_in_s = wait_s
        self.news.set()

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not met():
                self.news.clear()
                await self.news.wait()

    async def process(self, number: int) -> None:
        """One frame, from the slot to its result."""
        before = len(self.results)
        self.put(number)
        await self.until(lambda: len(self.results) > before)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    bench.worker.start()
    yield bench
    bench.estimators.let_go()
    await bench.worker.close()


async def test_results_are_numbered_without_gaps_in_one_epoch(bench: Bench) -> None:
    for number in range(20):
        await bench.process(number)
    assert [(r.epoch, r.seq) for r in bench.results] == [(1, n) for n in range(20)]
    start = bench.results[0].pts
    assert [r.pts - start for r in bench.results] == [n * FRAME for n in range(20)]


async def test_result_carries_the_frame_the_poses_and_the_time_of_each_stage(bench: Bench) -> None:
    await bench.process(0)
    (result,) = bench.results
    assert result.frame is bench.estimators.frames[0]
    assert len(result.poses) == 1
    latency = result.latency_ms
    assert set(latency) == {"decode", "queue", "pose", "draw", "total"}
    assert latency["total"] == pytest.approx(sum(latency.values()) - latency["total"])


async def test_slow_estimator_gets_the_newest_frame_and_the_rest_are_dropped(bench: Bench) -> None:
    bench.estimators.hold()
    bench.put(0)
    await bench.estimators.frames_come(1)
    bench.put(*range(1, 10))
    bench.estimators.let_go()
    await bench.until(lambda: len(bench.results) == 2)
    assert [frame.pts for frame in bench.estimators.frames] == [0, 9 * FRAME]
    assert [r.seq for r in bench.results] == [0, 1]
    assert [r.dropped for r in bench.results] == [8, 8]
    assert (bench.intake.frames_in, bench.intake.dropped) == (10, 8)


async def test_busy_event_loop_collects_no_backlog(bench: Bench) -> None:
    for number in range(MAX_RESULTS_IN_FLIGHT + 1):  # the loop does not run during all of this
        bench.put(number)
        bench.estimators.wait_for_frames(number + 1)
    bench.put(*range(100, 120))
    assert bench.results == []
    await bench.until(lambda: len(bench.results) == MAX_RESULTS_IN_FLIGHT + 2)
    assert bench.intake.dropped == 19
    assert bench.estimators.frames[-1].pts == 119 * FRAME


async def test_every_processed_frame_has_one_result_under_overload(bench: Bench) -> None:
    def feed() -> None:
        for pts in range(3000):
            bench.put_frame(make_frame(pts))

    await asyncio.to_thread(feed)
    await bench.until(lambda: bool(bench.results) and bench.results[-1].frame.pts == 2999)
    assert [r.seq for r in bench.results] == list(range(len(bench.results)))
    assert len(bench.results) + bench.intake.dropped == bench.intake.frames_in == 3000


async def test_pictures_are_drawn_only_while_somebody_wants_them(bench: Bench) -> None:
    await bench.process(0)
    screen = RecordingScreen()
    bench.screens.add(screen)
    await bench.process(1)
    bench.screens.remove(screen)
    await bench.process(2)
    assert [frame.pts for frame in bench.painter.annotated] == [FRAME]
    assert [(shown.pts, shown.is_notice) for shown in screen.pictures] == [(FRAME, False)]


async def test_picture_of_a_connection_that_is_over_comes_too_late(bench: Bench) -> None:
    screen = RecordingScreen()
    bench.screens.add(screen)
    bench.intake.over = True
    await bench.process(0)
    assert screen.pictures == []


async def test_estimator_lives_in_one_thread_that_is_not_the_loops(bench: Bench) -> None:
    await bench.process(0)
    await bench.process(1)
    await bench.worker.close()
    (estimator,) = bench.estimators.built
    assert len(estimator.threads) == 1
    assert threading.get_ident() not in estimator.threads
    assert estimator.closed == 1


async def test_refused_frame_costs_that_frame_and_a_new_estimator(bench: Bench) -> None:
    await bench.process(0)
    bench.estimators.refusals = 1
    bench.put(1)
    await bench.estimators.frames_come(2)
    await bench.process(2)
    assert [e.closed for e in bench.estimators.built] == [1, 0]
    assert [(r.epoch, r.seq) for r in bench.results] == [(1, 0), (1, 1)]
    assert [type(each) for each in bench.troubles] == [EstimatorReplaced]
    assert bench.failures == []


async def test_silent_estimator_is_told_of_with_the_frames_that_come_meanwhile(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.process(0)
    bench.estimators.hold()
    bench.put(1)
    await bench.estimators.frames_come(2)
    monkeypatch.setattr("streamer.worker.SILENT_S", 0.0)
    bench.put(2)
    await bench.until(lambda: bool(bench.troubles))
    bench.estimators.let_go()
    await bench.until(lambda: len(bench.results) == 3)
    assert [type(each) for each in bench.troubles] == [EstimatorSilent]
    bench.put(3)  # to an estimator that owes no answer
    await bench.until(lambda: len(bench.results) == 4)
    assert len(bench.troubles) == 1


async def test_too_many_refusals_are_a_failure_for_a_while(bench: Bench) -> None:
    bench.estimators.refusals = MAX_DEATHS
    for number in range(MAX_DEATHS):
        bench.put(number)
        await bench.estimators.frames_come(number + 1)
    await bench.until(lambda: bool(bench.failures))
    assert isinstance(bench.failures[0], EstimatorError)
    assert "a restart of the stream" in str(bench.failures[0])
    assert bench.retry_in_s == AT_ONCE.open_s
    await bench.worker.close()
    assert all(estimator.closed for estimator in bench.estimators.built)


async def test_estimator_that_can_not_be_replaced_at_once_is_waited_for_and_not_at_the_end(
    bench: Bench,
) -> None:
    await bench.process(0)
    bench.worker._breaker = Breaker(RetryPolicy(first_s=3600.0, cap_s=3600.0))
    bench.worker._breaker.note_death(time.monotonic())
    bench.estimators.refusals = 1
    bench.put(1)
    await bench.estimators.frames_come(2)
    bench.put(2)
    await asyncio.wait_for(bench.worker.close(), PATIENCE_S)
    assert len(bench.estimators.frames) == 2


async def test_where_people_are_hidden_a_new_estimator_begins_with_everything_covered(
    bench: Bench,
) -> None:
    """It may not find at once whom the one before had found; and while there is none nothing is shown."""
    screens = [RecordingScreen(annotated=False), RecordingScreen()]
    for screen in screens:
        bench.screens.add(screen)
    bench.worker.obscurer = Obscurer(PrivacyConfig(mode="silhouette", hold_s=0.5))
    for number in range(40):
        await bench.process(number)
    assert (bench.results[-1].frame.i420[0, 0], bench.estimators.built[0].closed) == (100, 0)
    bench.estimators.refusals = 2
    for number in range(40, 42):  # long enough for whoever was lost to be forgotten
        bench.put(number * 30)
        await bench.estimators.frames_come(number + 1)
    bench.estimators.bystanders = ()
    await bench.process(42 * 30)
    result = bench.results[-1]
    assert len(bench.estimators.built) == 3
    assert (result.frame.planes()[0] != 100).all()
    assert [len(screen.pictures) for screen in screens] == [41, 41]


async def test_model_that_can_not_be_loaded_is_a_failure(bench: Bench) -> None:
    bench.estimators.unbuildable = ModelError("no model")
    bench.put(0)
    await bench.until(lambda: bool(bench.failures))
    assert bench.failures == [bench.estimators.unbuildable]


async def test_fault_of_our_own_costs_the_frame_and_the_estimator(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.estimators.crash = ZeroDivisionError("a bug")
    bench.put(0)
    await bench.estimators.frames_come(1)
    await bench.process(1)
    assert [e.closed for e in bench.estimators.built] == [1, 0]
    assert "ZeroDivisionError: a bug" in caplog.text
    assert bench.failures == []


async def test_fault_in_drawing_costs_the_picture_of_that_frame(bench: Bench) -> None:
    bench.screens.add(RecordingScreen())
    bench.painter.crash = ZeroDivisionError("a bug")
    bench.put(0)
    await bench.estimators.frames_come(1)
    await bench.process(1)
    assert [(r.epoch, r.seq) for r in bench.results] == [(1, 0)]


async def test_fault_of_our_own_that_stays_ends_the_worker_with_words_not_in_silence(
    bench: Bench,
) -> None:
    for number in range(MAX_DEATHS):
        bench.estimators.crash = ZeroDivisionError("a bug")
        bench.put(number)
        await bench.estimators.frames_come(number + 1)
    await bench.until(lambda: bool(bench.failures))
    assert type(bench.failures[0]) is StreamerError
    assert "a bug" not in str(bench.failures[0])


async def test_options_reach_the_estimator_between_two_frames_and_the_newest_win(
    bench: Bench,
) -> None:
    await bench.process(0)
    bench.estimators.hold()
    bench.put(1)
    await bench.estimators.frames_come(2)
    options = [PoseConfig(model_complexity=each) for each in (0, 2)]
    for each in options:  # from this thread, while the worker's is inside of a frame
        bench.worker.configure(each)
    bench.put(2)
    bench.estimators.let_go()
    await bench.until(lambda: len(bench.results) == 3)
    (estimator,) = bench.estimators.built
    assert estimator.log == [PoseConfig(), 0, FRAME, options[1], 2 * FRAME]
    assert len(estimator.threads) == 1
    assert [(r.epoch, r.seq) for r in bench.results] == [(1, 0), (1, 1), (1, 2)]
    assert bench.models == [ModelStatus(1, 1), ModelStatus(2, 2)]


async def test_epoch_counts_its_own_drops(bench: Bench) -> None:
    bench.estimators.hold()
    bench.put(0)
    await bench.estimators.frames_come(1)
    bench.put(1, 2, 3)
    bench.estimators.let_go()
    await bench.until(lambda: len(bench.results) == 2)
    bench.put_frame(make_frame(10_000 * FRAME), epoch=2)
    await bench.until(lambda: len(bench.results) == 3)
    assert [(r.epoch, r.seq, r.dropped) for r in bench.results] == [(1, 0, 2), (1, 1, 2), (2, 0, 0)]
    assert bench.estimators.built[0].resets == 1


async def test_close_does_not_wait_for_a_frame_that_waits_in_the_slot(bench: Bench) -> None:
    bench.estimators.hold()
    bench.put(0)
    await bench.estimators.frames_come(1)
    bench.put(1)
    closing = asyncio.create_task(bench.worker.close())
    await asyncio.sleep(0)
    bench.estimators.let_go()
    await closing
    assert len(bench.estimators.frames) == 1
    assert not [t for t in threading.enumerate() if t.name == "pose-bench"]


async def test_close_comes_back_when_results_wait_for_a_busy_loop(bench: Bench) -> None:
    for number in range(MAX_RESULTS_IN_FLIGHT + 1):
        bench.put(number)
        bench.estimators.wait_for_frames(number + 1)
    await asyncio.wait_for(bench.worker.close(), PATIENCE_S)


async def test_worker_that_never_started_can_be_closed() -> None:
    await Bench().worker.close()


async def test_people_who_do_not_count_are_found_and_not_told_of(bench: Bench) -> None:
    bench.worker.zones = Zones(ignore=[[(0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6)]])
    await bench.process(0)
    bench.worker.zones = Zones()
    await bench.process(1)
    assert [len(result.poses) for result in bench.results] == [0, 1]


def test_estimator_of_hidden_people_looks_beyond_the_zones_too() -> None:
    pose = PoseConfig(region=[(0, 0), (1, 0), (1, 1)], ignore=[[(0, 0), (1, 0), (1, 1)]])
    assert sought(pose, "off") == pose
    hiding = sought(pose, "blur")
    assert (hiding.region, hiding.ignore) == ([], [])
