"""Cameras fall silent with their connections open, as behind a pulled cable, and wake again."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from pathlib import Path

from tests.chaos import Result
from tests.chaos.stage import Stage, Times, make_clip, staged

NAME = "camera stalled"
PASS = "all back <= 5 s after the camera answers"
LIMIT_S = 5.0
AT_ONCE = 4
ASLEEP_S = (1.0, 14.0)
"""Shorter than ``[rtsp] read_timeout_s`` (5 s), and long enough for several tries in vain."""


async def run(times: int) -> Result:
    """Each camera's process is stopped (SIGSTOP) and goes on after a while (SIGCONT)."""
    with tempfile.TemporaryDirectory() as folder:
        clip = await asyncio.to_thread(make_clip, Path(folder) / "clip.mp4")
        cameras = min(times, AT_ONCE)
        async with staged([clip] * cameras) as stage:
            found = await asyncio.gather(
                *(
                    _stall(stage, name, len(range(place, times, cameras)))
                    for place, name in enumerate(stage.cameras)
                )
            )
    together = Times(LIMIT_S).merged(found)
    return Result(str(together), together.passed(times), tuple(together.failures))


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
