"""One picture: decoded, analysed, drawn on, encoded. In the process that does nothing else."""

import base64
import io
from collections import OrderedDict
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from streamer.config import MAX_POSES, PoseConfig
from streamer.images.decoding import decode
from streamer.images.job import Analysis, Job, PictureFormat
from streamer.messages import poses_json
from streamer.model import Pose
from streamer.overlay import box_of, draw_on_rgb
from streamer.pixels import equalized
from streamer.pose.honesty import judged
from streamer.pose.mediapipe import StillEstimator
from streamer.privacy import HIDING_MODES, obscured_rgb

INPUT_PX: Final = 1280
"""A picture's longer side is divided by a whole number down to this at least before people are looked for.
MediaPipe cuts a person out at 256 px: one that takes a fifth of the picture loses nothing."""

MAX_ESTIMATORS: Final = 3
"""Kept warm, at 50 ms and some 30 MB each; the one not used for longest goes first."""

JPEG_QUALITY: Final = 90
PNG_LEVEL: Final = 1
"""zlib's lowest: a third of the time of Pillow's usual 6, for a file a tenth larger."""


class Analyst:
    """Built, used and closed in one thread."""

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._estimators: OrderedDict[Job, StillEstimator] = OrderedDict()

    def analyse(self, data: bytes | bytearray, job: Job) -> Analysis:
        """Raises InvalidPicture, PictureTooLarge, ModelError, EstimatorError."""
        enough_px = INPUT_PX if job.picture is None else 0
        image, width, height = decode(data, self._max_pixels, enough_px)
        if job.enhance == "clahe":
            image = Image.fromarray(equalized(np.asarray(image)))
        found = self._estimator(job).estimate(_small(image))
        poses = [judged(pose, width, height) for pose in found[: job.num_poses]]
        picture = b""
        if job.picture is not None:
            if job.privacy != "off":
                image = Image.fromarray(obscured_rgb(np.asarray(image), found, job.privacy))
            for pose in poses:
                _draw(image, pose)
            picture = _encode(image, job.picture)
            picture = base64.b64encode(picture) if job.in_base64 else picture
        return Analysis(width, height, len(poses), poses_json(poses), picture)

    def close(self) -> None:
        while self._estimators:
            self._estimators.popitem()[1].close()

    def _estimator(self, job: Job) -> StillEstimator:
        num_poses = MAX_POSES if job.privacy in HIDING_MODES else job.num_poses
        key = Job(job.model, num_poses, job.min_detection_confidence)
        if key in self._estimators:
            self._estimators.move_to_end(key)
            return self._estimators[key]
        if len(self._estimators) >= MAX_ESTIMATORS:
            self._estimators.popitem(last=False)[1].close()
        options = PoseConfig(
            static_image_mode=True,
            num_poses=num_poses,
            min_detection_confidence=job.min_detection_confidence,
        )
        estimator = self._estimators[key] = StillEstimator(Path(job.model), options)
        return estimator


def _small(image: Image.Image) -> NDArray[np.uint8]:
    factor = max(image.size) // INPUT_PX
    return np.asarray(image.reduce(factor) if factor > 1 else image)


def _draw(image: Image.Image, pose: Pose) -> None:
    """On that part of the picture where the person is: turning all of a large one into an array and back
    takes longer than finding the person."""
    box = box_of(pose, *image.size)
    if box is not None:
        part = np.array(image.crop(box))
        draw_on_rgb(part, pose, box, *image.size)
        image.paste(Image.fromarray(part), (box.left, box.top))


def _encode(image: Image.Image, picture: PictureFormat) -> bytes:
    """Without metadata: none of the original's is carried over."""
    file = io.BytesIO()
    image.info.clear()  # Pillow would write a comment or a profile that is in there
    if picture == "jpeg":
        image.save(file, "JPEG", quality=JPEG_QUALITY)
    else:
        image.save(file, "PNG", compress_level=PNG_LEVEL)
    return file.getvalue()
