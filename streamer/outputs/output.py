"""A stream's video pushed to an RTSP server, for recorders and players: encoded once more, as they need it.

screens ─► OutputEncoder (one thread, a slot of one picture) ─► Output's task ─► Publication ─► server

Not shared with WebRTC's viewers, whose encoder follows their links and sends key frames only when asked.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from streamer.aio import LatestSlot, cancel_and_wait, until_ended
from streamer.config import OutputConfig, RtspConfig, RtspSource, VideoConfig
from streamer.encoders import VideoEncoder, highest_bitrate
from streamer.errors import SourceForbidden, SourceRejected, StreamerError
from streamer.model import ALWAYS, VIDEO_CLOCK_HZ, Packet, Picture, Rule, Status, StreamState
from streamer.outputs.publication import Publication, connect
from streamer.outputs.rtp import RtpPacker, describe
from streamer.retry import RetryPolicy
from streamer.session import Session
from streamer.sources.address import parse_rtsp_url, resolve

logger = logging.getLogger(__name__)

KEYFRAME_INTERVAL_S = 2.0
"""What recorders cut at, and how long a player waits for its first picture at most."""

REPORT_INTERVAL_S = 5.0
"""Between two sender reports (RFC 3550, section 6.2)."""

MAX_IN_FLIGHT = 2
"""Encoded pictures that wait for the network; the encoder waits beyond that, and its slot drops pictures."""


@dataclass(frozen=True, slots=True, eq=False)
class _Coded:
    packet: Packet
    size: tuple[int, int]
    rule: Rule


class _SizeChanged(Exception):
    """What was announced is no longer true: a new session begins at once."""


class OutputEncoder:
    """A ``PictureSink``. ``shows_notices``: before the first frame it waits, as a notice of its own has
    another size than what follows."""

    def __init__(
        self,
        name: str,
        limits: Callable[[], VideoConfig],
        *,
        annotated: bool,
        shows_notices: bool,
    ) -> None:
        self.annotated = annotated
        self._limits = limits
        self._shows_notices = shows_notices
        self._loop = asyncio.get_running_loop()
        self._coded: asyncio.Queue[_Coded | None] = asyncio.Queue()
        self._in_flight = threading.Semaphore(MAX_IN_FLIGHT)
        self._slot: LatestSlot[Picture] = LatestSlot()
        self._thread = threading.Thread(target=self._run, name=f"output-{name}", daemon=True)
        self._thread.start()

    def show(self, picture: Picture) -> None:
        self._shows_notices |= not picture.is_notice
        if self._shows_notices:
            self._slot.put(picture)

    async def next(self) -> _Coded:
        """In their order, the first one a key frame. Raises StreamerError when encoding fails."""
        while True:
            coded = await self._coded.get()
            if coded is None:
                raise StreamerError(
                    "the pictures could not be encoded; the server's log has the details"
                )
            self._in_flight.release()
            if not coded.rule.over:
                return coded

    async def close(self) -> None:
        """Waits until the thread has ended."""
        self._slot.close()
        self._in_flight.release()
        await until_ended(self._thread)

    def _run(self) -> None:
        """In the encoder's thread."""
        encoder: VideoEncoder | None = None
        size, last_pts, key_pts, rule = (0, 0), -1, 0, ALWAYS
        try:
            while (picture := self._slot.take()) is not None:
                frame, pts = picture.frame, picture.pts
                if pts <= last_pts:
                    continue  # it comes too late
                bit_rate = highest_bitrate(self._limits(), frame.width, frame.height)
                is_other = size != (frame.width, frame.height) or rule is not picture.rule
                if encoder is None or is_other:
                    if encoder is not None:
                        encoder.close()
                    size, rule = (frame.width, frame.height), picture.rule
                    encoder = VideoEncoder("h264", *size, bit_rate)
                encoder.set_bit_rate(bit_rate)
                is_due = pts - key_pts >= KEYFRAME_INTERVAL_S * VIDEO_CLOCK_HZ
                packet = encoder.encode(frame, pts, force_keyframe=is_due)
                last_pts, key_pts = pts, pts if packet.is_keyframe else key_pts
                self._in_flight.acquire()
                self._loop.call_soon_threadsafe(self._coded.put_nowait, _Coded(packet, size, rule))
        except Exception:  # the stream goes on; the output says that it failed
            logger.exception("%s: a picture could not be encoded", self._thread.name)
            self._loop.call_soon_threadsafe(self._coded.put_nowait, None)
        finally:
            if encoder is not None:
                encoder.close()


