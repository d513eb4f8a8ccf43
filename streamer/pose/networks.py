"""MediaPipe Pose's two networks, run one by one by LiteRT: where people may be, and one person's landmarks.

What is done before and after them is what MediaPipe's graphs do (pose_detector_graph.cc and
pose_landmarks_detector_graph.cc); tests hold the results equal. Each object belongs to one thread, and
lets go of Python's lock while its network runs.
"""

from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from streamer.errors import ModelError
from streamer.model import LANDMARK_COUNT
from streamer.pose.regions import Matrix, Region, region_around

DETECTOR_SIDE_PX: Final = 224
LANDMARK_SIDE_PX: Final = 256
HEATMAP_SIDE: Final = 64
_POINTS: Final = 39
"""The 33 landmarks and six that MediaPipe keeps to itself."""
_CENTRE, _REACH = 33, 34
"""Of those: mid-hip and the point that says how large the next region is."""
_ANCHORS_OF_STRIDE: Final = {8: 2, 16: 2, 32: 6}
"""Anchors in each cell: two for each of the strides 8, 16, 32, 32, 32."""
_MAX_CANDIDATES: Final = 200
"""Anchors that are merged, the best: a person sets off a few dozen, and with no limit on the score all
2254 would take 100 ms."""
_MAX_LOGIT: Final = 100.0
_MAX_MASK_LOGIT: Final = 10.0  # more is 255 all the same
_SAME_PERSON_IOU: Final = 0.5
_WINDOW: Final = np.arange(-3, 4)  # 7 x 7 cells of a heat map
_MIN_REFINE: Final = 0.5
_TO_TORSO: Final = 0.35  # of that way: shoulders are at 0.7 of it


class Detection(NamedTuple):
    """Where a person may be. ``box``: left, top, right, bottom of the face, in pixels; ``region``: the
    whole body's; ``score``: 0..1."""

    score: float
    box: NDArray[np.float32]
    region: Region

    @property
    def torso(self) -> tuple[float, float]:
        """About its middle: a third of the way from the hips to the face."""
        face_x, face_y = (self.box[:2] + self.box[2:]) / 2
        hip_x, hip_y = self.region.x, self.region.y
        return hip_x + _TO_TORSO * float(face_x - hip_x), hip_y + _TO_TORSO * float(face_y - hip_y)

    def moved(self, x: float, y: float) -> "Detection":
        return Detection(
            self.score, self.box + np.array([x, y, x, y], np.float32), self.region.moved(x, y)
        )


class Sighting(NamedTuple):
    """What the landmark network says of one region.

    ``landmarks``: (33, 5) float32: x, y and z in pixels of the picture, visibility and presence 0..1.
    ``world``: (33, 3) float32, metres. ``flag``: 0..1, is there a person. ``peaks``: (33,) float32, 0..1,
    how sure of each landmark's place its heat map is. ``region``: where it looked; ``next_region``: where
    to look in the next frame. ``mask``: (256, 256) uint8 of the region, where it was asked for.
    """

    landmarks: NDArray[np.float32]
    world: NDArray[np.float32]
    flag: float
    peaks: NDArray[np.float32]
    region: Region
    next_region: Region
    mask: NDArray[np.uint8] | None


class _Network:
    def __init__(self, model: bytes) -> None:
        try:
            self._interpreter: Any = Interpreter(model_content=model, num_threads=1)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(
                f"LiteRT can't load a pose network: {error}. Run `streamer models` to make it again."
            ) from error
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [int(each["index"]) for each in self._interpreter.get_output_details()]

    def run(self, picture: NDArray[np.uint8], scale: float, offset: float) -> None:
        """``picture``: (side, side, 3); the network gets picture x scale + offset."""
        tensor = self._interpreter.tensor(self._input)()[0]
        np.multiply(picture, np.float32(scale), out=tensor)
        if offset:
            tensor += np.float32(offset)
        del tensor  # LiteRT refuses to run while somebody looks into its memory
        self._interpreter.invoke()

    def close(self) -> None:
        """Frees its 20 to 60 MB now, whoever still knows the object."""
        self._interpreter = None

    def output(self, place: int) -> Any:
        """The output's values, a view: gone with the next run."""
        return self._interpreter.tensor(self._outputs[place])()[0]


