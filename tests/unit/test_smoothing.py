"""Smoothing on signals whose truth is known: what trembles, what moves, and when frames come."""

import itertools
from collections.abc import Iterator
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.config.media import Smoothing
from streamer.pose.smoothing import MAX_GAP_S, PoseSmoother

Array = NDArray[np.float64]
Pair = tuple[NDArray[np.float32], NDArray[np.float32]]

SCALE_PX = 400.0
NOISE_PX = 0.6  # 0.4 of the 256 px that the network sees
STRENGTHS: tuple[Smoothing, ...] = get_args(Smoothing)
RATES = (5, 15, 30, 60, "varying")


def times(rate: int | str, seconds: float = 4.0) -> Array:
    """Media times of frames; "varying": 8 to 60 fps from frame to frame, every fifth frame missing."""
    if rate == "varying":
        steps = np.random.default_rng(7).uniform(1 / 60, 1 / 8, int(seconds * 60))
        all_times = np.cumsum(steps)
        kept: Array = all_times[(np.arange(len(all_times)) % 5 != 4) & (all_times < seconds)]
        return kept
    assert isinstance(rate, int)
    return np.arange(0, seconds, 1 / rate)


def pose(x_px: float, noise_px: NDArray[np.float64] | float = 0.0) -> Pair:
    """All landmarks at ``x_px``, y the same, and as far in the world at 2 m a region."""
    landmarks = np.full((33, 5), 0.9, np.float32)
    landmarks[:, :3] = x_px
    landmarks[:, :2] += noise_px
    return landmarks, np.full((33, 3), x_px * 2 / SCALE_PX, np.float32)


def smoothed(
    strength: Smoothing | None, at_s: Array, places_px: NDArray[np.floating], noise_px: float = 0.0
) -> Array:
    """x of the 33 landmarks: (frames, 33)."""
    random = np.random.default_rng(3)
    smoother = PoseSmoother(strength)
    poses = (pose(x, random.normal(0, noise_px, (33, 2))) for x in places_px)
    return np.array(
        [smoother.smooth(*each, SCALE_PX, t)[0][:, 0] for each, t in zip(poses, at_s, strict=True)],
        np.float64,
    )


