"""All peers: how browsers and WHIP/WHEP programs get their video in and their picture and landmarks out."""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from streamer.access import EVERYBODY, NOBODY, Caller
from streamer.config import LimitsConfig, StreamId, WebRtcConfig, WorkersConfig
from streamer.errors import Conflict, InvalidOffer, LimitReached, NotFound
from streamer.model import StreamState, VideoMode
from streamer.sinks import StateWatcher
from streamer.stream import Stream
from streamer.streams import Streams, new_stream_id
from streamer.webrtc import ice_servers, patches
from streamer.webrtc.gathering import Gathering
from streamer.webrtc.peer import Peer
from streamer.webrtc.renditions import Renditions
from streamer.webrtc.sdp import Offer, parse_offer
from streamer.webrtc.source import PeerSource

logger = logging.getLogger(__name__)

_STREAM_ID: TypeAdapter[str] = TypeAdapter(StreamId)

MAX_DEPARTED = 256
"""Peers that are remembered for the DELETE that may follow the end of their connection."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a peer gets for its offer. ``ice_tag`` names its ICE session, as ``Peers.ice_tag`` does."""

    peer: str
    ice_tag: str
    stream: str
    sdp: str


class Peers:
    """Every peer of the service, by an id that nobody guesses."""

    def __init__(
        self,
        config: WebRtcConfig,
        streams: Streams,
        workers: WorkersConfig | None = None,
        limits: LimitsConfig | None = None,
    ) -> None:
        """``workers``: of those that decode what is published."""
        patches.apply()
        self._config = config
        self._limits = limits or LimitsConfig()
        self.max_peers = config.max_peers
        self._workers = workers
        self._streams = streams
        self._gathering = Gathering(config)
        self._peers: dict[str, Peer] = {}
        self._owners: dict[str, Caller] = {}  # of peers, also of those that have departed
        self._departed: dict[str, str | None] = {}  # by peer: the stream that it published
        self._endings: dict[str, asyncio.Task[None]] = {}  # by peer: of those that may not stay
        self._renditions: dict[Stream, Renditions] = {}

    def __len__(self) -> int:
        return len(self._peers)

    def ice_configuration(self) -> dict[str, Any]:
        """W3C's RTCConfiguration for a peer that is about to make its offer."""
        return ice_servers.for_browsers(self._config, time.time())

    def ice_links(self) -> list[str]:
        """The same for WHIP and WHEP, as values of ``Link`` headers."""
        return ice_servers.as_links(self._config, time.time())

    def owner(self, peer_id: str) -> Caller:
        """Whose the peer is, or was: NOBODY's if there is none."""
        return self._owners.get(peer_id, NOBODY)

    def end_unless(self, may_stay: Callable[[Caller], bool]) -> int:
        """Begins to end the peers of those who may not stay, and the streams that they publish; how many."""
        over = [each for each in self._peers if not may_stay(self.owner(each))]
        new = [each for each in over if each not in self._endings]
        for peer_id in new:
            name = f"end-{peer_id[:8]}"
            self._endings[peer_id] = asyncio.create_task(self._end(peer_id), name=name)
        return len(new)

    async def _end(self, peer_id: str) -> None:
        try:
            await self.close_peer(peer_id)
        except NotFound:  # it has left by itself meanwhile
            pass
        finally:
            del self._endings[peer_id]

    async def open_webcam(
        self, sdp: str, stream_id: str | None, mode: VideoMode, owner: Caller = EVERYBODY
    ) -> Answer:
        """Camera up, video back. With an id: the same publisher is coming back."""
        offer = self._publishing_offer(sdp)
        stream, source = self._place("webcam", stream_id, owner, listed=False, resume_only=True)
        mode = mode if offer.receives_video else "none"
        return await self._open(offer, stream, source, mode, owner)

    async def open_whip(self, sdp: str, stream_id: str | None, owner: Caller = EVERYBODY) -> Answer:
        """WHIP (RFC 9725): camera up, nothing back."""
        offer = self._publishing_offer(sdp)
        if offer.videos > 1:  # section 4.4.2: rather no session than one of which half is missing
            raise InvalidOffer("The SDP offer sends several videos: publish each under its own id.")
        stream, source = self._place("whip", stream_id, owner, listed=stream_id is not None)
        return await self._open(offer, stream, source, "none", owner)

    async def open_whep(
        self, sdp: str, stream_id: str, mode: VideoMode, owner: Caller = EVERYBODY
    ) -> Answer:
        """WHEP: a viewer of a stream that is there."""
        offer = parse_offer(sdp, self._limits)
        if mode != "none" and not offer.receives_video:
            raise InvalidOffer("The SDP offer takes no video: a viewer's m=video is recvonly.")
        return await self._open(offer, self._streams.get(stream_id), None, mode, owner)

    def ice_tag(self, peer_id: str) -> str:
        """What names the peer's ICE session, the only one it has. Raises NotFound."""
        return self._get(peer_id).ice_tag

    async def add_candidates(self, peer_id: str, fragment: str) -> None:
        await self._get(peer_id).add_candidates(fragment)

    async def close_peer(self, peer_id: str) -> None:
        """The peer says that it is done; a publisher's stream ends with it, if nobody else has taken its
        place. Many clients close their connection first: what it was is still known then, once."""
        if peer_id not in self._departed:
            await self._get(peer_id).close()
        published = self._departed.pop(peer_id, None)
        self._owners.pop(peer_id, None)
        if published is None or not self._streams.has(published):
            return
        stream = self._streams.get(published)
        if isinstance(stream.source, PeerSource) and not stream.source.publishing:
            await self._streams.remove(stream)

    async def close(self) -> None:
        ends: list[Awaitable[None]] = [peer.close() for peer in tuple(self._peers.values())]
        ends += [each.close() for each in tuple(self._renditions.values())]
        ends += self._endings.values()
        for outcome in await asyncio.gather(*ends, return_exceptions=True):
            if isinstance(outcome, Exception):
                logger.error("a peer could not be closed", exc_info=outcome)

    def _get(self, peer_id: str) -> Peer:
        try:
            return self._peers[peer_id]
        except KeyError:
            raise NotFound("There is no such peer; its connection has ended.") from None

    def _place(
        self,
        kind: str,
        stream_id: str | None,
        owner: Caller,
        *,
        listed: bool,
        resume_only: bool = False,
    ) -> tuple[Stream, PeerSource]:
        """The stream that a publisher's camera goes to: a new one, or its own of a moment ago."""
        self._check_room()
        if stream_id is not None and (resume_only or self._streams.has(stream_id)):
            stream = self._streams.get(stream_id)
            source = stream.source
            if stream.kind != kind or not isinstance(source, PeerSource):
                raise Conflict("The stream with this id is not one that a browser may publish to.")
            if not owner.owns(stream.owner or NOBODY):
                raise Conflict("Somebody else publishes this stream; take another id.")
            if source.publishing:
                raise Conflict("Somebody is publishing to this stream; try again when they left.")
            source.publishing = True
            return stream, source
        new_id = _STREAM_ID.validate_python(stream_id or new_stream_id())
        waits_s = self._config.connect_timeout_s, self._config.resume_timeout_s
        source = PeerSource(*waits_s, new_id, self._workers)
        stream = self._streams.add_peer(new_id, kind, source, listed=listed)
        on_pause = StateWatcher(StreamState.PAUSED, lambda: self._on_paused(stream, source))
        stream.session.subscribe(on_pause)
        return stream, source

    def _on_paused(self, stream: Stream, source: PeerSource) -> None:
        """A stream that pauses after its publisher has left waits for nobody."""
        if not source.publishing:
            self._streams.remove_soon(stream)

    def _check_room(self) -> None:
        if len(self._peers) >= self.max_peers:
            raise LimitReached(
                f"This server takes at most {self.max_peers} peers ([webrtc] max_peers); "
                "try again when one has left."
            )

    async def _open(
        self,
        offer: Offer,
        stream: Stream,
        source: PeerSource | None,
        mode: VideoMode,
        owner: Caller,
    ) -> Answer:
        self._check_room()
        peer = None
        try:
            peer = self._new_peer(stream, source, owner)
            sdp = await peer.answer(offer, source, mode)
        except BaseException:
            if peer is not None:
                await peer.close()
            elif source is not None:
                self._on_publisher_left(stream, source)
            if source is not None and stream.session.status.state is StreamState.CONNECTING:
                await self._streams.remove(stream)
            raise
        peer.start()
        return Answer(peer.id, peer.ice_tag, stream.id, sdp)

    def _new_peer(self, stream: Stream, source: PeerSource | None, owner: Caller) -> Peer:
        renditions = self._renditions_of(stream)
        peer_id, config = secrets.token_urlsafe(24), self._config
        peer = Peer(peer_id, stream, renditions, self._gathering, config, self._limits)
        self._peers[peer.id], self._owners[peer.id] = peer, owner
        peer.on_closed(lambda: self._on_departed(peer))
        if source is not None:
            stream.owner = owner
            peer.on_close(lambda: self._on_publisher_left(stream, source))
        return peer

    def _renditions_of(self, stream: Stream) -> Renditions:
        """Made for the stream's first peer, and kept while there is the stream."""
        streams = set(self._streams)  # another one may have come under the same id
        for ended in [each for each in self._renditions if each not in streams]:
            if not self._renditions[ended]:
                del self._renditions[ended]
        renditions = self._renditions.get(stream)
        if renditions is None:
            source = stream.source
            renditions = self._renditions[stream] = Renditions(
                stream.session,
                lambda: stream.video,
                source.request_keyframe if isinstance(source, PeerSource) else lambda: False,
            )
        return renditions

    def _publishing_offer(self, sdp: str) -> Offer:
        offer = parse_offer(sdp, self._limits)
        if not offer.sends_video:
            raise InvalidOffer(
                "The SDP offer sends no video: a publisher's m=video is not recvonly."
            )
        return offer

    def _on_departed(self, peer: Peer) -> None:
        del self._peers[peer.id]
        self._departed[peer.id] = peer.stream.id if peer.publishes else None
        if len(self._departed) > MAX_DEPARTED:
            oldest = next(iter(self._departed))
            del self._departed[oldest]
            self._owners.pop(oldest, None)

    def _on_publisher_left(self, stream: Stream, source: PeerSource) -> None:
        source.detach()
        if stream.session.status.state in (StreamState.FAILED, StreamState.PAUSED):
            self._streams.remove_soon(stream)  # nothing waits for it there
