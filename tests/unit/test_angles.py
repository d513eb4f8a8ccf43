"""Angles of skeletons made by hand, whose angles are known; and the same as the page computes them
(tests/node/angles.test.mjs reads the same samples)."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.angles import ANGLES, JOINTS, SEGMENTS, joint_angles
from streamer.landmarks import NAMES

WIDTH, HEIGHT = 640, 480
SAMPLES = json.loads((Path(__file__).parents[1] / "samples" / "angles.json").read_text("utf-8"))

Places = dict[str, tuple[float, float, float]]

STANDING: Places = {
    **{f"{side}_{part}": (x * sign, y, 0.0) for side, sign in (("left", 1), ("right", -1))
       for part, x, y in (("ear", 0.08, -0.7), ("shoulder", 0.18, -0.5), ("elbow", 0.18, -0.2),
                          ("wrist", 0.18, 0.05), ("index", 0.18, 0.15), ("hip", 0.1, 0.0),
                          ("knee", 0.1, 0.4), ("ankle", 0.1, 0.8))},
    **{f"{side}_heel": (x, 0.85, 0.0) for side, x in (("left", 0.1), ("right", -0.1))},
    **{f"{side}_foot_index": (x + 0.2, 0.85, 0.0) for side, x in (("left", 0.1), ("right", -0.1))},
}  # fmt: skip
"""A person in the picture's plane, metres, y down: straight, the feet to the right."""


def pose(places: Places, **changed: tuple[float, float, float]) -> tuple[Any, Any]:
    """Its landmarks, all seen, and world; 200 px to the metre in the picture."""
    world = np.zeros((len(NAMES), 3), np.float32)
    for name, place in (places | changed).items():
        world[NAMES.index(name)] = place
    landmarks = np.ones((len(NAMES), 5), np.float32)
    landmarks[:, :2] = 0.5 + world[:, :2] * 200 / (WIDTH, HEIGHT)
    landmarks[:, 2] = world[:, 2] * 200 / WIDTH
    return landmarks, world


def angles_of(places: Places, **changed: tuple[float, float, float]) -> dict[str, Any]:
    return by_name(joint_angles(*pose(places, **changed), WIDTH, HEIGHT))


def by_name(angles: NDArray[np.float32]) -> dict[str, Any]:
    assert angles.shape == (len(ANGLES), 2) and angles.dtype == np.float32
    return {name: tuple(row) for name, row in zip(ANGLES, angles.tolist(), strict=True)}


def turned_about(centre: tuple[float, float, float], length: float, degrees: float) -> Any:
    """The end of a limb from ``centre`` that points so many degrees up from the right."""
    radians = math.radians(degrees)
    x, y, z = centre
    return (x + length * math.cos(radians), y - length * math.sin(radians), z)


def test_a_person_who_stands_has_straight_joints_and_upright_segments() -> None:
    expected = dict.fromkeys(JOINTS, 0.0) | {
        **dict.fromkeys(("left_foot", "right_foot", "pelvis", "shoulders"), 0.0),
        **{f"{side}_{part}": -90.0 for side in ("left", "right")
           for part in ("shank", "thigh", "arm", "forearm", "hand")},
        **dict.fromkeys(("trunk", "head"), 90.0),
    }  # fmt: skip
    angles = angles_of(STANDING)
    assert set(angles) == set(JOINTS) | set(SEGMENTS) == set(expected)
    for name, degrees in expected.items():
        assert angles[name] == pytest.approx((degrees, 1.0), abs=1e-3), name


@pytest.mark.parametrize("bend", [0, 30, 90, 135, 179, 180])
@pytest.mark.parametrize("way", [1, -1])
def test_knees_and_elbows_tell_their_bend_either_way(bend: int, way: int) -> None:
    shank = turned_about(STANDING["left_knee"], 0.4, -90 + way * bend)
    forearm = turned_about(STANDING["right_elbow"], 0.25, -90 - way * bend)
    angles = angles_of(STANDING, left_ankle=shank, right_wrist=forearm)
    assert angles["left_knee"] == pytest.approx((bend, 1.0), abs=0.05)
    assert angles["right_elbow"] == pytest.approx((bend, 1.0), abs=0.05)
    assert angles["right_knee"] == pytest.approx((0.0, 1.0), abs=1e-3)


@pytest.mark.parametrize("degrees", [-180, -135, -90, -45, 0, 45, 90, 135])
def test_a_limb_in_every_quadrant_has_its_elevation_and_its_angle_to_the_trunk(
    degrees: int,
) -> None:
    elbow = turned_about(STANDING["left_shoulder"], 0.3, degrees)
    angles = angles_of(STANDING, left_elbow=elbow)
    elevation = math.degrees(math.asin(math.sin(math.radians(degrees))))
    assert angles["left_arm"] == pytest.approx((elevation, 1.0), abs=0.05)
    assert angles["left_shoulder"] == pytest.approx((90 + elevation, 1.0), abs=0.05)


@pytest.mark.parametrize(("toes", "dorsiflexion"), [(0, 0), (20, 20), (-40, -40), (-90, -90)])
def test_an_ankle_is_0_with_the_foot_square_and_more_with_the_toes_up(
    toes: int, dorsiflexion: int
) -> None:
    foot = turned_about(STANDING["left_heel"], 0.2, toes)
    angles = angles_of(STANDING, left_foot_index=foot)
    assert angles["left_ankle"] == pytest.approx((dorsiflexion, 1.0), abs=0.05)
    assert angles["left_foot"] == pytest.approx((toes, 1.0), abs=0.05)


