"""Reads, at each drawing of a page, the number in the picture on display and the one in the landmarks
that were drawn on it (``rigs.number_server`` puts it there)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.rigs.browser import until
from tests.rigs.number_server import BITS, NUMBER_LANDMARK, place_of_bit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from playwright.async_api import Page

MIN_COLOUR_DIFFERENCE = 100
"""Between red and blue: the clips have no such colours at these places, the drawn sides have more."""

# The page tells of each drawing right after it; picture and landmarks are on one canvas.
_WATCH = """
(() => {
  const picture = document.createElement("canvas");
  [picture.width, picture.height] = [640, 480];
  const pen = picture.getContext("2d", { willReadFrequently: true });
  const shot = (source) => {
    pen.clearRect(0, 0, 640, 480);
    pen.drawImage(source, 0, 0, 640, 480);
  };
  const readMarker = () => {
    const { data } = pen.getImageData(0, 0, 64, 64);
    let number = 0;
    for (let bit = 0; bit < 16; bit++) {
      let sum = 0;
      for (let y = 5; y < 11; y++) {
        for (let x = 5; x < 11; x++) {
          sum += data[4 * ((16 * (bit >> 2) + y) * 64 + 16 * (bit & 3) + x) + 1];
        }
      }
      if (sum / 36 > 127) number |= 1 << bit;
    }
    return number;
  };
  const readDots = () => {
    let number = 0;
    %(places)s.forEach(([x, y], bit) => {
      const spot = [Math.round(x * 640), Math.round(y * 480), 1, 1];
      const [red, , blue] = pen.getImageData(...spot).data;
      if (Math.abs(red - blue) > %(difference)d) number |= 1 << bit;
    });
    return number;
  };
  const readMessage = (pts) => {
    const message = window.streamer.recent.find((each) => each.pts === pts);
    const [x, y] = message.poses[0].landmarks[%(landmark)d];
    return Math.floor(x * 256) + 256 * Math.floor(y * 256);
  };
  const watch = { frames: 0, drawn: 0, late: 0, different: [] };
  window.syncInTest = watch;
  const canvas = document.getElementById("overlay");
  window.streamer.overlay.onDraw = ({ pts, message, late }) => {
    shot(canvas);
    const shown = readMarker();
    watch.frames += late ? 0 : 1;
    watch.late += late ? 1 : 0;
    const dots = readDots();
    if (message === null) {
      if (dots !== 0) watch.different.push({ shown, dots, pts });
      return;
    }
    watch.drawn += 1;
    const said = readMessage(message);
    if (shown !== said || shown !== dots) {
      watch.different.push({ shown, said, dots, pts, message, late });
    }
  };
})()
"""


@dataclass(frozen=True)
class SyncCount:
    """Of the frames on display: how many had landmarks drawn on them, how many of these after they
    had gone on display; and those with the wrong landmarks."""

    frames: int
    drawn: int
    late: int
    different: list[dict[str, object]]


def read_dots(picture: NDArray[np.uint8]) -> int:
    """The number in the landmarks drawn on a BGR picture of shape (height, width, 3)."""
    height, width = picture.shape[:2]
    number = 0
    for bit in range(BITS):
        x, y = place_of_bit(bit)
        blue, _, red = picture[round(y * height), round(x * width)].astype(int)
        number |= (abs(red - blue) > MIN_COLOUR_DIFFERENCE) << bit
    return int(number)


async def watch_drawings(page: Page, frames: int, timeout_s: float = 60.0) -> SyncCount:
    """Compare until so many frames went on display."""
    places = json.dumps([place_of_bit(bit) for bit in range(BITS)])
    values = {"places": places, "landmark": NUMBER_LANDMARK, "difference": MIN_COLOUR_DIFFERENCE}
    await page.evaluate(_WATCH % values)
    await until(page, f"window.syncInTest.frames >= {frames}", timeout_s)
    return SyncCount(**await page.evaluate("window.syncInTest"))
