"""The skeleton is drawn where the landmarks are, in the planes of a frame that stays as it was."""

import asyncio

import numpy as np
import pytest

from streamer.config import OverlayConfig
from streamer.landmarks import NAMES
from streamer.model import LANDMARK_COUNT, Frame, Plane, Pose
from streamer.overlay import (
    LEFT,
    MIDDLE,
    MIN_VISIBILITY,
    RIGHT,
    Box,
    Colour,
    SkeletonPainter,
    box_of,
    draw_on_rgb,
)
from tests.fakes import make_frame, make_pose

SIZES = [(640, 480), (1280, 720), (216, 384), (64, 48)]


def annotate(frame: Frame, *poses: Pose) -> Frame:
    return SkeletonPainter().annotate(frame, poses)


def colour_at(frame: Frame, x: float, y: float) -> Colour:
    """Of the pixel at a place in 0..1, from the three planes."""
    levels = [
        int(plane[int(y * plane.shape[0]), int(x * plane.shape[1])]) for plane in frame.planes()
    ]
    return Colour(*levels)


def changed_box(before: Frame, after: Frame) -> tuple[float, float, float, float]:
    """Left, top, right and bottom, in 0..1, of what differs in brightness."""
    rows, columns = np.nonzero(before.planes()[0] != after.planes()[0])
    width, height = before.width, before.height
    return (
        columns.min() / width,
        rows.min() / height,
        (columns.max() + 1) / width,
        (rows.max() + 1) / height,
    )


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize(
    ("name", "colour"), [("nose", MIDDLE), ("left_wrist", LEFT), ("right_ankle", RIGHT)]
)
@pytest.mark.parametrize("place", [(0.25, 0.75), (0.5, 0.5), (0.9, 0.1)])
def test_landmark_is_a_dot_of_its_sides_colour_at_its_place(
    width: int, height: int, name: str, colour: Colour, place: tuple[float, float]
) -> None:
    frame = make_frame(width=width, height=height)
    drawn = annotate(frame, make_pose(**{name: place}))
    assert colour_at(drawn, *place) == colour
    left, top, right, bottom = changed_box(frame, drawn)
    assert (left + right) / 2 == pytest.approx(place[0], abs=2 / width)
    assert (top + bottom) / 2 == pytest.approx(place[1], abs=2 / height)
    assert (right - left) * width < 0.2 * width


@pytest.mark.parametrize(
    ("a", "b", "colour"),
    [
        ("left_shoulder", "left_elbow", LEFT),
        ("right_hip", "right_knee", RIGHT),
        ("left_shoulder", "right_shoulder", MIDDLE),
    ],
)
def test_connection_is_a_line_between_its_landmarks(a: str, b: str, colour: Colour) -> None:
    frame = make_frame(width=640, height=480)
    drawn = annotate(frame, make_pose(**{a: (0.2, 0.3), b: (0.8, 0.7)}))
    for share in (0.25, 0.5, 0.75):
        assert colour_at(drawn, 0.2 + 0.6 * share, 0.3 + 0.4 * share) == colour


def test_landmarks_that_are_not_connected_have_no_line_between_them() -> None:
    frame = make_frame(width=640, height=480)
    drawn = annotate(frame, make_pose(nose=(0.2, 0.5), left_ankle=(0.8, 0.5)))
    assert colour_at(drawn, 0.5, 0.5) == colour_at(frame, 0.5, 0.5)


def test_left_and_right_are_orange_and_blue() -> None:
    """BT.601: a high V is red, a high U is blue."""
    assert LEFT.v > 160 > 100 > LEFT.u
    assert RIGHT.u > 160 > 100 > RIGHT.v
    assert (MIDDLE.u, MIDDLE.v) == (128, 128) and MIDDLE.y > 200


def test_hidden_landmark_and_its_connections_are_not_drawn() -> None:
    frame = make_frame(width=640, height=480)
    pose = make_pose(left_shoulder=(0.2, 0.3), left_elbow=(0.8, 0.7))
    pose.landmarks[NAMES.index("left_elbow"), 3] = MIN_VISIBILITY - 0.01
    drawn = annotate(frame, pose)
    assert colour_at(drawn, 0.8, 0.7) == colour_at(frame, 0.8, 0.7)
    assert colour_at(drawn, 0.5, 0.5) == colour_at(frame, 0.5, 0.5)
    assert colour_at(drawn, 0.2, 0.3) == LEFT


