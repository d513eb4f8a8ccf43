"""A video file of the server, played in real time as if it were a camera."""

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from streamer.aio import assert_off_loop
from streamer.config import FilesConfig, FileSource, WorkersConfig
from streamer.errors import SourceEnded, SourceError, SourceLost, SourceUnreachable, SourceUnusable
from streamer.isolation.landlock import Rights
from streamer.model import VIDEO_CLOCK_HZ, Frame, VideoInfo
from streamer.pixels import to_frame, turned
from streamer.ports import FrameReceiver
from streamer.sources.folders import look_up, open_file
from streamer.sources.formats import VIDEO_FORMATS
from streamer.sources.reader import Progress, Watched, check_size, claimed_fps, first_video
from streamer.sources.remote import RemoteReader

logger = logging.getLogger(__name__)

FIND_S = 10.0
"""For the file's folder to answer: one on the network may hang."""

GOODBYE_S = 0.3
"""Time for the reader to end with the picture at hand."""

MAX_LATE_S = 0.5
"""A decoder that is behind by so much is too slow for the file, which then plays slower."""

MAX_GAP_S = 60.0
"""Between two pictures; a file whose clock jumps further, or back, goes on with the next picture."""

DEFAULT_FPS = 25.0

_OPTIONS = {
    "format_whitelist": VIDEO_FORMATS,
    "protocol_whitelist": "none",  # the file is opened here: FFmpeg needs none, not even ``file``
}


class FileCamera:
    """A ``ports.Source``. The file is read, decoded and paced in a child of its own.

    ``progress``: of the current run, or of the last.
    """

    transport = None

    def __init__(
        self, source: FileSource, config: FilesConfig, workers: WorkersConfig | None = None
    ) -> None:
        self.progress = Progress()
        self._source = source
        self._folders = [Path(folder) for folder in config.folders]
        self._workers = workers or WorkersConfig()

    @property
    def shown(self) -> dict[str, str]:
        """``path`` is relative to its folder: of the server's own paths nothing is told."""
        path = Path(os.path.normpath(self._source.path))
        for folder in self._folders:
            if path.is_relative_to(folder):
                path = path.relative_to(folder)
        return {"type": "file", "path": path.name if path.is_absolute() else str(path)}

    async def check(self) -> None:
        """Raises SourceForbidden for a file that the configuration rules out. One that is not there now
        may be there later, and a disk that does not answer now may, too."""
        try:
            await self._find()
        except SourceError as error:
            logger.info("a file is added that can't be played now: %s", error)

    async def run(self, receiver: FrameReceiver) -> None:
        """As ``ports.Source`` says; SourceEnded after the last picture of a file that does not loop."""
        path = str(await self._find())
        order = {"what": "file", "path": path, "loop": self._source.loop}
        rights = Rights(reads=(path,))  # this file alone, not what is beside it
        reader = RemoteReader(self.shown["path"], order, rights, receiver, self._workers)
        self.progress = reader.progress
        reader.start()
        try:
            await asyncio.wait({reader.ended})
            reader.ended.result()
        finally:
            reader.quit()
            await reader.wait(GOODBYE_S)
            await reader.kill()

    async def _find(self) -> Path:
        """Raises SourceUnreachable when the disk does not answer."""
        under_way = look_up(self._source.path, self._folders)
        try:
            async with asyncio.timeout(FIND_S):
                return await asyncio.wrap_future(under_way)
        except TimeoutError:
            raise SourceUnreachable("the disk with this file does not answer") from None


@dataclass(slots=True)
class _Clock:
    """One clock through all rounds of a file, in 90 kHz ticks from the first picture on.

    It keeps the distances of the file's pictures. Where the file has none, at the start of a round or
    where its own clock jumps, one picture follows the other at the file's frame rate.
    """

    step: int
    now: int = 0
    _media: int | None = None
    _is_new: bool = True

    def begin_round(self) -> None:
        self._media = None

    def place(self, media: int | None) -> int:
        if self._is_new:
            gap, self._is_new = 0, False
        elif media is None or self._media is None:
            gap = self.step
        else:
            gap = media - self._media
            if not 0 < gap <= MAX_GAP_S * VIDEO_CLOCK_HZ:
                gap = self.step
        self._media = media if media is not None else self._media
        self.now += gap
        return self.now

    def skip(self, late_s: float) -> int:
        """Catches up with our time, which a decoder that is too slow has fallen behind."""
        self.now += round(late_s * VIDEO_CLOCK_HZ)
        return self.now


