"""What a camera says of itself over ONVIF: its video streams and their RTSP addresses.

Whatever a camera answers may be hostile: nothing but its own address is contacted, no redirect is
followed, no DTD is read, nothing large is kept, no name but its own is looked up, and its RTSP addresses
must be where cameras may be.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from streamer.aio import in_daemon_thread
from streamer.config import OnvifConfig, RtspSource
from streamer.errors import InvalidRequest, LimitReached, SourceForbidden, SourceUnusable
from streamer.sources.address import (
    CameraUrl,
    IpAddress,
    check_allowed,
    parse_rtsp_url,
    plain_address,
    resolve,
)

MAX_ASKING = 4
"""Cameras that are asked at a time."""

_DEVICE_PATH = "/onvif/device_service"
"""Where every ONVIF device answers (ONVIF Core Specification, section 5.1.1)."""

_ADDRESS = re.compile(r"[!-~]{1,512}")


@dataclass(frozen=True, slots=True)
class Login:
    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class CameraStream:
    """One of a camera's profiles. ``url`` is without user and password. What the camera does not tell is
    None."""

    name: str
    url: str
    codec: str | None
    width: int | None
    height: int | None
    fps: float | None


def parse_address(text: str) -> CameraUrl:
    """``192.168.1.20``, ``camera.lan:8080`` or an xaddr, ``http://192.168.1.20/onvif/device_service``.

    Raises InvalidRequest.
    """
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = None, None
    if (
        parts is None
        or not _ADDRESS.fullmatch(text)
        or parts.scheme not in ("http", "https")
        or not parts.hostname
        or "@" in parts.netloc
        or port == 0
    ):
        raise InvalidRequest(
            "this is no camera's address: give its IP address, or http://192.168.1.20/onvif/device_service"
        )
    path = parts.path if parts.path not in ("", "/") else _DEVICE_PATH
    query = f"?{parts.query}" if parts.query else ""
    default = 443 if parts.scheme == "https" else 80
    return CameraUrl(parts.scheme, parts.hostname, port or default, path + query)


class OnvifAsker:
    """Asks cameras for their streams, each in a thread with a loop of its own: their XML is slow to read,
    and the libraries for it are slow to load, which nobody pays for who does not ask."""

    def __init__(self, config: OnvifConfig, allowed_networks: Sequence[str]) -> None:
        self._config = config
        self._allowed_networks = allowed_networks
        self._asking = 0

    async def streams(self, address: str, login: Login) -> list[CameraStream]:
        """Raises InvalidRequest, LimitReached, SourceForbidden, SourceRejected or a SourceError."""
        door = parse_address(address)
        addresses = await resolve(door, self._allowed_networks, self._config.timeout_s)
        if self._asking >= MAX_ASKING:
            raise LimitReached("Other cameras are being asked; try again in a moment.")
        asking = asyncio.wrap_future(
            in_daemon_thread("onvif", lambda: _talk(door, addresses, login, self._config.timeout_s))
        )
        self._asking += 1
        asking.add_done_callback(self._answered)
        found = await asyncio.shield(asking)  # who leaves does not end the thread: it still counts
        return [replace(stream, url=self._checked(stream.url, door)) for stream in found]

    def _answered(self, asking: "asyncio.Future[list[CameraStream]]") -> None:
        self._asking -= 1
        if not asking.cancelled():
            asking.exception()  # seen, even if nobody waits any more

    def _checked(self, uri: str, door: CameraUrl) -> str:
        """The camera's word for where its video is, without credentials: under its own name or an address.
        Each other name would be a look-up, in which a hostile camera keeps us waiting."""
        try:
            url = parse_rtsp_url(RtspSource(url=uri[:2048]))
        except InvalidRequest as error:
            raise SourceUnusable("the camera names no RTSP address for its video") from error
        if url.host != door.host:
            self._check_elsewhere(url.host)
        return f"{url.scheme}://{url.place}{url.path}"

    def _check_elsewhere(self, host: str) -> None:
        try:
            check_allowed([plain_address(host)], self._allowed_networks)
        except ValueError:
            raise SourceForbidden(
                f"the camera says that its video is at {host}: if that is right, add the stream by its "
                "RTSP address"
            ) from None
        except SourceForbidden as error:
            raise SourceForbidden(
                f"the camera says that its video is elsewhere: {error}"
            ) from error


def _talk(
    door: CameraUrl, addresses: Sequence[IpAddress], login: Login, timeout_s: float
) -> list[CameraStream]:
    from streamer.sources.onvif_talk import Talk

    return asyncio.run(Talk(door, addresses, login, timeout_s).run())