class Output:
    """Publishes one stream until ``close``, and tries for ever to. It counts as a watcher all the time: a
    recorder that comes back finds pictures. ``limits``: the stream's, which may change.
    """

    def __init__(
        self,
        session: Session,
        config: OutputConfig,
        rtsp: RtspConfig,
        retry: RetryPolicy,
        limits: Callable[[], VideoConfig],
    ) -> None:
        """Raises InvalidRequest for a URL that is none of an RTSP server."""
        self.config = config
        self.status = Status(StreamState.CONNECTING, "waiting for the first picture")
        self._url = parse_rtsp_url(RtspSource(url=config.url))
        self._session = session
        self._rtsp = rtsp
        self._retry = retry
        self._limits = limits
        self._has_begun = False
        self._task: asyncio.Task[None] | None = None

    @property
    def shown_url(self) -> str:
        """Without credentials."""
        return self._url.shown

    def start(self) -> None:
        name = f"output-{self._session.name}"
        self._task = asyncio.get_running_loop().create_task(self._supervise(), name=name)

    async def close(self) -> None:
        """Twice is safe."""
        await cancel_and_wait(self._task)

    async def _supervise(self) -> None:
        attempt = 0
        with self._session.watchers.one_more():
            while True:
                try:
                    await self._publish()
                except _SizeChanged:
                    continue
                except StreamerError as error:
                    was_live = self.status.state is StreamState.LIVE
                    attempt = 1 if was_live else attempt + 1
                    self._set_status(self._status_of(error, attempt))
                except Exception:  # a fault of ours must not leave the output dead and called live
                    logger.exception("the output of stream %s broke", self._session.name)
                    attempt += 1
                    words = "the server failed on this output; its log has the details"
                    self._set_status(self._status_of(StreamerError(words), attempt))
                await asyncio.sleep(self.status.retry_in_s or 0.0)

    async def _publish(self) -> None:
        """One session at the server, from the first picture to the error that ends it."""
        screens = self._session.screens
        encoder = OutputEncoder(
            self._session.name,
            self._limits,
            annotated=self.config.video == "annotated",
            shows_notices=self._has_begun,
        )
        screens.add(encoder)
        try:
            first = await encoder.next()
            self._has_begun = True
            timeout_s = self._rtsp.open_timeout_s
            addresses = await resolve(self._url, self._rtsp.allowed_networks, timeout_s)
            async with connect(self._url, addresses, timeout_s) as publication:
                await publication.open(describe(first.packet))
                self._set_status(Status(StreamState.LIVE))
                await _until_either_ends(
                    publication.listen(), _send_all(publication, encoder, first)
                )
        finally:
            screens.remove(encoder)
            await encoder.close()

    def _status_of(self, error: StreamerError, attempt: int) -> Status:
        is_refused = isinstance(error, SourceRejected | SourceForbidden)
        state = StreamState.FAILED if is_refused else StreamState.RECONNECTING
        delay_s = self._retry.rejected_s if is_refused else self._retry.delay_s(attempt)
        return Status(state, str(error), error.kind, delay_s, attempt)

    def _set_status(self, status: Status) -> None:
        if status.state is not self.status.state:
            name, state = self._session.name, status.state.value
            logger.info("the output of stream %s is %s. %s", name, state, status.detail)
        self.status = status


async def _send_all(publication: Publication, encoder: OutputEncoder, first: _Coded) -> None:
    """Returns never: raises what the network does, or _SizeChanged."""
    packer, coded, report_due_mono = RtpPacker(), first, 0.0
    while True:
        if not coded.rule.over:  # the first may have waited for long
            await publication.send(packer.pack(coded.packet))
        if time.monotonic() >= report_due_mono:
            report_due_mono = time.monotonic() + REPORT_INTERVAL_S
            await publication.send(packer.sender_report(coded.packet))
        coded = await encoder.next()
        if coded.size != first.size:
            raise _SizeChanged


async def _until_either_ends(*parts: Coroutine[Any, Any, None]) -> None:
    """Raises the error of the first that ends."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        done.pop().result()
    finally:
        await cancel_and_wait(*tasks)
