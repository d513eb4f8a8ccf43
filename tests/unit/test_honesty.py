"""What is said of landmarks: of such that can't be seen, of flips, and of the person's size. On poses of a
real person, and on what becomes of them."""

from collections.abc import Iterable
from dataclasses import replace

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.angles import ANGLES
from streamer.config import PoseConfig
from streamer.landmarks import NAMES
from streamer.model import Pose
from streamer.pose.honesty import (
    STATISTICAL_M,
    HeightScale,
    Honesty,
    judged,
    predicted,
)
from streamer.pose.mediapipe import StillEstimator
from streamer.pose.models import Complexity, model_path
from tests.rigs.clips import Clips

FRAME_S = 1 / 30
FRAMES = 40
WRIST = NAMES.index("left_wrist")
LEGS = [index for index, name in enumerate(NAMES) if index > NAMES.index("right_hip")]


def _other(name: str) -> str:
    return "_".join({"left": "right", "right": "left"}.get(word, word) for word in name.split("_"))


OTHER_SIDE = np.array([NAMES.index(_other(name)) for name in NAMES])
"""Of each landmark, the same of the other side."""

Turns = list[str | None]


@pytest.fixture(scope="module")
def estimator() -> Iterable[StillEstimator]:
    estimator = StillEstimator(model_path(Complexity.FULL), PoseConfig(static_image_mode=True))
    yield estimator
    estimator.close()


@pytest.fixture(scope="module")
def pictures(clips: Clips) -> list[NDArray[np.uint8]]:
    with av.open(clips.person) as container:
        frames = container.decode(video=0)
        return [
            np.asarray(next(frames).to_ndarray(format="rgb24"), np.uint8) for _ in range(FRAMES)
        ]


@pytest.fixture(scope="module")
def person(estimator: StillEstimator, pictures: list[NDArray[np.uint8]]) -> list[Pose]:
    """A man who faces the camera and raises his arms: as the network sees him, unsmoothed."""
    return [estimator.estimate(picture)[0] for picture in pictures]


def turns_of(poses: Iterable[Pose], frame_s: float = FRAME_S) -> Turns:
    honesty = Honesty()
    return [
        honesty.look(pose.landmarks, pose.world, number * frame_s).turned
        for number, pose in enumerate(poses)
    ]


def exchanged(pose: Pose, where: NDArray[np.intp] | None = None) -> Pose:
    """Left for right, at these landmarks; by default at all."""
    take = np.arange(len(NAMES))
    at = take if where is None else where
    take[at] = OTHER_SIDE[at]
    return replace(pose, landmarks=pose.landmarks[take], world=pose.world[take])


