"""MediaPipe's PoseLandmarker through its C functions, called in the thread that wants the landmarks.

MediaPipe's own Python class calls the same functions, but sends each through a thread pool, to keep
several callers apart, and turns the result into 66 Python objects: 0.4 ms of CPU a frame. An estimator
has one thread, and wants arrays. The structures and signatures are MediaPipe's own, for its version is
pinned; tests/integration/test_landmarker.py holds the landmarks equal bit for bit.
"""

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.components.containers.landmark_c import LandmarkC
from mediapipe.tasks.python.core.mediapipe_c_bindings import load_raw_library
from mediapipe.tasks.python.core.mediapipe_c_utils import convert_to_exception
from mediapipe.tasks.python.vision import RunningMode, pose_landmarker
from mediapipe.tasks.python.vision.core import image as mediapipe_image
from numpy.typing import NDArray

_NUMBERS = ("x", "y", "z", "visibility", "presence")
_FLAGS = ("has_visibility", "has_presence")
_LAYOUT = np.dtype(
    {
        "names": [*_NUMBERS, *_FLAGS],
        "formats": ["f4"] * len(_NUMBERS) + ["?"] * len(_FLAGS),
        "offsets": [getattr(LandmarkC, name).offset for name in (*_NUMBERS, *_FLAGS)],
        "itemsize": ctypes.sizeof(LandmarkC),
    }
)
"""MediaPipe's landmark structure, of which NormalizedLandmarkC is a copy, without the pointer to a name."""


class Found(NamedTuple):
    """One person. ``landmarks``: (33, 5) float32: x, y, z, visibility, presence, where 0 for either of
    the last two may mean "not known"; ``world``: (33, 3) float32, metres."""

    landmarks: NDArray[np.float32]
    world: NDArray[np.float32]


class Landmarker:
    """Built, used and closed in one thread, which its calls hold up without holding Python's lock.

    ``model``: a .task bundle. ``video``: follow people from picture to picture. The rest is named as in
    MediaPipe's PoseLandmarkerOptions. All methods raise RuntimeError with MediaPipe's own words.
    """

    def __init__(
        self,
        model: Path,
        *,
        video: bool,
        num_poses: int,
        min_pose_detection_confidence: float,
        min_pose_presence_confidence: float,
        min_tracking_confidence: float = 0.5,
    ) -> None:
        self._library = load_raw_library(
            (*mediapipe_image._CTYPES_SIGNATURES, *pose_landmarker._CTYPES_SIGNATURES)
        )
        self._handle = ctypes.c_void_p()
        self._is_video = video
        options = pose_landmarker.PoseLandmarkerOptionsC.from_c_options(
            base_options=BaseOptions(model_asset_path=str(model)).to_ctypes(),
            running_mode=RunningMode.VIDEO if video else RunningMode.IMAGE,
            num_poses=num_poses,
            min_pose_detection_confidence=min_pose_detection_confidence,
            min_pose_presence_confidence=min_pose_presence_confidence,
            min_tracking_confidence=min_tracking_confidence,
            output_segmentation_masks=False,
            result_callback=pose_landmarker._C_TYPES_RESULT_CALLBACK(),
        )
        self._call(
            self._library.MpPoseLandmarkerCreate, ctypes.byref(options), ctypes.byref(self._handle)
        )

    def find(self, rgb: NDArray[np.uint8], timestamp_ms: int) -> list[Found]:
        """The people in a picture of shape (height, width, 3), C-contiguous; it is copied.

        ``timestamp_ms`` must rise with each call; it means nothing without ``video``. Raises ValueError
        for any other array.
        """
        image = self._image(rgb)
        result = pose_landmarker.PoseLandmarkerResultC()
        try:
            if self._is_video:
                detect = self._library.MpPoseLandmarkerDetectForVideo
                self._call(detect, self._handle, image, None, timestamp_ms, ctypes.byref(result))
            else:
                detect = self._library.MpPoseLandmarkerDetectImage
                self._call(detect, self._handle, image, None, ctypes.byref(result))
            try:
                return _read(result)
            finally:
                self._library.MpPoseLandmarkerCloseResult(ctypes.byref(result))
        finally:
            self._library.MpImageFree(image)

    def close(self) -> None:
        if self._handle.value is not None:
            self._call(self._library.MpPoseLandmarkerClose, self._handle)
            self._handle = ctypes.c_void_p()

    def _image(self, rgb: NDArray[np.uint8]) -> ctypes.c_void_p:
        height, width, channels = rgb.shape
        if rgb.dtype != np.uint8 or channels != 3 or not rgb.flags.c_contiguous:
            raise ValueError("the picture must be 8-bit RGB, its rows without a gap between them")
        image = ctypes.c_void_p()
        pixels = rgb.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        self._call(
            self._library.MpImageCreateFromUint8Data,
            *(mediapipe_image.ImageFormat.SRGB, width, height, pixels, rgb.size),
            ctypes.byref(image),
        )
        return image

    def _call(self, function: Callable[..., int], *arguments: Any) -> None:
        """A C function that returns a status and whose last argument is for its error's words."""
        message = ctypes.c_char_p()
        status = function(*arguments, ctypes.byref(message))
        try:
            error = convert_to_exception(status, message)
        finally:
            if message.value is not None:
                self._library.MpErrorFree(message)
        if error is not None:
            raise RuntimeError(str(error)) from error


def _read(result: Any) -> list[Found]:
    """Copies what MediaPipe found out of its own memory."""
    return [
        Found(
            landmarks=_landmarks(_copy(result.pose_landmarks[index])),
            world=_columns(_copy(result.pose_world_landmarks[index]), 3),
        )
        for index in range(min(result.pose_landmarks_count, result.pose_world_landmarks_count))
    ]


def _copy(person: Any) -> NDArray[np.void]:
    size_bytes = person.landmarks_count * _LAYOUT.itemsize
    return np.frombuffer(ctypes.string_at(person.landmarks, size_bytes), _LAYOUT)


def _landmarks(rows: NDArray[np.void]) -> NDArray[np.float32]:
    """Visibility and presence may be missing; 0 then means "not known to be there"."""
    values = _columns(rows, 5)
    for column, flag in enumerate(_FLAGS, start=3):
        values[~rows[flag] | np.isnan(values[:, column]), column] = 0.0
    return values


def _columns(rows: NDArray[np.void], count: int) -> NDArray[np.float32]:
    """The first ``count`` of x, y, z, visibility, presence."""
    return np.stack([rows[name] for name in _NUMBERS[:count]], axis=1)
