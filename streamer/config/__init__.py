"""The configuration: what it may hold. Each part of the program gets its own section, never the whole.

``settings.py`` puts it together.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, ValidationError, field_validator

from streamer.config.limits import LimitsConfig
from streamer.config.media import (
    MAX_BITRATE,
    MAX_POSES,
    Idle,
    ImagesConfig,
    OverlayConfig,
    PoseConfig,
    PrivacyConfig,
    PrivacyMode,
    Rotation,
    VideoConfig,
)
from streamer.config.section import Section, Share
from streamer.config.server import ServerConfig, is_prefix
from streamer.config.sources import (
    SOURCES,
    AnySource,
    FilesConfig,
    FileSource,
    OnvifConfig,
    OutputConfig,
    RtspConfig,
    RtspSource,
    UsbSource,
)
from streamer.config.webrtc import ICE_URL, IceServer, WebRtcConfig
from streamer.config.workers import WorkersConfig

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = [
    "AnySource",
    "Config",
    "FileSource",
    "FilesConfig",
    "ICE_URL",
    "IceServer",
    "Idle",
    "ImagesConfig",
    "LimitsConfig",
    "MAX_BITRATE",
    "MAX_POSES",
    "OnvifConfig",
    "OutputConfig",
    "OverlayConfig",
    "PoseConfig",
    "PrivacyConfig",
    "PrivacyMode",
    "Rotation",
    "RtspConfig",
    "RtspSource",
    "SOURCES",
    "Section",
    "ServerConfig",
    "Share",
    "StreamConfig",
    "StreamId",
    "UsbSource",
    "VideoConfig",
    "WebRtcConfig",
    "WorkersConfig",
    "explain",
    "fault_of",
    "is_prefix",
    "key_of",
]

StreamId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]


class StreamConfig(Section):
    id: StreamId
    source: AnySource
    pose: PoseConfig | None = None
    video: VideoConfig | None = None
    overlay: OverlayConfig | None = None
    privacy: PrivacyConfig | None = None
    output: OutputConfig | None = None
    listed: bool = True


class Config(Section):
    server: ServerConfig = ServerConfig()
    pose: PoseConfig = PoseConfig()
    video: VideoConfig = VideoConfig()
    overlay: OverlayConfig = OverlayConfig()
    privacy: PrivacyConfig = PrivacyConfig()
    images: ImagesConfig = ImagesConfig()
    webrtc: WebRtcConfig = WebRtcConfig()
    rtsp: RtspConfig = RtspConfig()
    files: FilesConfig = FilesConfig()
    onvif: OnvifConfig = OnvifConfig()
    limits: LimitsConfig = LimitsConfig()
    workers: WorkersConfig = WorkersConfig()
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
        f"{name + ': ' if name else ''}{fault_of(each)}"
        for each in error.errors(include_url=False, include_input=False)
        for name in [key_of(each["loc"])]
    )


def fault_of(problem: "ErrorDetails") -> str:
    """What is wrong, in words; pydantic's own repeat the value where a ``type`` is unknown."""
    if problem["type"] == "union_tag_invalid":
        return f"its type should be one of {problem['ctx']['expected_tags']}"
    return problem["msg"].removeprefix("Value error, ")


def key_of(place: Sequence[int | str]) -> str:
    """An error's place as a person writes it: pydantic puts a source's type behind ``source``."""
    parts = [str(part) for part in place]
    return ".".join(
        part
        for before, part in zip(["", *parts], parts, strict=False)
        if not (before == "source" and part in SOURCES)
    )
