"""An IP camera as a source of frames."""

import contextlib
import errno
import logging
from typing import Literal

import av
import av.error
from av.container import InputContainer

from streamer.config import RtspConfig, RtspSource, WorkersConfig
from streamer.errors import (
    DecoderDied,
    SourceError,
    SourceForbidden,
    SourceLost,
    SourceNotFound,
    SourceRejected,
    SourceStalled,
    SourceUnreachable,
    SourceUnusable,
    StreamerError,
)
from streamer.isolation.landlock import RANDOM, Rights
from streamer.ports import FrameReceiver
from streamer.sources.address import IpAddress, parse_rtsp_url, resolve
from streamer.sources.reader import Progress
from streamer.sources.relay import Relay, open_relay
from streamer.sources.remote import RemoteReader, TransportRefused

logger = logging.getLogger(__name__)

Transport = Literal["tcp", "udp"]

GOODBYE_S = 0.3
"""Time for the reader to notice ``quit`` and tell the camera, which may allow few viewers."""

_OPEN_OPTIONS = {
    # The SDP says what decoding needs: look at no more than the first packet. Without "nobuffer",
    # which throws that packet away: it is the key frame, and the next may be seconds off.
    "probesize": "32",
    "analyzeduration": "0",
    "allowed_media_types": "video",
    "protocol_whitelist": "rtsp,rtp,tcp,udp",
}


class RtspCamera:
    """A ``ports.Source``. Each connection is read and decoded in a child of its own; FFmpeg sees of the
    network no more than the door of our relay.

    ``transport``: the one in use. ``progress``: of the current connection, or of the last.
    """

    def __init__(
        self, source: RtspSource, config: RtspConfig, workers: WorkersConfig | None = None
    ) -> None:
        """Raises InvalidRequest when the source's URL is not one of a camera."""
        self.transport: Transport = source.transport or config.transport
        self.progress = Progress()
        self._url = parse_rtsp_url(source)
        self._config = config
        self._workers = workers or WorkersConfig()

    @property
    def shown(self) -> dict[str, str]:
        return {"type": "rtsp", "url": self._url.shown}

    async def check(self) -> None:
        """Raises SourceForbidden for a place that the configuration rules out. A camera whose name
        can't be resolved now is no error: it may come up later."""
        with contextlib.suppress(SourceUnreachable):
            await self._resolve()

    async def run(self, receiver: FrameReceiver) -> None:
        """As ``ports.Source`` says. Cancelled, it is over within a second, whatever FFmpeg does."""
        addresses = await self._resolve()
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

    async def _resolve(self) -> list[IpAddress]:
        return await resolve(self._url, self._config.allowed_networks, self._config.open_timeout_s)

    async def _connect(self, addresses: list[IpAddress], receiver: FrameReceiver) -> None:
        """One connection; raises what ended it."""
        async with contextlib.AsyncExitStack() as stack:
            relay = await stack.enter_async_context(
                open_relay(
                    *(self._url, addresses, self._config.open_timeout_s),
                    over_udp=self.transport == "udp",
                )
            )
            url, place = self._url.via(relay.host, relay.port), self._url.place
            order = {"what": "rtsp", "url": url, "transport": self.transport, "place": place}
            # Names and TLS are ours.
            rights = Rights(reads=(RANDOM,), connects=(relay.port,))
            reader = RemoteReader(self._url.shown, order, rights, receiver, self._workers)
            reader.stay_at_edge()
            self.progress = reader.progress
            reader.start()
            try:
                await self._watch(reader, relay)
            finally:
                reader.quit()
                await reader.wait(GOODBYE_S)
                await reader.kill()

    async def _watch(self, reader: RemoteReader, relay: Relay) -> None:
        """Returns never: raises what ended the reader, or that nothing came for too long."""
        try:
            await reader.watch(self._config.open_timeout_s, self._config.read_timeout_s)
        except DecoderDied:
            raise
        except (SourceUnusable, SourceLost) as error:
            if relay.redirected:
                raise SourceForbidden(
                    f"{self._url.place} redirects to another address: enter that address itself"
                ) from error
            if not relay.speaks_rtsp:
                raise self._explain_silence(relay, playing=False) from error
            raise
        raise self._explain_silence(relay, playing=reader.progress.last_packet_mono is not None)

    def _explain_silence(self, relay: Relay, *, playing: bool) -> SourceError:
        if playing:
            return SourceStalled(f"no video came for {self._config.read_timeout_s:g} s")
        if relay.speaks_rtsp:
            return SourceStalled(f"the camera answers, but no video comes over {self.transport}")
        if relay.answered:
            return SourceUnusable(f"what answers at {self._url.place} does not speak RTSP")
        return SourceUnreachable(f"{self._url.place} accepts connections, but does not answer")


def open_rtsp(url: str, transport: Transport, place: str) -> InputContainer:
    """In the child. Raises SourceRejected, SourceNotFound, SourceUnusable, TransportRefused."""
    try:
        return av.open(url, format="rtsp", options={**_OPEN_OPTIONS, "rtsp_transport": transport})
    except (av.error.FFmpegError, OSError) as error:
        raise _explain_open_error(error, place) from None  # it holds the URL


def _explain_open_error(error: Exception, place: str) -> StreamerError | TransportRefused:
    if getattr(error, "errno", None) == errno.EPROTONOSUPPORT:
        return TransportRefused()
    match error:
        case av.error.HTTPUnauthorizedError():
            return SourceRejected("wrong or missing user name or password")
        case av.error.HTTPForbiddenError():
            return SourceRejected("the camera does not let this user see this stream")
        case av.error.HTTPNotFoundError():
            return SourceNotFound(f"{place} answers, but has no stream at this path")
        case _:
            reason = getattr(error, "strerror", None) or "no reason given"
            return SourceUnusable(f"{place} can't be played: {reason}")
