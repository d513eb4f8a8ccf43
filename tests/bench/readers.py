"""Many programs that read one stream's landmarks over WebSockets, which a publisher of the bench sends.

What the stream itself says of its frames (rate, drops, latency from arrival to message) tells whether the
source is disturbed. Lateness is from the frame's arrival at the server to the message's at a reader, by one
clock; all readers share a process, which needs time for itself.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tests.bench.bare import measure_bare
from tests.bench.child import BenchError, Child
from tests.bench.servers import ours
from tests.bench.table import figure, print_table
from tests.bench.viewers import SIZE, STREAM, publisher

if TYPE_CHECKING:
    from tests.bench.plan import Plan
    from tests.bench.servers import Target

JOIN_TIMEOUT_S = 30.0
HEADER = (
    "readers",
    "form",
    "server CPU %",
    "beyond the pose %",
    "% each",
    "frames /s",
    "dropped",
    "to message p95 ms",
    "messages /s, lowest",
    "lost",
    "late p50 ms",
    "late p99 ms",
    "readers' CPU %",
)


def readers(plan: Plan) -> dict[str, Any]:
    """Print the table; return the figures of each number of readers."""
    print("readers: what the pose costs alone …", flush=True)
    pose_cpu = measure_bare(*SIZE, plan.bare_frames).ours_ms * 30 / 1000
    found: list[dict[str, Any]] = []
    command = [sys.executable, "-m", "tests.bench.readers_worker"]
    with ours() as target, publisher(target), Child(command) as child:
        for count in sorted({0, *plan.readers}):
            for form in ("binary", "json") if count else ("",):
                try:
                    found.append(_measure(plan, target, child, count, form))
                except BenchError as error:
                    print(f"failed: {error}\n{target.last_words()}", flush=True)
                    break
    print_table(
        f"Readers of one stream's landmarks (WebSocket), 30 frames/s, {plan.seconds:g} s each;"
        f" the pose alone: {100 * pose_cpu:.1f} % of a core",
        HEADER,
        [_row(each, pose_cpu, found[0]["cpu"]) for each in found],
    )
    return {"pose_cpu": pose_cpu, "runs": found}


def _measure(plan: Plan, target: Target, child: Child, count: int, form: str) -> dict[str, Any]:
    print(f"{count} readers {form} …", flush=True)
    job = {
        "url": target.base_url,
        "stream": STREAM,
        "pid": target.pid,
        "readers": count,
        "form": form,
        "warm_up_s": plan.warm_up_s,
        "seconds": plan.seconds,
    }
    answer = child.ask(job, JOIN_TIMEOUT_S + plan.warm_up_s + 2 * plan.seconds)
    return {"readers": count, "form": form, **answer}


def _row(each: dict[str, Any], pose_cpu: float, cpu_of_none: float) -> list[str]:
    late, count = each["lateness_ms"] or {}, each["readers"]
    return [
        str(count),
        each["form"],
        figure(100 * each["cpu"]),
        figure(100 * (each["cpu"] - pose_cpu)),
        figure(100 * (each["cpu"] - cpu_of_none) / count if count else None, 2),
        figure(each["fps"]),
        str(each["dropped"]),
        figure(each["total_p95_ms"]),
        figure(min(each["messages_per_s"], default=None)),
        str(each["lost"]),
        figure(late.get("50")),
        figure(late.get("99")),
        figure(100 * each["readers_cpu"]),
    ]
