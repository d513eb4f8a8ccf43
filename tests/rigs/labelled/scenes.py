"""Places without people, as pictures of 640x480."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
from PIL import Image

from tests.rigs.labelled.packages import OPENCV, SCIKIT_IMAGE, SCIKIT_LEARN, SPORTS2D, obtain

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.rigs.labelled.packages import Origin

WIDTH, HEIGHT = 640, 480

SCENES: dict[str, tuple[str, Origin]] = {
    "park": ("park.mp4", SPORTS2D),
    "garage": ("motorcycle_left.png", SCIKIT_IMAGE),
    "coffee": ("coffee.png", SCIKIT_IMAGE),
    "cat": ("chelsea.png", SCIKIT_IMAGE),
    "rocket": ("rocket.jpg", SCIKIT_IMAGE),
    "temple": ("china.jpg", SCIKIT_LEARN),
    "flower": ("flower.jpg", SCIKIT_LEARN),
    "plaza": ("vtest.avi", OPENCV),
    "street": ("leuvenA.jpg", OPENCV),
    "hotel": ("building.jpg", OPENCV),
    "palace": ("home.jpg", OPENCV),
    "plant": ("aloeL.jpg", OPENCV),
    "chair": ("box_in_scene.png", OPENCV),
}

_PARK_CROP = (slice(66, 966), slice(80, 1280))


def scene(folder: Path, name: str, *, margin: float = 0.0) -> NDArray[np.uint8]:
    """RGB of (480, 640, 3), or larger by ``margin`` as a share of each side, for a camera that moves."""
    file, origin = SCENES[name]
    path = obtain(folder, file, origin)
    if path.suffix in (".mp4", ".avi"):
        picture = _without_people(path)
        if name == "park":
            picture = picture[_PARK_CROP]
    else:
        with Image.open(path) as image:
            picture = np.asarray(image.convert("RGB"))
    return _covering(picture, round(WIDTH * (1 + margin)), round(HEIGHT * (1 + margin)))


def _without_people(clip: Path) -> NDArray[np.uint8]:
    """The median of pictures all over the clip: whoever moves is gone."""
    with av.open(str(clip)) as container:
        every = max(1, container.streams.video[0].frames // 25)
        pictures = [
            frame.to_ndarray(format="rgb24")
            for number, frame in enumerate(container.decode(video=0))
            if number % every == 0
        ]
    stack = np.stack(pictures).astype(np.uint8)
    median: NDArray[np.uint8] = np.median(stack, axis=0).astype(np.uint8)
    return median


def _covering(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Scaled and cut to this size, from the middle."""
    scale = max(width / picture.shape[1], height / picture.shape[0])
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(picture, size, interpolation=method)
    top, left = (scaled.shape[0] - height) // 2, (scaled.shape[1] - width) // 2
    return np.ascontiguousarray(scaled[top : top + height, left : left + width], np.uint8)
