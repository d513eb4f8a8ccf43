"""``python -m tests.rigs.labelled DIR`` makes all clips; ``--quick``: those of the tests, in their cache."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.rigs.labelled.making import make_all, prepare_quick

parser = argparse.ArgumentParser(prog="python -m tests.rigs.labelled", description=__doc__)
where = parser.add_mutually_exclusive_group(required=True)
where.add_argument("folder", type=Path, nargs="?", help="for the clips and their manifest.toml")
where.add_argument("--quick", action="store_true", help="only the few that tests use")
arguments = parser.parse_args()
if arguments.quick:
    sys.stdout.write(f"{prepare_quick()}\n")
else:
    make_all(arguments.folder)
