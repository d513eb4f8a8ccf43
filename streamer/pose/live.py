"""The estimator of live video: people followed from frame to frame, gated, smoothed and judged."""

import functools
import logging
import threading
from collections.abc import Callable
from pathlib import Path

from streamer.aio import assert_off_loop
from streamer.config import PoseConfig
from streamer.errors import ModelError
from streamer.model import VIDEO_CLOCK_HZ, Frame, Pose
from streamer.pixels import small_rgb
from streamer.pose.bundle import read_bundle
from streamer.pose.figure import Figure
from streamer.pose.networks import Detector, LandmarkNetwork
from streamer.pose.people import People

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
        bundle = _bundle(find_model, options)
        detector, _ = _read_shared(bundle)
        self._network = _open_network(bundle, options)
        self._loading: _Loading | None = None
        self._people = People(Detector(detector).detect, self._network.look, options)
        self._figures: dict[int, Figure] = {}

    def estimate(self, frame: Frame, pts: int) -> tuple[Pose, ...]:
        assert_off_loop()
        self._take_loaded()
        if self._options.static_image_mode:
            self.reset()
        rgb = small_rgb(frame, INPUT_WIDTH_PX)
        t_s = pts / VIDEO_CLOCK_HZ
        people = self._people.follow(rgb, t_s)
        self._figures = {person.id: self._figures.get(person.id) or Figure() for person in people}
        return tuple(
            self._figures[person.id].pose(person, rgb.shape[1], rgb.shape[0], t_s, self._options)
            for person in people
            if person.presence.score >= self._options.min_score
        )

    def configure(self, options: PoseConfig) -> None:
        before, self._options = self._options, options
        self._people.options = options
        wanted = _bundle(self._find_model, options)
        if wanted != _bundle(self._find_model, before):
            self._cancel_loading()
            self._loading = _Loading(wanted, options)

    def reset(self) -> None:
        self._people.reset()
        self._figures.clear()

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
