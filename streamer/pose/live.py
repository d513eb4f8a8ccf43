"""The estimator of live video: people followed from frame to frame, gated, smoothed and judged."""

import functools
import threading
from pathlib import Path

from streamer.aio import assert_off_loop
from streamer.config import PoseConfig
from streamer.errors import ModelError
from streamer.heap import give_back_memory
from streamer.model import VIDEO_CLOCK_HZ, Frame, Pose
from streamer.pixels import small
from streamer.pose import INPUT_WIDTH_PX
from streamer.pose.bundle import read_bundle
from streamer.pose.figure import Figure, bare
from streamer.pose.low_light import LowLight
from streamer.pose.models import FindModel
from streamer.pose.networks import Detector, LandmarkNetwork
from streamer.pose.people import People
from streamer.pose.zones import Zones


@functools.lru_cache(maxsize=8)
def _read_version(bundle: Path, changed_ns: int) -> tuple[bytes, bytes]:
    return read_bundle(bundle)


def _read_shared(bundle: Path) -> tuple[bytes, bytes]:
    """The networks' bytes, once for all streams, for as long as the file is the same."""
    try:
        changed_ns = bundle.stat().st_mtime_ns
    except OSError:
        changed_ns = 0  # reading it tells what is wrong
    return _read_version(bundle, changed_ns)


class LiveEstimator:
    """Built, used and closed in one thread. Raises ModelError when a model can't be had."""

    def __init__(self, find_model: FindModel, options: PoseConfig) -> None:
        self._find_model = find_model
        self._options = options
        self._model_complexity = options.model_complexity
        self._running = self._wanted = _bundle(find_model, options)
        detector, _ = _read_shared(self._running)
        self._network = _open_network(self._running, options)
        self._loading: _Loading | None = None
        self._low_light = LowLight(options.low_light)
        self._detector = Detector(detector)
        self._people = People(self._detector.detect, self._network.look, options)
        self._people.zones = Zones(options.region, options.ignore)
        self._figures: dict[int, Figure] = {}
        self._bystanders: tuple[Pose, ...] = ()

    def estimate(self, frame: Frame, pts: int) -> tuple[Pose, ...]:
        assert_off_loop()
        self._load()
        if self._options.static_image_mode:
            self._people.start_anew()
            self._figures.clear()
        rgb = self._low_light.apply(small(frame, INPUT_WIDTH_PX))
        t_s = pts / VIDEO_CLOCK_HZ
        people = self._people.follow(rgb, t_s)
        self._figures = {person.id: self._figures.get(person.id) or Figure() for person in people}
        poses = [
            self._figures[person.id].pose(person, rgb.shape[1], rgb.shape[0], t_s, self._options)
            for person in people
        ]
        unsure = [pose for pose in poses if pose.score < self._options.min_score]
        others = [bare(each, rgb.shape[1], rgb.shape[0]) for each in self._people.others]
        self._bystanders = (*unsure, *others)
        return tuple(pose for pose in poses if pose.score >= self._options.min_score)

    @property
    def bystanders(self) -> tuple[Pose, ...]:
        return self._bystanders

    def configure(self, options: PoseConfig) -> None:
        self._wanted = _bundle(self._find_model, options)
        self._options = self._people.options = options
        self._people.zones = Zones(options.region, options.ignore)
        self._low_light.mode = options.low_light

    @property
    def model_complexity(self) -> int:
        return self._model_complexity

    def reset(self) -> None:
        self._people.reset()
        self._figures.clear()

    def close(self) -> None:
        if self._loading is not None:
            self._loading.join()
            self._loading = None
        self._detector.close()
        self._network.close()
        give_back_memory()

    def _load(self) -> None:
        """Takes the network that was asked for, once it is there; until then the one before goes on. One is
        loaded at a time, and only taken if it is still wanted."""
        loading = self._loading
        if loading is not None and loading.is_alive():
            return
        self._loading = None
        if loading is not None and loading.bundle == self._wanted:
            self._take(loading)
        elif self._wanted != self._running:
            self._loading = _Loading(self._wanted, self._options)

    def _take(self, loaded: "_Loading") -> None:
        if loaded.network is None:
            self._wanted = self._running
            raise loaded.error
        self._network.close()
        self._running, self._network = loaded.bundle, loaded.network
        self._model_complexity = loaded.options.model_complexity
        self._people.look = self._network.look


class _Loading(threading.Thread):
    """Opens a network beside the one at work: 50 to 400 ms, longer than a frame. ``error``: why there is
    no ``network`` when it has ended."""

    def __init__(self, bundle: Path, options: PoseConfig) -> None:
        super().__init__(name=f"load-{bundle.stem}", daemon=True)
        self.bundle, self.options = bundle, options
        self.network: LandmarkNetwork | None = None
        self.error = ModelError(f"The model {bundle.name} can't be loaded; the log has the reason.")
        self.start()

    def run(self) -> None:
        try:
            self.network = _open_network(self.bundle, self.options)
        except ModelError as error:
            self.error = error


def _bundle(find_model: FindModel, options: PoseConfig) -> Path:
    return find_model(options.model_complexity, options.enable_segmentation)


def _open_network(bundle: Path, options: PoseConfig) -> LandmarkNetwork:
    _, landmarker = _read_shared(bundle)
    return LandmarkNetwork(landmarker, segmentation=options.enable_segmentation)
