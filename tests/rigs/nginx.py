"""A real nginx before the server, with the configuration that docs/reaching.md shows."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Final, Self

from tests.rigs.certificate import make_certificate
from tests.rigs.net import free_port

START_TIMEOUT_S: Final = 60.0
_SHOWN: Final = Path(__file__).parents[2] / "docs" / "reaching.md"
_FRAME: Final = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  {site}
}}
"""


class Nginx:
    """Shows the server on ``upstream_port`` under ``/pose/`` of a port of its own; a context manager.

    It passes the prefix on, or ``takes_off`` the prefix first.
    """

    def __init__(
        self, folder: Path, upstream_port: int, *, tls: bool, takes_off: bool = False
    ) -> None:
        self.port = free_port()
        self.origin = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self.url = f"{self.origin}/pose"
        self._folder = folder
        cert, key = make_certificate(folder, "127.0.0.1")
        changes = {
            "listen 443 ssl;": f"listen 127.0.0.1:{self.port}{' ssl' if tls else ''};",
            "http://127.0.0.1:8080": f"http://127.0.0.1:{upstream_port}{'/' if takes_off else ''}",
            "/etc/nginx/pose.example.pem": str(cert),
            "/etc/nginx/pose.example.key": str(key),
        }
        site = _shown_site()
        for before, after in changes.items():
            assert before in site, f"docs/reaching.md has no {before!r} any more"
            site = site.replace(before, after)
        user = "user root;" if os.geteuid() == 0 else ""
        self._file = folder / "nginx.conf"
        self._text = _FRAME.format(folder=folder, user=user, site=site)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._file.write_text(self._text, "utf-8")
        command = [_find_nginx(), "-p", str(self._folder), "-c", str(self._file)]
        command += ["-e", str(self._folder / "error.log")]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                log = (self._folder / "error.log").read_text("utf-8")
                raise RuntimeError(f"nginx did not start:\n{log}")
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(10)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _shown_site() -> str:
    found = re.search(r"```nginx\n(.*?)```", _SHOWN.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def _find_nginx() -> str:
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise RuntimeError("The tests need nginx and found none: run tests/setup.sh.")
    return found
