"""What of a pose is seen and what is only guessed: landmarks that can't be seen, sides that are mistaken,
and how large the person is.

Nothing here changes a landmark: it says what the numbers are worth. Give it the landmarks as the network
has them, before smoothing: a filter spreads a flip over many frames. All objects here are of one person.
"""

import math
from collections import deque
from dataclasses import replace
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamer.angles import joint_angles
from streamer.landmarks import NAMES
from streamer.model import Pose

Turned = Literal["left_right", "front_back"]

UNSEEN_BELOW, SEEN_ABOVE = 0.4, 0.6
"""Of how well a landmark is seen, 0..1. In between it stays what it was; at first the middle decides."""

FULL_PEAK: Final = 0.6
"""The maximum of a heat map that counts as 1. MediaPipe itself trusts a map from 0.5 on; those of landmarks
in sight have 0.5 to 0.95, those of what the picture's edge cuts off 0 to 0.25."""

SETTLING_S: Final = 0.15
"""Time constant of how well a landmark is seen: what lasts for a few frames only is a flicker."""

EDGE: Final = 0.01
"""Shares of the picture: a landmark that was outside counts as inside from here on."""

MAX_TURN_DEG_PER_S: Final = 180.0
"""How fast people turn round: in about a second (a pirouette is faster). A torso that has turned further
than that since it was last believed, and by more than a quarter, was flipped."""

HALF_TURN_DEG, QUARTER_TURN_DEG = 180.0, 90.0
BELIEVED_AFTER_S: Final = 0.2
"""A new facing must have lasted for so long before another one is doubted."""

MAX_GAP_S: Final = 0.1
"""Limbs move half a stride in a little more: with fewer frames a swap and a step look alike."""

MIN_SWAP_M: Final = 0.15
"""So much less must the limbs have moved if their sides are exchanged, and by half at least."""

_LIMBS: Final = np.array(
    [
        [(NAMES.index(f"left_{name}"), NAMES.index(f"right_{name}")) for name in limb]
        for limb in (("elbow", "wrist", "pinky", "index"), ("knee", "ankle", "heel", "foot_index"))
    ]
)
"""(limbs, landmarks, sides)"""
_LEFT: Final = [NAMES.index("left_shoulder"), NAMES.index("left_hip")]
_RIGHT: Final = [NAMES.index("right_shoulder"), NAMES.index("right_hip")]


BODY_SHARE: Final = 0.779
"""Of a person's height, as much is shank (0.246), thigh (0.245) and trunk (0.288, hip to shoulder): Winter,
Biomechanics and Motor Control of Human Movement, after Drillis and Contini (1966)."""

STATISTICAL_M: Final = 1.6
"""MediaPipe's body, measured so: the medians of six clips were 1.57 to 1.61 m (1.47 of a man who lies).
Believed until measured."""

MEASURED_EVERY_S, MEASURED_MAX, MEASURED_BEFORE = 0.1, 64, 10
"""Measurements: how often, of how many the median is, and how many the belief before the first counts for."""

_CHAINS: Final = [
    [NAMES.index(f"{side}_{name}") for name in ("shoulder", "hip", "knee", "ankle")]
    for side in ("left", "right")
]


class Verdict(NamedTuple):
    """``predicted``: (33,) bool, landmarks that can't be seen: the network's guess. ``turned``: which
    sides are probably mistaken: those of arms or legs, or all of them, as if the person faced the other
    way."""

    predicted: NDArray[np.bool_]
    turned: Turned | None


