"""What it costs to decode in children, against threads as it was before, in turn on the same cameras.

Some cameras of a real RTSP server at 30 fps are read at once. In a thread the reader puts its frames
where the service takes them; in a child it is the service's own way, through shared memory. A publisher's
decoder is measured alone: a packet in, a picture out. See docs/decisions/0032.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import threading
import time
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import av
import numpy as np

from streamer.aio import in_daemon_thread
from streamer.config import WorkersConfig
from streamer.isolation import lives
from streamer.isolation.landlock import RANDOM, Rights
from streamer.model import Frame, Packet, VideoInfo
from streamer.sources.reader import VideoReader
from streamer.sources.remote import RemoteReader
from streamer.sources.rtsp import open_rtsp
from streamer.webrtc.decoding import VideoDecoder
from tests.bench.child import run_json
from tests.bench.machine import cpu_s, memory_bytes
from tests.bench.table import figure, print_table
from tests.rigs.workers import nursery_of, workers_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SIZES = ("640x480", "1280x720")
VARIANTS = ("thread", "child")
CAMERAS = 4
ROUNDS = 3
WARM_UP_S = 3.0
MEASURED_S = 10.0
TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Cost:
    """CPU of all processes and the delay from the packet to the frame, a frame; memory a stream."""

    cpu_ms: float
    delay_p50_ms: float
    delay_p95_ms: float
    memory_mb: float
    frames: int


class Receiver:
    """Keeps how long each frame took."""

    def __init__(self) -> None:
        self.delays_ms: list[float] = []

    def opened(self, video: VideoInfo) -> None: ...

    def forward(self, packet: Packet) -> None: ...

    def put(self, frame: Frame) -> None:
        self.delays_ms.append(1000 * (time.monotonic() - frame.received_mono))


def decode_port() -> dict[str, Any]:
    """Print the tables; return every round's figures."""
    from tests.rigs.clips import prepare_clips
    from tests.rigs.rtsp import RtspServer

    clips = prepare_clips()
    found: dict[str, Any] = {}
    for size, clip in zip(SIZES, (clips.person, clips.person_720p), strict=True):
        with RtspServer({f"/{number}": clip for number in range(CAMERAS)}) as server:
            jobs = {
                f"{CAMERAS} cameras": [server.url(f"/{number}") for number in range(CAMERAS)],
                "1 publisher": [str(clip)],
            }
            for name, places in jobs.items():
                found[f"{size}, {name}"] = _in_turn(f"{size}, {name}", places)
    return found


def _in_turn(title: str, places: Sequence[str]) -> dict[str, Any]:
    costs: dict[str, list[Cost]] = {variant: [] for variant in VARIANTS}
    for number in range(ROUNDS):
        for variant in VARIANTS:
            print(f"{title}, round {number + 1}, {variant} …", flush=True)
            command = ["tests.bench.decode_port", variant, *places]
            costs[variant].append(Cost(**run_json(command, TIMEOUT_S)))
    rows = []
    for name, field in (
        ("CPU ms / frame, all processes", "cpu_ms"),
        ("packet to frame p50 ms", "delay_p50_ms"),
        ("packet to frame p95 ms", "delay_p95_ms"),
        ("memory MB / stream (PSS)", "memory_mb"),
        ("frames", "frames"),
    ):
        thread, child = (median(getattr(cost, field) for cost in costs[v]) for v in VARIANTS)
        rows.append(
            [name, figure(thread, 2), figure(child, 2), f"{child - thread:+.2f}"],
        )
    print_table(f"Decoding {title}: medians of {ROUNDS}", ["", *VARIANTS, "difference"], rows)
    return {variant: [asdict(cost) for cost in each] for variant, each in costs.items()}


@contextlib.contextmanager
def _cameras(variant: str, urls: Sequence[str], receiver: Receiver) -> Iterator[None]:
    readers: list[VideoReader | RemoteReader] = []
    for url in urls:
        if variant == "thread":
            direct = VideoReader("a camera", receiver)
            opening = partial(open_rtsp, url, "tcp", "a camera")
            in_daemon_thread("reader", partial(direct.run, opening))
            readers.append(direct)
        else:
            order = {"what": "rtsp", "url": url, "transport": "tcp", "place": "a camera"}
            rights = Rights(reads=(RANDOM,), connects=(urlsplit(url).port or 554,))
            remote = RemoteReader("bench", order, rights, receiver, WorkersConfig())
            in_daemon_thread("reader", remote.run)
            readers.append(remote)
    yield
    for reader in readers:
        reader.quit()


@contextlib.contextmanager
def _publisher(variant: str, clip: str, receiver: Receiver) -> Iterator[None]:
    """Plays the packets of a clip at 30 fps, as if they came by WebRTC."""
    life = "ThreadLife" if variant == "thread" else "ProcessLife"
    lives.begin = getattr(lives, life)
    decoder = VideoDecoder(receiver, lambda: None)
    over = threading.Event()
    with av.open(clip) as container:
        to_annex_b = av.BitStreamFilterContext("h264_mp4toannexb", container.streams.video[0])
        packets = [
            each for packet in container.demux(video=0) for each in to_annex_b.filter(packet)
        ]

    def play() -> None:
        began, number = time.monotonic(), 0
        while not over.wait(max(0.0, began + number / 30 - time.monotonic())):
            packet = packets[number % len(packets)]
            now_mono = time.monotonic()
            decoder.put(Packet(bytes(packet), "h264", 3000 * number, packet.is_keyframe, now_mono))
            number += 1

    ends = in_daemon_thread("decoder", decoder.run), in_daemon_thread("player", play)
    yield
    over.set()
    decoder.close()
    for end in ends:
        end.result(TIMEOUT_S)


def _processes() -> list[int]:
    me = os.getpid()
    return [me, *filter(None, [nursery_of(me)]), *(worker.pid for worker in workers_of(me))]


def main() -> None:
    """One variant; the figures as JSON."""
    parser = argparse.ArgumentParser(description="One measurement of --decode-port.")
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("places", nargs="+", help="URLs of cameras, or a clip to be published")
    given = parser.parse_args()
    receiver = Receiver()
    if given.variant == "child":
        lives.prepare()
    before = sum(map(memory_bytes, _processes()))
    is_camera = given.places[0].startswith("rtsp")
    with (
        _cameras(given.variant, given.places, receiver)
        if is_camera
        else _publisher(given.variant, given.places[0], receiver)
    ):
        time.sleep(WARM_UP_S)
        processes = _processes()
        receiver.delays_ms.clear()
        used_s = -sum(map(cpu_s, processes))
        time.sleep(MEASURED_S)
        used_s += sum(map(cpu_s, processes))
        delays_ms = list(receiver.delays_ms)
        memory = (sum(map(memory_bytes, processes)) - before) / len(given.places)
    p50, p95 = (float(np.percentile(delays_ms, share)) for share in (50, 95))
    cost = Cost(1000 * used_s / len(delays_ms), p50, p95, memory / 1e6, len(delays_ms))
    print(json.dumps(asdict(cost)))


if __name__ == "__main__":
    main()
