"""Staying in the present: skipping what a camera had stored, and what we are too slow for."""

import threading
import time
from collections.abc import Callable

from streamer.model import VIDEO_CLOCK_HZ, Frame

QUIET_S = 0.05
"""A frame that nothing followed for so long was the newest: more than a frame's time at 30 fps."""

MAX_BACKLOG_S = 3.0
"""What runs faster than its clock for so long always does: from then on every frame is live."""

PACE_WINDOW_S = 3.0
MIN_WAITING_SHARE = 0.2
"""A reader that waits for packets less than this share of its time does not keep up with them."""

WAIT_S = 0.002
"""A packet that took longer to come was not lying ready."""

MAX_CATCHING_UP_S = 1.0


class LiveEdge:
    """Of frames that come faster than their media time says, a backlog, only the newest goes on.

    At first each frame is held until the next shows whether it belonged to a backlog, or until none
    follows; from then on every frame goes straight through. ``offer`` is called in the decoding
    thread, the rest on the event loop.
    """

    def __init__(
        self, put: Callable[[Frame], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.reached = False
        self._clock = clock
        self._put = put
        self._lock = threading.Lock()
        self._held: Frame | None = None
        self._held_mono = 0.0  # since when: the first picture of all takes long to decode
        self._first_mono: float | None = None
        self._closed = False

    def offer(self, frame: Frame) -> None:
        with self._lock:
            if self._closed:
                return
            if not self.reached and self._may_be_backlog(frame):
                self._held, self._held_mono = frame, self._clock()
                return
            self.reached, self._held = True, None
            self._put(frame)

    def settle(self) -> None:
        """Lets the held frame go if nothing followed. Called every QUIET_S until ``reached``."""
        with self._lock:
            held = self._held
            if held and not self._closed and self._clock() - self._held_mono >= QUIET_S:
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


class Pace:
    """Tells when decoding does not keep up. Without it the network's buffers would keep what comes
    too late, and the picture would fall ever further behind.

    A reader in time waits for its packets. Once it no longer does, packets are skipped, which is
    quick, up to a key frame that was not lying ready.
    """

    def __init__(self, now_mono: float) -> None:
        self._window_start = now_mono
        self._waited_s = 0.0
        self._behind_since: float | None = None

    def must_skip(self, asked_mono: float, came_mono: float, is_keyframe: bool) -> bool:
        """Whether to skip the packet that was asked for and came at these times."""
        waited_s = came_mono - asked_mono
        self._waited_s += waited_s
        if self._behind_since is not None:
            in_time = waited_s >= WAIT_S or came_mono - self._behind_since > MAX_CATCHING_UP_S
            if is_keyframe and in_time:
                self._behind_since = None
                self._begin_window(came_mono)
        elif came_mono - self._window_start >= PACE_WINDOW_S:
            if self._waited_s < MIN_WAITING_SHARE * (came_mono - self._window_start):
                self._behind_since = came_mono
            self._begin_window(came_mono)
        return self._behind_since is not None

    def _begin_window(self, now_mono: float) -> None:
        self._window_start, self._waited_s = now_mono, 0.0
