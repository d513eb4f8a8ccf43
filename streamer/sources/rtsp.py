"""An IP camera as a source of frames."""

import asyncio
import contextlib
import logging
import time

from streamer.aio import in_daemon_thread
from streamer.config import RtspConfig, RtspSource
from streamer.errors import (
    SourceError,
    SourceForbidden,
    SourceLost,
    SourceStalled,
    SourceUnreachable,
    SourceUnusable,
)
from streamer.ports import FrameReceiver
from streamer.sources.address import IpAddress, parse_rtsp_url, resolve
from streamer.sources.live_edge import QUIET_S
from streamer.sources.reader import Progress, Transport, TransportRefused, VideoReader
from streamer.sources.relay import Relay, open_relay

logger = logging.getLogger(__name__)

GOODBYE_S = 0.3
"""Time for the reader to notice ``quit`` and tell the camera, which may allow few viewers."""

ABANDON_S = 0.6
"""Time for the reader to end once its connection is closed; then its thread is left to itself."""


class RtspCamera:
    """A ``ports.Source``. Each connection decodes in a thread of its own; the rest is on the loop.

    ``transport``: the one in use. ``progress``: of the current connection, or of the last.
    """

    def __init__(self, source: RtspSource, config: RtspConfig) -> None:
        """Raises InvalidRequest when the source's URL is not one of a camera."""
        self.transport: Transport = source.transport or config.transport
        self.progress = Progress()
        self._url = parse_rtsp_url(source)
        self._config = config

    async def run(self, receiver: FrameReceiver) -> None:
        """As ``ports.Source`` says. Cancelled, it is over within a second, whatever FFmpeg does."""
        addresses = await resolve(
            self._url, self._config.allowed_networks, self._config.open_timeout_s
        )
        refused: set[Transport] = set()
        while True:
            try:
                await self._connect(addresses, receiver)
            except TransportRefused as refusal:
                refused.add(self.transport)
                if len(refused) == 2:
                    raise SourceUnusable(
                        "the camera sends video neither over TCP nor over UDP"
                    ) from refusal
                logger.info("%s does not send over %s", self._url.place, self.transport)
                self.transport = "udp" if self.transport == "tcp" else "tcp"

    async def _connect(self, addresses: list[IpAddress], receiver: FrameReceiver) -> None:
        """One connection; raises what ended it."""
        reader = VideoReader(self._url.place, receiver)
        self.progress = reader.progress
        async with contextlib.AsyncExitStack() as stack:
            relay = await stack.enter_async_context(
                open_relay(self._url, addresses, self._config.open_timeout_s)
            )
            thread = _ReaderThread(reader, self._url.via(relay.host, relay.port), self.transport)
            try:
                await self._watch(reader, relay, thread.ended)
            finally:
                reader.quit()
                await thread.wait(GOODBYE_S)
                await stack.aclose()
                await thread.wait(ABANDON_S)
                thread.let_go()

    async def _watch(
        self, reader: VideoReader, relay: Relay, ended: "asyncio.Future[None]"
    ) -> None:
        """Returns never: raises what ended the reader, or that nothing came for too long."""
        started = time.monotonic()
        while not ended.done():
            last = reader.progress.last_packet_mono
            if last is None:
                due = started + self._config.open_timeout_s
            else:
                due = last + self._config.read_timeout_s
            left_s = due - time.monotonic()
            if left_s <= 0:
                raise self._explain_silence(relay, playing=last is not None)
            await asyncio.wait({ended}, timeout=left_s if reader.edge.reached else QUIET_S)
            reader.edge.settle()
        try:
            ended.result()
        except (SourceUnusable, SourceLost) as error:
            if relay.redirected:
                raise SourceForbidden(
                    f"{self._url.place} redirects to another address: enter that address itself"
                ) from error
            if not relay.speaks_rtsp:
                raise self._explain_silence(relay, playing=False) from error
            raise

    def _explain_silence(self, relay: Relay, *, playing: bool) -> SourceError:
        if playing:
            return SourceStalled(f"no video came for {self._config.read_timeout_s:g} s")
        if relay.speaks_rtsp:
            return SourceStalled(f"the camera answers, but no video comes over {self.transport}")
        if relay.answered:
            return SourceUnusable(f"what answers at {self._url.place} does not speak RTSP")
        return SourceUnreachable(f"{self._url.place} accepts connections, but does not answer")


class _ReaderThread:
    """Runs a reader. ``ended`` is done when it has ended, with its error."""

    def __init__(self, reader: VideoReader, url: str, transport: Transport) -> None:
        running = in_daemon_thread("rtsp-reader", lambda: reader.run(url, transport))
        self.ended = asyncio.wrap_future(running)

    async def wait(self, timeout_s: float) -> None:
        if not self.ended.done():
            await asyncio.wait({self.ended}, timeout=timeout_s)

    def let_go(self) -> None:
        """The thread is over, or it hangs inside FFmpeg, holding nothing but its connection."""
        if self.ended.done():
            self.ended.exception()  # seen by whom it concerned
        else:
            logger.warning("a reader's thread hangs and was abandoned")
            self.ended.cancel()
