"""A whole server ends well on SIGTERM, whatever hangs; SIGHUP lets it read its configuration again."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes import PATIENCE_S
from tests.rigs.net import free_port
from tests.rigs.processes import descendants
from tests.rigs.server import START_TIMEOUT_S, STOP_TIMEOUT_S, StreamerServer


def test_server_ends_well_though_a_camera_a_reader_and_an_upload_hang(
    server: Callable[..., StreamerServer],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute, socket.socket() as upload:
        address = f"rtsp://127.0.0.1:{mute.getsockname()[1]}/"
        camera = f'[[streams]]\nid = "hung"\nsource = {{ url = "{address}" }}\n'
        running = server(f"[server]\nport = 1\n[rtsp]\nopen_timeout_s = 60.0\n{camera}")
        mute.settimeout(PATIENCE_S)
        with mute.accept()[0]:
            upload.connect(("127.0.0.1", running.port))
            upload.sendall(
                f"POST /api/v1/images HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\n"
                "Content-Type: image/jpeg\r\nContent-Length: 99999\r\n\r\nabc".encode()
            )
            running.change_config("this is no TOML")
            os.kill(running.pid, signal.SIGHUP)
            until_logged(running, "the configuration stays as it was")
            running.change_config("[server]\nmax_streams = 3\n")
            os.kill(running.pid, signal.SIGHUP)
            until_logged(running, "the configuration was read again")
            until_logged(running, "stream hung is ended")
            with hanging_up(running.pid):  # it must not end what is ending well
                running.stop()
    assert "left behind" not in running.log_tail()


def test_server_ends_well_while_the_process_that_starts_workers_is_still_starting(
    tmp_path: Path,
) -> None:
    """Before, it waited for a second, left that behind, and said so as if a worker were stuck."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("STREAMER_")}
    command = [sys.executable, "-m", "streamer", "serve", "--port", str(free_port())]
    with (tmp_path / "log").open("wb") as log:
        starting = subprocess.Popen(
            command, stdout=log, stderr=log, env=kept | {"XDG_STATE_HOME": str(tmp_path)}
        )
    try:
        os.kill(fork_server_of(starting.pid), signal.SIGSTOP)
        starting.terminate()
        assert starting.wait(STOP_TIMEOUT_S) == 0
    finally:
        starting.kill()
        starting.wait()
    said = (tmp_path / "log").read_text("utf-8")
    assert "the service ends" in said
    assert "left behind" not in said and "could not be closed" not in said


def test_server_serves_and_ends_well_though_nobody_reads_what_it_says(
    tmp_path: Path, full_pipe: int
) -> None:
    with StreamerServer(tmp_path, output=full_pipe) as running:
        for _ in range(3):
            assert "not-found" in running.ask("GET", "/api/v1/streams/none", {})  # and it says so


@pytest.fixture
def full_pipe() -> Iterator[int]:
    """Its end for writing, which blocks."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writing, b"x" * 4096):
            pass
    os.set_blocking(writing, True)
    yield writing
    os.close(writing)
    os.close(reading)


def fork_server_of(pid: int) -> int:
    """As soon as it is there."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        for child in descendants(pid):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if b"streamer.isolation.forks" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return child
        time.sleep(0.01)
    raise AssertionError("no process that starts workers")


@contextlib.contextmanager
def hanging_up(pid: int) -> Iterator[None]:
    """SIGHUP again and again."""
    over = threading.Event()

    def hang_up() -> None:
        with contextlib.suppress(ProcessLookupError):
            while not over.wait(0.05):
                os.kill(pid, signal.SIGHUP)

    thread = threading.Thread(target=hang_up)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def until_logged(server: StreamerServer, words: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while words not in server.log_tail():
        assert time.monotonic() < deadline, f"{words!r} is not in the log:\n{server.log_tail()}"
        time.sleep(0.05)
