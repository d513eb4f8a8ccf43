"""A peer that stays for months: what it opens and closes meanwhile leaves nothing behind."""

from types import SimpleNamespace
from typing import Any

from pyee.asyncio import AsyncIOEventEmitter

from streamer.config import LimitsConfig, WebRtcConfig
from streamer.screens import Watchers
from streamer.sinks import MessageFeed
from streamer.webrtc.gathering import Gathering
from streamer.webrtc.outlets import LandmarkChannel
from streamer.webrtc.peer import Peer

MANY = 1000


class Channel(AsyncIOEventEmitter):
    """As the peer opens it."""

    label, protocol, readyState, bufferedAmount = LandmarkChannel.LABEL, "", "open", 0

    def send(self, message: str) -> None: ...


async def test_channels_that_were_opened_and_closed_are_forgotten() -> None:
    feed, watchers, config = MessageFeed("door"), Watchers("run"), WebRtcConfig()
    session = SimpleNamespace(watchers=watchers, subscribe=id, unsubscribe=id)
    stream: Any = SimpleNamespace(id="door", feed=feed, session=session)
    no_renditions: Any = None
    peer: Any = Peer("peer", stream, no_renditions, Gathering(config), config, LimitsConfig())
    kept = len(peer._undo._exit_callbacks)
    for _ in range(MANY):
        channel: Any = Channel()
        peer._on_channel(channel)
        assert (len(feed._listeners), watchers._count) == (1, 1)
        channel.emit("close")
        assert (len(feed._listeners), watchers._count) == (0, 0)
    assert len(peer._undo._exit_callbacks) == kept
    peer._on_channel(Channel())
    await peer.close()
    assert (len(feed._listeners), watchers._count) == (0, 0)
