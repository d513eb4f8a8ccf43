"""Finding the present in what a camera sends right after it was asked to play."""

import threading
import time
from collections.abc import Callable

from streamer.model import VIDEO_CLOCK_HZ, Frame

QUIET_S = 0.05
"""A frame that nothing followed for so long was the newest: more than a frame's time at 30 fps."""

MAX_BACKLOG_S = 3.0
"""What runs faster than its clock for so long always does: from then on every frame is live."""


class LiveEdge:
    """Of frames that come faster than their media time says, a backlog, only the newest goes on.

    At first each frame is held until the next shows whether it belonged to a backlog, or until none
    follows; from then on every frame goes straight through. ``offer`` is called in the decoding
    thread, the rest on the event loop.
    """

    def __init__(self, put: Callable[[Frame], None]) -> None:
        self.reached = False
        self._put = put
        self._lock = threading.Lock()
        self._held: Frame | None = None
        self._first_mono: float | None = None
        self._closed = False

    def offer(self, frame: Frame) -> None:
        with self._lock:
            if self._closed:
                return
            if not self.reached and self._may_be_backlog(frame):
                self._held = frame
                return
            self.reached, self._held = True, None
            self._put(frame)

    def settle(self) -> None:
        """Lets the held frame go if nothing followed. Called every QUIET_S until ``reached``."""
        with self._lock:
            held = self._held
            if held and not self._closed and time.monotonic() - held.received_mono >= QUIET_S:
                self.reached, self._held = True, None
                self._put(held)

    def close(self) -> None:
        """No frame goes on after this."""
        with self._lock:
            self._closed, self._held = True, None

    def _may_be_backlog(self, frame: Frame) -> bool:
        if self._first_mono is None or self._held is None:
            self._first_mono = frame.received_mono
            return True
        media_s = (frame.pts - self._held.pts) / VIDEO_CLOCK_HZ
        arrival_s = frame.received_mono - self._held.received_mono
        waited_s = frame.received_mono - self._first_mono
        return arrival_s < media_s / 2 and waited_s < MAX_BACKLOG_S
