"""What a stream's source may send: how large, how often, and how often of another size."""

import time
from collections.abc import Callable
from typing import Final

from streamer.config import LimitsConfig
from streamer.errors import SourceUnusable
from streamer.model import VideoInfo
from streamer.rates import Bucket

SLACK: Final = 1.05
"""A camera of just ``max_fps`` is never quite exact."""

BURST_S: Final = 2.0
"""Frames that come together behind a gap in the network are not too many."""


class Turnstile:
    """Of one stream, through all its connections. Used by its source's thread; ``clock``: monotonic, in
    seconds."""

    def __init__(self, limits: LimitsConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        rate = limits.max_fps * SLACK
        self._frames = Bucket(60 * rate, clock, at_once=max(2.0, rate * BURST_S))
        self._changes = Bucket(limits.size_changes_per_minute, clock)

    def check_size(self, video: VideoInfo) -> None:
        """Raises SourceUnusable."""
        if video.width * video.height > self._limits.max_pixels:
            raise SourceUnusable(
                f"the video has {video.width}x{video.height}, more than the {self._limits.max_pixels} "
                "pixels that this server takes ([limits] max_pixels): choose a smaller one"
            )

    def check_change(self) -> None:
        """Another size than before, which everything behind is made anew for. Raises SourceUnusable."""
        if not self._changes.take():
            raise SourceUnusable(
                f"the size of the video changes more than {self._limits.size_changes_per_minute} times "
                "a minute ([limits] size_changes_per_minute): set the camera to one size"
            )

    def lets_in(self) -> bool:
        """Whether a frame that has come now is not one too many."""
        return self._frames.take()