class Honesty:
    """Looks at one person's poses, in the order of time."""

    def __init__(self) -> None:
        self._sight: _Sight | None = None
        self._facing = _Facing()
        self._limbs = _Limbs()

    def look(
        self,
        landmarks: NDArray[np.float32],
        world: NDArray[np.float32],
        t_s: float,
        peaks: NDArray[np.float32] | None = None,
    ) -> Verdict:
        """``landmarks`` (33, 5) and ``world`` (33, 3) as of ``Pose``, unsmoothed; ``t_s``: media time, in
        seconds; ``peaks``: (33,), the maximum of each landmark's heat map, 0..1, where it is known."""
        if self._sight is None:
            self._sight = _Sight(landmarks, t_s, peaks)
        else:
            self._sight.look(landmarks, t_s, peaks)
        return Verdict(self._sight.predicted, self._turned(world, t_s))

    def _turned(self, world: NDArray[np.float32], t_s: float) -> Turned | None:
        if self._facing.is_flipped(world, t_s):
            self._limbs = (
                _Limbs()
            )  # they have gone with it: what they were before tells nothing now
            return "front_back"
        return "left_right" if self._limbs.are_swapped(world, t_s) else None


def judged(pose: Pose, width: int, height: int) -> Pose:
    """A pose of one picture, ``width`` x ``height`` px, with what can be said of it without others:
    ``predicted`` and ``angles``. One of which more is known stays as it is."""
    if pose.predicted is not None:
        return pose
    unseen = predicted(pose.landmarks)
    angles = joint_angles(pose.landmarks, pose.world, width, height, unseen)
    return replace(pose, predicted=unseen, angles=angles)


def predicted(
    landmarks: NDArray[np.float32], peaks: NDArray[np.float32] | None = None
) -> NDArray[np.bool_]:
    """(33,) bool: the landmarks of one picture that can't be seen, with no other picture to compare with.
    ``landmarks``: (33, 5); ``peaks``: as of ``Honesty.look``."""
    middle = (UNSEEN_BELOW + SEEN_ABOVE) / 2
    unseen: NDArray[np.bool_] = (_sight(landmarks, peaks) < middle) | (_inside(landmarks) < 0)
    return unseen