class Detector:
    """``model``: pose_detection.tflite. Raises ModelError."""

    def __init__(self, model: bytes) -> None:
        self._network = _Network(model)
        self._anchors = _anchors()

    def close(self) -> None:
        self._network.close()

    def detect(self, rgb: NDArray[np.uint8], min_score: float) -> list[Detection]:
        """``rgb``: shape (H, W, 3). Best first, no two of the same person."""
        height, width = rgb.shape[:2]
        side = max(height, width)
        scale = DETECTOR_SIDE_PX / side
        left, top = (side - width) / 2, (side - height) / 2
        place: Matrix = np.array([[scale, 0, left * scale], [0, scale, top * scale]])
        picture: Any = cv2.warpAffine(rgb, place, (DETECTOR_SIDE_PX, DETECTOR_SIDE_PX))
        self._network.run(picture, 2 / 255, -1.0)
        logits = self._network.output(1)[:, 0]
        found = np.flatnonzero(logits >= _logit(min_score))
        found = found[np.argsort(-logits[found])[:_MAX_CANDIDATES]]
        if not found.size:
            return []
        scores = _sigmoid(np.clip(logits[found], -_MAX_LOGIT, _MAX_LOGIT))
        rows = self._network.output(0)[found] / DETECTOR_SIDE_PX
        middles = self._anchors[found] + rows[:, :2]
        half = rows[:, 2:4] / 2
        rows[:, 4:] += np.tile(self._anchors[found], 4)
        rows[:, :2], rows[:, 2:4] = middles - half, middles + half
        in_picture = np.tile(np.array([left, top], np.float32), 6)
        return [_detection(row * side - in_picture, score) for row, score in _merged(rows, scores)]


def _detection(row: NDArray[np.float32], score: float) -> Detection:
    """The first two of the four points are mid-hip and the one that says how large the body is."""
    return Detection(score, row[:4], region_around(row[4:6], row[6:8]))


class LandmarkNetwork:
    """``model``: a pose_landmark_*.tflite; ``segmentation``: it still has that output, and it is wanted.
    Raises ModelError."""

    def __init__(self, model: bytes, *, segmentation: bool) -> None:
        self._network = _Network(model)
        self._segmentation = segmentation

    def close(self) -> None:
        self._network.close()

    def look(self, rgb: NDArray[np.uint8], region: Region) -> Sighting:
        self._network.run(region.crop(rgb, LANDMARK_SIDE_PX), 1 / 255, 0.0)
        points = self._network.output(0).reshape(_POINTS, 5).copy()
        points[:, :3] /= LANDMARK_SIDE_PX
        points[:, 3:] = _sigmoid(points[:, 3:])
        peaks = _refine(points, self._network.output(3))
        points[:, :2] = region.from_unit(points[:, :2])
        points[:, 2] *= region.size
        world = self._network.output(4).reshape(_POINTS, 3)[:LANDMARK_COUNT].copy()
        world[:, :2] = world[:, :2] @ region.turn()
        mask = self._network.output(2)[..., 0] if self._segmentation else None
        return Sighting(
            landmarks=points[:LANDMARK_COUNT],
            world=world,
            flag=float(self._network.output(1)[0]),
            peaks=peaks[:LANDMARK_COUNT],
            region=region,
            next_region=region_around(points[_CENTRE, :2], points[_REACH, :2]),
            mask=None if mask is None else _alpha(mask),
        )


def _sigmoid(values: NDArray[np.float32]) -> NDArray[np.float32]:
    # Below -87 a float32's exponential would overflow: masks have such values.
    powers = np.exp(-np.maximum(values, np.float32(-80)))
    shares: NDArray[np.float32] = np.float32(1) / (np.float32(1) + powers)
    return shares


