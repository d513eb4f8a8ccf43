"""What a camera had stored, or what we are too slow for, is skipped; what it films now is not."""

import numpy as np
import pytest

from streamer.model import Frame
from streamer.sources.live_edge import QUIET_S, LiveEdge, Pace
from tests.fakes import FakeClock

FRAME_TICKS = 3000  # at 30 fps


def frame(number: int, received_mono: float) -> Frame:
    return Frame(np.zeros((3, 2), np.uint8), number * FRAME_TICKS, received_mono, 0.0)


@pytest.fixture
def given() -> list[int]:
    return []


@pytest.fixture
def edge(given: list[int]) -> LiveEdge:
    return LiveEdge(lambda frame: given.append(frame.pts // FRAME_TICKS))


def test_backlog_is_skipped_and_live_frames_follow(edge: LiveEdge, given: list[int]) -> None:
    for number in range(8):
        edge.offer(frame(number, 0.007 * number))
    assert given == []
    edge.offer(frame(8, 0.049 + 0.033))
    edge.offer(frame(9, 0.049 + 0.066))
    assert given == [8, 9]
    assert edge.reached


def test_without_backlog_the_second_frame_goes_through(edge: LiveEdge, given: list[int]) -> None:
    edge.offer(frame(0, 0.0))
    edge.offer(frame(1, 0.033))
    assert given == [1]


def test_newest_frame_goes_when_nothing_follows(given: list[int]) -> None:
    clock = FakeClock(100.0)
    edge = LiveEdge(lambda frame: given.append(frame.pts // FRAME_TICKS), clock)
    edge.offer(frame(0, 99.0))
    edge.offer(frame(1, 99.0))
    edge.settle()
    assert given == [], "it took long to decode, and has just come"
    assert not edge.reached
    clock.now_s += 2 * QUIET_S
    edge.settle()
    edge.settle()
    assert given == [1]


def test_burst_later_on_goes_through(edge: LiveEdge, given: list[int]) -> None:
    edge.offer(frame(0, 0.0))
    for number in range(1, 5):
        edge.offer(frame(number, 0.033 + number / 1000))
    assert given == [1, 2, 3, 4]


def test_source_that_always_runs_too_fast_is_given_in_the_end(
    edge: LiveEdge, given: list[int]
) -> None:
    for number in range(1000):
        edge.offer(frame(number, 0.005 * number))
    assert given[-1] == 999


def test_clock_that_runs_back_is_no_backlog(edge: LiveEdge, given: list[int]) -> None:
    edge.offer(frame(50, 0.0))
    edge.offer(frame(0, 0.03))
    assert given == [0]


def test_nothing_goes_through_once_closed(edge: LiveEdge, given: list[int]) -> None:
    edge.offer(frame(0, 0.0))
    edge.close()
    edge.offer(frame(1, 0.033))
    edge.settle()
    assert given == []


class SlowReader:
    """A reader of a camera with 30 fps and a key frame each half second, all in made-up time."""

    def __init__(self, decode_s: float) -> None:
        self.decode_s = decode_s
        self.now = 0.0
        self.decoded: list[int] = []
        self.lateness_s: list[float] = []

    def run(self, packets: int) -> None:
        pace = Pace(self.now)
        for number in range(packets):
            asked, filmed = self.now, number / 30
            self.now = max(self.now + 0.0001, filmed)
            if pace.must_skip(asked, self.now, number % 15 == 0):
                continue
            self.decoded.append(number)
            self.lateness_s.append(self.now - filmed)
            self.now += self.decode_s


def test_reader_in_time_skips_nothing() -> None:
    reader = SlowReader(decode_s=0.02)
    reader.run(1000)
    assert reader.decoded == list(range(1000))


def test_reader_that_is_too_slow_skips_and_does_not_fall_further_behind() -> None:
    reader = SlowReader(decode_s=0.05)
    reader.run(10_000)
    assert max(reader.lateness_s) < 2.0
    assert len(reader.decoded) > 4000


def test_decoding_starts_again_with_a_key_frame() -> None:
    reader = SlowReader(decode_s=0.05)
    reader.run(10_000)
    resumed = [b for a, b in zip(reader.decoded, reader.decoded[1:], strict=False) if b != a + 1]
    assert resumed
    assert all(number % 15 == 0 for number in resumed)


def test_source_that_never_makes_us_wait_is_still_decoded() -> None:
    pace = Pace(0.0)
    skipped = [pace.must_skip(n * 0.01, n * 0.01, n % 15 == 0) for n in range(2000)]
    assert skipped.count(False) > 1000
