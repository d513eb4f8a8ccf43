"""``python -m tests.fuzz [TARGET …] --runs N``: the targets one after another, and a table of what came.

Inputs that crash or hang go to ``.cache/fuzz/<target>/``, and so does what was found to reach new code. The
exit status is 1 if there was any crash or hang.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.fuzz.targets import NAMES

CORPORA = Path(__file__).with_name("corpora")
MAX_INPUT_BYTES = 4096
STUCK_S = 60
"""By the wall's clock: an input that never ends, which the engine's own count of CPU can't tell."""

_STATUS = re.compile(r"^#(\d+)\s+(\w+)\s+cov: (\d+) ")
_TIMEOUTS = ("Hang: ", "ERROR: libFuzzer: timeout")
_CRASHES = (
    "Uncaught Python exception",
    "ERROR: libFuzzer: deadly signal",
    "ERROR: libFuzzer: out-of",
)


@dataclass
class Row:
    """``new_coverage``: edges reached beyond those of the corpus."""

    target: str
    executions: int = 0
    began_mono: float = 0.0
    took_s: float = 0.0
    crashes: int = 0
    hangs: int = 0
    coverage: int = 0
    first_coverage: int | None = None

    @property
    def new_coverage(self) -> int:
        return self.coverage - (self.first_coverage or 0)

    def note(self, line: str) -> None:
        status = _STATUS.match(line)
        if status:
            self.executions, self.coverage = int(status[1]), int(status[3])
            self.took_s = time.monotonic() - self.began_mono
            if status[2] == "INITED":
                self.first_coverage, self.began_mono = self.coverage, time.monotonic()
        self.hangs |= any(each in line for each in _TIMEOUTS)
        self.crashes |= any(each in line for each in _CRASHES) and not self.hangs

    def __str__(self) -> str:
        per_s = round(self.executions / max(self.took_s, 1e-3))
        cells = (self.executions, per_s, self.crashes, self.hangs, self.new_coverage)
        return f"{self.target:16}" + "".join(f"{cell:>13,}" for cell in cells)


HEAD = f"{'target':16}" + "".join(
    f"{title:>13}" for title in ("executions", "exec/s", "crashes", "hangs", "new coverage")
)


def fuzz(target: str, runs: int, folder: Path) -> Row:
    """Runs one target to its end, or to the first input that breaks it."""
    row, found = Row(target), folder / target
    (found / "corpus").mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.fuzz.engine", target]
    command += [f"-runs={runs}", f"-max_len={MAX_INPUT_BYTES}", f"-timeout={STUCK_S}"]
    command += ["-rss_limit_mb=2048", f"-artifact_prefix={found}/"]
    command += [str(found / "corpus"), str(CORPORA / target)]
    niced = ["nice", "-n", "15", *command]
    with (found / "log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            niced,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert process.stdout is not None
        _read(process.stdout, log, row)
        if process.wait() and not row.hangs:
            row.crashes = 1
    if row.crashes or row.hangs:
        sys.stdout.write(f"{target}: see {found}/log\n")
    return row


def _read(output: IO[str], log: IO[str], row: Row) -> None:
    for line in output:
        log.write(line)
        row.note(line)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(NAMES))
    parser.add_argument("--runs", type=int, default=1_000_000, help="of each target")
    parser.add_argument("--folder", type=Path, default=Path(".cache/fuzz"))
    arguments = parser.parse_args()
    unknown = set(arguments.targets) - set(NAMES)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    rows = []
    for target in arguments.targets or NAMES:
        rows.append(fuzz(target, arguments.runs, arguments.folder))
        sys.stdout.write(f"{HEAD}\n{rows[-1]}\n" if len(rows) == 1 else f"{rows[-1]}\n")
        sys.stdout.flush()
    bad = sum(row.crashes + row.hangs for row in rows)
    sys.stdout.write(f"{'PASS' if not bad else 'FAIL'}: {len(rows)} targets, {bad} of them broke\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
