"""Who is who: follows people from frame to frame, and decides when to look for others."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streamer.config import PoseConfig
from streamer.pose.appearance import blend, describe
from streamer.pose.identity import DOUBT, misfit, owners_of
from streamer.pose.motion import NOISE, Motion, Place
from streamer.pose.networks import Detection, Sighting
from streamer.pose.person import Body, Person
from streamer.pose.presence import PLAIN, evidence
from streamer.pose.regions import Region
from streamer.pose.search import Search
from streamer.pose.zones import Zones

COMPANY_S, COMPANY_INTERVAL_S = 2.0, 0.15
"""So long after somebody was found others are looked for more often: people rarely come alone."""

SEEK_INTERVAL_S, SEEK_SCORE = 0.1, 0.15
"""Between two looks while somebody is hidden; and the detector's score that is enough then."""

HIDDEN_S = 3.0
"""So long somebody unseen keeps the id."""

DESCRIBE_INTERVAL_S, APPEARANCE_S = 0.25, 2.0
"""Between two looks at somebody's clothes, and the time constant at which light may change them."""

FOLLOWED_BY = 1.25
"""By how much larger, or nearer to the middle, somebody must be to be followed instead."""

MAX_ID = 65535
"""Of the message's binary form. An empty room in which now and then something resembles somebody takes
that many in half a day."""

Rgb = NDArray[np.uint8]


