"""The composition root: the only place that chooses concrete classes, and the life of the service."""

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aiohttp import web

from streamer.config import Config, PoseConfig, RtspConfig, RtspSource, ServerConfig
from streamer.errors import ConfigError, LimitReached, ModelError, SourceUnreachable
from streamer.images.service import Images
from streamer.overlay import SkeletonPainter
from streamer.ports import Estimator, EstimatorFactory
from streamer.pose.mediapipe import MediaPipeEstimator
from streamer.pose.models import Complexity, model_path
from streamer.server.application import make_application
from streamer.server.guard import is_loopback
from streamer.server.keys import Services
from streamer.session import RetryPolicy
from streamer.sources.address import parse_rtsp_url, resolve
from streamer.sources.probe import probe
from streamer.sources.rtsp import RtspCamera
from streamer.state import StateFile, default_state_file
from streamer.streams import Streams, Workshop
from streamer.webrtc.peers import Peers

logger = logging.getLogger(__name__)

SHUTDOWN_TIMEOUT_S = 5.0
EXECUTOR_THREADS = 16
"""For short work and for waiting until threads have ended. aioice looks up a TURN server's name here too:
with asyncio's default, six on two cores, a few of these that hang would hold up everybody."""

MAX_PROBES = 4
"""At a time: each decodes a camera's video for some seconds."""


async def serve(config: Config) -> None:
    """Serves until SIGINT or SIGTERM. Raises ConfigError or ModelError when it can't start."""
    _check_exposure(config.server)
    tls = _tls(config.server)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(EXECUTOR_THREADS, thread_name_prefix="worker"))
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: KeyboardInterrupt does it
            loop.add_signal_handler(number, stop.set)
    # The port first: a second server must not open the cameras or write the state file of the first.
    with _listener(config.server) as listener:
        async with _services(config) as services:
            app = make_application(config.server, services)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
            await runner.setup()
            try:
                await web.SockSite(runner, listener, ssl_context=tls).start()
                _announce(listener, secure=tls is not None)
                await stop.wait()
                services.ready = False
            finally:
                await runner.cleanup()


@contextlib.asynccontextmanager
async def _services(config: Config) -> AsyncIterator[Services]:
    workshop = Workshop(
        camera_source=lambda source: RtspCamera(source, config.rtsp),
        estimator=estimator_factory,
        painter=SkeletonPainter(),
        retry=RetryPolicy(cap_s=config.rtsp.retry_cap_s, rejected_s=config.rtsp.rejected_retry_s),
    )
    await asyncio.to_thread(_try_estimator, config.pose)
    state = StateFile(Path(config.server.state_file or default_state_file()))
    streams = Streams(workshop, config.pose, config.video, config.server.max_streams, state)
    peers = Peers(config.webrtc, streams)
    images = Images(config.images)
    probes = asyncio.Semaphore(MAX_PROBES)
    try:
        for stream in config.streams:
            streams.add_camera(stream, keep=False)
        streams.load_kept()
        yield Services(
            streams=streams,
            peers=peers,
            probe=lambda source: _probe(source, config.rtsp, probes),
            check_address=lambda source: _check_address(source, config.rtsp),
            images=images,
            model=find_model,
            pose=config.pose,
            video=config.video,
            ice_servers=config.webrtc.ice_servers,
            ready=True,
        )
    finally:
        await images.close()
        await peers.close()
        await streams.close()


def estimator_factory(pose: PoseConfig) -> EstimatorFactory:
    """Raises ModelError when the model that the options name is not on this machine."""
    model = find_model(pose.model_complexity)

    def make() -> Estimator:
        return MediaPipeEstimator(model, pose)

    return make


def find_model(model_complexity: int) -> Path:
    """Raises ModelError when the model is not on this machine."""
    complexity = Complexity(model_complexity)
    model = model_path(complexity)
    if not model.is_file():
        raise ModelError(
            f"The model {complexity.name.lower()} (model_complexity {model_complexity}) is not "
            f"on this machine yet: run `streamer models {complexity.name.lower()}` once."
        )
    return model


def _try_estimator(pose: PoseConfig) -> None:
    """Loads the model once, so that a broken one is known before anybody connects."""
    estimator_factory(pose)().close()


async def _probe(
    source: RtspSource, config: RtspConfig, probes: asyncio.Semaphore
) -> dict[str, Any]:
    if probes.locked():
        raise LimitReached("Other cameras are being looked at; try again in a moment.")
    async with probes:
        return asdict(await probe(source, config))


async def _check_address(source: RtspSource, config: RtspConfig) -> None:
    """A camera whose name can't be resolved now is no error: it may come up later."""
    url = parse_rtsp_url(source)
    with contextlib.suppress(SourceUnreachable):
        await resolve(url, config.allowed_networks, config.open_timeout_s)


def _check_exposure(config: ServerConfig) -> None:
    if not (is_loopback(config.host) or config.token or config.insecure_lan):
        raise ConfigError(
            f"On {config.host} other machines can reach this server and watch its cameras. Set an "
            "access token ([server] token, or STREAMER_SERVER__TOKEN), or say --insecure-lan if "
            "everybody in your network may."
        )


def _tls(config: ServerConfig) -> ssl.SSLContext | None:
    if not config.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(config.tls_cert, config.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"[server] tls_cert, tls_key: can't be used: {error}") from error
    return context


def _listener(config: ServerConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, config.port), family=family, backlog=128)
    except OSError as error:
        raise ConfigError(
            f"Can't listen on {config.host} port {config.port}: {error.strerror}. Is another "
            "Streamer running? Choose another port with --port."
        ) from error


def _announce(listener: socket.socket, *, secure: bool) -> None:
    """The one line that a person (and a script) waits for."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    sys.stdout.write(f"Streamer is at http{'s' if secure else ''}://{shown}:{port}\n")
    sys.stdout.flush()
