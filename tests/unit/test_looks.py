"""What more the overlay may show: faint landmarks, angles, numbers, scores, trails; and its lines' width."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.angles import ANGLES
from streamer.config import OverlayConfig
from streamer.landmarks import NAMES
from streamer.model import VIDEO_CLOCK_HZ, Frame, Pose
from streamer.overlay import LEFT, RIGHT, SkeletonPainter
from streamer.overlay.colours import MIDDLE, Colour, person_colour
from streamer.overlay.figure import Person
from streamer.overlay.trails import Trails
from tests.fakes import make_frame, make_pose

WIDTH, HEIGHT = 640, 480


def draw(
    *poses: Pose, size: tuple[int, int] = (WIDTH, HEIGHT), luma: int = 100, **look: Any
) -> Frame:
    frame = make_frame(width=size[0], height=size[1], luma=luma)
    return SkeletonPainter(OverlayConfig(**look)).annotate(frame, poses)


def colour_at(frame: Frame, x: float, y: float) -> Colour:
    levels = [int(plane[int(y * len(plane)), int(x * plane.shape[1])]) for plane in frame.planes()]
    return Colour(*levels)


def changed_by(pose: Pose, **look: Any) -> NDArray[np.bool_]:
    """(HEIGHT, WIDTH): where a look makes a picture other than the usual one."""
    pixels = [draw(pose, **each).planes()[0] for each in ({}, look)]
    return np.asarray(pixels[0] != pixels[1])


def middle_of(changed: NDArray[np.bool_]) -> tuple[float, float]:
    rows, columns = np.nonzero(changed)
    return columns.mean() / changed.shape[1], rows.mean() / changed.shape[0]


def with_angles(pose: Pose, **degrees: float) -> Pose:
    """These can be trusted, and no others."""
    angles = np.zeros((len(ANGLES), 2), np.float32)
    for name, value in degrees.items():
        angles[ANGLES.index(name)] = (value, 1)
    return replace(pose, angles=angles)


def with_predicted(pose: Pose, *names: str, presence: float = 0.9) -> Pose:
    indices = [NAMES.index(name) for name in names]
    predicted = pose.landmarks[:, 3] == 0
    predicted[indices] = True
    landmarks = pose.landmarks.copy()
    landmarks[indices, 4] = presence
    return replace(pose, landmarks=landmarks, predicted=predicted)


# -- lines ------------------------------------------------------------------------------------------

ARM = make_pose(left_shoulder=(0.5, 0.1), left_elbow=(0.5, 0.9))


def line_px(frame: Frame) -> int:
    """How wide the upright arm's line is."""
    row = frame.planes()[0][frame.height // 2]
    return int((row == LEFT.y).sum())


@pytest.mark.parametrize(
    ("size", "expected"),
    [((320, 240), 2), ((640, 480), 3), ((1280, 720), 4), ((1920, 1080), 6), ((3840, 2160), 12)],
)
def test_lines_are_as_wide_as_suits_the_picture(size: tuple[int, int], expected: int) -> None:
    assert abs(line_px(draw(ARM, size=size)) - expected) <= 1  # OpenCV's are odd


@pytest.mark.parametrize("width", [1.0, 3.0, 7.0, 19.0])
def test_lines_can_be_of_any_width(width: float) -> None:
    assert line_px(draw(ARM, line_width=width)) == width


# -- what can't be seen -----------------------------------------------------------------------------


def test_predicted_landmark_and_its_connections_are_fainter_and_thinner() -> None:
    seen = draw(ARM, size=(1280, 720))
    guessed = draw(with_predicted(ARM, "left_elbow"), size=(1280, 720))
    assert colour_at(guessed, 0.5, 0.1) == LEFT  # the shoulder is seen
    for y in (0.5, 0.9):
        assert colour_at(guessed, 0.5, y).y == pytest.approx((LEFT.y + 100) / 2, abs=1)
        assert colour_at(seen, 0.5, y) == LEFT
    middle = [int((each.planes()[0][360] != 100).sum()) for each in (seen, guessed)]
    assert 0 < middle[1] < middle[0]


def test_predicted_landmark_that_is_hardly_in_the_picture_is_not_drawn() -> None:
    drawn = draw(with_predicted(ARM, "left_elbow", presence=0.2))
    assert colour_at(drawn, 0.5, 0.9) == colour_at(drawn, 0.5, 0.5) == Colour(100, 128, 128)


def test_landmark_that_is_known_to_be_seen_is_drawn_whatever_its_visibility() -> None:
    pose = with_predicted(ARM)
    pose.landmarks[NAMES.index("left_elbow"), 3] = 0.3
    assert colour_at(draw(pose), 0.5, 0.9) == LEFT


# -- numbers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("joint", "aside"),
    [("left_knee", 1), ("left_shoulder", 1), ("right_elbow", -1), ("right_hip", -1)],
)
def test_angle_stands_beside_its_joint_on_the_joints_side(joint: str, aside: int) -> None:
    pose = with_angles(make_pose(**{joint: (0.4, 0.6)}), **{joint: 142.0})
    changed = changed_by(pose, angles=True)
    x, y = middle_of(changed)
    assert 0.01 < (x - 0.4) * aside < 0.1
    assert y == pytest.approx(0.6, abs=0.01)
    joint_px = round(0.4 * WIDTH)
    assert not changed[:, joint_px - 5 : joint_px + 6].any()  # it hides no dot


