"""An IP camera for the tests: GStreamer's RTSP server in a process that can be lost and stalled."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import quote

from tests.rigs.net import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SERVER = Path(__file__).with_name("gst_rtsp_server.py")
# Debian's GStreamer bindings belong to the system's Python, not to the project's environment.
PYTHON = os.environ.get("STREAMER_TEST_GST_PYTHON", "/usr/bin/python3")
START_TIMEOUT_S = 60.0


class RtspServer:
    """Serves ``mounts`` (path -> clip) on ``address`` in a loop; a context manager. ``records``: what is
    published to the first path is played at the second. ``inside``: the beginning of the command, for a
    server in another network namespace.

    ``port`` 0 takes a free one, kept over restarts. ``user`` and ``password`` matter with ``auth``
    only; ``url`` puts them in unless told others.
    """

    def __init__(
        self,
        mounts: Mapping[str, Path],
        *,
        records: Mapping[str, str] | None = None,
        address: str = "127.0.0.1",
        inside: Sequence[str] = (),
        port: int = 0,
        transport: Literal["tcp", "udp", "all"] = "all",
        auth: Literal["none", "basic", "digest"] = "none",
        user: str = "",
        password: str = "",
    ) -> None:
        self.port = port or free_port()
        self._address = address
        self._user = user
        self._password = password
        options = {"address": address, "port": str(self.port), "transport": transport, "auth": auth}
        options |= {"user": user, "password": password}
        options_and_mounts = [f"--{name}={value}" for name, value in options.items()]
        options_and_mounts += [f"--mount={path}={clip}" for path, clip in mounts.items()]
        options_and_mounts += [f"--record={path}={out}" for path, out in (records or {}).items()]
        self._command = [*inside, PYTHON, str(SERVER), *options_and_mounts]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start serving and wait until it accepts connections; RuntimeError tells why not."""
        self.kill()
        process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._process = process
        assert process.stdout is not None
        timer = threading.Timer(START_TIMEOUT_S, process.kill)
        timer.start()
        line = process.stdout.readline()
        timer.cancel()
        if line != "READY\n":
            self.kill()
            raise RuntimeError(
                f"The RTSP server did not start (exit code {process.returncode}); its words are"
                " above. tests/setup.sh installs what it needs."
            )

    def url(self, path: str, *, user: str | None = None, password: str | None = None) -> str:
        """Return the URL of a mount, with the right credentials or with those given."""
        user = self._user if user is None else user
        password = self._password if password is None else password
        login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
        return f"rtsp://{login}{self._address}:{self.port}{path}"

    def kill(self) -> None:
        """Vanish at once, as a camera that loses its power does; twice is safe."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.communicate()

    def restart(self) -> None:
        """Vanish and serve again on the same port."""
        self.start()

    def stall(self) -> None:
        """Fall silent with all connections open, as a pulled cable looks."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after ``stall``."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            raise RuntimeError("The RTSP server is not running.")
        self._process.send_signal(number)
