"""The way out of a session for messages, towards one peer."""

from aiortc import RTCDataChannel

MAX_BUFFERED_BYTES = 4096
"""What a data channel may hold back before messages are dropped: one or two of them. aiortc's own buffer
has no end, and more than this arrives seconds late on a slow link."""


class LandmarkChannel:
    """Sends messages while the channel keeps up, and drops them (a gap in ``seq``) while it does not."""

    LABEL = "landmarks"

    def __init__(self, channel: RTCDataChannel) -> None:
        self._channel = channel
        self.dropped = 0

    def send(self, message: str) -> None:
        if self._channel.readyState != "open":
            return
        if self._channel.bufferedAmount > MAX_BUFFERED_BYTES:
            self.dropped += 1
            return
        self._channel.send(message)
