"""Zones: who counts, and which part of the picture is looked at."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.landmarks import NAMES
from streamer.pose.zones import BORDER, Zones, middle

LEFT_HALF = [(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)]
SCREEN = [(0.1, 0.1), (0.4, 0.1), (0.4, 0.4), (0.1, 0.4)]
ARROW = [(0.1, 0.1), (0.9, 0.5), (0.1, 0.9), (0.4, 0.5)]  # hollow at its left


def person(
    x: float, y: float, *, unseen: tuple[str, ...] = (), size: float = 0.2
) -> NDArray[np.float32]:
    """Upright, with the middle of the torso there; ``unseen``: parts of names, of visibility 0."""
    landmarks = np.zeros((33, 5), np.float32)
    for index, name in enumerate(NAMES):
        part = name.split("_")[-1]
        down = {"shoulder": -0.25, "hip": 0.25, "knee": 0.5, "elbow": 0.0, "wrist": 0.2}.get(
            part, -0.5
        )
        across = 0.1 * (name.startswith("left") - name.startswith("right"))
        seen = 0.0 if any(word in name for word in unseen) else 1.0
        landmarks[index] = (x + across * size, y + down * size, 0.0, seen, seen)
    return landmarks


def test_without_zones_everybody_counts_everywhere() -> None:
    zones = Zones()
    assert not zones
    assert zones.admits(person(0.5, 0.5))
    assert zones.admits(person(3.0, -2.0))
    assert zones.crop() is None


def test_only_people_in_the_region_count() -> None:
    zones = Zones(LEFT_HALF)
    assert zones
    assert zones.admits(person(0.2, 0.5))
    assert not zones.admits(person(0.8, 0.5))


def test_nobody_in_an_ignored_zone_counts_even_in_the_region() -> None:
    zones = Zones(LEFT_HALF, [SCREEN])
    assert not zones.admits(person(0.25, 0.25))
    assert zones.admits(person(0.25, 0.7))
    assert not Zones(ignore=[SCREEN]).admits(person(0.25, 0.25))


def test_region_may_be_hollow_and_drawn_either_way_round() -> None:
    for corners in (ARROW, ARROW[::-1]):
        zones = Zones(corners)
        assert zones.admits_point(0.6, 0.5)
        assert not zones.admits_point(0.2, 0.5)
        assert zones.admits_point(0.2, 0.2)


def test_somebody_on_the_border_does_not_come_and_go() -> None:
    zones = Zones(LEFT_HALF)
    counted, answers = False, []
    for frame in range(40):
        sway = 0.4 * BORDER * math.cos(frame)
        counted = zones.admits(person(0.5 + sway, 0.5), counted)
        answers.append(counted)
    assert not answers[0]
    assert all(answers[answers.index(True) :])
    assert not zones.admits(person(0.5 + 2 * BORDER, 0.5), was_admitted=True)


def test_somebody_in_an_ignored_zone_s_border_does_not_come_and_go_either() -> None:
    zones = Zones(ignore=[SCREEN])
    inside = person(0.4 - BORDER / 2, 0.25)
    assert not zones.admits(inside)
    assert zones.admits(inside, was_admitted=True)


def test_arms_and_legs_that_reach_out_do_not_decide() -> None:
    landmarks = person(0.45, 0.5)
    for index, name in enumerate(NAMES):
        if name.split("_")[-1] in ("wrist", "knee", "ankle", "index"):
            landmarks[index, 0] = 0.95
    assert Zones(LEFT_HALF).admits(landmarks)


@pytest.mark.parametrize(
    ("unseen", "where"),
    [
        ((), 0.5),
        (("hip", "knee", "ankle", "heel", "foot"), 0.45),  # behind a desk: the shoulders
        (("shoulder", "nose", "eye", "ear", "mouth"), 0.55),  # legs only: the hips
    ],
)
def test_middle_is_that_of_the_torso_as_far_as_it_is_seen(
    unseen: tuple[str, ...], where: float
) -> None:
    x, y = middle(person(0.3, 0.5, unseen=unseen))
    assert x == pytest.approx(0.3, abs=0.005)
    assert y == pytest.approx(where, abs=0.005)


def test_face_alone_has_its_place_too_and_so_has_nobody() -> None:
    seen = [name for name in NAMES if name.split("_")[0] in ("nose", "mouth") or "eye" in name]
    hidden = tuple(name for name in NAMES if name not in seen)
    assert middle(person(0.3, 0.5, unseen=hidden))[1] == pytest.approx(0.4, abs=0.01)
    assert all(math.isfinite(value) for value in middle(person(0.3, 0.5, unseen=NAMES)))


def test_middle_does_not_jump_when_a_landmark_comes_into_sight() -> None:
    landmarks = person(0.3, 0.5, unseen=("hip", "knee", "ankle", "heel", "foot"))
    hips = [NAMES.index("left_hip"), NAMES.index("right_hip")]
    steps = []
    for visibility in np.linspace(0, 1, 101):
        landmarks[hips, 3] = visibility
        steps.append(middle(landmarks)[1])
    assert max(np.diff(steps)) < 0.001


def test_somebody_half_out_of_the_picture_counts_as_at_its_edge() -> None:
    zones = Zones([(0.3, 0.6), (0.7, 0.6), (0.7, 1.0), (0.3, 1.0)])
    assert zones.admits(person(0.5, 1.15))
    assert not zones.admits(person(0.1, 1.15))


def test_crop_is_the_region_with_half_its_size_around_within_the_picture() -> None:
    assert Zones([(0.4, 0.5), (0.6, 0.5), (0.5, 0.7)]).crop() == pytest.approx((0.3, 0.4, 0.7, 0.8))
    assert Zones([(0.0, 0.8), (0.2, 0.8), (0.1, 1.0)]).crop() == pytest.approx((0.0, 0.7, 0.3, 1.0))


def test_large_region_is_not_worth_a_crop_nor_are_ignored_zones() -> None:
    assert Zones(LEFT_HALF).crop() is None
    assert Zones(ignore=[SCREEN]).crop() is None


@pytest.mark.parametrize("at", [0.0, 0.5, 1.0])
def test_region_that_is_a_point_or_a_line_has_something_around_it_to_look_at(at: float) -> None:
    for corners in ([(at, at)] * 3, [(at, 0.4), (at, 0.5), (at, 0.6)]):
        left, top, right, bottom = Zones(corners).crop() or (0, 0, 0, 0)
        assert min(right - left, bottom - top) > 0.9 * BORDER
