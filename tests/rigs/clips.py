"""Clips of a real person, prepared once from a demo clip that a package registry carries.

The source is ``Sports2D/Demo/demo.mp4`` of the PyPI wheel sports2d 0.8.34 (BSD-3-Clause): a man
on a roof raises his arms and jumps for the first 4.3 s, alone in the chosen crop and whole in it;
MediaPipe finds him on every frame. From 6.5 s on the same crop shows nobody. Each clip runs
forward and then backward, so that a loop has no jump. Run ``python -m tests.rigs.clips`` to
prepare them beforehand.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.filter
import numpy as np
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from tests.rigs.marker import burn_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WHEEL = "sports2d==0.8.34"
DEMO_IN_WHEEL = "Sports2D/Demo/demo.mp4"
DEMO_SHA256 = "d9a66417185647b112304b57093f0c180f37a768e6a14daca75ca541f3b78039"
FPS = 30
GOP_FRAMES = 15
PERSON_FRAMES = range(130)
EMPTY_FRAMES = range(196, 226)
NUMBERED_FRAMES = 20 * FPS
CROP_4_3 = "crop=600:450:370:20"
CROP_16_9 = "crop=800:450:270:20"


@dataclass(frozen=True)
class Codec:
    """How a clip is encoded, in libav's names (yuvj420p is the full range that JPEG means)."""

    name: str
    pix_fmt: str = "yuv420p"
    options: Mapping[str, str] = field(default_factory=dict)


H264 = Codec(
    "libx264",
    options={"profile": "baseline", "preset": "fast", "crf": "21", "sc_threshold": "0"},
)
H265 = Codec(
    "libx265",
    options={
        "preset": "fast",
        "x265-params": f"log-level=error:crf=23:bframes=0:scenecut=0:keyint={GOP_FRAMES}",
    },
)
# A fixed quantiser of 3; libav counts quality in steps of 1/118 (FF_QP2LAMBDA).
MJPEG = Codec(
    "mjpeg", pix_fmt="yuvj420p", options={"flags": "+qscale", "global_quality": str(3 * 118)}
)
VP8 = Codec("libvpx", options={"b": "2M", "deadline": "realtime", "cpu-used": "8"})


@dataclass(frozen=True)
class Clips:
    """The prepared files; all video is 30 fps and at least 8 s long where not said otherwise."""

    folder: Path

    @property
    def person(self) -> Path:
        """640x480 H.264 baseline."""
        return self.folder / "person.mp4"

    @property
    def person_h265(self) -> Path:
        """640x480 H.265."""
        return self.folder / "person_h265.mp4"

    @property
    def person_mjpeg(self) -> Path:
        """640x480 MJPEG in AVI."""
        return self.folder / "person_mjpeg.avi"

    @property
    def person_camera(self) -> Path:
        """640x480 bare MJPEG, the form that Chromium's fake camera reads."""
        return self.folder / "person.mjpeg"

    @property
    def person_webm(self) -> Path:
        """640x480 VP8, which every browser plays without help of the system."""
        return self.folder / "person.webm"

    @property
    def person_720p(self) -> Path:
        """1280x720 H.264 baseline."""
        return self.folder / "person_720p.mp4"

    @property
    def person_720p_camera(self) -> Path:
        """1280x720 bare MJPEG for Chromium's fake camera."""
        return self.folder / "person_720p.mjpeg"

    @property
    def numbered(self) -> Path:
        """640x480 H.264 baseline, 20 s, each frame's number from 0 on burnt in (``rigs.marker``)."""
        return self.folder / "numbered.mp4"

    @property
    def numbered_camera(self) -> Path:
        """The same as bare MJPEG for Chromium's fake camera."""
        return self.folder / "numbered.mjpeg"

    @property
    def person_raw(self) -> Path:
        """320x240 raw I420 frames without any header, 3 s."""
        return self.folder / "person_320x240.yuv"

    @property
    def nobody(self) -> Path:
        """640x480 H.264 baseline of the same place with nobody in it."""
        return self.folder / "nobody.mp4"


def prepare_clips(cache: Path | None = None) -> Clips:
    """Return the clips, fetching and encoding what ``cache`` lacks (15 s the first time).

    ``cache`` defaults to ``$STREAMER_TEST_CACHE``, else ``~/.cache/streamer-tests``. Safe to call
    from several processes. A change of this file makes a new folder.

    Raises RuntimeError when the wheel can not be fetched or holds other bytes than expected.
    """
    if cache is None:
        default = Path.home() / ".cache" / "streamer-tests"
        cache = Path(os.environ.get("STREAMER_TEST_CACHE") or default)
    cache.mkdir(parents=True, exist_ok=True)
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    clips = Clips(cache / f"clips-{recipe}")
    if not clips.folder.exists():
        demo = _fetch_demo(cache)
        building = Path(tempfile.mkdtemp(dir=cache, prefix="building-"))
        try:
            _build(demo, Clips(building))
            _publish(building, clips.folder)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return clips