def trembling(places: Array) -> float:
    """Root mean square of the second differences, after the first second's settling in."""
    return float(np.sqrt((np.diff(places[len(places) // 4 :], 2, axis=0) ** 2).mean()))


@pytest.mark.parametrize("rate", RATES)
def test_who_holds_still_trembles_less_than_with_mediapipe_and_steady_is_calmest(
    rate: int | str,
) -> None:
    at_s = times(rate, 8.0)
    still = np.full(len(at_s), 300.0)
    mediapipe, default, steady = (
        trembling(smoothed(strength, at_s, still, NOISE_PX)) for strength in STRENGTHS
    )
    assert default < 0.65 * mediapipe
    assert steady < 0.6 * default


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("speed", [0.15, 0.5, 2.0])
def test_a_steady_movement_comes_no_later_than_with_mediapipe(
    rate: int | str, speed: float
) -> None:
    """At speeds from which one speaks of moving: 0.15 regions a second is a foot (30 cm) a second."""
    at_s = times(rate)
    truth = 100 + speed * SCALE_PX * at_s
    mediapipe, default = (
        (truth[:, None] - smoothed(strength, at_s, truth))[len(at_s) // 2 :].mean()
        for strength in ("mediapipe", "default")
    )
    assert 0 < default < 1.05 * mediapipe


@pytest.mark.parametrize("strength", STRENGTHS)
def test_the_same_movement_is_shown_the_same_at_every_frame_rate(strength: Smoothing) -> None:
    """A reach of half a region in one second, seen at 60 fps and at other rates: as late everywhere."""

    def shown_at(rate: int | str) -> Array:
        at_s = times(rate)
        reach = 100 + 0.25 * SCALE_PX * (1 - np.cos(np.pi * np.clip(at_s - 1, 0, 1)))
        shown: Array = np.interp(
            np.arange(0, 3.5, 0.1), at_s, smoothed(strength, at_s, reach)[:, 0]
        )
        return shown

    best = shown_at(60)
    allowed = {"mediapipe": 0.02, "default": 0.02, "steady": 0.05}[strength] * SCALE_PX
    for rate in (15, 30, "varying"):
        assert np.abs(shown_at(rate) - best).max() < allowed, rate
    # Five pictures of a movement of one second: between them nothing is known.
    assert np.abs(shown_at(5) - best).max() < 2 * allowed + 0.02 * SCALE_PX


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("rate", RATES)
def test_a_sudden_stop_is_not_overshot(strength: Smoothing, rate: int | str) -> None:
    at_s = times(rate)
    stop: Array = 100 + SCALE_PX * np.clip(at_s - 1, 0, 0.5, dtype=np.float64)
    shown = smoothed(strength, at_s, stop)
    assert shown.max() <= stop.max() + 1e-3
    assert shown[-1] == pytest.approx(stop[-1], abs=0.02 * SCALE_PX)
    assert (np.diff(shown, axis=0) > -1e-3).all()


def test_what_jumps_to_and_fro_is_not_taken_for_movement() -> None:
    """A landmark that the network places now here, now there, ten pixels apart."""
    at_s = times(30)
    places = 300 + 10.0 * np.random.default_rng(1).integers(0, 2, len(at_s))
    mediapipe, default = (
        trembling(smoothed(strength, at_s, places)) for strength in ("mediapipe", "default")
    )
    assert default < 0.6 * mediapipe


def frames(strength: Smoothing | None) -> Iterator[tuple[PoseSmoother, Pair, Pair]]:
    """Of somebody who walks; the smoother, the pose as found, and as smoothed."""
    smoother = PoseSmoother(strength)
    random = np.random.default_rng(5)
    for number in itertools.count():
        found = pose(100 + 2.0 * number, random.normal(0, NOISE_PX, (33, 2)))
        yield smoother, found, smoother.smooth(*found, SCALE_PX, number / 30)


@pytest.mark.parametrize("before", [None, *STRENGTHS])
@pytest.mark.parametrize("after", [None, *STRENGTHS])
def test_a_change_of_strength_jumps_by_no_more_than_the_movement(
    before: Smoothing | None, after: Smoothing | None
) -> None:
    shown = []
    for smoother, _, (landmarks, _) in itertools.islice(frames(before), 60):
        shown.append(landmarks[:, :2].astype(np.float64))
        if len(shown) == 30:
            smoother.strength = after
            assert smoother.strength == after
    steps = np.abs(np.diff(shown, axis=0))
    assert steps[29:32].max() < 2.0 + 6 * NOISE_PX


def test_a_strength_that_is_set_before_the_first_frame_is_in_force_at_once() -> None:
    early, late = PoseSmoother("default"), PoseSmoother(None)
    late.strength = "default"
    for number in range(3):
        found = pose(100 + 5.0 * number)
        shown = [each.smooth(*found, SCALE_PX, number / 30) for each in (early, late)]
        assert all(map(np.array_equal, *shown))


def test_off_gives_the_landmarks_as_found_and_soon_after_being_switched_off_too() -> None:
    for _, found, shown in itertools.islice(frames(None), 3):
        assert all(map(np.array_equal, found, shown))
    walk = frames("steady")
    (smoother, found, shown) = list(itertools.islice(walk, 20))[-1]
    assert not np.array_equal(found[0], shown[0])
    smoother.strength = None
    (_, found, shown) = list(itertools.islice(walk, 10))[-1]
    assert all(map(np.array_equal, found, shown))


@pytest.mark.parametrize("strength", [None, *STRENGTHS])
def test_the_first_frame_and_that_after_a_gap_or_a_leap_back_are_as_found(
    strength: Smoothing | None,
) -> None:
    smoother = PoseSmoother(strength)
    for t_s in (10.0, 10.1 + MAX_GAP_S, 3.0):
        found, later = pose(t_s), pose(t_s + 50)
        assert all(map(np.array_equal, found, smoother.smooth(*found, SCALE_PX, t_s)))
        smoother.smooth(*later, SCALE_PX, t_s + 0.05)
    smoother.reset()
    assert all(map(np.array_equal, found, smoother.smooth(*found, SCALE_PX, 3.1)))


def test_a_gap_that_is_no_break_is_followed_through() -> None:
    smoother = PoseSmoother("default")
    smoother.smooth(*pose(100), SCALE_PX, 0.0)
    landmarks, _ = smoother.smooth(*pose(101), SCALE_PX, 0.4)
    assert (100.1 < landmarks[:, 0]).all() and (landmarks[:, 0] < 101).all()


def test_a_second_picture_of_the_same_instant_changes_nothing() -> None:
    smoother = PoseSmoother("default")
    smoother.smooth(*pose(100), SCALE_PX, 1.0)
    landmarks, world = smoother.smooth(*pose(140), SCALE_PX, 1.0)
    assert np.array_equal(landmarks, pose(100)[0])
    assert np.array_equal(world, pose(100)[1])


@pytest.mark.parametrize("strength", STRENGTHS)
def test_the_arrays_that_come_in_stay_as_they_are_and_presence_goes_through(
    strength: Smoothing,
) -> None:
    smoother = PoseSmoother(strength)
    smoother.smooth(*pose(100), SCALE_PX, 0.0)
    landmarks, world = pose(120)
    landmarks[:, 3:] = 0.2, 0.3
    kept = landmarks.copy(), world.copy()
    shown, _ = smoother.smooth(landmarks, world, SCALE_PX, 1 / 30)
    assert all(map(np.array_equal, kept, (landmarks, world)))
    assert np.array_equal(shown[:, 4], landmarks[:, 4])
    # Visibility: a tenth of the way, in a frame of 30 fps.
    assert shown[:, 3] == pytest.approx(np.full(33, 0.9 + 0.1 * (0.2 - 0.9)), abs=1e-5)


@pytest.mark.parametrize("strength", [None, *STRENGTHS])
def test_numbers_stay_numbers_whatever_the_times_and_sizes(strength: Smoothing | None) -> None:
    random = np.random.default_rng(2)
    smoother = PoseSmoother(strength)
    t_s = 0.0
    for _ in range(200):
        t_s += float(random.choice([0.0, 1e-6, 1 / 30, 0.9]))
        found = pose(float(random.choice([0.0, 1e-9, 1e5, -1e5])))
        landmarks, world = smoother.smooth(*found, float(random.choice([1.0, 5e3])), t_s)
        assert np.isfinite(landmarks).all() and np.isfinite(world).all()
