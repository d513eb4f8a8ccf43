"""The composition root: the only place that chooses concrete classes, and the life of the service."""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aiohttp import web

from streamer.config import AnySource, Config, FileSource, PoseConfig, ServerConfig, UsbSource
from streamer.errors import ConfigError, LimitReached
from streamer.images.service import Images
from streamer.isolation import lives
from streamer.outputs.output import Output
from streamer.overlay import SkeletonPainter
from streamer.ports import Estimator
from streamer.pose.live import LiveEstimator
from streamer.pose.models import find_model
from streamer.retry import RetryPolicy
from streamer.server.application import make_application
from streamer.server.guard import is_exposed
from streamer.server.https import listening, open_https
from streamer.server.keys import Services
from streamer.sources.address import listening_on
from streamer.sources.discovery import CameraFinder
from streamer.sources.file import FileCamera
from streamer.sources.onvif import OnvifAsker
from streamer.sources.probe import Camera, probe
from streamer.sources.rtsp import RtspCamera
from streamer.sources.usb import UsbCamera, list_devices
from streamer.state import StateFile, default_state_file
from streamer.streams import Streams, Workshop
from streamer.webrtc.peers import Peers

logger = logging.getLogger(__name__)

SHUTDOWN_TIMEOUT_S = 2.5
"""For a request that is still under way. aiohttp waits so long for it twice: until it lets it fail, and
until it cancels it. Readers are told before (``slow_readers.Writes.hurry``)."""

EXECUTOR_THREADS = 16
"""For short work and for waiting until threads have ended: more than asyncio's default, six on two cores,
of which a few that take long would hold up everybody."""

MAX_PROBES = 4
"""At a time: each decodes a camera's video for some seconds."""


async def serve(config: Config) -> None:
    """Serves until SIGINT or SIGTERM. Raises ConfigError or ModelError when it can't start."""
    _check_exposure(config.server)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(EXECUTOR_THREADS, thread_name_prefix="worker"))
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: KeyboardInterrupt does it
            loop.add_signal_handler(number, stop.set)
    # The port first: a second server must not open the cameras or write the state file of the first.
    async with contextlib.AsyncExitStack() as stack:
        listener = stack.enter_context(_listener(config.server, config.server.port))
        http_port = config.server.http_port
        plain = stack.enter_context(_listener(config.server, http_port)) if http_port else None
        stack.enter_context(listening_on(*_ports(listener, plain)))
        https = await open_https(config.server, _state_path(config.server).parent / "tls")
        services = await stack.enter_async_context(_services(config))
        services.authority = https.authority if https else None
        app = make_application(config.server, services)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await stack.enter_async_context(listening(runner, listener, https))
        if plain is not None:
            await stack.enter_async_context(listening(runner, plain, None))
        _announce(listener, secure=https is not None)
        await stop.wait()
        services.ready = False


@contextlib.asynccontextmanager
async def _services(config: Config) -> AsyncIterator[Services]:
    retry = RetryPolicy(cap_s=config.rtsp.retry_cap_s, rejected_s=config.rtsp.rejected_retry_s)
    workshop = Workshop(
        camera_source=lambda source: camera_source(source, config),
        check_models=check_models,
        estimator=make_estimator,
        painter=SkeletonPainter,
        retry=retry,
        output=lambda session, output, limits: Output(session, output, config.rtsp, retry, limits),
    )
    await asyncio.gather(
        asyncio.to_thread(_try_estimator, config.pose), asyncio.to_thread(lives.prepare)
    )
    state = StateFile(_state_path(config.server))
    streams = Streams(
        workshop,
        config.pose,
        config.video,
        config.server.max_streams,
        state,
        config.overlay,
        config.privacy,
    )
    peers = Peers(config.webrtc, streams, config.workers)
    images = Images(config.images)
    probes = asyncio.Semaphore(MAX_PROBES)
    try:
        for stream in config.streams:
            streams.add_camera(stream, keep=False)
        streams.load_kept()
        yield Services(
            streams=streams,
            peers=peers,
            probe=lambda source: _probe(camera_source(source, config), probes),
            check_source=lambda source: camera_source(source, config).check(),
            devices=lambda: asyncio.to_thread(list_devices),
            find_cameras=CameraFinder(config.onvif, config.rtsp.allowed_networks).find,
            ask_camera=OnvifAsker(config.onvif, config.rtsp.allowed_networks).streams,
            images=images,
            model=find_model,
            pose=config.pose,
            video=config.video,
            overlay=config.overlay,
            privacy=config.privacy,
            ready=True,
            max_picture_readers=config.server.max_picture_readers,
        )
    finally:
        await images.close()
        await peers.close()
        await streams.close()
        await asyncio.to_thread(lives.end)


def camera_source(source: AnySource, config: Config) -> RtspCamera | FileCamera | UsbCamera:
    """Raises InvalidRequest when the source can't be one."""
    match source:
        case FileSource():
            return FileCamera(source, config.files, config.workers)
        case UsbSource():
            return UsbCamera(source, config.workers)
        case _:
            return RtspCamera(source, config.rtsp, config.workers)


def make_estimator(pose: PoseConfig) -> Estimator:
    """Raises ModelError when the model that the options name is not on this machine, or broken."""
    return LiveEstimator(find_model, pose)


def check_models(pose: PoseConfig) -> None:
    """Raises ModelError when a model that the options may come to need is not on this machine."""
    for complexity in pose.complexities:
        find_model(complexity, pose.enable_segmentation)


def _try_estimator(pose: PoseConfig) -> None:
    """Loads the model once, so that a broken one is known before anybody connects."""
    check_models(pose)
    make_estimator(pose).close()


async def _probe(camera: Camera, probes: asyncio.Semaphore) -> dict[str, Any]:
    if probes.locked():
        raise LimitReached("Other cameras are being looked at; try again in a moment.")
    async with probes:
        return asdict(await probe(camera))


def _check_exposure(config: ServerConfig) -> None:
    if is_exposed(config) and not (config.token or config.insecure_lan):
        way = f"Through {'a proxy' if config.trusted_proxies else config.host}"
        raise ConfigError(
            f"{way} other machines can reach this server and watch its cameras. Set an "
            "access token ([server] token, or STREAMER_SERVER__TOKEN), or say --insecure-lan if "
            "everybody in your network may."
        )


def _state_path(config: ServerConfig) -> Path:
    return Path(config.state_file or default_state_file())


def _listener(config: ServerConfig, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, port), family=family, backlog=128)
    except OSError as error:
        raise ConfigError(
            f"Can't listen on {config.host} port {port}: {error.strerror}. Is another "
            "Streamer running? Choose another port with --port or --http-port."
        ) from error


def _ports(*listeners: socket.socket | None) -> list[int]:
    return [each.getsockname()[1] for each in listeners if each is not None]


def _announce(listener: socket.socket, *, secure: bool) -> None:
    """The one line that a person (and a script) waits for."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    sys.stdout.write(f"Streamer is at http{'s' if secure else ''}://{shown}:{port}\n")
    sys.stdout.flush()
