"""An IP camera as a source of frames."""

import asyncio
import concurrent.futures
import contextlib
import logging
import threading
import time
from typing import Never

from streamer.config import RtspConfig, RtspSource
from streamer.errors import SourceForbidden, SourceStalled, SourceUnreachable, SourceUnusable
from streamer.ports import FrameReceiver
from streamer.sources.address import IpAddress, parse_rtsp_url, resolve
from streamer.sources.live_edge import QUIET_S
from streamer.sources.reader import Progress, Transport, TransportRefused, VideoReader
from streamer.sources.relay import Relay, open_relay

logger = logging.getLogger(__name__)

GOODBYE_S = 0.3
"""Time for the reader to see ``quit`` and tell the camera (TEARDOWN); many allow few viewers at once."""

ABANDON_S = 0.7
"""Time for the reader to end once its connection is closed; then it is left to itself."""


class RtspCamera:
    """A ``ports.Source``. Frames come from a thread per connection; all else is on the event loop."""

    def __init__(self, source: RtspSource, config: RtspConfig) -> None:
        """Raises InvalidRequest when the source's URL can't be one of a camera."""
        self.transport: Transport = source.transport or config.transport
        self.progress = Progress()
        self.abandoned_threads = 0
        self._url = parse_rtsp_url(source)
        self._config = config

    async def run(self, receiver: FrameReceiver) -> None:
        """See ``ports.Source``."""
        address = await resolve(
            self._url, self._config.allowed_networks, self._config.open_timeout_s
        )
        try:
            await self._connect(address, receiver)
        except TransportRefused:
            if self.transport == "udp":
                raise SourceUnusable("the camera offers video neither over TCP nor over UDP") from None
        logger.info("camera %s refuses RTP over TCP: using UDP from now on", self._url.place)
        self.transport = "udp"
        await self.run(receiver)

    async def _connect(self, address: IpAddress, receiver: FrameReceiver) -> Never:
        reader = VideoReader(self._url.place, receiver)
        self.progress = reader.progress
        outcome: concurrent.futures.Future[Never] = concurrent.futures.Future()
        ended = asyncio.wrap_future(outcome)
        try:
            async with open_relay(self._url, address, self._config.open_timeout_s) as relay:
                url = self._url.via(relay.host, relay.port)
                self._start_thread(reader, url, outcome)
                try:
                    await self._watch(reader, relay, ended)
                finally:
                    reader.quit()
                    await asyncio.wait({ended}, timeout=GOODBYE_S)
        finally:
            await self._let_go(ended)

