"""Cameras fall silent with their connections open, as behind a pulled cable, and wake again."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

from tests.chaos.stage import Stage, Times, side_by_side

if TYPE_CHECKING:
    from tests.chaos import Result

NAME = "camera stalled"
PASS = "all back <= 5 s after the camera answers"
LIMIT_S = 5.0
AT_ONCE = 4
ASLEEP_S = (1.0, 14.0)
"""Shorter than ``[rtsp] read_timeout_s`` (5 s), and long enough for several tries in vain."""


async def run(times: int) -> Result:
    """Each camera's process is stopped (SIGSTOP) and goes on after a while (SIGCONT)."""
    return await side_by_side(times, AT_ONCE, LIMIT_S, _stall)


async def _stall(stage: Stage, name: str, times: int) -> Times:
    camera, reader = stage.cameras[name], stage.readers[name]
    dice, found = random.Random(name), Times(LIMIT_S)
    for turn in range(times):
        with found.one_try(f"{name}, {turn + 1}"):
            camera.stall()
            await asyncio.sleep(dice.uniform(*ASLEEP_S))
            camera.resume()
            found.note(await reader.back_after(time.monotonic()))
            await asyncio.sleep(1.0)
    return found
