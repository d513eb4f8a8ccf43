"""What a video is, and where it is cut."""

import itertools
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from streamer.analyze.files import Faults, frame_rate, open_video, pictures
from streamer.errors import SourceUnusable
from streamer.model import VIDEO_CLOCK_HZ

MIN_SIDE_PX = 16


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a video, in the stream's own ticks: frames from ``begin`` (None: the first) up to but
    without ``end`` (None: the last one too). Those from ``warm_up`` on are estimated as well, so that
    tracking and smoothing have settled at ``begin``. ``frames``: how many there should be."""

    number: int
    begin: int | None
    end: int | None
    warm_up: int | None
    frames: int


@dataclass(frozen=True, slots=True)
class VideoPlan:
    """``width``, ``height``: upright, even. ``turns``: quarter turns, counter-clockwise, that make a
    picture upright. ``time_base``: seconds a tick; ``first``: the first frame's time in ticks.
    ``aspect``: a pixel's width by its height, upright. ``colours``: FFmpeg's numbers of primaries, transfer
    and matrix."""

    width: int
    height: int
    turns: int
    time_base: Fraction
    first: int
    frame_ticks: int
    aspect: Fraction
    colours: tuple[int, int, int]
    segments: tuple[Segment, ...]


def plan_video(path: Path, segment_frames: int, warm_up_frames: int) -> VideoPlan:
    """Looks at the first frame, and into all packets of a video of ``2 * segment_frames`` or more. Raises
    SourceUnusable for what is no video."""
    container, stream = open_video(path)
    with container:
        picture = next(pictures(container, stream, Faults()), None)
        if picture is None:
            raise SourceUnusable("none of its video could be decoded")
        rate = frame_rate(stream)
        time_base = stream.time_base or Fraction(1, VIDEO_CLOCK_HZ)
        aspect = stream.sample_aspect_ratio or Fraction(1)
        frames = stream.frames or _guessed_frames(container, stream, rate)
    width, height, turns = picture.width & ~1, picture.height & ~1, _turns(picture)
    if min(width, height) < MIN_SIDE_PX:
        raise SourceUnusable(f"its pictures are smaller than {MIN_SIDE_PX} pixels")
    if turns % 2:
        width, height, aspect = height, width, 1 / aspect
    whole = Segment(0, None, None, None, frames)
    segments: tuple[Segment, ...] = (whole,)
    if frames >= 2 * segment_frames:
        segments = cut(_times(path), segment_frames, warm_up_frames) or segments
    return VideoPlan(
        width=width,
        height=height,
        turns=turns,
        time_base=time_base,
        first=picture.pts or 0,
        frame_ticks=max(1, round(1 / (rate * time_base))),
        aspect=aspect,
        colours=_colours(picture),
        segments=segments,
    )


def cut(times: list[int], segment_frames: int, warm_up_frames: int) -> tuple[Segment, ...]:
    """Segments of one length, of about ``segment_frames``; ``times``: of all frames, in ticks, rising.
    None at all for too few frames. It depends on the video alone, not on the machine."""
    count = round(len(times) / segment_frames)
    if count < 2:
        return ()
    begins = [len(times) * number // count for number in range(count)]
    return tuple(
        Segment(
            number,
            begin=times[begin] if number else None,
            end=times[end] if end < len(times) else None,
            warm_up=times[max(0, begin - warm_up_frames)] if number else None,
            frames=end - begin,
        )
        for number, (begin, end) in enumerate(itertools.pairwise([*begins, len(times)]))
    )


def _times(path: Path) -> list[int]:
    """Of all frames that a sound file will show, rising; empty for a video that can't be cut: one with
    frames without times, or times that jump back, as ``RisingClock`` sees it: it would move all later
    frames, in one segment and not in the next."""
    container, stream = open_video(path)
    times: list[int] = []
    last_dts: int | None = None
    highest: int | None = None
    with container:
        second = float(1 / (stream.time_base or Fraction(1, VIDEO_CLOCK_HZ)))
        try:
            for packet in container.demux(stream):
                if packet.size == 0:
                    continue
                if packet.pts is None:
                    return []
                if packet.dts is not None:
                    if last_dts is not None and packet.dts <= last_dts:
                        return []
                    last_dts = packet.dts
                highest = packet.pts if highest is None else max(highest, packet.pts)
                if highest - packet.pts >= second:
                    return []
                if not packet.is_discard:
                    times.append(packet.pts)
        except (av.error.FFmpegError, OSError):
            return []
    times.sort()
    return times if all(a < b for a, b in itertools.pairwise(times)) else []


def _turns(picture: av.VideoFrame) -> int:
    return round(picture.rotation / 90) % 4


def _colours(picture: av.VideoFrame) -> tuple[int, int, int]:
    unknown = 2
    if picture.format.is_rgb:  # its matrix is none, while ours is
        return unknown, unknown, unknown
    return picture.color_primaries, picture.color_trc, picture.colorspace


def _guessed_frames(container: InputContainer, stream: VideoStream, rate: Fraction) -> int:
    """0 where nothing tells."""
    if stream.duration and stream.time_base:
        return round(stream.duration * stream.time_base * rate)
    return round((container.duration or 0) / av.time_base * rate)