def test_a_limb_that_goes_all_the_way_round_never_makes_an_angle_jump() -> None:
    step = 2
    before = None
    for degrees in range(0, 2 * 360, step):
        elbow = turned_about(STANDING["left_shoulder"], 0.3, degrees)
        wrist = turned_about(elbow, 0.25, 3 * degrees)
        knee = turned_about(STANDING["right_hip"], 0.4, -degrees)
        angles = angles_of(
            STANDING,
            left_elbow=elbow,
            left_wrist=wrist,
            left_index=turned_about(wrist, 0.1, 3 * degrees),
            right_knee=knee,
            right_ankle=turned_about(knee, 0.4, -2 * degrees),
        )
        values = np.array([value for value, _ in angles.values()])
        if before is not None:  # nothing turns faster than three steps
            assert np.abs(values - before).max() <= 3 * step + 0.1
        before = values


def test_the_mirrored_person_has_the_same_angles() -> None:
    chance = np.random.default_rng(5)
    landmarks, world = (chance.random((33, n)).astype(np.float32) for n in (5, 3))
    mirrored, mirrored_world = landmarks.copy(), world.copy()
    mirrored[:, 0] = 1 - mirrored[:, 0]
    mirrored_world[:, 0] *= -1
    angles = joint_angles(landmarks, world, WIDTH, HEIGHT)
    assert joint_angles(mirrored, mirrored_world, WIDTH, HEIGHT) == pytest.approx(angles, abs=1e-3)


def test_the_left_side_that_is_higher_has_shoulders_above_0() -> None:
    lifted = angles_of(STANDING, left_shoulder=(0.18, -0.6, 0.0))
    assert lifted["shoulders"][0] > 10
    assert angles_of(STANDING, left_hip=(0.1, 0.1, 0.0))["pelvis"][0] == pytest.approx(
        -26.57, abs=0.1
    )


def test_angles_are_those_of_the_picture_in_pixels_whatever_its_shape() -> None:
    landmarks, world = pose(STANDING, left_ankle=turned_about(STANDING["left_knee"], 0.4, -45))
    tall = landmarks.copy()
    tall[:, 0] = 0.5 + (landmarks[:, 0] - 0.5) * WIDTH / 300
    tall[:, 1] = 0.5 + (landmarks[:, 1] - 0.5) * HEIGHT / 900
    expected = joint_angles(landmarks, world, WIDTH, HEIGHT)
    assert joint_angles(tall, world, 300, 900) == pytest.approx(expected, abs=0.01)


def test_an_unseen_landmark_takes_away_the_trust_in_what_needs_it_and_in_nothing_else() -> None:
    landmarks, world = pose(STANDING)
    landmarks[NAMES.index("left_knee"), 3] = 0.49
    angles = by_name(joint_angles(landmarks, world, WIDTH, HEIGHT))
    doubted = {name for name, (_, valid) in angles.items() if not valid}
    assert doubted == {"left_knee", "left_hip", "left_ankle", "left_shank", "left_thigh"}


def test_who_knows_what_is_predicted_is_believed_more_than_the_visibility() -> None:
    landmarks, world = pose(STANDING)
    landmarks[:, 3] = 0.0
    predicted = np.zeros(33, np.bool_)
    predicted[NAMES.index("right_wrist")] = True
    angles = by_name(joint_angles(landmarks, world, WIDTH, HEIGHT, predicted))
    doubted = {name for name, (_, valid) in angles.items() if not valid}
    assert doubted == {"right_elbow", "right_wrist", "right_forearm", "right_hand"}


@pytest.mark.parametrize(("from_picture_deg", "valid"), [(0, 1.0), (40, 1.0), (50, 0.0), (90, 0.0)])
def test_a_limb_that_points_at_the_camera_is_foreshortened(
    from_picture_deg: int, valid: float
) -> None:
    x, y, _ = STANDING["left_elbow"]
    radians = math.radians(from_picture_deg)
    wrist = (x, y + 0.25 * math.cos(radians), -0.25 * math.sin(radians))
    angles = angles_of(STANDING, left_wrist=wrist)
    assert (angles["left_elbow"][1], angles["left_forearm"][1]) == (valid, valid)
    assert angles["left_shoulder"][1] == 1.0


def test_a_limb_without_a_length_has_no_angle_but_a_number() -> None:
    landmarks = np.ones((33, 5), np.float32)
    angles = joint_angles(landmarks, np.zeros((33, 3), np.float32), WIDTH, HEIGHT)
    assert np.isfinite(angles).all() and not angles[:, 1].any()


@pytest.mark.parametrize("sample", SAMPLES)
def test_angles_are_those_of_the_samples(sample: dict[str, Any]) -> None:
    landmarks, world = (np.array(sample[key], np.float32) for key in ("landmarks", "world"))
    predicted = None
    if "predicted" in sample:
        predicted = np.isin(np.arange(33), sample["predicted"])
    found = joint_angles(landmarks, world, sample["width"], sample["height"], predicted)
    assert list(sample["angles"]) == list(ANGLES)
    assert found == pytest.approx(np.array(list(sample["angles"].values())), abs=0.02)
