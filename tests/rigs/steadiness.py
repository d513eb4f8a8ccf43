"""How calm smoothed landmarks are, and how late: on what our own networks see of a real person.

Rest is one picture that is shown again and again, as a camera would show somebody who does not move:
each time with other noise. What trembles then is the network, which follows its own last region. Motion
is a clip, at its own frame rate or with frames left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from streamer.pixels import small_rgb
from streamer.pose.bundle import read_bundle
from streamer.pose.models import Complexity, ensure_models
from streamer.pose.networks import Detector, LandmarkNetwork
from streamer.pose.smoothing import PoseSmoother
from tests.decoded import decode

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from streamer.config.media import Smoothing
    from streamer.pose.networks import Sighting

    Rgb = NDArray[np.uint8]
    Points = NDArray[np.float64]  # (frames, 33, 2) in px

FPS = 30
CAMERA_NOISE = 4.0
"""Standard deviation in levels of 255: a webcam in a living room."""

SEEN = 0.5
"""Mean visibility from which on a landmark counts."""

MOVING = 0.15
"""Regions a second, about a foot: from there on a landmark is in motion."""

_SETTLED_FRAMES = 8
_CALM_S = 0.1


@dataclass(frozen=True)
class Watched:
    """What the landmark network saw of one person, ``fps`` times a second."""

    sightings: list[Sighting]
    fps: float

    @property
    def times_s(self) -> NDArray[np.float64]:
        return np.arange(len(self.sightings)) / self.fps

    @property
    def raw(self) -> Points:
        return np.array([each.landmarks[:, :2] for each in self.sightings], np.float64)

    @property
    def seen(self) -> NDArray[np.bool_]:
        visibility = [each.landmarks[:, 3] for each in self.sightings]
        return np.asarray(np.mean(visibility, axis=0) >= SEEN)

    @property
    def size_px(self) -> float:
        return float(np.median([each.next_region.size for each in self.sightings]))

    def at(self, fps: float) -> Watched:
        """The same pictures, shown at another rate: of use where nothing moves."""
        return Watched(self.sightings, fps)

    def smoothed(self, strength: Smoothing | None) -> Points:
        smoother = PoseSmoother(strength)
        shown = [
            smoother.smooth(each.landmarks, each.world, each.next_region.size, t_s)[0][:, :2]
            for each, t_s in zip(self.sightings, self.times_s.tolist(), strict=True)
        ]
        return np.array(shown, np.float64)


def watch(pictures: Iterable[Rgb], fps: float) -> Watched:
    """Follow the person in the pictures; he or she must be found in the first."""
    detector_model, landmark_model = read_bundle(ensure_models([Complexity.FULL])[0])
    network = LandmarkNetwork(landmark_model, segmentation=False)
    detector = Detector(detector_model)
    region, sightings = None, []
    for rgb in pictures:
        region = region or detector.detect(rgb, 0.5)[0].region
        sightings.append(network.look(rgb, region))
        region = sightings[-1].next_region
    return Watched(sightings, fps)


def watch_clip(clip: Path, frames: int, every: int = 1) -> Watched:
    """A clip of 30 fps."""
    shown = decode(clip, frames)[::every]
    return watch((small_rgb(frame, 640) for frame in shown), FPS / every)


def watch_held(clip: Path, place: int, frames: int) -> Watched:
    """One frame of the clip, held, with the noise of a camera."""
    picture = small_rgb(decode(clip, place + 1)[place], 640)
    random = np.random.default_rng(place)

    def noisy() -> Rgb:
        levels = picture + random.normal(0, CAMERA_NOISE, picture.shape)
        return levels.clip(0, 255).astype(np.uint8)

    return watch((noisy() for _ in range(frames)), FPS)


def trembling(points: Points, watched: Watched) -> float:
    """Root mean square of the acceleration of the seen landmarks, in regions per second squared."""
    settled = points[_SETTLED_FRAMES:, watched.seen] / watched.size_px
    return float(np.sqrt((np.diff(settled, 2, axis=0) ** 2).sum(axis=-1).mean()) * watched.fps**2)


def lateness_ms(points: Points, watched: Watched) -> float:
    """How late the moving landmarks are, of those that are seen.

    The offset from the raw ones, in the direction of motion and over its speed: the least-squares answer
    to raw(t - lag) = raw(t) - lag * velocity. The velocity is that of the raw ones behind a symmetric
    filter, which moves nothing in time.
    """
    times_s = watched.times_s
    weights = np.exp(-0.5 * ((times_s[:, None] - times_s) / _CALM_S) ** 2)
    calm = np.tensordot(weights / weights.sum(axis=1, keepdims=True), watched.raw, 1)
    velocity = np.gradient(calm, times_s, axis=0)
    moving = np.linalg.norm(velocity, axis=-1) > MOVING * watched.size_px
    moving &= watched.seen
    velocity, behind = velocity[moving], (watched.raw - points)[moving]
    return float((behind * velocity).sum() / (velocity**2).sum() * 1000)
