"""Requests that schemathesis makes from the API's own description, against a real server: ``python -m
tests.rigs.generated_requests`` runs the long form, without and with a token, and fails on any finding."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.table import print_table
from tests.rigs.server import StreamerServer

ROOT = Path(__file__).parents[2]
SETTINGS = ROOT / "tests" / "rigs" / "schemathesis.toml"
TOKEN = "0123456789abcdef-token"
CONFIG = '[rtsp]\nallowed_networks = ["127.0.0.0/8"]\nopen_timeout_s = 0.5\n'
ENOUGH = 5000
EXAMPLES = 100


@dataclass(frozen=True)
class Run:
    """``cases``: how many requests were made up."""

    code: int
    cases: int
    output: str


def run(server: StreamerServer, folder: Path, *options: str) -> Run:
    """Against this server, in this folder."""
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(SETTINGS)),
        *("run", f"{server.url}/api/v1/openapi.json", "--no-color", *options),
    ]
    hooks = {"SCHEMATHESIS_HOOKS": "tests.rigs.schemathesis_hooks", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | hooks,
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout + done.stderr
    found = re.search(r"(\d[\d,]*) generated", output)
    return Run(done.returncode, int(found[1].replace(",", "")) if found else 0, output)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="of each operation")
    examples = parser.parse_args().examples
    rows, cases, good = [], 0, True
    for name, token in (("no token", ""), ("token", TOKEN)):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            config = CONFIG + (f'[server]\ntoken = "{token}"\n' if token else "")
            login = ("--header", f"Authorization: Bearer {token}") if token else ()
            began = time.monotonic()
            with StreamerServer(place, config) as server:
                found = run(server, place, "--max-examples", str(examples), *login)
        rows.append(
            [
                name,
                f"{found.cases}",
                f"{time.monotonic() - began:.0f} s",
                "pass" if found.code == 0 else "FAIL",
            ]
        )
        cases, good = cases + found.cases, good and found.code == 0
        if found.code:
            sys.stdout.write(found.output)
    enough = cases >= ENOUGH
    rows.append(["all", str(cases), f">= {ENOUGH}", "pass" if enough else "FAIL"])
    print_table("Generated requests", ["", "cases", "took", ""], rows)
    return 0 if good and enough else 1


if __name__ == "__main__":
    sys.exit(main())
