"""Video files through FFmpeg: opening them, and their pictures as far as they can be had."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from streamer.errors import SourceUnusable
from streamer.sources.formats import VIDEO_FORMATS

MAX_PIXELS = 16384 * 8192

_CUT_SHORT_S = 1.0
"""A file that ends so much earlier than it says has been cut off."""


@dataclass(slots=True)
class Faults:
    """What was wrong with a file of which something could be had: sentences, each once."""

    told: list[str] = field(default_factory=list)

    def tell(self, sentence: str) -> None:
        if sentence not in self.told:
            self.told.append(sentence)


class RisingClock:
    """A stream's times, made to rise: where they jump back by a second or more, they go on after the last
    (two recordings in one file), and a time that is missing comes a step after the last."""

    def __init__(self, second: float, step: int, first: int = 0) -> None:
        """In ticks. ``first``: what the first is when its time is missing."""
        self._second = second
        self._step = step
        self._first = first
        self._shift = 0
        self._last: int | None = None

    def at(self, ticks: int | None) -> int:
        if self._last is None:
            self._last = self._first if ticks is None else ticks
            return self._last
        next_one = self._last + self._step
        if ticks is not None:
            if self._last - (ticks + self._shift) >= self._second:
                self._shift = next_one - ticks
            next_one = max(ticks + self._shift, self._last + 1)
        self._last = next_one
        return next_one


def open_video(path: Path) -> tuple[InputContainer, VideoStream]:
    """Raises SourceUnusable. The caller closes the container."""
    try:
        # "file:", and only that: neither a name with a colon nor a playlist leads anywhere else.
        container = av.open(
            f"file:{path}",
            options={"format_whitelist": VIDEO_FORMATS, "protocol_whitelist": "file"},
            metadata_errors="ignore",
        )
    except (av.error.FFmpegError, OSError) as error:
        if path.exists() and path.stat().st_size == 0:
            raise SourceUnusable("the file is empty") from error
        raise SourceUnusable(f"it is no video that can be read: {reason(error)}") from error
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


def pictures(
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
        faults.tell(f"it could be read up to second {seen_s:.1f} only: {reason(error)}")
        yield from _flushed(stream)
        return
    said_s = _said_s(container, stream)
    if said_s is not None and seen_s < said_s - _CUT_SHORT_S:
        faults.tell(f"it is cut off at second {seen_s:.1f} of {said_s:.1f}")


def frame_rate(stream: VideoStream) -> Fraction:
    """Frames per second, as far as the file tells."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate is not None and 0 < rate <= 1000:
            return rate
    return Fraction(30)


def reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


def _flushed(stream: VideoStream) -> list[av.VideoFrame]:
    """What a decoder still holds."""
    try:
        return stream.decode(None)
    except av.error.FFmpegError:
        return []


def _said_s(container: InputContainer, stream: VideoStream) -> float | None:
    """At which second pictures and sound end, as the file says; None where it says nothing to trust."""
    kind = container.format.name.partition(",")[0]
    if kind == "mov":
        streams = [each for each in (stream, *container.streams.audio) if each.duration]
        ends = [((s.start_time or 0) + (s.duration or 0)) * (s.time_base or 0) for s in streams]
        return float(max(ends, default=0))
    if kind == "avi":  # FFmpeg's duration is that of what is there
        return float(stream.frames / frame_rate(stream))
    if kind == "matroska" and container.duration:
        return ((container.start_time or 0) + container.duration) / av.time_base
    return None