def test_angle_that_cannot_be_trusted_or_whose_joint_is_not_plain_to_see_is_not_written() -> None:
    knee = make_pose(left_knee=(0.4, 0.6))
    assert not changed_by(with_angles(knee), angles=True).any()
    guessed = with_angles(with_predicted(knee, "left_knee"), left_knee=142.0)
    plain, numbered = draw(guessed), draw(guessed, angles=True)
    assert np.array_equal(plain.i420, numbered.i420)
    assert not changed_by(knee, angles=True).any()  # nobody computed any


@pytest.mark.parametrize("luma", [16, 120, 235])
@pytest.mark.parametrize("look", [{"angles": True}, {"ids": True}, {"confidence": True}])
def test_numbers_are_read_on_any_picture(luma: int, look: dict[str, Any]) -> None:
    """Dark on light, or light on dark, whatever is beneath."""
    pose = with_angles(make_pose(left_knee=(0.4, 0.6)), left_knee=88.0)
    usual, written = (draw(pose, luma=luma, **each).planes()[0] for each in ({}, look))
    levels = written[written != usual].astype(int)
    assert levels.max() - levels.min() > 100


@pytest.mark.parametrize("place", [(0.0, 0.0), (0.999, 0.0), (0.0, 0.999), (0.999, 0.999)])
@pytest.mark.parametrize("size", [(640, 480), (320, 240), (34, 18), (2, 2)])
def test_numbers_stay_within_the_picture(place: tuple[float, float], size: tuple[int, int]) -> None:
    pose = with_angles(
        make_pose(left_knee=place, right_knee=place, nose=place), left_knee=1, right_knee=2
    )
    drawn = draw(pose, size=size, angles=True, ids=True, confidence=True)
    assert (drawn.width, drawn.height) == size
    if size[0] > 300:  # all of the number is there
        usual = draw(pose, size=size)
        rows, columns = np.nonzero(drawn.planes()[0] != usual.planes()[0])
        assert rows.max() - rows.min() >= 7 and columns.max() - columns.min() >= 7


def test_number_over_a_head_has_the_persons_own_colour() -> None:
    seen = []
    for number, x in ((1, 0.3), (2, 0.7)):
        pose = replace(make_pose(nose=(x, 0.5)), id=number)
        drawn = draw(pose, ids=True)
        rows, columns = np.nonzero(drawn.planes()[1] != draw(pose).planes()[1])
        assert columns.mean() / (WIDTH / 2) == pytest.approx(x, abs=0.02)
        assert rows.mean() / (HEIGHT / 2) < 0.5
        colours = {plane[rows.min(), columns.min()] for plane in drawn.planes()[1:]}
        assert colours == {person_colour(number).u, person_colour(number).v}
        seen.append(person_colour(number))
    assert seen[0] != seen[1]


def test_number_is_over_the_head_of_somebody_who_lies_too() -> None:
    lying = make_pose(nose=(0.4, 0.5), left_shoulder=(0.5, 0.55), right_shoulder=(0.5, 0.45))
    x, y = middle_of(changed_by(lying, confidence=True))
    assert 0.25 < x < 0.38
    assert 0.4 < y < 0.55


def test_with_numbers_people_of_one_colour_have_one_each() -> None:
    poses = [replace(make_pose(left_wrist=(0.2 * number, 0.5)), id=number) for number in (1, 2)]
    drawn = draw(*poses, ids=True, side_colours=False)
    assert [colour_at(drawn, 0.2 * n, 0.5) for n in (1, 2)] == [person_colour(1), person_colour(2)]
    drawn = draw(*poses, side_colours=False)
    assert [colour_at(drawn, 0.2 * n, 0.5) for n in (1, 2)] == [MIDDLE, MIDDLE]


def test_eight_people_have_eight_colours() -> None:
    assert len({person_colour(number) for number in range(1, 9)}) == 8


# -- trails -----------------------------------------------------------------------------------------