def turned_by(pose: Pose, degrees: float) -> Pose:
    """The person turned about the vertical, in the world."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    about = np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]], np.float32)
    return replace(pose, world=pose.world @ about)


# -- flips ------------------------------------------------------------------------------------------


def test_a_person_who_moves_is_not_turned(person: list[Pose]) -> None:
    assert turns_of(person) == [None] * FRAMES


def test_sides_that_are_exchanged_all_at_once_are_flagged_until_they_are_back(
    person: list[Pose],
) -> None:
    poses = [exchanged(pose) if 20 <= n < 30 else pose for n, pose in enumerate(person)]
    assert turns_of(poses) == [None] * 20 + ["front_back"] * 10 + [None] * 10


@pytest.mark.parametrize(
    "limb", [("elbow", "wrist", "index", "pinky", "thumb"), ("knee", "ankle", "heel", "foot_index")]
)
def test_limbs_that_are_exchanged_are_flagged_until_they_are_back(
    person: list[Pose], limb: tuple[str, ...]
) -> None:
    where = np.array([n for n, name in enumerate(NAMES) if name.endswith(limb)])
    poses = [exchanged(pose, where) if 20 <= n < 30 else pose for n, pose in enumerate(person)]
    assert turns_of(poses) == [None] * 20 + ["left_right"] * 10 + [None] * 10


def test_a_flip_that_lasts_is_believed_in_the_end(person: list[Pose]) -> None:
    pose = person[0]
    flipped = [pose] * 20 + [exchanged(pose)] * 60
    turns = turns_of(flipped)
    assert turns[20:49] == ["front_back"] * 29
    assert turns[52:] == [None] * 28


@pytest.mark.parametrize("fps", [5, 15, 30, 60])
@pytest.mark.parametrize("degrees_per_s", [180, 400])
def test_a_person_who_really_turns_round_is_not_flagged(
    person: list[Pose], fps: int, degrees_per_s: int
) -> None:
    pose = person[0]
    still = [pose] * fps
    turning = [turned_by(pose, n * degrees_per_s / fps) for n in range(2 * fps)]
    assert set(turns_of(still + turning, 1 / fps)) == {None}


def test_a_person_who_comes_back_after_a_gap_may_face_anywhere(person: list[Pose]) -> None:
    honesty = Honesty()
    for number in range(20):
        honesty.look(person[0].landmarks, person[0].world, number * FRAME_S)
    back = exchanged(person[0])
    assert honesty.look(back.landmarks, back.world, 20 * FRAME_S + 1.0).turned is None


def test_a_facing_that_was_hardly_seen_is_no_reason_to_doubt_another(person: list[Pose]) -> None:
    poses = [exchanged(person[0])] * 3 + [person[0]] * 20
    assert turns_of(poses)[3:].count("front_back") == 0


# -- what can't be seen -----------------------------------------------------------------------------


def test_the_legs_that_the_picture_cuts_off_are_predicted_and_the_rest_is_not(
    estimator: StillEstimator, pictures: list[NDArray[np.uint8]]
) -> None:
    cut = np.ascontiguousarray(pictures[0][:240])
    (pose,) = estimator.estimate(cut)
    unseen = predicted(pose.landmarks)
    assert unseen[LEGS].all()
    assert not unseen[: NAMES.index("left_elbow")].any()


def test_a_person_in_full_view_has_nothing_predicted(person: list[Pose]) -> None:
    assert not predicted(person[0].landmarks).any()


@pytest.mark.parametrize(("axis", "place"), [(0, -0.001), (0, 1.001), (1, -0.2), (1, 1.3)])
def test_a_landmark_outside_the_picture_is_predicted_whatever_its_visibility(
    person: list[Pose], axis: int, place: float
) -> None:
    landmarks = person[0].landmarks.copy()
    landmarks[WRIST, axis] = place
    landmarks[WRIST, 3:] = 0.99
    assert predicted(landmarks).nonzero()[0].tolist() == [WRIST]


@pytest.mark.parametrize("column", [3, 4])
def test_visibility_and_presence_each_can_tell_that_a_landmark_is_unseen(
    person: list[Pose], column: int
) -> None:
    landmarks = person[0].landmarks.copy()
    landmarks[WRIST, column] = 0.1
    assert predicted(landmarks).nonzero()[0].tolist() == [WRIST]


def test_a_heat_map_without_a_peak_tells_it_too(person: list[Pose]) -> None:
    peaks = np.full(33, 0.8, np.float32)
    peaks[WRIST] = 0.1
    assert predicted(person[0].landmarks, peaks).nonzero()[0].tolist() == [WRIST]
    honesty = Honesty()
    verdicts = [
        honesty.look(pose.landmarks, pose.world, n * FRAME_S, peaks)
        for n, pose in enumerate(person)
    ]
    assert all(verdict.predicted[WRIST] for verdict in verdicts)


def seen_over_time(person: list[Pose], column: int, values: list[float]) -> list[bool]:
    """Whether the wrist is predicted, while one of its numbers takes these values."""
    honesty, flags = Honesty(), []
    for number, value in enumerate(values):
        landmarks = person[0].landmarks.copy()
        landmarks[WRIST, column] = value
        flags.append(honesty.look(landmarks, person[0].world, number * FRAME_S).predicted[WRIST])
    return [bool(flag) for flag in flags]


def changes(flags: list[bool]) -> int:
    return sum(a != b for a, b in zip(flags, flags[1:], strict=False))


def test_the_flag_does_not_flicker_with_the_visibility(person: list[Pose]) -> None:
    chance = np.random.default_rng(1)
    about_the_middle = (0.5 + chance.uniform(-0.2, 0.2, 300)).tolist()
    assert changes(seen_over_time(person, 3, about_the_middle)) <= 2
    assert changes(seen_over_time(person, 3, [1.0] * 10 + [0.0, 1.0] * 50)) == 0


def test_the_flag_follows_what_lasts(person: list[Pose]) -> None:
    flags = seen_over_time(person, 3, [0.9] * 10 + [0.1] * 20 + [0.9] * 20)
    assert not any(flags[:10]) and all(flags[15:30]) and not any(flags[36:])


def test_a_landmark_on_the_edge_stays_what_it_was(person: list[Pose]) -> None:
    flags = seen_over_time(person, 0, [0.5, 0.995, 1.01, 0.995, 0.98])
    assert flags == [False, False, True, True, False]


def test_a_single_picture_is_judged_without_others(person: list[Pose]) -> None:
    pose = judged(person[0], 640, 480)
    assert pose.predicted is not None and pose.angles is not None
    assert (pose.predicted == predicted(person[0].landmarks)).all()
    assert dict(zip(ANGLES, pose.angles.tolist(), strict=True))["trunk"] == [
        pytest.approx(90, abs=10),
        1.0,
    ]
    assert pose.landmarks is person[0].landmarks


# -- size -------------------------------------------------------------------------------------------


def height_of(world: NDArray[np.float32]) -> float:
    """Shanks, thighs and trunk of a person who stands, as a share of the height."""
    scale = HeightScale()
    nothing = np.zeros(33, np.bool_)
    for number in range(200):
        scaled = scale.scaled(world, nothing, number * 0.1, 1.0)
    return float(np.linalg.norm(world) / np.linalg.norm(scaled))


def test_the_networks_body_is_as_tall_as_is_said(person: list[Pose]) -> None:
    heights = [height_of(pose.world) for pose in person[::8]]
    assert np.median(heights) == pytest.approx(STATISTICAL_M, rel=0.05)


def test_world_landmarks_take_the_persons_height_steadily(person: list[Pose]) -> None:
    scale, factors = HeightScale(), []
    for number, pose in enumerate(person * 5):
        unseen = predicted(pose.landmarks)
        scaled = scale.scaled(pose.world, unseen, number * FRAME_S, 1.9)
        factors.append(float(np.linalg.norm(scaled) / np.linalg.norm(pose.world)))
    assert factors[0] == pytest.approx(1.9 / STATISTICAL_M, rel=1e-3)
    assert np.abs(np.diff(factors)).max() < 0.01 * factors[0]
    assert height_of(scaled) == pytest.approx(1.9, rel=0.06)


def test_without_a_height_world_landmarks_stay_as_they_are(person: list[Pose]) -> None:
    world = person[0].world
    assert HeightScale().scaled(world, np.zeros(33, np.bool_), 0.0, 0.0) is world


def test_a_body_that_is_half_unseen_is_not_measured(person: list[Pose]) -> None:
    scale = HeightScale()
    unseen = np.zeros(33, np.bool_)
    unseen[LEGS] = True
    for number in range(100):
        scaled = scale.scaled(3 * person[0].world, unseen, number * 0.1, 1.6)
    assert scaled == pytest.approx(3 * person[0].world * 1.6 / STATISTICAL_M)
