"""The way out of a session for messages, towards one peer."""

from collections import deque
from typing import NamedTuple

from aiortc import RTCDataChannel

from streamer.sinks import form_of

MAX_WAITING_POSES = 2
"""Pose messages that a data channel may hold back. aiortc's own buffer has no end, and what waits longer
arrives seconds late on a slow link."""

MAX_WAITING_MESSAGES = 16
"""Messages of all kinds that a data channel may hold back: news are few and small, and pass where poses
are dropped. A channel that lets none out for so long belongs to a peer that is as good as gone."""


class LandmarkChannel:
    """Sends messages while the channel keeps up. At most two pose messages wait in it; the next are
    dropped (a gap in ``seq``), since what comes late is worth nothing."""

    LABEL = "landmarks"

    def __init__(self, channel: RTCDataChannel) -> None:
        self.form = form_of(channel.protocol)
        self.dropped = 0
        self._channel = channel
        self._waiting: deque[_Waiting] = deque()

    def pose(self, message: str | bytes) -> None:
        self._send(message, is_pose=True)

    def news(self, message: str) -> None:
        self._send(message, is_pose=False)

    def _send(self, message: str | bytes, *, is_pose: bool) -> None:
        if self._channel.readyState != "open":
            return
        self._forget_sent()
        poses = sum(each.is_pose for each in self._waiting)
        if len(self._waiting) >= MAX_WAITING_MESSAGES or (is_pose and poses >= MAX_WAITING_POSES):
            self.dropped += 1
            return
        self._channel.send(message)
        self._waiting.append(_Waiting(len(message), is_pose))  # our JSON is ASCII

    def _forget_sent(self) -> None:
        """Messages leave in their order: what is still buffered is the end of what was sent. Counted and
        not guessed by size, since a frame with nobody makes a tenth of one with a person."""
        gone_bytes = sum(each.size_bytes for each in self._waiting) - self._channel.bufferedAmount
        while self._waiting and gone_bytes > 0:
            gone_bytes -= self._waiting.popleft().size_bytes


class _Waiting(NamedTuple):
    size_bytes: int
    is_pose: bool
