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


class BadEntry(Exception):
    """An entry that proves nothing: it has to be mended before anything is run."""


@dataclass(frozen=True, slots=True)
class Control:
    """``search`` in ``file``, once, becomes ``replace``; one of ``tests`` (pytest's ids) then has to fail."""

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
        for entry in tomllib.loads(file.read_text("utf-8"))["control"]:
            try:
                controls.append(Control(**entry | {"tests": tuple(entry["tests"])}))
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
