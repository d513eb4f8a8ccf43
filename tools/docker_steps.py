"""Take the Dockerfile's steps without Docker: ``python tools/docker_steps.py``.

Every path that a step names lies in a scratch folder instead of in the image, this machine's Python
and npm stand for those of the base images, and users are not made. At the end the container's
command is started, on loopback, and its health check must pass.
"""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
START_TIMEOUT_S = 60.0

# What only an image can have: users, and the programs that come from the base images.
OF_THE_IMAGE = ("useradd", "ln -s ../lib/node_modules", "install --directory --owner")
IMAGE_FOLDERS = "app|models|state"


class Image:
    """The stage that is being built, in ``scratch/image``; finished ones lie beside it."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.root = scratch / "image"
        self.stage = ""
        self.folder = self.root
        self.environment: dict[str, str] = {}
        self.command: list[str] = []
        self.health_check: list[str] = []

    def inside(self, text: str) -> str:
        """``text`` with the image's absolute paths led to the scratch folder."""
        return re.sub(rf"(?<![\w./-])/({IMAGE_FOLDERS})\b", rf"{self.root}/\1", text)

    def take(self, instruction: str, rest: str) -> None:
        print(f"{instruction} {rest}", flush=True)
        match instruction:
            case "FROM":
                self._begin(rest)
            case "WORKDIR":
                self.folder = Path(self.inside(rest))
                self.folder.mkdir(parents=True, exist_ok=True)
            case "ENV":
                self.environment |= dict(
                    word.split("=", 1) for word in shlex.split(self.inside(rest))
                )
            case "COPY":
                self._copy(shlex.split(rest))
            case "RUN":
                self._run(rest)
            case "CMD":
                self.command = json.loads(self.inside(rest))
            case "HEALTHCHECK":
                self.health_check = json.loads(self.inside(rest[rest.index("CMD") + 3 :]))
            case "ARG" | "USER" | "VOLUME" | "EXPOSE":
                pass
            case _:
                raise SystemExit(f"This script does not know {instruction}.")

    def _begin(self, rest: str) -> None:
        if self.root.exists():
            self.root.rename(self.scratch / self.stage)
        self.root.mkdir()
        self.stage = rest.partition(" AS ")[2]
        self.folder = self.root
        self.environment = {}

    def _copy(self, words: list[str]) -> None:
        base = REPOSITORY
        if words[0].startswith("--from="):
            base = self.scratch / words.pop(0).removeprefix("--from=")
            if words[0].startswith("/usr/local/"):
                return  # of the base image; this machine has its own
        *sources, target = words
        goal = self.root / target[1:] if target.startswith("/") else self.folder / target
        for source in sources:
            path = base / source.lstrip("/")
            if path.is_dir():
                shutil.copytree(path, goal, symlinks=True, dirs_exist_ok=True)
            else:
                goal.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, goal)

    def _run(self, rest: str) -> None:
        for step in rest.split("&&"):
            if not step.strip().startswith(OF_THE_IMAGE):
                subprocess.run(
                    ["sh", "-ec", self.inside(step)], cwd=self.folder, env=self.full(), check=True
                )

    def full(self) -> dict[str, str]:
        """The environment of a step: `python` is the Python that runs this script."""
        programs = self.scratch / "programs"
        programs.mkdir(exist_ok=True)
        if not (programs / "python").exists():
            (programs / "python").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("STREAMER_")}
        return inherited | {"PATH": f"{programs}:{os.environ['PATH']}"} | self.environment


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", dockerfile.read_text("utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines if line.strip()]


def check_closed(image: Image) -> None:
    """Without a token, or the word that none is needed, the container must not start."""
    done = subprocess.run(
        image.command, cwd=image.folder, env=image.full(), timeout=START_TIMEOUT_S
    )
    if done.returncode != 1:
        raise SystemExit("The container's command does not refuse to serve everybody.")


def check_health(image: Image) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    image.environment |= {
        "STREAMER_SERVER__HOST": "127.0.0.1",
        "STREAMER_SERVER__PORT": str(port),
    }
    with subprocess.Popen(image.command, cwd=image.folder, env=image.full()) as server:
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while subprocess.run(
                image.health_check, env=image.full(), stderr=subprocess.DEVNULL
            ).returncode:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("The health check does not pass.")
                time.sleep(0.5)
        finally:
            server.terminate()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="streamer-image-") as name:
        image = Image(Path(name))
        for instruction, rest in instructions(REPOSITORY / "Dockerfile"):
            image.take(instruction, rest)
        check_closed(image)
        check_health(image)
    print("The container's command serves, and its health check passes.")


if __name__ == "__main__":
    main()
