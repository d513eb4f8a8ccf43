"""The configuration: what it may hold. Each part of the program gets its own section, never the whole.

``settings.py`` puts it together.
"""

import ipaddress
import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

StreamId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
ICE_URL = re.compile(
    r"(?P<scheme>stuns?|turns?):(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?"
    r"(\?transport=(?P<transport>udp|tcp))?"
)
"""RFC 7064, section 3.1 (STUN, which has no transport), and RFC 7065, section 3.1."""

_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_PORT_RANGE = re.compile(r"(\d{4,5})-(\d{4,5})")

_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
"""RFC 6454, section 6.2, as browsers write it."""

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
    allowed_origins: list[str] = []
    base_path: str = ""
    trusted_proxies: list[str] = []
    tls: Literal["", "auto"] = ""
    tls_cert: str = ""
    tls_key: str = ""
    http_port: int = Field(default=0, ge=0, le=65535)
    max_streams: int = Field(default=16, ge=1)
    max_readers: int = Field(default=256, ge=1)
    max_picture_readers: int = Field(default=64, ge=1)
    state_file: str = ""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("token")
    @classmethod
    def _token_is_long_enough(cls, token: str) -> str:
        if token and len(token) < 16:
            raise ValueError("an access token needs at least 16 characters")
        return token

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, origins: list[str]) -> list[str]:
        if not all(_ORIGIN.fullmatch(origin) for origin in origins):
            raise ValueError(
                "write an origin as http://host:port, in small letters, without a path"
            )
        return origins

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


_Words = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$")]  # they travel in HTTP headers


class IceServer(Section):
    """As W3C's RTCIceServer. With ``secret``, shared with the TURN server, each peer gets credentials of
    its own that expire ``lifetime_s`` later; ``username`` is then a mere name in them."""

    urls: list[str] = Field(min_length=1)
    username: _Words = ""
    credential: _Words = ""
    secret: str = ""
    lifetime_s: int = Field(default=86_400, ge=60)

    @field_validator("urls")
    @classmethod
    def _are_stun_or_turn(cls, urls: list[str]) -> list[str]:
        for url in urls:
            found = ICE_URL.fullmatch(url)
            if not found or (found["transport"] and found["scheme"].startswith("stun")):
                raise ValueError(
                    "give an address as stun:host:3478 or turn:host:3478?transport=udp"
                )
        return urls

    @model_validator(mode="after")
    def _turn_has_credentials(self) -> "IceServer":
        if self.secret and self.credential:
            raise ValueError(
                "secret and credential exclude each other: give the one of your server"
            )
        has_login = bool(self.secret or (self.username and self.credential))
        if self.has_turn and not has_login:  # no browser takes it
            raise ValueError("a turn: address needs a secret, or a username and a credential")
        return self

    @property
    def has_turn(self) -> bool:
        return any(url.startswith("turn") for url in self.urls)


class WebRtcConfig(Section):
    """``udp_ports``: first and last, "" is any. ``advertise``: addresses and names that stand in answers in
    the place of the machine's own. ``addresses``: networks of the machine's own to use, [] is all."""

    ice_servers: list[IceServer] = []
    ice_transport_policy: Literal["all", "relay"] = "all"
    udp_ports: str = ""
    advertise: list[str] = []
    addresses: list[str] = []
    max_peers: int = Field(default=128, ge=1)
    connect_timeout_s: float = Field(default=15.0, gt=0)
    resume_timeout_s: float = Field(default=10.0, ge=0)

    @field_validator("udp_ports")
    @classmethod
    def _is_a_range(cls, text: str) -> str:
        found = _PORT_RANGE.fullmatch(text)
        if text and not (found and 1024 <= int(found[1]) <= int(found[2]) <= 65535):
            raise ValueError("give the first and the last port, of 1024 to 65535, as 20000-20100")
        return text

    @field_validator("advertise")
    @classmethod
    def _are_reachable(cls, places: list[str]) -> list[str]:
        for place in places:
            if not _is_place(place):
                raise ValueError(
                    "give addresses or names of this machine, as 203.0.113.7 or pose.lan"
                )
        return places

    @field_validator("addresses")
    @classmethod
    def _are_networks(cls, networks: list[str]) -> list[str]:
        for network in networks:
            ipaddress.ip_network(network)
        return networks

    @model_validator(mode="after")
    def _relay_has_a_server(self) -> "WebRtcConfig":
        if self.ice_transport_policy == "relay" and not any(s.has_turn for s in self.ice_servers):
            raise ValueError('ice_transport_policy "relay" needs a turn: address in ice_servers')
        return self

    @property
    def port_range(self) -> range | None:
        found = _PORT_RANGE.fullmatch(self.udp_ports)
        return range(int(found[1]), int(found[2]) + 1) if found else None


