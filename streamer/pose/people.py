"""Who is who: follows people from frame to frame, and decides when to look for others."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streamer.config import PoseConfig
from streamer.pose.appearance import Appearance, blend, describe, difference
from streamer.pose.matching import assign
from streamer.pose.motion import CLOSE, Motion, Place
from streamer.pose.networks import Detection, Sighting
from streamer.pose.presence import Presence
from streamer.pose.regions import Region
from streamer.pose.search import Search
from streamer.pose.zones import Zones

SEEK_INTERVAL_S, SEEK_SCORE = 0.1, 0.15
"""Between two looks while somebody is hidden; and the detector's score that is enough then."""

HIDDEN_S = 2.0
"""So long somebody unseen keeps the id."""

PATIENCE_S = 0.5
"""So long a place among ``num_poses`` waits for somebody hidden, before others may have it; in a crowd,
as long as they keep their id."""

SAME_BODY = 0.06
"""Middle of the shoulders and of the hips, mean distance in region sizes: 0.15 m. Two sightings nearer
than that show one body; of two people so near to each other, one would hide the other."""

SAME_DETECTION = 0.08
"""Of the mid-hip points of a detection and a sighting that are taken for one body, in region sizes."""

BESIDE = 0.25
"""Region sizes, half a metre: people nearer to each other than that may cover each other's clothes."""

DOUBT = 4.0
"""Squared standard deviations, from which on the detector is asked whether somebody else is there."""

OTHERS = 12.0
"""Squared standard deviations, from which on a body is taken for somebody else's."""

LEAP = 6.0
"""The most that a leap counts of somebody who is not in a crowd and was seen just now."""

CHANGE = 4.0
"""By how much a body must suit somebody better who is hidden, or than those who were looked for where it
was found; half of it where clothes tell them apart."""

DISPUTE = 1.0
"""Where a body suits somebody hidden so much better than the one who has it, it is published as nobody's
until that is settled: it may be a mixture of both."""

APPROACH = 2.0
"""The most that it counts if somebody in a crowd does not go on as before the crowd."""

LOOKS_NOISE, UNLIKE, UNKNOWN_LOOKS = 0.15, 0.4, 2.0
"""Standard deviation of the difference of two looks at one person (0.06 to 0.3; of two persons 0.4 to
0.6), and what counts if there is nothing to compare."""

DESCRIBE_INTERVAL_S, APPEARANCE_S = 0.25, 2.0
"""Between two looks at somebody's clothes, and the time constant at which light may change them."""

STILL = 0.05
"""Region sizes: below this a region is not moved ahead, as in MediaPipe: the network looks at a square
half as large again as the person."""

FOLLOWED_BY = 1.25
"""By how much larger, or nearer to the middle, somebody must be to be followed instead."""

Rgb = NDArray[np.uint8]


@dataclass(slots=True, eq=False)
class Person:
    """``sighting``: of the frame at hand, or the last one. ``first_s``: media time at which the person was
    found; ``hidden_s``: since when unseen, None if seen. ``detection``: the detector's last word that agrees
    with where the person is, and ``detected_s`` when it was. ``frames``: on how many the person was seen.
    """

    id: int
    first_s: float
    sighting: Sighting
    motion: Motion
    appearance: Appearance | None = None
    described_s: float = -math.inf
    detection: Detection | None = None
    detected_s: float = -math.inf
    presence: Presence = field(default_factory=Presence)
    hidden_s: float | None = None
    approach: Motion | None = None
    disputed: bool = False
    frames: int = 1

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
    joints: NDArray[np.float32] = field(init=False)
    """(2, 2): the middles of shoulders and hips."""
    place: Place = field(init=False)
    looks: Appearance | None = None

    def __post_init__(self) -> None:
        points = self.sighting.landmarks[[11, 12, 23, 24], :2].reshape(2, 2, 2)
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

    def agrees(self, detection: Detection) -> bool:
        region, found = self.sighting.next_region, detection.region
        apart = math.hypot(region.x - found.x, region.y - found.y)
        return apart < SAME_DETECTION * min(region.size, found.size)


