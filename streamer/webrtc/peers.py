"""Peers: how browsers and WHIP/WHEP programs get their video in and their picture and landmarks out."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCDtlsTransport,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from pydantic import TypeAdapter

from streamer.aio import cancel_and_wait
from streamer.config import StreamId, WebRtcConfig
from streamer.errors import Conflict, InvalidOffer, InvalidRequest, LimitReached, NotFound
from streamer.model import Picture, PoseResult, Status, StreamState
from streamer.streams import Stream, Streams, new_stream_id
from streamer.webrtc import patches
from streamer.webrtc.liveness import until_gone
from streamer.webrtc.outlets import AnnotatedTrack, LandmarkChannel
from streamer.webrtc.sdp import MAX_CANDIDATES, Offer, parse_fragment, parse_offer, video_codec
from streamer.webrtc.source import PeerSource

logger = logging.getLogger(__name__)

SETTLE_S = 1.0

_STREAM_ID: TypeAdapter[str] = TypeAdapter(StreamId)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a peer gets for its offer."""

    peer: str
    stream: str
    sdp: str


class Peer:
    """One RTCPeerConnection, from its offer to its end. It is also a sink, to learn of the stream's end."""

    wants_picture = False

    def __init__(self, peer_id: str, stream: Stream, config: WebRtcConfig) -> None:
        self.id = peer_id
        self.stream = stream
        self._connect_timeout_s = config.connect_timeout_s
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=_ice_servers(config)))
        self._connection.on("connectionstatechange", self._on_connection_state)
        self._connected = asyncio.Event()
        self._settled = asyncio.Event()
        self._over = asyncio.Event()
        self.publishes = False
        self._has_channel = False
        self._candidates = 0
        self._username_fragment = ""
        self._transport: RTCDtlsTransport | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._undo = contextlib.ExitStack()
        self._farewell = contextlib.ExitStack()
        self._undo.callback(stream.session.unsubscribe, self)
        stream.session.subscribe(self)

    # -- the offer ----------------------------------------------------------------------------------

    async def answer(self, offer: Offer, source: PeerSource | None, *, video_back: bool) -> str:
        """The SDP answer. ``source``: where the peer's camera goes; ``video_back``: whether it is sent
        the annotated video. Raises InvalidOffer."""
        self._username_fragment = offer.username_fragment
        if source is not None:
            self.publishes = True
            self._connection.on("track", self._publish_to(source, offer))
        self._connection.on("datachannel", self._on_channel)
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
            self._set_directions(offer, source is not None, video_back)
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except Exception as error:  # aiortc meets offers that make no sense with whatever comes up
            raise InvalidOffer(f"The SDP offer can't be answered: {error}") from error
        sdp = self._connection.localDescription.sdp
        if source is not None:
            source.codec = video_codec(sdp)
        return sdp

    def _set_directions(self, offer: Offer, camera: bool, video_back: bool) -> None:
        """One video section carries our video; what else is offered (audio) is declined."""
        for transceiver in self._connection.getTransceivers():
            if transceiver.mid != offer.video_mid:
                transceiver.direction = "inactive"
                continue
            self._transport = transceiver.receiver.transport
            if video_back:
                self._send_video(transceiver)
            transceiver.direction = {
                (True, True): "sendrecv",
                (True, False): "recvonly",
                (False, True): "sendonly",
                (False, False): "inactive",
            }[camera, video_back]

    def _send_video(self, transceiver: RTCRtpTransceiver) -> None:
        track = AnnotatedTrack()
        transceiver.sender.replaceTrack(track)
        session = self.stream.session
        session.subscribe(track)
        self._undo.callback(session.unsubscribe, track)
        self.stream.viewers += 1
        self._undo.callback(self._viewer_left)

    def _viewer_left(self) -> None:
        self.stream.viewers -= 1

    def _publish_to(self, source: PeerSource, offer: Offer) -> Callable[[MediaStreamTrack], None]:
        def on_track(track: MediaStreamTrack) -> None:
            for transceiver in self._connection.getTransceivers():
                receiver: RTCRtpReceiver = transceiver.receiver
                if receiver.track is track and transceiver.mid == offer.video_mid:
                    patches.improve_receiver(receiver)
                    source.attach(track)

        return on_track

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != LandmarkChannel.LABEL or self._has_channel:
            channel.close()
            return
        self._has_channel = True
        outlet = LandmarkChannel(channel)
        self.stream.feed.listen(outlet.send)
        self._undo.callback(self.stream.feed.leave, outlet.send)

    async def add_candidates(self, fragment: str) -> None:
        """Raises InvalidRequest."""
        candidates = parse_fragment(fragment, self._username_fragment)
        self._candidates += len(candidates)
        if self._candidates > MAX_CANDIDATES:
            raise InvalidRequest(f"A peer may have {MAX_CANDIDATES} candidates at most.")
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
            await self._connection.close()
        except Exception:  # a connection that aiortc itself left half made; nothing else may suffer
            logger.exception("a peer of stream %s could not be closed", self.stream.id)
        self._farewell.close()

    async def _until_over(self) -> None:
        assert self._transport is not None
        ends: list[asyncio.Task[object]] = [
            asyncio.create_task(until_gone(self._transport), name=f"liveness-{self.id[:8]}"),
            asyncio.create_task(self._over.wait(), name=f"over-{self.id[:8]}"),
        ]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_and_wait(*ends)

    def _on_connection_state(self) -> None:
        state = self._connection.connectionState
        if state in ("connected", "failed", "closed"):
            self._settled.set()
        if state == "connected":
            self._connected.set()
        elif state in ("failed", "closed"):
            self._connected.set()
            self._over.set()

    def on_status(self, status: Status) -> None:
        if status.state is StreamState.ENDED:
            self._connected.set()
            self._over.set()

    def on_result(self, result: PoseResult) -> None: ...

    def on_picture(self, picture: Picture) -> None: ...


