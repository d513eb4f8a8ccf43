"""Cameras lose their power and come back after a while; several beside each other."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

from tests.chaos.stage import Stage, Times, side_by_side

if TYPE_CHECKING:
    from tests.chaos import Result

NAME = "camera killed"
PASS = "all back <= 5 s after the camera answers"
LIMIT_S = 5.0
AT_ONCE = 4
DARK_S = (0.5, 8.0)
"""From a loose contact to a reboot. A longer absence differs in nothing: pauses between tries are capped."""


async def run(times: int) -> Result:
    """Each camera is killed, is away for a while, and serves again at the same address."""
    return await side_by_side(times, AT_ONCE, LIMIT_S, _kill)


async def _kill(stage: Stage, name: str, times: int) -> Times:
    camera, reader = stage.cameras[name], stage.readers[name]
    dice, found = random.Random(name), Times(LIMIT_S)
    for turn in range(times):
        with found.one_try(f"{name}, {turn + 1}"):
            camera.kill()
            await asyncio.sleep(dice.uniform(*DARK_S))
            await asyncio.to_thread(camera.start)
            found.note(await reader.back_after(time.monotonic()))
            await asyncio.sleep(1.0)  # some pictures, so that it is a camera that worked
    return found