def test_every_person_is_drawn() -> None:
    frame = make_frame(width=640, height=480)
    drawn = annotate(frame, make_pose(nose=(0.25, 0.5)), make_pose(nose=(0.75, 0.5)))
    assert colour_at(drawn, 0.25, 0.5) == colour_at(drawn, 0.75, 0.5) == MIDDLE


def test_frame_with_nobody_is_a_copy() -> None:
    frame = make_frame(7, width=640, height=480)
    drawn = annotate(frame)
    assert np.array_equal(drawn.i420, frame.i420)
    assert not np.shares_memory(drawn.i420, frame.i420)
    assert (drawn.pts, drawn.received_mono) == (frame.pts, frame.received_mono)


def test_frame_that_was_given_stays_as_it_was() -> None:
    frame = make_frame(width=640, height=480)
    before = frame.i420.copy()
    painter = SkeletonPainter()
    painter.annotate(frame, (make_pose(**dict.fromkeys(NAMES, (0.5, 0.5))),))
    painter.notice(frame, "camera lost")
    assert np.array_equal(frame.i420, before)


@pytest.mark.parametrize("far", [-0.5, 1.5, -300.0, 300.0, 1e9, -1e9, float("inf")])
def test_landmark_outside_the_picture_does_no_harm(far: float) -> None:
    frame = make_frame(width=640, height=480)
    drawn = annotate(frame, make_pose(left_hip=(0.5, 0.5), left_knee=(far, far), nose=(far, 0.5)))
    assert colour_at(drawn, 0.5, 0.5) == LEFT


def test_connection_that_leaves_the_picture_is_drawn_up_to_its_edge() -> None:
    frame = make_frame(width=640, height=480)
    drawn = annotate(frame, make_pose(left_hip=(0.5, 0.5), left_knee=(0.5, 1.5)))
    assert colour_at(drawn, 0.5, 0.99) == LEFT


def test_landmark_that_is_not_a_number_is_not_drawn() -> None:
    frame = make_frame(width=640, height=480)
    nan = float("nan")
    drawn = annotate(frame, make_pose(left_hip=(0.5, 0.5), left_knee=(nan, nan), nose=(nan, 0.5)))
    assert colour_at(drawn, 0.5, 0.5) == LEFT
    left, top, right, bottom = changed_box(frame, drawn)
    assert right - left < 0.1 and bottom - top < 0.1


@pytest.mark.parametrize(("width", "height"), [(2, 2), (34, 18)])
def test_smallest_pictures_can_be_drawn_on(width: int, height: int) -> None:
    everything = Pose(
        1,
        1.0,
        np.full((LANDMARK_COUNT, 5), 0.5, np.float32),
        np.zeros((LANDMARK_COUNT, 3), np.float32),
    )
    assert annotate(make_frame(width=width, height=height), everything).width == width
    SkeletonPainter().notice(make_frame(width=width, height=height), "camera lost")


# -- what is drawn ----------------------------------------------------------------------------------

ARM = make_pose(left_shoulder=(0.2, 0.3), left_elbow=(0.8, 0.7))


def test_landmarks_style_draws_dots_and_no_lines() -> None:
    frame = make_frame(width=640, height=480)
    drawn = SkeletonPainter(OverlayConfig(style="landmarks")).annotate(frame, (ARM,))
    assert colour_at(drawn, 0.2, 0.3) == colour_at(drawn, 0.8, 0.7) == LEFT
    assert colour_at(drawn, 0.5, 0.5) == colour_at(frame, 0.5, 0.5)


def test_none_style_draws_nothing_but_notices() -> None:
    frame = make_frame(width=640, height=480)
    painter = SkeletonPainter(OverlayConfig(style="none"))
    assert np.array_equal(painter.annotate(frame, (ARM,)).i420, frame.i420)
    assert (painter.notice(frame, "camera lost").planes()[0] > 150).any()


