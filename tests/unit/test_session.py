"""The state machine of a session: what it tells its sinks, how it retries, and how it ends."""

import asyncio
import logging
import random
import threading
from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest

from streamer import screens
from streamer.breaker import MAX_DEATHS
from streamer.config import Idle, PoseConfig, Rotation
from streamer.entrance import MAX_UNFORWARDED_S
from streamer.errors import (
    DecoderDied,
    EstimatorError,
    EstimatorReplaced,
    EstimatorSilent,
    ModelError,
    SourceEnded,
    SourceError,
    SourceForbidden,
    SourceLost,
    SourceRejected,
    SourceStalled,
    SourceUnreachable,
)
from streamer.model import (
    Forwarded,
    Frame,
    ModelStatus,
    Packet,
    Picture,
    PoseResult,
    Status,
    StreamState,
    VideoInfo,
)
from streamer.retry import RetryPolicy
from streamer.session import Session
from streamer.worker import PoseWorker
from tests.fakes import (
    PATIENCE_S,
    FakeEstimators,
    FakePainter,
    FakeSource,
    RecordingScreen,
    RecordingSink,
    make_frame,
)

FRAME = 3000  # ticks at 30 fps
AT_ONCE = RetryPolicy(first_s=0.001, cap_s=0.001)
NEVER = RetryPolicy(first_s=3600.0, cap_s=3600.0)


class Bench:
    """A session with fakes on all sides, and one sink for data and one for pictures."""

    def __init__(
        self, source: FakeSource, retry: RetryPolicy = AT_ONCE, idle: Idle = "run"
    ) -> None:
        self.source = source
        self.estimators = FakeEstimators()
        self.painter = FakePainter()
        self.session = Session(
            "bench", source, self.estimators, PoseConfig(), self.painter, retry, idle
        )
        self.sink = RecordingSink()
        self.session.subscribe(self.sink)
        self._next = 0

    def watch(self, *, annotated: bool = True) -> RecordingScreen:
        viewer = RecordingScreen(annotated=annotated)
        self.session.screens.add(viewer)
        return viewer

    async def go_live(self) -> None:
        self.session.start()
        await self.source.connected()
        await self.process(1)

    async def process(self, count: int) -> None:
        """So many frames, one after the other, from the source to the sink."""
        for _ in range(count):
            before = len(self.sink.results)
            self.source.put(make_frame(self._next * FRAME))
            self._next += 1
            await self.sink.results_come(before + 1)

    async def state_is(self, state: StreamState) -> None:
        await self.sink.state_comes(state)


Benches = list[Bench]


@pytest.fixture
async def benches() -> AsyncIterator[Benches]:
    """A list for the benches that a test makes: each is closed, and must leave nothing behind."""
    made: Benches = []
    yield made
    for bench in made:
        bench.estimators.let_go()
        await bench.session.close()
        assert bench.source.open_connections == 0
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pose-")]
    assert not [task for task in asyncio.all_tasks() if task.get_name().endswith("-bench")]


@pytest.fixture
async def bench(benches: Benches) -> Bench:
    benches.append(Bench(FakeSource()))
    return benches[-1]


# -- from connecting to live ------------------------------------------------------------------------


async def test_first_frame_makes_the_stream_live(bench: Bench) -> None:
    assert bench.sink.states == [StreamState.CONNECTING]
    await bench.go_live()
    assert bench.sink.states == [StreamState.CONNECTING, StreamState.LIVE]


async def test_connected_source_without_a_frame_is_not_live(bench: Bench) -> None:
    bench.session.start()
    await bench.source.connected()
    bench.source.open(VideoInfo(64, 48, "h264"))
    bench.source.end(SourceStalled("no frame came"))
    await bench.state_is(StreamState.RECONNECTING)
    assert StreamState.LIVE not in bench.sink.states
    assert bench.session.stats().losses == 0


async def test_what_a_connection_says_once_it_is_over_is_not_heard(bench: Bench) -> None:
    bench.session.start()
    ended = await bench.source.connected()
    bench.source.end(SourceStalled("no frame came"))
    await bench.source.connected()
    ended.opened(VideoInfo(64, 48, "h264"))
    ended.put(make_frame())
    bench.source.open(VideoInfo(320, 240, "h264"))
    await asyncio.sleep(0)
    assert bench.session.video == VideoInfo(320, 240, "h264")
    assert StreamState.LIVE not in bench.sink.states


async def test_session_knows_what_its_source_turned_out_to_be(bench: Bench) -> None:
    bench.session.start()
    await bench.source.connected()
    bench.source.open(VideoInfo(64, 48, "h264", 25.0))
    await bench.process(1)
    assert bench.session.video == VideoInfo(64, 48, "h264", 25.0)


async def test_subscriber_hears_at_once_how_things_are(bench: Bench) -> None:
    await bench.go_live()
    late = RecordingSink()
    bench.session.subscribe(late)
    assert late.states == [StreamState.LIVE]


