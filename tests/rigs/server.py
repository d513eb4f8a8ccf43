"""The product as its user runs it: ``python -m streamer serve`` in a process of its own."""

from __future__ import annotations

import http.client
import os
import re
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.rigs import secrets
from tests.rigs.net import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

START_TIMEOUT_S = 180.0  # libraries from a cold disk, on a busy machine
STOP_TIMEOUT_S = 60.0  # it ends by itself in 10 s, if a busy machine lets it
ANSWER_TIMEOUT_S = 60.0

_TELLING = ("/api/v1/streams", "/metrics", "/readyz", "/api/v1/streams/no-such", "/")
"""What says most of a service; an error, too."""


class StreamerServer:
    """A server on a free port of 127.0.0.1 with its state in ``folder``; a context manager.

    ``config`` is the text of a TOML file; ``arguments`` are added to the command line and
    ``environment`` to the environment; ``tls`` is its certificate and key; ``module`` runs another
    program with the same arguments. What it says goes to ``folder / "server.log"``, or to the descriptor
    ``output``.
    """

    def __init__(
        self,
        folder: Path,
        config: str = "",
        *,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        tls: tuple[Path, Path] | None = None,
        module: str = "streamer",
        output: int | None = None,
    ) -> None:
        self.port = free_port()
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self.log = folder / "server.log"
        self._config = folder / "streamer.toml"
        self._config_text = config
        self._output = output
        # None of the developer's own settings may reach the server under test.
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith("STREAMER_")
        }
        self._environment = inherited | {"XDG_STATE_HOME": str(folder / "state")}
        self._environment |= environment or {}
        self._command = [sys.executable, "-m", module, "serve", "--host", "127.0.0.1"]
        self._command += ["--port", str(self.port), "--config", str(self._config), *arguments]
        if tls:
            self._command += ["--tls-cert", str(tls[0]), "--tls-key", str(tls[1])]
        self._tls = tls is not None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:
            self.stop()
        else:
            self.kill()

    def start(self) -> None:
        """Start and wait until ``/readyz`` says 200; RuntimeError carries the log's end."""
        self._config.write_text(self._config_text, encoding="utf-8")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log if self._output is None else self._output,
                stderr=subprocess.STDOUT,
                env=self._environment,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"The server did not get ready:\n{self.log_tail()}")
            time.sleep(0.05)

    def change_config(self, text: str) -> None:
        """Write its file anew; it reads it after SIGHUP, and when it starts again."""
        self._config_text = text
        self._config.write_text(text, encoding="utf-8")

    def stop(self) -> None:
        """End it as ``docker stop`` does and check that it ends well; twice is safe."""
        self._look_for_secrets()
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            code = process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            self._look_at_log()
            raise AssertionError(
                f"The server ignored SIGTERM for {STOP_TIMEOUT_S} s:\n{self.log_tail()}"
            ) from None
        self._look_at_log()
        assert code == 0, f"The server ended with {code} after SIGTERM:\n{self.log_tail()}"

    def end(self, patience_s: float) -> int | None:
        """End it as ``stop`` does, and leave it to the caller to judge; None: it did not end."""
        process, self._process = self._process, None
        if process is None:
            raise RuntimeError("The server is not running.")
        process.terminate()
        try:
            return process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None

    def kill(self) -> None:
        """End it at once, without judging; twice is safe."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            self._look_at_log()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ask(self, method: str, path: str, headers: Mapping[str, str]) -> str:
        """The body of the answer, whatever its status."""
        connection = self._connection(ANSWER_TIMEOUT_S)
        try:
            connection.request(method, path, headers=dict(headers))
            return connection.getresponse().read().decode("utf-8", "replace")
        finally:
            connection.close()

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("The server is not running.")
        return self._process.pid

    def log_tail(self, lines: int = 40) -> str:
        """Return the end of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def threads(self) -> int:
        """Return how many threads it has (Linux, as the next three)."""
        return len(list(self._proc("task").iterdir()))

    def fds(self) -> int:
        """Return how many file descriptors it holds open."""
        return len(list(self._proc("fd").iterdir()))

    def rss_bytes(self) -> int:
        """Return its resident memory."""
        pages = int(self._proc("statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def cpu_s(self) -> float:
        """Return the CPU time that all its threads have used."""
        # The second field, the name in brackets, may hold spaces; utime and stime are 14 and 15.
        fields = self._proc("stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _look_for_secrets(self) -> None:
        """In what it says to those who may ask, and in what its processes were called with."""
        if self._process is None or self._process.poll() is not None:
            return
        secrets.look_at_processes(self.pid, self.url)
        for path in _TELLING:
            connection = self._connection()
            try:
                connection.request("GET", path, headers=self._login)
                secrets.look(connection.getresponse().read(), f"{self.url}{path}")
            except (OSError, http.client.HTTPException):
                continue  # it is stopped, or has had enough of us
            finally:
                connection.close()

    def _look_at_log(self) -> None:
        if self.log.exists():
            secrets.look(self.log.read_bytes(), f"the log of {self.url}")

    @property
    def _login(self) -> dict[str, str]:
        token = re.search(r'^token = "(.+)"', self._config_text, re.MULTILINE)
        given = token[1] if token else self._environment.get("STREAMER_SERVER__TOKEN")
        return {"Authorization": f"Bearer {given}"} if given else {}

    def _proc(self, name: str) -> Path:
        return Path(f"/proc/{self.pid}") / name

    def _connection(self, timeout_s: float = 2.0) -> http.client.HTTPConnection:
        if not self._tls:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=timeout_s, context=trusting
        )

    def _is_ready(self) -> bool:
        connection = self._connection()
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False  # not listening yet
        finally:
            connection.close()
