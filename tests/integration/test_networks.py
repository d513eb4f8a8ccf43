"""Our engine runs MediaPipe's networks as MediaPipe's own graph does."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.pixels import small_rgb
from streamer.pose.bundle import read_bundle
from streamer.pose.landmarker import Found, Landmarker
from streamer.pose.models import Complexity, ensure_models
from streamer.pose.networks import Detector, LandmarkNetwork
from tests.decoded import decode

EVERY = 10
FRAMES = 120


@pytest.fixture(scope="module")
def pictures(person_clip: Path) -> list[NDArray[np.uint8]]:
    return [small_rgb(frame, 640) for frame in decode(person_clip, FRAMES)[::EVERY]]


@pytest.fixture(scope="module")
def by_mediapipe(pictures: list[NDArray[np.uint8]]) -> list[Found]:
    """In IMAGE mode: in VIDEO mode one level of one pixel moves the landmarks for ever after."""
    (model,) = ensure_models([Complexity.FULL])
    landmarker = Landmarker(
        model,
        video=False,
        num_poses=1,
        min_pose_detection_confidence=0.5,
        min_pose_presence_confidence=0.5,
    )
    found = [landmarker.find(rgb, 0) for rgb in pictures]
    landmarker.close()
    assert all(len(people) == 1 for people in found)
    return [people[0] for people in found]


def test_landmarks_are_those_of_mediapipe(
    pictures: list[NDArray[np.uint8]], by_mediapipe: list[Found]
) -> None:
    detector_model, landmark_model = read_bundle(ensure_models([Complexity.FULL])[0])
    detector = Detector(detector_model)
    network = LandmarkNetwork(landmark_model, segmentation=False)
    apart_px, apart_m = [], []
    for rgb, theirs in zip(pictures, by_mediapipe, strict=True):
        height, width = rgb.shape[:2]
        ours = network.look(rgb, detector.detect(rgb, 0.5)[0].region)
        places = theirs.landmarks[:, :3] * (width, height, width)
        apart_px.append(np.abs(ours.landmarks[:, :3] - places))
        apart_m.append(np.abs(ours.world - theirs.world))
        assert np.abs(ours.landmarks[:, 3:] - theirs.landmarks[:, 3:]).max() < 0.05
    assert np.mean(apart_px) < 0.5
    assert np.mean(apart_m) < 0.005


def test_leaving_out_the_mask_changes_no_landmark_and_the_mask_covers_the_person(
    pictures: list[NDArray[np.uint8]],
) -> None:
    detector_model, pruned = read_bundle(ensure_models([Complexity.FULL])[0])
    _, whole = read_bundle(ensure_models([Complexity.FULL], segmentation=True)[0])
    region = Detector(detector_model).detect(pictures[0], 0.5)[0].region
    plain = LandmarkNetwork(pruned, segmentation=False).look(pictures[0], region)
    masked = LandmarkNetwork(whole, segmentation=True).look(pictures[0], region)
    assert np.array_equal(plain.landmarks, masked.landmarks)
    assert plain.mask is None and masked.mask is not None
    hips = masked.landmarks[[23, 24], :2].mean(axis=0)
    x, y = region.to_crop(256) @ (*hips, 1.0)
    assert masked.mask[round(y), round(x)] > 200
    assert masked.mask[0, 0] < 50


def test_nobody_is_found_in_a_plain_picture() -> None:
    detector_model, _ = read_bundle(ensure_models([Complexity.FULL])[0])
    assert Detector(detector_model).detect(np.full((480, 640, 3), 128, np.uint8), 0.5) == []
