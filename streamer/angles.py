"""Joint and segment angles of a person, in degrees, each with a flag that says whether it can be trusted.

The set is that of Sports2D. The angles are those that the picture shows: in its plane, in pixels, since
depth is the network's guess and the picture is measured. Where that means little, the flag is down: a
landmark that is needed can't be seen, or a segment points more into the depth than across the picture.

No angle knows where the person faces, so none changes when the picture is mirrored; and none wraps: a
limb that goes all the way round goes up to the end of the range and back, without a jump.

========================  =========================================================  ===========
joint                     0 is                                                       range
========================  =========================================================  ===========
``ankle``, dorsiflexion   foot square to the shank; more: toes pulled up             -90 … 90
``knee``, flexion         thigh and shank in line                                    0 … 180
``hip``, flexion          trunk and thigh in line; forward, back or sideways alike   0 … 180
``shoulder``, elevation   arm along the trunk; 180: overhead; any way alike          0 … 180
``elbow``, flexion        arm and forearm in line                                    0 … 180
``wrist``, bend           forearm and hand in line; either way alike                 0 … 180
========================  =========================================================  ===========

A segment's angle is its elevation above the horizontal, -90 … 90: 0 is level, 90 straight up, -90 straight
down, seen from its first end (``SEGMENTS``): a leg that stands has -90, an upright trunk 90, a raised arm
90. ``pelvis`` and ``shoulders`` go from right to left: above 0 the person's left side is the higher one.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamer.landmarks import NAMES

MIN_VISIBILITY: Final = 0.5
"""Below this a landmark counts as unseen, where nobody says which are."""

MAX_DEPTH_SHARE: Final = 0.5
"""Of a segment's squared length (in the world), as much as may run into the depth: at 45 degrees to the
picture it is half. From there on more of it is guessed than seen."""

_SIDES: Final = ("left", "right")
_SIDED: Final = {
    "foot": ("heel", "foot_index"),
    "shank": ("knee", "ankle"),
    "thigh": ("hip", "knee"),
    "arm": ("shoulder", "elbow"),
    "forearm": ("elbow", "wrist"),
    "hand": ("wrist", "index"),
}
SEGMENTS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    **{
        f"{side}_{name}": ((f"{side}_{first}",), (f"{side}_{last}",))
        for name, (first, last) in _SIDED.items()
        for side in _SIDES
    },
    "pelvis": (("right_hip",), ("left_hip",)),
    "trunk": (("left_hip", "right_hip"), ("left_shoulder", "right_shoulder")),
    "shoulders": (("right_shoulder",), ("left_shoulder",)),
    "head": (("left_shoulder", "right_shoulder"), ("left_ear", "right_ear")),
}
"""Each segment by its two ends; two landmarks mean the middle between them."""

_JOINTS: Final = {
    # Between which two segments, whether the first counts upside down, and what is taken off.
    "ankle": ("{}_shank", "{}_foot", False, 90.0),
    "knee": ("{}_thigh", "{}_shank", False, 0.0),
    "hip": ("trunk", "{}_thigh", True, 0.0),
    "shoulder": ("trunk", "{}_arm", True, 0.0),
    "elbow": ("{}_arm", "{}_forearm", False, 0.0),
    "wrist": ("{}_forearm", "{}_hand", False, 0.0),
}
JOINTS: Final = {
    f"{side}_{name}": (first.format(side), second.format(side), is_reversed, offset)
    for name, (first, second, is_reversed, offset) in _JOINTS.items()
    for side in _SIDES
}

ANGLES: Final[tuple[str, ...]] = (*JOINTS, *SEGMENTS)
"""The angles' names, in the order of every array and message."""


def _ends(which: int) -> NDArray[np.float32]:
    """(segments, 33): the weights of the landmarks in one end of each segment."""
    weights = np.zeros((len(SEGMENTS), len(NAMES)), np.float32)
    for row, ends in enumerate(SEGMENTS.values()):
        for name in ends[which]:
            weights[row, NAMES.index(name)] = 1 / len(ends[which])
    return weights


_FIRST_ENDS: Final = _ends(0)
_ALONG: Final = _ends(1) - _FIRST_ENDS
"""(segments, 33): takes landmarks to the segments' vectors."""
_NEEDS: Final = (_FIRST_ENDS + _ends(1) > 0).astype(np.float32)

_PLACE: Final = {name: row for row, name in enumerate(SEGMENTS)}
_FIRST: Final = np.array([_PLACE[first] for first, *_ in JOINTS.values()])
_SECOND: Final = np.array([_PLACE[second] for _, second, *_ in JOINTS.values()])
_SIGN: Final = np.array([-1 if turn else 1 for *_, turn, _ in JOINTS.values()], np.float32)
_OFFSET: Final = np.array([offset for *_, offset in JOINTS.values()], np.float32)


def joint_angles(
    landmarks: NDArray[np.float32],
    world: NDArray[np.float32],
    width: int,
    height: int,
    predicted: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """(len(ANGLES), 2) float32: degrees, and 1 where they can be trusted, else 0. Always numbers.

    ``landmarks`` (33, 5) and ``world`` (33, 3) as of ``Pose``; ``width``, ``height``: of the picture, px.
    ``predicted``: (33,), which landmarks can't be seen; without it, those below ``MIN_VISIBILITY``.
    """
    along = (_ALONG @ landmarks[:, :2]) * np.array((width, height), np.float32)
    x, y = along[:, 0], -along[:, 1]
    deep = (_ALONG @ world) ** 2
    unseen = landmarks[:, 3] < MIN_VISIBILITY if predicted is None else predicted
    is_good = (
        (_NEEDS @ unseen.astype(np.float32) == 0)
        & (deep[:, 2] <= MAX_DEPTH_SHARE * deep.sum(axis=1))
        & ((x != 0) | (y != 0))
    )
    x1, y1, x2, y2 = x[_FIRST], y[_FIRST], x[_SECOND], y[_SECOND]
    found = np.empty((len(ANGLES), 2), np.float32)
    joints = len(JOINTS)
    # The arc tangent keeps its digits at straight limbs, where the arc cosine loses them.
    between = np.arctan2(np.abs(x1 * y2 - y1 * x2), _SIGN * (x1 * x2 + y1 * y2))
    found[:joints, 0] = np.degrees(between) - _OFFSET
    found[joints:, 0] = np.degrees(np.arctan2(y, np.abs(x)))
    found[:joints, 1] = is_good[_FIRST] & is_good[_SECOND]
    found[joints:, 1] = is_good
    return found
