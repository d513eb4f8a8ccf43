"""One peer: an RTCPeerConnection from its offer to its end."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable

from aiortc import (
    MediaStreamTrack,
    RTCDataChannel,
    RTCDtlsTransport,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpTransceiver,
    RTCSessionDescription,
)

from streamer.aio import cancel_and_wait
from streamer.config import LimitsConfig, WebRtcConfig
from streamer.errors import InvalidOffer, InvalidRequest, StreamerError, TooManyRequests
from streamer.logs import now_about
from streamer.messages import clock_message
from streamer.model import ModelStatus, PoseResult, Status, StreamState, VideoMode
from streamer.stream import Stream
from streamer.webrtc.codecs import agreed_codecs, choose_codec, keep_only
from streamer.webrtc.flood import FloodGate
from streamer.webrtc.gathering import Gathering
from streamer.webrtc.liveness import until_gone
from streamer.webrtc.outlets import LandmarkChannel
from streamer.webrtc.renditions import Renditions, Viewer
from streamer.webrtc.sdp import Offer, parse_fragment
from streamer.webrtc.source import PeerSource

logger = logging.getLogger(__name__)

SETTLE_S = 1.0

MAX_TRICKLES = 2
"""Requests that trickle, for each candidate that a peer may have: the last ones bring none."""

CLOSE_TIMEOUT_S = 10.0
"""A connection that can't be closed is left behind, with words in the log; the service goes on and ends."""

CLOCK_INTERVAL_S = 5.0
"""Between two ``clock`` messages: one that is lost, or came late, is made good by the next."""


