"""The estimator of live video: people followed from frame to frame, gated, smoothed and judged."""

import functools
import logging
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamer.aio import assert_off_loop
from streamer.config import PoseConfig
from streamer.errors import EstimatorError, ModelError
from streamer.model import VIDEO_CLOCK_HZ, Frame, Mask, Pose
from streamer.pixels import small_rgb
from streamer.pose.bundle import read_bundle
from streamer.pose.networks import LANDMARK_SIDE_PX, Detector, LandmarkNetwork, Sighting
from streamer.pose.people import People, Person

logger = logging.getLogger(__name__)

INPUT_WIDTH_PX = 640
"""Pictures are halved down to this width, but not below. The networks see 224 and 256 px: more than
this costs conversion and gains nothing."""

FindModel = Callable[[int, bool], Path]
"""model_complexity and whether a segmentation mask is wanted -> the bundle. Raises ModelError when this
machine does not have it."""

_read_shared = functools.lru_cache(maxsize=8)(read_bundle)
"""The networks' bytes, once for all streams."""


class LiveEstimator:
    """Built, used and closed in one thread. Raises ModelError when a model can't be had."""

    def __init__(self, find_model: FindModel, options: PoseConfig) -> None:
        self._find_model = find_model
        self._options = options
        detector, _ = _read_shared(_bundle(find_model, options))
        self._network = _open_network(_bundle(find_model, options), options)
        self._loading: _Loading | None = None
        self._people = People(Detector(detector).detect, self._network.look, options)

    def estimate(self, frame: Frame, pts: int) -> tuple[Pose, ...]:
        assert_off_loop()
        self._take_loaded()
        if self._options.static_image_mode:
            self._people.reset()
        rgb = small_rgb(frame, INPUT_WIDTH_PX)
        people = self._people.follow(rgb, pts / VIDEO_CLOCK_HZ)
        return tuple(_pose(person, rgb) for person in people)

    @property
    def bystanders(self) -> tuple[Pose, ...]:
        """Nobody who was found is kept back yet."""
        return ()

    def configure(self, options: PoseConfig) -> None:
        before, self._options = self._options, options
        self._people.options = options
        wanted = _bundle(self._find_model, options)
        if wanted != _bundle(self._find_model, before):
            self._cancel_loading()
            self._loading = _Loading(wanted, options)

    def reset(self) -> None:
        self._people.reset()

    def close(self) -> None:
        self._cancel_loading()

    def _take_loaded(self) -> None:
        """The network that was asked for, once it is there; until then the one before goes on."""
        if self._loading is None or self._loading.is_alive():
            return
        self._loading.join()
        if self._loading.network is not None:
            self._network = self._loading.network
            self._people.look = self._network.look
        self._loading = None

    def _cancel_loading(self) -> None:
        if self._loading is not None:
            self._loading.join()
            self._loading = None


class _Loading(threading.Thread):
    """Opens a network beside the one at work: 50 to 400 ms, longer than a frame."""

    def __init__(self, bundle: Path, options: PoseConfig) -> None:
        super().__init__(name=f"load-{bundle.stem}", daemon=True)
        self._bundle, self._options = bundle, options
        self.network: LandmarkNetwork | None = None
        self.start()

    def run(self) -> None:
        try:
            self.network = _open_network(self._bundle, self._options)
        except ModelError as error:
            logger.error("the model stays as it was: %s", error)


def _bundle(find_model: FindModel, options: PoseConfig) -> Path:
    return find_model(options.model_complexity, options.enable_segmentation)


def _open_network(bundle: Path, options: PoseConfig) -> LandmarkNetwork:
    _, landmarker = _read_shared(bundle)
    return LandmarkNetwork(landmarker, segmentation=options.enable_segmentation)


def _pose(person: Person, rgb: NDArray[np.uint8]) -> Pose:
    height, width = rgb.shape[:2]
    sighting = person.sighting
    size: NDArray[np.float32] = np.array([width, height, width, 1, 1], np.float32)
    landmarks = sighting.landmarks / size
    if not (np.isfinite(landmarks).all() and np.isfinite(sighting.world).all()):
        raise EstimatorError("the landmark network gave coordinates that are no numbers")
    return Pose(
        id=person.id,
        score=min(max(sighting.flag, 0.0), 1.0),
        landmarks=landmarks,
        world=sighting.world,
        raw=landmarks,
        mask=_mask(sighting, width, height),
    )


def _mask(sighting: Sighting, width: int, height: int) -> Mask | None:
    if sighting.mask is None:
        return None
    to_mask = sighting.region.to_crop(LANDMARK_SIDE_PX) @ np.diag([width, height, 1.0])
    return Mask(sighting.mask, to_mask.astype(np.float32))
