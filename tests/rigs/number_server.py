"""The service with an estimator that reads the number burnt into each frame, instead of a pose.

Its "pose" carries the number twice: in the coordinates of the nose, which is never drawn, and in
which of the landmarks of arms and legs are visible, so that the number can also be read back from a
drawn picture. ``python -m tests.rigs.number_server serve …`` takes the arguments of ``streamer``.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np

from streamer import app
from streamer.cli import main
from streamer.landmarks import NAMES
from streamer.model import LANDMARK_COUNT, Frame, Pose
from tests.rigs.instant_server import NobodyEstimator
from tests.rigs.marker import read_number

if TYPE_CHECKING:
    from streamer.config import PoseConfig
    from streamer.ports import Estimator

ESTIMATE_S = 0.02
"""As long as MediaPipe takes: landmarks that come at once would hide what comes late."""

NUMBER_LANDMARK = NAMES.index("nose")
FIRST_BIT = NAMES.index("left_shoulder")
BITS = 16
_CENTRE = (0.5, 0.55)
_RADIUS = (0.27, 0.36)  # round in a 4:3 picture


def place_of_bit(bit: int) -> tuple[float, float]:
    """On a circle, where no line between two of the places comes near a third. x and y in 0..1."""
    angle = math.tau * bit / BITS
    return (
        _CENTRE[0] + _RADIUS[0] * math.cos(angle),
        _CENTRE[1] + _RADIUS[1] * math.sin(angle),
    )


class NumberEstimator(NobodyEstimator):
    """One "person" for each frame, whose landmarks say the frame's number."""

    def estimate(self, frame: Frame, pts: int) -> tuple[Pose, ...]:
        time.sleep(ESTIMATE_S)
        number = read_number(frame.planes()[0])
        landmarks = np.zeros((LANDMARK_COUNT, 5), np.float32)
        landmarks[NUMBER_LANDMARK, :2] = (number % 256 + 0.5) / 256, (number // 256 + 0.5) / 256
        for bit in range(BITS):
            visible = float(number >> bit & 1)
            landmarks[FIRST_BIT + bit] = (*place_of_bit(bit), 0.0, visible, 1.0)
        world = np.zeros((LANDMARK_COUNT, 3), np.float32)
        return (Pose(id=1, score=1.0, landmarks=landmarks, world=world),)


def number_estimator(pose: PoseConfig, name: str) -> Estimator:
    return NumberEstimator(pose)


if __name__ == "__main__":
    app.estimator_factory = lambda workers: number_estimator
    raise SystemExit(main())
