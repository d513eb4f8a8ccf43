"""A whole server ends well on SIGTERM, whatever hangs; SIGHUP lets it read its configuration again."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.fakes import PATIENCE_S
from tests.rigs.server import StreamerServer


@pytest.mark.timeout(60)
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
