"""Somebody who is followed, and a body seen in one frame that may be theirs."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streamer.pose.appearance import Appearance
from streamer.pose.motion import CLOSE, Motion, Place
from streamer.pose.networks import Detection, Sighting
from streamer.pose.presence import Presence
from streamer.pose.regions import Region

PATIENCE_S = 0.5
"""So long a place among ``num_poses`` waits for somebody hidden, before others may have it; in a crowd,
as long as they keep their id."""

SETTLE_S = 0.25
"""So long somebody who leapt to where another person should be is not published: a track that slid over
is set right within that time, or was right."""

SAME_BODY = 0.06
"""Middle of the shoulders and of the hips, mean distance in region sizes: 0.15 m. Two sightings nearer
than that show one body; of two people so near to each other, one would hide the other."""

SAME_DETECTION = 0.08
"""Of the mid-hip points of a detection and a sighting that are taken for one body, in region sizes."""

SAME_PLACE = 0.5
"""Of the overlap of two regions that are about at one place, as in MediaPipe's association."""

BESIDE = 0.25
"""Region sizes, half a metre: people nearer to each other than that may cover each other's clothes."""

STILL = 0.05
"""Region sizes: below this a region is not moved ahead, as in MediaPipe: the network looks at a square
half as large again as the person."""


@dataclass(slots=True, eq=False)
class Person:
    """``sighting``: of the frame at hand, or the last one. ``first_s``: media time at which the person was
    found; ``hidden_s``: since when unseen, None if seen. ``is_detected``: the detector's
    last look showed somebody about there. ``approach``: how the person came into a crowd,
    None outside of one; ``disputed``: the body may be somebody else's; ``leapt_s``: when it last was where
    somebody else should have been; ``known``: was once more likely somebody than nobody.
    """

    id: int
    first_s: float
    sighting: Sighting
    motion: Motion
    appearance: Appearance | None = None
    described_s: float = -math.inf
    is_detected: bool = False
    presence: Presence = field(default_factory=Presence)
    hidden_s: float | None = None
    approach: Motion | None = None
    disputed: bool = False
    leapt_s: float = -math.inf
    known: bool = False

    def is_close(self, other: "Person", t_s: float) -> bool:
        """Will they be close to each other at ``t_s``?"""
        way = (
            self.motion.place
            + self.motion.shift(t_s)
            - other.motion.place
            - other.motion.shift(t_s)
        )
        return bool(np.linalg.norm(way) < CLOSE * max(self.motion.size, other.motion.size))

    def is_awaited(self, t_s: float) -> bool:
        """Hidden, but so shortly, or behind somebody, that nobody else is taken to be there instead."""
        if self.hidden_s is None:
            return False
        return self.approach is not None or t_s - self.hidden_s < PATIENCE_S

    def is_certain(self, t_s: float) -> bool:
        """Is the body at ``t_s`` nobody else's?"""
        return not self.disputed and t_s - self.leapt_s >= SETTLE_S

    @property
    def is_sure(self) -> bool:
        """More likely somebody than nobody."""
        return self.presence.score >= 0.5

    def region(self, t_s: float) -> Region:
        """Where to look at ``t_s``: fast people are met where they will be."""
        shift = self.motion.shift(t_s)
        region = self.sighting.next_region
        if np.linalg.norm(shift) < STILL * region.size:
            return region
        return region.moved(*shift)


@dataclass(slots=True, eq=False)
class Body:
    """What the landmark network saw in this frame, whoever that is. ``seekers``: who were looked for when
    it was found."""

    sighting: Sighting
    seekers: list[Person]
    detection: Detection | None = None
    is_detected: bool = field(init=False)
    joints: NDArray[np.float32] = field(init=False)
    """(2, 2): the middles of shoulders and hips."""
    place: Place = field(init=False)
    looks: Appearance | None = None

    def __post_init__(self) -> None:
        points = self.sighting.landmarks[[11, 12, 23, 24], :2].reshape(2, 2, 2)
        self.is_detected = self.detection is not None
        self.joints = points.mean(axis=1)
        self.place = self.joints.mean(axis=0).astype(np.float64)

    @property
    def size(self) -> float:
        return self.sighting.next_region.size

    def is_same(self, other: "Body") -> bool:
        apart = np.linalg.norm(self.joints - other.joints, axis=1).mean()
        return bool(apart < SAME_BODY * min(self.size, other.size))

    def is_beside(self, other: "Body") -> bool:
        """So near that one may cover the other's clothes."""
        return bool(np.linalg.norm(self.place - other.place) < BESIDE * max(self.size, other.size))

    def overlaps(self, detection: Detection) -> bool:
        """Does the detector see somebody there, whoever it is?"""
        return self.sighting.next_region.overlap(detection.region) > SAME_PLACE

    def agrees(self, detection: Detection) -> bool:
        region, found = self.sighting.next_region, detection.region
        apart = math.hypot(region.x - found.x, region.y - found.y)
        return apart < SAME_DETECTION * min(region.size, found.size)
