"""What a session needs of the world, each with more than one implementation."""

from collections.abc import Callable
from typing import Protocol

from streamer.config import PoseConfig
from streamer.model import (
    Forwarded,
    Frame,
    ModelStatus,
    Packet,
    Picture,
    Pose,
    PoseResult,
    Status,
    VideoInfo,
)


class FrameReceiver(Protocol):
    """Where a source puts its frames; callable from any thread, never blocks."""

    def opened(self, video: VideoInfo) -> None:
        """The source is connected and its frames will look like this (again whenever that changes)."""

    def forward(self, packet: Packet) -> None:
        """A picture as the camera encoded it, before its frame is put, with the frame's ``pts``: for
        viewers that draw themselves. In the order of showing; a source whose pictures come in another
        order, or in a codec that no viewer takes, forwards none."""

    def put(self, frame: Frame) -> None:
        """A new frame; it replaces one that is still waiting."""


class Source(Protocol):
    """Produces frames."""

    async def run(self, receiver: FrameReceiver) -> None:
        """One connection, from opening to its end.

        Never returns: it ends with an error that says what to do next: SourceError (try again),
        SourceRejected or SourceForbidden (a person must act), SourceEnded (over).
        Cancelling it closes the connection and waits until it is closed.
        """


class CameraSource(Source, Protocol):
    """A source that a person names, in the API or the configuration."""

    @property
    def shown(self) -> dict[str, str]:
        """Which one it is, without secrets: its ``type``, and where it is."""


class Estimator(Protocol):
    """Frame -> poses. Built, used and closed in one thread; plain data in and out."""

    def estimate(self, frame: Frame, pts: int) -> tuple[Pose, ...]:
        """``pts`` in 90 kHz ticks must not run back. Raises EstimatorError, after which there is nothing left
        to do but to close it; and ModelError, once, when the network that was being loaded can't be: the
        one before goes on, with this frame too."""

    @property
    def bystanders(self) -> tuple[Pose, ...]:
        """Who else may be in the frame of the last ``estimate``, and is published for some reason not: too
        low a score, too many people, somebody of whom it is not known who. For those who hide people, and
        for nobody else.
        """

    def configure(self, options: PoseConfig) -> None:
        """Goes on with other options, from the next frame on or as soon as their network is loaded; the
        people keep their ids. Raises ModelError, and goes on with the options before."""

    @property
    def model_complexity(self) -> int:
        """Of the network that found the last frame's poses."""

    def reset(self) -> None:
        """Forget whom we were following: the next frame has nothing to do with the last."""

    def close(self) -> None: ...


class Painter(Protocol):
    """Draws on pictures, off the event loop; never changes the frame it was given."""

    def annotate(self, frame: Frame, poses: tuple[Pose, ...]) -> Frame: ...

    def notice(self, frame: Frame | None, text: str) -> Frame:
        """The last picture, dimmed, with a text; with no frame, a plain one."""


class Sink(Protocol):
    """Consumes what a session finds. Its methods run on the event loop and never block."""

    def on_result(self, result: PoseResult) -> None: ...

    def on_status(self, status: Status) -> None: ...

    def on_model(self, status: ModelStatus) -> None:
        """Another model finds the poses from the next result on, or another one is wanted."""


class PictureSink(Protocol):
    """Takes pictures to be shown. Callable from any thread, never blocks.

    ``annotated``: whether it wants the frames with the poses on them, or as they came.
    """

    @property
    def annotated(self) -> bool: ...

    def show(self, picture: Picture) -> None:
        """A frame, or a notice while there are none. One that is older than the last comes too late."""


class PacketSink(Protocol):
    """Takes the camera's own encoded pictures."""

    def forward(self, packet: Packet) -> None:
        """``packet.pts`` is on the stream's clock, as of the messages. Callable from any thread, never
        blocks."""

    def on_forwarded(self, forwarded: Forwarded | None) -> None:
        """The source now forwards something else, or nothing any more. Called on the event loop."""


EstimatorFactory = Callable[[PoseConfig, str], Estimator]
"""For the stream of that name. Called in the thread that estimates. Raises ModelError, EstimatorError."""
