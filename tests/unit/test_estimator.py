"""What the estimator makes of MediaPipe's landmarks."""

from types import SimpleNamespace

import numpy as np
import pytest

from streamer.errors import EstimatorError
from streamer.model import LANDMARK_COUNT
from streamer.pose.mediapipe import _pose


def landmarks(**odd: float | None) -> list[SimpleNamespace]:
    plain = {"x": 0.5, "y": 0.5, "z": 0.0, "visibility": 1.0, "presence": 1.0}
    return [SimpleNamespace(**(plain | odd))] + [SimpleNamespace(**plain)] * (LANDMARK_COUNT - 1)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e39])
@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_pose_with_coordinates_that_are_no_numbers_is_refused(axis: str, value: float) -> None:
    for image, world in [
        (landmarks(**{axis: value}), landmarks()),
        (landmarks(), landmarks(**{axis: value})),
    ]:
        with np.errstate(over="ignore"), pytest.raises(EstimatorError, match="no numbers"):
            _pose(1, image, world)


@pytest.mark.parametrize("value", [None, float("nan")])
def test_landmark_of_unknown_visibility_counts_as_hidden(value: float | None) -> None:
    assert _pose(1, landmarks(visibility=value), landmarks()).landmarks[0, 3] == 0.0
