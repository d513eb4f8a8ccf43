"""One clock for a stream's whole life, whatever its source's clock does."""

import threading

from streamer.model import VIDEO_CLOCK_HZ

MAX_CLOCK_JUMP_S = 3.0
"""A media clock that runs this much apart from ours between two frames has been set anew."""


_REMEMBERED = 64
"""Packets whose place is kept for their frame: more than a decoder ever holds back."""


class Timeline:
    """Places the pictures of successive connections on one 90 kHz clock that never runs back.

    Within an epoch the distances of the media times are kept exactly; where an epoch begins, the
    clock is set to the picture's time of arrival. A picture may come twice, as a packet and then as
    a frame, and has one place: its packet's. Safe to use from several threads.
    """

    def __init__(self, origin_mono: float) -> None:
        self._origin_mono = origin_mono
        self._lock = threading.Lock()
        self._offset = 0
        self._last = -1
        self._last_mono = origin_mono
        self._epoch = 0
        self._last_media: int | None = None
        self._last_arrival = origin_mono
        self._packets: dict[int, tuple[int, int]] = {}  # media time -> place, the oldest first

    def place_packet(self, media_pts: int, received_mono: float) -> tuple[int, int]:
        """As ``place``; the frame with this media time will be given the same."""
        with self._lock:
            place = self._place(media_pts, received_mono)
            self._packets.pop(media_pts, None)
            self._packets[media_pts] = place
            if len(self._packets) > _REMEMBERED:
                del self._packets[next(iter(self._packets))]
            return place

    def place(self, media_pts: int, received_mono: float) -> tuple[int, int]:
        """The frame's time on this clock, and the number of its epoch, from 1."""
        with self._lock:
            known = self._packets.pop(media_pts, None)
            return known if known is not None else self._place(media_pts, received_mono)

    def _place(self, media_pts: int, received_mono: float) -> tuple[int, int]:
        if self._jumped(media_pts, received_mono):
            self._epoch += 1
            self._offset = max(self._clock(received_mono), self._last + 1) - media_pts
        self._last_media, self._last_arrival = media_pts, received_mono
        self._last = max(media_pts + self._offset, self._last + 1)
        self._last_mono = received_mono
        return self._last, self._epoch

    def translate(self, media_pts: int) -> tuple[int, int] | None:
        """Where a media time of the present epoch lies, which may be no picture's, and the epoch; None
        before there is one."""
        with self._lock:
            if self._last_media is None:
                return None
            return media_pts + self._offset, self._epoch

    def now(self, mono: float) -> int:
        """A time for a picture that no source gave: as much later than the last as our clock says."""
        with self._lock:
            self._last += max(1, int((mono - self._last_mono) * VIDEO_CLOCK_HZ))
            self._last_mono = mono
            return self._last

    def restart(self) -> None:
        """The next picture comes from a new connection: it begins an epoch."""
        with self._lock:
            self._last_media = None
            self._packets.clear()

    def _clock(self, mono: float) -> int:
        return int((mono - self._origin_mono) * VIDEO_CLOCK_HZ)

    def _jumped(self, media_pts: int, received_mono: float) -> bool:
        if self._last_media is None:
            return True
        media_s = (media_pts - self._last_media) / VIDEO_CLOCK_HZ
        arrival_s = received_mono - self._last_arrival
        return media_s < 0 or abs(media_s - arrival_s) > MAX_CLOCK_JUMP_S
