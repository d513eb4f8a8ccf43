"""Where a source's frames and packets come into its session, in whatever thread the source has.

Each gets its place on the stream's clock here. Frames go on to the worker; plain pictures and the camera's
own packets go straight to the screens, unless people are hidden or nobody could turn them.
"""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from streamer.config import LimitsConfig, Rotation
from streamer.model import Forwarded, Frame, Packet, Picture, VideoInfo
from streamer.pixels import turned
from streamer.ports import FrameReceiver
from streamer.privacy import Obscurer
from streamer.screens import Screens
from streamer.timeline import Timeline
from streamer.turnstile import Turnstile
from streamer.worker import MIN_SIDE_PX, Intake, PoseWorker

MIN_UNFORWARDED: Final = 2
MAX_UNFORWARDED_S: Final = 0.5
"""Frames, and the time by which they came after the last forwarded packet: then the source forwards no
more. A decoder that is behind shows frames that came before it."""


class Entrance:
    """Of one stream, through all connections of its source. Belongs to the event loop's thread; that of
    the source reads the public attributes, each anew for every frame.

    ``rotation`` and ``obscurer`` are changed by ``turn`` and ``hide``. ``forwarded``: what the source
    forwards, whoever may have it. ``on_live`` is called with the first frame that is let in of each
    connection.
    """

    def __init__(
        self,
        screens: Screens,
        obscurer: Obscurer,
        rotation: Rotation,
        limits: LimitsConfig,
        on_live: Callable[[], None],
    ) -> None:
        self.screens = screens
        self.obscurer = obscurer
        self.rotation = rotation
        self.on_live = on_live
        self.turnstile = Turnstile(limits)
        self.timeline = Timeline(time.monotonic())
        self.forwarded: Forwarded | None = None
        self._opened: VideoInfo | None = None
        self._loop = asyncio.get_running_loop()
        self._connection: _Connection | None = None
        self._counted = Intake()  # the sums of all connections that are over

    def connect(self, worker: PoseWorker) -> FrameReceiver:
        """The receiver of a connection that begins now; its frames go to ``worker``."""
        self.timeline.restart()
        self._connection = _Connection(self, worker, self._loop)
        return self._connection

    def disconnect(self) -> int:
        """Nothing of the connection goes out any more. How many frames it had; 0 if there is none."""
        ended, self._connection = self._connection, None
        if ended is None:
            return 0
        intake = ended.intake
        intake.over = True
        ended.worker.forget_waiting(intake)
        self._counted.frames_in += intake.frames_in
        self._counted.dropped += intake.dropped
        self.set_forwarded(None)
        return intake.frames_in

    def turn(self, degrees: Rotation) -> None:
        """From the next frame on. The camera's own packets can't be turned."""
        self.rotation = degrees
        if degrees:
            self.set_forwarded(None)

    def hide(self, obscurer: Obscurer) -> None:
        """From the next frame on people are hidden so, or seen."""
        self.obscurer = obscurer
        self.set_forwarded(self.forwarded)

    def set_forwarded(self, forwarded: Forwarded | None) -> None:
        """What the source forwards; viewers get it unless people are hidden."""
        self.forwarded = forwarded
        self.screens.set_forwarded(forwarded if self.obscurer.shows_camera else None)

    def note_opened(self, video: VideoInfo) -> None:
        """What the source turned out to be, as the camera hangs."""
        self._opened = video

    @property
    def video(self) -> VideoInfo | None:
        """What the source turned out to be, in the size that is shown; None before it is known."""
        video = self._opened
        if video is None or self.rotation % 180 == 0:
            return video
        return replace(video, width=video.height, height=video.width)

    def count(self) -> tuple[int, int]:
        """The frames of all connections, and those of them that were dropped."""
        frames_in, dropped = self._counted.frames_in, self._counted.dropped
        if self._connection is not None:
            intake = self._connection.intake
            return frames_in + intake.frames_in, dropped + intake.dropped
        return frames_in, dropped


@dataclass(slots=True, eq=False)
class _Connection:
    """The FrameReceiver of one run of the source, filled from whatever thread the source has."""

    entrance: Entrance
    worker: PoseWorker
    loop: asyncio.AbstractEventLoop
    intake: Intake = field(default_factory=Intake)
    is_live: bool = False  # a frame was let in: the first that came may have been one too many
    unforwarded: int = 0
    forwarded_mono: float = -math.inf
    size: tuple[int, int] | None = None

    def opened(self, video: VideoInfo) -> None:
        """Raises SourceUnusable, in the source's thread, which ends the connection."""
        turnstile, size = self.entrance.turnstile, (video.width, video.height)
        turnstile.check_size(video)
        if self.size not in (None, size):
            turnstile.check_change()
        self.size = size
        self._tell(lambda: self.entrance.note_opened(video))

    def forward(self, packet: Packet) -> None:
        entrance = self.entrance
        pts, _ = entrance.timeline.place_packet(packet.pts, packet.received_mono)
        if entrance.rotation:
            return  # the camera's own picture is not upright
        self.unforwarded, self.forwarded_mono = 0, packet.received_mono
        if packet.is_keyframe:
            self._note_forwarded(packet.forwarded)
        obscurer = entrance.obscurer
        if obscurer.shows_camera:
            entrance.screens.forward(replace(packet, pts=pts, rule=obscurer.rule))

    def put(self, frame: Frame) -> None:
        """On the event loop only where no frame must be turned."""
        entrance = self.entrance
        if not entrance.turnstile.lets_in():
            self.intake.frames_in += 1
            self.intake.dropped += 1
            return
        rotation = entrance.rotation
        frame = turned(frame, -rotation)
        pts, epoch = entrance.timeline.place(frame.pts, frame.received_mono)
        self.unforwarded += 1
        silent_s = frame.received_mono - self.forwarded_mono
        if self.unforwarded >= MIN_UNFORWARDED and silent_s > MAX_UNFORWARDED_S:
            self._note_forwarded(None)
        obscurer = entrance.obscurer
        if obscurer.shows_camera and min(frame.width, frame.height) >= MIN_SIDE_PX:
            entrance.screens.show_plain(Picture(frame, pts, rule=obscurer.rule))
        self.worker.put(self.intake, frame, pts, epoch, rotation)
        if not self.is_live:
            self.is_live = True
            self._tell(entrance.on_live)

    def _note_forwarded(self, forwarded: Forwarded | None) -> None:
        entrance = self.entrance
        if forwarded != entrance.forwarded:
            self._tell(lambda: entrance.set_forwarded(forwarded))

    def _tell(self, action: Callable[[], None]) -> None:
        """On the event loop, unless this connection is over by then."""
        self.loop.call_soon_threadsafe(lambda: None if self.intake.over else action())
