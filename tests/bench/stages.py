"""Where the milliseconds of a frame go: CPU time of each stage alone, and of the encoders' settings.

    python -m tests.bench.stages                the stages of one frame, at three sizes
    python -m tests.bench.stages --encoders     CPU, PSNR and rate of encoder settings

Each figure is the median over some hundred frames of a real person of the process's CPU time, all
threads together. What only a running server has (the event loop, ICE, acknowledgements) is not among
them: it is what the comparison with the stock pattern shows beyond their sum.
"""

from __future__ import annotations

import argparse
import os
import socket
import time
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from functools import partial
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, get_args

import av
import numpy as np
from aiortc.codecs.h264 import H264Decoder, H264Encoder, h264_depayload
from aiortc.codecs.vpx import Vp8Decoder, Vp8Encoder, vp8_depayload
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import HeaderExtensionsMap, RtpPacket
from pylibsrtp import Policy, Session

from streamer.angles import joint_angles
from streamer.config import OverlayConfig, PoseConfig
from streamer.encoders import VideoEncoder
from streamer.messages import pose_message
from streamer.model import VIDEO_CLOCK_HZ, Codec, Frame, Pose, PoseResult
from streamer.overlay import SkeletonPainter
from streamer.pixels import small_rgb, to_av, to_frame
from streamer.pose import INPUT_WIDTH_PX
from streamer.pose.live import LiveEstimator
from streamer.pose.models import Complexity, ensure_models, find_model
from tests.bench.machine import describe_machine
from tests.bench.table import figure, print_table
from tests.decoded import decode
from tests.rigs import clips as rig
from tests.rigs.probe_media import VP8_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

CODECS: tuple[Codec, ...] = get_args(Codec)
FRAMES = 240
TICKS = VIDEO_CLOCK_HZ // rig.FPS
SETTLED_FRAMES = 5  # the first ones of a codec are not like the rest

STAGE_RATES = {"640x480": 1_000_000, "1280x720": 1_500_000, "1920x1080": 3_000_000}
"""Bits per second of the stage table, in and out."""

ENCODER_RATES = (
    ("640x480", 1_000_000),
    ("640x480", 1_500_000),
    ("1280x720", 1_500_000),
    ("1920x1080", 1_500_000),
    ("1920x1080", 3_000_000),
)

STOCK_H264 = {"tune": "zerolatency"}
"""What aiortc 1.16 sets (codecs/h264.py). Its rates end at 1.5 Mbit/s in VP8 and 3 in H.264."""


def stages() -> dict[str, Any]:
    """Print CPU milliseconds a frame of every stage that can be had alone; return them by size."""
    found = {size: _stages_of(frames, STAGE_RATES[size]) for size, frames in _films().items()}
    rows = [[name, *(figure(found[size][name], 3) for size in found)] for name in found["640x480"]]
    print_table("CPU ms a frame, each stage alone", ["stage", *found], rows)
    return found


def encoders() -> list[dict[str, Any]]:
    """Print what encoder settings cost and give on pictures with the skeleton drawn; return it."""
    films = {size: _drawn(frames) for size, frames in _films().items()}
    found, rows = [], []
    for size, rate in ENCODER_RATES:
        for name, setting in _settings().items():
            one = _try_encoder(setting, films[size], rate, "vp8" if "vp8" in name else "h264")
            found.append({"size": size, "rate": rate, "name": name, **one})
            figures = (figure(one["cpu_ms"], 2), figure(one["psnr_db"], 2), figure(one["kbps"], 0))
            rows.append([f"{size} at {rate / 1e6:.1f} Mbit/s, {name}", *figures])
    print_table("Encoders, one thread", ["", "CPU ms a frame", "luma PSNR dB", "kbit/s sent"], rows)
    return found


def _films() -> dict[str, list[Frame]]:
    """The test clips; the largest is the uncropped demo clip, of 1768x994."""
    clips = rig.prepare_clips()
    demo = rig._fetch_demo(clips.folder.parent)
    full = rig._pictures(demo, range(FRAMES), "scale=1920:1080")
    return {
        "640x480": decode(clips.person, FRAMES),
        "1280x720": decode(clips.person_720p, FRAMES),
        "1920x1080": [to_frame(picture, n * TICKS, 0.0, 0.0) for n, picture in enumerate(full)],
    }


def _estimator() -> LiveEstimator:
    ensure_models([Complexity.FULL])
    return LiveEstimator(find_model, PoseConfig())


