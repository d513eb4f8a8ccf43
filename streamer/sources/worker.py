"""A camera's child: opens what it is told to, decodes it, and tells what comes."""

import concurrent.futures
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from streamer.aio import in_daemon_thread
from streamer.config import UsbSource
from streamer.errors import StreamerError
from streamer.isolation.worker import Worker
from streamer.model import Frame, Packet, VideoInfo
from streamer.sources.events import Ended, Forwarded, Opened, Pictured, Progressed
from streamer.sources.file import FileReader
from streamer.sources.reader import CODECS, Progress, VideoReader
from streamer.sources.remote import TransportRefused
from streamer.sources.rtsp import open_rtsp
from streamer.sources.usb import open_device

PROGRESS_S = 0.25

FILE_LIMIT_S = 30.0
"""For opening a file, and for its next packet: from a disk that has to start first."""

MAX_WORD = 64  # characters
MAX_TEXT = 500


class Reader(Protocol):
    progress: Progress

    def quit(self) -> None: ...


class Outgoing:
    """The reader's FrameReceiver. ``told``: the progress that was told last."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._told = Progress()

    def opened(self, video: VideoInfo) -> None:
        event = Opened(width=video.width, height=video.height, codec=video.codec, fps=video.fps)
        self._worker.send(event.header)

    def forward(self, packet: Packet) -> None:
        event = Forwarded(
            pts=packet.pts, is_keyframe=packet.is_keyframe, received_mono=packet.received_mono
        )
        self._worker.send(event.header, packet.data)

    def put(self, frame: Frame) -> None:
        event = Pictured(
            width=frame.width,
            height=frame.height,
            pts=frame.pts,
            received_mono=frame.received_mono,
        )
        self._worker.send(event.header, frame.i420.data)

    def tell(self, progress: Progress) -> None:
        """If it is another by now."""
        values = asdict(progress)
        if values != asdict(self._told):
            self._told = Progress(**values)
            profile = progress.profile and progress.profile[:MAX_WORD]
            self._worker.send(Progressed(**(values | {"profile": profile})).header)


def main(worker: Worker) -> None:
    order, _ = worker.receive()
    outgoing = Outgoing(worker)
    reader, run = _reader(order, outgoing, worker)
    worker.when_finished(reader.quit)
    reading = in_daemon_thread("reader", run)
    while not concurrent.futures.wait({reading}, PROGRESS_S).done:
        outgoing.tell(reader.progress)
    try:
        outgoing.tell(reader.progress)
        reading.result()
    except (StreamerError, TransportRefused) as error:
        worker.send(Ended(error=error.kind, text=str(error)[:MAX_TEXT]).header)


def _reader(order: dict[str, Any], outgoing: Outgoing, worker: Worker) -> tuple[Reader, Any]:
    """The reader, and what its thread runs."""
    decoding = partial(worker.working, order["decode_limit_s"])
    match order["what"]:
        case "rtsp":
            reader = VideoReader(order["place"], outgoing, CODECS, decoding)
            open_it = partial(open_rtsp, order["url"], order["transport"], order["place"])
            return reader, partial(reader.run, open_it)
        case "usb":
            source = UsbSource.model_validate(order["source"])
            reader = VideoReader(source.device, outgoing, (*CODECS, "rawvideo"), decoding)
            return reader, partial(reader.run, partial(open_device, source))
        case _:
            path, fetching = Path(order["path"]), partial(worker.working, FILE_LIMIT_S)
            file_reader = FileReader(path, outgoing, decoding, fetching, loop=order["loop"])
            return file_reader, file_reader.run
