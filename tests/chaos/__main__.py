"""Puts faults into a running service and prints what becomes of it.

python -m tests.chaos                          every scenario, 50 times each; `make chaos` is the same
python -m tests.chaos camera_killed --times 5  one of them, 5 times

A scenario that fails says so, and the next one runs. Exit code 1 if any did.

Other work on the machine takes frames away. --nice -10 (as root) puts the run before it, as in tests.soak.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
import time
import traceback
from typing import TYPE_CHECKING, cast

from tests.bench.table import print_table
from tests.chaos import SCENARIOS, Result, Scenario
from tests.rigs.priority import has_its_own_session, in_a_session_of_its_own, set_priority

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADER = ("scenario", "times", "took s", "", "figure")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--nice", type=int, metavar="N", help="from -20, first, to 19")
    given = parser.parse_args(arguments)
    unknown = set(given.scenarios) - set(SCENARIOS)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    if given.nice is not None:
        if not has_its_own_session():
            own = sys.argv[1:] if arguments is None else arguments
            return in_a_session_of_its_own("tests.chaos", own)
        set_priority(given.nice)
    results = []
    rows = []
    for name in given.scenarios or SCENARIOS:
        scenario = cast("Scenario", importlib.import_module(f"tests.chaos.{name}"))
        begun = time.monotonic()
        result = run_one(scenario, given.times)
        results.append(result)
        took = f"{time.monotonic() - begun:.0f}"
        verdict = "pass" if result.passed else "FAIL"
        rows.append((scenario.NAME, str(given.times), took, verdict, result.figure))
        rows.append(("", "", "", "", f"to reach: {scenario.PASS}"))
        print(f"{scenario.NAME}: {result.figure} ({took} s) {verdict}", flush=True)
        for note in result.notes:
            print(f"  {note}", flush=True)
    print_table("Faults, and what became of the service", HEADER, rows, text=(0, 4))
    return 0 if all(result.passed for result in results) else 1


def run_one(scenario: Scenario, times: int) -> Result:
    """A scenario that breaks down has failed, and does not keep the others from running."""
    print(f"{scenario.NAME} x {times} …", flush=True)
    try:
        return asyncio.run(scenario.run(times))
    except Exception as error:  # told in the table; the traceback stands above it
        traceback.print_exc()
        return Result(f"broke down: {type(error).__name__}", passed=False)


if __name__ == "__main__":
    sys.exit(main())
