"""What a probe saw of one stream, and its reduction to figures."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SLICES = 5


@dataclass(frozen=True)
class ProbeResult:
    """What one stream gave. Times in ms; ``None`` where nothing came back.

    ``frames_unread`` came back without a number that was awaited; ``messages_lost`` are gaps in
    ``seq``; ``rtt_p95_by_slice_ms`` are five equal parts of the run, to see latency grow, as does
    ``rtt_slope_ms_per_s``, of the least-squares line. ``received_kbps`` counts RTP, headers included.
    """

    stream_id: str | None
    size_back: str | None
    first_frame_ms: float | None
    frames_sent: int
    frames_back: int
    frames_unread: int
    fps_back: float
    rtt_p50_ms: float | None
    rtt_p95_ms: float | None
    rtt_p95_by_slice_ms: list[float | None]
    rtt_slope_ms_per_s: float | None
    frame_gap_max_ms: float | None
    received_kbps: float
    messages: int
    messages_per_s: float
    message_bytes: float | None
    messages_lost: int
    messages_with_pose: int
    message_gap_max_ms: float | None


@dataclass
class ProbeRecord:
    """Everything one stream saw, with monotonic times in s; a number's slot is reused in time."""

    sent_at: dict[int, float] = field(default_factory=dict)
    sent: int = 0
    frames: list[tuple[float, float]] = field(default_factory=list)  # (arrival, round trip)
    unread: list[float] = field(default_factory=list)
    messages: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    message_sizes: list[tuple[float, int]] = field(default_factory=list)
    received: list[tuple[float, int]] = field(default_factory=list)  # (arrival, bytes of a packet)
    kept: list[tuple[int, NDArray[np.uint8]]] = field(default_factory=list)  # (number, luma)
    size_back: str | None = None
    first_frame: asyncio.Event = field(default_factory=asyncio.Event)
    begun_at: float = float("inf")

    def summarise(
        self, seconds: float, stream_id: str | None, first_frame_ms: float
    ) -> ProbeResult:
        """Reduce the record to the figures of the ``seconds`` from ``begun_at`` on."""
        begun_at, ended_at = self.begun_at, self.begun_at + seconds
        frames = [item for item in self.frames if begun_at <= item[0] < ended_at]
        unread = [at for at in self.unread if begun_at <= at < ended_at]
        messages = [item for item in self.messages if begun_at <= item[0] < ended_at]
        sizes = [size for at, size in self.message_sizes if begun_at <= at < ended_at]
        received = sum(size for at, size in self.received if begun_at <= at < ended_at)
        slices: list[list[float]] = [[] for _ in range(SLICES)]
        for at, rtt_s in frames:
            slices[int((at - begun_at) / seconds * SLICES)].append(rtt_s)
        rtts_s = [rtt_s for _, rtt_s in frames]
        seqs = [message["seq"] for _, message in messages]
        return ProbeResult(
            stream_id=stream_id,
            size_back=self.size_back,
            first_frame_ms=round(first_frame_ms, 1),
            frames_sent=self.sent,
            frames_back=len(frames) + len(unread),
            frames_unread=len(unread),
            fps_back=round((len(frames) + len(unread)) / seconds, 2),
            rtt_p50_ms=_percentile_ms(rtts_s, 50),
            rtt_p95_ms=_percentile_ms(rtts_s, 95),
            rtt_p95_by_slice_ms=[_percentile_ms(part, 95) for part in slices],
            rtt_slope_ms_per_s=slope([(at, 1000 * rtt_s) for at, rtt_s in frames]),
            frame_gap_max_ms=_gap_max_ms(sorted([at for at, _ in frames] + unread)),
            received_kbps=round(8 * received / seconds / 1000, 1),
            messages=len(messages),
            messages_per_s=round(len(messages) / seconds, 2),
            message_bytes=round(float(np.mean(sizes)), 1) if sizes else None,
            messages_lost=max(seqs) - min(seqs) + 1 - len(set(seqs)) if seqs else 0,
            messages_with_pose=sum(bool(message["poses"]) for _, message in messages),
            message_gap_max_ms=_gap_max_ms([at for at, _ in messages]),
        )


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """The rise per unit of the first value, of the least-squares line; None with too few points."""
    if len(points) < 3:
        return None
    x, y = np.array(points, np.float64).T
    return float(np.polyfit(x - x[0], y, 1)[0])


def _percentile_ms(values_s: Sequence[float], percent: int) -> float | None:
    return round(1000 * float(np.percentile(values_s, percent)), 1) if values_s else None


def _gap_max_ms(times_s: Sequence[float]) -> float | None:
    return round(1000 * float(np.diff(times_s).max()), 1) if len(times_s) > 1 else None