async def test_unsubscribed_sink_hears_no_more(bench: Bench) -> None:
    await bench.go_live()
    leaver = RecordingSink()
    bench.session.subscribe(leaver)
    bench.session.unsubscribe(leaver)
    bench.session.unsubscribe(leaver)
    await bench.process(2)
    assert leaver.results == []


async def test_figures_count_frames_of_all_connections(bench: Bench) -> None:
    await bench.go_live()
    bench.estimators.hold()
    bench.source.put(make_frame(FRAME))
    await bench.estimators.frames_come(2)
    bench.source.put(*(make_frame(n * FRAME) for n in (2, 3, 4)))
    bench.estimators.let_go()
    await bench.sink.results_come(3)
    bench.source.end(SourceLost("gone"))
    await bench.source.connected()
    await bench.process(1)
    stats = bench.session.stats()
    assert (stats.frames_in, stats.frames_processed, stats.frames_dropped) == (6, 4, 2)
    assert stats.reconnects == stats.losses == 1
    assert stats.frames_in == stats.frames_processed + stats.frames_dropped


async def test_frame_that_still_waits_when_its_connection_ends_is_dropped(bench: Bench) -> None:
    await bench.go_live()
    bench.estimators.hold()
    bench.source.put(make_frame(FRAME))
    await bench.estimators.frames_come(2)
    bench.source.put(make_frame(2 * FRAME))
    bench.source.end(SourceLost("gone"))
    await bench.source.connected()
    bench.estimators.let_go()
    await bench.process(1)
    stats = bench.session.stats()
    assert (stats.frames_in, stats.frames_processed, stats.frames_dropped) == (4, 2, 1)


# -- losing the source ------------------------------------------------------------------------------


async def test_lost_source_is_opened_again_and_the_stream_is_live_again(bench: Bench) -> None:
    await bench.go_live()
    bench.source.end(SourceLost("the camera ended the connection"))
    await bench.state_is(StreamState.RECONNECTING)
    status = bench.sink.statuses[-1]
    assert (status.detail, status.error_kind) == ("the camera ended the connection", "source-lost")
    assert status.retry_in_s is not None and status.attempt == 1
    await bench.source.connected()
    await bench.process(1)
    assert bench.sink.statuses[-1].state is StreamState.LIVE
    assert bench.sink.statuses[-1].error_kind is None


async def test_log_tells_how_a_stream_fares_in_sentences(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "streamer.session")
    await bench.go_live()
    bench.source.end(SourceLost("the camera ended the connection"))
    await bench.state_is(StreamState.RECONNECTING)
    await bench.session.close()
    assert caplog.messages == [
        "stream bench is live",
        "stream bench is reconnecting: the camera ended the connection",
        "stream bench is ended: stopped",
    ]
    assert {vars(each)["stream"] for each in caplog.records} == {"bench"}


async def test_reconnect_begins_an_epoch_and_time_goes_on(bench: Bench) -> None:
    await bench.go_live()
    await bench.process(4)
    bench.source.end(SourceLost("gone"))
    await bench.source.connected()
    await bench.process(3)
    numbers = [(r.epoch, r.seq) for r in bench.sink.results]
    assert numbers == [(1, n) for n in range(5)] + [(2, n) for n in range(3)]
    times = [r.pts for r in bench.sink.results]
    assert times == sorted(set(times))
    assert bench.estimators.built[0].resets == 1


async def test_attempts_count_up_until_a_frame_comes(benches: Benches) -> None:
    bench = Bench(FakeSource(*(SourceUnreachable("nothing answers") for _ in range(4))))
    benches.append(bench)
    bench.session.start()
    await bench.source.connected()
    waits = [status for status in bench.sink.statuses if status.retry_in_s is not None]
    assert [status.attempt for status in waits] == [1, 2, 3, 4]
    assert {status.state for status in waits} == {StreamState.RECONNECTING}
    await bench.process(1)
    bench.source.end(SourceLost("gone"))
    await bench.state_is(StreamState.RECONNECTING)
    assert bench.sink.statuses[-1].attempt == 1


async def test_status_counts_down_before_a_try_and_not_during_it(benches: Benches) -> None:
    bench = Bench(FakeSource(SourceUnreachable("nothing answers")))
    benches.append(bench)
    bench.session.start()
    await bench.source.connected()
    waiting, trying = bench.sink.statuses[1:3]
    assert waiting.retry_in_s is not None
    assert trying == replace(waiting, retry_in_s=None)


async def test_session_waits_as_long_as_it_says(benches: Benches) -> None:
    bench = Bench(FakeSource(SourceUnreachable("nothing answers")), NEVER)
    benches.append(bench)
    bench.session.start()
    await bench.state_is(StreamState.RECONNECTING)
    wait_s = bench.sink.statuses[-1].retry_in_s
    assert wait_s is not None and wait_s > 2000
    assert bench.source.runs == 1


