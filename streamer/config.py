"""The configuration: what it may hold. Each part of the program gets its own section, never the whole.

``settings.py`` puts it together.
"""

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

StreamId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
_HOST_PORT = r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
_ICE_URL = re.compile(rf"stuns?:{_HOST_PORT}|turns?:{_HOST_PORT}(\?transport=(udp|tcp))?")
"""RFC 7064, section 3.1, and RFC 7065, section 3.1."""

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """Unknown keys are refused, values are not coerced across types, nothing changes after parsing."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,  # there are passwords in it
    )


class ServerConfig(Section):
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    token: str = ""
    insecure_lan: bool = False
    allowed_hosts: list[str] = []
    tls_cert: str = ""
    tls_key: str = ""
    max_streams: int = Field(default=16, ge=1)
    state_file: str = ""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("token")
    @classmethod
    def _token_is_long_enough(cls, token: str) -> str:
        if token and len(token) < 16:
            raise ValueError("an access token needs at least 16 characters")
        return token

    @model_validator(mode="after")
    def _tls_has_both_halves(self) -> "ServerConfig":
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("tls_cert and tls_key belong together: set both or neither")
        return self


class PoseConfig(Section):
    """MediaPipe's options under the names of its ``Pose`` solution."""

    model_complexity: Literal[0, 1, 2] = 1
    static_image_mode: bool = False
    smooth_landmarks: bool = True
    min_detection_confidence: Share = 0.5
    min_tracking_confidence: Share = 0.5
    num_poses: int = Field(default=1, ge=1, le=8)


class IceServer(Section):
    """As W3C's RTCIceServer."""

    urls: list[str] = Field(min_length=1)
    username: str = ""
    credential: str = ""

    @field_validator("urls")
    @classmethod
    def _are_stun_or_turn(cls, urls: list[str]) -> list[str]:
        if not all(_ICE_URL.fullmatch(url) for url in urls):
            raise ValueError("give an address as stun:host:3478 or turn:host:3478?transport=udp")
        return urls


class WebRtcConfig(Section):
    ice_servers: list[IceServer] = []
    max_peers: int = Field(default=128, ge=1)
    connect_timeout_s: float = Field(default=15.0, gt=0)
    resume_timeout_s: float = Field(default=10.0, ge=0)


Idle = Literal["run", "pause"]
"""What a stream does that nobody watches."""

MAX_BITRATE = 100_000_000
"""Bits per second; encoders count in 32 bits, several times over."""


class VideoConfig(Section):
    """What viewers are sent, in bits per second, and what a stream does that nobody watches."""

    max_bitrate: int = Field(default=0, ge=0, le=MAX_BITRATE)
    min_bitrate: int = Field(default=250_000, ge=50_000, le=MAX_BITRATE)
    idle: Idle = "run"

    @model_validator(mode="after")
    def _limits_leave_room(self) -> "VideoConfig":
        if self.max_bitrate and self.max_bitrate < self.min_bitrate:
            raise ValueError("max_bitrate is below min_bitrate; 0 means: by the picture's size")
        return self


class ImagesConfig(Section):
    """Pictures that people upload."""

    max_bytes: int = Field(default=10 * 1024 * 1024, ge=1024)
    max_pixels: int = Field(default=25_000_000, ge=1, le=250_000_000)
    max_waiting: int = Field(default=8, ge=0)
    receive_timeout_s: float = Field(default=30.0, gt=0)
    work_timeout_s: float = Field(default=20.0, gt=0)
    keep_s: float = Field(default=300.0, ge=0)


class RtspConfig(Section):
    transport: Literal["tcp", "udp"] = "tcp"
    open_timeout_s: float = Field(default=5.0, gt=0)
    read_timeout_s: float = Field(default=5.0, gt=0)
    retry_cap_s: float = Field(default=3.0, gt=0)
    rejected_retry_s: float = Field(default=300.0, gt=0)
    allowed_networks: list[str] = [
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
    ]

    @field_validator("allowed_networks")
    @classmethod
    def _are_networks(cls, networks: list[str]) -> list[str]:
        for network in networks:
            ipaddress.ip_network(network)
        return networks


class RtspSource(Section):
    """A camera. Credentials may stand in the URL or beside it; they are never shown again."""

    type: Literal["rtsp"] = "rtsp"
    url: str = Field(max_length=2048)
    username: str = ""
    password: str = ""
    transport: Literal["tcp", "udp"] | None = None


class StreamConfig(Section):
    id: StreamId
    source: RtspSource
    pose: PoseConfig | None = None
    video: VideoConfig | None = None
    listed: bool = True


class Config(Section):
    server: ServerConfig = ServerConfig()
    pose: PoseConfig = PoseConfig()
    video: VideoConfig = VideoConfig()
    images: ImagesConfig = ImagesConfig()
    webrtc: WebRtcConfig = WebRtcConfig()
    rtsp: RtspConfig = RtspConfig()
    streams: list[StreamConfig] = []  # in TOML: [[streams]]

    @field_validator("streams")
    @classmethod
    def _ids_are_unique(cls, streams: list[StreamConfig]) -> list[StreamConfig]:
        ids = [stream.id for stream in streams]
        if len(set(ids)) != len(ids):
            raise ValueError("two streams have the same id")
        return streams


def explain(error: ValidationError) -> str:
    """Names of keys and what is wrong with them; never the values, which may be secrets."""
    return "; ".join(
        f"{name + ': ' if name else ''}{each['msg'].removeprefix('Value error, ')}"
        for each in error.errors(include_url=False, include_input=False)
        for name in [".".join(str(part) for part in each["loc"])]
    )
