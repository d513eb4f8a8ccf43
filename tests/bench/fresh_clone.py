"""How long a newcomer waits: from ``git clone`` and ``make run`` to the first page, with nothing cached."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.machine import received_bytes
from tests.bench.table import figure, print_table
from tests.rigs.net import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
TIMEOUT_S = 900.0
POLL_S = 0.2


def fresh_clone() -> dict[str, Any]:
    """Print and return the time and the bytes. The clone is of the last commit, from this disk.

    The bytes are what all network interfaces but loopback took in meanwhile: everything that the
    setup fetched, and whatever else this machine fetched in that time.
    """
    print("cloning and running `make run` …", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started_at, received = time.monotonic(), received_bytes()
        subprocess.run(["git", "clone", "--quiet", REPOSITORY, folder / "clone"], check=True)
        with _make_run(folder) as url:
            page_bytes = _first_page(url, folder / "log")
            waited_s = time.monotonic() - started_at
            received = received_bytes() - received
        environment = folder / "clone" / ".venv"
        installed = sum(path.lstat().st_size for path in environment.rglob("*"))
    commit = subprocess.run(
        ["git", "-C", REPOSITORY, "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    rows = [
        ["git clone, make run, first page: s", figure(waited_s)],
        ["received from the network: MB", figure(received / 1e6)],
        ["installed in .venv: MB", figure(installed / 1e6)],
    ]
    print_table(f"Fresh clone of {commit} to its first page, no caches", ["", ""], rows)
    return {
        "commit": commit,
        "seconds": waited_s,
        "received_bytes": received,
        "installed_bytes": installed,
        "page_bytes": page_bytes,
    }


@contextmanager
def _make_run(folder: Path) -> Iterator[str]:
    """``make run`` in the clone, with none of this machine's caches; ends it and all it started."""
    port = free_port()
    environment = {key: value for key, value in os.environ.items() if not _helps(key)}
    environment |= {
        "PIP_NO_CACHE_DIR": "1",
        "STREAMER_MODELS_DIR": str(folder / "models"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_STATE_HOME": str(folder / "state"),
        "npm_config_cache": str(folder / "npm"),
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["make", "run", f"ARGS=--port {port}"],
            cwd=folder / "clone",
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield f"http://127.0.0.1:{port}/"
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def _helps(variable: str) -> bool:
    """Folders of wheels on this disk, settings of ours, where `streamer bench` finds this tree, and
    make's own words to its children."""
    named = ("PIP_FIND_LINKS", "MAKEFLAGS", "MFLAGS", "PYTHONPATH", "PYTHONSAFEPATH")
    return variable in named or variable.startswith("STREAMER_")


def _first_page(url: str, log: Path) -> int:
    """Wait until the page is served; return its length."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return len(response.read())
        except OSError:
            time.sleep(POLL_S)
    raise RuntimeError(
        f"No page within {TIMEOUT_S:g} s:\n{log.read_text(errors='replace')[-2000:]}"
    )
