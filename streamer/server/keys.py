"""What handlers find in the application and on a request, typed."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from streamer.access.book import TokenBook
from streamer.access.session_file import SessionFile
from streamer.certificates import Authority
from streamer.config import (
    AnySource,
    LimitsConfig,
    OverlayConfig,
    PoseConfig,
    PrivacyConfig,
    VideoConfig,
)
from streamer.heartbeat import Heartbeat
from streamer.images.service import Images
from streamer.server.outside import Outside
from streamer.sources.discovery import FoundCamera
from streamer.sources.onvif import CameraStream, Login
from streamer.streams import Streams
from streamer.webrtc.peers import Peers

if TYPE_CHECKING:
    from streamer.server.health import Check


async def _nothing() -> None: ...


@dataclass(slots=True)
class Services:
    """All that the HTTP edge may use of the rest.

    ``probe``: what a camera is (JSON), or one of our errors. ``check_source``: raises InvalidRequest
    or SourceForbidden for one that the configuration rules out. ``devices``: the USB cameras of this
    machine; raises TimeoutError; ``find_cameras``: those of its network; ``ask_camera``: the streams of the
    one at an address. ``images``: analyses pictures; ``model``: where the model of a ``model_complexity``
    lies; raises ModelError when it was not there when ``look_for_models`` last looked. ``ready``: it takes
    work; ``draining``: it never will again. ``checks``: what else it needs to take work. ``connections``:
    how many are open; ``connections_ended``: how many the limits ended, by why. ``state_folder``: where it
    keeps what it remembers.
    ``certificate_until``: when the server's certificate runs out, Unix seconds; not for the event loop.
    ``tokens``: the access tokens that there are; none by default. ``session_file``: by which browsers stay
    signed in over a restart; None: they don't.
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
    draining: bool = False
    checks: "Sequence[Check]" = ()
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    connections: Callable[[], int] = lambda: 0
    connections_ended: Callable[[], Mapping[str, int]] = dict[str, int]
    state_folder: Path | None = None
    certificate_until: Callable[[], float | None] = lambda: None
    max_picture_readers: int = 64
    tokens: TokenBook = field(default_factory=TokenBook)
    session_file: SessionFile | None = None
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    look_for_models: Callable[[], Awaitable[None]] = _nothing

    @property
    def storage_ok(self) -> bool:
        """Whether what should be remembered over a restart is."""
        return self.streams.storage_ok


SERVICES = web.AppKey("services", Services)
REQUEST_ID = web.RequestKey("request_id", str)
PROBLEM = web.RequestKey("problem", str)
"""The kind of the problem that it was refused with."""

ANSWER_BEGUN = web.RequestKey("answer_begun", bool)
OUTSIDE = web.RequestKey("outside", Outside)
