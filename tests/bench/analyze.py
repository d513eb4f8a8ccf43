"""``streamer analyze`` beside a bare loop: frames per second, and how many cores it keeps busy.

The loop is MediaPipe's own class as its documentation shows it, in one thread: decode a picture, turn it
into RGB, ``detect_for_video``, nothing written. It runs once with our bundle, which ``streamer analyze``
uses, and once with the published one. Its time begins when everything is loaded; that of
``streamer analyze`` is the whole command's, from the start of Python to its end.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import av
import mediapipe as mp
from mediapipe.tasks.python import BaseOptions, vision

from streamer.analyze.run import cores
from streamer.pose.models import Complexity, ensure_models
from tests.bench.child import BenchError, run_json
from tests.bench.table import figure, print_table
from tests.rigs.clips import prepare_clips

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.bench.plan import Plan

COPIES = 24
"""Of the clip of 258 frames: less would show how long Python takes to start. One long file has them all."""

QUICK_COPIES = 8
LOOP_COPIES = 4
TIMEOUT_S = 1200.0
TO_REACH = 0.9

Figures = dict[str, float]
"""``fps``; ``cores``: CPU time by time; ``cpu_ms``: a frame."""


def analyze(plan: Plan) -> dict[str, Any]:
    """Print the table; return every round's figures by row."""
    clip = prepare_clips().person
    copies = QUICK_COPIES if plan.rounds == 1 else COPIES
    found: dict[str, list[Figures]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [Path(shutil.copy(clip, folder / f"clip-{n:02}.mp4")) for n in range(copies)]
        long = [_repeat(clip, copies, folder / "long.mp4")]
        for number in range(plan.rounds):
            print(f"analyze, round {number + 1} …", flush=True)
            rows: dict[str, Callable[[], Figures]] = {
                "bare loop": lambda: _loop(files[:LOOP_COPIES]),
                "bare loop, published bundle": lambda: _loop(files[:LOOP_COPIES], "--published"),
                f"{copies} files, --no-video": lambda: _ours(files, "--no-video"),
                f"{copies} files, with video": lambda: _ours(files),
                "1 long file, --no-video": lambda: _ours(long, "--no-video"),
                "1 long file, with video": lambda: _ours(long),
            }
            for row, measure in rows.items():
                found.setdefault(row, []).append(measure())
    _print(found, copies)
    return dict(found)


def _print(found: dict[str, list[Figures]], copies: int) -> None:
    middle = {
        row: {key: median(each[key] for each in rounds) for key in rounds[0]}
        for row, rounds in found.items()
    }
    bare = middle["bare loop"]
    ideal = cores() * bare["fps"]
    rows = [
        [
            row,
            figure(each["fps"]),
            figure(each["cores"], 2),
            figure(each["cpu_ms"]),
            "" if row.startswith("bare") else figure(each["fps"] / ideal, 2),
            "" if row.startswith("bare") else figure(bare["cpu_ms"] / each["cpu_ms"], 2),
        ]
        for row, each in middle.items()
    ]
    header = ["", "frames /s", "cores busy", "CPU ms / frame"]
    print_table(
        f"streamer analyze on {cores()} cores, 640x480, {copies * 258} frames, medians; to reach with"
        f" several files: {TO_REACH} of cores x loop",
        [*header, "of cores x loop", "loop's CPU / its CPU"],
        rows,
    )


def _repeat(clip: Path, times: int, target: Path) -> Path:
    """The clip so often, one after the other, packets untouched."""
    with av.open(str(target), "w") as joined:
        stream = None
        for number in range(times):
            with av.open(str(clip)) as container:
                source = container.streams.video[0]
                stream = stream or joined.add_stream_from_template(source)
                for packet in container.demux(source):
                    if packet.pts is None or packet.dts is None:
                        continue
                    offset = number * (source.duration or 0)
                    packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                    packet.stream = stream
                    joined.mux(packet)
    return target


def _loop(files: Sequence[Path], *more: str) -> Figures:
    figures: Figures = run_json(["tests.bench.analyze", *map(str, files), *more], TIMEOUT_S)
    return figures


def _ours(files: Sequence[Path], *more: str) -> Figures:
    with tempfile.TemporaryDirectory(dir=files[0].parent) as out:
        command = [sys.executable, "-m", "streamer", "analyze", *map(str, files), "-o", out, *more]
        used_s, begun_s = _children_s(), time.perf_counter()
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        took_s = time.perf_counter() - begun_s
        if done.returncode != 0:
            raise BenchError(f"streamer analyze failed:\n{done.stdout}\n{done.stderr}")
        frames = sum(path.read_bytes().count(b"\n") for path in Path(out).glob("*.jsonl"))
    return _figures(frames, took_s, _children_s() - used_s)


def _children_s() -> float:
    """CPU time of all processes that were started and have ended, and of those that they started."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _figures(frames: int, took_s: float, cpu_s: float) -> Figures:
    return {"fps": frames / took_s, "cores": cpu_s / took_s, "cpu_ms": 1000 * cpu_s / frames}


def _run_loop(files: Sequence[Path], *, published: bool) -> Figures:
    (model,) = ensure_models([Complexity.FULL], segmentation=published)
    options = vision.PoseLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(model)),
        running_mode=vision.RunningMode.VIDEO,
    )
    frames, used_s, begun_s = 0, time.process_time(), time.perf_counter()
    for path in files:
        landmarker = vision.PoseLandmarker.create_from_options(options)
        with landmarker, av.open(str(path)) as container:
            for frame in container.decode(video=0):
                rgb = frame.to_ndarray(format="rgb24")
                image = mp.Image(image_format=mp.ImageFormat.SRGB, data=rgb)
                landmarker.detect_for_video(image, round((frame.time or 0) * 1000))
                frames += 1
    return _figures(frames, time.perf_counter() - begun_s, time.process_time() - used_s)


def main() -> None:
    """Print the loop's figures as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--published", action="store_true")
    given = parser.parse_args()
    print(json.dumps(_run_loop(given.files, published=given.published)))


if __name__ == "__main__":
    main()