@dataclass(slots=True, eq=False)
class People:
    """Belongs to one thread. ``detect`` and ``look`` are the two networks."""

    detect: Callable[[Rgb, float], list[Detection]]
    look: Callable[[Rgb, Region], Sighting]
    options: PoseConfig
    zones: Zones = field(default_factory=Zones)
    _people: list[Person] = field(default_factory=list)
    _next_id: int = 1
    _searched_s: float = -math.inf
    _search: Search = field(init=False)

    def __post_init__(self) -> None:
        self._search = Search(self.detect)

    def reset(self) -> None:
        """Nobody of before is there any more. Ids are never used again."""
        self._people.clear()
        self._searched_s = -math.inf
        self._search.reset()

    def start_anew(self) -> None:
        """As if there had been no picture before this one; ids begin with 1."""
        self.reset()
        self._next_id = 1

    def follow(self, rgb: Rgb, t_s: float) -> list[Person]:
        """The people in a picture of shape (H, W, 3) at media time ``t_s``, oldest first."""
        self._people = [
            person
            for person in self._people
            if person.hidden_s is None or t_s - person.hidden_s < HIDDEN_S
        ]
        self._find_crowds(t_s)
        seen = self._seen()
        bodies = self._look_again(rgb, t_s, seen)
        doubtful = self._is_doubtful(rgb, t_s, bodies, seen)
        if doubtful or self._is_search_due(t_s):
            self._find_others(rgb, t_s, bodies)
        owners = self._owners(rgb, t_s, bodies, doubtful)
        for person in self._people:
            if person.hidden_s is None and person not in owners:
                person.hidden_s = t_s
        for body, owner in zip(bodies, owners, strict=True):
            if owner is not None:
                self._take(owner, body, t_s)
        for body, owner in zip(bodies, owners, strict=True):
            if owner is None and self._is_new(body, t_s) and self._has_room(t_s):
                self._people.append(self._new(body, t_s))
        self._choose(rgb)
        self._describe(rgb, t_s, bodies)
        return [person for person in self._seen() if not person.disputed]

    def _find_crowds(self, t_s: float) -> None:
        for person in self._people:
            crowded = any(
                person.is_close(other, t_s) for other in self._people if other is not person
            )
            if not crowded:
                person.approach = None
            elif person.approach is None:
                person.approach = person.motion.copy()

    def _seen(self) -> list[Person]:
        return [person for person in self._people if person.hidden_s is None]

    def _look_again(self, rgb: Rgb, t_s: float, seen: list[Person]) -> list[Body]:
        bodies: list[Body] = []
        for person in seen:
            body = Body(self.look(rgb, person.region(t_s)), [person])
            if self._admits(body, rgb):
                _add(body, bodies)
        return bodies

    def _admits(self, body: Body, rgb: Rgb) -> bool:
        if body.sighting.flag < self.options.min_tracking_confidence:
            return False
        if not self.zones:
            return True
        height, width = rgb.shape[:2]
        landmarks = body.sighting.landmarks.copy()
        landmarks[:, :2] /= width, height
        return self.zones.admits(landmarks, was_admitted=bool(body.seekers))

    def _is_doubtful(self, rgb: Rgb, t_s: float, bodies: list[Body], seen: list[Person]) -> bool:
        """Is it anything but everybody's own body, about where expected, and nobody close to another?"""
        if len(bodies) < len(seen):
            return True
        for body in bodies:
            (person,) = body.seekers
            if _misfit(person, body, t_s) > DOUBT:
                return True
        return False

    def _is_search_due(self, t_s: float) -> bool:
        seen = self._seen()
        if not seen:
            return True
        passed_s = t_s - self._searched_s
        if len(seen) < len(self._people) or any(person.presence.in_doubt for person in seen):
            return passed_s >= SEEK_INTERVAL_S
        if len(seen) >= self.options.num_poses and self.options.follow == "sticky":
            return False
        return passed_s >= self.options.search_interval_s

    def _find_others(self, rgb: Rgb, t_s: float, bodies: list[Body]) -> None:
        """Adds to ``bodies`` those that the detector finds beside them."""
        self._searched_s = t_s
        looks = 0
        hidden = [person for person in self._people if person.hidden_s is not None]
        floor = self.options.min_detection_confidence
        for person in hidden:
            if person.is_awaited(t_s):
                body = Body(self.look(rgb, person.region(t_s)), [])
                if self._admits(body, rgb):
                    _add(body, bodies)
        for detection in self._detections(rgb, min(floor, SEEK_SCORE) if hidden else floor):
            known = next((body for body in bodies if body.agrees(detection)), None)
            if known is not None:
                known.detection = known.detection or detection
                continue
            if looks == self.options.num_poses:
                break
            looks += 1
            body = Body(self.look(rgb, detection.region), [], detection)
            if self._admits(body, rgb):
                _add(body, bodies)

    def _detections(self, rgb: Rgb, min_score: float) -> list[Detection]:
        """Of people who may count; a region is looked at by itself, which shows them larger."""
        height, width = rgb.shape[:2]
        left, top, right, bottom = self.zones.crop() or (0.0, 0.0, 1.0, 1.0)
        x, y = int(left * width), int(top * height)
        part = rgb[y : math.ceil(bottom * height), x : math.ceil(right * width)]
        found = [detection.moved(x, y) for detection in self._search(part, min_score)]
        return [each for each in found if self._may_count(each, width, height)]

    def _may_count(self, detection: Detection, width: int, height: int) -> bool:
        """Roughly: the landmarks will tell. Nobody who can't count takes somebody's look."""
        x, y = detection.torso
        return not self.zones or self.zones.admits_point(x / width, y / height, was_admitted=True)

    def _owners(
        self, rgb: Rgb, t_s: float, bodies: list[Body], doubtful: bool
    ) -> list[Person | None]:
        crowded = any(person.approach is not None for person in self._people)
        if not doubtful and not crowded and len(self._people) == len(bodies):
            for person in self._people:
                person.disputed = False
            return [body.seekers[0] if body.seekers else None for body in bodies]
        for body in bodies:
            body.looks = describe(rgb, body.sighting.landmarks)
        contrast = _contrast(self._people)
        costs = np.array(
            [[_cost(person, body, t_s, contrast) for body in bodies] for person in self._people]
        ).reshape(len(self._people), len(bodies))
        owners: list[Person | None] = [None] * len(bodies)
        for row, column in assign(costs, OTHERS):
            owners[column] = owner = self._people[row]
            hidden = [
                costs[other, column] - _change(contrast)
                for other, person in enumerate(self._people)
                if person.hidden_s is not None and person.approach is not None
            ]
            owner.disputed = min(hidden, default=math.inf) + DISPUTE < costs[row, column]
        return owners

    def _is_new(self, body: Body, t_s: float) -> bool:
        detection = body.detection
        if detection is None or detection.score < self.options.min_detection_confidence:
            return False
        return not any(
            person.is_awaited(t_s) and person.motion.is_near(body.place) for person in self._people
        )

    def _has_room(self, t_s: float) -> bool:
        waiting = sum(
            person.is_sure and (person.hidden_s is None or person.is_awaited(t_s))
            for person in self._people
        )
        return waiting < self.options.num_poses

    def _new(self, body: Body, t_s: float) -> Person:
        person = Person(self._next_id, t_s, body.sighting, Motion(body.place, body.size, t_s))
        self._next_id += 1
        self._take(person, body, t_s)
        return person

    def _take(self, person: Person, body: Body, t_s: float) -> None:
        person.sighting = body.sighting
        person.motion.go(body.place, body.size, t_s, crowded=person.approach is not None)
        if body.detection is not None:
            person.detection, person.detected_s = body.detection, t_s
        person.presence.update(body.sighting, t_s, detected=person.detected_s >= self._searched_s)
        person.hidden_s = None
        person.frames += 1

    def _choose(self, rgb: Rgb) -> None:
        """Lets go of those that are too many, those first that may be nobody."""
        seen = sorted(self._seen(), key=lambda person: not person.is_sure)
        too_many = len(seen) - self.options.num_poses
        if too_many > 0:
            for person in seen[-too_many:]:
                self._people.remove(person)

    def _describe(self, rgb: Rgb, t_s: float, bodies: list[Body]) -> None:
        """Looks at the clothes of those that nobody is close to."""
        for person in self._seen():
            if t_s - person.described_s < DESCRIBE_INTERVAL_S:
                continue
            body = next(body for body in bodies if body.sighting is person.sighting)
            if any(body.is_beside(other) for other in bodies if other is not body):
                continue
            looks = describe(rgb, body.sighting.landmarks) if body.looks is None else body.looks
            if person.appearance is None:
                person.appearance = looks
            else:
                share = -math.expm1(-(t_s - person.described_s) / APPEARANCE_S)
                person.appearance = blend(person.appearance, looks, share)
            person.described_s = t_s


