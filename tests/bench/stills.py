"""JPEG pictures: what one costs in OpenCV's encoder (ours) and in FFmpeg's, and what readers of MJPEG cost
the server beside viewers by WebRTC, on the same stream in turn.

FFmpeg's encoder takes the planes as they are, but JPEG means the full range of levels: they are stretched
first, with a table. PSNR is against the frame itself, in RGB.
"""

from __future__ import annotations

import json
import math
import sys
import time
import urllib.request
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np

from streamer.pixels import JPEG_QUALITY, to_jpeg
from tests.bench.child import Child
from tests.bench.servers import ours
from tests.bench.table import figure, print_table
from tests.bench.viewers import STREAM, watchers
from tests.decoded import decode
from tests.rigs.clips import prepare_clips
from tests.rigs.rtsp import RtspServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from streamer.model import Frame
    from tests.bench.plan import Plan
    from tests.bench.servers import Target

FRAMES = 60
ROUNDS = 3
READERS = (1, 20)
FFMPEG_QUALITY = 4  # its quantiser, of 2 (best) to 31: about the bytes of ours
TIMEOUT_S = 90.0
_LEVELS = np.arange(256)
_FULL_LUMA = np.clip(np.round((_LEVELS - 16) * 255 / 219), 0, 255).astype(np.uint8)
_FULL_CHROMA = np.clip(np.round((_LEVELS - 128) * 255 / 224 + 128), 0, 255).astype(np.uint8)


def stills(plan: Plan) -> dict[str, Any]:
    """Print both tables; return their figures."""
    encoders = [each for clip in _clips() for each in _compare(clip)]
    header = ("encoder", "CPU ms", "kB", "PSNR dB")
    rows = [
        [each["name"], figure(each["ms"], 2), figure(each["kb"]), figure(each["psnr_db"])]
        for each in encoders
    ]
    print_table(f"One picture as JPEG: {FRAMES} frames, best of {ROUNDS}", header, rows)
    found: list[dict[str, Any]] = []
    with ours() as target, _camera(target), watchers() as viewers, _readers() as readers:
        for count in (0, *READERS):
            found.append(_measure(plan, target, readers, count, is_mjpeg=True))
            if count:
                found.append(_measure(plan, target, viewers, count, is_mjpeg=False))
    none = found[0]["cpu"]
    for each in found:
        frames_per_s = max(each["fps"], default=0.0)
        each["ms_a_frame"] = 1000 * (each["cpu"] - none) / frames_per_s if frames_per_s else None
    print_table(
        f"Readers of MJPEG and viewers by WebRTC of one annotated stream, 640x480 at 30 fps,"
        f" {plan.seconds:g} s each; with nobody: {100 * none:.1f} % of a core",
        ("watched by", "server CPU %", "CPU ms a frame beyond nobody", "fps, lowest"),
        [
            [
                each["name"],
                figure(100 * each["cpu"]),
                figure(each["ms_a_frame"]),
                figure(min(each["fps"], default=None)),
            ]
            for each in found
        ],
    )
    return {"encoders": encoders, "runs": found}


def _clips() -> Sequence[Sequence[Frame]]:
    clips = prepare_clips()
    return [decode(clip, FRAMES) for clip in (clips.person, clips.person_720p)]


def _compare(frames: Sequence[Frame]) -> list[dict[str, Any]]:
    size = f"{frames[0].width}x{frames[0].height}"
    return [
        {"name": f"{size}, OpenCV, quality {JPEG_QUALITY}", **_encode(frames, to_jpeg)},
        {
            "name": f"{size}, FFmpeg, quantiser {FFMPEG_QUALITY}",
            **_encode(frames, _Ffmpeg(frames[0])),
        },
    ]


def _encode(frames: Sequence[Frame], encode: Callable[[Frame], bytes]) -> dict[str, float]:
    best = math.inf
    for _ in range(ROUNDS):
        begun = time.process_time()
        pictures = [encode(frame) for frame in frames]
        best = min(best, time.process_time() - begun)
    errors = [
        np.square(_bgr(frame).astype(np.float64) - _decoded(jpeg)).mean()
        for frame, jpeg in zip(frames[:10], pictures, strict=False)
    ]
    return {
        "ms": 1000 * best / len(frames),
        "kb": float(np.mean([len(jpeg) for jpeg in pictures])) / 1000,
        "psnr_db": 10 * math.log10(255**2 / float(np.mean(errors))),
    }


class _Ffmpeg:
    """Its encoder with a fixed quantiser."""

    def __init__(self, frame: Frame) -> None:
        context = av.CodecContext.create("mjpeg", "w")
        assert isinstance(context, av.VideoCodecContext)
        context.width, context.height, context.pix_fmt = frame.width, frame.height, "yuvj420p"
        context.time_base, context.thread_count = Fraction(1, 90_000), 1
        context.qmin = context.qmax = FFMPEG_QUALITY
        context.options = {"huffman": "default"}  # a table of its own would cost a quarter more
        context.open()
        self._context = context
        self._count = 0

    def __call__(self, frame: Frame) -> bytes:
        full = np.empty_like(frame.i420)
        cv2.LUT(frame.i420[: frame.height], _FULL_LUMA, dst=full[: frame.height])
        cv2.LUT(frame.i420[frame.height :], _FULL_CHROMA, dst=full[frame.height :])
        picture = av.VideoFrame.from_numpy_buffer(full, "yuvj420p")
        self._count += 1
        picture.pts, picture.time_base = self._count, Fraction(1, 90_000)
        (packet,) = self._context.encode(picture)
        return bytes(packet)


def _bgr(frame: Frame) -> NDArray[Any]:
    return cv2.cvtColor(frame.i420, cv2.COLOR_YUV2BGR_I420)


def _decoded(jpeg: bytes) -> NDArray[Any]:
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture


@contextmanager
def _camera(target: Target) -> Iterator[None]:
    """An IP camera of 640x480 under the name ``STREAM``."""
    with RtspServer({"/cam": prepare_clips().person}) as camera:
        body = json.dumps({"id": STREAM, "source": {"url": camera.url("/cam")}}).encode()
        kind = {"Content-Type": "application/json"}
        url = f"{target.base_url}/api/v1/streams"
        with urllib.request.urlopen(urllib.request.Request(url, body, kind)):
            yield


def _readers() -> Child:
    return Child([sys.executable, "-m", "tests.bench.stills_worker"])


def _measure(
    plan: Plan, target: Target, child: Child, count: int, *, is_mjpeg: bool
) -> dict[str, Any]:
    kind = "MJPEG" if is_mjpeg else "WebRTC"
    name = f"{count} by {kind}" if count else "nobody"
    print(f"{name} …", flush=True)
    job: dict[str, Any] = {"pid": target.pid, "warm_up_s": plan.warm_up_s, "seconds": plan.seconds}
    if is_mjpeg:
        url = f"{target.base_url}/api/v1/streams/{STREAM}/mjpeg"
        job |= {"url": url, "readers": count}
    else:
        url = f"{target.base_url}/whep/{STREAM}"
        job |= {"url": url, "viewers": count, "channels": 0, "has_video": True, "codec": plan.codec}
    answer = child.ask(job, TIMEOUT_S + plan.warm_up_s + plan.seconds)
    return {"name": name, "cpu": answer["cpu"], "fps": answer["fps"]}
