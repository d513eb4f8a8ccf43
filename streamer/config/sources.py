"""[rtsp], [files], [onvif], and where a stream comes from and goes to."""

import ipaddress
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from streamer.config.section import Networks, Section


class RtspConfig(Section):
    transport: Literal["tcp", "udp"] = "tcp"
    open_timeout_s: float = Field(default=5.0, gt=0)
    read_timeout_s: float = Field(default=5.0, gt=0)
    retry_cap_s: float = Field(default=3.0, gt=0)
    rejected_retry_s: float = Field(default=300.0, gt=0)
    allowed_networks: Networks = [
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
    ]


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


class RtspSource(Section):
    """A camera. Credentials may stand in the URL or beside it; they are never shown again."""

    type: Literal["rtsp"] = "rtsp"
    url: str = Field(max_length=2048)
    username: str = ""
    password: str = ""
    transport: Literal["tcp", "udp"] | None = None


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


class OutputConfig(Section):
    """Where a stream's video is published: the address of an RTSP server, with credentials if it wants
    any; they are never shown again. The address alone will do."""

    url: str = Field(max_length=2048)
    video: Literal["annotated", "plain"] = "annotated"

    @model_validator(mode="before")
    @classmethod
    def _from_address(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value
