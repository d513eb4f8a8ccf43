"""Harder cases of a clip: darker, noisier, blurred, turned, smaller, at another rate."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from streamer.evaluation.manifest import Variant
from streamer.model import Frame, Plane
from streamer.pixels import turned

_BLACK = (16.0, 128.0, 128.0)
"""Y, U and V of black, in limited range."""

_COLOUR_NOISE = 0.5
"""Sigma of the noise of U and V by that of Y: cameras filter colours more."""

_QUARTERS = (90.0, 180.0, 270.0)


def kept(frames: Iterable[Frame], variant: Variant) -> Iterator[tuple[int, Frame]]:
    """The frames that are not lost, with their numbers in the file."""
    chance = np.random.default_rng((variant.seed, 1))
    for number, frame in enumerate(frames):
        is_lost = chance.random() < variant.drop
        if number % variant.every == 0 and not is_lost:
            yield number, frame


def matrix_of(variant: Variant, width: int, height: int) -> NDArray[np.float64]:
    """(2, 3): takes a point (x, y, 1) of the clip's picture, in pixels, to the degraded picture's."""
    match variant.turn % 360:
        case 90.0:
            matrix = np.array([[0.0, -1.0, height], [1.0, 0.0, 0.0]])
            width = height
        case 180.0:
            matrix = np.array([[-1.0, 0.0, width], [0.0, -1.0, height]])
        case 270.0:
            matrix = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, width]])
            width = height
        case angle:
            matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -angle, 1.0)
    return matrix * (min(1.0, variant.width / width) if variant.width else 1.0)


def degraded(frame: Frame, variant: Variant, number: int) -> Frame:
    """``number``: the frame's, whose noise is its own."""
    if variant.turn % 360 in _QUARTERS:
        frame = turned(frame, -round(variant.turn))
    elif variant.turn:
        frame = _joined(frame, [_askew(plane, variant.turn) for plane in frame.planes()])
    if 0 < variant.width < frame.width:
        frame = _joined(frame, _small(frame, variant.width))
    if variant.blur:
        blurs = (variant.blur, variant.blur / 2, variant.blur / 2)
        planes = zip(frame.planes(), blurs, strict=True)
        frame = _joined(frame, [cv2.GaussianBlur(plane, (0, 0), blur) for plane, blur in planes])
    if variant.gain != 1 or variant.noise:
        frame = _joined(frame, _dim(frame, variant, number))
    return frame


def _joined(frame: Frame, planes: Iterable[NDArray[np.generic]]) -> Frame:
    y, u, v = planes
    i420 = np.concatenate([y.ravel(), u.ravel(), v.ravel()]).astype(np.uint8, copy=False)
    return replace(frame, i420=i420.reshape(-1, y.shape[1]))


def _askew(plane: Plane, degrees: float) -> NDArray[np.generic]:
    """About the middle; what comes in at the edges is what was there."""
    height, width = plane.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0)
    return cv2.warpAffine(plane, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)


def _small(frame: Frame, width: int) -> list[NDArray[np.generic]]:
    width = max(2, width // 2 * 2)
    height = max(2, round(frame.height * width / frame.width / 2) * 2)
    sizes = ((width, height), (width // 2, height // 2), (width // 2, height // 2))
    planes = zip(frame.planes(), sizes, strict=True)
    return [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane, size in planes]


def _dim(frame: Frame, variant: Variant, number: int) -> list[NDArray[np.generic]]:
    """Less light, then a sensor's noise: Gaussian, since at little light that of reading prevails."""
    chance = np.random.default_rng((variant.seed, 2, number))
    sigmas = (variant.noise, variant.noise * _COLOUR_NOISE, variant.noise * _COLOUR_NOISE)
    dim: list[NDArray[np.generic]] = []
    for plane, black, sigma in zip(frame.planes(), _BLACK, sigmas, strict=True):
        noise = chance.standard_normal(plane.shape, np.float32) * np.float32(sigma)
        level = (plane.astype(np.float32) - black) * variant.gain + black + noise
        dim.append(np.clip(level.round(), 0, 255).astype(np.uint8))
    return dim
