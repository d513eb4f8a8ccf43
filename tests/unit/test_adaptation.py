"""What viewers are sent follows what they report, and a poor link bothers nobody else."""

import pytest

from streamer.config import VideoConfig
from streamer.encoders import highest_bitrate
from streamer.webrtc.adaptation import (
    LOW_BITRATE,
    START_BITRATE,
    Link,
    full_bitrate,
    is_worth_changing,
)

FULL = 1_500_000
LIMITS = VideoConfig()


def settle(link: Link, times_s: list[float]) -> list[bool]:
    return [link.settle(now_s) for now_s in times_s]


def report(link: Link, estimate_bps: int, sent_bps: int = 1_000_000) -> None:
    """Twice: one that grows would mean that there is room. With a little loss, as on a full link."""
    link.on_loss(0.05)
    link.on_estimate(estimate_bps, sent_bps)
    link.on_estimate(estimate_bps, sent_bps)


def test_highest_rate_grows_with_the_picture_slower_than_its_pixels() -> None:
    rates = [highest_bitrate(LIMITS, w, h) for w, h in ((640, 480), (1280, 720), (1920, 1080))]
    assert rates == [1_500_000, 2_598_076, 3_897_114]


def test_configured_limit_is_the_highest_rate_at_every_size() -> None:
    limits = VideoConfig(max_bitrate=800_000)
    assert highest_bitrate(limits, 320, 240) == highest_bitrate(limits, 3840, 2160) == 800_000


def test_full_rendition_begins_with_a_guess_and_then_follows_its_best_viewer() -> None:
    assert full_bitrate([], LIMITS, FULL) == START_BITRATE
    assert full_bitrate([700_000, 1_200_000, 300_000], LIMITS, FULL) == 1_200_000
    assert full_bitrate([700_000, None], LIMITS, FULL) == FULL


@pytest.mark.parametrize(("estimate", "rate"), [(10, 525_000), (10**9, FULL)])
def test_full_rendition_keeps_within_its_limits(estimate: int, rate: int) -> None:
    assert full_bitrate([estimate], LIMITS, FULL) == rate


def test_small_limit_is_kept_where_the_floor_would_be_higher() -> None:
    limits = VideoConfig(min_bitrate=200_000, max_bitrate=220_000)
    assert full_bitrate([10**9], limits, 220_000) == 220_000
    assert full_bitrate([1], limits, 220_000) == 200_000


def test_rates_change_by_steps_and_down_more_readily_than_up() -> None:
    assert not is_worth_changing(1_000_000, 900_000, FULL)
    assert is_worth_changing(1_000_000, 850_000, FULL)
    assert not is_worth_changing(1_000_000, 1_200_000, FULL)
    assert is_worth_changing(1_000_000, 1_250_000, FULL)
    assert is_worth_changing(1_400_000, FULL, FULL)
    assert not is_worth_changing(FULL, FULL, FULL)


def test_estimate_well_above_what_is_sent_tells_no_limit() -> None:
    link = Link()
    link.on_estimate(460_000, sent_bps=300_000)  # a scene in which nothing moves
    assert link.has_reported and link.capacity_bps is None
    link.on_estimate(460_000, sent_bps=450_000)
    assert link.capacity_bps == 460_000


def test_viewer_on_a_narrow_link_takes_the_low_rendition_after_a_moment() -> None:
    link = Link()
    report(link, 600_000)
    assert settle(link, [0.0, 1.0, 1.9, 2.0]) == [False, False, False, True]
    assert link.is_low


def test_low_estimate_without_loss_comes_from_a_busy_cpu_and_changes_nothing() -> None:
    link = Link()
    report(link, 300_000)
    link.on_loss(0.0)
    assert not any(settle(link, [float(second) for second in range(30)]))


def test_moment_of_weakness_changes_nothing() -> None:
    link = Link()
    for start in (0.0, 10.0, 20.0):
        report(link, 600_000)
        assert settle(link, [start, start + 1.5]) == [False, False]
        report(link, 900_000)
        assert settle(link, [start + 1.9, start + 5.0]) == [False, False]


def test_small_estimate_that_grows_is_no_narrow_link() -> None:
    link = Link()
    for second in range(20):
        link.on_estimate(round(300_000 * 1.05**second), sent_bps=1_500_000)
        assert second == 0 or not link.settle(float(second))


def test_five_percent_of_loss_is_mended_by_repeats_and_keeps_the_full_rendition() -> None:
    link = Link()
    report(link, FULL)
    link.on_loss(0.05)
    assert not any(settle(link, [float(second) for second in range(60)]))


def test_heavy_loss_that_lasts_takes_the_low_rendition() -> None:
    link = Link()
    link.on_loss(0.3)
    assert settle(link, [0.0, 1.0, 2.1]) == [False, False, True]


def test_full_rendition_is_tried_again_and_each_failure_doubles_the_wait() -> None:
    link, now, waits = Link(), 0.0, []
    for _ in range(6):
        report(link, 300_000)
        while not link.settle(now):
            now += 0.5
        assert not link.has_reported
        went_low = now
        report(link, round(1.5 * LOW_BITRATE), LOW_BITRATE)
        while not link.settle(now):
            now += 0.5
        assert not link.has_reported
        waits.append(now - went_low)
    assert waits == [10.0, 20.0, 40.0, 80.0, 80.0, 80.0]


def test_trial_that_went_well_is_forgotten() -> None:
    link = Link()
    report(link, 300_000)
    settle(link, [0.0, 2.0])
    assert settle(link, [12.0]) == [True]
    report(link, FULL)
    settle(link, [13.0, 100.0])
    report(link, 300_000)
    settle(link, [101.0, 103.0])
    assert link.is_low
    assert settle(link, [112.9, 113.0]) == [False, True]


def test_link_that_loses_even_the_low_rendition_stays_there() -> None:
    link = Link()
    link.on_loss(0.4)
    settle(link, [0.0, 2.0])
    assert not any(settle(link, [50.0, 100.0, 1000.0]))
