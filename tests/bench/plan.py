"""What the sections are told: how long, how often, of what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.rigs.webrtc_probe import ProbeOptions

if TYPE_CHECKING:
    from tests.bench.watch import Probe

Size = tuple[int, int]


@dataclass(frozen=True)
class Plan:
    """Of one run of the bench. ``seconds`` are measured in each round, after ``warm_up_s``."""

    probe: Probe
    sizes: tuple[Size, ...]
    streams: tuple[int, ...]
    stock_streams: tuple[int, ...]
    viewers: tuple[int, ...]
    readers: tuple[int, ...]
    rounds: int
    seconds: float
    stream_seconds: float
    warm_up_s: float
    bare_frames: int
    codec: str

    def options(self, size: Size, seconds: float | None = None) -> ProbeOptions:
        """For the probe; who is asked for binary messages and does not know them sends JSON."""
        width, height = size
        return ProbeOptions(
            "",
            width=width,
            height=height,
            seconds=seconds or self.seconds,
            warm_up_s=self.warm_up_s,
            codec=self.codec,
            binary=True,
        )


def size_text(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
