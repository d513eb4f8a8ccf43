"""One run of the probe against one server, with the server's CPU time beside it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import aiohttp
import numpy as np

from tests.bench.machine import cpu_s
from tests.rigs.clips import prepare_clips
from tests.rigs.probe_record import ProbeRecord, ProbeResult
from tests.rigs.webrtc_probe import ProbeOptions, load_pictures, run_probe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tests.bench.servers import Target

CPU_SAMPLE_S = 0.1


@dataclass(frozen=True)
class Run:
    """What each stream saw, and what a returned frame cost the server."""

    results: list[ProbeResult]
    records: list[ProbeRecord]
    cpu_ms_per_frame: float


def run(target: Target, options: ProbeOptions, streams: int = 1) -> Run:
    """Send ``streams`` clips at once to ``target``; ``options`` get its address."""
    options = replace(options, url=target.url, mode=target.mode)
    clips = prepare_clips()
    clip = clips.person if options.width * 3 == options.height * 4 else clips.person_720p
    pictures = load_pictures(clip, options.width, options.height)
    return asyncio.run(_run(target.pid, options, pictures, streams))


async def _run(
    pid: int, options: ProbeOptions, pictures: Sequence[NDArray[np.uint8]], streams: int
) -> Run:
    records = [ProbeRecord() for _ in range(streams)]
    samples: list[tuple[float, float]] = []
    sampler = asyncio.create_task(_sample_cpu(pid, samples))
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        probes = [group.create_task(run_probe(options, pictures, http, r)) for r in records]
    sampler.cancel()
    results = [probe.result() for probe in probes]
    return Run(results, records, _cpu_ms_per_frame(samples, records, options.seconds))


async def _sample_cpu(pid: int, samples: list[tuple[float, float]]) -> None:
    while True:
        samples.append((time.monotonic(), cpu_s(pid)))
        await asyncio.sleep(CPU_SAMPLE_S)


def _cpu_ms_per_frame(
    samples: Sequence[tuple[float, float]], records: Sequence[ProbeRecord], seconds: float
) -> float:
    """Over the time in which the figures of all streams were taken."""
    begun_at = max(record.begun_at for record in records)
    ended_at = min(record.begun_at for record in records) + seconds
    times, used = zip(*samples, strict=True)
    used_s = float(np.interp(ended_at, times, used) - np.interp(begun_at, times, used))
    arrivals = [at for record in records for at, _ in record.frames]
    arrivals += [at for record in records for at in record.unread]
    frames = sum(begun_at <= at < ended_at for at in arrivals)
    return 1000 * used_s / frames if frames else float("nan")
