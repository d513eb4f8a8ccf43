"""Pictures: how long one takes over HTTP beside MediaPipe alone, and what a flood of them does to a live
stream.

MediaPipe alone is a process that decodes the same file with Pillow and calls ``detect`` of mp.tasks in
IMAGE mode, with the bundle as published and with ours. The flood is four clients that send pictures of
12 megapixels without a pause. For the record it is run against the service as it is, whose pictures have
a process of their own, and against one that analyses them in a thread (docs/decisions/0014).
"""

from __future__ import annotations

import http.client
import os
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from streamer.pose.models import Complexity, ensure_models
from tests.bench.child import Child, run_json
from tests.bench.servers import Target
from tests.bench.table import figure, print_table
from tests.rigs.clips import prepare_clips
from tests.rigs.pictures import file_of, person_picture, phone_picture
from tests.rigs.server import StreamerServer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tests.bench.plan import Plan

SIZE = (640, 480)
BARE_TIMEOUT_S = 180.0
ANSWERS = {
    "JSON without picture": ("?image=none", "application/json"),
    "annotated JPEG": ("", "image/jpeg"),
    "JSON with picture": ("", "application/json"),
}
SERVERS = {"in a process (ours)": "streamer", "in a thread": "tests.bench.thread_server"}
TARGET = 1.3


def images(plan: Plan) -> dict[str, Any]:
    """Print both tables; return every figure."""
    clip = prepare_clips().person
    with tempfile.TemporaryDirectory() as folder:
        small, phone = Path(folder) / "frame.jpg", Path(folder) / "phone.jpg"
        small.write_bytes(file_of(person_picture(clip), "JPEG", quality=90))
        phone.write_bytes(phone_picture(clip))
        found: dict[str, Any] = {"answers": {}, "flood": {}}
        for name, file in (("640x480", small), ("4000x3000", phone)):
            print(f"a picture of {name} …", flush=True)
            found["answers"][name] = _answers(plan, file)
        _print_answers(found["answers"])
        found["lateness"] = _lateness(plan, phone)
        for number in range(plan.rounds):  # in turn, since the machine's speed varies
            for name, module in SERVERS.items():
                print(f"a live stream and pictures {name}, round {number + 1} …", flush=True)
                for run, each in _flood(plan, module, phone).items():
                    found["flood"].setdefault(f"{name}: {run}", []).append(each)
        _print_flood(found["flood"])
    return found


# -- one picture --------------------------------------------------------------------------------------


def _answers(plan: Plan, file: Path) -> dict[str, float]:
    """Medians in ms. MediaPipe alone and the service take turns, since the machine's speed varies."""
    published, ours = (
        str(ensure_models([Complexity.FULL], segmentation=kept)[0]) for kept in (True, False)
    )
    times: dict[str, list[float]] = {}
    count = max(5, plan.bare_frames // 8)
    with _server("streamer") as target:
        for _ in range(plan.rounds):
            for name, model in (("bare, published", published), ("bare, our model", ours)):
                command = ["tests.bench.images_worker", "bare", str(file), model, str(count)]
                times.setdefault(name, []).extend(run_json(command, BARE_TIMEOUT_S))
            for name, (query, accept) in ANSWERS.items():
                answered = _ask(target, file.read_bytes(), query, accept, count)
                times.setdefault(name, []).extend(answered)
    return {name: median(each) for name, each in times.items()}


def _ask(target: Target, picture: bytes, query: str, accept: str, count: int) -> list[float]:
    """ms of each of ``count`` requests, after one that warms up."""
    host = target.base_url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=60)
    headers = {"Content-Type": "image/jpeg", "Accept": accept}
    times = []
    for _ in range(count + 1):
        begun = time.perf_counter()
        connection.request("POST", f"/api/v1/images{query}", picture, headers)
        response = connection.getresponse()
        body = response.read()
        times.append(1000 * (time.perf_counter() - begun))
        assert response.status == 200, body
    connection.close()
    return times[1:]


def _print_answers(answers: Mapping[str, Mapping[str, float]]) -> None:
    rows = []
    for size, times in answers.items():
        bare_ms = times["bare, published"]
        for name, ms in times.items():
            rows.append([f"{size}: {name}", figure(ms), figure(ms / bare_ms, 2)])
    title = f"A picture answered, p50 (to reach: at most {TARGET} x bare with the published model)"
    print_table(title, ("", "ms", "/ bare"), rows)


# -- what shares an interpreter with pictures --------------------------------------------------------


def _lateness(plan: Plan, file: Path) -> dict[str, list[dict[str, float]]]:
    """Print the table; return each round's figures."""
    (model,) = ensure_models([Complexity.FULL])
    found: dict[str, list[dict[str, float]]] = {}
    for number in range(plan.rounds):
        for mode in ("alone", "process", "thread"):
            print(f"lateness {mode}, round {number + 1} …", flush=True)
            command = ["lateness", mode, str(file), str(model), str(plan.seconds)]
            late = run_json(["tests.bench.images_worker", *command], BARE_TIMEOUT_S)
            p50, p95, p99 = (float(np.percentile(late, share)) for share in (50, 95, 99))
            found.setdefault(mode, []).append({"p50_ms": p50, "p95_ms": p95, "p99_ms": p99})
    rows = [
        [
            mode,
            *(
                figure(_median(each[key] for each in runs))
                for key in ("p50_ms", "p95_ms", "p99_ms")
            ),
        ]
        for mode, runs in found.items()
    ]
    title = (
        "How late a thread of the service wakes up, beside pictures in a process and in a thread"
    )
    print_table(title, ("pictures", "p50 ms", "p95 ms", "p99 ms"), rows)
    return found


# -- a flood beside a live stream ---------------------------------------------------------------------


def _flood(plan: Plan, module: str, file: Path) -> dict[str, dict[str, float | None]]:
    found: dict[str, dict[str, float | None]] = {}
    with _server(module) as target:
        for name in ("alone", "with the flood"):
            if name == "alone":
                found[name] = _live(plan, target)
                continue
            command = [sys.executable, "-m", "tests.bench.images_worker", "flood"]
            inherited = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
            with Child([*command, target.base_url, str(file)], inherited) as flood:
                found[name] = _live(plan, target) | flood.ask({}, timeout_s=90)
    return found


def _live(plan: Plan, target: Target) -> dict[str, float | None]:
    result = plan.probe.run(target, plan.options(SIZE, plan.stream_seconds)).one
    return {
        "fps": result.fps_back,
        "p50_ms": result.rtt_p50_ms,
        "p95_ms": result.rtt_p95_ms,
        "gap_ms": result.frame_gap_max_ms,
    }


def _print_flood(found: Mapping[str, Sequence[Mapping[str, float | None]]]) -> None:
    keys = ("fps", "p50_ms", "p95_ms", "gap_ms", "answered_per_s", "refused_per_s")
    rows = [
        [name, *(figure(_median(each.get(key) for each in runs)) for key in keys)]
        for name, runs in found.items()
    ]
    header = (
        "pictures",
        "frames back /s",
        "p50 ms",
        "p95 ms",
        "longest gap ms",
        "answered /s",
        "503 /s",
    )
    print_table(
        "A live stream of 640x480 at 30 fps beside pictures of 12 megapixels, medians of the rounds",
        header,
        rows,
    )


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


@contextmanager
def _server(module: str) -> Iterator[Target]:
    with tempfile.TemporaryDirectory() as folder:
        server = StreamerServer(Path(folder), module=module)
        server.start()
        try:
            url = f"{server.url}/webcam"
            yield Target("ours", server.url, url, "webcam", server.pid, server.log_tail)
        finally:
            server.kill()
