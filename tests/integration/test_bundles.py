"""Leaving out the segmentation head changes no landmark by a single bit."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import av
import mediapipe as mp
import numpy as np
import pytest
from mediapipe.tasks.python import BaseOptions, vision

from streamer.pose.models import Complexity, ensure_models

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

VIDEO_FRAMES = 110
IMAGE_FRAMES = 5
FRAME_MS = 33

# The first run fetches the lite and heavy models.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def pictures(person_clip: Path) -> list[Any]:
    with av.open(person_clip) as container:
        frames = itertools.islice(container.decode(video=0), VIDEO_FRAMES)
        arrays = [np.ascontiguousarray(frame.to_ndarray(format="rgb24")) for frame in frames]
    assert len(arrays) == VIDEO_FRAMES
    return [mp.Image(image_format=mp.ImageFormat.SRGB, data=array) for array in arrays]


def open_landmarker(model: Path, mode: Any, *, masks: bool = False) -> Any:
    return vision.PoseLandmarker.create_from_options(
        vision.PoseLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(model)),
            running_mode=mode,
            output_segmentation_masks=masks,
        )
    )


def in_video(model: Path, pictures: Sequence[Any]) -> list[Any]:
    with open_landmarker(model, vision.RunningMode.VIDEO) as landmarker:
        return [
            values(landmarker.detect_for_video(picture, number * FRAME_MS))
            for number, picture in enumerate(pictures)
        ]


def in_images(model: Path, pictures: Sequence[Any]) -> list[Any]:
    with open_landmarker(model, vision.RunningMode.IMAGE) as landmarker:
        return [values(landmarker.detect(picture)) for picture in pictures]


def values(result: Any) -> list[tuple[float, ...]]:
    """Every number of the result's image and world landmarks."""
    return [
        (point.x, point.y, point.z, point.visibility, point.presence)
        for pose in (*result.pose_landmarks, *result.pose_world_landmarks)
        for point in pose
    ]


@pytest.mark.parametrize("complexity", list(Complexity))
def test_landmarks_without_the_mask_are_bit_for_bit_those_with_it(
    complexity: Complexity, pictures: list[Any]
) -> None:
    (pruned,) = ensure_models([complexity])
    (whole,) = ensure_models([complexity], segmentation=True)

    expected = in_video(whole, pictures)
    assert sum(len(numbers) == 2 * 33 for numbers in expected) > 0.9 * VIDEO_FRAMES
    assert in_video(pruned, pictures) == expected

    some = pictures[:: VIDEO_FRAMES // IMAGE_FRAMES]
    assert in_images(pruned, some) == in_images(whole, some)


def test_bundle_that_keeps_the_head_gives_a_mask(pictures: list[Any]) -> None:
    (whole,) = ensure_models([Complexity.FULL], segmentation=True)
    with open_landmarker(whole, vision.RunningMode.IMAGE, masks=True) as landmarker:
        (mask,) = landmarker.detect(pictures[0]).segmentation_masks
    share = float((mask.numpy_view() > 0.5).mean())
    assert 0.01 < share < 0.5, "a person covers a part of the picture"
