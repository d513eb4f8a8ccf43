"""The service under the load of a soak: cameras that never end, the service, and its clients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tests.rigs.clips import FPS, prepare_clips
from tests.rigs.processes import cpu_s, descendants
from tests.rigs.rtsp import RtspServer
from tests.rigs.server import StreamerServer
from tests.soak.clients import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FULL_LOAD = 0.65
"""Share of all cores that cameras, service and clients may use together: what is left is for bursts."""

MAX_CAMERAS = 12
SETTLE_S = 12.0
MEASURE_S = 10.0
READY_TIMEOUT_S = 300.0
END_TIMEOUT_S = 10.0
CAMERA_FPS = FPS


@dataclass(frozen=True)
class Load:
    """What runs: the service (``url``, ``pid``), its ``streams``, and the clients."""

    url: str
    pid: int
    streams: list[str]
    clients: ClientsProcess


class ClientsProcess:
    """``tests.soak.clients`` from outside; a context manager. Its errors go to ``log``."""

    def __init__(self, url: str, streams: list[str], cycle_s: float, log: Path) -> None:
        self._command = [sys.executable, "-m", "tests.soak.clients", "--url", url]
        self._command += ["--streams", ",".join(streams), "--cycle", str(cycle_s)]
        self._log = log
        self._told = ""

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self._process.stdout is not None
        timer = threading.Timer(READY_TIMEOUT_S, self._process.kill)
        timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        if line != "READY\n":
            self.__exit__()
            raise RuntimeError(f"The clients did not start; {self._log} says why.")
        self._reader = threading.Thread(target=self._read, name="soak-clients")
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def tallies(self) -> dict[str, Tally]:
        """The newest of each kind."""
        told = json.loads(self._told or "{}")
        return {kind: Tally(**each) for kind, each in told.items()}

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._told = line


@contextmanager
def running(folder: Path, cameras: int, cycle_s: float) -> Iterator[Load]:
    """Everything, with so many cameras of 640x480 at 30 frames a second, each a stream."""
    names = [f"cam{number + 1}" for number in range(cameras)]
    clip = prepare_clips().person
    with ExitStack() as stack:
        rtsp = stack.enter_context(RtspServer({f"/{name}": clip for name in names}))
        config = "".join(
            f'[[streams]]\nid = "{name}"\n'
            f'source = {{ type = "rtsp", url = "{rtsp.url(f"/{name}")}" }}\n'
            for name in names
        )
        server = stack.enter_context(StreamerServer(folder, config))
        clients = stack.enter_context(
            ClientsProcess(server.url, names, cycle_s, folder / "clients.log")
        )
        yield Load(server.url, server.pid, names, clients)


def count_cameras(folder: Path, cycle_s: float) -> int:
    """How many cameras are a full load here: one more, as long as the share of CPU that it will probably
    need stays below ``FULL_LOAD``. CPU time is counted, so that other work on the machine does not matter
    much."""
    cores = len(os.sched_getaffinity(0))
    for cameras in range(1, MAX_CAMERAS + 1):
        place = folder / f"calibration-{cameras}"
        place.mkdir()
        with running(place, cameras, cycle_s):
            time.sleep(SETTLE_S)
            used_s, begun = _used_s(), time.monotonic()
            time.sleep(MEASURE_S)
            share = (_used_s() - used_s) / (time.monotonic() - begun) / cores
        print(f"{cameras} cameras: {100 * share:.0f} % of {cores} cores", flush=True)
        if share * (cameras + 1) / cameras > FULL_LOAD:
            return cameras
    return MAX_CAMERAS


def _used_s() -> float:
    """CPU time of all processes that this one started."""
    total = 0.0
    for pid in descendants(os.getpid()):
        try:
            total += cpu_s(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total
