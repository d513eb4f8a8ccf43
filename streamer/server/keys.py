"""What handlers find in the application and on a request, typed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from streamer.access.book import TokenBook
from streamer.certificates import Authority
from streamer.config import AnySource, OverlayConfig, PoseConfig, PrivacyConfig, VideoConfig
from streamer.images.service import Images
from streamer.server.outside import Outside
from streamer.sources.discovery import FoundCamera
from streamer.sources.onvif import CameraStream, Login
from streamer.streams import Streams
from streamer.webrtc.peers import Peers


@dataclass(slots=True)
class Services:
    """All that the HTTP edge may use of the rest.

    ``probe``: what a camera is (JSON), or one of our errors. ``check_source``: raises InvalidRequest
    or SourceForbidden for one that the configuration rules out. ``devices``: the USB cameras of this
    machine; ``find_cameras``: those of its network; ``ask_camera``: the streams of the one at an address.
    ``images``: analyses pictures; ``model``: where the model of a ``model_complexity`` lies; raises
    ModelError when it is not there. ``tokens``: the access tokens that there are; none by default.
    """

    streams: Streams
    peers: Peers
    probe: Callable[[AnySource], Awaitable[dict[str, Any]]]
    check_source: Callable[[AnySource], Awaitable[None]]
    devices: Callable[[], Awaitable[list[dict[str, str]]]]
    find_cameras: Callable[[], Awaitable[list[FoundCamera]]]
    ask_camera: Callable[[str, Login], Awaitable[list[CameraStream]]]
    images: Images
    model: Callable[[int], Path]
    pose: PoseConfig
    video: VideoConfig
    authority: Authority | None = None  # of the server's own certificate
    overlay: OverlayConfig = field(default_factory=OverlayConfig)
    privacy: PrivacyConfig = field(default_factory=PrivacyConfig)
    ready: bool = False
    max_picture_readers: int = 64
    tokens: TokenBook = field(default_factory=TokenBook)


SERVICES = web.AppKey("services", Services)
REQUEST_ID = web.RequestKey("request_id", str)
ANSWER_BEGUN = web.RequestKey("answer_begun", bool)
OUTSIDE = web.RequestKey("outside", Outside)
