"""Video files as people have them, odd ones too, made from the clips: sound, B-frames, frames that come at
any time, pictures on their side. Each picture has its number burnt in (``marker``)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.frame import PictureType
from av.video.stream import VideoStream

from tests.rigs.marker import read_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

AUDIO_HZ = 48_000


@dataclass(frozen=True)
class Film:
    """How a file is made. ``times``: of the pictures, in ``time_base``; default: ``fps``. ``rotation``: the
    quarter turns, counter-clockwise in degrees, that a player is told to make. ``audio``: a codec."""

    frames: int = 30
    codec: str = "libx264"
    size: tuple[int, int] | None = None
    pix_fmt: str = "yuv420p"
    fps: int = 30
    time_base: Fraction | None = None
    times: Sequence[int] | None = None
    b_frames: int = 0
    gop: int = 250
    rotation: int = 0
    audio: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


def make_film(numbered: Path, target: Path, film: Film) -> Path:
    """Encodes the first pictures of ``numbered``; the target's name decides the container."""
    with av.open(str(target), "w") as container:
        time_base = film.time_base or Fraction(1, film.fps)
        video = container.add_stream(film.codec, rate=film.fps, options=dict(film.options))
        assert isinstance(video, VideoStream)
        width, height = film.size or (640, 480)
        video.width, video.height, video.pix_fmt = width, height, film.pix_fmt
        context = video.codec_context
        context.time_base, context.gop_size, context.max_b_frames = (
            *(time_base, film.gop),
            film.b_frames,
        )
        if film.rotation:
            video.set_display_rotation(film.rotation)
        sound = _open_sound(container, film.audio) if film.audio else None
        times = film.times or range(film.frames)
        for at, picture in zip(times, _pictures(numbered), strict=False):
            frame = picture.reformat(width=width, height=height, format=film.pix_fmt)
            frame.pict_type = PictureType.NONE
            frame.pts, frame.time_base = at, time_base
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None:
            _write_sound(container, sound, float(times[len(times) - 1] * time_base))
    return target


def _pictures(clip: Path) -> Iterator[av.VideoFrame]:
    with av.open(str(clip)) as container:
        yield from container.decode(video=0)


def _open_sound(container: Any, codec: str) -> AudioStream:
    stream = container.add_stream(codec, rate=AUDIO_HZ, bit_rate=96_000)
    assert isinstance(stream, AudioStream)
    return stream


def _write_sound(container: Any, stream: AudioStream, seconds: float) -> None:
    samples = 1024
    for number in range(int(seconds * AUDIO_HZ / samples)):
        wave = np.sin(np.arange(number * samples, (number + 1) * samples) * (0.02 + number / 1e4))
        stereo = np.stack([wave, wave]).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(stereo, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = AUDIO_HZ, number * samples
        frame.time_base = Fraction(1, AUDIO_HZ)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


@dataclass(frozen=True)
class Shown:
    """A picture of a file: its time in seconds, its number, its size and the turn that a player makes."""

    time: Fraction | None
    number: int
    size: tuple[int, int]
    rotation: int


def shown(path: Path) -> list[Shown]:
    """Every picture that a decoder gives."""
    found = []
    with av.open(str(path)) as container:
        for picture in container.decode(video=0):
            time = None
            if picture.pts is not None and picture.time_base is not None:
                time = Fraction(picture.pts * picture.time_base)
            number = read_number(_luma(picture))
            found.append(Shown(time, number, (picture.width, picture.height), picture.rotation))
    return found


def luma_of(path: Path, number: int) -> NDArray[np.uint8]:
    """The picture of this place in the file."""
    with av.open(str(path)) as container:
        return _luma(next(itertools.islice(container.decode(video=0), number, None)))


def _luma(picture: av.VideoFrame) -> NDArray[np.uint8]:
    return picture.reformat(format="gray8").to_ndarray().astype(np.uint8, copy=False)


def sound_packets(path: Path) -> list[tuple[bytes, Fraction]]:
    """Of the first audio stream: what they hold, and when they are played."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return [
            (bytes(packet), packet.pts * packet.time_base)
            for packet in container.demux(stream)
            if packet.size and packet.pts is not None and packet.time_base is not None
        ]
