"""Many viewers of one stream (WHEP, annotated), which a publisher of the bench sends by WHIP.

The server's CPU is told in all, and beyond the pose: what our estimator costs alone on the same pictures
(``bare.py``). Lateness is from the frame's arrival at the server to that of its last packet at a viewer, by
one clock; the viewers' process needs time for itself, so it is rather too high than too low. Without
landmark channels one viewer has one all the same: its messages tell what the lateness needs.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.bench.bare import measure_bare
from tests.bench.child import BenchError, Child
from tests.bench.plan import Plan, size_text
from tests.bench.servers import ours
from tests.bench.table import figure, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.servers import Target

SIZE = (640, 480)
STREAM = "bench"
MORE_PEERS = {"STREAMER_WEBRTC__MAX_PEERS": "128"}
JOIN_TIMEOUT_S = 90.0
HEADER = (
    "viewers",
    "channels",
    "server CPU %",
    "beyond the pose %",
    "x that of 1",
    "beyond 0 viewers %",
    "fps, lowest",
    "messages /s, lowest",
    "late p50 ms",
    "late p99 ms",
    "kbit/s each",
    "packets lost",
    "viewers' CPU %",
    "to reach",
)
TARGETS = {(20, False): "x <= 1.6", (50, False): "p99 <= 33"}


@contextmanager
def publisher(target: Target) -> Iterator[None]:
    """A camera of ``SIZE`` under the name ``STREAM``."""
    command = [sys.executable, "-m", "tests.bench.publisher", "--size", size_text(SIZE)]
    with Child([*command, "--url", f"{target.base_url}/whip/{STREAM}"]):
        yield


@contextmanager
def watchers() -> Iterator[Child]:
    """The viewers' process, which takes jobs."""
    with Child([sys.executable, "-m", "tests.bench.viewers_worker"]) as child:
        yield child


def viewers(plan: Plan) -> dict[str, Any]:
    """Print the table; return the figures of each number of viewers."""
    print("viewers: what the pose costs alone …", flush=True)
    pose_cpu = measure_bare(*SIZE, plan.bare_frames).ours_ms * 30 / 1000
    found: list[dict[str, Any]] = []
    with ours(MORE_PEERS) as target, publisher(target), watchers() as child:
        for count in sorted({0, 1, *plan.viewers}):
            for has_channels in (False, True) if count > 1 else (count == 1,):
                try:
                    found.append(_measure(plan, target, child, count, has_channels))
                except BenchError as error:
                    print(f"failed: {error}\n{target.last_words()}", flush=True)
                    break
    _relate(found, pose_cpu)
    print_table(
        f"Viewers of one annotated stream, {size_text(SIZE)} at 30 fps, {plan.seconds:g} s each;"
        f" the pose alone: {100 * pose_cpu:.1f} % of a core",
        HEADER,
        [_row(each) for each in found],
    )
    return {"pose_cpu": pose_cpu, "runs": found}


def _measure(
    plan: Plan, target: Target, child: Child, count: int, has_channels: bool
) -> dict[str, Any]:
    print(f"{count} viewers{', all with channels' if has_channels else ''} …", flush=True)
    job = {
        "url": f"{target.base_url}/whep/{STREAM}",
        "pid": target.pid,
        "viewers": count,
        "channels": count if has_channels else min(count, 1),
        "has_video": True,
        "codec": plan.codec,
        "warm_up_s": plan.warm_up_s,
        "seconds": plan.seconds,
    }
    answer = child.ask(job, JOIN_TIMEOUT_S + plan.warm_up_s + 2 * plan.seconds)
    return {"viewers": count, "has_channels": has_channels, **answer}


def _relate(found: list[dict[str, Any]], pose_cpu: float) -> None:
    """Add what is left without the pose, and its ratio to that of one viewer."""
    cpu = {each["viewers"]: each["cpu"] for each in found if each["viewers"] < 2}
    for each in found:
        beyond = each["cpu"] - pose_cpu
        each["cpu_beyond_pose"] = beyond
        each["cpu_beyond_none"] = each["cpu"] - cpu[0] if 0 in cpu else None
        one = cpu[1] - pose_cpu if 1 in cpu else None
        each["ratio_to_one"] = beyond / one if one and one > 0 and each["viewers"] else None


def _row(each: dict[str, Any]) -> list[str]:
    late = each["lateness_ms"] or {}
    beyond_none = each["cpu_beyond_none"]
    return [
        str(each["viewers"]),
        "all" if each["has_channels"] else "one" if each["viewers"] else "",
        figure(100 * each["cpu"]),
        figure(100 * each["cpu_beyond_pose"]),
        figure(each["ratio_to_one"], 2),
        figure(None if beyond_none is None else 100 * beyond_none),
        figure(min(each["fps"], default=None)),
        figure(min(each["messages_per_s"], default=None)),
        figure(late.get("50")),
        figure(late.get("99")),
        figure(each["kbps"], 0),
        str(each["lost_packets"]),
        figure(100 * each["viewers_cpu"]),
        TARGETS.get((each["viewers"], each["has_channels"]), ""),
    ]
