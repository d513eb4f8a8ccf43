"""SIGTERM while everything runs: cameras, viewers, readers, a webcam, pictures; and while some things hang:
a camera that never answers, readers that take nothing, uploads that never end, a worker that is stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.chaos import Result
from tests.rigs.clips import prepare_clips
from tests.rigs.rtsp import RtspServer
from tests.rigs.server import StreamerServer
from tests.rigs.workers import is_alive, workers_of
from tests.soak.clients import Tally
from tests.soak.load import ClientsProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "SIGTERM under load"
PASS = "exit 0 <= 10 s, no process left"

LIMIT_S = 10.0
PATIENCE_S = 120.0
CAMERAS = 2
CYCLE_S = 12.0
_HUNG = "hung"


async def run(times: int) -> Result:
    """The same service, started again each time; its clients stay and come back by themselves."""
    return await asyncio.to_thread(_run, times)


def _run(times: int) -> Result:
    took_s, notes = [], []
    with tempfile.TemporaryDirectory() as folder, _loaded(Path(folder)) as (server, clients):
        for number in range(times):
            _until_viewers_see(server, clients)
            with ExitStack() as hanging:
                _hang(hanging, server.port)
                ended_s, trouble = _end(server, number)
            took_s.append(ended_s)
            notes += [f"{number + 1}: {trouble}"] if trouble else []
            print(f"  {number + 1}: {ended_s:.1f} s {trouble or 'exit 0'}", flush=True)
            server.start()
    good = times - len(notes)
    return Result(f"{good}/{times} exit 0, {max(took_s):.1f} s at most", not notes, tuple(notes))


def _end(server: StreamerServer, number: int) -> tuple[float, str]:
    """How long the end took, and what was wrong with it."""
    workers = workers_of(server.pid)
    if workers:
        os.kill(workers[number % len(workers)].pid, signal.SIGSTOP)
    begun_mono = time.monotonic()
    code = server.end(PATIENCE_S)
    took_s = time.monotonic() - begun_mono
    left = [each for each in workers if is_alive(each.pid)]
    trouble = [
        *([f"exit {code}"] if code != 0 else []),
        *([f"it took {took_s:.1f} s"] if took_s > LIMIT_S else []),
        *([f"left behind: {left}"] if left else []),
        *(["no worker ran"] if not workers else []),
    ]
    if trouble:
        trouble.append(server.log_tail(15))
    return took_s, "; ".join(trouble)


@contextmanager
def _loaded(folder: Path) -> Iterator[tuple[StreamerServer, ClientsProcess]]:
    """A service with all that."""
    names = [f"cam{number + 1}" for number in range(CAMERAS)]
    with ExitStack() as stack:
        rtsp = stack.enter_context(
            RtspServer({f"/{name}": prepare_clips().person for name in names})
        )
        mute = stack.enter_context(socket.create_server(("127.0.0.1", 0)))  # it never says a word
        urls = {name: rtsp.url(f"/{name}") for name in names}
        urls[_HUNG] = f"rtsp://127.0.0.1:{mute.getsockname()[1]}/"
        config = "[rtsp]\nopen_timeout_s = 60.0\n" + "".join(
            f'[[streams]]\nid = "{name}"\nsource = {{ url = "{url}" }}\n'
            for name, url in urls.items()
        )
        server = stack.enter_context(StreamerServer(folder, config))
        stack.callback(server.kill)
        clients = stack.enter_context(
            ClientsProcess(server.url, names, CYCLE_S, folder / "clients.log")
        )
        yield server, clients


def _until_viewers_see(server: StreamerServer, clients: ClientsProcess) -> None:
    before = clients.tallies.get("viewers", Tally()).done
    deadline = time.monotonic() + PATIENCE_S
    while clients.tallies.get("viewers", Tally()).done == before:
        if time.monotonic() > deadline:
            raise RuntimeError(f"No viewer saw a frame; the server says:\n{server.log_tail()}")
        time.sleep(0.1)


def _hang(stack: ExitStack, port: int) -> None:
    """Readers that take nothing, and uploads whose end never comes."""
    host = f"Host: 127.0.0.1:{port}\r\n"
    upgrade = (
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    )
    picture = "Content-Type: image/jpeg\r\nContent-Length: 100000\r\n"
    stream = "Content-Type: application/json\r\nContent-Length: 1000\r\n"
    requests = (
        f"GET /api/v1/streams/cam1/mjpeg HTTP/1.1\r\n{host}\r\n",
        f"GET /api/v1/streams/cam1/landmarks HTTP/1.1\r\n{host}{upgrade}\r\n",
        f"POST /api/v1/images HTTP/1.1\r\n{host}{picture}\r\nabc",
        f"POST /api/v1/streams HTTP/1.1\r\n{host}{stream}\r\n{{",
    )
    for request in requests:
        for _ in range(3):
            one = stack.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.connect(("127.0.0.1", port))
            one.sendall(request.encode())
