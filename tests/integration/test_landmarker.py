"""MediaPipe's C functions give what its own Python class gives, and the same errors."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mediapipe as mp
import numpy as np
import pytest
from mediapipe.tasks.python import BaseOptions, vision
from numpy.typing import NDArray

from streamer.pixels import small_rgb
from streamer.pose.landmarker import Found, Landmarker
from streamer.pose.models import Complexity, ensure_models
from tests.decoded import decode

FRAME_MS = 33


@pytest.fixture(scope="module")
def model() -> Path:
    return ensure_models([Complexity.FULL])[0]


@pytest.fixture(scope="module")
def pictures(person_clip: Path) -> list[NDArray[np.uint8]]:
    """60 of a person, 5 of the same person twice, and 5 of nobody."""
    alone = [small_rgb(frame, 640) for frame in decode(person_clip, 60)]
    twice = [np.concatenate([picture, picture], axis=1) for picture in alone[::12]]
    return [*alone, *twice, *[np.zeros_like(alone[0])] * 5]


def open_landmarker(model: Path, *, video: bool = True, num_poses: int = 1) -> Landmarker:
    return Landmarker(
        model,
        video=video,
        num_poses=num_poses,
        min_pose_detection_confidence=0.5,
        min_pose_presence_confidence=0.5,
    )


def official(model: Path, pictures: list[Any], *, video: bool, num_poses: int) -> Iterator[Any]:
    options = vision.PoseLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(model)),
        running_mode=vision.RunningMode.VIDEO if video else vision.RunningMode.IMAGE,
        num_poses=num_poses,
    )
    with vision.PoseLandmarker.create_from_options(options) as landmarker:
        for number, picture in enumerate(pictures):
            image = mp.Image(image_format=mp.ImageFormat.SRGB, data=picture)
            yield (
                landmarker.detect_for_video(image, number * FRAME_MS)
                if video
                else landmarker.detect(image)
            )


def same(found: list[Found], result: Any) -> bool:
    names = ("x", "y", "z", "visibility", "presence")
    expected = [
        np.array([[getattr(p, name) for name in columns] for p in person], np.float32)
        for people, columns in (
            (result.pose_landmarks, names),
            (result.pose_world_landmarks, names[:3]),
        )
        for person in people
    ]
    got = [person.landmarks for person in found] + [person.world for person in found]
    return len(got) == len(expected) and all(map(np.array_equal, got, expected))


@pytest.mark.parametrize("num_poses", [1, 2])
@pytest.mark.parametrize("video", [True, False])
def test_landmarks_equal_those_of_the_python_class_bit_for_bit(
    model: Path, pictures: list[NDArray[np.uint8]], video: bool, num_poses: int
) -> None:
    ours = open_landmarker(model, video=video, num_poses=num_poses)
    people = set()
    for number, (picture, result) in enumerate(
        zip(pictures, official(model, pictures, video=video, num_poses=num_poses), strict=True)
    ):
        found = ours.find(picture, number * FRAME_MS)
        assert same(found, result)
        people.add(len(found))
    ours.close()
    assert people == set(range(num_poses + 1))


def test_what_was_found_outlives_the_landmarker(
    model: Path, pictures: list[NDArray[np.uint8]]
) -> None:
    landmarker = open_landmarker(model)
    (first,) = landmarker.find(pictures[0], 0)
    before = first.landmarks.copy()
    for number, picture in enumerate(pictures[1:20], start=1):
        landmarker.find(picture, number * FRAME_MS)
    landmarker.close()
    assert np.array_equal(first.landmarks, before)


def test_time_that_runs_back_is_refused_in_mediapipes_words(
    model: Path, pictures: list[NDArray[np.uint8]]
) -> None:
    landmarker = open_landmarker(model)
    landmarker.find(pictures[0], 100)
    with pytest.raises(RuntimeError, match="timestamp must be monotonically increasing"):
        landmarker.find(pictures[1], 99)
    landmarker.close()


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((48, 64, 3), np.float32),
        np.zeros((48, 64, 4), np.uint8),
        np.zeros((48, 80, 3), np.uint8)[:, :64],
    ],
)
def test_array_that_mediapipe_would_misread_is_refused(model: Path, picture: Any) -> None:
    landmarker = open_landmarker(model)
    with pytest.raises(ValueError, match="8-bit RGB"):
        landmarker.find(picture, 0)
    landmarker.close()


def test_closing_again_is_harmless(model: Path) -> None:
    landmarker = open_landmarker(model)
    landmarker.close()
    landmarker.close()
