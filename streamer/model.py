"""The data that flows through a session: frames in, poses out. NumPy and the standard library only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

VIDEO_CLOCK_HZ = 90_000
"""Ticks of a second of media time, as RTP's video clock (RFC 3551, section 5)."""

LANDMARK_COUNT = 33

VideoMode = Literal["annotated", "plain", "none"]
"""What a viewer is sent: the picture with the poses on it, the camera's own, or landmarks only."""

Plane = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded picture.

    ``i420``: shape (height * 3 / 2, width), uint8, C-contiguous: the Y plane, then U, then V, each of
    the two at half the width and height (limited range). Width and height are even.
    ``pts``: media time in 90 kHz ticks. ``received_mono`` / ``received_at``: when the frame reached us,
    in seconds of the monotonic clock / Unix seconds. ``decode_ms``: from there until it was decoded.
    """

    i420: Plane
    pts: int
    received_mono: float
    received_at: float
    decode_ms: float = 0.0

    @property
    def width(self) -> int:
        return int(self.i420.shape[1])

    @property
    def height(self) -> int:
        return int(self.i420.shape[0]) * 2 // 3

    def planes(self) -> tuple[Plane, Plane, Plane]:
        """Views on Y (height, width), U and V (height / 2, width / 2)."""
        height, width = self.height, self.width
        chroma = self.i420[height:].reshape(2, height // 2, width // 2)
        return self.i420[:height], chroma[0], chroma[1]


Codec = Literal["vp8", "h264"]
"""The codecs that go to viewers: what every browser decodes (RFC 7742)."""


H264_IDR = 5
H264_PARAMETER_SET = 7
"""Types of NAL units (H.264, table 7-1): of a picture that needs none before it, and of what a decoder
must know first."""


def h264_units(annex_b: bytes) -> Iterator[tuple[int, int]]:
    """The NAL units of an access unit: type, and where the unit begins, after its start code."""
    start = annex_b.find(b"\0\0\1")
    while 0 <= start < len(annex_b) - 3:
        yield annex_b[start + 3] & 0x1F, start + 3
        start = annex_b.find(b"\0\0\1", start + 3)


def h264_profile(annex_b: bytes) -> bytes | None:
    """The first two bytes of profile-level-id (RFC 6184, section 8.1), profile and constraints, from the
    sequence parameter set (NAL unit type 7, H.264 section 7.3.2.1.1); None where there is none."""
    for kind, at in h264_units(annex_b):
        if kind == H264_PARAMETER_SET:
            return annex_b[at + 1 : at + 3] or None
    return None


@dataclass(slots=True, eq=False)
class Rule:
    """What may be seen of a stream's pictures, while that holds. ``over``: it is another by now, and what
    was made under this one must not go out any more. Set on the event loop, where everything goes out."""

    over: bool = False


ALWAYS = Rule()
"""Of what may be seen in any case."""


@dataclass(frozen=True, slots=True, eq=False)
class Packet:
    """One encoded picture, whole.

    ``data``: a VP8 frame, or an H.264 access unit in Annex B form, with its parameter sets before each
    key frame. ``pts``: as of ``Frame``. ``received_mono``: when the picture, encoded or not yet,
    reached us. ``rule``: as of ``Picture``.
    """

    data: bytes
    codec: Codec
    pts: int
    is_keyframe: bool
    received_mono: float
    rule: Rule = ALWAYS

    @property
    def forwarded(self) -> "Forwarded":
        """Of a key frame: what a viewer must be able to decode."""
        if self.codec != "h264":
            return Forwarded(self.codec)
        return Forwarded(self.codec, h264_profile(self.data))


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """Where in a frame a person is. ``alpha``: (S, S) uint8, 255 on the person; ``to_mask``: (2, 3) float32,
    takes a point (x, y, 1) of the picture, in 0..1 of its width and height, to the mask's pixels."""

    alpha: NDArray[np.uint8]
    to_mask: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """One person.

    ``landmarks``: (33, 5) float32: x, y in 0..1 of the frame's width and height, z on x's scale (smaller
    is nearer), visibility 0..1 (in the frame and not hidden), presence 0..1 (in the frame).
    ``world``: (33, 3) float32, metres, origin at mid-hip. ``score``: 0..1, how likely it is that a person
    is there. ``id`` stays with the person.

    ``raw``: as ``landmarks``, before smoothing. ``predicted``: (33,) bool, landmarks that can't be seen:
    the network's guess. ``angles``: (len(ANGLES), 2) float32: degrees, and 1 where they can be trusted
    (``streamer.angles``). ``turned``: "left_right" or "front_back" when the sides are probably mistaken.
    """

    id: int
    score: float
    landmarks: NDArray[np.float32]
    world: NDArray[np.float32]
    raw: NDArray[np.float32] | None = None
    predicted: NDArray[np.bool_] | None = None
    angles: NDArray[np.float32] | None = None
    turned: str | None = None
    mask: Mask | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PoseResult:
    """What became of one processed frame.

    ``pts``: 90 kHz ticks on the stream's own clock, which never runs back. ``epoch`` rises when the
    source starts anew; ``seq`` rises by one per processed frame of an epoch; ``dropped`` counts the
    frames of the epoch that were never processed. ``latency_ms``: stage -> ms; ``total`` runs from
    the frame's arrival to this result. ``frame`` is what may be seen of it, by ``rule``.
    """

    epoch: int
    seq: int
    pts: int
    frame: Frame
    poses: tuple[Pose, ...]
    dropped: int
    latency_ms: Mapping[str, float]
    rule: Rule = ALWAYS


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A frame to be shown, with the time at which to show it (90 kHz ticks on the stream's clock).

    ``is_notice``: made by us while no frames come; its frame's own times mean nothing then. ``rule``:
    once it is over the picture goes to nobody.
    """

    frame: Frame
    pts: int
    is_notice: bool = False
    rule: Rule = ALWAYS


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What a source forwards at present. ``profile``: as ``h264_profile`` gives it; else None."""

    codec: Codec
    profile: bytes | None = None


class StreamState(Enum):
    """Where a session stands; the values are the words of the API."""

    CONNECTING = "connecting"  # started, or woken; no frame has come since
    LIVE = "live"  # frames are coming
    PAUSED = "paused"  # nobody watches, and the configuration says to rest then
    RECONNECTING = "reconnecting"  # it was live or tried to be; another try is due or under way
    FAILED = "failed"  # a person must act (wrong password, forbidden address); retried rarely
    ENDED = "ended"  # over; never leaves this state


@dataclass(frozen=True, slots=True)
class Status:
    """A state, with the words that go with it. ``error_kind`` is the ``kind`` of the error behind it."""

    state: StreamState
    detail: str = ""
    error_kind: str | None = None
    retry_in_s: float | None = None
    attempt: int = 0


ModelReason = Literal["overload", "loading", "failed"]
"""Why another model runs than is wanted: the machine can't keep up with that one, or it is being loaded,
or it can't be."""


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """Which model finds the poses: its ``model_complexity``, that of the options (``wanted``), and a
    ``reason`` if they differ."""

    model_complexity: int
    wanted: int
    reason: ModelReason | None = None


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a source turned out to be."""

    width: int
    height: int
    codec: str
    fps: float | None = None


@dataclass(slots=True)
class SessionStats:
    """A snapshot for the API. ``latency_ms``: stage -> {"p50": ms, "p95": ms} of the last frames.
    ``model_complexity``, ``model_reason``: as of ``ModelStatus``; None before the first frame.
    ``reconnects``: how often the source was tried again; ``losses``: how often its video came and was lost.
    ``worker_restarts``: how often what works for the stream, its estimator or the process that reads its
    source, died or hung and was replaced."""

    frames_in: int = 0
    frames_processed: int = 0
    frames_dropped: int = 0
    pose_fps: float = 0.0
    frame_age_ms: float | None = None
    reconnects: int = 0
    losses: int = 0
    worker_restarts: int = 0
    model_complexity: int | None = None
    model_reason: ModelReason | None = None
    latency_ms: dict[str, dict[str, float]] = field(default_factory=dict)