def _is_place(text: str) -> bool:
    """An address that packets can be sent to, or a name."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        is_number = text.replace(".", "").isdigit()  # an address with a mistake in it
        return _HOST_NAME.fullmatch(text) is not None and not is_number
    return not (address.is_unspecified or address.is_multicast or address.is_link_local)


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


class OverlayConfig(Section):
    """What is drawn of each pose on the annotated picture. Lines are as wide as suits the picture."""

    style: Literal["skeleton", "landmarks", "none"] = "skeleton"
    side_colours: bool = True


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
        return _checked_networks(networks)


class RtspSource(Section):
    """A camera. Credentials may stand in the URL or beside it; they are never shown again."""

    type: Literal["rtsp"] = "rtsp"
    url: str = Field(max_length=2048)
    username: str = ""
    password: str = ""
    transport: Literal["tcp", "udp"] | None = None


class OutputConfig(Section):
    """Where a stream's video is published: the address of an RTSP server, with credentials if it wants
    any; they are never shown again. The address alone will do."""

    url: str = Field(max_length=2048)
    video: Literal["annotated", "plain"] = "annotated"

    @model_validator(mode="before")
    @classmethod
    def _from_address(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value


class FileSource(Section):
    """A file of the server, played as if it were a camera.

    ``path``: in one of the folders of ``[files]``, relative to it or absolute.
    """

    type: Literal["file"] = "file"
    path: str = Field(min_length=1, max_length=1024, pattern=r"^[^\x00]*$")
    loop: bool = True


class UsbSource(Section):
    """A camera that is plugged into the server. What is left out, the camera chooses.

    ``format``: how it is to send its pictures, in FFmpeg's names.
    """

    type: Literal["usb"] = "usb"
    device: str = Field(
        pattern=r"^/dev/(video[0-9]{1,3}|v4l/by-id/[A-Za-z0-9_][A-Za-z0-9_.:+-]{0,199})$"
    )
    size: str | None = Field(default=None, pattern=r"^[1-9][0-9]{1,3}x[1-9][0-9]{1,3}$")
    fps: float | None = Field(default=None, gt=0, le=240)
    format: Literal["mjpeg", "yuyv422", "h264", "nv12", "yuv420p"] | None = None


def _rtsp_by_default(source: Any) -> Any:
    """Once there was no other, and a source did not need to say what it is."""
    return {"type": "rtsp", **source} if isinstance(source, dict) else source


AnySource = Annotated[
    RtspSource | FileSource | UsbSource,
    Field(discriminator="type"),
    BeforeValidator(_rtsp_by_default),
]

SOURCES: dict[str, type[Section]] = {"rtsp": RtspSource, "file": FileSource, "usb": UsbSource}
"""By their ``type``."""


class FilesConfig(Section):
    """Which files of the server may be played as streams: those in these folders, and no others."""

    folders: list[str] = []

    @field_validator("folders")
    @classmethod
    def _are_absolute(cls, folders: list[str]) -> list[str]:
        if not all(PurePath(folder).is_absolute() for folder in folders):
            raise ValueError("give each folder's whole path, from / on")
        return folders


class OnvifConfig(Section):
    """How cameras are found and asked. ``interfaces``: addresses of this machine from which it searches,
    all of them if there is none."""

    search_s: float = Field(default=3.0, gt=0, le=30)
    timeout_s: float = Field(default=10.0, gt=0)
    interfaces: list[str] = []

    @field_validator("interfaces")
    @classmethod
    def _are_addresses(cls, interfaces: list[str]) -> list[str]:
        for address in interfaces:
            ipaddress.IPv4Address(address)
        return interfaces


class StreamConfig(Section):
    id: StreamId
    source: AnySource
    pose: PoseConfig | None = None
    video: VideoConfig | None = None
    overlay: OverlayConfig | None = None
    output: OutputConfig | None = None
    listed: bool = True


class Config(Section):
    server: ServerConfig = ServerConfig()
    pose: PoseConfig = PoseConfig()
    video: VideoConfig = VideoConfig()
    overlay: OverlayConfig = OverlayConfig()
    images: ImagesConfig = ImagesConfig()
    webrtc: WebRtcConfig = WebRtcConfig()
    rtsp: RtspConfig = RtspConfig()
    files: FilesConfig = FilesConfig()
    onvif: OnvifConfig = OnvifConfig()
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
        for name in [key_of(each["loc"])]
    )


def key_of(place: Sequence[int | str]) -> str:
    """An error's place as a person writes it: pydantic puts a source's type behind ``source``."""
    parts = [str(part) for part in place]
    return ".".join(
        part
        for before, part in zip(["", *parts], parts, strict=False)
        if not (before == "source" and part in SOURCES)
    )
