"""Videos from files: what they are, where they can be cut, and their frames."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from streamer.errors import SourceUnusable
from streamer.model import VIDEO_CLOCK_HZ, Frame
from streamer.pixels import to_frame

MIN_SIDE_PX = 16
MAX_PIXELS = 16384 * 8192

_CUT_SHORT_S = 1.0
"""A file that ends so much earlier than it says has been cut off."""

_SEEK_EARLIER_S = 0.5
"""Some containers seek by the time of decoding, which is a few frames before that of showing."""


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


@dataclass(slots=True)
class Faults:
    """What was wrong with a file of which something could be had: sentences, each once."""

    told: list[str] = field(default_factory=list)

    def tell(self, sentence: str) -> None:
        if sentence not in self.told:
            self.told.append(sentence)


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """``frame.pts``: 90 kHz ticks from the file's first frame on. ``ticks``: the stream's own time."""

    frame: Frame
    ticks: int
    is_warm_up: bool


def open_video(path: Path) -> tuple[InputContainer, VideoStream]:
    """Raises SourceUnusable. The caller closes the container."""
    try:
        # "file:", and only that: neither a name with a colon nor a playlist leads anywhere else.
        container = av.open(
            f"file:{path}",
            options={"protocol_whitelist": "file"},
            metadata_errors="ignore",
        )
    except (av.error.FFmpegError, OSError) as error:
        if path.exists() and path.stat().st_size == 0:
            raise SourceUnusable("the file is empty") from error
        raise SourceUnusable(f"it is no video that can be read: {_reason(error)}") from error
    covers = Disposition.attached_pic
    streams = [s for s in container.streams.video if not s.disposition & covers]
    if not streams or getattr(streams[0], "codec_context", None) is None:
        container.close()
        raise SourceUnusable("there is no video in it that can be decoded")
    stream = streams[0]
    stream.thread_type = "SLICE"
    stream.codec_context.thread_count = 1  # the other cores have other segments to work on
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    return container, stream


def plan_video(path: Path, segment_frames: int, warm_up_frames: int) -> VideoPlan:
    """Looks at the first frame, and into all packets of a video of ``2 * segment_frames`` or more. Raises
    SourceUnusable for what is no video."""
    container, stream = open_video(path)
    with container:
        picture = next(_pictures(container, stream, Faults()), None)
        if picture is None:
            raise SourceUnusable("none of its video could be decoded")
        rate = _rate(stream)
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


def read_frames(path: Path, plan: VideoPlan, segment: Segment, faults: Faults) -> Iterator[Decoded]:
    """The segment's frames, its warm-up's before them. Damage is skipped, and told in ``faults``."""
    container, stream = open_video(path)
    with container:
        if segment.warm_up is not None:
            earlier = int(_SEEK_EARLIER_S / plan.time_base)
            container.seek(max(plan.first, segment.warm_up - earlier), stream=stream)
        pictures = _pictures(container, stream, faults)
        timed = _timed(pictures, plan)
        ahead = next(timed, None)
        if segment.warm_up is not None and (ahead is None or ahead[0] > segment.warm_up):
            # The container's own index is wrong: go there from the beginning.
            container.seek(plan.first, stream=stream)
            timed, ahead = _timed(_pictures(container, stream, faults), plan), None
        last = -1
        for ticks, picture in itertools.chain([ahead] if ahead else [], timed):
            if segment.end is not None and ticks >= segment.end:
                return
            if segment.warm_up is not None and ticks < segment.warm_up:
                continue
            media_s = (ticks - plan.first) * plan.time_base
            last = max(round(media_s * VIDEO_CLOCK_HZ), last + 1)
            is_warm_up = segment.begin is not None and ticks < segment.begin
            if picture.is_corrupt and not is_warm_up:
                faults.tell("some of its pictures show damage")
            yield Decoded(_upright(picture, plan, last), ticks, is_warm_up)


def _pictures(
    container: InputContainer, stream: VideoStream, faults: Faults
) -> Iterator[av.VideoFrame]:
    """What can be decoded, in the order of showing."""
    others = list(container.streams.audio)
    seen_s = 0.0  # how far the file goes, by any of its streams
    try:
        for packet in container.demux([stream, *others]):
            if packet.pts is not None and packet.time_base:
                seen_s = max(
                    seen_s, float((packet.pts + (packet.duration or 0)) * packet.time_base)
                )
            if packet.stream is not stream:  # the packets at the end have no index of their own
                continue
            try:
                yield from stream.decode(packet)
            except av.error.InvalidDataError:
                faults.tell("some of its packets are damaged and could not be decoded")
    except (av.error.FFmpegError, OSError) as error:
        faults.tell(f"it could be read up to second {seen_s:.1f} only: {_reason(error)}")
        yield from _flushed(stream)
        return
    said_s = _said_s(container, stream)
    if said_s is not None and seen_s < said_s - _CUT_SHORT_S:
        faults.tell(f"it is cut off at second {seen_s:.1f} of {said_s:.1f}")


def _flushed(stream: VideoStream) -> list[av.VideoFrame]:
    """What a decoder still holds."""
    try:
        return stream.decode(None)
    except av.error.FFmpegError:
        return []


def _timed(
    pictures: Iterator[av.VideoFrame], plan: VideoPlan
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Each with its time in ticks, which always rises. One without a time comes a frame after the last."""
    last: int | None = None
    for picture in pictures:
        ticks = picture.pts
        if ticks is None:
            ticks = plan.first if last is None else last + plan.frame_ticks
        if last is not None:
            ticks = max(ticks, last + 1)
        last = ticks
        yield ticks, picture


