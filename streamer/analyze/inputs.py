"""Which files are meant by the arguments, and what their outputs are called."""

import glob
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import chain, count
from pathlib import Path, PurePath

from streamer.analyze.options import SUFFIXES, Input

VIDEO_SUFFIXES = frozenset(
    ".3gp .asf .avi .flv .gif .h264 .h265 .hevc .m2ts .m4v .mjpeg .mkv .mov .mp4 .mpeg .mpg .mts .mxf"
    " .ogv .ts .vob .webm .wmv".split()
)
PICTURE_SUFFIXES = frozenset(".bmp .heic .heif .jfif .jpeg .jpg .png .tif .tiff .webp".split())
"""What is taken from folders and globs. A file named by itself is tried whatever it is called."""

Missing = tuple[str, str]
"""An argument, and why it stands for no file."""


def find_inputs(
    arguments: Sequence[str], out: Path, outputs: Set[Path] = frozenset()
) -> tuple[list[Input], list[Missing]]:
    """The files in the arguments' order, those of a folder (and of its folders) by name, each once; and
    the arguments that stand for none. ``outputs``: files that we wrote ourselves, which are left out, as
    is all that lies in ``out`` where a folder was given."""
    found: dict[Path, str] = {}
    missing: list[Missing] = []
    for argument in arguments:
        try:
            files = list(_expand(argument, out.resolve()))
        except OSError as error:  # a name that is too long, a folder that is not ours
            missing.append((argument, error.strerror or str(error)))
            continue
        if not files:
            missing.append((argument, _why_nothing(argument)))
        for path, name in files:
            if path.resolve() not in outputs:
                found.setdefault(path.resolve(), name)
    return list(_named(found, out.resolve())), missing


def _expand(argument: str, out: Path) -> Iterator[tuple[Path, str]]:
    """Files, and what they are called."""
    path = Path(argument)
    if path.is_dir():
        yield from _in_folder(path, out)
    elif path.exists():
        if path.is_file():
            yield path, path.name
    elif glob.has_magic(argument):
        for match in sorted(map(Path, glob.glob(argument, recursive=True))):
            if match.is_file() and _is_media(match):
                yield match, match.name


def _in_folder(folder: Path, out: Path) -> Iterator[tuple[Path, str]]:
    is_in_out = folder.resolve() != out and folder.resolve() in out.parents
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        is_hidden = any(part.startswith(".") for part in name.parts)
        if is_hidden or not _is_media(path) or not path.is_file():
            continue
        if not (is_in_out and out in path.resolve().parents):
            yield path, name.as_posix()


def _is_media(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES | PICTURE_SUFFIXES


def _why_nothing(argument: str) -> str:
    path = Path(argument)
    if path.is_dir():
        return "there are no videos or pictures in this folder"
    if path.exists():
        return "this is no file"
    if glob.has_magic(argument):
        return "no video or picture matches this"
    return "there is no such file"


def _named(found: dict[Path, str], out: Path) -> Iterator[Input]:
    """Each gets outputs of its own: where two would have the same, their suffix becomes a part of the
    name (``clip_mp4``), and then a number. No output takes an input's place. Letters' case does not
    count, as on some systems."""
    plain = {path: PurePath(name).with_suffix("").as_posix() for path, name in found.items()}
    uses = Counter(stem.casefold() for stem in plain.values())
    taken: set[str] = set()
    for path, name in found.items():
        full = "_".join(name.rsplit(".", 1))
        alone: Iterable[str] = [plain[path]] if uses[plain[path].casefold()] == 1 else []
        candidates = chain(alone, [full], (f"{full}-{number}" for number in count(2)))
        stem = next(
            stem
            for stem in candidates
            if stem.casefold() not in taken
            and not any(out / f"{stem}{suffix}" in found for suffix in SUFFIXES)
        )
        taken.add(stem.casefold())
        yield Input(path, name, path.suffix.lower() in PICTURE_SUFFIXES, stem)
