"""Several webcam streams at once: does anybody's latency grow, and is the machine shared fairly?

The probe runs on the same cores.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.bench.child import BenchError
from tests.bench.plan import Plan, size_text
from tests.bench.servers import Target, ours, stock
from tests.bench.table import figure, print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from tests.bench.watch import Run

SIZE = (640, 480)
HEADER = (
    "server, streams",
    "frames back /s, each",
    "lowest / highest",
    "p50 ms, each",
    "p95 ms, each",
    "p95 / single's",
    "slope ms / s",
    "longest gap ms",
    "CPU ms / frame",
    "to reach",
)
TARGETS = {1: "", 2: "fps >= 27, p95 <= 1.3 x", 4: "flat, fair"}


def streams(plan: Plan) -> dict[str, Any]:
    """Print the table; return each stream's figures."""
    found: dict[str, Any] = {}
    rows: list[list[str]] = []
    for server, counts in ((ours, plan.streams), (stock, plan.stock_streams)):
        rows += _of(plan, server, counts, found)
    print_table(
        f"Streams at once, {size_text(SIZE)} at 30 fps, {plan.stream_seconds:g} s,"
        " the probe on the same cores",
        HEADER,
        rows,
    )
    return found


def _of(
    plan: Plan,
    server: Callable[[], AbstractContextManager[Target]],
    counts: Sequence[int],
    found: dict[str, Any],
) -> list[list[str]]:
    rows: list[list[str]] = []
    single_p95_ms: float | None = None
    if not counts:
        return rows
    with server() as target:
        for count in counts:
            name = f"{target.name}, {count}"
            print(f"{name} streams …", flush=True)
            try:
                run = plan.probe.run(target, plan.options(SIZE, plan.stream_seconds), count)
            except BenchError as error:
                print(f"failed: {error}", flush=True)
                rows.append([name, "failed", *[""] * (len(HEADER) - 2)])
                continue
            if count == 1:
                single_p95_ms = run.one.rtt_p95_ms
            found[name] = reduce(run, single_p95_ms)
            target_text = TARGETS.get(count, "") if target.name == "ours" else ""
            rows.append([name, *_cells(found[name]), target_text])
    return rows


def reduce(run: Run, single_p95_ms: float | None) -> dict[str, Any]:
    """Of the slopes and gaps the worst is kept; figures are None where nothing came back."""
    fps = [result.fps_back for result in run.results]
    p95_ms = [result.rtt_p95_ms for result in run.results]
    worst_ms = max((each for each in p95_ms if each is not None), default=None)
    slopes = [r.rtt_slope_ms_per_s for r in run.results if r.rtt_slope_ms_per_s is not None]
    gaps = [r.frame_gap_max_ms for r in run.results if r.frame_gap_max_ms is not None]
    return {
        "fps": fps,
        "fairness": min(fps) / max(fps) if max(fps) else None,
        "p50_ms": [result.rtt_p50_ms for result in run.results],
        "p95_ms": p95_ms,
        "p95_to_single": worst_ms / single_p95_ms if worst_ms and single_p95_ms else None,
        "slope_ms_per_s": max(slopes, key=abs, default=None),
        "gap_max_ms": max(gaps, default=None),
        "cpu_ms_per_frame": run.cpu_ms_per_frame,
        "messages_per_s": float(np.mean([result.messages_per_s for result in run.results])),
        "results": [asdict(result) for result in run.results],
    }


def _cells(found: dict[str, Any]) -> list[str]:
    slope = found["slope_ms_per_s"]
    return [
        "  ".join(figure(each) for each in found["fps"]),
        figure(found["fairness"], 2),
        "  ".join(figure(each, 0) for each in found["p50_ms"]),
        "  ".join(figure(each, 0) for each in found["p95_ms"]),
        figure(found["p95_to_single"], 2),
        "-" if slope is None else f"{slope:+.1f}",
        figure(found["gap_max_ms"], 0),
        figure(found["cpu_ms_per_frame"]),
    ]
