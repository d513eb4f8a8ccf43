"""The two ways out of a session towards one peer: the annotated video track and the landmark channel."""

import asyncio

from aiortc import MediaStreamTrack, RTCDataChannel
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from streamer.model import Picture, PoseResult, Status
from streamer.pixels import to_av

MAX_BUFFERED_BYTES = 4096
"""What a data channel may hold back before messages are dropped: one or two of them. aiortc's own buffer
has no end, and more than this arrives seconds late on a slow link."""


class AnnotatedTrack(MediaStreamTrack):
    """Sink and video track of one viewer: the newest picture, encoded when the sender is ready for it."""

    kind = "video"
    wants_picture = True

    def __init__(self) -> None:
        super().__init__()
        self._newest: asyncio.Queue[Picture] = asyncio.Queue(maxsize=1)
        self.dropped = 0

    def on_picture(self, picture: Picture) -> None:
        if self._newest.full():
            self._newest.get_nowait()
            self.dropped += 1
        self._newest.put_nowait(picture)

    def on_result(self, result: PoseResult) -> None: ...

    def on_status(self, status: Status) -> None: ...

    async def recv(self) -> VideoFrame:
        if self.readyState != "live":
            raise MediaStreamError
        picture = await self._newest.get()
        return to_av(picture.frame, picture.pts)


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
