"""A TURN server for the tests: coturn on loopback, with a shared secret, in a process that can be stalled."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Self

from tests.rigs.net import free_port
from tests.rigs.secrets import secret

if TYPE_CHECKING:
    from pathlib import Path

START_TIMEOUT_S = 60.0
SECRET = secret("turn")


class TurnServer:
    """coturn with ``use-auth-secret``, over UDP and TCP; a context manager. Its log is in ``folder``."""

    def __init__(self, folder: Path) -> None:
        command = shutil.which("turnserver")
        if command is None:
            raise RuntimeError("The tests need coturn and found none: run tests/setup.sh.")
        self.port = free_port()
        self.log = folder / "turnserver.log"
        self._command = [
            command,
            "-n",  # no configuration file of the machine's
            "--listening-ip=127.0.0.1",
            "--relay-ip=127.0.0.1",
            f"--listening-port={self.port}",
            "--use-auth-secret",
            f"--static-auth-secret={SECRET}",
            "--realm=streamer.test",
            "--fingerprint",
            "--allow-loopback-peers",
            "--no-cli",
            "--no-tls",
            "--no-dtls",
            "--verbose",
            "--log-file=stdout",
            f"--userdb={folder / 'turndb'}",
            f"--pidfile={folder / 'turnserver.pid'}",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, transport: str = "udp") -> str:
        return f"turn:127.0.0.1:{self.port}?transport={transport}"

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError(f"coturn did not start:\n{self.log_text()}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()  # also while it is stalled
            process.wait()

    def stall(self) -> None:
        """It answers nothing and reads nothing until ``go_on``; its sockets stay open."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _answers(self) -> bool:
        """A STUN binding request (RFC 8489) has an answer."""
        request = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + b"streamertest"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.5)
            try:
                sock.connect(("127.0.0.1", self.port))
                sock.send(request)
                return sock.recv(1500)[8:20] == request[8:20]
            except OSError:
                return False
