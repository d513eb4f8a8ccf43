"""Logging that never shows a secret, and the figures of a session."""

import bisect
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from streamer.aio import percentile
from streamer.log_writer import LogWriter
from streamer.logs import LogFormat, configure
from streamer.model import SessionStats

# Each is tried once for each word, or it would take a minute for 64 KiB that a stranger sends.
_CREDENTIALS = re.compile(r"(?<!\S)(?P<before>(?:(?!://)\S)*://)\S*@")
# Some cameras take the login in the path or the query.
_SECRET = re.compile(
    r"(?P<key>(?:user|username|usr|loginuse|pass|passwd|password|pwd|psw|loginpas|auth|token|ticket|key)"
    r"=)"
    r"[^&\s'\"]*",
    re.IGNORECASE,
)
# An access token that `streamer token create` has made, but for the id, by which it can be revoked.
_TOKEN = re.compile(r"(?P<id>\bst-[0-9a-f]{8}-)[A-Za-z0-9_-]{43}")
_WINDOW_FRAMES = 300  # ten seconds at 30 fps
_FPS_WINDOW_S = 3.0

STAGE_BOUNDS_S = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.02,
    0.035,
    0.05,
    0.075,
    0.1,
    0.15,
    0.25,
    0.5,
    1.0,
    2.5,
)
"""Of the times of a frame's stages: finer up to three frames at 30 fps, within which a live stream is."""


def redact(text: str) -> str:
    """The text without the user info of any URL in it (RFC 3986, section 3.2.1; up to the last @, since
    a person may not have escaped a / in the password), and without what follows ``password=``; of an access
    token only its id."""
    return _TOKEN.sub(r"\g<id>…", _SECRET.sub(r"\g<key>…", _CREDENTIALS.sub(r"\g<before>", text)))


def configure_logging(
    level: str, log_format: LogFormat = "text", writer: LogWriter | None = None
) -> None:
    """One handler on stderr; every line of ours and of the libraries passes ``redact``. ``writer``: of who
    must not wait for the reader."""
    configure(level, log_format, redact, writer)


@dataclass(slots=True)
class Histogram:
    """How many values were at most so large, as Prometheus counts them. ``counts`` has one more than there
    are bounds: what was larger than all. It only grows."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        self.counts[bisect.bisect_left(self.bounds, value)] += 1
        self.total += value

    def copy(self) -> "Histogram":
        return Histogram(self.bounds, list(self.counts), self.total)

    def grow(self, now: "Histogram", before: "Histogram | None") -> None:
        """By what another one has gained."""
        before = before or Histogram(now.bounds)
        for place, (new, old) in enumerate(zip(now.counts, before.counts, strict=True)):
            self.counts[place] += new - old
        self.total += now.total - before.total


class SessionMeter:
    """Counts and times the frames of one session. Used on the event loop only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._latencies: dict[str, deque[float]] = {}  # by stage, ms
        self.stages: dict[str, Histogram] = {}  # by stage, seconds, of all frames
        self._finished: deque[float] = deque(maxlen=_WINDOW_FRAMES)
        self._last_received_mono: float | None = None
        self.frames_processed = 0
        self.reconnects = 0
        self.losses = 0

    def processed(self, latency_ms: Mapping[str, float], received_mono: float) -> None:
        self.frames_processed += 1
        for stage, ms in latency_ms.items():
            self.note(stage, ms)
        self._finished.append(self._clock())
        self._last_received_mono = received_mono

    def note(self, stage: str, ms: float) -> None:
        """One frame's time in a stage."""
        window = self._latencies.get(stage)
        if window is None:
            window = self._latencies[stage] = deque(maxlen=_WINDOW_FRAMES)
            self.stages[stage] = Histogram(STAGE_BOUNDS_S)
        window.append(ms)
        self.stages[stage].add(ms / 1000)

    @property
    def frame_age_s(self) -> float | None:
        """Of the newest frame; None before the first."""
        if self._last_received_mono is None:
            return None
        return self._clock() - self._last_received_mono

    def snapshot(self, frames_in: int, frames_dropped: int) -> SessionStats:
        age_s = self.frame_age_s
        return SessionStats(
            frames_in=frames_in,
            frames_processed=self.frames_processed,
            frames_dropped=frames_dropped,
            pose_fps=self._fps(),
            frame_age_ms=None if age_s is None else age_s * 1000,
            reconnects=self.reconnects,
            losses=self.losses,
            latency_ms=self._percentiles(),
        )

    def _fps(self) -> float:
        now = self._clock()
        recent = [at for at in self._finished if now - at <= _FPS_WINDOW_S]
        if len(recent) < 2 or now - recent[-1] > 1.0:
            return 0.0
        return (len(recent) - 1) / max(recent[-1] - recent[0], 1e-6)

    def _percentiles(self) -> dict[str, dict[str, float]]:
        return {
            stage: {"p50": percentile(window, 0.50), "p95": percentile(window, 0.95)}
            for stage, window in sorted(self._latencies.items())
        }