@dataclass(slots=True, eq=False)
class People:
    """Belongs to one thread. ``detect`` and ``look`` are the two networks; ``zones``: where people must be to
    be followed at all. ``zones`` and ``options`` may be replaced between two frames. ``others``: bodies seen
    in the last picture that may be somebody's, and that nobody published has."""

    detect: Callable[[Rgb, float], list[Detection]]
    look: Callable[[Rgb, Region], Sighting]
    options: PoseConfig
    zones: Zones = field(default_factory=Zones)
    others: list[Sighting] = field(default_factory=list, init=False)
    _people: list[Person] = field(default_factory=list)
    _next_id: int = 1
    _searched_s: float = -math.inf
    _judged_s: float = -math.inf
    _search: Search = field(init=False)

    def __post_init__(self) -> None:
        self._search = Search(self.detect)

    def reset(self) -> None:
        """Nobody of before is there any more. Ids are not used again, for as long as there are others."""
        self._people.clear()
        self.others = []
        self._searched_s = self._judged_s = -math.inf
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
            if person.hidden_s is None or (person.known and t_s - person.hidden_s < HIDDEN_S)
        ]
        self._find_crowds(t_s)
        seen = self._seen()
        bodies = self._look_again(rgb, t_s, seen)
        doubtful = self._is_doubtful(t_s, bodies, seen)
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
            if owner is None and self._is_new(body, t_s) and self._has_room(rgb, body, t_s):
                self._welcome(body, t_s)
        self._choose(rgb)
        self._describe(rgb, t_s, bodies)
        published = [person for person in self._seen() if person.is_certain(t_s)]
        theirs = {id(person.sighting) for person in published}
        self.others = [body.sighting for body in bodies if id(body.sighting) not in theirs]
        return published

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
            ahead, last = person.region(t_s), person.sighting.next_region
            body = Body(self.look(rgb, ahead), [person])
            if body.sighting.flag < self.options.min_tracking_confidence and ahead != last:
                body = Body(self.look(rgb, last), [person])  # who falls stops at the floor
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

    def _is_doubtful(self, t_s: float, bodies: list[Body], seen: list[Person]) -> bool:
        """Is it anything but everybody's own body, about where expected, and nobody close to another?"""
        if len(bodies) < len(seen):
            return True
        for body in bodies:
            (person,) = body.seekers
            if misfit(person, body, t_s) > DOUBT:
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
        youngest_s = max(person.first_s for person in seen)
        is_new = t_s - youngest_s < COMPANY_S
        interval_s = self.options.search_interval_s
        return passed_s >= (min(COMPANY_INTERVAL_S, interval_s) if is_new else interval_s)

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
        least = min(floor, SEEK_SCORE) if hidden else floor
        for detection in self._detections(rgb, least, t_s, alone=not bodies):
            if detection.score >= floor:
                bodies[:] = [self._confirmed(rgb, body, detection) for body in bodies]
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

    def _confirmed(self, rgb: Rgb, body: Body, detection: Detection) -> Body:
        """The body that the detector sees, too; if it is in doubt, as it looks from where the detector would
        look, where that is better: a track that slid off somebody who falls is set right."""
        if not body.overlaps(detection):
            return body
        body.is_detected = True
        if body.seekers and evidence(body.sighting) < 0:
            other = Body(self.look(rgb, detection.region), body.seekers, detection)
            if evidence(other.sighting) > evidence(body.sighting) and self._admits(other, rgb):
                return other
        return body

    def _detections(
        self, rgb: Rgb, min_score: float, t_s: float, *, alone: bool
    ) -> list[Detection]:
        """Of people who may count; a region is looked at by itself, which shows them larger."""
        height, width = rgb.shape[:2]
        left, top, right, bottom = self.zones.crop() or (0.0, 0.0, 1.0, 1.0)
        x, y = int(left * width), int(top * height)
        part = rgb[y : math.ceil(bottom * height), x : math.ceil(right * width)]
        searched = self._search(part, min_score, t_s, alone=alone)
        found = [detection.moved(x, y) for detection in searched]
        return [each for each in found if self._may_count(each, width, height)]

    def _may_count(self, detection: Detection, width: int, height: int) -> bool:
        """Roughly: the landmarks will tell. Nobody who can't count takes somebody's look."""
        x, y = detection.torso
        return not self.zones or self.zones.admits_point(x / width, y / height, was_admitted=True)

    def _owners(
        self, rgb: Rgb, t_s: float, bodies: list[Body], doubtful: bool
    ) -> list[Person | None]:
        hidden = any(person.hidden_s is not None for person in self._people)
        crowded = any(person.approach is not None for person in self._people)
        if doubtful or hidden or (crowded and t_s - self._judged_s >= SEEK_INTERVAL_S):
            self._judged_s = t_s
            return owners_of(rgb, t_s, bodies, self._people)
        for person in self._people:
            person.disputed = False
        return [body.seekers[0] if body.seekers else None for body in bodies]

    def _is_new(self, body: Body, t_s: float) -> bool:
        detection = body.detection
        if detection is None or detection.score < self.options.min_detection_confidence:
            return False
        near = [person for person in self._people if person.motion.is_near(body.place)]
        if near and evidence(body.sighting) < PLAIN:
            return False
        return not any(person.is_awaited(t_s) for person in near)

    def _has_room(self, rgb: Rgb, body: Body, t_s: float) -> bool:
        """Is a place free for ``body``, or is somebody there who is less to be followed?"""
        is_plain = evidence(body.sighting) >= PLAIN
        waiting = [
            person
            for person in self._people
            if (person.is_sure or (person.known and not is_plain))
            and (person.hidden_s is None or (person.is_awaited(t_s) and not is_plain))
        ]
        if len(waiting) < self.options.num_poses:
            return True
        rank = self._rank(rgb, body.place, body.size)
        ranks = [self._rank(rgb, each.motion.place, each.motion.size) for each in waiting]
        return rank > FOLLOWED_BY * min(ranks)

    def _rank(self, rgb: Rgb, place: Place, size: float) -> float:
        """The greater, the more somebody is to be followed; "sticky" knows no difference."""
        if self.options.follow == "largest":
            return size
        if self.options.follow == "central":
            middle = np.array([rgb.shape[1], rgb.shape[0]]) / 2
            return 1 / (float(np.linalg.norm(place - middle)) + size * NOISE)
        return 1.0

    def _welcome(self, body: Body, t_s: float) -> None:
        """Somebody new; but beside somebody in doubt it is rather that one, seen better."""
        doubted = (each for each in self._seen() if not each.is_sure)
        same = next((each for each in doubted if each.motion.is_near(body.place)), None)
        if same is None:
            self._people.append(self._new(body, t_s))
        else:
            self._take(same, body, t_s)

    def _new(self, body: Body, t_s: float) -> Person:
        person = Person(self._free_id(), t_s, body.sighting, Motion(body.place, body.size, t_s))
        self._take(person, body, t_s)
        return person

    def _free_id(self) -> int:
        """The one that was free for longest."""
        taken = {person.id for person in self._people}
        while self._next_id in taken:
            self._next_id = self._next_id % MAX_ID + 1
        free, self._next_id = self._next_id, self._next_id % MAX_ID + 1
        return free

    def _take(self, person: Person, body: Body, t_s: float) -> None:
        person.sighting = body.sighting
        person.motion.go(body.place, body.size, t_s, crowded=person.approach is not None)
        if t_s == self._searched_s:
            person.is_detected = body.is_detected
        person.presence.update(body.sighting, t_s, detected=person.is_detected)
        person.known = person.known or person.is_sure
        person.hidden_s = None

    def _choose(self, rgb: Rgb) -> None:
        """Lets go of those that are too many: first of those that may be nobody."""
        seen = sorted(
            self._seen(),
            key=lambda person: (
                not person.is_sure,
                -self._rank(rgb, person.motion.place, person.motion.size),
            ),
        )
        for person in seen[self.options.num_poses :]:
            self._people.remove(person)

    def _describe(self, rgb: Rgb, t_s: float, bodies: list[Body]) -> None:
        """Looks at the clothes of those that nobody is close to, or, if they are unknown, beside."""
        for person in self._seen():
            if t_s - person.described_s < DESCRIBE_INTERVAL_S:
                continue
            if person.approach is not None and person.appearance is not None:
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
