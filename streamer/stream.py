"""One stream: what a user names and sees, with a session behind it; and what its parts are made from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamer.config import (
    AnySource,
    LimitsConfig,
    OutputConfig,
    OverlayConfig,
    PoseConfig,
    PrivacyConfig,
    StreamConfig,
    VideoConfig,
)
from streamer.outputs.output import Output
from streamer.outputs.stills import Stills
from streamer.ports import CameraSource, EstimatorFactory, Painter, Source
from streamer.pose.zones import Zones
from streamer.privacy import sought
from streamer.retry import RetryPolicy
from streamer.session import Session
from streamer.sinks import MessageFeed

if TYPE_CHECKING:
    from streamer.access import Caller


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What of a stream can be changed while it runs, and is shown of it."""

    pose: PoseConfig
    video: VideoConfig
    overlay: OverlayConfig = OverlayConfig()
    privacy: PrivacyConfig = PrivacyConfig()


@dataclass(frozen=True, slots=True)
class Workshop:
    """Makes the parts of a stream; ``app`` decides which. ``check_models`` raises ModelError when a model
    that the options may need is not on this machine: before somebody is told that it will be so."""

    camera_source: Callable[[AnySource], CameraSource]
    check_models: Callable[[PoseConfig], None]
    estimator: EstimatorFactory
    painter: Callable[[OverlayConfig], Painter]
    retry: RetryPolicy
    output: Callable[[Session, OutputConfig, Callable[[], VideoConfig]], Output]

    def sought(self, pose: PoseConfig, privacy: PrivacyConfig) -> PoseConfig:
        """What an estimator has to find for both. Raises ModelError when it can't be had."""
        options = sought(pose, privacy.mode)
        self.check_models(options)
        return options


class Stream:
    """``shown`` is what may be told of the source; ``camera``: how the stream was added, credentials too,
    for those that were not published; ``kept``: it comes back after a restart; ``owner``: who publishes it,
    None for a camera's. Belongs to the event loop's thread, and to ``Streams``, by which it is changed.

    Making one raises ModelError, and InvalidRequest of an output that can't be; nothing runs before
    ``start``.
    """

    def __init__(
        self,
        stream_id: str,
        source: Source,
        shown: dict[str, str],
        options: StreamOptions,
        workshop: Workshop,
        limits: LimitsConfig,
        *,
        listed: bool,
        output: OutputConfig | None = None,
    ) -> None:
        self.id = stream_id
        self.source = source
        self.shown = shown
        self.pose = options.pose
        self.video = options.video
        self.overlay = options.overlay
        self.privacy = options.privacy
        self.listed = listed
        self.camera: StreamConfig | None = None
        self.kept = False
        self.viewers = 0
        self.owner: Caller | None = None
        self._workshop = workshop
        self.session = Session(
            stream_id,
            source,
            workshop.estimator,
            workshop.sought(self.pose, self.privacy),
            workshop.painter(self.overlay),
            workshop.retry,
            self.video.idle,
            self.video.rotation,
            self.privacy,
            limits,
        )
        self._choose_by(self.pose)
        self.feed = MessageFeed(stream_id)
        self.session.subscribe(self.feed)
        self.stills = Stills(self.session)
        self.output = None if output is None else self.make_output(output)

    @property
    def kind(self) -> str:
        """The source's type: ``rtsp``, ``file`` or ``usb``, ``webcam`` or ``whip``."""
        return self.shown["type"]

    def start(self) -> None:
        self.session.start()
        if self.output is not None:
            self.output.start()

    async def close(self) -> None:
        """Everything that it has, the ways out first. Twice is safe."""
        await self.stills.close()
        if self.output is not None:
            await self.output.close()
        await self.session.close()

    # -- changes, from the next frame on ------------------------------------------------------------

    def set_pose(self, pose: PoseConfig) -> None:
        """Raises ModelError, and then all stays as it was."""
        self.session.configure(self._workshop.sought(pose, self.privacy))
        self._choose_by(pose)
        self.pose = pose

    def set_video(self, video: VideoConfig) -> None:
        self.video = video
        self.session.watchers.idle = video.idle
        self.session.rotation = video.rotation

    def set_overlay(self, overlay: OverlayConfig) -> None:
        self.session.repaint(self._workshop.painter(overlay))
        self.overlay = overlay

    def set_privacy(self, privacy: PrivacyConfig) -> None:
        """When this returns nothing goes out any more that was made under the setting before. Raises
        ModelError, and then all stays as it was."""
        options = self._workshop.sought(self.pose, privacy)
        self.session.set_privacy(privacy)
        self.session.configure(options)
        self.privacy = privacy

    def make_output(self, config: OutputConfig) -> Output:
        """It is not this stream's yet, and does nothing. Raises InvalidRequest."""
        return self._workshop.output(self.session, config, lambda: self.video)

    def _choose_by(self, pose: PoseConfig) -> None:
        """Who of those found is told of: where people are hidden, more are found than count."""
        self.session.max_poses = pose.num_poses
        self.session.zones = Zones(pose.region, pose.ignore)
