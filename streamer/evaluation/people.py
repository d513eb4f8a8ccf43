"""Which pose is whose, how far its landmarks are off, and whether its id stays with the person."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streamer.evaluation.truth import PLAINLY_SEEN, Truth, boxes_of, torso_px
from streamer.model import Pose

TRUSTED = 0.5
"""A landmark of the truth that can be trusted less is not compared."""

MOSTLY_HIDDEN = 0.3
"""A person of whom less is seen is nobody's match: where such a one is, no picture can tell."""

_SAME_PERSON = 0.2
"""A pose is a person's if its landmarks are off by no more than this share of the person's diagonal
(in the middle of the 33): about two thirds of a torso."""

_SAME_BOX = 0.7
"""Where the truth has boxes only: 1 - IoU. A box of landmarks is smaller than one drawn around hair,
clothes and shoes."""


def points_px(pose: Pose, width: int, height: int) -> NDArray[np.float32]:
    """(33, 2)."""
    return pose.landmarks[:, :2] * np.array([width, height], np.float32)


def matches(
    truth: Truth, poses: Sequence[tuple[Pose, ...]], width: int, height: int
) -> list[dict[int, Pose]]:
    """By frame: person -> the pose that is theirs. As MOT's CLEAR measures do it (Bernardin and
    Stiefelhagen, 2008): a pair of the frame before stays while it is near enough, under the same id; the
    others are paired from the nearest on."""
    before: dict[int, int] = {}
    pairs = []
    for place, found in enumerate(poses):
        distances = {
            (person, index): distance
            for person in range(truth.people)
            if truth.seen[place, person] >= MOSTLY_HIDDEN
            for index, pose in enumerate(found)
            if (distance := _distance(truth, place, person, points_px(pose, width, height))) < 1
        }
        kept = [pair for pair in distances if before.get(pair[0]) == found[pair[1]].id]
        order = [*kept, *sorted(distances, key=distances.__getitem__)]
        taken: dict[int, int] = {}
        for person, index in order:
            if person not in taken and index not in taken.values():
                taken[person] = index
        pairs.append({person: found[index] for person, index in taken.items()})
        before.update({person: found[index].id for person, index in taken.items()})
    return pairs


def _distance(truth: Truth, place: int, person: int, points: NDArray[np.float32]) -> float:
    """As a share of what is near enough: below 1 the pose may be the person's."""
    box = truth.boxes[place, person]
    if not np.isfinite(box).all():
        return float("inf")
    there = truth.landmarks[place, person]
    if np.isfinite(there).all():
        off_px = float(np.median(np.linalg.norm(points - there[:, :2], axis=1)))
        diagonal_px = float(np.hypot(box[2] - box[0], box[3] - box[1]))
        return off_px / max(diagonal_px, 1.0) / _SAME_PERSON
    return (1 - _overlap(box, boxes_of(points))) / _SAME_BOX


def _overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Intersection over union."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    both = float(np.prod(np.maximum(sides, 0)))
    areas = float(np.prod(one[2:] - one[:2])) + float(np.prod(other[2:] - other[:2]))
    return both / max(areas - both, 1e-6)


def switches(pairs: list[dict[int, Pose]]) -> int:
    """MOT's IDSW: how often a person's id is another than the last one that this person had."""
    last: dict[int, int] = {}
    count = 0
    for found in pairs:
        for person, pose in found.items():
            count += last.get(person, pose.id) != pose.id
            last[person] = pose.id
    return count


@dataclass(slots=True)
class Errors:
    """Of the landmarks that the truth knows: ``px``, and as a share of the person's torso (the middle one
    of all its frames, since a torso that bends towards the camera is short)."""

    px: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    torso: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))


def errors(
    truth: Truth, pairs: list[dict[int, Pose]], width: int, height: int, places: list[int]
) -> Errors:
    """Over the frames at ``places``, of people who are plainly seen."""
    px, torso = [], []
    sizes = [float(np.median(torso_px(_known(truth, person)))) for person in range(truth.people)]
    for place in places:
        for person, pose in pairs[place].items():
            there = truth.landmarks[place, person]
            trusted = there[:, 2] >= TRUSTED
            if truth.seen[place, person] < PLAINLY_SEEN or not trusted.any():
                continue
            off = np.linalg.norm(points_px(pose, width, height) - there[:, :2], axis=1)[trusted]
            px.append(off)
            torso.append(off / sizes[person])
    return Errors(np.concatenate(px), np.concatenate(torso)) if px else Errors()


def _known(truth: Truth, person: int) -> NDArray[np.float32]:
    """(frames, 33, 2): where the person's landmarks are known."""
    points = truth.landmarks[:, person, :, :2]
    known = points[np.isfinite(points).all(axis=(1, 2))]
    return known if len(known) else np.full((1, *points.shape[1:]), np.nan, np.float32)


def found_people(truth: Truth, pairs: list[dict[int, Pose]]) -> list[tuple[int, int]]:
    """By person: the frames in which they are plainly seen, and those of them in which they have a pose."""
    counts = []
    for person in range(truth.people):
        places = np.flatnonzero(truth.seen[:, person] >= PLAINLY_SEEN).tolist()
        counts.append((len(places), sum(person in pairs[place] for place in places)))
    return counts


def extra_poses(poses: Sequence[tuple[Pose, ...]], pairs: list[dict[int, Pose]]) -> int:
    """Poses that are nobody's: ghosts, and doubles of a person who has one already."""
    return sum(len(found) - len(theirs) for found, theirs in zip(poses, pairs, strict=True))
