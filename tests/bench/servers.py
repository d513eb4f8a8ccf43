"""The servers that are compared, each in a process of its own."""

from __future__ import annotations

import functools
import os
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from streamer.pose.models import Complexity, ensure_models
from tests.bench.child import Child
from tests.rigs.net import free_port
from tests.rigs.probe_media import BITRATE
from tests.rigs.server import StreamerServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

REPOSITORY = Path(__file__).parents[2]
YARDSTICKS_PYTHON = REPOSITORY / ".venv-yardsticks" / "bin" / "python"
NOT_INSTALLED = "not installed: make bench-yardsticks"

QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DISABLE_TELEMETRY": "YES",
    "DO_NOT_TRACK": "1",
}
"""What gradio and huggingface_hub, under FastRTC, need to hear so that they ask nobody anything."""


@dataclass(frozen=True)
class Target:
    """A server under the probe: where and how it takes an offer, and its process.

    ``url`` is where a probe posts; ``base_url`` the server itself.
    """

    name: str
    base_url: str
    url: str
    mode: str
    pid: int
    last_words: Callable[[], str]


@contextmanager
def ours(environment: Mapping[str, str] | None = None) -> Iterator[Target]:
    """The product with its defaults, but the bitrate that the stock pattern has at most."""
    wanted = (_bitrate_setting() or {}) | dict(environment or {})
    with tempfile.TemporaryDirectory() as folder:
        server = StreamerServer(Path(folder), environment=wanted)
        server.start()
        try:
            yield Target(
                "ours", server.url, f"{server.url}/webcam", "webcam", server.pid, server.log_tail
            )
        finally:
            server.kill()


@functools.cache
def _bitrate_setting() -> dict[str, str] | None:
    """The environment that limits the bitrate; None when the server knows no such setting."""
    setting = {"STREAMER_VIDEO__MAX_BITRATE": str(BITRATE)}
    with tempfile.TemporaryDirectory() as folder:
        server = StreamerServer(Path(folder), environment=setting)
        try:
            server.start()
        except RuntimeError:
            return None  # if it is for another reason, the start without it fails too, and tells
        finally:
            server.kill()
    return setting


@contextmanager
def stock() -> Iterator[Target]:
    """The stock pattern with the model as published."""
    with _yardstick("stock", sys.executable, "tests.bench.stock_server") as target:
        yield target


@contextmanager
def fastrtc() -> Iterator[Target]:
    """FastRTC with a MediaPipe handler, in its own environment; see ``fastrtc_is_installed``."""
    python = str(YARDSTICKS_PYTHON)
    with _yardstick("FastRTC", python, "tests.bench.fastrtc_server", QUIET) as target:
        yield target


def fastrtc_is_installed() -> bool:
    return YARDSTICKS_PYTHON.exists()


@contextmanager
def _yardstick(
    name: str, python: str, module: str, environment: Mapping[str, str] | None = None
) -> Iterator[Target]:
    (model,) = ensure_models([Complexity.FULL], segmentation=True)
    port = free_port()
    command = [python, "-m", module, "--port", str(port), "--model", str(model)]
    inherited = {**os.environ, "PYTHONPATH": str(REPOSITORY), **(environment or {})}
    url = f"http://127.0.0.1:{port}"
    with Child(command, inherited) as server:
        yield Target(name, url, f"{url}/offer", "offer", server.pid, server.last_words)
