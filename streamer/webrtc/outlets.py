"""The way out of a session for messages, towards one peer."""

from aiortc import RTCDataChannel

from streamer.sinks import form_of

MAX_BUFFERED_BYTES = 16 * 1024
"""What a data channel may hold back of all messages together, news included. aiortc's own buffer has no
end; a peer that takes less than this in the time in which it would count as gone is as good as gone."""


class LandmarkChannel:
    """Sends messages while the channel keeps up. At most two pose messages wait in it; the next are
    dropped (a gap in ``seq``), since what comes late is worth nothing."""

    LABEL = "landmarks"

    def __init__(self, channel: RTCDataChannel) -> None:
        self.form = form_of(channel.protocol)
        self.dropped = 0
        self._channel = channel

    def pose(self, message: str | bytes) -> None:
        # Messages of one form are about as long as each other: more than one waits already.
        self._send(message, most_bytes=len(message))

    def news(self, message: str) -> None:
        self._send(message, most_bytes=MAX_BUFFERED_BYTES)

    def _send(self, message: str | bytes, most_bytes: int) -> None:
        if self._channel.readyState != "open":
            return
        if self._channel.bufferedAmount > most_bytes:
            self.dropped += 1
            return
        self._channel.send(message)
