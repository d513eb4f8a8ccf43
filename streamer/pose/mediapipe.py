"""The estimator: MediaPipe's PoseLandmarker, one per session, in the session's worker thread."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamer.aio import assert_off_loop
from streamer.config import PoseConfig
from streamer.errors import EstimatorError, ModelError
from streamer.heap import give_back_memory
from streamer.model import VIDEO_CLOCK_HZ, Frame, Pose
from streamer.pixels import small_rgb
from streamer.pose import INPUT_WIDTH_PX
from streamer.pose.landmarker import Found, Landmarker
from streamer.pose.models import Complexity, model_path

_TICKS_PER_MS = VIDEO_CLOCK_HZ // 1000

_UNSMOOTHED_STRETCH = 1_000_000
"""MediaPipe's One-Euro filter takes its time step from the timestamps. With steps of half an hour
instead of 33 ms its cut-off frequency is far above the sampling rate: it passes every value as it is."""

_MAX_TIMESTAMP_MS = 2**63 // 1000 // 2
"""MediaPipe counts microseconds in 64 bits; a landmarker that comes this far is replaced."""


class MediaPipeEstimator:
    """``model``: a .task bundle. Raises ModelError when MediaPipe can't load it."""

    def __init__(self, model: Path, options: PoseConfig) -> None:
        self._model = model
        self._options = options
        self._stretch = 1 if options.smooth_landmarks else _UNSMOOTHED_STRETCH
        self._first_pts = 0
        self._last_ms = -1
        self._landmarker: Landmarker | None = None
        self.reset()

    def estimate(self, frame: Frame, pts: int) -> tuple[Pose, ...]:
        assert_off_loop()
        timestamp_ms = 0 if self._options.static_image_mode else self._timestamp_ms(pts)
        assert self._landmarker is not None
        try:
            found = self._landmarker.find(small_rgb(frame, INPUT_WIDTH_PX), timestamp_ms)
        except (ValueError, RuntimeError) as error:
            raise EstimatorError(f"MediaPipe refused a frame: {error}") from error
        return tuple(_pose(index, person) for index, person in enumerate(found, start=1))

    @property
    def bystanders(self) -> tuple[Pose, ...]:
        """MediaPipe tells of none."""
        return ()

    def configure(self, options: PoseConfig) -> None:
        """MediaPipe's graph keeps its options for life: there is a break, and everybody is new after it."""
        model = self._model
        if options.model_complexity != self.model_complexity:
            model = model_path(Complexity(options.model_complexity), cache_dir=model.parent)
        landmarker = _open_landmarker(model, options, video=not options.static_image_mode)
        self.close()
        self._landmarker, self._last_ms = landmarker, -1
        self._model, self._options = model, options
        self._stretch = 1 if options.smooth_landmarks else _UNSMOOTHED_STRETCH

    @property
    def model_complexity(self) -> int:
        return self._options.model_complexity

    def reset(self) -> None:
        if self._landmarker is not None and self._last_ms < 0:
            return  # it has not seen a frame yet
        self.close()
        self._last_ms = -1
        options = self._options
        self._landmarker = _open_landmarker(
            self._model, options, video=not options.static_image_mode
        )

    def close(self) -> None:
        if self._landmarker is not None:
            self._landmarker.close()
            self._landmarker = None
            give_back_memory()

    def _timestamp_ms(self, pts: int) -> int:
        """Media time in whole milliseconds, strictly increasing, as MediaPipe demands."""
        if self._last_ms < 0:
            self._first_pts = pts
        elif self._last_ms > _MAX_TIMESTAMP_MS:
            self.reset()
            self._first_pts = pts
        elapsed_ms = (pts - self._first_pts) // _TICKS_PER_MS * self._stretch
        self._last_ms = max(elapsed_ms, self._last_ms + 1)
        return self._last_ms


class StillEstimator:
    """Finds people in single pictures, each by itself: MediaPipe's IMAGE mode, the ``static_image_mode``
    of its Pose solution. Built, used and closed in one thread. Raises ModelError as above."""

    def __init__(self, model: Path, options: PoseConfig) -> None:
        self._landmarker = _open_landmarker(model, options, video=False)

    def estimate(self, rgb: NDArray[np.uint8]) -> tuple[Pose, ...]:
        """``rgb``: shape (H, W, 3), uint8, C-contiguous. Raises EstimatorError."""
        assert_off_loop()
        try:
            found = self._landmarker.find(rgb, 0)
        except (ValueError, RuntimeError) as error:
            raise EstimatorError(f"MediaPipe refused a picture: {error}") from error
        return tuple(_pose(index, person) for index, person in enumerate(found, start=1))

    def close(self) -> None:
        self._landmarker.close()
        give_back_memory()


def _open_landmarker(model: Path, options: PoseConfig, *, video: bool) -> Landmarker:
    try:
        return Landmarker(
            model,
            video=video,
            num_poses=options.num_poses,
            min_pose_detection_confidence=options.min_detection_confidence,
            # What the Pose solution called min_tracking_confidence, the landmark presence
            # below which a person is looked for anew, is this in the Tasks API; the option
            # that bears the old name there is a threshold on overlapping boxes.
            min_pose_presence_confidence=options.min_tracking_confidence,
        )
    except RuntimeError as error:
        raise ModelError(
            f"MediaPipe can't load {model.name}: {error}. Run `streamer models` to make it again."
        ) from error


def _pose(index: int, found: Found) -> Pose:
    if not (np.isfinite(found.landmarks).all() and np.isfinite(found.world).all()):
        # Its filters would carry this on for ever: a new estimator starts with clean ones.
        raise EstimatorError("MediaPipe found a pose whose coordinates are no numbers")
    score = float(found.landmarks[:, 4].mean())
    return Pose(id=index, score=score, landmarks=found.landmarks, world=found.world)
