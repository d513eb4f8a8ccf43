"""A person made of noise, and how much of a picture's detail is left in another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from streamer.landmarks import CONNECTIONS, NAMES
from streamer.model import LANDMARK_COUNT, Frame, Pose

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from streamer.model import Plane

FACE_COUNT = 11
DETAIL_SIGMA_PX = 1.5
"""What is coarser is no detail: a blurred picture may still have it."""

# x in heads from the middle, y in heads from the top of the head; a head is an eighth of the height.
_BODY = {
    **{"nose": (0, 0.6), "left_ear": (0.3, 0.55), "right_ear": (-0.3, 0.55)},
    **{"left_shoulder": (0.8, 1.6), "left_hip": (0.45, 3.9), "left_knee": (0.5, 5.8)},
    **{"left_elbow": (1.1, 2.9), "left_wrist": (1.2, 4.0), "left_ankle": (0.5, 7.6)},
}


def noise_frame(width: int = 320, height: int = 240, pts: int = 0, seed: int = 1) -> Frame:
    random = np.random.default_rng(seed)
    i420 = random.integers(16, 236, (height * 3 // 2, width), np.uint8)
    return Frame(i420, pts, received_mono=0.0, received_at=0.0)


def standing(frame: Frame, x: float = 0.5, share: float = 0.7, *, id: int = 1) -> Pose:
    """Somebody in the middle of ``x`` (0..1 of the width), ``share`` of the picture high."""
    head = frame.height * share / 8
    places = np.zeros((LANDMARK_COUNT, 2), np.float32)
    known = dict(_BODY)
    known |= {
        name.replace("left", "right"): (-at[0], at[1])
        for name, at in _BODY.items()
        if "left" in name
    }
    for index, name in enumerate(NAMES):
        side = "left" if "left" in name else "right"
        if index < FACE_COUNT:
            place = known.get(name, known["nose"])
        elif name in known:
            place = known[name]
        else:
            place = known[f"{side}_{'wrist' if index < NAMES.index('left_hip') else 'ankle'}"]
        places[index] = place
    landmarks = np.ones((LANDMARK_COUNT, 5), np.float32)
    landmarks[:, 0] = x + places[:, 0] * head / frame.width
    landmarks[:, 1] = 0.15 + places[:, 1] * head / frame.height
    world = np.zeros((LANDMARK_COUNT, 3), np.float32)
    return Pose(id=id, score=0.9, landmarks=landmarks, world=world)


def body_of(pose: Pose, width: int, height: int, *, only_head: bool = False) -> NDArray[np.bool_]:
    """Pixels that are the person's for sure: (height, width). Drawn apart from what is tested."""
    drawn = np.zeros((height, width), np.uint8)
    points = np.round(pose.landmarks[:, :2] * (width, height)).astype(int)
    torso = np.linalg.norm(points[[11, 12]].mean(axis=0) - points[[23, 24]].mean(axis=0))
    cv2.circle(
        drawn, points[:FACE_COUNT].mean(axis=0).astype(int).tolist(), int(torso / 5), 255, -1
    )
    if not only_head:
        for a, b in CONNECTIONS:
            cv2.line(drawn, points[a].tolist(), points[b].tolist(), 255, max(1, int(torso / 6)))
        cv2.fillConvexPoly(drawn, points[[11, 12, 24, 23]], 255)
    return drawn > 0


def detail_left(shown: Plane, original: Plane, where: NDArray[np.bool_]) -> float:
    """-1..1: the correlation of both pictures' fine detail in a region; 0 where one has none left."""

    share = cv2.GaussianBlur(where.astype(np.float64), (0, 0), DETAIL_SIGMA_PX)

    def detail(plane: Plane) -> NDArray[np.float64]:
        """Against the mean of what is near and in this region."""
        inside = np.where(where, plane, 0.0)
        coarse = cv2.GaussianBlur(inside, (0, 0), DETAIL_SIGMA_PX)[where] / share[where]
        fine = inside[where] - coarse
        return np.asarray(fine - fine.mean())

    a, b = detail(shown), detail(original)
    if min(a.std(), b.std()) < 1e-6:
        return 0.0
    return float((a * b).mean() / (a.std() * b.std()))
