"""What the estimator makes of MediaPipe's landmarks."""

import ctypes
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mediapipe.tasks.python.components.containers.landmark_c import (
    LandmarkC,
    LandmarksC,
    NormalizedLandmarkC,
    NormalizedLandmarksC,
)

from streamer.config import PoseConfig
from streamer.errors import EstimatorError, ModelError
from streamer.model import LANDMARK_COUNT
from streamer.pose.landmarker import Found, _read
from streamer.pose.mediapipe import MediaPipeEstimator, _pose

PLAIN = {"visibility": 1.0, "presence": 1.0, "has_visibility": True, "has_presence": True}


def result(**odd: float) -> Any:
    """MediaPipe's result for one person, in whose first landmark something is odd."""
    people = []
    for structure, people_structure in (
        (NormalizedLandmarkC, NormalizedLandmarksC),
        (LandmarkC, LandmarksC),
    ):
        landmarks = (structure * LANDMARK_COUNT)()
        for index, landmark in enumerate(landmarks):
            values = {"x": index, "y": index + 0.25, "z": index + 0.5, **PLAIN}
            for name, value in (values | odd if index == 0 else values).items():
                setattr(landmark, name, value)
        people.append((people_structure * 1)(people_structure(landmarks, LANDMARK_COUNT)))
    return SimpleNamespace(
        pose_landmarks=people[0],
        pose_landmarks_count=1,
        pose_world_landmarks=people[1],
        pose_world_landmarks_count=1,
    )


def person(**odd: float) -> Found:
    (found,) = _read(result(**odd))
    return found


def test_structures_of_image_and_world_landmarks_are_laid_out_alike() -> None:
    assert ctypes.sizeof(LandmarkC) == ctypes.sizeof(NormalizedLandmarkC)
    for name, *_ in LandmarkC._fields_:
        assert getattr(LandmarkC, name).offset == getattr(NormalizedLandmarkC, name).offset


def test_landmarks_become_rows_of_numbers() -> None:
    found = person(visibility=0.25, presence=0.75)
    assert (found.landmarks.shape, found.world.shape) == ((LANDMARK_COUNT, 5), (LANDMARK_COUNT, 3))
    assert found.landmarks.dtype == found.world.dtype == np.float32
    assert found.landmarks[0].tolist() == [0.0, 0.25, 0.5, 0.25, 0.75]
    assert found.landmarks[7].tolist() == [7.0, 7.25, 7.5, 1.0, 1.0]
    assert found.world[7].tolist() == [7.0, 7.25, 7.5]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_pose_with_coordinates_that_are_no_numbers_is_refused(axis: str, value: float) -> None:
    good, bad = person(), person(**{axis: value})
    for found in (Found(bad.landmarks, good.world), Found(good.landmarks, bad.world)):
        with pytest.raises(EstimatorError, match="no numbers"):
            _pose(1, found)


@pytest.mark.parametrize(
    "odd",
    [{"has_visibility": False}, {"visibility": float("nan")}],
)
def test_landmark_of_unknown_visibility_counts_as_hidden(odd: dict[str, float]) -> None:
    assert _pose(1, person(**odd)).landmarks[0, 3:].tolist() == [0.0, 1.0]


@pytest.mark.parametrize("odd", [{"has_presence": False}, {"presence": float("nan")}])
def test_landmark_of_unknown_presence_counts_as_absent(odd: dict[str, float]) -> None:
    assert _pose(1, person(**odd)).landmarks[0, 3:].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("content", [None, b"", b"no model at all"])
def test_model_that_cant_be_loaded_is_named_with_what_to_do(
    tmp_path: Path, content: bytes | None
) -> None:
    model = tmp_path / "odd.task"
    if content is not None:
        model.write_bytes(content)
    with pytest.raises(ModelError, match=r"can't load odd\.task: .+ Run `streamer models`"):
        MediaPipeEstimator(model, PoseConfig())
