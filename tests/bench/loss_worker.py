"""The probe behind a bad network, in a process of its own; ``loss.py`` asks it.

Reads jobs (JSON, one a line) and answers each with one line.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

from tests.bench.jobs import serve_jobs
from tests.rigs.impairment import Conditions, Relay, rewrite_answer, running_relay, strip_offer
from tests.rigs.probe_record import ProbeRecord
from tests.rigs.webrtc_probe import ProbeMedia, ProbeOptions, prepare_media, run_probe

if TYPE_CHECKING:
    from collections.abc import Sequence

JOIN_S = 60.0
"""For decoding the clip, the connection and the first frame, on a busy machine."""


@dataclass(frozen=True)
class Job:
    """``seconds`` of ``loss`` (a share, each way) and ``round_trip_s`` after the probe's warm-up; then
    ``blackout_s`` without a packet, and ``watch_s`` to come back, with the loss again."""

    options: ProbeOptions
    seconds: float
    loss: float
    round_trip_s: float
    blackout_s: float
    watch_s: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class LossWorker:
    """Does jobs; keeps the pictures, which all have the same size."""

    def __init__(self) -> None:
        self._media: ProbeMedia | None = None

    async def run(self, wanted: dict[str, Any]) -> dict[str, Any]:
        job = Job(**{**wanted, "options": ProbeOptions(**wanted["options"])})
        self._media = self._media or prepare_media(job.options)
        total_s = job.seconds + job.blackout_s + job.watch_s
        options = ProbeOptions(**{**asdict(job.options), "seconds": total_s})
        record = ProbeRecord()
        conditions = Conditions(loss=job.loss, delay_s=job.round_trip_s / 2)
        async with (
            running_relay(conditions) as relay,
            aiohttp.ClientSession() as http,
            asyncio.TaskGroup() as tasks,
        ):
            gap = tasks.create_task(_go_dark(relay, record, job))
            probe = tasks.create_task(
                run_probe(
                    options,
                    self._media,
                    http,
                    record,
                    change_offer=strip_offer,
                    change_answer=lambda sdp: rewrite_answer(sdp, relay),
                )
            )
        first_ms = probe.result().first_frame_ms or 0.0
        return {
            "result": asdict(record.summarise(job.seconds, probe.result().stream_id, first_ms)),
            "recovery_s": recovery_s(record.frames, gap.result()),
            "lost": {"up": relay.up.lost, "down": relay.down.lost},
        }


async def _go_dark(relay: Relay, record: ProbeRecord, job: Job) -> float:
    """Turns the network off when the measured time is over; returns when it was on again, monotonic."""
    await record.first_frame.wait()
    await asyncio.sleep(job.options.warm_up_s + job.seconds)
    relay.blackout = True
    await asyncio.sleep(job.blackout_s)
    relay.blackout = False
    return time.monotonic()


def recovery_s(frames: Sequence[tuple[float, float]], since: float) -> float | None:
    """From then until the first frame is back that was sent after it; None if there was none.

    ``frames``: (arrival, round trip), s.
    """
    arrivals = [at for at, round_trip_s in frames if at - round_trip_s >= since]
    return min(arrivals) - since if arrivals else None


if __name__ == "__main__":
    serve_jobs(LossWorker().run)
