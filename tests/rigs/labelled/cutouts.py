"""People cut out of clips in which they are alone, with the landmarks of each picture.

The mask and the landmarks are those of MediaPipe's heavy model in IMAGE mode, on the untouched picture
around the person: the best that there is here, and without any tracking or smoothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import av
import cv2
import mediapipe as mp
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision

from streamer.pose.models import Complexity, ensure_models
from tests.rigs.labelled.packages import POSE2SIM, SPORTS2D, Origin, obtain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Cut:
    """Where a person is to be found. ``frames``: of the file; ``box``: left, top, width and height in pixels
    at the first of them (width and height in whole 32s, or MediaPipe's mask is not to be had);
    ``drift``: pixels that it moves to the right per frame of the file. ``half``: store it at half size."""

    file: str
    origin: Origin
    frames: range
    box: tuple[int, int, int, int]
    drift: float = 0.0
    half: bool = False


CUTS = {
    # A woman who walks to the left: 9.8 px a frame, and she is 420 px tall.
    "walker": Cut("park.mp4", SPORTS2D, range(62, 178), (1200, 464, 384, 512), drift=-9.8),
    # A man who balances on either leg and moves his arms, from the front and from behind.
    "balance1": Cut("cam01.mp4", POSE2SIM, range(0, 100, 2), (56, 224, 1024, 1024), half=True),
    "balance2": Cut("cam02.mp4", POSE2SIM, range(0, 100, 2), (56, 256, 1024, 896), half=True),
    "balance3": Cut("cam03.mp4", POSE2SIM, range(0, 100, 2), (0, 352, 1088, 1024), half=True),
    "balance4": Cut("cam04.mp4", POSE2SIM, range(0, 100, 2), (0, 352, 1088, 1024), half=True),
    # A woman who stands and talks, from behind and from the front.
    "helper1": Cut("cam01_two.mp4", POSE2SIM, range(0, 40, 2), (522, 729, 544, 1088), half=True),
    "helper3": Cut("cam03_two.mp4", POSE2SIM, range(0, 44, 2), (0, 384, 384, 736)),
    # The same two in one picture.
    "pair3": Cut("cam03_two.mp4", POSE2SIM, range(0, 100, 2), (0, 384, 384, 736)),
    "pair4": Cut("cam04_two.mp4", POSE2SIM, range(0, 100, 2), (544, 240, 544, 896), half=True),
}


@dataclass(frozen=True, eq=False)
class Cutout:
    """One person, picture by picture. ``rgb``: (n, h, w, 3) uint8; ``alpha``: (n, h, w) uint8; ``landmarks``:
    (n, 33, 3): x, y in pixels of these pictures, visibility. ``feet``: where the person stands in them;
    ``height``: of the person, in pixels. ``drift``: how far one walks per picture, as a share of it."""

    name: str
    licence: str
    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    feet: tuple[float, float]
    height: float
    drift: float

    def mirrored(self) -> Cutout:
        width = self.rgb.shape[2]
        landmarks = self.landmarks[:, _OTHER_SIDE].copy()
        landmarks[..., 0] = width - landmarks[..., 0]
        return replace(
            self,
            rgb=np.ascontiguousarray(self.rgb[:, :, ::-1]),
            alpha=np.ascontiguousarray(self.alpha[:, :, ::-1]),
            landmarks=landmarks,
            feet=(width - self.feet[0], self.feet[1]),
            drift=-self.drift,
        )


_OTHER_SIDE = [0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9]
_OTHER_SIDE += [side for left in range(11, 33, 2) for side in (left + 1, left)]
"""In a mirror the left hand is the right one."""


def cut_out(folder: Path, name: str) -> Cutout:
    """``folder``: has, or gets, the packages' files and the finished cut-outs."""
    cut = CUTS[name]
    recipe = hashlib.sha256(repr(cut).encode()).hexdigest()[:8]
    kept = folder / f"cutout-{name}-{recipe}.npz"
    if not kept.exists():
        _make(obtain(folder, cut.file, cut.origin), cut, kept)
    with np.load(kept) as arrays:
        rgb, alpha, landmarks = arrays["rgb"], arrays["alpha"], arrays["landmarks"]
    tall = [np.flatnonzero(each.max(axis=1) > 127) for each in alpha]
    wide = [np.flatnonzero(each.max(axis=0) > 127) for each in alpha]
    height = float(np.median([rows[-1] - rows[0] for rows in tall]))
    feet_x = float(np.median([(columns[-1] + columns[0]) / 2 for columns in wide]))
    feet_y = float(np.median([rows[-1] for rows in tall]))
    return Cutout(
        *(name, cut.origin.licence, rgb, alpha, landmarks),
        feet=(feet_x, feet_y),
        height=height,
        drift=cut.drift / height,
    )


def _make(clip: Path, cut: Cut, target: Path) -> None:
    (model,) = ensure_models([Complexity.HEAVY], segmentation=True)
    options = vision.PoseLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(model)), output_segmentation_masks=True
    )
    rgb, alpha, landmarks = [], [], []
    with vision.PoseLandmarker.create_from_options(options) as landmarker:
        for picture in _boxes(clip, cut):
            found = landmarker.detect(mp.Image(image_format=mp.ImageFormat.SRGB, data=picture))
            height, width = picture.shape[:2]
            points = [(p.x * width, p.y * height, p.visibility) for p in found.pose_landmarks[0]]
            mask = _one_piece(found.segmentation_masks[0].numpy_view().squeeze())
            scale = 2 if cut.half else 1
            size = (width // scale, height // scale)
            rgb.append(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
            alpha.append(cv2.resize(mask, size, interpolation=cv2.INTER_AREA))
            landmarks.append(np.array(points, np.float32) / (scale, scale, 1))
    part = target.with_name(f".{target.name}.part.npz")
    np.savez(part, rgb=np.stack(rgb), alpha=np.stack(alpha), landmarks=np.stack(landmarks))
    part.replace(target)


def _boxes(clip: Path, cut: Cut) -> Iterator[NDArray[np.uint8]]:
    left, top, width, height = cut.box
    with av.open(str(clip)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in cut.frames:
                x = round(left + cut.drift * (number - cut.frames.start))
                whole = frame.to_ndarray(format="rgb24")
                yield np.ascontiguousarray(whole[top : top + height, x : x + width], np.uint8)


def _one_piece(mask: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Opaque from 0.7 on, clear to 0.3; only the largest piece."""
    alpha = np.clip((mask - 0.3) / 0.4 * 255, 0, 255).astype(np.uint8)
    _, pieces, stats, _ = cv2.connectedComponentsWithStats((alpha > 127).astype(np.uint8))
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    near = cv2.dilate((pieces == largest).astype(np.uint8), np.ones((5, 5), np.uint8))
    return np.where(near > 0, alpha, np.uint8(0))
