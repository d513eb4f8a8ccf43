"""From what the network saw of one person to what is told of it: smoothed, judged, measured."""

import math

import numpy as np
from numpy.typing import NDArray

from streamer.angles import joint_angles
from streamer.config import PoseConfig
from streamer.errors import EstimatorError
from streamer.model import Mask, Pose
from streamer.pose.honesty import HeightScale, Honesty
from streamer.pose.networks import LANDMARK_SIDE_PX, Sighting
from streamer.pose.person import Person
from streamer.pose.presence import evidence
from streamer.pose.smoothing import PoseSmoother


class Figure:
    """Of one person, for as long as he or she is followed."""

    def __init__(self) -> None:
        self._smoother = PoseSmoother(None)
        self._honesty = Honesty()
        self._height = HeightScale()

    def pose(
        self, person: Person, width: int, height: int, t_s: float, options: PoseConfig
    ) -> Pose:
        """``width`` and ``height``: of the picture that the networks saw; ``t_s``: its media time. Raises
        EstimatorError for what is no number: the filters would carry it on for ever."""
        sighting = person.sighting
        if not (np.isfinite(sighting.landmarks).all() and np.isfinite(sighting.world).all()):
            raise EstimatorError("the landmark network gave coordinates that are no numbers")
        in_pixels = _in_pixels(width, height)
        raw = sighting.landmarks / in_pixels
        verdict = self._honesty.look(raw, sighting.world, t_s, sighting.peaks)
        is_smooth = options.smooth_landmarks and not options.static_image_mode
        self._smoother.strength = options.smoothing if is_smooth else None
        places, world = self._smoother.smooth(
            sighting.landmarks, sighting.world, sighting.next_region.size, t_s
        )
        landmarks = places / in_pixels
        return Pose(
            id=person.id,
            score=person.presence.score,
            landmarks=landmarks,
            world=self._height.scaled(world, verdict.predicted, t_s, options.height_m),
            raw=raw if options.raw else None,
            predicted=verdict.predicted,
            angles=joint_angles(landmarks, world, width, height, verdict.predicted),
            turned=verdict.turned,
            mask=_mask(sighting, width, height),
        )


def bare(sighting: Sighting, width: int, height: int) -> Pose:
    """A body that is nobody's, as it was seen in this frame alone: its id is 0."""
    share = 1 / (1 + math.exp(-evidence(sighting)))
    landmarks = sighting.landmarks / _in_pixels(width, height)
    return Pose(0, share, landmarks, sighting.world, mask=_mask(sighting, width, height))


def _in_pixels(width: int, height: int) -> NDArray[np.float32]:
    """What a landmark in 0..1 of the picture is multiplied by."""
    return np.array([width, height, width, 1, 1], np.float32)


def _mask(sighting: Sighting, width: int, height: int) -> Mask | None:
    if sighting.mask is None:
        return None
    to_mask = sighting.region.to_crop(LANDMARK_SIDE_PX) @ np.diag([width, height, 1.0])
    return Mask(sighting.mask, to_mask.astype(np.float32))
