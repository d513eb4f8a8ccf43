"""Is the skeleton where the message says? Compares a shown picture with landmark messages."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

import numpy as np

from streamer.landmarks import NAMES
from tests.rigs.browser import read_video_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from playwright.async_api import Page

MIN_VISIBILITY = 0.5
MIN_COLOUR_DIFFERENCE = 60
"""Between red and blue: the left side is orange, the right one blue, and video blurs their colours."""

FIRST_OF_BODY = NAMES.index("left_shoulder")
"""The face's landmarks lie closer together than video keeps colours apart."""

# Runs in the page before its own scripts: keeps what comes on the data channel, whatever the page
# itself does with it.
RECORD_MESSAGES = """
window.messagesInTest = [];
window.peersInTest = [];
const create = RTCPeerConnection.prototype.createDataChannel;
RTCPeerConnection.prototype.createDataChannel = function (...args) {
  const channel = create.apply(this, args);
  window.peersInTest.push(this);
  channel.addEventListener("message", async ({ data }) => {
    const module = new URL("static/landmarks.js", document.baseURI);
    const { parseMessage } = await import(module); // in order: it is loaded once
    window.messagesInTest.push(parseMessage(data, ""));
  });
  return channel;
};
"""

LATEST_MESSAGES = "window.messagesInTest.filter((m) => m.type === 'pose').slice(-20)"


def share_drawn(pixels: NDArray[np.uint8], message: dict[str, Any]) -> float:
    """The share of the body's visible landmarks that have their side's colour at their place in
    ``pixels`` (RGB, (height, width, 3)). NaN when there is none."""
    height, width = pixels.shape[:2]
    hits = []
    for pose in message["poses"]:
        body = list(zip(NAMES, pose["landmarks"], strict=True))[FIRST_OF_BODY:]
        for name, (x, y, _, visibility, _) in body:
            column, row = round(x * width), round(y * height)
            inside = 2 <= column < width - 2 and 2 <= row < height - 2
            if visibility < MIN_VISIBILITY or not inside:
                continue
            spot = pixels[row - 1 : row + 2, column - 1 : column + 2].reshape(-1, 3).mean(axis=0)
            difference = spot[0] - spot[2] if "left" in name else spot[2] - spot[0]
            hits.append(difference > MIN_COLOUR_DIFFERENCE)
    return float(np.mean(hits)) if hits else float("nan")


def best_share(pixels: NDArray[np.uint8], messages: Sequence[dict[str, Any]]) -> float:
    """Of the latest messages, one belongs to this picture: how well does the best of them fit?"""
    shares = [share_drawn(pixels, message) for message in messages if message["poses"]]
    return max((share for share in shares if not np.isnan(share)), default=0.0)


async def fits(page: Page, frames: int = 9) -> tuple[float, float]:
    """How well the skeleton in ``#video`` fits the recorded messages, and how well it fits them moved
    aside, which it must not: medians over some frames, as video smears the colours of a fast hand."""
    found: list[float] = []
    moved: list[float] = []
    for _ in range(frames):
        shown = await read_video_frame(page, "#video", LATEST_MESSAGES)
        found.append(best_share(shown.pixels, shown.value))
        moved.append(best_share(shown.pixels, [shifted(each, 0.1) for each in shown.value]))
    return statistics.median(found), statistics.median(moved)


def shifted(message: dict[str, Any], by: float) -> dict[str, Any]:
    """The message with every landmark moved to the right: what must not fit."""
    poses = [
        pose | {"landmarks": [[x + by, *rest] for x, *rest in pose["landmarks"]]}
        for pose in message["poses"]
    ]
    return message | {"poses": poses}
