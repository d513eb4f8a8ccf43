"""The output folder: what is finished, what is another's, and how outputs come under their names.

All work is done in the folder ``.streamer`` in it. There each finished input has a mark, a JSON file that
says of what and with which options its outputs were made.
"""

import contextlib
import glob
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamer.analyze.options import Input, Options

_WORK = ".streamer"


@dataclass(frozen=True, slots=True)
class Summary:
    """Of a finished input: ``seen``: frames with somebody in them; ``problem``: what could not be had, or
    nothing."""

    frames: int
    seen: int
    problem: str = ""


class TakenError(Exception):
    """Outputs of the same name exist that this run would not make."""


class Outputs:
    """The outputs in the folder ``out``. Plain data: it may go to other processes."""

    def __init__(self, out: Path, options: Options) -> None:
        self.out = out
        self.options = options

    def finished(self, each: Input, *, overwrite: bool) -> Summary | None:
        """What a run before has made of the same input with the same options, if it is all there.

        Raises TakenError where its outputs' names are taken by others, unless these are to be overwritten.
        """
        mark = _read_mark(self._mark(each))
        wanted = self._names(each, each.suffixes(self.options))
        there = [name for name in wanted if (self.out / name).exists()]
        if mark is not None and mark["finished"]:
            if (mark["input"], mark["options"]) != (_fingerprint(each), self.options.key()):
                if there and not overwrite:
                    raise TakenError(f"{there[0]} was made of another input or with other options")
            elif there == wanted:
                return Summary(mark["frames"], mark["seen"], mark["problem"])
        foreign = [name for name in there if mark is None or name not in mark["outputs"]]
        if foreign and not overwrite:
            raise TakenError(f"{foreign[0]} is there already")
        return None

    def written(self) -> set[Path]:
        """All outputs that have a mark."""
        marks = (self.out / _WORK).rglob("*.json") if (self.out / _WORK).is_dir() else iter(())
        return {
            (self.out / name).resolve()
            for path in marks
            if (mark := _read_mark(path)) is not None
            for name in mark["outputs"]
        }

    def begin(self, each: Input) -> Path:
        """The folder for the input's parts, with those that an interrupted run left; those of other
        options are removed. Raises OSError."""
        folder = self.parts(each)
        for old in self._all_parts(each):
            if old != folder:
                shutil.rmtree(old)
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("*.new"):
            path.unlink()
        return folder

    def tidy(self, each: Input) -> None:
        """Removes what tasks that failed had begun; the finished parts stay for the next run. Call it
        while nobody works on the input."""
        for folder in self._all_parts(each):
            for path in folder.glob("*.new"):
                path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # there are finished parts in it
                folder.rmdir()

    def parts(self, each: Input) -> Path:
        key = json.dumps([_fingerprint(each), self.options.key()], sort_keys=True)
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        return self.out / _WORK / f"{each.stem}.parts-{digest}"

    def discard(self, each: Input) -> None:
        """Removes its parts; what can't be removed stays until the next run."""
        for folder in self._all_parts(each):
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, each: Input, files: Mapping[str, Path], summary: Summary) -> None:
        """Brings finished files under their names: suffix -> where it is now. A mark says before whose they
        will be, and after that they are whole. Raises OSError."""
        names = self._names(each, files)
        mark = {
            "input": _fingerprint(each),
            "options": self.options.key(),
            "outputs": names,
            "finished": False,
            "frames": summary.frames,
            "seen": summary.seen,
            "problem": summary.problem,
        }
        before = _read_mark(self._mark(each))
        for path in files.values():
            sync(path)
        write_json(self._mark(each), mark)
        for name in before["outputs"] if before else ():
            if name not in names:
                (self.out / name).unlink(missing_ok=True)
        for name, path in zip(names, files.values(), strict=True):
            (self.out / name).parent.mkdir(parents=True, exist_ok=True)
            path.replace(self.out / name)
        write_json(self._mark(each), mark | {"finished": True})
        self.discard(each)

    def _all_parts(self, each: Input) -> list[Path]:
        """Those of other options too. It does not look at the input, which may be gone."""
        beside = (self.out / _WORK / each.stem).parent
        return list(beside.glob(f"{glob.escape(Path(each.stem).name)}.parts-*"))

    def _mark(self, each: Input) -> Path:
        return self.out / _WORK / f"{each.stem}.json"

    def _names(self, each: Input, suffixes: Iterable[str]) -> list[str]:
        return [f"{each.stem}{suffix}" for suffix in suffixes]


def write_json(path: Path, value: Any) -> None:
    """In one step. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    try:
        with new.open("w", encoding="utf-8") as file:
            json.dump(value, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def _read_mark(path: Path) -> dict[str, Any] | None:
    try:
        mark: dict[str, Any] = json.loads(path.read_text("utf-8"))
        _ = {*mark["outputs"], mark["input"]["path"], mark["finished"], mark["problem"]}
        return mark
    except (OSError, ValueError, KeyError, TypeError):
        return None  # none, or not ours: its outputs count as another's


def _fingerprint(each: Input) -> dict[str, Any]:
    """Which file it is, and in which state."""
    status = each.path.stat()
    return {
        "path": str(each.path),
        "name": each.name,
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
    }


def sync(path: Path) -> None:
    """Down to the disk. Raises OSError."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
