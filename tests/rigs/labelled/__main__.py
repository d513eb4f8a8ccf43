"""``python -m tests.rigs.labelled DIR [--quick]``"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.rigs.labelled.making import make_all

parser = argparse.ArgumentParser(prog="python -m tests.rigs.labelled", description=__doc__)
parser.add_argument("folder", type=Path, help="for the clips and their manifest.toml")
parser.add_argument("--quick", action="store_true", help="only the few that tests use")
arguments = parser.parse_args()
make_all(arguments.folder, quick=arguments.quick)