def _drawn(frames: Sequence[Frame]) -> list[Frame]:
    estimator, painter = _estimator(), SkeletonPainter()
    drawn = [painter.annotate(frame, estimator.estimate(frame, frame.pts)) for frame in frames]
    estimator.close()
    return drawn


# -- one frame's way --------------------------------------------------------------------------------


class Clock:
    """CPU time by stage, in the order in which they first came."""

    def __init__(self) -> None:
        self._spent_ms: dict[str, list[float]] = {}

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        start = time.process_time()
        yield
        self._spent_ms.setdefault(stage, []).append((time.process_time() - start) * 1000)

    def medians(self) -> dict[str, float]:
        return {name: median(spent[SETTLED_FRAMES:]) for name, spent in self._spent_ms.items()}


_EVERYTHING = OverlayConfig(angles=True, ids=True, confidence=True, trails=True)


def _with_angles(pose: Pose, width: int, height: int) -> Pose:
    return replace(pose, angles=joint_angles(pose.landmarks, pose.world, width, height))


def _stages_of(frames: Sequence[Frame], rate: int) -> dict[str, float]:
    clock = Clock()
    size = (frames[0].width, frames[0].height)
    estimator, painter, full_painter = _estimator(), SkeletonPainter(), SkeletonPainter(_EVERYTHING)
    cameras = {codec: VideoEncoder(codec, *size, rate) for codec in CODECS}
    viewers = {codec: VideoEncoder(codec, *size, rate) for codec in CODECS}
    wires = {codec: Wire(codec) for codec in CODECS}
    decoders: dict[str, Any] = {"vp8": Vp8Decoder(), "h264": H264Decoder()}
    for number, frame in enumerate(frames):
        for codec in CODECS:
            packet = cameras[codec].encode(frame, frame.pts)
            datagrams = wires[codec].protect(wires[codec].packetise(packet.data, number))
            with clock.of(f"{codec}: unprotect, parse, jitter buffer"):
                received = wires[codec].receive(datagrams)
            with clock.of(f"{codec}: decode"):
                pictures = decoders[codec].decode(received)
        if not pictures:
            continue  # FFmpeg's H.264 decoder holds the first one back
        with clock.of("copy in"):
            got = to_frame(pictures[0], frame.pts, 0.0, 0.0)
        with clock.of("scale"):
            small_rgb(got, INPUT_WIDTH_PX)
        with clock.of("scale and estimate"):
            poses = estimator.estimate(got, got.pts)
        with clock.of("copy"):
            painter.annotate(got, ())
        with clock.of("copy and draw"):
            drawn = painter.annotate(got, poses)
        angled = tuple(_with_angles(pose, *size) for pose in poses)
        with clock.of("copy and draw everything"):
            full_painter.annotate(got, angled)
        with clock.of("JSON message"):
            pose_message("bench", PoseResult(1, number, frame.pts, got, poses, 0, {"pose": 1.0}))
        for codec in CODECS:
            with clock.of(f"{codec}: encode"):
                packet = viewers[codec].encode(drawn, frame.pts)
            with clock.of(f"{codec}: packetise"):
                payloads = wires[codec].packetise(packet.data, number)
            with clock.of(f"{codec}: protect"):
                datagrams = wires[codec].protect(payloads)
            with clock.of(f"{codec}: send"):
                wires[codec].send(datagrams)
    estimator.close()
    for wire in wires.values():
        wire.close()
    return clock.medians()


class Wire:
    """RTP, SRTP and UDP as aiortc does them, for one viewer, without its event loop."""

    def __init__(self, codec: Codec) -> None:
        key = os.urandom(30)
        kinds = (Policy.SSRC_ANY_OUTBOUND, Policy.SSRC_ANY_INBOUND)
        self._protect, self._unprotect = (Session(Policy(key, ssrc_type=kind)) for kind in kinds)
        self._codec = codec
        self._extensions = HeaderExtensionsMap()
        self._buffer = JitterBuffer(capacity=128, is_video=True)
        self._sequence_number = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._nobody = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._nobody.bind(("127.0.0.1", 0))

    def packetise(self, data: bytes, number: int) -> list[RtpPacket]:
        if self._codec == "vp8":
            payloads = Vp8Encoder._packetize(data, number)
        else:
            payloads = H264Encoder._packetize(H264Encoder._split_bitstream(data))
        packets = []
        for place, payload in enumerate(payloads, start=1):
            packet = RtpPacket(payload_type=97, marker=place == len(payloads))
            packet.sequence_number = self._sequence_number
            packet.timestamp, packet.ssrc, packet.payload = number * TICKS, 1, payload
            self._sequence_number = (self._sequence_number + 1) % 2**16
            packets.append(packet)
        return packets

    def protect(self, packets: Sequence[RtpPacket]) -> list[bytes]:
        return [self._protect.protect(packet.serialize(self._extensions)) for packet in packets]

    def send(self, datagrams: Sequence[bytes]) -> None:
        for datagram in datagrams:
            self._socket.sendto(datagram, self._nobody.getsockname())

    def receive(self, datagrams: Sequence[bytes]) -> JitterFrame:
        depayload = vp8_depayload if self._codec == "vp8" else h264_depayload
        whole = b""
        for datagram in datagrams:
            packet: Any = RtpPacket.parse(self._unprotect.unprotect(datagram), self._extensions)
            packet._data = depayload(packet.payload)
            self._buffer.add(packet)
            whole += packet._data
        return JitterFrame(data=whole, timestamp=packet.timestamp)

    def close(self) -> None:
        self._socket.close()
        self._nobody.close()


