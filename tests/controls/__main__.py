"""``make controls``: take away each control in turn, and see a test fail. ARGS: parts of the names to run."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from tests.controls.entries import DOCUMENT, ROOT, BadEntry, Control, documented, load_controls

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TIMEOUT_S: Final = 300.0
"""For the tests of one control; those of all of them have as much for each."""

PATIENCE_S: Final = 20.0
"""What tests here wait for mostly does not come."""

TEST_TIMEOUT_S: Final = 60.0
"""For one test: some go on for ever without their control."""

HELD_BY: Final = ("AssertionError", "assert ", "Failed", "TimeoutError", "streamer.")
"""How a test fails that notices: what it asserts does not hold, an error or an event does not come, or an
error of ours that should not have. A program that is merely broken fails with others, and proves nothing."""

_NOT_COPIED: Final = shutil.ignore_patterns(
    ".git", ".venv*", "node_modules", ".cache", "build", "__pycache__", "*_cache", "*.egg-info"
)
_SHARED: Final = (".venv", ".cache", "tests/node/node_modules")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make controls", description=__doc__)
    parser.add_argument(
        "names", nargs="*", help="parts of names or of areas; all of them without any"
    )
    parser.add_argument(
        "--quick", action="store_true", help="don't see first that all tests pass as things are"
    )
    parser.add_argument(
        "--document", action="store_true", help="renew the tables of docs/security.md"
    )
    parsed = parser.parse_args(arguments)
    wanted = parsed.names
    try:
        controls = [
            each
            for each in load_controls()
            if not wanted
            or any(part.lower() in f"{each.area} {each.name}".lower() for part in wanted)
        ]
        for control in controls:
            control.check()
        if parsed.document:
            text = documented(DOCUMENT.read_text("utf-8"), load_controls())
            DOCUMENT.write_text(text, "utf-8")
            return 0
    except BadEntry as error:
        print(f"tests/controls: {error}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="streamer-controls-") as folder:
        trees = [_copy_tree(Path(folder) / str(n) / "tree") for n in range(os.cpu_count() or 1)]
        return _run_all(controls, trees, quick=parsed.quick)


def _run_all(controls: Sequence[Control], trees: Sequence[Path], *, quick: bool) -> int:
    """As many controls at once as there are ``trees``, in each of which one is taken away."""
    all_tests = sorted({test for control in controls for test in control.tests})
    if not quick:
        limit_s = TIMEOUT_S * len(controls)
        passed, failures, said = _run_tests(trees[0], all_tests, timeout_s=limit_s)
        if passed == 0 or failures:
            print(f"With all controls in place these must pass:\n{said}", file=sys.stderr)
            return 2
        print(f"{passed} tests pass with all controls in place")
    width = max(len(control.name) for control in controls)
    unnoticed = 0
    free: SimpleQueue[Path] = SimpleQueue()
    for tree in trees:
        free.put(tree)

    def try_without(control: Control) -> tuple[str | None, float]:
        tree, start_s = free.get(), time.monotonic()
        try:
            return _remove(control, tree), time.monotonic() - start_s
        finally:
            free.put(tree)

    with ThreadPoolExecutor(len(trees)) as pool:
        for control, (problem, took_s) in zip(
            controls, pool.map(try_without, controls), strict=True
        ):
            unnoticed += problem is not None
            print(f"{control.name:<{width}}  {problem or 'held'}  ({took_s:.1f} s)", flush=True)
    print(f"{len(controls) - unnoticed} of {len(controls)} controls are held: ", end="")
    print("FAIL" if unnoticed else "pass")
    return 1 if unnoticed else 0


def _remove(control: Control, tree: Path) -> str | None:
    """What is wrong once the control is gone; None when a test noticed."""
    file = tree / control.file
    text = file.read_text("utf-8")
    file.write_text(control.without(text), "utf-8")
    try:
        if control.file.endswith(".py") and (undefined := _undefined_names(file)):
            return f"BROKEN EDIT: {undefined}"
        passed, failures, _ = _run_tests(tree, control.tests, "--exitfirst")
    except subprocess.TimeoutExpired:
        return f"NO END within {TIMEOUT_S:g} s"
    finally:
        file.write_text(text, "utf-8")
    if any(failure.startswith(HELD_BY) for failure in failures):
        return None
    if failures:
        return f"BROKEN, NOT NOTICED: {failures[0][:200]}"
    return f"REMOVED UNNOTICED: {passed} tests passed"


def _run_tests(
    tree: Path, tests: Iterable[str], *options: str, timeout_s: float = TIMEOUT_S
) -> tuple[int, list[str], str]:
    """How many passed, why the others did not, and what pytest said. Raises TimeoutExpired."""
    report = tree.parent / "report.xml"
    report.unlink(missing_ok=True)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider"),
            *("--tb=short", f"--junitxml={report}", "-o", f"timeout={TEST_TIMEOUT_S:g}"),
            *(*options, *tests),
        ],
        cwd=tree,
        env={
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "1",
            "TESTS_PATIENCE_S": f"{PATIENCE_S:g}",
        },
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    if not report.exists():
        return 0, [done.stdout[-500:] + done.stderr[-500:]], done.stdout
    cases = list(ET.parse(report).iter("testcase"))
    bad = [case.find(kind) for case in cases for kind in ("failure", "error")]
    reasons = [each.get("message", "?") for each in bad if each is not None]
    return len(cases) - len(reasons), reasons, done.stdout


def _undefined_names(file: Path) -> str:
    """An edit that leaves a name without a meaning would fail any test."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--select=F821",
            "--isolated",
            "--quiet",
            str(file),
        ],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    return done.stdout.strip() if done.returncode else ""


def _copy_tree(target: Path) -> Path:
    shutil.copytree(ROOT, target, ignore=_NOT_COPIED, symlinks=True)
    for name in _SHARED:
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).symlink_to(ROOT / name)
    return target


if __name__ == "__main__":
    raise SystemExit(main())
