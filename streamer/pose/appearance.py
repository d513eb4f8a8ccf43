"""What somebody wears: colour histograms of torso and thighs, cheap enough for each frame."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Appearance = NDArray[np.float32]
"""(2, 3, 8): of torso and thighs, the shares of luma and two colour differences in eight bins each; a
part that can't be seen is all zeros."""

_BINS: Final = 8
_MIN_VISIBILITY: Final = 0.5
_PLACES: Final = np.linspace(0.1, 0.9, 8, dtype=np.float32)
_ACROSS, _DOWN = (places.ravel() for places in np.meshgrid(_PLACES, _PLACES))
_TORSO: Final = np.stack(
    [(1 - _ACROSS) * (1 - _DOWN), _ACROSS * (1 - _DOWN), (1 - _ACROSS) * _DOWN, _ACROSS * _DOWN], 1
)
"""(64, 4): weights of both shoulders and both hips in each sample's place."""
_THIGH: Final = np.stack([1 - _PLACES, _PLACES], 1)
"""(8, 2): of hip and knee; one line down each thigh."""
_SHOULDERS_AND_HIPS: Final = [11, 12, 23, 24]
_HIPS, _KNEES = [23, 24], [25, 26]
_TO_LUMA_CHROMA: Final = np.array(
    [[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]], np.float32
).T
"""ITU-R BT.601 of full range."""
_CHROMA_GAIN: Final = 3.0
"""Clothes rarely have more than a third of the possible colour difference."""


def describe(rgb: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> Appearance:
    """``landmarks``: (33, 4 or more): x and y in pixels of the picture (H, W, 3), ..., visibility."""
    points, visible = landmarks[:, :2], landmarks[:, 3] >= _MIN_VISIBILITY
    appearance = np.zeros((2, 3, _BINS), np.float32)
    if visible[_SHOULDERS_AND_HIPS].all():
        appearance[0] = _histograms(rgb, _TORSO @ points[_SHOULDERS_AND_HIPS])
    thighs = [
        _THIGH @ points[[hip, knee]]
        for hip, knee in zip(_HIPS, _KNEES, strict=True)
        if visible[hip] and visible[knee]
    ]
    if thighs:
        appearance[1] = _histograms(rgb, np.concatenate(thighs))
    return appearance


def difference(one: Appearance, other: Appearance) -> float | None:
    """0 (alike) .. 1: the Hellinger distance, mean of the parts that both show; None if there are none."""
    likeness = np.sqrt(one * other).sum(axis=2)
    both = one.any(axis=(1, 2)) & other.any(axis=(1, 2))
    if not both.any():
        return None
    return float(np.sqrt(np.maximum(1 - likeness[both], 0)).mean())


def blend(old: Appearance, new: Appearance, share: float) -> Appearance:
    """``old``, with ``share`` of ``new``; a part that only one of them shows is that one's."""
    shown_old, shown_new = old.any(axis=(1, 2)), new.any(axis=(1, 2))
    weights = np.where(shown_old & shown_new, share, shown_new).astype(np.float32)[:, None, None]
    mixed: Appearance = old + weights * (new - old)
    mixed[shown_old & ~shown_new] = old[shown_old & ~shown_new]
    return mixed


def _histograms(rgb: NDArray[np.uint8], points: NDArray[np.float32]) -> NDArray[np.float32]:
    """(3, 8), each row's sum 1 (or 0: all points beyond the picture); values between two bins count in
    both, so that a little more light changes a little."""
    height, width = rgb.shape[:2]
    x, y = points.astype(np.int64).T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    count = int(inside.sum())
    histograms = np.zeros((3, _BINS), np.float32)
    if not count:
        return histograms
    colours = rgb[y[inside], x[inside]] / np.float32(255) @ _TO_LUMA_CHROMA
    colours[:, 1:] = np.clip(colours[:, 1:] * _CHROMA_GAIN, -0.5, 0.5) + 0.5
    places = np.clip(colours, 0, 1) * (_BINS - 1)
    low = np.minimum(places.astype(np.int64), _BINS - 2)
    upper = places - low
    bins = low + np.arange(3) * _BINS
    flat = np.bincount(bins.ravel(), (1 - upper).ravel(), 3 * _BINS)
    flat += np.bincount(bins.ravel() + 1, upper.ravel(), 3 * _BINS)
    histograms[:] = flat.reshape(3, _BINS) / count
    return histograms
