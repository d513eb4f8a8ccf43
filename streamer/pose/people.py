"""Who is who: follows people from frame to frame, and decides when to look for others."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streamer.config import PoseConfig
from streamer.pose.networks import Detection, Sighting
from streamer.pose.presence import Presence
from streamer.pose.regions import Region

SEARCH_INTERVAL_S = 0.5
"""Between two looks for others while somebody is there: 0.3 ms a frame at 30 fps."""

SAME_PERSON_OVERLAP = 0.5
"""Of two regions that are taken for one person's, as in MediaPipe's association."""

Rgb = NDArray[np.uint8]


@dataclass(slots=True, eq=False)
class Person:
    """``sighting``: of the frame at hand. ``first_s``: media time at which the person was found."""

    id: int
    first_s: float
    sighting: Sighting
    presence: Presence = field(default_factory=Presence)
    detection: Detection | None = None


@dataclass(slots=True, eq=False)
class People:
    """Belongs to one thread. ``detect`` and ``look`` are the two networks."""

    detect: Callable[[Rgb, float], list[Detection]]
    look: Callable[[Rgb, Region], Sighting]
    options: PoseConfig
    _people: list[Person] = field(default_factory=list)
    _next_id: int = 1
    _searched_s: float = -np.inf

    def reset(self) -> None:
        """Nobody of before is there any more. Ids are never used again."""
        self._people.clear()
        self._searched_s = -np.inf

    def follow(self, rgb: Rgb, t_s: float) -> list[Person]:
        """The people in a picture of shape (H, W, 3) at media time ``t_s``, oldest first."""
        kept: list[Person] = []
        for person in self._people:
            sighting = self.look(rgb, person.sighting.next_region)
            if sighting.flag >= self.options.min_tracking_confidence and not _is_known(
                sighting.next_region, kept
            ):
                person.sighting = sighting
                person.presence.update(sighting, t_s, detected=False)
                kept.append(person)
        self._people = kept
        if self._is_search_due(t_s):
            self._search(rgb, t_s)
        return self._people

    def _is_search_due(self, t_s: float) -> bool:
        if len(self._people) >= self.options.num_poses:
            return False
        return not self._people or t_s - self._searched_s >= SEARCH_INTERVAL_S

    def _search(self, rgb: Rgb, t_s: float) -> None:
        self._searched_s = t_s
        for detection in self.detect(rgb, self.options.min_detection_confidence):
            if len(self._people) >= self.options.num_poses:
                return
            if _is_known(detection.region, self._people):
                continue
            sighting = self.look(rgb, detection.region)
            if sighting.flag >= self.options.min_tracking_confidence and not _is_known(
                sighting.next_region, self._people
            ):
                person = Person(self._next_id, t_s, sighting, detection=detection)
                person.presence.update(sighting, t_s, detected=True)
                self._people.append(person)
                self._next_id += 1


def _is_known(region: Region, people: list[Person]) -> bool:
    return any(
        region.overlap(person.sighting.next_region) > SAME_PERSON_OVERLAP for person in people
    )
