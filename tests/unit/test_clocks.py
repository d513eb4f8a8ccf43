"""Clocks that jump: the machine's, set by hand or by NTP, and the cameras' own."""

import datetime
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from streamer import certificates
from streamer.certificates import Authority
from streamer.config import PoseConfig
from streamer.model import Frame, StreamState
from streamer.overlay import SkeletonPainter
from streamer.retry import RetryPolicy
from streamer.session import Session
from streamer.sources.live_edge import LiveEdge
from streamer.timeline import Timeline
from tests.fakes import FakeEstimators, FakeSource, RecordingSink, make_frame

FRAME = 3000  # ticks at 30 fps
HOUR = 3600 * 90_000

# What a camera's timestamps may do between two frames, in ticks.
JUMPS: dict[str, Callable[[int], int]] = {
    "an hour forward": lambda pts: pts + HOUR,
    "an hour back": lambda pts: pts - HOUR,
    "wraps at 32 bits": lambda pts: (pts + FRAME) % 2**32 - 2**32 + FRAME,
    "wraps at 33 bits": lambda pts: pts - 2**33 + FRAME,
    "the same again": lambda pts: pts,
    "back to 0": lambda pts: 0,
    "a little back": lambda pts: pts - 1,
    "beyond 33 bits": lambda pts: 2**40,
    "beyond 63 bits": lambda pts: 2**70,
    "negative": lambda pts: -(2**33),
}


@pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS)
def test_stream_goes_on_at_the_pace_of_real_time_whatever_a_camera_does(
    jump: Callable[[int], int],
) -> None:
    timeline, mono = Timeline(0.0), 100.0
    pts, placed = 2**32 - 10 * FRAME, []
    for number in range(60):
        pts = jump(pts) if number == 30 else pts + FRAME
        mono += 1 / 30
        placed.append(timeline.place(pts, mono)[0])
    assert placed == sorted(set(placed))
    assert placed[-1] == pytest.approx(mono * 90_000, abs=FRAME)
    steps = [after - before for before, after in zip(placed, placed[1:], strict=False)]
    assert max(steps) <= 2 * FRAME


def test_camera_that_jumps_with_every_frame_is_followed_by_the_times_of_arrival() -> None:
    timeline, mono, placed = Timeline(0.0), 100.0, []
    for number in range(100):
        mono += 1 / 30
        placed.append(timeline.place((-1) ** number * number * HOUR, mono)[0])
    assert placed == sorted(set(placed))
    assert placed[-1] == pytest.approx(mono * 90_000, abs=FRAME)


def test_camera_that_stored_nothing_but_jumps_reaches_the_live_edge() -> None:
    seen: list[Frame] = []
    edge = LiveEdge(seen.append)
    for number in range(5):
        edge.offer(make_frame(-number * HOUR, received_mono=100 + number / 30))
    assert len(seen) == 4 and edge.reached


async def test_session_lives_through_jumps_of_both_clocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its estimator, which takes no time that runs back, is the fake that checks that."""
    source, estimators, sink = FakeSource(), FakeEstimators(), RecordingSink()
    session = Session(*("door", source, estimators, PoseConfig(), SkeletonPainter()), RetryPolicy())
    session.subscribe(sink)
    session.start()
    await source.connected()
    wall_s = [time.time()]
    monkeypatch.setattr(time, "time", lambda: wall_s[0])
    pts = 2**32
    for number, jump in enumerate(JUMPS.values()):
        wall_s[0] += (-1) ** number * 7 * 3600
        pts = jump(pts)
        source.put(make_frame(pts))
        await sink.results_come(number + 1)
    times = [result.pts for result in sink.results]
    assert times == sorted(set(times))
    assert session.status.state is StreamState.LIVE
    assert (session.frame_age_s or 0) < 60
    await session.close()


class WallClock:
    """The one that certificates go by."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = datetime.datetime.now(datetime.UTC)
        monkeypatch.setattr(certificates, "_now", lambda: self.now)


def test_certificate_of_the_future_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine began with a wrong clock, made its certificate, and was then put right."""
    clock = WallClock(monkeypatch)
    right = clock.now
    clock.now = right + datetime.timedelta(days=300)
    authority = Authority(tmp_path, lambda: {"localhost"}).open()
    clock.now = right
    assert authority.renew()
    assert not authority.renew()


def test_certificate_survives_a_clock_that_is_hours_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = WallClock(monkeypatch)
    authority = Authority(tmp_path, lambda: {"localhost"}).open()
    for hours in (-20, 20, 48):
        clock.now += datetime.timedelta(hours=hours)
        assert not authority.renew()