def _publish(building: Path, folder: Path) -> None:
    """Move a finished folder to its place in one step; another process may have been first."""
    try:
        building.rename(folder)
    except OSError:
        if not folder.exists():
            raise


def _fetch_demo(cache: Path) -> Path:
    """Return the demo clip, downloading its wheel with pip when ``cache`` lacks it."""
    demo = cache / f"demo-{DEMO_SHA256[:12]}.mp4"
    if demo.exists():
        return demo
    with tempfile.TemporaryDirectory(dir=cache, prefix="wheel-") as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        pip += ["--only-binary=:all:", "--dest", folder, WHEEL]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"The test clip's wheel {WHEEL} was not fetched:\n{done.stderr}")
        (wheel,) = Path(folder).glob("*.whl")
        content = zipfile.ZipFile(wheel).read(DEMO_IN_WHEEL)
        if hashlib.sha256(content).hexdigest() != DEMO_SHA256:
            raise RuntimeError(f"{DEMO_IN_WHEEL} of {WHEEL} is not the clip that the tests know.")
        unpacked = Path(folder) / "demo.mp4"
        unpacked.write_bytes(content)
        unpacked.replace(demo)
    return demo


def _build(demo: Path, clips: Clips) -> None:
    """Encode every clip from the demo clip."""
    vga = _palindrome(_pictures(demo, PERSON_FRAMES, f"{CROP_4_3},scale=640:480"))
    _encode(clips.person, vga, H264)
    _encode(clips.person_h265, vga, H265)
    _encode(clips.person_mjpeg, vga, MJPEG)
    _encode(clips.person_camera, vga, MJPEG)
    _encode(clips.person_webm, vga, VP8)
    numbered = [
        _with_number(frame, number)
        for number, frame in enumerate(itertools.islice(itertools.cycle(vga), NUMBERED_FRAMES))
    ]
    _encode(clips.numbered, numbered, H264)
    _encode(clips.numbered_camera, numbered, MJPEG)
    hd = _palindrome(_pictures(demo, PERSON_FRAMES, f"{CROP_16_9},scale=1280:720"))
    _encode(clips.person_720p, hd, H264)
    _encode(clips.person_720p_camera, hd, MJPEG)
    empty = _palindrome(_pictures(demo, EMPTY_FRAMES, f"{CROP_4_3},scale=640:480"))
    _encode(clips.nobody, [*empty, *empty, *empty, *empty, *empty], H264)
    raw = (
        frame.reformat(width=320, height=240, format="yuv420p").to_ndarray().tobytes()
        for frame in vga[: 3 * FPS]
    )
    clips.person_raw.write_bytes(b"".join(raw))


def _pictures(clip: Path, wanted: range, filters: str) -> list[VideoFrame]:
    """Decode the ``wanted`` frame numbers of ``clip`` through libavfilter's ``filters``."""
    frames = []
    with av.open(clip) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        graph = av.filter.Graph()
        nodes = [graph.add_buffer(template=stream)]
        nodes += [graph.add(*part.split("=", 1)) for part in filters.split(",")]
        graph.link_nodes(*nodes, graph.add("buffersink")).configure()
        for frame in itertools.islice(container.decode(stream), wanted.start, wanted.stop):
            graph.vpush(frame)
            frames.append(graph.vpull())
    return frames


def _palindrome(frames: Sequence[VideoFrame]) -> list[VideoFrame]:
    """Return ``frames`` forward then backward, without showing either end twice."""
    return [*frames, *frames[-2:0:-1]]


def _with_number(frame: VideoFrame, number: int) -> VideoFrame:
    """A copy of the picture with its number in a corner."""
    i420 = frame.to_ndarray(format="yuv420p").astype(np.uint8, copy=False)
    burn_number(i420[: frame.height], number)
    return VideoFrame.from_ndarray(i420, format="yuv420p")


def _encode(path: Path, frames: Sequence[VideoFrame], codec: Codec) -> None:
    """Write ``frames`` to ``path``; its name decides the container."""
    with av.open(path, "w") as container:
        stream = container.add_stream(codec.name, rate=FPS, options=dict(codec.options))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = frames[0].width, frames[0].height
        stream.pix_fmt = codec.pix_fmt
        stream.thread_type = "FRAME"  # PyAV's default would cut each picture into slices
        stream.gop_size = GOP_FRAMES
        stream.max_b_frames = 0
        for number, picture in enumerate(frames):
            frame = picture.reformat(format=codec.pix_fmt)
            frame.pict_type = PictureType.NONE  # else the demo's key frames would be forced here
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    sys.stdout.write(f"{prepare_clips().folder}\n")
