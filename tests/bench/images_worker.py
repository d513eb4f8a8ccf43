"""Processes of ``images.py``: MediaPipe alone on a picture, clients that send pictures without end, and how
late a thread wakes up beside pictures."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import aiohttp

from streamer.images.analysis import Analyst
from streamer.images.decoding import prepare_decoders
from streamer.images.job import Job
from streamer.images.worker import NICENESS

CLIENTS = 4
MAX_PIXELS = 25_000_000
WAIT_S = 0.005
WARM_UP_S = 2.0
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


def lateness(mode: str, file: str, model: str, seconds: float) -> list[float]:
    """By how many ms each wait of 5 ms is too long, in this process: ``alone``, beside a ``thread`` that
    analyses pictures without a pause, or beside a ``process`` that does."""
    stop, thread, child = threading.Event(), None, None
    if mode == "thread":
        thread = threading.Thread(target=_analyse, args=(file, model, stop))
        thread.start()
    elif mode == "process":
        command = [sys.executable, "-m", "tests.bench.images_worker", "analyse", file, model]
        child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    time.sleep(WARM_UP_S)
    late, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.perf_counter()
        time.sleep(WAIT_S)
        late.append(1000 * (time.perf_counter() - begun - WAIT_S))
    stop.set()
    if child is not None:
        child.kill()
        child.wait()
    if thread is not None:
        thread.join()
    return late


def _analyse(file: str, model: str, stop: threading.Event) -> None:
    """On Linux a thread has a priority of its own, which the threads that it starts inherit."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
    prepare_decoders(MAX_PIXELS)
    data, analyst = Path(file).read_bytes(), Analyst(MAX_PIXELS)
    while not stop.is_set():
        analyst.analyse(data, Job(model, 5, 0.5, picture="jpeg"))
    analyst.close()


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
    elif kind == "lateness":
        mode, file, model, seconds = arguments
        print(json.dumps(lateness(mode, file, model, float(seconds))))
    elif kind == "analyse":
        file, model = arguments
        _analyse(file, model, threading.Event())
    else:
        asyncio.run(flood(*arguments))


if __name__ == "__main__":
    main()