def _alpha(logits: NDArray[np.float32]) -> NDArray[np.uint8]:
    limited = np.clip(logits, -_MAX_MASK_LOGIT, _MAX_MASK_LOGIT)
    return (_sigmoid(limited) * np.float32(255)).astype(np.uint8)


def _logit(share: float) -> float:
    share = min(max(share, 1e-6), 1 - 1e-6)
    return float(np.log(share / (1 - share)))


def _anchors() -> NDArray[np.float32]:
    """(2254, 2): the middles of the detector's cells, 0..1, as often as a cell has anchors."""
    grids = []
    for stride, count in _ANCHORS_OF_STRIDE.items():
        cells = DETECTOR_SIDE_PX // stride
        middles = (np.arange(cells, dtype=np.float32) + 0.5) / cells
        grid = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)
        grids.append(np.repeat(grid, count, axis=0))
    return np.concatenate(grids)


def _merged(
    rows: NDArray[np.float32], scores: NDArray[np.float32]
) -> list[tuple[NDArray[np.float32], float]]:
    """Weighted non-maximum suppression: rows whose boxes overlap become one, the mean by score.

    ``rows``: (N, 12): left, top, right, bottom, four points. Best first.
    """
    waiting = np.argsort(-scores)
    merged = []
    while waiting.size:
        best = rows[waiting[0]]
        same = _overlap(best, rows[waiting]) > _SAME_PERSON_IOU
        same[0] = True  # even if it has no area
        group = waiting[same]
        mean = np.average(rows[group], axis=0, weights=scores[group])
        merged.append((mean.astype(np.float32), float(scores[waiting[0]])))
        waiting = waiting[~same]
    return merged


def _overlap(box: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of one box with each of ``boxes``."""
    start = np.maximum(box[:2], boxes[:, :2])
    end = np.minimum(box[2:4], boxes[:, 2:4])
    shared = np.maximum(end - start, 0).prod(axis=1)
    areas = (boxes[:, 2:4] - boxes[:, :2]).prod(axis=1)
    total: NDArray[np.float32] = (box[2:4] - box[:2]).prod() + areas - shared
    overlaps: NDArray[np.float32] = shared / np.maximum(total, np.float32(1e-12))
    return overlaps


def _refine(points: NDArray[np.float32], heatmap: NDArray[np.float32]) -> NDArray[np.float32]:
    """Moves each point (in 0..1 of the region) to the weighted middle of its heat map around it, where
    that is sure enough; returns the greatest value of each window, (39,).

    ``points``: (39, 5), changed in place; ``heatmap``: (64, 64, 39) logits. As MediaPipe's
    RefineLandmarksFromHeatmapCalculator.
    """
    cells = (points[:, :2] * HEATMAP_SIDE).astype(np.int64)  # towards zero, as a C++ cast
    inside = ((cells >= 0) & (cells < HEATMAP_SIDE)).all(axis=1)
    columns = cells[:, 0, None, None] + _WINDOW[None, None, :]
    rows = cells[:, 1, None, None] + _WINDOW[None, :, None]
    valid = (columns >= 0) & (columns < HEATMAP_SIDE) & (rows >= 0) & (rows < HEATMAP_SIDE)
    window = heatmap[
        np.clip(rows, 0, HEATMAP_SIDE - 1),
        np.clip(columns, 0, HEATMAP_SIDE - 1),
        np.arange(_POINTS)[:, None, None],
    ]
    weights = np.where(valid, _sigmoid(window), np.float32(0))
    peaks: NDArray[np.float32] = np.where(inside, weights.max(axis=(1, 2)), np.float32(0))
    refined = np.flatnonzero(peaks >= _MIN_REFINE)
    sums = weights[refined].sum(axis=(1, 2)) * HEATMAP_SIDE
    points[refined, 0] = (weights[refined] * columns[refined]).sum(axis=(1, 2)) / sums
    points[refined, 1] = (weights[refined] * rows[refined]).sum(axis=(1, 2)) / sums
    return peaks