def film(ways: dict[str, list[tuple[float, float]]], fps: float, **look: Any) -> Frame:
    """The last of as many frames as the ways have places; all of one person."""
    painter = SkeletonPainter(OverlayConfig(**look))
    (length,) = {len(way) for way in ways.values()}
    for number in range(length):
        pts = round(number * VIDEO_CLOCK_HZ / fps)
        pose = make_pose(**{name: way[number] for name, way in ways.items()})
        drawn = painter.annotate(make_frame(pts, width=WIDTH, height=HEIGHT), (pose,))
    return drawn


def walk(start: float, end: float, frames: int, y: float = 0.5) -> list[tuple[float, float]]:
    return [(float(x), y) for x in np.linspace(start, end, frames)]


@pytest.mark.parametrize(("limb", "colour"), [("right_wrist", RIGHT), ("left_ankle", LEFT)])
@pytest.mark.parametrize("fps", [10.0, 30.0, 60.0])
def test_trail_shows_the_last_second_and_fades(limb: str, colour: Colour, fps: float) -> None:
    frames = int(2 * fps) + 1  # the first second must be gone
    drawn = film({limb: walk(0.1, 0.9, frames)}, fps, trails=True)
    assert colour_at(drawn, 0.9, 0.5) == colour
    levels = [colour_at(drawn, x, 0.5).y for x in (0.3, 0.57, 0.7, 0.83)]
    assert levels[0] == 100
    strengths = [abs(level - 100) for level in levels]
    assert all(later > earlier for earlier, later in pairwise(strengths))


def test_trail_has_no_holes() -> None:
    drawn = film({"left_wrist": walk(0.1, 0.9, 10)}, 10, trails=True)
    middle = drawn.planes()[0][HEIGHT // 2, int(0.12 * WIDTH) : int(0.88 * WIDTH)]
    assert (middle != 100).all()


def test_other_landmarks_leave_no_trail() -> None:
    drawn = film(
        {"left_knee": walk(0.1, 0.9, 30), "nose": walk(0.1, 0.9, 30, 0.2)}, 30, trails=True
    )
    assert colour_at(drawn, 0.7, 0.5) == colour_at(drawn, 0.7, 0.2) == Colour(100, 128, 128)


def test_trail_is_broken_where_the_limb_was_not_seen() -> None:
    way = walk(0.1, 0.9, 25)
    way[12] = way[13] = (float("nan"), 0.5)
    drawn = film({"left_wrist": way}, 25, trails=True)
    assert colour_at(drawn, 0.52, 0.5).y == 100
    assert colour_at(drawn, 0.4, 0.5).y != 100
    assert colour_at(drawn, 0.7, 0.5).y != 100


@pytest.mark.parametrize("jump_s", [-5.0, 0.0, 0.8, 1000.0])
def test_trails_begin_anew_when_the_media_time_jumps(jump_s: float) -> None:
    painter = SkeletonPainter(OverlayConfig(trails=True))
    for number, x in enumerate((0.2, 0.3, 0.4)):
        pose = make_pose(left_wrist=(x, 0.5))
        painter.annotate(make_frame(number * 3000, width=WIDTH, height=HEIGHT), (pose,))
    pts = 2 * 3000 + round(jump_s * VIDEO_CLOCK_HZ)
    drawn = painter.annotate(
        make_frame(pts, width=WIDTH, height=HEIGHT), (make_pose(left_wrist=(0.6, 0.5)),)
    )
    assert (drawn.planes()[0][:, : WIDTH // 2] == 100).all()


def test_each_person_has_a_trail_of_their_own() -> None:
    painter = SkeletonPainter(OverlayConfig(trails=True))
    for number, (x, person) in enumerate(((0.2, 1), (0.4, 1), (0.6, 2), (0.8, 2))):
        pose = replace(make_pose(left_wrist=(x, 0.5)), id=person)
        drawn = painter.annotate(make_frame(number * 9000, width=WIDTH, height=HEIGHT), (pose,))
    assert colour_at(drawn, 0.7, 0.5).y != 100  # the second's
    assert colour_at(drawn, 0.5, 0.5).y == 100  # nobody went there
    assert colour_at(drawn, 0.3, 0.5).y == 100  # the first is not there any more


@pytest.mark.parametrize("fps", [30, 240, 1000])
def test_what_is_remembered_of_trails_is_bounded(fps: int) -> None:
    trails = Trails()
    for number in range(3 * fps):
        person = Person.of(replace(make_pose(left_wrist=(0.5, 0.5)), id=number))
        trails.add(number * VIDEO_CLOCK_HZ // fps, [person])
    assert len(trails._moments) <= 18


def test_nothing_is_drawn_in_the_style_none() -> None:
    pose = with_angles(ARM, left_elbow=90.0)
    everything: dict[str, Any] = {"angles": True, "ids": True, "confidence": True, "trails": True}
    assert (draw(pose, style="none", **everything).planes()[0] == 100).all()
