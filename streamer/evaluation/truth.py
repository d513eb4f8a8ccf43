"""Where people really are: what a clip's poses are held against."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamer.errors import ConfigError
from streamer.landmarks import NAMES

Points = NDArray[np.float32]

SHOULDERS, HIPS = [11, 12], [23, 24]

PLAINLY_SEEN = 0.7
"""A person with so much of the body in the picture and uncovered has to be found."""


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """The people of each frame of a file, by the same number in all of them.

    ``landmarks``: (frames, people, 33, 3) float32: x and y in pixels, and how far the point can be
    trusted, 0..1: below 0.5 it is hidden or unknown. NaN where a person is not there, or not known.
    ``boxes``: (frames, people, 4): left, top, right, bottom in pixels, NaN where a person is not there.
    ``seen``: (frames, people): the share of the body that is in the picture and uncovered.
    """

    landmarks: Points
    boxes: Points
    seen: Points

    @property
    def people(self) -> int:
        return int(self.seen.shape[1])

    def at(self, numbers: list[int]) -> "Truth":
        """Of these frames alone. Raises ConfigError where there are not so many."""
        if numbers and max(numbers) >= len(self.seen):
            raise ConfigError(
                f"the truth has {len(self.seen)} frames, and the clip more: make it of this very file"
            )
        return Truth(self.landmarks[numbers], self.boxes[numbers], self.seen[numbers])

    def mapped(self, matrix: NDArray[np.float64]) -> "Truth":
        """In another picture: ``matrix`` (2, 3) takes (x, y, 1) there."""
        landmarks = self.landmarks.copy()
        landmarks[..., :2] = _moved(self.landmarks[..., :2], matrix)
        corners = self.boxes[..., [0, 1, 2, 1, 2, 3, 0, 3]].reshape(*self.boxes.shape[:2], 4, 2)
        moved = _moved(corners, matrix)
        boxes = np.concatenate([moved.min(axis=2), moved.max(axis=2)], axis=-1)
        return Truth(landmarks, boxes, self.seen)


def load_truth(path: Path) -> Truth:
    """Reads the arrays of ``Truth`` from an .npz file; of landmarks and boxes one is enough, and without
    ``seen`` everybody who is there is plainly seen. Raises ConfigError."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name].astype(np.float32) for name in file.files}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} can't be read as .npz: {error}") from error
    landmarks, boxes = arrays.get("landmarks"), arrays.get("boxes")
    if boxes is None and landmarks is not None:
        boxes = boxes_of(landmarks[..., :2])
    if boxes is None:
        raise ConfigError(
            f"{path} has neither landmarks nor boxes; docs/evaluation.md tells how they look"
        )
    if landmarks is None:
        landmarks = np.full((*boxes.shape[:2], len(NAMES), 3), np.nan, np.float32)
    seen = arrays.get("seen")
    if seen is None:
        seen = np.isfinite(boxes[..., 0]).astype(np.float32)
    shape = seen.shape
    if landmarks.shape != (*shape, len(NAMES), 3) or boxes.shape != (*shape, 4):
        raise ConfigError(
            f"{path}: landmarks {landmarks.shape}, boxes {boxes.shape} and seen {shape} don't fit together"
        )
    return Truth(landmarks, boxes, seen)


def boxes_of(points: Points) -> Points:
    """(…, n, 2) -> (…, 4): left, top, right, bottom."""
    return np.concatenate([points.min(axis=-2), points.max(axis=-2)], axis=-1)


def torso_px(points: Points) -> NDArray[np.float32]:
    """(…, 33, 2) -> (…): from the middle of the shoulders to that of the hips."""
    middle = points[..., SHOULDERS, :].mean(axis=-2) - points[..., HIPS, :].mean(axis=-2)
    length: NDArray[np.float32] = np.linalg.norm(middle, axis=-1)
    return length


def _moved(points: Points, matrix: NDArray[np.float64]) -> Points:
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
