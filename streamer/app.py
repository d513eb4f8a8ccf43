"""The composition root: the only place that chooses concrete classes, and the life of the service."""

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from streamer import __version__
from streamer.access.book import TokenBook
from streamer.access.session_file import SessionFile, sessions_path
from streamer.access.store import TokenFile, tokens_path
from streamer.aio import Inquiry, cancel_and_wait, in_daemon_thread
from streamer.config import (
    AnySource,
    Config,
    FileSource,
    PoseConfig,
    ServerConfig,
    UsbSource,
    WorkersConfig,
)
from streamer.draining import CLOSE_TIMEOUT_S, NEWS_S, Stop, close_together
from streamer.errors import ConfigError, LimitReached, ModelError, WorkerDied, reason_of
from streamer.heap import keep_tidy, settle_objects, share_heaps
from streamer.images.service import Images
from streamer.isolation import landlock, lives
from streamer.outputs.output import Output
from streamer.overlay import SkeletonPainter
from streamer.ports import Estimator, EstimatorFactory
from streamer.pose.models import FindModel, KnownModels, find_model
from streamer.pose.remote import RemoteEstimator
from streamer.reloading import Hangup, Reload
from streamer.retry import RetryPolicy
from streamer.server.application import make_application
from streamer.server.door import listening
from streamer.server.guard import is_exposed
from streamer.server.health import Reason
from streamer.server.https import open_https
from streamer.server.keys import Services
from streamer.sources.address import listening_on
from streamer.sources.discovery import CameraFinder
from streamer.sources.file import FileCamera
from streamer.sources.onvif import OnvifAsker
from streamer.sources.probe import Camera, probe
from streamer.sources.rtsp import RtspCamera
from streamer.sources.usb import UsbCamera, list_devices
from streamer.state import StateFile, default_state_file, trouble_with_folder
from streamer.stream import StreamOptions, Workshop
from streamer.streams import Streams
from streamer.webrtc.peers import Peers

logger = logging.getLogger(__name__)

SHUTDOWN_TIMEOUT_S = 2.5
"""For a request that is still under way. aiohttp waits so long for it twice: until it lets it fail, and
until it cancels it. Readers are told before (``slow_readers.Writes.hurry``)."""

IMAGES_CLOSE_TIMEOUT_S = 1.0

EXECUTOR_THREADS = 16
"""For short work and for waiting until threads have ended: more than asyncio's default, six on two cores,
of which a few that take long would hold up everybody."""

BACKLOG = 1024
"""Connections that the system makes before we accept them. Beyond that a new one waits a second for its next
try, however quickly we work off the crowd."""

DEVICES_S = 5.0
"""For the system to tell which USB cameras there are: a driver may hang."""

MAX_PROBES = 4
"""At a time: each decodes a camera's video for some seconds."""


async def serve(config: Config, read_config: Callable[[], Config]) -> None:
    """Serves until SIGINT or SIGTERM; SIGHUP reads the configuration again, with ``read_config``. Raises
    ConfigError or ModelError when it can't start."""
    share_heaps()
    tokens = TokenBook(TokenFile(tokens_path(config.server)), config.server.token)
    await asyncio.to_thread(tokens.look)
    _check_exposure(config.server, tokens)
    stop = Stop()
    stop.listen()
    hangup = Hangup()
    hangup.listen()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(EXECUTOR_THREADS, thread_name_prefix="worker"))
    # The port first: a second server must not open the cameras or write the state file of the first.
    async with contextlib.AsyncExitStack() as stack:
        listener = stack.enter_context(_listener(config.server, config.server.port))
        http_port = config.server.http_port
        plain = stack.enter_context(_listener(config.server, http_port)) if http_port else None
        stack.enter_context(listening_on(*_ports(listener, plain)))
        https = await open_https(config.server, _state_path(config.server).parent / "tls")
        services = make_services(config)
        services.tokens = tokens
        services.session_file = SessionFile(
            sessions_path(_state_path(config.server)), config.limits.min_free_bytes
        )
        services.authority = https.authority if https else None
        services.certificate_until = https.until if https else lambda: None
        app = make_application(config.server, services)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
        beating = asyncio.create_task(services.heartbeat.run(), name="heartbeat")
        tidying = asyncio.create_task(keep_tidy(), name="tidy")
        stack.push_async_callback(cancel_and_wait, beating, tidying)
        await runner.setup()
        stack.push_async_callback(close_all, runner, services)
        ports = [(listener, https)] if plain is None else [(listener, https), (plain, None)]
        connections = await stack.enter_async_context(
            listening(runner, config.server, config.limits, *ports)
        )
        services.connections = lambda: len(connections)
        services.connections_ended = lambda: asdict(connections.figures)
        await stop.unless_asked(_begin(config, services))
        if not stop.asked:
            services.ready = True
            _announce(listener, secure=https is not None)
            with hangup.answered_by(Reload(config, read_config, app)):
                await stop.wait()
        await drain(services)


