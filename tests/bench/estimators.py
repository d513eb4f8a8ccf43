"""What an estimator in a process of its own costs, against the same one in a thread.

Both do the same work on the same clip behind the same one-frame slot, fed from an event loop at 30 fps, for
one stream and for several at once. See docs/decisions/0032-workers-in-processes.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from streamer.aio import LatestSlot
from streamer.config import PoseConfig, WorkersConfig
from streamer.isolation.nursery import nursery
from streamer.model import VIDEO_CLOCK_HZ, Frame
from streamer.pose.models import Complexity, ensure_models, find_model
from tests.bench.machine import cpu_s, memory_bytes
from tests.bench.table import figure, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from streamer.ports import Estimator

    Pictures = Sequence[NDArray[np.uint8]]

SIZES = ((640, 480), (1280, 720))
STREAMS = (1, 3)
VARIANTS = ("thread", "process")
FPS = 30
START_TIMEOUT_S = 60.0  # on a busy machine
WARM_UP_S = 2.0
MEASURED_S = 8.0
TICK_S = 0.02

ROWS = {
    "CPU ms / frame, all processes": "cpu_ms",
    "CPU ms / frame, the service's own": "own_cpu_ms",
    "latency p50 ms": "latency_p50_ms",
    "latency p95 ms": "latency_p95_ms",
    "event loop late, p99 ms": "late_p99_ms",
    "memory MB, all processes (PSS)": "memory_mb",
    "frames / s": "frames_per_s",
}


@dataclass(frozen=True)
class Cost:
    """CPU a frame; the delay from the loop to the loop; how late the loop's timers are, which is how
    long others hold the interpreter's lock; memory."""

    cpu_ms: float
    own_cpu_ms: float
    latency_p50_ms: float
    latency_p95_ms: float
    late_p99_ms: float
    memory_mb: float
    frames_per_s: float


def estimators(rounds: int) -> dict[str, Any]:
    """Print the tables; return every round's figures."""
    found: dict[str, Any] = {}
    for (width, height), streams in ((size, count) for size in SIZES for count in STREAMS):
        case = f"{streams} x {width}x{height}"
        costs: dict[str, list[Cost]] = {variant: [] for variant in VARIANTS}
        for number in range(rounds):
            for variant in VARIANTS:
                print(f"{case}, round {number + 1}, {variant} …", flush=True)
                costs[variant].append(_in_fresh_process(variant, f"{width}x{height}", streams))
        _print(f"{case} at {FPS} fps, medians of {rounds}", costs)
        found[case] = {name: [asdict(cost) for cost in each] for name, each in costs.items()}
    return found


def _in_fresh_process(variant: str, size: str, streams: int) -> Cost:
    """Each measurement has an interpreter of its own, for the memory's sake."""
    command = [sys.executable, "-m", "tests.bench.estimators", variant, size, str(streams)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"The measurement in a {variant} failed:\n{done.stderr}")
    return Cost(**json.loads(done.stdout))


def _print(case: str, costs: dict[str, list[Cost]]) -> None:
    rows = []
    for name, field in ROWS.items():
        thread, process = (median(getattr(cost, field) for cost in costs[v]) for v in VARIANTS)
        rows.append([name, figure(thread), figure(process), f"{process - thread:+.1f}"])
    title = f"The estimator in a thread and in a process, {case}"
    print_table(title, ["", *VARIANTS, "difference"], rows)


def _make(variant: str, number: int) -> Estimator:
    """Imported here: the service with children does not load the networks' runtime itself."""
    if variant == "thread":
        from streamer.pose.live import LiveEstimator

        return LiveEstimator(find_model, PoseConfig())
    from streamer.pose.remote import RemoteEstimator

    return RemoteEstimator(f"bench-{number}", find_model, PoseConfig(), WorkersConfig())