class Peers:
    """Every peer of the service, by an id that nobody guesses."""

    def __init__(self, config: WebRtcConfig, streams: Streams) -> None:
        patches.apply()
        self._config = config
        self._streams = streams
        self._peers: dict[str, Peer] = {}

    def __len__(self) -> int:
        return len(self._peers)

    async def open_webcam(self, sdp: str, stream_id: str | None) -> Answer:
        """Camera up, annotated video back. With an id: the same publisher is coming back."""
        offer = _publishing_offer(sdp)
        stream, source = self._place("webcam", stream_id, listed=False, resume_only=True)
        return await self._open(offer, stream, source, video_back=offer.receives_video)

    async def open_whip(self, sdp: str, stream_id: str | None) -> Answer:
        """WHIP (RFC 9725): camera up, nothing back."""
        offer = _publishing_offer(sdp)
        stream, source = self._place("whip", stream_id, listed=stream_id is not None)
        return await self._open(offer, stream, source, video_back=False)

    async def open_whep(self, sdp: str, stream_id: str) -> Answer:
        """WHEP: a viewer of a stream that is there."""
        offer = parse_offer(sdp)
        if not offer.receives_video:
            raise InvalidOffer("The SDP offer takes no video: a viewer's m=video is recvonly.")
        return await self._open(offer, self._streams.get(stream_id), None, video_back=True)

    async def add_candidates(self, peer_id: str, fragment: str) -> None:
        await self._get(peer_id).add_candidates(fragment)

    async def close_peer(self, peer_id: str) -> None:
        """The peer says that it is done; a publisher's stream ends with it."""
        peer = self._get(peer_id)
        await peer.close()
        if peer.publishes:
            await self._streams.remove(peer.stream)

    async def close(self) -> None:
        await asyncio.gather(*(peer.close() for peer in tuple(self._peers.values())))

    def _get(self, peer_id: str) -> Peer:
        try:
            return self._peers[peer_id]
        except KeyError:
            raise NotFound("There is no such peer; its connection has ended.") from None

    def _place(
        self, kind: str, stream_id: str | None, *, listed: bool, resume_only: bool = False
    ) -> tuple[Stream, PeerSource]:
        """The stream that a publisher's camera goes to: a new one, or its own of a moment ago."""
        self._check_room()
        if stream_id is not None and (resume_only or self._streams.has(stream_id)):
            stream = self._streams.get(stream_id)
            source = stream.source
            if stream.kind != kind or not isinstance(source, PeerSource):
                raise Conflict("The stream with this id is not one that a browser may publish to.")
            if source.publishing:
                raise Conflict("Somebody is publishing to this stream; try again when they left.")
            source.publishing = True
            return stream, source
        source = PeerSource(self._config.connect_timeout_s, self._config.resume_timeout_s)
        new_id = _STREAM_ID.validate_python(stream_id or new_stream_id())
        return self._streams.add_peer(new_id, kind, source, listed=listed), source

    def _check_room(self) -> None:
        if len(self._peers) >= self._config.max_peers:
            raise LimitReached(
                f"This server takes at most {self._config.max_peers} peers ([webrtc] max_peers); "
                "try again when one has left."
            )

    async def _open(
        self, offer: Offer, stream: Stream, source: PeerSource | None, *, video_back: bool
    ) -> Answer:
        self._check_room()
        peer = Peer(secrets.token_urlsafe(24), stream, self._config)
        self._peers[peer.id] = peer
        peer.on_closed(lambda: self._peers.pop(peer.id, None))
        if source is not None:
            peer.on_close(lambda: self._on_publisher_left(stream, source))
        try:
            sdp = await peer.answer(offer, source, video_back=video_back)
        except BaseException:
            await peer.close()
            if peer.publishes and stream.session.status.state is StreamState.CONNECTING:
                await self._streams.remove(stream)
            raise
        peer.start()
        return Answer(peer.id, stream.id, sdp)

    def _on_publisher_left(self, stream: Stream, source: PeerSource) -> None:
        source.detach()
        if stream.session.status.state is StreamState.FAILED:  # nothing waits for it there
            self._streams.remove_soon(stream)


def _publishing_offer(sdp: str) -> Offer:
    offer = parse_offer(sdp)
    if not offer.sends_video:
        raise InvalidOffer("The SDP offer sends no video: a publisher's m=video is not recvonly.")
    return offer


def _ice_servers(config: WebRtcConfig) -> list[RTCIceServer]:
    """Never None: aiortc would then ask a public STUN server."""
    return [
        RTCIceServer(
            urls=server.urls,
            username=server.username or None,
            credential=server.credential or None,
        )
        for server in config.ice_servers
    ]