async def _begin(config: Config, services: Services) -> None:
    """What takes a while: until it is done, whoever comes is told so. Raises ModelError, ConfigError."""
    tell_of_gaps(landlock.version())
    factory = estimator_factory(config.workers)
    await asyncio.gather(
        asyncio.to_thread(_try_estimator, config.pose, factory), asyncio.to_thread(lives.prepare)
    )
    await services.look_for_models()
    settle_objects()
    for stream in config.streams:
        services.streams.add_camera(stream, keep=False)
    await services.streams.load_kept()


def tell_of_gaps(of_version: int) -> None:
    """``of_version``: Landlock's here."""
    if can := landlock.gaps(of_version):
        logger.warning("a child process that is taken over can, on this system, %s", can)


async def drain(services: Services) -> None:
    """No new work from here on, and everybody knows."""
    services.ready, services.draining = False, True
    services.streams.say_goodbye()
    await asyncio.sleep(NEWS_S)


async def close_all(runner: web.AppRunner, services: Services) -> None:
    """Requests that are under way may end first; the process that analyses pictures is for them."""
    await close_together(
        CLOSE_TIMEOUT_S,
        requests=runner.cleanup(),
        peers=services.peers.close(),
        streams=services.streams.close(),
    )
    await close_together(
        IMAGES_CLOSE_TIMEOUT_S,
        pictures=services.images.close(),
        workers=asyncio.to_thread(lives.end),
    )


def make_services(config: Config) -> Services:
    """All parts of the service. None of them does anything yet."""
    retry = RetryPolicy(cap_s=config.rtsp.retry_cap_s, rejected_s=config.rtsp.rejected_retry_s)
    estimators, models = estimator_factory(config.workers), KnownModels()
    workshop = Workshop(
        camera_source=lambda source: camera_source(source, config),
        check_models=partial(check_models, find=models.find),
        estimator=estimators,
        painter=SkeletonPainter,
        retry=retry,
        output=lambda session, output, limits: Output(session, output, config.rtsp, retry, limits),
    )
    state_path = _state_path(config.server)
    devices = Inquiry("devices", list_devices)
    streams = Streams(
        workshop,
        StreamOptions(config.pose, config.video, config.overlay, config.privacy),
        config.server.max_streams,
        StateFile(state_path, config.limits.min_free_bytes),
        config.limits,
    )
    probes = asyncio.Semaphore(MAX_PROBES)
    return Services(
        streams=streams,
        peers=Peers(config.webrtc, streams, config.workers, config.limits),
        probe=lambda source: _probe(camera_source(source, config), probes),
        check_source=lambda source: camera_source(source, config).check(),
        devices=partial(devices.answer, DEVICES_S),
        find_cameras=CameraFinder(config.onvif, config.rtsp.allowed_networks).find,
        ask_camera=OnvifAsker(config.onvif, config.rtsp.allowed_networks).streams,
        images=Images(config.images),
        model=models.find,
        look_for_models=models.look,
        pose=config.pose,
        video=config.video,
        overlay=config.overlay,
        privacy=config.privacy,
        checks=(
            partial(_models_are_there, config.pose),
            partial(_state_is_kept, state_path.parent, streams),
            _workers_start,
        ),
        state_folder=state_path.parent,
        max_picture_readers=config.server.max_picture_readers,
        limits=config.limits,
    )