# -- encoders ---------------------------------------------------------------------------------------


def _settings() -> dict[str, Callable[[int, int, int], Callable[[Frame], bytes]]]:
    """Name -> what opens an encoder for a width, a height and a rate."""
    quiet = VP8_OPTIONS | {"noise-sensitivity": "0"}
    ours: dict[str, Any] = {f"ours, {codec}": partial(_ours, codec) for codec in CODECS}
    variants = [("-6", "1"), *((str(-speed), "500") for speed in range(6, 17, 2))]
    vp8 = {
        f"vp8 cpu-used {speed}, static-thresh {static}": partial(
            _context, "libvpx", quiet | {"cpu-used": speed, "static-thresh": static}
        )
        for speed, static in variants
    }
    h264 = {
        f"h264 {preset}": partial(_context, "libx264", STOCK_H264 | {"preset": preset})
        for preset in ("veryfast", "superfast", "ultrafast")
    }
    stock = {
        "stock vp8": partial(_context, "libvpx", VP8_OPTIONS),
        "stock h264": partial(_context, "libx264", STOCK_H264),
    }
    return {**stock, **ours, **vp8, **h264}


def _ours(codec: Codec, width: int, height: int, rate: int) -> Callable[[Frame], bytes]:
    encoder = VideoEncoder(codec, width, height, rate)
    return lambda frame: encoder.encode(frame, frame.pts).data


def _context(
    name: str, options: dict[str, str], width: int, height: int, rate: int
) -> Callable[[Frame], bytes]:
    context: Any = av.CodecContext.create(name, "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.bit_rate, context.thread_count = rate, 1
    context.framerate = rig.FPS
    context.time_base = Fraction(1, VIDEO_CLOCK_HZ)
    if name == "libvpx":
        context.gop_size, context.qmin, context.qmax = 3000, 2, 56
        options = options | dict.fromkeys(("minrate", "maxrate", "bufsize"), str(rate))
    else:
        context.gop_size, context.profile = 250, "Baseline"
    context.options = options
    return lambda frame: b"".join(map(bytes, context.encode(to_av(frame))))


def _try_encoder(
    setting: Callable[[int, int, int], Callable[[Frame], bytes]],
    frames: Sequence[Frame],
    rate: int,
    codec: str,
) -> dict[str, float]:
    encode = setting(frames[0].width, frames[0].height, rate)
    decoder: Any = av.CodecContext.create(codec, "r")
    spent_ms, sizes, seen = [], [], []
    for frame in frames:
        start = time.process_time()
        data = encode(frame)
        spent_ms.append((time.process_time() - start) * 1000)
        sizes.append(len(data))
        seen += decoder.decode(av.Packet(data))
    seen += decoder.decode(None)
    lumas = zip(frames, seen, strict=True)
    return {
        "cpu_ms": fmean(spent_ms[SETTLED_FRAMES:]),
        "psnr_db": fmean(
            _psnr_db(frame, to_frame(picture, 0, 0.0, 0.0)) for frame, picture in lumas
        ),
        "kbps": sum(sizes) * 8 * rig.FPS / len(frames) / 1000,
    }


def _psnr_db(frame: Frame, seen: Frame) -> float:
    error = frame.planes()[0].astype(np.float32) - seen.planes()[0]
    return float(10 * np.log10(255**2 / np.mean(error**2)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoders", action="store_true", help="encoder settings instead")
    given = parser.parse_args()
    for name, value in describe_machine().items():
        print(f"{name:22}  {value}")
    encoders() if given.encoders else stages()


if __name__ == "__main__":
    main()
