"""The answers of the API as types: what its description is made of. Tests hold the handlers to them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from streamer.access.scopes import Scope
from streamer.config import OverlayConfig, PoseConfig, PrivacyConfig, StreamId, VideoConfig
from streamer.model import StreamState
from streamer.schema import PoseEntry

Count = Annotated[int, Field(ge=0)]


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Problem(Shape):
    """An error (RFC 9457)."""

    type: Annotated[str, Field(pattern="^urn:streamer:problem:[a-z-]+$")]
    """Stable: what a program may look at."""
    title: str
    status: int
    detail: str
    """A sentence for a person that says what to do."""
    request_id: str
    """Also in the server's log."""


class ShortProblem(Shape):
    """Why a stream is as it is."""

    type: Annotated[str, Field(pattern="^urn:streamer:problem:[a-z-]+$")]
    detail: str


class SourceInfo(Shape):
    """Where a stream comes from; never a password. Which fields there are goes by the type."""

    type: Literal["rtsp", "file", "usb", "webcam", "whip"]
    url: str = Field(default_factory=str)
    path: str = Field(default_factory=str)
    device: str = Field(default_factory=str)


class VideoInfo(Shape):
    """What the source turned out to be. Width and height in pixels."""

    width: int
    height: int
    codec: str
    fps: float | None


class OutputInfo(Shape):
    """Where a stream's video is published. As the stream's own fields of these names."""

    url: str
    """Without credentials."""
    video: Literal["annotated", "plain"]
    state: Literal["connecting", "live", "reconnecting", "failed"]
    detail: str
    retry_in_s: float | None


class Percentiles(Shape):
    p50: float
    p95: float


class Stats(Shape):
    """Figures since the stream began; rates and latencies of its last frames."""

    frames_in: Count
    frames_processed: Count
    frames_dropped: Count
    pose_fps: float
    frame_age_ms: float | None
    reconnects: Count
    """How often the source was tried again."""
    losses: Count
    """How often its video came and was lost."""
    worker_restarts: Count
    """How often the estimator, or the process that reads the source, died or hung and was replaced."""
    model_complexity: int | None
    """Of the model that runs now."""
    model_reason: Literal["overload", "loading", "failed"] | None
    """Why it is another than the options want."""
    latency_ms: dict[str, Percentiles]
    """By stage, milliseconds."""


class StreamInfo(Shape):
    """A stream."""

    id: StreamId
    state: StreamState
    detail: str
    source: SourceInfo
    listed: bool
    video: VideoInfo | None
    people: int | None
    """In the newest frame, while live and poses come."""
    pose: PoseConfig
    video_options: VideoConfig
    overlay: OverlayConfig
    privacy: PrivacyConfig
    output: OutputInfo | None
    stats: Stats
    viewers: Count
    retry_in_s: float | None
    attempt: Count
    last_error: ShortProblem | None


class PictureInfo(Shape):
    """What was found in a picture. ``width``, ``height``: of the upright picture, in pixels."""

    status: Literal["success"]
    landmarks_count: Literal[0, 33]
    """Of each pose; 0 when nobody was found."""
    width: Count
    height: Count
    poses: list[PoseEntry]
    image: str = Field(default_factory=str)
    """The annotated picture, as a data: address."""


class Device(Shape):
    """A USB camera of the server's machine."""

    device: str
    name: str


class IceServerInfo(Shape):
    """As W3C's RTCIceServer."""

    urls: list[str]
    username: str = ""
    credential: str = ""


class IceConfiguration(Shape):
    """As W3C's RTCConfiguration."""

    iceServers: list[IceServerInfo]
    iceTransportPolicy: Literal["all", "relay"]


class Health(Shape):
    status: str
    stale_streams: Count
    """Streams that are live, and yet without a new frame for 10 s."""
    streams: dict[StreamState, Count] = Field(default_factory=dict)
    """How many there are in each state; for those who may see all of them."""
    loop_lag_s: float = Field(default_factory=float)
    """By how much the server's own work came too late, at the worst in the last minute; for the same."""


class NotReadyReason(Shape):
    """Why the server takes no work."""

    reason: Annotated[str, Field(pattern="^[a-z-]+$")]
    """Stable: `starting`, `shutting-down`, `models-missing`, `state-not-writable`, `workers-broken`,
    `checks-hang`."""
    detail: str


class Readiness(Shape):
    ready: bool
    reasons: list[NotReadyReason]
    """None while it is ready."""


class AuthorityInfo(Shape):
    name: str
    sha256: str
    """Of its certificate in DER: `AB:CD:…`."""
    until: str
    """The last day, as in ISO 8601."""


class TrustInfo(Shape):
    authority: AuthorityInfo | None
    """None unless the server has made its certificate itself."""


class Login(Shape):
    token: str


class Me(Shape):
    """Who asks, and what they may do."""

    name: str
    """Of the token; empty where the server has none."""
    role: Literal["view", "operate", "admin"]
    scopes: list[Scope]
    """`view:door`: that stream alone."""
    expires: str | None
    """When the token or the session does, as in ISO 8601."""
    signed_in: bool
    """By a cookie: there is something to sign out of."""


class TicketRequest(Shape):
    path: str
    """Of landmarks, MJPEG or a snapshot, without a query: `/api/v1/streams/door/mjpeg`."""


class Ticket(Shape):
    ticket: str
    """For `?ticket=`, once."""
    expires_in_s: float