def camera_source(source: AnySource, config: Config) -> RtspCamera | FileCamera | UsbCamera:
    """Raises InvalidRequest when the source can't be one."""
    match source:
        case FileSource():
            return FileCamera(source, config.files, config.workers)
        case UsbSource():
            return UsbCamera(source, config.workers)
        case _:
            return RtspCamera(source, config.rtsp, config.workers)


def make_estimator(pose: PoseConfig, name: str = "") -> Estimator:
    """In this process. Raises ModelError when the model that the options name is not on this machine, or
    broken."""
    from streamer.pose.live import LiveEstimator  # with the networks' runtime: 25 MB

    return LiveEstimator(find_model, pose)


def estimator_factory(workers: WorkersConfig) -> EstimatorFactory:
    """For estimators each in a process of its own."""
    return lambda pose, name: RemoteEstimator(name, find_model, pose, workers)


def check_models(pose: PoseConfig, find: FindModel = find_model) -> None:
    """Raises ModelError when a model that the options may come to need is not on this machine."""
    for complexity in pose.complexities:
        find(complexity, pose.enable_segmentation)


def _try_estimator(pose: PoseConfig, make: EstimatorFactory) -> None:
    """Loads the model once, so that a broken one is known before anybody connects."""
    check_models(pose)
    make(pose, "first").close()


def _models_are_there(pose: PoseConfig) -> Reason | None:
    try:
        check_models(pose)
    except ModelError as error:
        return Reason("models-missing", str(error))
    return None


def _state_is_kept(folder: Path, streams: Streams) -> Reason | None:
    trouble = trouble_with_folder(folder)
    if trouble is None and not streams.storage_ok:
        trouble = "The cameras can't be remembered; the log says why."
    return None if trouble is None else Reason("state-not-writable", trouble)


def _workers_start() -> Reason | None:
    try:
        lives.prepare()
    except WorkerDied as error:
        return Reason("workers-broken", str(error))
    return None


async def _probe(camera: Camera, probes: asyncio.Semaphore) -> dict[str, Any]:
    if probes.locked():
        raise LimitReached("Other cameras are being looked at; try again in a moment.")
    async with probes:
        return asdict(await probe(camera))


def _check_exposure(config: ServerConfig, tokens: TokenBook) -> None:
    if is_exposed(config) and not (tokens.is_guarded or config.insecure_lan):
        way = f"Through {'a proxy' if config.trusted_proxies else config.host}"
        raise ConfigError(
            f"{way} other machines can reach this server and watch its cameras. Set an "
            "access token (`streamer token create`, [server] token, or STREAMER_SERVER__TOKEN), or say "
            "--insecure-lan if everybody in your network may."
        )


def _state_path(config: ServerConfig) -> Path:
    return Path(config.state_file or default_state_file())


def _listener(config: ServerConfig, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"Can't listen on {config.host} port {port}: {reason_of(error)}. Is another "
            "Streamer running? Choose another port with --port or --http-port."
        ) from error


def _ports(*listeners: socket.socket | None) -> list[int]:
    return [each.getsockname()[1] for each in listeners if each is not None]


def _announce(listener: socket.socket, *, secure: bool) -> None:
    """The one line that a person (and a script) waits for. If nobody reads it, nobody here waits either."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    line = f"Streamer is at http{'s' if secure else ''}://{shown}:{port}\n"
    in_daemon_thread("announcement", lambda: _say(line))
    logger.info("version %s is ready", __version__)


def _say(line: str) -> None:
    try:
        sys.stdout.write(line)
        sys.stdout.flush()
    except OSError as error:
        logger.warning("nobody reads stdout (%s); it was to say: %s", reason_of(error), line)
