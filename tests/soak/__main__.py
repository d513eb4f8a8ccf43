"""Runs the service under full load and reports what grows (Linux).

python -m tests.soak                  an hour, with as many cameras as this machine bears
python -m tests.soak --hours 0.05 --cameras 1 --folder /tmp/soak
python -m tests.soak --report /tmp/soak    tells again what a run has shown, also one that was cut off

Cameras of 640x480 at 30 frames a second are added as long as all processes together (service, cameras,
clients) probably stay below 65 % of all cores; --cameras sets their number. Who the clients are is in
clients.py. Ctrl+C ends the run early, with its report. The folder gets samples.jsonl (as it runs), then
report.json, samples.csv and plot.svg, beside the logs.

Other work on the machine takes frames away. --nice -10 (as root) puts the run before it: the run has a
session of its own, so that nobody else becomes quicker with it.
"""

from __future__ import annotations

import argparse
import http.client
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.machine import describe_machine
from tests.rigs.priority import has_its_own_session, in_a_session_of_its_own, set_priority
from tests.soak import samples
from tests.soak.load import Load, count_cameras, running
from tests.soak.plot import plot
from tests.soak.report import make_report, print_report, warm_up_s, write_files

if TYPE_CHECKING:
    from collections.abc import Sequence

CYCLE_S = 60.0
CYCLES_AT_LEAST = 12
SHORTEST_CYCLE_S = 12.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 1 when something grew, was too slow or broke."""
    given = _parse(arguments)
    if given.report:
        return _report(given.report)
    if not has_its_own_session():
        own = sys.argv[1:] if arguments is None else arguments
        return in_a_session_of_its_own("tests.soak", own)
    folder = given.folder or Path(tempfile.mkdtemp(prefix="soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    if given.nice is not None:
        set_priority(given.nice)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    print("\n".join(f"{name}: {value}" for name, value in describe_machine().items()))
    duration_s = 3600 * given.hours
    cycle_s = min(CYCLE_S, max(SHORTEST_CYCLE_S, duration_s / CYCLES_AT_LEAST))
    cameras = given.cameras or count_cameras(folder, cycle_s)
    (folder / "times").write_text(f"{duration_s} {cycle_s}\n")
    until = time.strftime("%H:%M:%S", time.localtime(time.time() + duration_s))
    print(
        f"{cameras} cameras for {duration_s / 60:.0f} min, until {until}, in {folder}", flush=True
    )
    why_not = _run(folder, cameras, duration_s, cycle_s, given.every, stop)
    if why_not:
        print(f"FAIL: {why_not}", flush=True)
    return max(_report(folder), int(bool(why_not)))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--cameras", type=int, help="by default as many as are a full load")
    parser.add_argument(
        "--every", type=float, default=5.0, metavar="S", help="seconds between looks"
    )
    parser.add_argument("--folder", type=Path, help="where the files go; by default a new one")
    parser.add_argument("--nice", type=int, metavar="N", help="from -20, first, to 19")
    parser.add_argument("--report", type=Path, metavar="FOLDER", help="of a run that was")
    return parser.parse_args(arguments)


def _run(
    folder: Path,
    cameras: int,
    duration_s: float,
    cycle_s: float,
    every_s: float,
    stop: threading.Event,
) -> str | None:
    """Until the time is over, somebody stops it, or it can't go on: then it says why."""
    with (
        (folder / "samples.jsonl").open("w", encoding="utf-8") as lines,
        running(folder, cameras, cycle_s) as load,
    ):
        begun = time.monotonic()
        stop.wait(every_s)
        while not stop.is_set() and time.monotonic() - begun < duration_s:
            if not load.clients.is_alive:
                return "the clients died; clients.log says why"
            try:
                sample = _look(load, begun)
            except (OSError, http.client.HTTPException) as error:
                return f"the service did not answer: {error}; server.log says why"
            samples.write(sample, lines)
            stop.wait(every_s - (time.monotonic() - begun) % every_s)
    return None


def _look(load: Load, begun: float) -> samples.Sample:
    return samples.take(
        load.url,
        load.pid,
        load.streams,
        lambda: time.monotonic() - begun,
        load.clients.tallies,
    )


def _report(folder: Path) -> int:
    duration_s, cycle_s = map(float, (folder / "times").read_text().split())
    found = samples.read(folder / "samples.jsonl")
    skip_s = warm_up_s(min(duration_s, found[-1].at_s) if found else duration_s)
    report = make_report(found, skip_s, cycle_s)
    print_report(report)
    write_files(report, found, folder)
    plot(found, skip_s, cycle_s, folder / "plot.svg")
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
