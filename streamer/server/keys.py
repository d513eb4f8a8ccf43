"""What handlers find in the application and on a request, typed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from streamer.certificates import Authority
from streamer.config import IceServer, PoseConfig, RtspSource, VideoConfig
from streamer.server.outside import Outside
from streamer.streams import Streams
from streamer.webrtc.peers import Peers


@dataclass(slots=True)
class Services:
    """All that the HTTP edge may use of the rest.

    ``probe``: what a camera is (JSON), or one of our errors. ``check_address``: raises InvalidRequest
    or SourceForbidden for an address that the configuration rules out.
    """

    streams: Streams
    peers: Peers
    probe: Callable[[RtspSource], Awaitable[dict[str, Any]]]
    check_address: Callable[[RtspSource], Awaitable[None]]
    pose: PoseConfig
    video: VideoConfig
    ice_servers: list[IceServer]
    authority: Authority | None = None  # of the server's own certificate
    ready: bool = False


SERVICES = web.AppKey("services", Services)
REQUEST_ID = web.RequestKey("request_id", str)
OUTSIDE = web.RequestKey("outside", Outside)