def _add(body: Body, bodies: list[Body]) -> None:
    same = next((other for other in bodies if other.is_same(body)), None)
    if same is None:
        bodies.append(body)
    else:
        same.seekers += body.seekers
        same.detection = same.detection or body.detection


def _contrast(people: list[Person]) -> float:
    """0..1, how much the clothes can say of those who are close to others: little if they look alike."""
    looks = [
        person.appearance
        for person in people
        if person.approach is not None and person.appearance is not None
    ]
    apart = [difference(one, other) for number, one in enumerate(looks) for other in looks[:number]]
    return min([1.0, *((each / UNLIKE) ** 2 for each in apart if each is not None)])


def _misfit(person: Person, body: Body, t_s: float) -> float:
    """By the middle one of the distances of all landmarks from where the person's should be: two bodies
    at one place still hold their limbs differently."""
    shift = person.motion.shift(t_s).astype(np.float32)
    ways = body.sighting.landmarks[:, :2] - person.sighting.landmarks[:, :2] - shift
    off_px = float(np.median(np.hypot(ways[:, 0], ways[:, 1])))
    return person.motion.misfit(off_px, body.size, t_s)


def _change(contrast: float) -> float:
    return CHANGE * (1 - contrast / 2)


def _cost(person: Person, body: Body, t_s: float, contrast: float) -> float:
    """How ill ``body`` suits ``person``, in squared standard deviations."""
    misfit = _misfit(person, body, t_s)
    if person.approach is not None:
        way = person.approach.place + person.approach.shift(t_s) - body.place
        off_px = float(np.linalg.norm(way))
        misfit += min(person.approach.misfit(off_px, body.size, t_s), APPROACH)
    elif person.hidden_s is None and person.motion.is_near(body.place):
        misfit = min(misfit, LEAP)
    if person.hidden_s is not None or (body.seekers and person not in body.seekers):
        misfit += _change(contrast)
    if person.appearance is None or body.looks is None:
        return misfit + UNKNOWN_LOOKS
    apart = difference(person.appearance, body.looks)
    return misfit + (UNKNOWN_LOOKS if apart is None else contrast * (apart / LOOKS_NOISE) ** 2)
