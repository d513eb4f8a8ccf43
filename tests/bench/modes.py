"""What each video mode costs: one viewer, with landmarks, of an IP camera that sends H.264 in 720p.

The least it can be is the pose and the decoding alone (``bare.py``), of the same clip.
"""

from __future__ import annotations

import json
import time
import urllib.request
from typing import TYPE_CHECKING, Any

from tests.bench.bare import measure_bare
from tests.bench.child import BenchError, Child
from tests.bench.machine import threads_cpu_s
from tests.bench.servers import Target, ours
from tests.bench.table import figure, print_table
from tests.bench.viewers import JOIN_TIMEOUT_S, watchers
from tests.rigs.clips import prepare_clips
from tests.rigs.rtsp import RtspServer

if TYPE_CHECKING:
    from tests.bench.plan import Plan

SIZE = (1280, 720)
STREAM = "camera"
MODES = ("none", "plain", "annotated")
LIVE_TIMEOUT_S = 20.0
POLL_S = 0.1
ALLOWED_MS = 2.5
CAMERA_FPS = 30
THREADS = ("mediapipe", "event loop", "other threads")


def modes(plan: Plan) -> dict[str, Any]:
    """Print the table; return the figures of each mode."""
    print("modes: what pose and decoding cost alone …", flush=True)
    bare = measure_bare(*SIZE, plan.bare_frames)
    least_ms = bare.ours_ms + bare.decode_clip_ms
    found: dict[str, Any] = {"bare_pose_ms": bare.ours_ms, "bare_decode_ms": bare.decode_clip_ms}
    rows = []
    clip = prepare_clips().person_720p
    with RtspServer({"/cam": clip}) as camera, ours() as target, watchers() as child:
        _add(target, camera.url("/cam"))
        for mode in MODES:
            print(f"mode {mode} …", flush=True)
            try:
                found[mode] = _measure(plan, target, child, mode)
            except BenchError as error:
                found[mode] = {"error": str(error)}
                print(f"failed: {error}", flush=True)
            rows.append([mode, *_cells(found[mode], least_ms, mode)])
    print_table(
        f"One viewer of an IP camera, H.264 1280x720 at 30 fps, {plan.seconds:g} s; alone, CPU ms a"
        f" frame: our estimator {bare.ours_ms:.1f}, decoding {bare.decode_clip_ms:.2f}",
        [
            "video=",
            "server CPU ms / frame",
            "beyond pose + decoding",
            "messages /s",
            "frames /s",
            "kbit/s",
            "late p50 ms",
            "late p99 ms",
            "arrival to message p50 ms",
            "to reach",
        ],
        rows,
    )
    measured = {mode: found[mode] for mode in MODES if "error" not in found[mode]}
    print_table(
        "The same by threads, ms a frame, with the time in which the viewer joins",
        ["video=", *THREADS],
        [
            [mode, *(figure(each["threads_ms"][group], 2) for group in THREADS)]
            for mode, each in measured.items()
        ],
    )
    return found


def _add(target: Target, camera_url: str) -> None:
    """Add the camera and wait until it is live."""
    source = {"type": "rtsp", "url": camera_url}
    _ask(f"{target.base_url}/api/v1/streams", {"id": STREAM, "source": source})
    deadline = time.monotonic() + LIVE_TIMEOUT_S
    while _ask(f"{target.base_url}/api/v1/streams/{STREAM}")["state"] != "live":
        if time.monotonic() > deadline:
            raise BenchError(f"The camera did not come to life:\n{target.last_words()}")
        time.sleep(POLL_S)


def _ask(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def _measure(plan: Plan, target: Target, child: Child, mode: str) -> dict[str, Any]:
    job = {
        "url": f"{target.base_url}/whep/{STREAM}?video={mode}",
        "pid": target.pid,
        "viewers": 1,
        "channels": 1,
        "has_video": mode != "none",
        # The camera's own packets are H.264, and no other can be forwarded.
        "codec": "H264" if mode == "plain" else plan.codec,
        "warm_up_s": plan.warm_up_s,
        "seconds": plan.seconds,
    }
    begun_at, before = time.monotonic(), threads_cpu_s(target.pid)
    answer: dict[str, Any] = child.ask(job, JOIN_TIMEOUT_S + plan.warm_up_s + 2 * plan.seconds)
    frames = CAMERA_FPS * (time.monotonic() - begun_at)
    answer["threads_ms"] = {
        group: 1000 * (used_s - before[group]) / frames
        for group, used_s in threads_cpu_s(target.pid).items()
    }
    messages_per_s = answer["messages_per_s"][0] if answer["messages_per_s"] else 0
    answer["cpu_ms_per_frame"] = 1000 * answer["cpu"] / messages_per_s if messages_per_s else None
    return answer


def _cells(found: dict[str, Any], least_ms: float, mode: str) -> list[str]:
    if "error" in found:
        return ["failed", *[""] * 8]
    cost_ms, late = found["cpu_ms_per_frame"], found["lateness_ms"] or {}
    return [
        figure(cost_ms),
        figure(None if cost_ms is None else cost_ms - least_ms),
        figure(min(found["messages_per_s"], default=None)),
        figure(min(found["fps"], default=None)),
        figure(found["kbps"], 0),
        figure(late.get("50")),
        figure(late.get("99")),
        figure(found["server_total_p50_ms"]),
        "" if mode == "annotated" else f"beyond <= {ALLOWED_MS}",
    ]