class Stream:
    """Frames through the slot and a thread, as a session has them."""

    def __init__(self, variant: str, number: int) -> None:
        self.latencies_ms: list[float] = []
        self.is_running = asyncio.Event()
        self.slot: LatestSlot[Frame] = LatestSlot()
        self._variant, self._number = variant, number
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    async def feed(self, pictures: Pictures) -> None:
        started_at, number = time.monotonic(), 0
        while True:
            await asyncio.sleep(max(0.0, started_at + number / FPS - time.monotonic()))
            position = number % (2 * len(pictures))
            picture = pictures[min(position, 2 * len(pictures) - 1 - position)].copy()
            pts = number * VIDEO_CLOCK_HZ // FPS
            self.slot.put(Frame(picture, pts, time.monotonic(), time.time()))
            number += 1

    def close(self) -> None:
        self.slot.close()
        self._thread.join()

    def _work(self) -> None:
        with closing(_make(self._variant, self._number)) as estimator:
            while (frame := self.slot.take()) is not None:
                estimator.estimate(frame, frame.pts)
                self._loop.call_soon_threadsafe(self._on_result, frame)

    def _on_result(self, frame: Frame) -> None:
        self.is_running.set()
        self.latencies_ms.append(1000 * (time.monotonic() - frame.received_mono))


async def _measure(variant: str, streams: int, pictures: Pictures) -> Cost:
    with ExitStack() as stack:
        running = [stack.enter_context(closing(Stream(variant, n))) for n in range(streams)]
        late_ms: list[float] = []
        tasks = [asyncio.create_task(stream.feed(pictures)) for stream in running]
        tasks.append(asyncio.create_task(_tick(late_ms)))
        async with asyncio.timeout(START_TIMEOUT_S):
            for stream in running:
                await stream.is_running.wait()
        await asyncio.sleep(WARM_UP_S)
        for figures in (late_ms, *(stream.latencies_ms for stream in running)):
            figures.clear()
        before, own_before = sum(map(cpu_s, _processes())), cpu_s(os.getpid())
        await asyncio.sleep(MEASURED_S)
        used_s = sum(map(cpu_s, _processes())) - before
        own_s = cpu_s(os.getpid()) - own_before
        memory = sum(map(memory_bytes, _processes()))
        latencies_ms = [each for stream in running for each in stream.latencies_ms]
        for task in tasks:
            task.cancel()
    frames = len(latencies_ms)
    return Cost(
        1000 * used_s / frames,
        1000 * own_s / frames,
        float(np.percentile(latencies_ms, 50)),
        float(np.percentile(latencies_ms, 95)),
        float(np.percentile(late_ms, 99)),
        memory / 1e6,
        frames / MEASURED_S,
    )


async def _tick(late_ms: list[float]) -> None:
    while True:
        due = time.monotonic() + TICK_S
        await asyncio.sleep(TICK_S)
        late_ms.append(1000 * (time.monotonic() - due))


def _processes() -> list[int]:
    """This one, the one that forks, and its children."""
    return list(_with_children(os.getpid()))


def _with_children(pid: int) -> Iterator[int]:
    yield pid
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="utf-8") as children:
            for child in children.read().split():
                yield from _with_children(int(child))


def main() -> None:
    """One variant at one size; the figures as JSON."""
    from tests.rigs.clips import prepare_clips  # here, so that it starts no process before
    from tests.rigs.probe_media import load_pictures

    parser = argparse.ArgumentParser(description="One measurement of --estimators.")
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("size", metavar="WxH")
    parser.add_argument("streams", type=int)
    given = parser.parse_args()
    width, height = (int(part) for part in given.size.split("x"))
    clips = prepare_clips()
    clip = clips.person if width * 3 == height * 4 else clips.person_720p
    pictures = load_pictures(clip, width, height)
    ensure_models([Complexity.FULL])
    cost = asyncio.run(_measure(given.variant, given.streams, pictures))
    nursery.close()
    print(json.dumps(asdict(cost)))


if __name__ == "__main__":
    main()
