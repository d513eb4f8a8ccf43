"""What an estimator in a process of its own would cost, against the one in a thread that we have.

Both do the same work on the same clip behind the same one-frame slot, fed from an event loop at
30 fps. The process gets one frame at a time through shared memory and answers with the poses through
a pipe. See docs/decisions/0003-estimator-in-a-thread.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.shared_memory import SharedMemory
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from streamer.aio import LatestSlot
from streamer.model import VIDEO_CLOCK_HZ, Frame
from tests.bench.machine import cpu_s, memory_bytes
from tests.bench.table import figure, print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection

    from numpy.typing import NDArray

    from streamer.model import Pose

    Estimate = Callable[[Frame, int], tuple[Pose, ...]]

SIZES = ((640, 480), (1280, 720))
VARIANTS = ("thread", "process")
ROUNDS = 3
FPS = 30
WARM_UP_S = 2.0
MEASURED_S = 10.0


@dataclass(frozen=True)
class Cost:
    """CPU of all processes and the delay from the loop to the loop, a frame; memory of both."""

    cpu_ms: float
    latency_p50_ms: float
    latency_p95_ms: float
    memory_mb: float
    frames: int


def process_port() -> dict[str, Any]:
    """Print the table; return every round's figures."""
    found: dict[str, Any] = {}
    for width, height in SIZES:
        size = f"{width}x{height}"
        costs: dict[str, list[Cost]] = {variant: [] for variant in VARIANTS}
        for number in range(ROUNDS):
            for variant in VARIANTS:
                print(f"{size}, round {number + 1}, {variant} …", flush=True)
                costs[variant].append(_in_fresh_process(variant, size))
        _print(size, costs)
        found[size] = {name: [asdict(cost) for cost in each] for name, each in costs.items()}
    return found


def _in_fresh_process(variant: str, size: str) -> Cost:
    """Each measurement has an interpreter of its own, for the memory's sake."""
    command = [sys.executable, "-m", "tests.bench.process_port", variant, size]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"The measurement in a {variant} failed:\n{done.stderr}")
    return Cost(**json.loads(done.stdout))


def _print(size: str, costs: dict[str, list[Cost]]) -> None:
    rows = []
    for name, field in (
        ("CPU ms / frame, all processes", "cpu_ms"),
        ("latency p50 ms", "latency_p50_ms"),
        ("latency p95 ms", "latency_p95_ms"),
        ("memory MB, all processes (PSS)", "memory_mb"),
        ("frames", "frames"),
    ):
        thread, process = (median(getattr(cost, field) for cost in costs[v]) for v in VARIANTS)
        rows.append([name, figure(thread), figure(process), f"{process - thread:+.1f}"])
    title = f"The estimator in a thread and in a process, {size} at {FPS} fps, medians of {ROUNDS}"
    print_table(title, ["", *VARIANTS, "difference"], rows)


@contextmanager
def _in_thread() -> Iterator[tuple[Estimate, list[int]]]:
    """As the service has it: called in the worker's thread. Also the ids of all processes."""
    from streamer.config import (
        PoseConfig,
    )  # here, so that the other variant's parent is without them
    from streamer.pose.live import LiveEstimator
    from streamer.pose.models import Complexity, ensure_models, find_model

    ensure_models([Complexity.FULL])
    estimator = LiveEstimator(find_model, PoseConfig())
    try:
        yield estimator.estimate, [os.getpid()]
    finally:
        estimator.close()


@contextmanager
def _in_process(frame_bytes: int) -> Iterator[tuple[Estimate, list[int]]]:
    """The same, in a child that sees frames of up to ``frame_bytes`` through shared memory."""
    context = multiprocessing.get_context("spawn")
    memory = SharedMemory(create=True, size=frame_bytes)
    here, there = context.Pipe()
    child = context.Process(target=_serve, args=(there, memory.name))
    child.start()
    there.close()
    assert child.pid is not None

    def estimate(frame: Frame, pts: int) -> tuple[Pose, ...]:
        shape = frame.i420.shape
        np.ndarray(shape, np.uint8, memory.buf)[:] = frame.i420
        here.send((shape, pts, frame.received_mono, frame.received_at))
        poses: tuple[Pose, ...] = here.recv()
        return poses

    try:
        yield estimate, [os.getpid(), child.pid]
    finally:
        here.close()  # the child ends when it reads on
        child.join()
        memory.close()
        memory.unlink()


def _serve(requests: Connection, memory_name: str) -> None:
    """The child: answers every frame with its poses, until the other end is closed."""
    memory = SharedMemory(memory_name)
    with _in_thread() as (estimate, _):
        while True:
            try:
                shape, pts, received_mono, received_at = requests.recv()
            except EOFError:
                break
            i420: NDArray[np.uint8] = np.ndarray(shape, np.uint8, memory.buf)
            requests.send(estimate(Frame(i420, pts, received_mono, received_at), pts))
            del i420  # the memory can't be closed while an array lies on it
    memory.close()


async def _measure(
    estimate: Estimate, pids: Sequence[int], pictures: Sequence[NDArray[np.uint8]]
) -> Cost:
    """Feed ``pictures`` through the slot and a thread, as a session does."""
    loop = asyncio.get_running_loop()
    slot: LatestSlot[Frame] = LatestSlot()
    latencies_ms: list[float] = []

    def on_result(frame: Frame) -> None:
        latencies_ms.append(1000 * (time.monotonic() - frame.received_mono))

    def work() -> None:
        while (frame := slot.take()) is not None:
            estimate(frame, frame.pts)
            loop.call_soon_threadsafe(on_result, frame)

    thread = threading.Thread(target=work)
    thread.start()
    feeder = asyncio.create_task(_feed(slot, pictures))
    await asyncio.sleep(WARM_UP_S)
    latencies_ms.clear()
    used_s = sum(map(cpu_s, pids))
    await asyncio.sleep(MEASURED_S)
    used_s = sum(map(cpu_s, pids)) - used_s
    memory = sum(map(memory_bytes, pids))
    feeder.cancel()
    slot.close()
    await asyncio.to_thread(thread.join)
    p50_ms, p95_ms = (float(np.percentile(latencies_ms, share)) for share in (50, 95))
    frames = len(latencies_ms)
    return Cost(1000 * used_s / frames, p50_ms, p95_ms, memory / 1e6, frames)


async def _feed(slot: LatestSlot[Frame], pictures: Sequence[NDArray[np.uint8]]) -> None:
    started_at, number = time.monotonic(), 0
    while True:
        await asyncio.sleep(max(0.0, started_at + number / FPS - time.monotonic()))
        position = number % (2 * len(pictures))
        picture = pictures[min(position, 2 * len(pictures) - 1 - position)].copy()
        pts = number * VIDEO_CLOCK_HZ // FPS
        slot.put(Frame(picture, pts, time.monotonic(), time.time()))
        number += 1


def main() -> None:
    """One variant at one size; the figures as JSON."""
    from tests.rigs.clips import prepare_clips  # here, since the child imports this module too
    from tests.rigs.probe_media import load_pictures

    parser = argparse.ArgumentParser(description="One measurement of --process-port.")
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("size", metavar="WxH")
    given = parser.parse_args()
    width, height = (int(part) for part in given.size.split("x"))
    clips = prepare_clips()
    clip = clips.person if width * 3 == height * 4 else clips.person_720p
    pictures = load_pictures(clip, width, height)
    with _in_thread() if given.variant == "thread" else _in_process(pictures[0].size) as port:
        cost = asyncio.run(_measure(*port, pictures))
    print(json.dumps(asdict(cost)))


if __name__ == "__main__":
    main()
