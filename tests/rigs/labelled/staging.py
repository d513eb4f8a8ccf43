"""People set into a place: the pictures, and who is where in each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from tests.rigs.labelled.scenes import HEIGHT, WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from tests.rigs.labelled.cutouts import Cutout

CUTOUT_FPS = 30
SENSOR_NOISE = 2.0
"""Sigma, in levels of 255, of every staged clip."""


@dataclass(frozen=True)
class Actor:
    """A person and a path. ``path``: (time in s, x and y of the feet in pixels), straight in between; not
    there before the first nor after the last. ``height``: in pixels. ``pace``: of the person's movements;
    0: holds still. ``first``: the cut-out's picture to begin with. They run back and forth, but those of
    somebody who walks, which start anew."""

    cutout: Cutout
    height: float
    path: Sequence[tuple[float, float, float]]
    pace: float = 1.0
    first: int = 0

    def at(self, time_s: float) -> tuple[float, float] | None:
        times, xs, ys = zip(*self.path, strict=True)
        if not times[0] <= time_s <= times[-1]:
            return None
        return float(np.interp(time_s, times, xs)), float(np.interp(time_s, times, ys))

    def picture(self, time_s: float) -> int:
        """Of the cut-out, which has 30 a second."""
        count = len(self.cutout.rgb)
        step = self.first + int(time_s * CUTOUT_FPS * self.pace + 0.01)
        if self.cutout.drift:
            return step % count
        step %= 2 * count - 2
        return step if step < count else 2 * count - 2 - step


@dataclass(frozen=True)
class Stage:
    """``actors``: the nearer the later, each in front of those before. ``pan``: the camera moves over a
    picture that is larger by this share."""

    place: NDArray[np.uint8]
    seconds: float
    actors: Sequence[Actor] = ()
    noise: float = SENSOR_NOISE
    pan: bool = False
    seed: int = 0
    fps: int = 30


@dataclass(eq=False)
class Staged:
    """What is known: the arrays of ``streamer.evaluation.truth.Truth``, and ``somebody``: whether any pixel
    of a person is in the frame."""

    landmarks: list[NDArray[np.float32]] = field(default_factory=list)
    boxes: list[NDArray[np.float32]] = field(default_factory=list)
    seen: list[NDArray[np.float32]] = field(default_factory=list)
    somebody: list[bool] = field(default_factory=list)


def staged(stage: Stage, known: Staged) -> Iterator[NDArray[np.uint8]]:
    """The pictures, RGB; ``known`` fills with what is in them."""
    chance = np.random.default_rng(stage.seed)
    for number in range(round(stage.seconds * stage.fps)):
        picture = _background(stage, number).astype(np.float32)
        layers = [_layer(actor, number / stage.fps) for actor in stage.actors]
        for layer in layers:
            if layer is not None:
                alpha = layer.alpha[..., None] / np.float32(255)
                picture = (picture * (1 - alpha) + layer.rgb * alpha).astype(np.float32)
        _note(layers, known)
        noise = chance.standard_normal(picture.shape, np.float32) * stage.noise
        yield np.clip(picture + noise, 0, 255).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class _Layer:
    """A person at the size of the picture. ``area``: of the whole person, also of what is outside."""

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    area: float


def _background(stage: Stage, number: int) -> NDArray[np.uint8]:
    if not stage.pan:
        return stage.place[:HEIGHT, :WIDTH]
    spare_x, spare_y = stage.place.shape[1] - WIDTH, stage.place.shape[0] - HEIGHT
    share = (1 - np.cos(2 * np.pi * number / stage.fps / 4)) / 2
    x, y = int(spare_x * share), int(spare_y * (1 - share))
    return stage.place[y : y + HEIGHT, x : x + WIDTH]


def _layer(actor: Actor, time_s: float) -> _Layer | None:
    feet = actor.at(time_s)
    if feet is None:
        return None
    cutout, place = actor.cutout, actor.picture(time_s)
    scale = actor.height / cutout.height
    shift = (feet[0] - cutout.feet[0] * scale, feet[1] - cutout.feet[1] * scale)
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    rgb, alpha = cutout.rgb[place], cutout.alpha[place]
    if scale < 0.6:  # else warpAffine would leave pixels out
        rgb, alpha = (cv2.blur(each, (2, 2)) for each in (rgb, alpha))
    size = (WIDTH, HEIGHT)
    landmarks = cutout.landmarks[place].copy()
    landmarks[:, :2] = landmarks[:, :2] * scale + shift
    return _Layer(
        cv2.warpAffine(rgb, matrix, size, borderMode=cv2.BORDER_REPLICATE).astype(np.uint8),
        cv2.warpAffine(alpha, matrix, size).astype(np.uint8),
        landmarks,
        float(cutout.alpha[place].sum()) * scale**2,
    )


def _note(layers: list[_Layer | None], known: Staged) -> None:
    """Of all people: where they are, and what of them is covered by those before them."""
    covered = np.zeros((HEIGHT, WIDTH), np.float32)
    landmarks = np.full((len(layers), 33, 3), np.nan, np.float32)
    boxes = np.full((len(layers), 4), np.nan, np.float32)
    seen = np.zeros(len(layers), np.float32)
    for person in reversed(range(len(layers))):
        layer = layers[person]
        if layer is None or not layer.alpha.any():
            continue
        uncovered = layer.alpha * (1 - covered)
        seen[person] = min(1.0, uncovered.sum() / layer.area)
        points = layer.landmarks[:, :2]
        x, y = points.round().astype(int).T
        is_inside = (x >= 0) & (x < WIDTH) & (y >= 0) & (y < HEIGHT)
        is_hidden = covered[y.clip(0, HEIGHT - 1), x.clip(0, WIDTH - 1)] > 0.5
        landmarks[person] = layer.landmarks
        landmarks[person, ~is_inside | is_hidden, 2] = 0
        boxes[person] = [*points.min(axis=0), *points.max(axis=0)]
        covered = np.maximum(covered, layer.alpha / 255)
    known.landmarks.append(landmarks)
    known.boxes.append(boxes)
    known.seen.append(seen)
    known.somebody.append(bool(seen.any()))
