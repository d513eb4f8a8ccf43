"""What the privacy modes leave of people, and of everything else."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.config import PrivacyConfig, PrivacyMode
from streamer.model import Frame, Mask, Pose
from streamer.privacy import MAX_LOST, Obscurer
from tests.rigs.hiding import body_of, detail_left, noise_frame, standing

SECOND = 90_000
WIDTH, HEIGHT = 320, 240
HIDING: list[PrivacyMode] = ["skeleton", "silhouette", "blur"]
CORNER = (slice(HEIGHT - 30, HEIGHT), slice(0, 40))


@pytest.fixture
def frame() -> Frame:
    return noise_frame(WIDTH, HEIGHT)


def obscurer(mode: PrivacyMode, *, settle_s: float = 0.0, hold_s: float = 2.0) -> Obscurer:
    return Obscurer(PrivacyConfig(mode=mode, hold_s=hold_s), settle_s=settle_s)


def assert_nothing_survives(shown: Frame, original: Frame, where: NDArray[np.bool_]) -> None:
    """By chance one value in 220 is as it was."""
    for plane, before in zip(shown.planes(), original.planes(), strict=True):
        step = original.width // plane.shape[1]
        here = where[::step, ::step]
        assert (plane[here] == before[here]).mean() < 0.03
        assert abs(detail_left(plane, before, here)) < 0.15


def is_as_it_was(shown: Frame, original: Frame, place: tuple[slice, slice] = CORNER) -> bool:
    return bool((shown.planes()[0][place] == original.planes()[0][place]).all())


@pytest.mark.parametrize("mode", HIDING)
def test_no_pixel_of_a_person_survives(mode: PrivacyMode, frame: Frame) -> None:
    pose = standing(frame)
    shown = obscurer(mode).obscure(frame, (pose,), 0)
    assert_nothing_survives(shown, frame, body_of(pose, WIDTH, HEIGHT))
    assert is_as_it_was(shown, frame) is (mode != "skeleton")


@pytest.mark.parametrize("unseen", [0.0, 1.0])
def test_what_the_network_only_guesses_is_hidden_too(unseen: float, frame: Frame) -> None:
    pose = standing(frame)
    pose.landmarks[:, 3:] = unseen
    shown = obscurer("blur").obscure(frame, (pose,), 0)
    assert_nothing_survives(shown, frame, body_of(pose, WIDTH, HEIGHT))


def test_a_covered_face_leaves_the_rest_of_the_person(frame: Frame) -> None:
    pose = standing(frame)
    shown = obscurer("cover_face").obscure(frame, (pose,), 0)
    assert_nothing_survives(shown, frame, body_of(pose, WIDTH, HEIGHT, only_head=True))
    feet = (slice(170, 200), slice(150, 170))
    assert is_as_it_was(shown, frame, feet) and is_as_it_was(shown, frame)


def test_skeleton_shows_black_and_nothing_else_whoever_is_found(frame: Frame) -> None:
    for poses in ((), (standing(frame),)):
        shown = obscurer("skeleton").obscure(frame, poses, 0)
        assert [np.unique(plane).tolist() for plane in shown.planes()] == [[16], [128], [128]]


def test_a_blurred_background_leaves_the_person_alone(frame: Frame) -> None:
    pose = standing(frame)
    shown = obscurer("blur_background").obscure(frame, (pose,), 0)
    torso = (slice(100, 110), slice(155, 165))
    assert is_as_it_was(shown, frame, torso)
    beside = np.ones((HEIGHT, WIDTH), bool)
    beside[:, 80:240] = False
    assert_nothing_survives(shown, frame, beside)


def test_with_nobody_in_it_all_is_background(frame: Frame) -> None:
    shown = obscurer("blur_background").obscure(frame, (), 0)
    assert_nothing_survives(shown, frame, np.ones((HEIGHT, WIDTH), bool))


def square_mask(left: float, top: float, side: float) -> Mask:
    """All of a square of the picture, in shares of its width and height; a fringe of doubt around it."""
    alpha = np.full((64, 64), 40, np.uint8)
    alpha[8:56, 8:56] = 255
    to_mask = np.array([[64 / side, 0, -left * 64 / side], [0, 64 / side, -top * 64 / side]])
    return Mask(alpha, to_mask.astype(np.float32))


def test_what_only_the_mask_knows_of_is_hidden_with_its_fringe(frame: Frame) -> None:
    pose = replace(standing(frame, x=0.3), mask=square_mask(0.6, 0.4, 0.25))
    shown = obscurer("silhouette").obscure(frame, (pose,), 0)
    bag = np.zeros((HEIGHT, WIDTH), bool)
    bag[round(0.4 * HEIGHT) : round(0.65 * HEIGHT), round(0.6 * WIDTH) : round(0.85 * WIDTH)] = True
    assert_nothing_survives(shown, frame, bag | body_of(pose, WIDTH, HEIGHT))
    assert is_as_it_was(shown, frame, (slice(0, 40), slice(280, 320)))


def test_of_the_mask_only_what_is_certain_is_shown_before_a_blurred_background(
    frame: Frame,
) -> None:
    pose = replace(standing(frame), mask=square_mask(0.4, 0.4, 0.25))
    shown = obscurer("blur_background").obscure(frame, (pose,), 0)
    middle, fringe = (slice(118, 130), slice(160, 176)), (slice(96, 98), slice(130, 200))
    assert is_as_it_was(shown, frame, middle)
    assert not is_as_it_was(shown, frame, fringe)


@pytest.mark.parametrize("share", [0.4, 1.5, 6.0])
def test_of_a_blurred_face_there_is_no_feature_left_however_near(share: float) -> None:
    """Stripes as wide as an eye: a sixth of the head."""
    frame = noise_frame(640, 480)
    pose = standing(frame, share=share)
    head_px = 480 * share / 8
    stripes = (np.arange(640) // max(1, round(head_px / 6)) % 2 * 200 + 20).astype(np.uint8)
    frame.planes()[0][:] = stripes
    shown = obscurer("blur").obscure(frame, (pose,), 0)
    head = body_of(pose, 640, 480, only_head=True)
    left = shown.planes()[0][head].astype(float).std() / frame.planes()[0][head].std()
    assert left < 0.15


@pytest.mark.parametrize("mode", ["silhouette", "blur", "cover_face", "blur_background"])
def test_at_first_everything_is_covered(mode: PrivacyMode, frame: Frame) -> None:
    one = obscurer(mode, settle_s=1.0)
    everything = np.ones((HEIGHT, WIDTH), bool)
    for pts in (0, SECOND // 2):
        shown = one.obscure(frame, (standing(frame),), pts)
        assert_nothing_survives(shown, frame, everything)
    if mode != "blur_background":
        assert is_as_it_was(one.obscure(frame, (standing(frame),), SECOND), frame)
    one.reset()
    shown = one.obscure(frame, (standing(frame),), SECOND + 3000)
    assert_nothing_survives(shown, frame, everything)


@pytest.mark.parametrize("mode", ["silhouette", "blur", "cover_face"])
def test_who_is_lost_stays_covered_and_where_they_may_have_gone(
    mode: PrivacyMode, frame: Frame
) -> None:
    one, pose = obscurer(mode, hold_s=1.0), standing(frame)
    body = body_of(pose, WIDTH, HEIGHT, only_head=mode == "cover_face")
    one.obscure(frame, (pose,), 0)
    covered = []
    for pts in range(3000, SECOND, 3000):
        shown = one.obscure(frame, (), pts)
        assert_nothing_survives(shown, frame, body)
        covered.append((shown.planes()[0] != frame.planes()[0]).mean())
    assert covered == sorted(covered) and covered[-1] > 2 * covered[0]
    assert (one.obscure(frame, (), SECOND).i420 == frame.i420).all(), "nobody for long enough"


def test_who_is_found_again_covers_no_more_than_before(frame: Frame) -> None:
    one, pose = obscurer("silhouette"), standing(frame)
    first = one.obscure(frame, (pose,), 0)
    one.obscure(frame, (), 3000)
    again = one.obscure(frame, (replace(pose, id=2),), 6000)
    assert (first.i420 == again.i420).all()


def test_one_of_two_who_is_lost_stays_covered_though_the_other_takes_their_id(frame: Frame) -> None:
    one = obscurer("silhouette")
    left, right = standing(frame, x=0.2, id=1), standing(frame, x=0.8, id=2)
    one.obscure(frame, (left, right), 0)
    shown = one.obscure(frame, (replace(right, id=1),), 3000)
    for each in (left, right):
        assert_nothing_survives(shown, frame, body_of(each, WIDTH, HEIGHT))


def test_a_crowd_that_vanishes_is_held_and_remembered_within_bounds(frame: Frame) -> None:
    one = obscurer("silhouette", hold_s=60.0)
    crowd = [standing(frame, x=number / 40, share=0.1) for number in range(40)]
    one.obscure(frame, tuple(crowd), 0)
    shown = one.obscure(frame, (), 3000)
    assert len(one._lost) <= MAX_LOST
    bodies = [body_of(pose, WIDTH, HEIGHT) for pose in crowd]
    assert_nothing_survives(shown, frame, np.logical_or.reduce(bodies))


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_somebody_whose_place_is_no_number_may_be_anywhere(broken: float, frame: Frame) -> None:
    pose = standing(frame)
    pose.landmarks[5, 0] = broken
    shown = obscurer("blur").obscure(frame, (pose,), 0)
    assert_nothing_survives(shown, frame, np.ones((HEIGHT, WIDTH), bool))


def test_filtered_landmarks_lag_so_that_the_raw_ones_count_too(frame: Frame) -> None:
    behind, ahead = standing(frame, x=0.3), standing(frame, x=0.6)
    pose = replace(behind, raw=ahead.landmarks)
    shown = obscurer("blur").obscure(frame, (pose,), 0)
    for each in (behind, ahead):
        assert_nothing_survives(shown, frame, body_of(each, WIDTH, HEIGHT))


@pytest.mark.parametrize("size", [(16, 16), (18, 34), (642, 362), (1920, 1080), (48, 640)])
@pytest.mark.parametrize("mode", ["silhouette", "blur", "blur_background", "cover_face"])
def test_any_size_can_be_hidden_in(mode: PrivacyMode, size: tuple[int, int]) -> None:
    frame = noise_frame(*size)
    before = frame.i420.copy()
    far = standing(frame)
    far.landmarks[:, :2] *= 1e9
    shown = obscurer(mode).obscure(frame, (standing(frame), far), 0)
    assert shown.i420.shape == frame.i420.shape and (frame.i420 == before).all()
    assert (shown.pts, shown.received_at) == (frame.pts, frame.received_at)


def test_a_picture_of_another_size_begins_anew(frame: Frame) -> None:
    one = obscurer("blur", settle_s=1.0)
    one.obscure(frame, (standing(frame),), 0)
    other = noise_frame(WIDTH // 2, HEIGHT)
    shown = one.obscure(other, (), 2 * SECOND)
    assert_nothing_survives(shown, other, np.ones((HEIGHT, WIDTH // 2), bool))


def test_off_is_the_frame_itself(frame: Frame) -> None:
    poses: tuple[Pose, ...] = (standing(frame),)
    assert obscurer("off").obscure(frame, poses, 0) is frame