def _sight(
    landmarks: NDArray[np.float32], peaks: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """How well each landmark is seen: as well as the weakest of what speaks for it says. Visibility alone
    is often near 1 for what the picture's edge hides."""
    sight: NDArray[np.float32] = np.minimum(landmarks[:, 3], landmarks[:, 4])
    return sight if peaks is None else np.minimum(sight, peaks / np.float32(FULL_PEAK))


def _inside(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far inside the picture each landmark is, in shares of its size; below 0: outside."""
    places = landmarks[:, :2]
    nearest: NDArray[np.float32] = np.minimum(places, 1 - places).min(axis=1)
    return nearest


class _Sight:
    """Which landmarks can't be seen, without flicker."""

    def __init__(
        self, landmarks: NDArray[np.float32], t_s: float, peaks: NDArray[np.float32] | None
    ) -> None:
        self._mean = _sight(landmarks, peaks)
        self._t_s = t_s
        self.predicted = predicted(landmarks, peaks)

    def look(
        self, landmarks: NDArray[np.float32], t_s: float, peaks: NDArray[np.float32] | None
    ) -> None:
        weight = -math.expm1(-max(t_s - self._t_s, 0.0) / SETTLING_S)
        self._t_s = t_s
        self._mean = self._mean + np.float32(weight) * (_sight(landmarks, peaks) - self._mean)
        inside = _inside(landmarks)
        is_seen = (self._mean > SEEN_ABOVE) & (inside > EDGE)
        is_unseen = (self._mean < UNSEEN_BELOW) | (inside < 0)
        self.predicted = is_unseen | (self.predicted & ~is_seen)


class _Facing:
    """Whether the torso has turned round faster than people do: the line from right to left, of shoulders
    and hips together, against the one believed last."""

    def __init__(self) -> None:
        self._believed: NDArray[np.float32] | None = None
        self._since_s = self._last_s = 0.0

    def is_flipped(self, world: NDArray[np.float32], t_s: float) -> bool:
        line = world[_LEFT].sum(axis=0) - world[_RIGHT].sum(axis=0)
        line /= max(float(np.linalg.norm(line)), 1e-6)
        if self._believed is None:
            self._since_s = t_s
        else:
            turn_deg = math.degrees(math.acos(min(max(float(line @ self._believed), -1.0), 1.0)))
            if turn_deg > QUARTER_TURN_DEG:
                may_deg = MAX_TURN_DEG_PER_S * (t_s - self._last_s)
                if turn_deg > may_deg and self._last_s - self._since_s >= BELIEVED_AFTER_S:
                    return True
                self._since_s = t_s
        self._believed, self._last_s = line, t_s
        return False


class _Limbs:
    """Whether arms or legs have exchanged their sides from one frame to the next: what is left now is
    where right was before. It goes on saying so while each frame fits the exchanged one before, and at
    most for as long as a torso takes to turn round."""

    def __init__(self) -> None:
        self._places: NDArray[np.float32] | None = None
        self._t_s = 0.0
        self._agreed_s = np.zeros(len(_LIMBS))

    def are_swapped(self, world: NDArray[np.float32], t_s: float) -> bool:
        places = world[_LIMBS, :2]
        exchanged = places[:, :, ::-1]
        before, gap_s = self._places, t_s - self._t_s
        self._t_s = t_s
        if before is None or gap_s > MAX_GAP_S:
            self._places = places
            self._agreed_s[:] = t_s
            return False
        moved = _mean_distance(places - before)
        moved_exchanged = _mean_distance(exchanged - before)
        swapped = (moved_exchanged < moved - MIN_SWAP_M) & (2 * moved_exchanged < moved)
        swapped &= t_s - self._agreed_s < HALF_TURN_DEG / MAX_TURN_DEG_PER_S
        self._agreed_s[~swapped] = t_s
        self._places = np.where(swapped[:, None, None, None], exchanged, places)
        return bool(swapped.any())


def _mean_distance(steps: NDArray[np.float32]) -> NDArray[np.float32]:
    """(limbs,): of steps (limbs, landmarks, sides, 2)."""
    lengths: NDArray[np.float32] = np.sqrt((steps * steps).sum(axis=-1)).mean(axis=(1, 2))
    return lengths


class HeightScale:
    """World landmarks as large as the person is. MediaPipe's are of a statistical body: measured over its
    shanks, thighs and trunk it is about 1.6 m tall whoever is seen, give or take 2 to 5 % from frame to
    frame. The median over several seconds takes the second away; that proportions differ between people
    stays: 3 % or so of the height. Measured is while the trunk and a leg are seen whole.
    """

    def __init__(self) -> None:
        self._heights_m = deque([STATISTICAL_M] * MEASURED_BEFORE, MEASURED_MAX)
        self._measured_s = -math.inf
        self._median_m = STATISTICAL_M

    def scaled(
        self,
        world: NDArray[np.float32],
        predicted: NDArray[np.bool_],
        t_s: float,
        height_m: float,
    ) -> NDArray[np.float32]:
        """``world`` (33, 3) and ``predicted`` (33,) of one frame at ``t_s`` s of media time; ``height_m``:
        the person's height, 0: unknown, and nothing is scaled."""
        if height_m <= 0:
            return world
        if t_s - self._measured_s >= MEASURED_EVERY_S:
            self._measure(world, predicted, t_s)
        return world * np.float32(height_m / self._median_m)

    def _measure(
        self, world: NDArray[np.float32], predicted: NDArray[np.bool_], t_s: float
    ) -> None:
        seen = ~predicted[_CHAINS]
        whole = seen.all(axis=1)
        if not (whole.any() and seen[:, :2].all()):
            return
        joints = world[_CHAINS]
        legs_m = np.linalg.norm(np.diff(joints[:, 1:], axis=1), axis=2).sum(axis=1)
        middle = joints[:, :2].mean(axis=0)
        trunk_m = float(np.linalg.norm(middle[0] - middle[1]))
        height_m = (trunk_m + float(legs_m[whole].mean())) / BODY_SHARE
        if height_m > 0:
            self._heights_m.append(height_m)
            self._measured_s = t_s
            self._median_m = float(np.median(self._heights_m))
