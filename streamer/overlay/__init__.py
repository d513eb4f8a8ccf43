"""Drawing poses and notices. The pages draw the same themselves (web/draw.js)."""

from streamer.aio import assert_off_loop
from streamer.config import OverlayConfig
from streamer.model import Frame, Pose
from streamer.overlay.canvas import Box, Canvas
from streamer.overlay.colours import LEFT, MIDDLE, RIGHT, Colour
from streamer.overlay.figure import MIN_VISIBILITY, Person, draw_figure
from streamer.overlay.labels import draw_labels
from streamer.overlay.notices import draw_notice
from streamer.overlay.stills import box_of, draw_on_rgb
from streamer.overlay.trails import Trails

__all__ = [
    "LEFT",
    "MIDDLE",
    "MIN_VISIBILITY",
    "RIGHT",
    "Box",
    "Colour",
    "SkeletonPainter",
    "box_of",
    "draw_on_rgb",
]


class SkeletonPainter:
    """The usual overlay: connections as lines, landmarks as dots, left and right in two colours; with
    what else ``look`` says. It remembers nothing of the last frames but the trails."""

    def __init__(self, look: OverlayConfig | None = None) -> None:
        self._look = look or OverlayConfig()
        self._trails = Trails() if self._look.trails else None

    def annotate(self, frame: Frame, poses: tuple[Pose, ...]) -> Frame:
        """A new frame with the poses drawn on it: trails beneath all people, numbers above them all."""
        assert_off_loop()
        drawn = Frame(frame.i420.copy(), frame.pts, frame.received_mono, frame.received_at)
        if self._look.style == "none":
            return drawn
        canvas = Canvas.of(drawn)
        people = [Person.of(pose) for pose in poses]
        if self._trails is not None:
            self._trails.add(frame.pts, people)
            self._trails.draw(canvas, self._look)
        for person in people:
            draw_figure(canvas, person, self._look)
        for person in people:
            draw_labels(canvas, person, self._look)
        return drawn

    def notice(self, frame: Frame | None, text: str) -> Frame:
        """``text``: lines of ASCII, as OpenCV's fonts have no other letters."""
        assert_off_loop()
        return draw_notice(frame, text)
