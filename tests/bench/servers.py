"""The two servers that are compared, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from streamer.pose.models import Complexity, ensure_models
from tests.rigs.net import free_port
from tests.rigs.server import StreamerServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Target:
    """A server under the probe: where and how it takes an offer, and its process."""

    name: str
    url: str
    mode: str
    pid: int


@contextmanager
def ours() -> Iterator[Target]:
    """The product with its defaults."""
    with tempfile.TemporaryDirectory() as folder, StreamerServer(Path(folder)) as server:
        yield Target("ours", f"{server.url}/webcam", "webcam", server.pid)


@contextmanager
def stock() -> Iterator[Target]:
    """The stock pattern with the model as published."""
    (model,) = ensure_models([Complexity.FULL], segmentation=True)
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.stock_server", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--model", str(model)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline() != b"READY\n":
            raise RuntimeError("The stock server did not start: run it by hand to see why.")
        yield Target("stock", f"http://127.0.0.1:{port}/offer", "offer", process.pid)
    finally:
        process.kill()
        process.communicate()