class Peer:
    """One RTCPeerConnection, from its offer to its end. It is also a sink, to learn of the stream's end."""

    def __init__(
        self,
        peer_id: str,
        stream: Stream,
        renditions: Renditions,
        gathering: Gathering,
        config: WebRtcConfig,
        limits: LimitsConfig,
    ) -> None:
        self.id = peer_id
        self.ice_tag = secrets.token_hex(8)
        self.stream = stream
        self._renditions = renditions
        self._connect_timeout_s = config.connect_timeout_s
        self._gathering = gathering
        self._connection = RTCPeerConnection(gathering.configuration())
        self._connection.on("connectionstatechange", self._on_connection_state)
        self._connected = asyncio.Event()
        self._settled = asyncio.Event()
        self._over = asyncio.Event()
        self.publishes = False
        self._channel: LandmarkChannel | None = None
        self._listening = contextlib.ExitStack()  # of the channel: there may be many, one by one
        self._viewer: Viewer | None = None
        self._limits = limits
        self._candidates = self._trickles = 0
        self._username_fragment = ""
        self._transport: RTCDtlsTransport | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._undo = contextlib.ExitStack()
        self._farewell = contextlib.ExitStack()
        self._undo.callback(stream.session.unsubscribe, self)
        self._undo.callback(lambda: self._listening.close())
        stream.session.subscribe(self)

    # -- the offer ----------------------------------------------------------------------------------

    async def answer(self, offer: Offer, source: PeerSource | None, mode: VideoMode) -> str:
        """The SDP answer. ``source``: where the peer's camera goes; ``mode``: what video it is sent.
        Raises InvalidOffer, and LimitReached or MediaUnreachable when its video has no way."""
        self._username_fragment = offer.username_fragment
        self._candidates = offer.candidates
        if source is not None:
            self.publishes = True
            self._connection.on("track", self._publish_to(source, offer))
        self._connection.on("datachannel", self._on_channel)
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
            self._set_directions(offer, source is not None, mode)
            self._gathering.take_over(self._connection)
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except StreamerError:
            raise
        except Exception as error:  # aiortc meets offers that make no sense with whatever comes up
            raise InvalidOffer(f"The SDP offer can't be answered: {error}") from error
        return str(self._connection.localDescription.sdp)

    def _set_directions(self, offer: Offer, camera: bool, mode: VideoMode) -> None:
        """One video section carries our video; what else is offered (audio) is declined."""
        if self._connection.sctp is not None:
            self._transport = self._connection.sctp.transport
            FloodGate(self._connection.sctp, self._limits, self._on_flood)
        video_back = mode != "none"
        for transceiver in self._connection.getTransceivers():
            if transceiver.mid != offer.video_mid:
                transceiver.direction = "inactive"
                continue
            self._transport = transceiver.receiver.transport
            if video_back:
                self._send_video(transceiver, annotated=mode == "annotated")
            transceiver.direction = {
                (True, True): "sendrecv",
                (True, False): "recvonly",
                (False, True): "sendonly",
                (False, False): "inactive",
            }[camera, video_back]

    def _send_video(self, transceiver: RTCRtpTransceiver, *, annotated: bool) -> None:
        session = self.stream.session
        camera = session.video.codec if session.video and not annotated else None
        agreed = agreed_codecs(transceiver._codecs)
        chosen = choose_codec(agreed, camera, self._renditions.encoding)
        transceiver._codecs = keep_only(transceiver._codecs, chosen)
        viewer = Viewer(transceiver.sender, chosen, self._renditions, annotated=annotated)
        self._viewer = viewer
        self._undo.callback(self._renditions.leave, viewer)
        self._undo.enter_context(session.watchers.one_more())
        self.stream.viewers += 1
        self._undo.callback(self._viewer_left)

    def _viewer_left(self) -> None:
        self.stream.viewers -= 1

    def _publish_to(self, source: PeerSource, offer: Offer) -> Callable[[MediaStreamTrack], None]:
        def on_track(track: MediaStreamTrack) -> None:
            for transceiver in self._connection.getTransceivers():
                receiver: RTCRtpReceiver = transceiver.receiver
                if receiver.track is track and transceiver.mid == offer.video_mid:
                    source.on_sender_report = self._on_sender_report
                    source.attach(receiver)

        return on_track

    def _on_channel(self, channel: RTCDataChannel) -> None:
        is_ours = channel.label == LandmarkChannel.LABEL and self._channel is None
        if not is_ours or self._closing is not None:
            channel.close()
            return
        self._channel = outlet = LandmarkChannel(channel)
        self._listening = listening = contextlib.ExitStack()
        listening.enter_context(self.stream.session.watchers.one_more())
        self.stream.feed.listen(outlet)
        listening.callback(self.stream.feed.leave, outlet)
        listening.callback(self._forget_channel)
        channel.on("close", listening.close)
        self._tell_time()

    def _forget_channel(self) -> None:
        self._channel = None

    def _tell_time(self) -> None:
        if self._channel is not None:
            origin = None if self._viewer is None else self._viewer.sender.rtp_origin
            self._channel.news(clock_message(rtp_origin=origin))

    def _on_sender_report(self, ntp: float, rtp: int, media_pts: int) -> None:
        """The publisher's own clock, for a page that draws on its camera's picture."""
        place = self.stream.session.stream_time(media_pts)
        if self._channel is not None and place is not None:
            pts, epoch = place
            self._channel.news(clock_message(epoch=epoch, ntp=ntp, rtp=rtp, pts=pts))

    async def add_candidates(self, fragment: str) -> None:
        """Raises InvalidRequest, TooManyRequests, Unsupported."""
        limit = self._limits.max_candidates
        self._trickles += 1
        if self._trickles > MAX_TRICKLES * limit:
            raise TooManyRequests(
                f"A peer may send candidates {MAX_TRICKLES * limit} times at most."
            )
        candidates = parse_fragment(fragment, self._username_fragment, self._limits)
        self._candidates += len(candidates)
        if self._candidates > limit:
            raise InvalidRequest(f"A peer may have {limit} candidates at most.")
        for candidate in candidates:
            await self._connection.addIceCandidate(candidate)

    # -- life ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """From here on it lives until the peer leaves, vanishes, never comes, or the stream ends."""
        self._task = asyncio.create_task(self._live(), name=f"peer-{self.id[:8]}")

    def on_close(self, callback: Callable[[], None]) -> None:
        """Called when the peer begins to close."""
        self._undo.callback(callback)

    def on_closed(self, callback: Callable[[], object]) -> None:
        """Called when nothing of the peer is left."""
        self._farewell.callback(callback)

    async def close(self) -> None:
        """Twice is safe."""
        await cancel_and_wait(self._task)
        await self._clean_up()

    async def _live(self) -> None:
        now_about(stream=self.stream.id, peer=self.id[:8])
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await self._connected.wait()
        except TimeoutError:
            logger.info("a peer of stream %s never connected", self.stream.id)
        else:
            await self._until_over()
        finally:
            await self._clean_up()

    async def _clean_up(self) -> None:
        """Once, and to its end: aiortc's close never returns again after one that was cancelled."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close_connection())
            self._undo.close()
        await asyncio.shield(self._closing)

    async def _close_connection(self) -> None:
        """A connection in the making is given a moment to be made: closed in the instant in which its
        checks succeed, aioice leaves a task behind for ever."""
        if self._connection.connectionState == "connecting":
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._settled.wait(), SETTLE_S)
        try:
            await asyncio.wait_for(self._connection.close(), CLOSE_TIMEOUT_S)
        except Exception:  # a connection that aiortc itself left half made; nothing else may suffer
            logger.exception("a peer of stream %s could not be closed", self.stream.id)
        self._farewell.close()

    async def _until_over(self) -> None:
        assert self._transport is not None
        ends: list[asyncio.Task[object]] = [
            asyncio.create_task(until_gone(self._transport), name=f"liveness-{self.id[:8]}"),
            asyncio.create_task(self._over.wait(), name=f"over-{self.id[:8]}"),
            asyncio.create_task(self._keep_time(), name=f"clock-{self.id[:8]}"),
        ]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_and_wait(*ends)

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(CLOCK_INTERVAL_S)
            self._tell_time()

    def _on_connection_state(self) -> None:
        state = self._connection.connectionState
        if state in ("connected", "failed", "closed"):
            self._settled.set()
        if state == "failed" and self._transport and self._transport.state == "failed":
            logger.warning(
                "a peer of stream %s got no further than DTLS; a certificate that is neither RSA nor on "
                "the curve P-256, P-384 or P-521 is refused (docs/interop.md)",
                self.stream.id,
            )
        if state == "connected":
            self._connected.set()
        elif state in ("failed", "closed"):
            self._connected.set()
            self._over.set()

    def _on_flood(self, too_much: str) -> None:
        logger.warning("a peer of stream %s sent %s and was closed", self.stream.id, too_much)
        self._connected.set()
        self._over.set()

    def on_status(self, status: Status) -> None:
        if status.state is StreamState.ENDED:
            self._connected.set()
            self._over.set()

    def on_result(self, result: PoseResult) -> None: ...

    def on_model(self, status: ModelStatus) -> None: ...
