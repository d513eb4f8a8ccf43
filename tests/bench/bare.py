"""The floor: what MediaPipe, our estimator and a decoder cost alone, on the probe's own pictures.

Each figure is the CPU time of the whole process (MediaPipe's threads too), a frame. The published model
gets RGB pictures that lie ready, as its users call it; our estimator gets I420 frames and scales them;
decoders are FFmpeg's with one thread, as in aiortc.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import av
import cv2
import mediapipe as mp
from av.bitstream import BitStreamFilterContext
from mediapipe.tasks.python import BaseOptions, vision

from streamer.config import PoseConfig
from streamer.model import VIDEO_CLOCK_HZ, Frame
from streamer.pose.live import LiveEstimator
from streamer.pose.models import Complexity, ensure_models, find_model
from tests.bench.child import run_json
from tests.rigs.clips import prepare_clips
from tests.rigs.probe_media import encode_numbered, load_pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

FPS = 30
TIMEOUT_S = 180.0
WARM_UP_FRAMES = 10


@dataclass(frozen=True)
class Bare:
    """CPU ms a frame; ``landmarks``: x, y in 0..1 of the 33, of each picture of the clip, or None.

    ``decode_ms`` is of what the probe sends (VP8), ``decode_clip_ms`` of the H.264 clip that the RTSP
    camera sends, in its own size.
    """

    published_ms: float
    ours_ms: float
    decode_ms: float
    decode_clip_ms: float
    landmarks: list[list[tuple[float, float]] | None]


def measure_bare(width: int, height: int, frames: int) -> Bare:
    """In a process of its own; raises BenchError when it fails or takes minutes."""
    arguments = ["tests.bench.bare", f"{width}x{height}", "--frames", str(frames)]
    return Bare(**run_json(arguments, TIMEOUT_S))


def _measure(width: int, height: int, frames: int) -> Bare:
    clips = prepare_clips()
    clip = clips.person if width * 3 == height * 4 else clips.person_720p
    pictures = load_pictures(clip, width, height)
    sent = encode_numbered(pictures, "VP8", FPS, length=frames)
    landmarks: list[list[tuple[float, float]] | None] = []
    return Bare(
        published_ms=_published(pictures, frames, landmarks),
        ours_ms=_ours(pictures, frames),
        decode_ms=_decode("libvpx", sent.packets),
        decode_clip_ms=_decode("h264", _packets(clip)[:frames]),
        landmarks=landmarks,
    )


def _published(pictures: Sequence[NDArray[np.uint8]], frames: int, landmarks: list[Any]) -> float:
    """Fill ``landmarks`` with those of each of ``pictures``, however few ``frames`` are measured."""
    (model,) = ensure_models([Complexity.FULL], segmentation=True)
    options = vision.PoseLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(model)),
        running_mode=vision.RunningMode.VIDEO,
    )

    def to_rgb(number: int) -> Any:
        picture = cv2.cvtColor(pictures[number % len(pictures)], cv2.COLOR_YUV2RGB_I420)
        return mp.Image(image_format=mp.ImageFormat.SRGB, data=picture)

    with vision.PoseLandmarker.create_from_options(options) as landmarker:

        def estimate(number: int, image: Any) -> None:
            found = landmarker.detect_for_video(image, number * 1000 // FPS).pose_landmarks
            if number < len(pictures):
                landmarks.append([(p.x, p.y) for p in found[0]] if found else None)

        cost_ms = _cost_ms(((number, to_rgb(number)) for number in range(frames)), estimate)
        for number in range(frames, len(pictures)):
            estimate(number, to_rgb(number))
        return cost_ms


def _ours(pictures: Sequence[NDArray[np.uint8]], frames: int) -> float:
    ensure_models([Complexity.FULL])
    estimator = LiveEstimator(find_model, PoseConfig())

    def estimate(number: int, picture: NDArray[np.uint8]) -> None:
        pts = number * VIDEO_CLOCK_HZ // FPS
        estimator.estimate(Frame(picture, pts, 0.0, 0.0), pts)

    try:
        inputs = ((number, pictures[number % len(pictures)]) for number in range(frames))
        return _cost_ms(inputs, estimate)
    finally:
        estimator.close()


def _packets(clip: Path) -> list[bytes]:
    """Of an MP4 file, with the parameter sets that a decoder needs before each key frame."""
    with av.open(clip) as container:
        stream = container.streams.video[0]
        to_annex_b = BitStreamFilterContext("h264_mp4toannexb", stream)
        return [
            bytes(part)
            for packet in container.demux(stream)
            if packet.size
            for part in to_annex_b.filter(packet)
        ]


def _decode(decoder_name: str, packets: Sequence[bytes]) -> float:
    decoder = av.CodecContext.create(decoder_name, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    return _cost_ms(enumerate(packets), lambda _, data: decoder.decode(av.Packet(data)))


def _cost_ms(inputs: Iterable[tuple[int, Any]], work: Callable[[int, Any], object]) -> float:
    """CPU time of ``work`` on each input, the first ones left out; making the inputs is not counted."""
    used_s, count = 0.0, 0
    for number, each in inputs:
        begun_s = time.process_time()
        work(number, each)
        if number >= WARM_UP_FRAMES:
            used_s += time.process_time() - begun_s
            count += 1
    return 1000 * used_s / count


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("size", metavar="WxH")
    parser.add_argument("--frames", type=int, default=120)
    given = parser.parse_args()
    width, height = (int(part) for part in given.size.split("x"))
    print(json.dumps(asdict(_measure(width, height, given.frames))))


if __name__ == "__main__":
    main()