def _upright(picture: av.VideoFrame, plan: VideoPlan, pts: int) -> Frame:
    """In the plan's size, whatever the picture's own; ``pts``: 90 kHz ticks."""
    size = (plan.height, plan.width) if plan.turns % 2 else (plan.width, plan.height)
    if (picture.width & ~1, picture.height & ~1) != size:
        picture = picture.reformat(width=size[0], height=size[1])
    frame = to_frame(picture, pts, received_mono=0.0, received_at=0.0)
    if plan.turns == 0:
        return replace(frame, decode_ms=0.0)
    i420 = np.empty((plan.height * 3 // 2, plan.width), np.uint8)
    turned = Frame(i420, pts, received_mono=0.0, received_at=0.0)
    for target, plane in zip(turned.planes(), frame.planes(), strict=True):
        target[:] = np.rot90(plane, plan.turns)
    return turned


def _turns(picture: av.VideoFrame) -> int:
    return round(picture.rotation / 90) % 4


def _colours(picture: av.VideoFrame) -> tuple[int, int, int]:
    unknown = 2
    if picture.format.is_rgb:  # its matrix is none, while ours is
        return unknown, unknown, unknown
    return picture.color_primaries, picture.color_trc, picture.colorspace


def _rate(stream: VideoStream) -> Fraction:
    """Frames per second, as far as the file tells."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate is not None and 0 < rate <= 1000:
            return rate
    return Fraction(30)


def _guessed_frames(container: InputContainer, stream: VideoStream, rate: Fraction) -> int:
    """0 where nothing tells."""
    if stream.duration and stream.time_base:
        return round(stream.duration * stream.time_base * rate)
    return round((container.duration or 0) / av.time_base * rate)


def _said_s(container: InputContainer, stream: VideoStream) -> float | None:
    """At which second pictures and sound end, as the file says; None where it says nothing to trust."""
    kind = container.format.name.partition(",")[0]
    if kind == "mov":
        streams = [each for each in (stream, *container.streams.audio) if each.duration]
        ends = [((s.start_time or 0) + (s.duration or 0)) * (s.time_base or 0) for s in streams]
        return float(max(ends, default=0))
    if kind == "avi":  # FFmpeg's duration is that of what is there
        return float(stream.frames / _rate(stream))
    if kind == "matroska" and container.duration:
        return ((container.start_time or 0) + container.duration) / av.time_base
    return None


def _times(path: Path) -> list[int]:
    """Of all frames that a sound file will show, rising; empty for a video that can't be cut: one with
    frames without times, or times that jump back."""
    container, stream = open_video(path)
    times: list[int] = []
    last_dts: int | None = None
    with container:
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
                if not packet.is_discard:
                    times.append(packet.pts)
        except (av.error.FFmpegError, OSError):
            return []
    times.sort()
    return times if all(a < b for a, b in itertools.pairwise(times)) else []


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