def test_without_side_colours_all_is_drawn_in_the_middles() -> None:
    frame = make_frame(width=640, height=480)
    drawn = SkeletonPainter(OverlayConfig(side_colours=False)).annotate(frame, (ARM,))
    assert colour_at(drawn, 0.2, 0.3) == colour_at(drawn, 0.5, 0.5) == MIDDLE


# -- stills -----------------------------------------------------------------------------------------


def draw_still(width: int, height: int, pose: Pose) -> Plane:
    """As the pictures that people upload are drawn on: a part of them, put back."""
    picture = np.full((height, width, 3), 100, np.uint8)
    box = box_of(pose, width, height)
    if box is not None:
        part = picture[box.top : box.bottom, box.left : box.right].copy()
        draw_on_rgb(part, pose, box, width, height)
        picture[box.top : box.bottom, box.left : box.right] = part
    return picture


@pytest.mark.parametrize(("width", "height"), [(641, 481), (4000, 3000), (48, 64)])
def test_still_has_dots_and_lines_of_each_side_at_their_places(width: int, height: int) -> None:
    pose = make_pose(left_wrist=(0.75, 0.25), left_elbow=(0.75, 0.75), right_wrist=(0.25, 0.5))
    picture = draw_still(width, height, pose)
    for (x, y), colour in (
        ((0.75, 0.25), (255, 138, 0)),
        ((0.75, 0.5), (255, 138, 0)),  # of the line between them
        ((0.25, 0.5), (0, 190, 255)),
        ((0.5, 0.5), (100, 100, 100)),
    ):
        assert tuple(picture[int(y * height), int(x * width)]) == colour


def test_part_of_a_still_is_all_that_drawing_on_the_whole_would_touch() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        places = rng.uniform(-0.3, 1.3, (LANDMARK_COUNT, 2))
        pose = make_pose(**dict(zip(NAMES, map(tuple, places), strict=True)))
        whole = np.full((300, 401, 3), 100, np.uint8)
        draw_on_rgb(whole, pose, Box(0, 0, 401, 300), 401, 300)
        assert np.array_equal(draw_still(401, 300, pose), whole)


def test_pose_outside_the_picture_or_unseen_has_no_part() -> None:
    assert box_of(make_pose(), 640, 480) is None
    assert box_of(make_pose(nose=(3.0, 0.5)), 640, 480) is None
    assert box_of(make_pose(nose=(float("nan"), 0.5)), 640, 480) is None


# -- notices ----------------------------------------------------------------------------------------


def test_notice_dims_the_last_picture_and_writes_on_it() -> None:
    frame = make_frame(width=640, height=480, luma=200)
    luma = SkeletonPainter().notice(frame, "camera lost, retrying").planes()[0]
    assert luma[5, 5] < 100
    bright = np.argwhere(luma > 150)
    assert len(bright) > 100
    assert np.abs(bright.mean(axis=0) - (240, 320)).max() < 30


def test_notice_without_a_picture_is_a_dark_one() -> None:
    notice = SkeletonPainter().notice(None, "connecting")
    assert (notice.width % 2, notice.height % 2) == (0, 0)
    assert notice.planes()[0][0, 0] < 64
    assert (notice.planes()[0] > 150).any()


def test_longer_notice_takes_more_room_within_the_picture() -> None:
    painter = SkeletonPainter()
    frame = make_frame(width=640, height=480, luma=16)
    short = painter.notice(frame, "camera lost").planes()[0] > 100
    text = "camera lost, retrying\n" + "nothing answers at the address of this camera; " * 3
    long = painter.notice(frame, text).planes()[0] > 100
    assert long.any(axis=1).sum() > 2 * short.any(axis=1).sum()
    assert not long[:, :2].any() and not long[:, -2:].any()


@pytest.mark.parametrize("text", ["", "\n\n", "señor 日本 ✓", "x" * 500])
def test_any_text_can_be_written(text: str) -> None:
    SkeletonPainter().notice(None, text)


# -- the thread -------------------------------------------------------------------------------------


async def test_drawing_on_the_event_loop_is_refused() -> None:
    painter = SkeletonPainter()
    with pytest.raises(RuntimeError, match="event loop"):
        painter.annotate(make_frame(), ())
    with pytest.raises(RuntimeError, match="event loop"):
        painter.notice(None, "text")
    await asyncio.to_thread(painter.notice, None, "text")
