"""Processes of ``images.py``: MediaPipe alone on a picture, and clients that send pictures without end."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
import time
from pathlib import Path

import aiohttp

from streamer.images.worker import NICENESS

CLIENTS = 4
BUSY_PAUSE_S = 0.2


def bare(file: str, model: str, count: int) -> list[float]:
    """ms to decode the picture and find people, ``count`` times after one that warms up."""
    import mediapipe as mp
    import numpy as np
    from mediapipe.tasks.python import BaseOptions, vision
    from PIL import Image

    os.nice(
        NICENESS
    )  # as the service's process has it: on a busy machine it would be no comparison
    data = Path(file).read_bytes()
    options = vision.PoseLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=model),
        running_mode=vision.RunningMode.IMAGE,
        num_poses=5,
    )
    times = []
    with vision.PoseLandmarker.create_from_options(options) as landmarker:
        for _ in range(count + 1):
            begun = time.perf_counter()
            rgb = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
            found = landmarker.detect(mp.Image(image_format=mp.ImageFormat.SRGB, data=rgb))
            times.append(1000 * (time.perf_counter() - begun))
            assert len(found.pose_landmarks) == 1
    return times[1:]


async def flood(url: str, file: str) -> None:
    """Until a line comes; it is answered with what became of the pictures."""
    os.nice(19)  # the clients are no part of what is measured
    data = Path(file).read_bytes()  # noqa: ASYNC240  # before anything runs
    counts = {200: 0, 503: 0}

    async def send(http: aiohttp.ClientSession) -> None:
        headers = {"Content-Type": "image/jpeg", "Accept": "image/jpeg"}
        while True:
            async with http.post("/upload", data=io.BytesIO(data), headers=headers) as response:
                await response.read()
                counts[response.status] += 1
            if response.status == 503:
                await asyncio.sleep(BUSY_PAUSE_S)

    async with aiohttp.ClientSession(url) as http, asyncio.TaskGroup() as group:
        clients = [group.create_task(send(http)) for _ in range(CLIENTS)]
        begun = time.monotonic()
        print("READY", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        seconds = time.monotonic() - begun
        for client in clients:
            client.cancel()
    rates = {"answered_per_s": counts[200] / seconds, "refused_per_s": counts[503] / seconds}
    print(json.dumps(rates), flush=True)


def main() -> None:
    kind, *arguments = sys.argv[1:]
    if kind == "bare":
        file, model, count = arguments
        print(json.dumps(bare(file, model, int(count))))
    else:
        asyncio.run(flood(*arguments))


if __name__ == "__main__":
    main()
