"""What the server draws on a picture and what a page draws on it look the same, whatever is drawn."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from streamer.angles import joint_angles
from streamer.config import OverlayConfig
from streamer.landmarks import NAMES
from streamer.messages import pose_message
from streamer.model import VIDEO_CLOCK_HZ, Pose, PoseResult
from streamer.overlay import SkeletonPainter
from tests.fakes import make_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tests.conftest import OpenPage
    from tests.rigs.server import StreamerServer

pytestmark = pytest.mark.e2e

WIDTH, HEIGHT, LUMA = 640, 480, 100
FRAMES = 24
EVERYTHING = {"angles": True, "ids": True, "confidence": True, "trails": True}
LOOKS: dict[str, dict[str, Any]] = {
    "skeleton": {},
    "landmarks": {"style": "landmarks"},
    "one colour": {"side_colours": False},
    "wide": {"line_width": 7.0},
    "everything": EVERYTHING,
    "a colour for each": {"side_colours": False, **EVERYTHING},
    "nothing": {"style": "none", **EVERYTHING},
}
CHANGED = 24  # of 255, in any colour
NEAR_PX = 2
"""Letters are of another font, and OpenCV's lines have no smooth edges."""

# Draws one film in each look; the pictures' own grey is beneath it.
DRAW = """
async ([messages, looks, background]) => {
  const [{ drawPoses }, { DEFAULT_LOOK }, { Trails }] = await Promise.all(
    ["draw", "look", "trails"].map((name) => import(new URL(`static/${name}.js`, document.baseURI))));
  const canvas = document.createElement("canvas");
  const { width, height } = messages[0];
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const trails = new Trails();
  for (const message of messages) trails.add(message);
  const sheet = { context, picture: { width, height }, scale: 1, isMirrored: false };
  return looks.map((look) => {
    context.fillStyle = background;
    context.fillRect(0, 0, width, height);
    drawPoses(sheet, messages.at(-1), trails, { ...DEFAULT_LOOK, ...look });
    return canvas.toDataURL("image/png").split(",")[1];
  });
}
"""

STANDING = {
    "nose": (0.0, -0.34), "left_eye": (0.02, -0.36), "right_eye": (-0.02, -0.36),
    "left_ear": (0.04, -0.35), "right_ear": (-0.04, -0.35),
    "left_shoulder": (0.09, -0.22), "right_shoulder": (-0.09, -0.22),
    "left_elbow": (0.14, -0.08), "right_elbow": (-0.16, -0.14),
    "left_wrist": (0.1, 0.02), "right_wrist": (-0.18, -0.28),
    "left_hip": (0.06, 0.05), "right_hip": (-0.06, 0.05),
    "left_knee": (0.07, 0.22), "right_knee": (-0.08, 0.2),
    "left_ankle": (0.08, 0.38), "right_ankle": (-0.08, 0.36),
}  # fmt: skip
GUESSED = ("left_elbow", "left_wrist")


def person(number: int, time_s: float) -> Pose:
    """Somebody who waves and walks; the left arm can't be seen."""
    landmarks = np.zeros((len(NAMES), 5), np.float32)
    predicted = np.ones(len(NAMES), np.bool_)
    aside = 0.3 * number + 0.1 * time_s - 0.05
    for name, (x, y) in STANDING.items():
        wave = 0.08 * np.sin(5 * time_s) if name == "right_wrist" else 0.0
        landmarks[NAMES.index(name)] = (x + aside + wave, y + 0.5, 0.0, 0.9, 0.9)
        predicted[NAMES.index(name)] = name in GUESSED
    world = np.zeros((len(NAMES), 3), np.float32)
    world[:, :2] = landmarks[:, :2]
    angles = joint_angles(landmarks, world, WIDTH, HEIGHT, predicted)
    return Pose(number, 0.87, landmarks, world, predicted=predicted, angles=angles)


def film() -> list[PoseResult]:
    results = []
    for seq in range(FRAMES):
        pts = seq * VIDEO_CLOCK_HZ // 24
        frame = make_frame(pts, width=WIDTH, height=HEIGHT, luma=LUMA)
        people = tuple(person(number, pts / VIDEO_CLOCK_HZ) for number in (1, 2))
        results.append(PoseResult(1, seq, pts, frame, people, 0, {}))
    return results


def drawn_by_server(results: list[PoseResult], look: dict[str, Any]) -> NDArray[np.uint8]:
    """The last frame, RGB."""
    painter = SkeletonPainter(OverlayConfig(**look))
    frames = [painter.annotate(result.frame, result.poses) for result in results]
    return np.asarray(cv2.cvtColor(frames[-1].i420, cv2.COLOR_YUV2RGB_I420), np.uint8)


def share_near(changed: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Of what is changed in one, how much is within reach of what is changed in the other."""
    reach = np.ones((2 * NEAR_PX + 1,) * 2, np.uint8)
    near = cv2.dilate(other.astype(np.uint8), reach) > 0
    return float(near[changed].mean()) if changed.any() else 1.0


async def test_server_and_page_draw_the_same_picture_in_every_look(
    server: Callable[..., StreamerServer], open_page: OpenPage
) -> None:
    results = film()
    messages = [json.loads(pose_message("door", result)) for result in results]
    empty = cv2.cvtColor(results[0].frame.i420, cv2.COLOR_YUV2RGB_I420).astype(int)
    background = f"rgb({' '.join(map(str, empty[0, 0]))})"
    page, _ = await open_page(server().url)
    pictures = await page.evaluate(DRAW, [messages, list(LOOKS.values()), background])
    for (name, look), png in zip(LOOKS.items(), pictures, strict=True):
        ours = (await asyncio.to_thread(drawn_by_server, results, look)).astype(int)
        theirs = cv2.imdecode(np.frombuffer(base64.b64decode(png), np.uint8), cv2.IMREAD_COLOR)
        assert theirs is not None
        theirs = theirs[..., ::-1].astype(int)
        changed = [np.abs(each - empty).max(axis=-1) > CHANGED for each in (ours, theirs)]
        assert changed[0].any() == changed[1].any() == (name != "nothing"), name
        assert share_near(changed[0], changed[1]) > 0.98, name
        assert share_near(changed[1], changed[0]) > 0.98, name
        assert share_near(np.roll(changed[0], 40, axis=1), changed[1]) < 0.7 or name == "nothing"
        both = changed[0] & changed[1]
        assert not both.any() or np.abs(ours - theirs)[both].mean() < 30, name
