"""Fetches files out of packages of the package registries, with the registries' own clients.

pip and npm know the user's mirrors, proxies and certificates; a download of our own would not.
The packages are data here: they are not installed, and none of their code runs.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamer.errors import ModelError

OnProgress = Callable[[str, int, int], None]
"""Takes what is being done, the bytes done, and all bytes; the first call has 0, the last has all."""

RETRY_DELAYS_S = (2.0, 8.0)
_POLL_INTERVAL_S = 0.2


@dataclass(frozen=True)
class Package(ABC):
    """One version of a package, and the files wanted from it."""

    spec: str
    """Name and version, as the client takes them."""
    size_bytes: int
    """Of the download; for the progress bar alone."""
    members: Mapping[str, str]
    """Our name of a wanted file -> its path in the package."""

    @abstractmethod
    def command(self) -> list[str]:
        """Downloads the package's archive to the working folder. Raises ModelError without a client."""

    @abstractmethod
    def read(self, folder: Path) -> dict[str, bytes]:
        """The wanted files of the archive in ``folder``. Raises _FetchFailed when it has them not."""


class Wheel(Package):
    """A package of pip's registry. Any platform's wheel will do on every platform."""

    def command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--quiet"),
            *("--no-input", "--retries=0", "--no-deps", "--only-binary=:all:"),
            *("--python-version=3.11", "--implementation=cp", "--platform=manylinux_2_28_x86_64"),
            *("--dest=.", self.spec),
        ]

    def read(self, folder: Path) -> dict[str, bytes]:
        try:
            (archive,) = folder.glob("*.whl")
            with zipfile.ZipFile(archive) as wheel:
                return {name: wheel.read(path) for name, path in self.members.items()}
        except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
            raise _FetchFailed(f"the wheel can't be read: {error}") from error


class NpmPackage(Package):
    """A package of npm's registry."""

    def command(self) -> list[str]:
        npm = shutil.which("npm")
        if npm is None:
            raise ModelError(
                f"{self.spec} is fetched with npm, which is not here: install Node.js."
            )
        options = ("--loglevel=error", "--logs-max=0", "--fetch-retries=0", "--cache=npm-cache")
        return [npm, "pack", *options, self.spec]

    def read(self, folder: Path) -> dict[str, bytes]:
        contents = {}
        try:
            (archive,) = folder.glob("*.tgz")
            with tarfile.open(archive) as tarball:
                for name, path in self.members.items():
                    file = tarball.extractfile(path)
                    if file is None:
                        raise ValueError(f"{path} is not a file")
                    contents[name] = file.read()
        except (ValueError, KeyError, OSError, tarfile.TarError) as error:
            raise _FetchFailed(f"the package can't be read: {error}") from error
        return contents


def fetch(
    package: Package, on_progress: OnProgress, retry_delays_s: Sequence[float] = RETRY_DELAYS_S
) -> dict[str, bytes]:
    """The wanted files by our names; nobody has checked what is in them.

    Raises ModelError when the client is missing, or has failed once more than there are delays.
    """
    delays_s = iter(retry_delays_s)
    while True:
        try:
            return _fetch_once(package, on_progress)
        except _FetchFailed as error:
            delay_s = next(delays_s, None)
            if delay_s is None:
                raise ModelError(f"{package.spec} can't be fetched: {error}.") from error
        time.sleep(delay_s)


class _FetchFailed(Exception):
    """One try failed; another may not."""


def _fetch_once(package: Package, on_progress: OnProgress) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory(prefix="streamer-") as name:
        folder = Path(name)
        on_progress(f"downloading {package.spec}", 0, package.size_bytes)
        status, said = _run(package, folder, on_progress)
        if status != 0:
            raise _FetchFailed(_reason(said) or f"exit status {status}")
        contents = package.read(folder)
    on_progress(f"downloading {package.spec}", package.size_bytes, package.size_bytes)
    return contents


def _run(package: Package, folder: Path, on_progress: OnProgress) -> tuple[int, str]:
    """The client's exit status and what it wrote. It keeps all its files in ``folder``, whose size
    tells how far it is."""
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            package.command(),
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        while process.poll() is None:
            time.sleep(_POLL_INTERVAL_S)
            done_bytes = min(max(_size_bytes(folder), 1), package.size_bytes - 1)
            on_progress(f"downloading {package.spec}", done_bytes, package.size_bytes)
        log.seek(0)
        return process.returncode, log.read().decode(errors="replace")


def _size_bytes(folder: Path) -> int:
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                size += os.stat(os.path.join(parent, name)).st_size
            except FileNotFoundError:
                continue  # the client removed it in between
    return size


def _reason(said: str) -> str:
    """The first of the client's lines about errors (a stack may follow), else its last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error", "npm err"))]
    return "; ".join(errors[:4] or lines[-1:]).rstrip(".")
