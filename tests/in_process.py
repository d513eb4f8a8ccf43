"""The service in the test's own process, over fakes or the real estimator, and a peer to talk to it."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from streamer.access.book import TokenBook
from streamer.access.session_file import SessionFile
from streamer.aio import cancel_and_wait
from streamer.app import camera_source
from streamer.config import (
    AnySource,
    Config,
    ImagesConfig,
    LimitsConfig,
    OutputConfig,
    PoseConfig,
    PrivacyConfig,
    ServerConfig,
    VideoConfig,
    WebRtcConfig,
)
from streamer.errors import SourceUnreachable
from streamer.images.service import Images
from streamer.model import Frame
from streamer.outputs.output import Output
from streamer.overlay import SkeletonPainter
from streamer.ports import CameraSource, EstimatorFactory
from streamer.pose.models import find_model
from streamer.retry import RetryPolicy
from streamer.server.application import make_application
from streamer.server.keys import SERVICES, Services
from streamer.session import Session
from streamer.sources.discovery import CameraFinder
from streamer.sources.onvif import OnvifAsker
from streamer.sources.probe import probe
from streamer.sources.usb import list_devices
from streamer.state import StateFile
from streamer.stream import StreamOptions, Workshop
from streamer.streams import Streams
from streamer.webrtc.peers import Peers
from tests.fakes import PATIENCE_S, FakeEstimators, FakeSource, make_frame
from tests.rigs import secrets

Http = TestClient[Request, Application]
SDP = {"Content-Type": "application/sdp"}


class Service:
    """All parts of the service but the cameras, which are fakes unless ``real_cameras`` says otherwise."""

    def __init__(
        self,
        folder: Path,
        *,
        server: ServerConfig | None = None,
        webrtc: WebRtcConfig | None = None,
        estimator: EstimatorFactory | None = None,
        check_models: Callable[[PoseConfig], None] = lambda pose: None,
        video: VideoConfig | None = None,
        config: Config | None = None,
        images: ImagesConfig | None = None,
        privacy: PrivacyConfig | None = None,
        limits: LimitsConfig | None = None,
        tokens: TokenBook | None = None,
        session_file: SessionFile | None = None,
        real_cameras: bool = False,
    ) -> None:
        self.cameras: list[FakeSource] = []
        self.estimators = FakeEstimators()
        self.server_config = server or ServerConfig()
        self._folder = folder
        self._config = config = config or Config()
        self._real_cameras = real_cameras
        webrtc, video = webrtc or WebRtcConfig(), video or VideoConfig()
        workshop = Workshop(
            camera_source=self._camera,
            check_models=check_models,
            estimator=estimator or self.estimators,
            painter=SkeletonPainter,
            retry=RetryPolicy(),
            output=self._output,
        )
        limits = limits or LimitsConfig(max_fps=1000.0)  # fakes are quicker than any camera
        state = StateFile(folder / "streams.json", limits.min_free_bytes)
        self.streams = Streams(
            workshop,
            StreamOptions(PoseConfig(), video, privacy=privacy or PrivacyConfig()),
            self.server_config.max_streams,
            state,
            limits,
        )
        self.peers = Peers(webrtc, self.streams, limits=limits)
        self.images = Images(images or ImagesConfig())
        self.services = Services(
            streams=self.streams,
            peers=self.peers,
            probe=self._probe,
            check_source=lambda source: camera_source(source, config).check(),
            devices=self._devices,
            find_cameras=CameraFinder(config.onvif, config.rtsp.allowed_networks).find,
            ask_camera=OnvifAsker(config.onvif, config.rtsp.allowed_networks).streams,
            images=self.images,
            model=find_model,
            pose=PoseConfig(),
            video=video,
            privacy=privacy or PrivacyConfig(),
            ready=True,
            max_picture_readers=self.server_config.max_picture_readers,
            limits=limits,
            tokens=tokens or TokenBook(config_token=self.server_config.token),
            session_file=session_file,
        )

    def _camera(self, source: AnySource) -> CameraSource:
        if self._real_cameras:
            return camera_source(source, self._config)
        fake = FakeSource()
        fake.shown = camera_source(source, self._config).shown
        self.cameras.append(fake)
        return fake

    def _output(
        self, session: Session, config: OutputConfig, limits: Callable[[], VideoConfig]
    ) -> Output:
        return Output(session, config, self._config.rtsp, RetryPolicy(), limits)

    async def _probe(self, source: AnySource) -> dict[str, Any]:
        if self._real_cameras:
            return asdict(await probe(camera_source(source, self._config)))
        raise SourceUnreachable(f"nothing answers at {camera_source(source, self._config).shown}")

    async def _devices(self) -> list[dict[str, str]]:
        return await asyncio.to_thread(list_devices, self._folder / "sys")

    async def close(self) -> None:
        await self.images.close()
        await self.peers.close()
        await self.streams.close()


@contextlib.asynccontextmanager
async def serving(service: Service) -> AsyncIterator[Http]:
    """The service on a port of 127.0.0.1, and a client that is not a browser: it sends no Origin."""
    app = make_application(service.server_config, service.services)
    async with TestClient(
        TestServer(app), cookie_jar=aiohttp.DummyCookieJar(), trace_configs=[_looking_for_secrets()]
    ) as http:
        try:
            yield http
        finally:
            await service.close()


def limit(http: Http, **changed: float) -> None:
    """Other [limits] from here on, for what reads them anew each time."""
    services = http.server.app[SERVICES]  # type: ignore[attr-defined]
    services.limits = services.limits.model_copy(update=changed)


def _looking_for_secrets() -> aiohttp.TraceConfig:
    """At every answer, its headers too."""
    trace = aiohttp.TraceConfig()

    async def on_chunk(
        _: object, __: object, seen: aiohttp.TraceResponseChunkReceivedParams
    ) -> None:
        secrets.look(seen.chunk, f"{seen.method} {seen.url.path}")

    async def on_end(_: object, __: object, seen: aiohttp.TraceRequestEndParams) -> None:
        headers = "\n".join(f"{name}: {value}" for name, value in seen.response.headers.items())
        secrets.look(headers, f"headers of {seen.method} {seen.url.path}")

    trace.on_response_chunk_received.append(on_chunk)
    trace.on_request_end.append(on_end)
    return trace


def has_connection(http: Http, address: tuple[str, int]) -> bool:
    """Whether the server holds a connection of this client open."""
    handler: Any = http.server.handler
    transports = [each.transport for each in handler.connections]
    return any(each and each.get_extra_info("peername") == address for each in transports)


class Camera(VideoStreamTrack):
    """Plays frames at 30 fps, again and again; without any, small grey ones."""

    def __init__(self, frames: Sequence[Frame] = ()) -> None:
        super().__init__()
        self._frames = itertools.cycle(frames or [make_frame(width=160, height=120)])

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        picture = VideoFrame.from_ndarray(next(self._frames).i420, format="yuv420p")
        picture.pts, picture.time_base = pts, Fraction(time_base)
        return picture


async def close_code(websocket: aiohttp.ClientWebSocketResponse) -> int:
    """With which the server closes, after whatever it says before. The connection's own code may be another:
    of who could not answer before it was cut."""
    async with asyncio.timeout(PATIENCE_S):
        while (message := await websocket.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
    assert message.type is aiohttp.WSMsgType.CLOSE
    code: int = message.data
    return code


class WebcamPeer:
    """What the webcam page is, in plain aiortc: a camera up, video and messages back."""

    def __init__(self, camera: VideoStreamTrack | None = None) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connection.addTransceiver(camera or Camera(), direction="sendrecv")
        channel = self.connection.createDataChannel("landmarks", ordered=False, maxRetransmits=0)
        channel.on("message", self._on_message)
        self.connection.on("track", self._on_track)
        self.messages: list[dict[str, Any]] = []
        self.frames = 0
        self.frame_times: list[int] = []  # media time since the first one, 90 kHz ticks
        self.location = ""
        self.stream_id = ""
        self.news = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def join(self, http: Http | aiohttp.ClientSession, url: str = "/webcam") -> None:
        async with http.post(url, data=await self.offer(), headers=SDP) as response:
            answer = await response.text()
            assert response.status == 201, answer
            self.location = response.headers["Location"]
            self.stream_id = response.headers["X-Stream-Id"]
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def plays(self, frames: int = 3, poses: int = 3) -> None:
        """Waits until so much has come back."""
        async with asyncio.timeout(2 * PATIENCE_S):
            while self.frames < frames or len(self.poses) < poses:
                self.news.clear()
                await self.news.wait()

    @property
    def poses(self) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == "pose"]

    def fall_silent(self) -> None:
        """Sends nothing more, not even a farewell: what a pulled cable looks like to the server."""

        async def swallow(data: bytes, address: object) -> None: ...

        dtls: Any = self.connection.getTransceivers()[0].receiver.transport
        for protocol in dtls.transport._connection._protocols:
            protocol.send_data = swallow
            protocol.send_stun = lambda message, address: None

    async def close(self) -> None:
        await cancel_and_wait(
            self._reader
        )  # aiortc ends no track whose connection never came to be
        await self.connection.close()

    def _on_message(self, text: str) -> None:
        self.messages.append(json.loads(text))
        self.news.set()

    def _on_track(self, track: VideoStreamTrack) -> None:
        self._reader = asyncio.create_task(self._read(track), name="webcam-peer-reader")

    async def _read(self, track: VideoStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                self.frames += 1
                self.frame_times.append(frame.pts or 0)
                self.news.set()
