"""The list of controls, and what is wrong with an entry of it."""

from __future__ import annotations

import ast
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = Path(__file__).resolve().parent
DOCUMENT: Final = ROOT / "docs" / "security.md"
BEGIN: Final = "<!-- These tables are made: python -m tests.controls --document -->"
END: Final = "<!-- Their end -->"


class BadEntry(Exception):
    """An entry that proves nothing: it has to be mended before anything is run."""


@dataclass(frozen=True, slots=True)
class Control:
    """``search`` in ``file``, once, becomes ``replace``; one of ``tests`` (pytest's ids) then has to fail.
    ``area``: the title of the list that it stands in."""

    area: str
    name: str
    file: str
    search: str
    replace: str
    tests: tuple[str, ...]

    def without(self, text: str) -> str:
        """The file's ``text`` without this control. Raises BadEntry."""
        count = text.count(self.search)
        if count != 1:
            raise BadEntry(f"{self.name}: its search text stands {count} times in {self.file}")
        changed = text.replace(self.search, self.replace)
        if changed == text:
            raise BadEntry(f"{self.name}: the edit changes nothing")
        if self.file.endswith(".py"):
            try:
                ast.parse(changed)
            except SyntaxError as error:
                raise BadEntry(f"{self.name}: the edit leaves no sound Python: {error}") from error
        return changed

    def check(self) -> None:
        """Raises BadEntry when it can't be run as it stands."""
        self.without((ROOT / self.file).read_text("utf-8"))
        if not self.tests:
            raise BadEntry(f"{self.name}: no test holds it")
        for test in self.tests:
            path, *names = test.partition("[")[0].split("::")
            if len(names) != 1 or names[0] not in _tests_in(ROOT / path):
                raise BadEntry(f"{self.name}: there is no test {test}")


def load_controls() -> list[Control]:
    """In the order of the files' names. Raises BadEntry for one that is not complete, or there twice."""
    controls: list[Control] = []
    for file in sorted(FOLDER.glob("*.toml")):
        listed = tomllib.loads(file.read_text("utf-8"))
        for entry in listed["control"]:
            try:
                entry |= {"area": listed["title"], "tests": tuple(entry["tests"])}
                controls.append(Control(**entry))
            except (TypeError, KeyError) as error:
                raise BadEntry(f"{file.name}: {entry.get('name')}: {error}") from error
    names = [control.name for control in controls]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadEntry(f"there twice: {', '.join(twice)}")
    return controls


@cache
def _tests_in(file: Path) -> frozenset[str]:
    if not file.is_file():
        return frozenset()
    tree = ast.parse(file.read_text("utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, functions))


def as_markdown(controls: list[Control]) -> str:
    """A table for each area."""
    lines: list[str] = []
    area = ""
    for control in controls:
        if control.area != area:
            area = control.area
            lines += ["", f"### {area}", "", "| control | where | held by |", "|---|---|---|"]
        where = f"[`{control.file.removeprefix('streamer/')}`](../{control.file})"
        held = "<br>".join(
            f"[`{name}`](../{path})"
            for path, _, name in (test.partition("::") for test in control.tests)
        )
        lines.append(f"| {control.name} | {where} | {held} |")
    return "\n".join([*lines, ""])


def documented(text: str, controls: list[Control]) -> str:
    """The text of docs/security.md with the tables as they are now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{as_markdown(controls)}\n{END}{after}"
