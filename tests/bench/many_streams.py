"""Several streams at once for a minute: does anybody's latency grow?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.bench.servers import Target, ours, stock
from tests.bench.table import figure, print_table
from tests.bench.watch import run

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tests.rigs.probe_record import ProbeRecord, ProbeResult
    from tests.rigs.webrtc_probe import ProbeOptions

WINDOW_S = 10.0
Series = list[tuple[float, float]]  # (s since the start of the measured time, ms)


def our_streams(options: ProbeOptions, streams: int) -> dict[str, Any]:
    """Print how ours holds; every stream's p95 is to stay <= 400 ms and not to grow."""
    return _measure(ours(), options, streams)


def stock_streams(options: ProbeOptions, streams: int) -> dict[str, Any]:
    """Print how the stock pattern holds."""
    return _measure(stock(), options, streams)


def _measure(
    server: AbstractContextManager[Target], options: ProbeOptions, streams: int
) -> dict[str, Any]:
    with server as target:
        print(f"{streams} streams, {target.name} …", flush=True)
        seen = run(target, options, streams)
    found, rows = [], []
    for number, (result, record) in enumerate(zip(seen.results, seen.records, strict=True), 1):
        held = {
            "round trip": _reduce(_round_trips(record), options.seconds),
            "in the server": _reduce(_server_latency(record), options.seconds),
        }
        found.append(
            {"fps_back": result.fps_back, "messages_per_s": result.messages_per_s, "latency": held}
        )
        rows += [_row(number, result, name, each) for name, each in held.items() if each]
    print_table(
        f"{streams} streams on {target.name}, {options.width}x{options.height} at {options.fps} fps,"
        f" {options.seconds:g} s; server CPU {seen.cpu_ms_per_frame:.1f} ms / frame",
        [
            "stream",
            "frames back /s",
            "latency",
            f"p95 of each {WINDOW_S:g} s, ms",
            "slope, ms / min",
        ],
        rows,
    )
    return {"streams": found, "cpu_ms_per_frame": seen.cpu_ms_per_frame}


def _row(number: int, result: ProbeResult, name: str, held: dict[str, Any]) -> list[str]:
    windows = "  ".join(f"{figure(ms, 0):>4}" for ms in held["p95_ms"])
    slope = f"{held['slope_ms_per_min']:+.1f}"
    return [str(number), figure(result.fps_back), name, windows, slope]


def _round_trips(record: ProbeRecord) -> Series:
    """From before the probe's encoding to after its decoding."""
    return [(at - record.begun_at, 1000 * rtt_s) for at, rtt_s in record.frames]


def _server_latency(record: ProbeRecord) -> Series:
    """From a frame's arrival to its result, as the messages tell; the stock pattern says nothing."""
    return [
        (at - record.begun_at, message["latency_ms"]["total"])
        for at, message in record.messages
        if "latency_ms" in message
    ]


def _reduce(series: Series, seconds: float) -> dict[str, Any] | None:
    """The p95 of each window, and the slope of the least-squares line through all values."""
    within = np.array([(at, ms) for at, ms in series if 0 <= at < seconds])
    if len(within) == 0:
        return None
    at_s, ms = within.T
    windows = [ms[at_s // WINDOW_S == number] for number in range(math.ceil(seconds / WINDOW_S))]
    return {
        "p95_ms": [float(np.percentile(part, 95)) if len(part) else None for part in windows],
        "slope_ms_per_min": 60 * float(np.polyfit(at_s, ms, 1)[0]),
    }
