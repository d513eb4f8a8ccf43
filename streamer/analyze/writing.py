"""Annotated video: segments encoded one by one, then joined in one file with the input's own sound."""

import heapq
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Self

import av
import av.error
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from streamer.analyze.files import RisingClock, open_video
from streamer.analyze.planning import VideoPlan
from streamer.errors import StreamerError
from streamer.model import VIDEO_CLOCK_HZ, Frame
from streamer.pixels import to_av

_ENCODER = {"preset": "superfast", "crf": "22"}
"""2 ms for a picture of 640x480, where finding the pose takes 11: the next slower preset takes 3, and gives
files of two thirds the size."""

_GOP_FRAMES = 120
_MAX_CLOCK_HZ = 1_000_000
"""MP4 counts in 32 bits in places: a finer clock of the input becomes 90 kHz."""

_MOVIE_CLOCK_HZ = 90_000
"""Of edit lists, which hold when a track begins; by default they are in milliseconds."""


def video_clock(plan: VideoPlan) -> Fraction:
    """Seconds a tick of the annotated video: the input's, so that times stay what they are."""
    if plan.time_base.denominator > _MAX_CLOCK_HZ:
        return Fraction(1, VIDEO_CLOCK_HZ)
    return plan.time_base


class SegmentVideo:
    """One segment as H.264 in MP4, from time 0 on; a context manager. All of one plan join."""

    def __init__(self, file: BinaryIO, plan: VideoPlan) -> None:
        self._plan = plan
        self._clock = video_clock(plan)
        self._container = av.open(file, "w", format="mp4")
        self._stream = self._open_stream()
        self._begin: int | None = None
        self._last = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def write(self, frame: Frame, ticks: int) -> None:
        """``ticks``: the input's own time, rising."""
        at = round(ticks * self._plan.time_base / self._clock)
        if self._begin is None:
            self._begin = at
        self._last = max(at - self._begin, self._last + 1)
        picture = to_av(frame, self._last)
        picture.time_base = self._clock
        self._container.mux(self._stream.encode(picture))

    def finish(self) -> int:
        """Flushes; when the segment begins, in ticks of ``video_clock``."""
        self._container.mux(self._stream.encode(None))
        return self._begin or 0

    def _open_stream(self) -> VideoStream:
        plan = self._plan
        rate = Fraction(1, plan.frame_ticks) / plan.time_base
        stream = self._container.add_stream(
            "libx264", rate=rate.limit_denominator(1001), options=_ENCODER
        )
        assert isinstance(stream, VideoStream)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = plan.width, plan.height, "yuv420p"
        context.time_base = self._clock
        context.sample_aspect_ratio = plan.aspect
        context.gop_size = _GOP_FRAMES
        context.max_b_frames = (
            0  # with them a segment's decoding would begin before its first picture
        )
        context.thread_count = 1  # the other cores have other segments to work on
        context.color_range = 1  # limited, as of every Frame
        context.color_primaries, context.color_trc, context.colorspace = plan.colours
        return stream


@dataclass(frozen=True, slots=True)
class VideoPart:
    """``begin``: as ``SegmentVideo.finish`` told."""

    path: Path
    begin: int


def join_video(
    target: BinaryIO, plan: VideoPlan, parts: Sequence[VideoPart], original: Path
) -> list[str]:
    """Writes an MP4 file of the parts' packets and those of the original's sound, untouched. What had to
    be left out is told in sentences."""
    faults: list[str] = []
    with ExitStack() as stack:
        source, _ = open_video(original)
        stack.enter_context(source)
        first = stack.enter_context(av.open(str(parts[0].path)))
        options = {"movie_timescale": str(_MOVIE_CLOCK_HZ)}
        joined = stack.enter_context(av.open(target, "w", format="mp4", options=options))
        video = joined.add_stream_from_template(first.streams.video[0])
        sounds: dict[int, AudioStream] = {}
        for stream in source.streams.audio:
            try:
                sounds[stream.index] = joined.add_stream_from_template(stream)
            except (ValueError, AttributeError, av.error.FFmpegError):
                faults.append(f"its sound ({_codec(stream)}) can't be kept in an MP4 file")
        packets = heapq.merge(
            _video_packets(parts, video_clock(plan), video),
            _sound_packets(source, sounds, faults),
            key=lambda timed: timed[0],
        )
        for _, packet in packets:
            joined.mux(packet)
    return faults


Timed = tuple[float, "av.Packet[Any]"]
"""A packet, and when it is to be decoded, in seconds."""


def _video_packets(
    parts: Sequence[VideoPart], clock: Fraction, stream: VideoStream
) -> Iterator[Timed]:
    extradata: bytes | None = None
    for part in parts:
        with av.open(str(part.path)) as container:
            own = container.streams.video[0]
            extradata = extradata or own.codec_context.extradata
            if own.codec_context.extradata != extradata:
                raise StreamerError("two segments of this video were not encoded alike")
            assert own.time_base is not None
            offset = part.begin * clock / own.time_base
            for packet in container.demux(own):
                if packet.pts is None or packet.dts is None:
                    continue  # the end
                packet.pts += int(offset)
                packet.dts += int(offset)
                packet.stream = stream
                yield float(packet.dts * own.time_base), packet


def _sound_packets(
    source: Any, sounds: dict[int, AudioStream], faults: list[str]
) -> Iterator[Timed]:
    clocks: dict[int, RisingClock] = {}
    try:
        for packet in source.demux([source.streams[index] for index in sounds]) if sounds else ():
            if packet.size == 0:
                continue
            index, step = packet.stream_index, packet.duration or 1
            clock = clocks.setdefault(index, RisingClock(float(1 / packet.time_base), step))
            # FFmpeg reads MP4 that begins late with times of decoding that do not; sound has but one time.
            packet.dts = packet.pts = clock.at(packet.dts if packet.pts is None else packet.pts)
            packet.stream = sounds[index]
            yield float(packet.dts * packet.time_base), packet
    except (av.error.FFmpegError, OSError):
        faults.append("its sound could not be read up to the end")


def _codec(stream: AudioStream) -> str:
    return getattr(stream.codec_context, "name", "of an unknown kind")
