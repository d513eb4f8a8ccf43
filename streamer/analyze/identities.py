"""Who is who over the seams of a video's segments, each of which numbers people from 1."""

import json
import math
import re
from collections.abc import Iterable

from streamer.landmarks import NAMES
from streamer.model import Pose

_HIPS = (NAMES.index("left_hip"), NAMES.index("right_hip"))
_ID = re.compile(r'(?<=\{"id":)\d+')
"""Of a pose in a message; in the stream's name the quotes would be escaped."""

MAX_APART = 0.1
"""Of the same person's mid-hip on the same frame as two segments see it, in shares of the picture."""

Place = tuple[int, float, float]
"""An id, and where in the picture the middle of the hips is."""


def places(people: Iterable[Pose]) -> list[Place]:
    return [(pose.id, *_mid_hip(pose.landmarks.tolist())) for pose in people]


class Identities:
    """Takes a video's lines in order, and gives everybody one id throughout."""

    def __init__(self) -> None:
        self._ids: dict[int, int] = {}  # the segment's -> the video's
        self._count = 0
        self._last = ""  # the line before

    def begin(self, before: Iterable[Place]) -> None:
        """A new segment, which saw people at ``before`` on the last frame of the one before it."""
        self._ids = {}
        poses = json.loads(self._last)["poses"] if self._last else []
        known = [(pose["id"], *_mid_hip(pose["landmarks"])) for pose in poses]
        for own, x, y in before:
            near = min(known, key=lambda each: math.dist(each[1:], (x, y)), default=None)
            if near is not None and math.dist(near[1:], (x, y)) < MAX_APART:
                self._ids[own] = near[0]
                known.remove(near)

    def renumbered(self, line: str) -> str:
        self._last = _ID.sub(lambda found: str(self._id(int(found[0]))), line)
        return self._last

    def _id(self, own: int) -> int:
        if own not in self._ids:
            self._count += 1
            self._ids[own] = self._count
        return self._ids[own]


def _mid_hip(landmarks: list[list[float]]) -> tuple[float, float]:
    left, right = (landmarks[index] for index in _HIPS)
    return (left[0] + right[0]) / 2, (left[1] + right[1]) / 2
