"""Is there a person in a picture? MediaPipe says so, on one picture, apart from any service of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mediapipe as mp
from mediapipe.tasks.python import BaseOptions, vision

from streamer.pose.models import Complexity, ensure_models

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def shows_person(pixels: NDArray[np.uint8]) -> bool:
    """``pixels``: RGB of shape (height, width, 3)."""
    (model,) = ensure_models([Complexity.FULL])
    options = vision.PoseLandmarkerOptions(base_options=BaseOptions(model_asset_path=str(model)))
    with vision.PoseLandmarker.create_from_options(options) as landmarker:
        image = mp.Image(image_format=mp.ImageFormat.SRGB, data=pixels)
        return bool(landmarker.detect(image).pose_landmarks)
