"""npm packages for a browser: their CommonJS files in one script, since the tests have no bundler."""

from __future__ import annotations

import json
import re
from pathlib import Path

MODULES = Path(__file__).parents[1] / "node" / "node_modules"

_REQUIRE = re.compile(r"""\brequire\((['"])([^'"]+)\1\)""")
_LOADER = """
  const loaded = {};
  const load = (path) => {
    if (!loaded[path]) {
      const [run, names] = files[path];
      const module = (loaded[path] = { exports: {} });
      run.call(module.exports, module, module.exports, (name) => (names[name] ? load(names[name]) : {}));
    }
    return loaded[path].exports;
  };
  window.npm = (name) => load(packages[name]);
"""


def bundle(*packages: str, without: frozenset[str] = frozenset()) -> str:
    """A script that makes ``npm("name")`` return what the package of this name exports.

    Packages of ``without`` are empty, with all that they need.
    """
    files: dict[Path, dict[str, Path]] = {}
    entries = {name: _find(name, MODULES) for name in packages}
    left = list(entries.values())
    while left:
        file = left.pop()
        if file in files:
            continue
        names = {name for _, name in _REQUIRE.findall(file.read_text("utf-8"))} - without
        files[file] = {name: _find(name, file.parent) for name in names}
        left += files[file].values()
    parts = [
        f"{_quote(file)}: [{_function(file)}, {_names(names)}]" for file, names in files.items()
    ]
    table = ",\n".join(parts)
    return (
        f"(() => {{\nconst files = {{{table}}};\nconst packages = {_names(entries)};{_LOADER}}})();"
    )


def _find(name: str, folder: Path) -> Path:
    """The file that Node would load (of the ways there are, those that these packages use)."""
    path = folder / name if name.startswith(".") else MODULES / name
    if (path / "package.json").exists():
        path /= json.loads((path / "package.json").read_text("utf-8")).get("main", "index.js")
    for candidate in (path, path.with_name(f"{path.name}.js"), path / "index.js"):
        if candidate.is_file():
            return candidate.resolve()
    raise FileNotFoundError(f"{name} is not in {MODULES}: run tests/setup.sh")


def _function(file: Path) -> str:
    return f"function (module, exports, require) {{\n{file.read_text('utf-8')}\n}}"


def _names(names: dict[str, Path]) -> str:
    return json.dumps({name: str(file) for name, file in names.items()})


def _quote(file: Path) -> str:
    return json.dumps(str(file))