@pytest.mark.parametrize("error", [SourceRejected("wrong password"), SourceForbidden("not there")])
async def test_what_a_person_must_mend_is_tried_rarely(benches: Benches, error: Exception) -> None:
    bench = Bench(FakeSource(error), replace(AT_ONCE, rejected_s=300.0))
    benches.append(bench)
    bench.session.start()
    await bench.state_is(StreamState.FAILED)
    status = bench.sink.statuses[-1]
    assert (status.detail, status.retry_in_s) == (str(error), 300.0)
    assert bench.source.runs == 1


async def test_rejected_credentials_are_tried_again_in_the_end(benches: Benches) -> None:
    bench = Bench(FakeSource(SourceRejected("wrong")), replace(AT_ONCE, rejected_s=0.001))
    benches.append(bench)
    await bench.go_live()
    states = bench.sink.states
    assert states == [
        StreamState.CONNECTING,
        StreamState.FAILED,
        StreamState.RECONNECTING,
        StreamState.LIVE,
    ]


async def test_late_result_of_an_ended_connection_is_not_delivered(bench: Bench) -> None:
    await bench.go_live()
    bench.estimators.hold()
    bench.source.put(make_frame(luma=33))
    await bench.estimators.frames_come(2)
    bench.source.end(SourceLost("gone"))
    await bench.source.connected()
    bench.estimators.let_go()
    await bench.process(1)
    assert all(r.frame.i420[0, 0] != 33 for r in bench.sink.results)
    assert [(r.epoch, r.seq) for r in bench.sink.results] == [(1, 0), (2, 0)]


