"""What a session needs of the world, each with more than one implementation."""

from collections.abc import Callable
from typing import Protocol

from streamer.model import Frame, Packet, Picture, Pose, PoseResult, Status, VideoInfo


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


class Estimator(Protocol):
    """Frame -> poses. Built, used and closed in one thread; plain data in and out."""

    def estimate(self, frame: Frame, pts: int) -> tuple[Pose, ...]:
        """``pts`` in 90 kHz ticks must not run back. Raises EstimatorError."""

    def reset(self) -> None:
        """Forget whom we were following: the next frame has nothing to do with the last."""

    def close(self) -> None: ...


class Painter(Protocol):
    """Draws on pictures, off the event loop; never changes the frame it was given."""

    def annotate(self, frame: Frame, poses: tuple[Pose, ...]) -> Frame: ...

    def notice(self, frame: Frame | None, text: str) -> Frame:
        """The last picture, dimmed, with a text; with no frame, a plain one."""


class Sink(Protocol):
    """Consumes what a session produces. Its methods run on the event loop and never block."""

    wants_picture: bool

    def on_result(self, result: PoseResult) -> None: ...

    def on_picture(self, picture: Picture) -> None:
        """An annotated frame or a notice, at its time; only for sinks that want pictures."""

    def on_status(self, status: Status) -> None: ...


EstimatorFactory = Callable[[], Estimator]
