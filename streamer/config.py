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

_PREFIX = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*")

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


def is_prefix(path: str) -> bool:
    """Whether it can stand before every path of the server: empty, or as `/pose`."""
    return _PREFIX.fullmatch(path) is not None


def _checked_networks(networks: list[str]) -> list[str]:
    for network in networks:
        ipaddress.ip_network(network)
    return networks


class ServerConfig(Section):
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    token: str = ""
    insecure_lan: bool = False
    allowed_hosts: list[str] = []
    base_path: str = ""
    trusted_proxies: list[str] = []
    tls: Literal["", "auto"] = ""
    tls_cert: str = ""
    tls_key: str = ""
    http_port: int = Field(default=0, ge=0, le=65535)
    max_streams: int = Field(default=16, ge=1)
    state_file: str = ""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("token")
    @classmethod
    def _token_is_long_enough(cls, token: str) -> str:
        if token and len(token) < 16:
            raise ValueError("an access token needs at least 16 characters")
        return token

    @field_validator("base_path")
    @classmethod
    def _base_path_is_a_path(cls, path: str) -> str:
        if not is_prefix(path):
            raise ValueError("write it as /pose: a slash before each part, none at the end")
        return path

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, networks: list[str]) -> list[str]:
        return _checked_networks(networks)

    @model_validator(mode="after")
    def _tls_has_both_halves(self) -> "ServerConfig":
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("tls_cert and tls_key belong together: set both or neither")
        if self.tls and self.tls_cert:
            raise ValueError("tls makes a certificate of its own: leave tls_cert and tls_key out")
        if self.http_port and not self.speaks_https:
            raise ValueError("http_port is for a server that speaks https: set tls, too")
        if self.http_port and self.http_port == self.port:
            raise ValueError("http_port must be another port than port")
        return self

    @property
    def speaks_https(self) -> bool:
        return bool(self.tls or self.tls_cert)


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
        return _checked_networks(networks)


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