class FileReader:
    """One run, in the child: ``run`` blocks its thread; ``quit`` comes from another."""

    def __init__(
        self,
        path: Path,
        receiver: FrameReceiver,
        decoding: Watched = contextlib.nullcontext,
        fetching: Watched = contextlib.nullcontext,
        *,
        loop: bool,
    ) -> None:
        """``path``: as ``find`` has it. ``fetching``: around all that waits for the disk, too."""
        self.progress = Progress()
        self._path = path
        self._loop = loop
        self._receiver = receiver
        self._decoding = decoding
        self._fetching = fetching
        self._quit = threading.Event()
        self._video: VideoInfo | None = None
        self._known: os.stat_result | None = None

    def quit(self) -> None:
        """``run`` returns once the picture at hand is put."""
        self._quit.set()

    def run(self) -> None:
        """Returns only after ``quit``. Raises SourceEnded after the last picture, or what is wrong."""
        assert_off_loop()
        started_mono = time.monotonic()
        clock: _Clock | None = None
        while not self._quit.is_set():
            before = self.progress.frames
            with contextlib.ExitStack() as stack:
                with self._fetching():
                    container = stack.enter_context(_open(stack.enter_context(self._open_file())))
                stream = _video(container)
                self.progress.profile = stream.codec_context.profile
                if clock is None:
                    clock = _Clock(round(VIDEO_CLOCK_HZ / (claimed_fps(stream) or DEFAULT_FPS)))
                clock.begin_round()
                for picture in self._pictures(container, stream):
                    self._show(picture, stream, clock, started_mono)
            if self.progress.frames == before and not self._quit.is_set():
                raise SourceUnusable("no picture in this file can be decoded")
            if not self._loop and not self._quit.is_set():
                raise SourceEnded("the file was played to its end")

    def _open_file(self) -> BinaryIO:
        """For the next round. Another file that has got its name since is for another child: this one may
        read no other than it began with."""
        with contextlib.suppress(OSError):  # opening it tells what is wrong
            found = os.stat(self._path)
            if self._known is not None and not os.path.samestat(found, self._known):
                raise SourceLost("the file was replaced: the new one is opened")
            self._known = found
        return open_file(self._path)

    def _pictures(self, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
        """All that can be decoded; what is damaged is left out."""
        for packet in self._packets(container, stream):
            yield from self._decoded(stream, packet)
        if not self._quit.is_set():
            yield from self._decoded(stream, None)  # what the decoder still held back

    def _decoded(
        self, stream: VideoStream, packet: "av.Packet[VideoStream] | None"
    ) -> list[av.VideoFrame]:
        try:
            with self._decoding():
                return stream.codec_context.decode(packet)
        except (av.error.FFmpegError, OSError) as error:
            self._note_damage(error)
            check_size(stream)
            return []

    def _packets(
        self, container: InputContainer, stream: VideoStream
    ) -> Iterator["av.Packet[VideoStream]"]:
        """Up to the end, or to where the file breaks off."""
        packets = container.demux(stream)
        try:
            while True:
                with self._fetching():
                    packet = next(packets, None)
                # FFmpeg marks the end with an empty packet.
                if self._quit.is_set() or packet is None or packet.size == 0:
                    return
                self.progress.last_packet_mono = time.monotonic()
                yield packet
        except (av.error.FFmpegError, OSError) as error:
            self._note_damage(error)

    def _note_damage(self, error: av.error.FFmpegError | OSError) -> None:
        self.progress.failed_packets += 1
        logger.debug("a part of a file could not be read or decoded: %s", error.strerror)

    def _show(
        self, picture: av.VideoFrame, stream: VideoStream, clock: _Clock, started_mono: float
    ) -> None:
        """Waits until the picture is due and puts it."""
        ticks = VIDEO_CLOCK_HZ * (picture.time_base or stream.time_base or 0)
        pts = clock.place(None if picture.pts is None else round(picture.pts * ticks))
        due_mono = started_mono + pts / VIDEO_CLOCK_HZ
        if self._quit.wait(max(0.0, due_mono - time.monotonic())):
            return
        now_mono = time.monotonic()
        if now_mono - due_mono > MAX_LATE_S:
            pts = clock.skip(now_mono - due_mono)
        frame = turned(to_frame(picture, pts, now_mono, time.time()), picture.rotation)
        self._announce(frame, stream)
        self.progress.frames += 1
        self._receiver.put(frame)

    def _announce(self, frame: Frame, stream: VideoStream) -> None:
        name, fps = stream.codec_context.name, claimed_fps(stream)
        video = VideoInfo(frame.width, frame.height, name, fps)
        if self._video != video:
            self._video = video
            self._receiver.opened(self._video)


def _open(file: BinaryIO) -> InputContainer:
    try:
        return av.open(file, mode="r", options=_OPTIONS)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise SourceUnusable(
            "this file is no video that can be played (playlists and scripts are not)"
        ) from error


def _video(container: InputContainer) -> VideoStream:
    stream = first_video(container)
    if stream is None:
        raise SourceUnusable("there is no video in this file, or in a format that is not known")
    check_size(stream)
    stream.thread_type = "AUTO"  # it may be ahead: nobody waits for a picture before its time
    return stream
