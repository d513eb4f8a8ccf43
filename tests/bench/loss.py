"""A bad network: 5 % of the packets lost each way, 50 ms round trip, then none for 5 s; ours and stock.

The relay of the tests is the network. The probe encodes live, so that it can answer a request for a key
frame, estimates the network as aiortc does, and asks for lost packets again as browsers do.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from tests.bench.child import BenchError, Child
from tests.bench.loss_worker import JOIN_S, Job
from tests.bench.plan import Plan, size_text
from tests.bench.servers import Target, ours, stock
from tests.bench.table import figure, print_table

SIZE = (640, 480)
LOSS = 0.05
ROUND_TRIP_S = 0.05
SETTLE_S = 4.0
BLACKOUT_S = 5.0
WATCH_S = 6.0  # after it
TARGETS = ("", ">= 25", "<= 1", "", "", "<= 2", "")


def loss(plan: Plan) -> dict[str, Any]:
    """Print the table; return each server's figures."""
    found: dict[str, Any] = {}
    rows = []
    seconds = 2 * plan.seconds
    with Child([sys.executable, "-m", "tests.bench.loss_worker"]) as worker:
        for server in (ours, stock):
            with server() as target:
                print(f"a bad network, {target.name} …", flush=True)
                try:
                    found[target.name] = answer = _measure(plan, target, worker, seconds)
                except BenchError as error:
                    print(f"failed: {error}", flush=True)
                    rows.append([target.name, "failed", *[""] * (len(TARGETS) - 2)])
                    continue
                rows.append([target.name, *_cells(answer)])
    print_table(
        f"Over a bad network, {size_text(SIZE)} at 30 fps: {100 * LOSS:g} % of the packets lost each"
        f" way, {1000 * ROUND_TRIP_S:g} ms round trip, {seconds:g} s; then nothing for {BLACKOUT_S:g} s",
        [
            "server",
            "frames back /s",
            "longest freeze s",
            "round trip p50 ms",
            "p95 ms",
            "back after the gap s",
            "kbit/s",
        ],
        [*rows, ["to reach, ours", *TARGETS[1:]]],
    )
    return found


def _measure(plan: Plan, target: Target, worker: Child, seconds: float) -> dict[str, Any]:
    options = replace(
        plan.options(SIZE), url=target.url, mode=target.mode, live=True, warm_up_s=SETTLE_S
    )
    job = Job(options, seconds, LOSS, ROUND_TRIP_S, BLACKOUT_S, WATCH_S)
    timeout_s = JOIN_S + SETTLE_S + 2 * (seconds + BLACKOUT_S + WATCH_S)
    try:
        answer: dict[str, Any] = worker.ask(job.as_dict(), timeout_s)
    except BenchError as error:
        raise BenchError(f"{target.name}: {error}\n{target.last_words()}".strip()) from error
    return answer


def _cells(found: dict[str, Any]) -> list[str]:
    result = found["result"]  # a ProbeResult's fields
    gap_ms = result["frame_gap_max_ms"]
    back_s = found["recovery_s"]
    return [
        figure(result["fps_back"]),
        figure(None if gap_ms is None else gap_ms / 1000, 2),
        figure(result["rtt_p50_ms"], 0),
        figure(result["rtt_p95_ms"], 0),
        f"not within {WATCH_S:g}" if back_s is None else figure(back_s, 2),
        figure(result["received_kbps"], 0),
    ]