async def test_fault_in_a_source_fails_the_stream_with_words_and_is_retried_rarely(
    benches: Benches, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(FakeSource(ZeroDivisionError("a bug")))
    benches.append(bench)
    bench.session.start()
    await bench.state_is(StreamState.FAILED)
    status = bench.sink.statuses[-1]
    assert status.error_kind == "internal"
    assert "a bug" not in status.detail
    assert status.retry_in_s == AT_ONCE.rejected_s
    assert "ZeroDivisionError: a bug" in caplog.text


def test_waits_grow_to_a_cap_and_stay_there() -> None:
    policy = RetryPolicy(jitter=0.0)
    waits = [policy.delay_s(attempt) for attempt in range(1, 100_000, 7)]
    assert policy.delay_s(1) == 0.5
    assert waits == sorted(waits)
    assert waits[-1] == policy.cap_s == 3.0


def test_jitter_stays_within_its_share_and_below_the_cap() -> None:
    policy = RetryPolicy()
    random.seed(1)
    waits = [policy.delay_s(50) for _ in range(1000)]
    assert policy.cap_s * 0.8 <= min(waits) < policy.cap_s * 0.85
    assert policy.cap_s * 0.95 < max(waits) <= policy.cap_s


# -- pictures and notices ---------------------------------------------------------------------------


async def test_viewer_sees_annotated_pictures_at_their_results_times(bench: Bench) -> None:
    viewer = bench.watch()
    await bench.go_live()
    await bench.process(2)
    results = bench.sink.results
    live = [each for each in viewer.pictures if each.frame.width == 64]
    assert [each.pts for each in live] == [r.pts for r in results]
    assert [each.frame.i420[0, 0] for each in live] == [101, 101, 101]


async def test_nothing_is_drawn_while_nobody_sees_it(bench: Bench) -> None:
    await bench.go_live()
    bench.source.end(SourceLost("gone"))
    await bench.source.connected()
    await bench.process(1)
    assert bench.painter.annotated == [] and bench.painter.notices == []


async def test_viewer_of_a_lost_camera_sees_the_last_picture_with_a_notice(
    benches: Benches,
) -> None:
    bench = Bench(FakeSource(), NEVER)
    benches.append(bench)
    viewer = bench.watch()
    await bench.go_live()
    last_frame = bench.sink.results[-1].frame
    shown = len(viewer.pictures)
    bench.source.end(SourceLost("the cable was pulled"))
    await viewer.pictures_come(shown + 1)
    assert bench.painter.notices[-1] == (
        last_frame,
        "camera lost, retrying\nthe cable was pulled",
    )


async def test_viewer_who_comes_while_the_camera_is_lost_sees_the_notice_at_once(
    benches: Benches,
) -> None:
    bench = Bench(FakeSource(SourceUnreachable("nothing answers")), NEVER)
    benches.append(bench)
    bench.session.start()
    await bench.state_is(StreamState.RECONNECTING)
    viewer = bench.watch()
    await viewer.pictures_come(1)
    assert bench.painter.notices == [(None, "camera not there, retrying\nnothing answers")]


async def test_notice_is_repeated_and_drawn_once(benches: Benches) -> None:
    bench = Bench(FakeSource(SourceRejected("wrong password")), NEVER)
    benches.append(bench)
    viewer = bench.watch()
    bench.session.start()
    await bench.state_is(StreamState.FAILED)
    await viewer.pictures_come(len(viewer.pictures) + 2)
    assert [text for _, text in bench.painter.notices].count("wrong password") == 1


async def test_time_of_pictures_rises_from_video_to_notice_to_video(bench: Bench) -> None:
    viewer = bench.watch()
    await bench.go_live()
    for _ in range(3):
        shown = len(viewer.pictures)
        bench.source.end(SourceLost("gone"))
        await viewer.pictures_come(shown + 1)
        await bench.source.connected()
        await bench.process(2)
    times = [picture.pts for picture in viewer.pictures]
    assert times == sorted(set(times))


async def test_no_notice_is_shown_while_video_is_live(bench: Bench) -> None:
    viewer = bench.watch()
    await bench.go_live()
    notices = len(bench.painter.notices)
    late_viewer = bench.watch()
    await bench.process(3)
    assert [picture.frame.width for picture in late_viewer.pictures] == [64, 64, 64]
    assert len(bench.painter.notices) == notices
    assert viewer.pictures[-1].frame is late_viewer.pictures[-1].frame


# -- plain pictures and packets ---------------------------------------------------------------------


def packet(number: int, *, key: bool = False, received_mono: float = 0.0) -> Packet:
    return Packet(b"", "vp8", number * FRAME, key, received_mono)


async def test_plain_picture_does_not_wait_for_the_estimator(bench: Bench) -> None:
    viewer = bench.watch(annotated=False)
    await bench.go_live()
    bench.estimators.hold()
    for number in range(1, 6):
        bench.source.put(make_frame(number * FRAME))
    assert [each.frame.pts for each in viewer.pictures if each.frame.width == 64] == [
        number * FRAME for number in range(6)
    ]
    bench.estimators.let_go()


async def test_packet_picture_and_message_of_a_frame_have_one_time(bench: Bench) -> None:
    viewer = bench.watch(annotated=False)
    bench.session.screens.add_packets(viewer)
    await bench.go_live()
    for number in range(1, 4):
        bench.source.forward(packet(number, key=number == 1, received_mono=100.0 + number))
        bench.source.put(make_frame(number * FRAME, received_mono=100.0 + number))
        await bench.sink.results_come(number + 1)
    times = [result.pts for result in bench.sink.results][1:]
    assert [each.pts for each in viewer.packets] == times
    live = [each.pts for each in viewer.pictures if each.frame.width == 64]
    assert live[1:] == times


async def test_source_forwards_what_its_last_key_frame_was_of(bench: Bench) -> None:
    viewer = bench.watch(annotated=False)
    bench.session.screens.add_packets(viewer)
    await bench.go_live()
    bench.source.forward(packet(1))
    bench.source.forward(packet(2, key=True))
    bench.source.forward(packet(3, key=True))
    await viewer.until(lambda: viewer.forwarded == [Forwarded("vp8")])
    assert bench.session.screens.forwarded == Forwarded("vp8")


async def test_source_that_stops_forwarding_is_noticed(bench: Bench) -> None:
    viewer = bench.watch(annotated=False)
    bench.session.screens.add_packets(viewer)
    await bench.go_live()
    bench.source.forward(packet(1, key=True, received_mono=100.0))
    for number in range(30):  # a decoder that is behind shows what came before
        bench.source.put(make_frame((2 + number) * FRAME, received_mono=100.0 - 0.01 * number))
        await bench.sink.results_come(2 + number)
    assert viewer.forwarded == [Forwarded("vp8")]
    for late_s in (0.9, 1.1):
        received_mono = 100.0 + late_s * MAX_UNFORWARDED_S
        bench.source.put(make_frame(90 * FRAME, received_mono=received_mono))
    await viewer.until(lambda: viewer.forwarded[-1] is None)


# -- cameras that hang askew ------------------------------------------------------------------------


def bright_corner(pts: int) -> Frame:
    """64x48, grey, and white in its upper left corner."""
    frame = make_frame(pts)
    frame.i420[:8, :8] = 235
    return frame


def white_corner(frame: Frame) -> tuple[str, str]:
    luma = frame.planes()[0]
    rows, columns = np.nonzero(luma == 235)
    across = "left" if columns.max() < 8 else "right"
    return ("upper" if rows.max() < 8 else "lower", across)


@pytest.mark.parametrize(
    ("rotation", "corner"),
    [
        (0, ("upper", "left")),
        (90, ("upper", "right")),
        (180, ("lower", "right")),
        (270, ("lower", "left")),
    ],
)
async def test_everybody_sees_the_picture_turned_clockwise(
    bench: Bench, rotation: Rotation, corner: tuple[str, str]
) -> None:
    annotated, plain = bench.watch(), bench.watch(annotated=False)
    bench.session.rotation = rotation
    bench.session.start()
    await bench.source.connected()
    bench.source.open(VideoInfo(64, 48, "h264", 25.0))
    await asyncio.to_thread(bench.source.put, bright_corner(0))
    await bench.sink.results_come(1)
    await plain.until(lambda: any(not each.is_notice for each in plain.pictures))
    seen = [
        bench.sink.results[0].frame,
        *bench.estimators.frames,
        *bench.painter.annotated,
        *(each.frame for each in plain.pictures if not each.is_notice),
    ]
    assert len(seen) == 4
    size = (64, 48) if rotation % 180 == 0 else (48, 64)
    for frame in seen:
        assert (white_corner(frame), frame.width, frame.height) == (corner, *size)
    assert bench.session.video == VideoInfo(*size, "h264", 25.0)
    assert annotated.pictures


async def test_rotation_changes_while_the_stream_goes_on(bench: Bench) -> None:
    bench.session.start()
    await bench.source.connected()
    turns: list[Rotation] = [0, 180, 180, 90, 0]
    for number, rotation in enumerate(turns):
        bench.session.rotation = rotation
        await asyncio.to_thread(bench.source.put, bright_corner(number * FRAME))
        await bench.sink.results_come(number + 1)
    corners = [white_corner(result.frame) for result in bench.sink.results]
    upright = ("upper", "left")
    assert corners == [upright, *[("lower", "right")] * 2, ("upper", "right"), upright]
    assert {result.epoch for result in bench.sink.results} == {1}
    assert bench.sink.states == [StreamState.CONNECTING, StreamState.LIVE]
    (estimator,) = bench.estimators.built
    assert estimator.resets == 3  # wherever everything is elsewhere


async def test_packets_of_a_camera_that_hangs_askew_go_to_nobody(bench: Bench) -> None:
    viewer = bench.watch(annotated=False)
    bench.session.screens.add_packets(viewer)
    await bench.go_live()
    bench.source.forward(packet(1, key=True))
    await viewer.until(lambda: viewer.forwarded == [Forwarded("vp8")])
    bench.session.rotation = 180
    assert viewer.forwarded == [Forwarded("vp8"), None]  # at once: they are encoded for viewers
    for number in range(2, 8):
        bench.source.forward(packet(number, key=True))
    assert len(viewer.packets) == 1
    bench.session.rotation = 0
    bench.source.forward(packet(8, key=True))
    await viewer.until(lambda: viewer.forwarded[-1] == Forwarded("vp8"))
    assert len(viewer.packets) == 2


async def test_lost_source_forwards_nothing(bench: Bench) -> None:
    viewer = bench.watch(annotated=False)
    bench.session.screens.add_packets(viewer)
    await bench.go_live()
    bench.source.forward(packet(1, key=True))
    await viewer.until(lambda: bench.session.screens.forwarded is not None)
    bench.source.end(SourceLost("gone"))
    await viewer.until(lambda: viewer.forwarded == [Forwarded("vp8"), None])


async def test_sender_reports_time_is_put_on_the_streams_clock(bench: Bench) -> None:
    assert bench.session.stream_time(0) is None
    await bench.go_live()
    (result,) = bench.sink.results
    assert bench.session.stream_time(FRAME // 2) == (result.pts + FRAME // 2, 1)


# -- pausing ----------------------------------------------------------------------------------------


@pytest.fixture
async def sleepy(benches: Benches, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A stream that pauses as soon as nobody watches."""
    monkeypatch.setattr(screens, "IDLE_AFTER_S", 0.01)
    benches.append(Bench(FakeSource(), idle="pause"))
    return benches[-1]


async def open_while_watched(bench: Bench) -> None:
    """On a busy machine nobody has watched for long enough before the source is even asked for."""
    with bench.session.watchers.one_more():
        bench.session.start()
        await bench.source.connected()


async def test_stream_that_nobody_watches_closes_its_camera(sleepy: Bench) -> None:
    await open_while_watched(sleepy)
    await sleepy.state_is(StreamState.PAUSED)
    assert sleepy.source.open_connections == 0


async def test_paused_stream_opens_its_camera_for_the_first_who_watches(sleepy: Bench) -> None:
    await open_while_watched(sleepy)
    await sleepy.state_is(StreamState.PAUSED)
    with sleepy.session.watchers.one_more():
        await sleepy.source.connected()
        await sleepy.process(2)
        await sleepy.state_is(StreamState.LIVE)
        assert sleepy.session.stats().reconnects == 0, "it was no loss"
    await sleepy.state_is(StreamState.PAUSED)


async def test_stream_goes_on_while_one_of_two_still_watches(sleepy: Bench) -> None:
    with sleepy.session.watchers.one_more():
        with sleepy.session.watchers.one_more():
            await sleepy.go_live()
        await sleepy.process(3)
        await asyncio.sleep(0.05)  # five times as long as it would take
        assert sleepy.sink.statuses[-1].state is StreamState.LIVE


async def test_page_that_is_loaded_anew_does_not_make_the_stream_pause(
    sleepy: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screens, "IDLE_AFTER_S", 3600.0)
    with sleepy.session.watchers.one_more():
        await sleepy.go_live()
    with sleepy.session.watchers.one_more():
        await sleepy.process(1)
    assert StreamState.PAUSED not in sleepy.sink.states
    assert sleepy.source.runs == 1


async def test_camera_that_is_down_is_not_tried_while_nobody_watches(
    benches: Benches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screens, "IDLE_AFTER_S", 0.05)
    failures = [SourceUnreachable("nothing answers")] * 1000
    bench = Bench(FakeSource(*failures), RetryPolicy(first_s=0.01, cap_s=0.01), "pause")
    benches.append(bench)
    bench.session.start()
    await bench.state_is(StreamState.PAUSED)
    assert bench.source.runs < 50


async def test_stream_may_be_told_to_run_on(sleepy: Bench) -> None:
    await open_while_watched(sleepy)
    await sleepy.state_is(StreamState.PAUSED)
    sleepy.session.watchers.idle = "run"
    await sleepy.source.connected()
    await sleepy.process(1)
    await sleepy.state_is(StreamState.LIVE)


async def test_paused_stream_can_be_closed_and_restarted(sleepy: Bench) -> None:
    sleepy.session.start()
    await sleepy.state_is(StreamState.PAUSED)
    await sleepy.session.restart()
    await sleepy.state_is(StreamState.PAUSED)
    await sleepy.session.close()
    await sleepy.state_is(StreamState.ENDED)


async def test_error_of_the_source_counts_as_before_in_a_stream_that_may_pause(
    sleepy: Bench,
) -> None:
    with sleepy.session.watchers.one_more():
        await sleepy.go_live()
        sleepy.source.end(SourceLost("gone"))
        await sleepy.source.connected()
        await sleepy.process(1)
    assert StreamState.RECONNECTING in sleepy.sink.states


# -- the estimator ----------------------------------------------------------------------------------


async def fail_estimators(bench: Bench) -> None:
    """As many in a row as it takes; the session has just been started."""
    bench.estimators.refusals = MAX_DEATHS
    await bench.source.connected()
    came = len(bench.estimators.frames)
    for number in range(came, came + MAX_DEATHS):
        bench.source.put(make_frame(number * FRAME))
        await bench.estimators.frames_come(number + 1)
    await bench.state_is(StreamState.FAILED)


async def test_estimator_that_keeps_failing_fails_the_stream_and_stops_the_source(
    bench: Bench,
) -> None:
    bench.session.start()
    await fail_estimators(bench)
    status = bench.sink.statuses[-1]
    assert (status.error_kind, status.retry_in_s) == (EstimatorError.kind, AT_ONCE.open_s)
    assert bench.source.open_connections == 0
    assert bench.session.stats().worker_restarts == MAX_DEATHS


async def test_live_stream_without_poses_says_so_until_they_come_again(bench: Bench) -> None:
    await bench.go_live()
    bench.estimators.refusals = 1
    bench.source.put(make_frame(2 * FRAME))
    await bench.sink.until(lambda: bench.session.status.error_kind is not None)
    assert (bench.session.status.state, bench.session.status.error_kind) == (
        StreamState.LIVE,
        EstimatorReplaced.kind,
    )
    newest = bench.session.result
    assert newest is None
    bench.session._on_trouble(EstimatorSilent("as far as its frames know"))
    assert bench.session.status.error_kind == EstimatorReplaced.kind
    bench.source.put(make_frame(3 * FRAME))
    await bench.sink.results_come(2)
    assert bench.session.status == Status(StreamState.LIVE)
    assert bench.session.result is not None
    told = [status.error_kind for status in bench.sink.statuses[-3:]]
    assert told == [None, EstimatorReplaced.kind, None]


async def test_restart_mends_a_stream_whose_estimator_failed(bench: Bench) -> None:
    viewer = bench.watch()
    bench.session.start()
    await fail_estimators(bench)
    await bench.session.restart()
    await bench.source.connected()
    await bench.process(2)
    assert bench.sink.statuses[-1].state is StreamState.LIVE
    assert viewer.pictures[-1].frame.width == 64
    bench.estimators.refusals = 1  # it is no trial: somebody has looked after it
    bench.source.put(make_frame(10 * FRAME))
    await bench.estimators.frames_come(len(bench.estimators.frames) + 1)
    bench._next = 11
    await bench.process(1)
    assert bench.sink.states.count(StreamState.FAILED) == 1


async def test_failed_estimator_is_tried_again_after_a_pause_and_then_after_a_longer_one(
    benches: Benches,
) -> None:
    bench = Bench(FakeSource(), replace(AT_ONCE, open_s=0.001))
    benches.append(bench)
    bench.session.start()
    await fail_estimators(bench)
    await bench.source.connected()
    bench._next = 100
    await bench.process(1)
    bench.estimators.refusals = 1
    bench.source.put(make_frame(200 * FRAME))
    await bench.sink.until(lambda: bench.sink.states.count(StreamState.FAILED) == 2)
    waits = [each.retry_in_s for each in bench.sink.statuses if each.state is StreamState.FAILED]
    assert waits == [0.001, 0.002]


async def test_model_that_is_missing_fails_the_stream_until_somebody_has_mended_it(
    benches: Benches,
) -> None:
    bench = Bench(FakeSource(), replace(AT_ONCE, rejected_s=0.001))
    benches.append(bench)
    bench.estimators.unbuildable = ModelError("not here")
    bench.session.start()
    await bench.source.connected()
    bench.source.put(make_frame())
    await bench.state_is(StreamState.FAILED)
    assert bench.sink.statuses[-1].error_kind == ModelError.kind
    bench.estimators.unbuildable = None
    await bench.source.connected()
    await bench.process(1)
    assert bench.sink.statuses[-1].state is StreamState.LIVE


async def test_worker_that_can_not_be_started_is_tried_again(
    benches: Benches, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(FakeSource(), replace(AT_ONCE, rejected_s=0.001))
    benches.append(bench)
    bench.estimators.unbuildable = ModelError("not here")
    bench.session.start()
    stock, refusals = PoseWorker.start, [RuntimeError("can't start new thread")]

    def start(worker: PoseWorker) -> None:
        if refusals:
            raise refusals.pop()
        stock(worker)

    monkeypatch.setattr(PoseWorker, "start", start)
    await bench.source.connected()
    bench.source.put(make_frame())
    await bench.sink.until(lambda: bench.sink.states.count(StreamState.FAILED) == 2)
    bench.estimators.unbuildable = None
    await bench.source.connected()
    await bench.process(1)
    assert bench.sink.statuses[-1].state is StreamState.LIVE


# -- processes that read the source -----------------------------------------------------------------


async def test_source_whose_process_died_is_opened_again_at_once(benches: Benches) -> None:
    bench = Bench(FakeSource(), NEVER)
    benches.append(bench)
    await bench.go_live()
    bench.source.end(DecoderDied("its process died"))
    await bench.source.connected()
    await bench.process(1)
    waiting = next(each for each in bench.sink.statuses if each.retry_in_s is not None)
    assert (waiting.state, waiting.retry_in_s) == (StreamState.RECONNECTING, 0.0)
    assert waiting.error_kind == "worker-died"
    assert bench.session.stats().worker_restarts == 1


async def test_source_whose_processes_keep_dying_fails_the_stream_for_a_while(
    benches: Benches,
) -> None:
    bench = Bench(FakeSource(*[DecoderDied("its process died")] * MAX_DEATHS))
    benches.append(bench)
    bench.session.start()
    await bench.state_is(StreamState.FAILED)
    assert bench.sink.statuses[-1].retry_in_s == AT_ONCE.open_s
    assert bench.source.runs == MAX_DEATHS
    await bench.session.restart()
    await bench.source.connected()
    await bench.process(1)
    bench.source.end(DecoderDied("it is no trial: somebody has looked after it"))
    await bench.source.connected()
    await bench.process(1)
    assert bench.sink.statuses[-1].state is StreamState.LIVE
    assert bench.sink.states.count(StreamState.FAILED) == 1


# -- faults in those who listen ---------------------------------------------------------------------


class Faulty(RecordingSink):
    """A sink, and a screen, that raises whatever it is told."""

    annotated = True

    def on_result(self, result: PoseResult) -> None:
        raise ZeroDivisionError("a bug")

    def on_status(self, status: Status) -> None:
        raise ZeroDivisionError("a bug")

    def show(self, picture: Picture) -> None:
        raise ZeroDivisionError("a bug")


async def test_fault_in_a_sink_or_a_screen_costs_the_others_nothing(bench: Bench) -> None:
    bench.session._sinks.insert(0, Faulty())
    bench.session.screens.add(Faulty())
    viewer = bench.watch()
    await bench.go_live()
    await bench.process(2)
    assert [result.seq for result in bench.sink.results] == [0, 1, 2]
    assert len([each for each in viewer.pictures if not each.is_notice]) == 3
    assert bench.sink.statuses[-1].state is StreamState.LIVE


async def test_options_of_a_live_session_reach_its_estimator_and_those_after_a_restart(
    bench: Bench,
) -> None:
    await bench.go_live()
    heavy = PoseConfig(model_complexity=2)
    bench.session.configure(heavy)
    await bench.process(2)
    (estimator,) = bench.estimators.built
    given = [each if isinstance(each, PoseConfig) else "frame" for each in estimator.log]
    assert given == [PoseConfig(), "frame", heavy, "frame", "frame"]
    assert [(r.epoch, r.seq) for r in bench.sink.results] == [(1, 0), (1, 1), (1, 2)]
    await bench.session.restart()
    await bench.source.connected()
    await bench.process(1)
    assert bench.estimators.built[-1].log[0] == heavy
    assert bench.sink.models == [ModelStatus(1, 1), ModelStatus(2, 2)]


async def test_figures_tell_which_model_runs(bench: Bench) -> None:
    assert bench.session.stats().model_complexity is None
    await bench.go_live()
    assert bench.session.stats().model_complexity == 1
    bench.estimators.is_loading = True
    bench.session.configure(PoseConfig(model_complexity=2))
    await bench.process(1)
    stats = bench.session.stats()
    assert (stats.model_complexity, stats.model_reason) == (1, "loading")
    bench.estimators.is_loading = False
    await bench.process(1)
    stats = bench.session.stats()
    assert (stats.model_complexity, stats.model_reason) == (2, None)


# -- restart and the end ----------------------------------------------------------------------------


async def test_restart_does_not_wait_for_the_next_try(benches: Benches) -> None:
    bench = Bench(FakeSource(SourceRejected("wrong password")), NEVER)
    benches.append(bench)
    bench.session.start()
    await bench.state_is(StreamState.FAILED)
    await bench.session.restart()
    await bench.source.connected()
    await bench.process(1)
    assert bench.source.runs == 2


async def test_restart_closes_the_connection_that_is_open(bench: Bench) -> None:
    await bench.go_live()
    await bench.session.restart()
    await bench.source.connected()
    assert bench.source.open_connections == 1
    await bench.process(1)
    assert [(r.epoch, r.seq) for r in bench.sink.results] == [(1, 0), (2, 0)]


async def test_two_restarts_at_once_leave_one_connection(bench: Bench) -> None:
    await bench.go_live()
    await asyncio.gather(bench.session.restart(), bench.session.restart())
    await bench.source.connected()
    await bench.source.connected()
    assert (bench.source.runs, bench.source.open_connections) == (3, 1)
    assert sum(thread.name == "pose-bench" for thread in threading.enumerate()) == 1


async def test_close_during_a_restart_leaves_nothing_running(bench: Bench) -> None:
    await bench.go_live()
    restart = asyncio.create_task(bench.session.restart())
    await asyncio.sleep(0)
    await bench.session.close()
    await restart
    assert bench.sink.statuses[-1].state is StreamState.ENDED


async def test_source_that_says_it_is_over_ends_the_session(bench: Bench) -> None:
    await bench.go_live()
    bench.source.end(SourceEnded("the camera has left"))
    await bench.state_is(StreamState.ENDED)
    assert bench.sink.statuses[-1].detail == "the camera has left"
    assert bench.source.runs == 1


async def test_source_that_is_over_as_soon_as_it_was_live_stays_over(bench: Bench) -> None:
    bench.session.start()
    await bench.source.connected()
    bench.estimators.hold()
    bench.source.put(make_frame())
    bench.source.end(SourceEnded("the camera has left"))
    await bench.state_is(StreamState.ENDED)
    bench.estimators.let_go()
    await bench.session.close()
    assert bench.sink.states[-1] is StreamState.ENDED
    assert bench.sink.results == []


@pytest.mark.parametrize("error", [SourceLost("gone"), SourceRejected("wrong"), None])
async def test_close_ends_the_session_from_any_state(
    benches: Benches, error: SourceError | None
) -> None:
    bench = Bench(FakeSource(*([error] if error else [])), NEVER)
    benches.append(bench)
    bench.session.start()
    if error:
        await bench.sink.until(lambda: len(bench.sink.statuses) == 2)
    else:
        await bench.source.connected()
    await bench.session.close()
    await bench.session.close()
    assert bench.sink.statuses[-1].state is StreamState.ENDED
    assert bench.sink.states.count(StreamState.ENDED) == 1


async def test_close_waits_for_the_frame_in_work(bench: Bench) -> None:
    await bench.go_live()
    bench.estimators.hold()
    bench.source.put(make_frame(FRAME))
    await bench.estimators.frames_come(2)
    closing = asyncio.create_task(bench.session.close())
    assert not (await asyncio.wait([closing], timeout=0.05))[0]
    bench.estimators.let_go()
    await asyncio.wait_for(closing, PATIENCE_S)
    assert bench.estimators.built[0].closed == 1


async def test_nothing_is_delivered_after_the_end(bench: Bench) -> None:
    await bench.go_live()
    bench.estimators.hold()
    bench.source.put(make_frame(FRAME))
    closing = asyncio.create_task(bench.session.close())
    await asyncio.sleep(0)
    bench.estimators.let_go()
    await closing
    results, statuses = len(bench.sink.results), len(bench.sink.statuses)
    for _ in range(5):
        await asyncio.sleep(0)
    assert (len(bench.sink.results), len(bench.sink.statuses)) == (results, statuses)


@pytest.mark.parametrize("steps", range(5))
async def test_close_in_the_moment_in_which_there_is_news_for_the_notice_ends(
    bench: Bench, steps: int
) -> None:
    """Python's wait_for loses a cancellation that comes with what it waited for."""
    viewer = bench.watch()
    bench.session.start()
    await viewer.pictures_come(1)
    bench.watch()
    for _ in range(steps):
        await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE_S):
        await bench.session.close()
