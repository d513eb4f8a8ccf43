"""What handlers find in the application and on a request, typed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from streamer.config import IceServer, PoseConfig, RtspSource, VideoConfig
from streamer.images.service import Images
from streamer.streams import Streams
from streamer.webrtc.peers import Peers


@dataclass(slots=True)
class Services:
    """All that the HTTP edge may use of the rest.

    ``probe``: what a camera is (JSON), or one of our errors. ``check_address``: raises InvalidRequest
    or SourceForbidden for an address that the configuration rules out. ``images``: analyses pictures;
    ``model``: where the model of a ``model_complexity`` lies; raises ModelError when it is not there.
    """

    streams: Streams
    peers: Peers
    probe: Callable[[RtspSource], Awaitable[dict[str, Any]]]
    check_address: Callable[[RtspSource], Awaitable[None]]
    images: Images
    model: Callable[[int], Path]
    pose: PoseConfig
    video: VideoConfig
    ice_servers: list[IceServer]
    ready: bool = False


SERVICES = web.AppKey("services", Services)
REQUEST_ID = web.RequestKey("request_id", str)
