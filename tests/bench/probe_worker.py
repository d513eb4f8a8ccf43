"""The probe in a process of its own, for the whole run: each clip is encoded once.

Reads jobs (JSON, one a line) and answers each with one line; see ``watch.py``, which asks.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import aiohttp
import numpy as np

from tests.bench.jobs import serve_jobs
from tests.bench.machine import memory_bytes, tree_cpu_s
from tests.bench.psnr import psnr_db, untouched
from tests.rigs.probe_record import ProbeRecord
from tests.rigs.webrtc_probe import ProbeMedia, ProbeOptions, prepare_media, run_probe

if TYPE_CHECKING:
    from collections.abc import Sequence

CPU_SAMPLE_S = 0.1


class Worker:
    """Does jobs; keeps the media of every size that it has sent."""

    def __init__(self) -> None:
        self._media: dict[ProbeOptions, ProbeMedia] = {}

    def prepare(self, options: ProbeOptions) -> ProbeMedia:
        key = replace(options, url="", mode="", seconds=0, warm_up_s=0, token=None, binary=False)
        if key not in self._media:
            self._media.clear()  # one size is hundreds of megabytes, and sizes come one after another
            self._media[key] = prepare_media(options)
        return self._media[key]

    async def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """The job's ``streams`` at once against the server of process ``pid``."""
        options = ProbeOptions(**job["options"])
        media = self.prepare(options)
        records = [ProbeRecord() for _ in range(job["streams"])]
        watcher = Watcher(job["pid"])
        sampler = asyncio.create_task(watcher.run())
        reader = asyncio.create_task(_memory_at_end(job["pid"], records, options))
        try:
            async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
                probes = [
                    group.create_task(run_probe(options, media, http, record)) for record in records
                ]
        finally:
            sampler.cancel()
            reader.cancel()
        landmarks = job.get("landmarks")
        return {
            "results": [asdict(probe.result()) for probe in probes],
            "cpu_ms_per_frame": watcher.cpu_ms_per_frame(records, options.seconds),
            "memory_bytes": reader.result() if reader.done() and not reader.cancelled() else None,
            "psnr_db": _psnr_db(records, media, landmarks) if landmarks else None,
            "stage_ms": _stages(records, options.seconds),
            "arrivals": [[at - r.begun_at for at, _ in r.frames] for r in records],
        }


class Watcher:
    """Samples a process's CPU time."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._samples: list[tuple[float, float]] = []

    async def run(self) -> None:
        while True:
            self._samples.append((time.monotonic(), tree_cpu_s(self._pid)))
            await asyncio.sleep(CPU_SAMPLE_S)

    def cpu_ms_per_frame(self, records: Sequence[ProbeRecord], seconds: float) -> float | None:
        """Over the time in which the figures of all streams were taken; None without a frame."""
        begun_at = max(record.begun_at for record in records)
        ended_at = min(record.begun_at for record in records) + seconds
        times, used = zip(*self._samples, strict=True)
        used_s = float(np.interp(ended_at, times, used) - np.interp(begun_at, times, used))
        arrivals = [at for record in records for at, _ in record.frames]
        arrivals += [at for record in records for at in record.unread]
        frames = sum(begun_at <= at < ended_at for at in arrivals)
        return 1000 * used_s / frames if frames else None


async def _memory_at_end(pid: int, records: Sequence[ProbeRecord], options: ProbeOptions) -> int:
    """Read just before the end of the measured time, while the streams run."""
    for record in records:
        await record.first_frame.wait()
    await asyncio.sleep(options.warm_up_s + options.seconds - 0.2)
    return memory_bytes(pid)


def _psnr_db(records: Sequence[ProbeRecord], media: ProbeMedia, landmarks: Any) -> float | None:
    assert media.clip is not None
    height, width = next(iter(media.clip.luma.values())).shape
    masks = {
        number: untouched(landmarks[media.clip.positions[number]], width, height)
        for number in media.clip.luma
    }
    return psnr_db([each for r in records for each in r.kept], media.clip.luma, masks)


def _stages(records: Sequence[ProbeRecord], seconds: float) -> dict[str, float]:
    """The medians of what the messages tell of a frame's time in the server; {} if they don't."""
    found: dict[str, list[float]] = {}
    for record in records:
        for at, message in record.messages:
            if record.begun_at <= at < record.begun_at + seconds:
                for stage, value in message.get("latency_ms", {}).items():
                    found.setdefault(stage, []).append(value)
    return {stage: float(np.median(values)) for stage, values in found.items()}


if __name__ == "__main__":
    serve_jobs(Worker().run)
