"""How the configuration is put together.

Defaults, then the TOML file, then ``STREAMER_<SECTION>__<KEY>`` variables, then the command line. It is
parsed once.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from streamer.config import SOURCES, Config, fault_of, key_of
from streamer.errors import ConfigError

ENV_PREFIX = "STREAMER_"


def load_config(
    file: Path | None, environ: Mapping[str, str] = os.environ, overrides: Mapping[str, Any] = {}
) -> Config:
    """``overrides``: section -> {key: value}, from the command line. Raises ConfigError."""
    sources: list[tuple[str, Mapping[str, Any]]] = []
    if file is not None:
        sources.append((str(file), _read_toml(file)))
    sources.append(("environment variable", _from_environment(environ)))
    sources.append(("command line", overrides))
    merged: dict[str, Any] = {}
    origin: dict[tuple[str, ...], str] = {}
    for name, tree in sources:
        _merge(merged, tree, name, origin, ())
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(_explain_with_origin(error, origin)) from error


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not valid TOML: {error}") from error


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """``STREAMER_POSE__NUM_POSES=2`` -> {"pose": {"num_poses": 2}}. A value is read as TOML; what is
    not TOML is text. Other variables with the prefix but no ``__`` (a folder, say) are not settings."""
    tree: dict[str, Any] = {}
    for name, text in environ.items():
        section, separator, key = name.removeprefix(ENV_PREFIX).lower().partition("__")
        if not name.startswith(ENV_PREFIX) or not separator:
            continue
        tree.setdefault(section, {})[key] = _toml_value(section, key, text)
    return tree


def _toml_value(section: str, key: str, text: str) -> Any:
    model = Config.model_fields[section].annotation if section in Config.model_fields else None
    fields = getattr(model, "model_fields", {})
    if key in fields and fields[key].annotation is str:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _merge(
    into: dict[str, Any],
    tree: Mapping[str, Any],
    name: str,
    origin: dict[tuple[str, ...], str],
    path: tuple[str, ...],
) -> None:
    for key, value in tree.items():
        here = (*path, key)
        if isinstance(value, Mapping) and isinstance(into.get(key, {}), dict):
            origin.setdefault(here, name)
            _merge(into.setdefault(key, {}), value, name, origin, here)
        else:
            into[key] = value
            origin[here] = name


def _explain_with_origin(error: ValidationError, origin: Mapping[tuple[str, ...], str]) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        path = tuple(str(part) for part in problem["loc"])
        name = next((origin[path[:n]] for n in range(len(path), 0, -1) if path[:n] in origin), "")
        text = fault_of(problem)
        if problem["type"] == "extra_forbidden":
            text = f"there is no such key; allowed here: {', '.join(_keys_beside(path))}"
        lines.append(f"{name + ': ' if name else ''}{key_of(path) or 'configuration'}: {text}")
    return "\n".join(lines)


def _keys_beside(path: tuple[str, ...]) -> list[str]:
    model: Any = Config
    for part in path[:-1]:
        if part.isdigit():
            continue
        if part not in model.model_fields:  # the type of a source, which pydantic names in the path
            model = SOURCES[part]
            continue
        annotation = model.model_fields[part].annotation
        arguments = [a for a in getattr(annotation, "__args__", ()) if hasattr(a, "model_fields")]
        model = arguments[0] if arguments else annotation
    return sorted(model.model_fields)
