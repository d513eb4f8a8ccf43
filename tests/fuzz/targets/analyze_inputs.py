"""Arguments of ``streamer analyze``, in a folder with files of odd names."""

import os
import tempfile
from pathlib import Path

from streamer.analyze.inputs import find_inputs
from tests.fuzz.pieces import records

_FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-"))
for _name in ("a.mp4", "A.MP4", "a.mov", "b c.png", "[x].jpg", ".hidden.mp4", "in/a.mp4", "x-2"):
    (_FOLDER / _name).parent.mkdir(exist_ok=True)
    (_FOLDER / _name).touch()
os.symlink(_FOLDER, _FOLDER / "in" / "loop")


def fuzz(data: bytes) -> None:
    arguments = [os.fsdecode(each).replace("\0", "") for each in records(data)]
    # Elsewhere, and through the loop, a pattern may well take long, and that is what was asked for.
    safe = [each for each in arguments if ".." not in each and "**" not in each]
    found, missing = find_inputs([f"{_FOLDER}/{each}" for each in safe], _FOLDER / "out")
    stems = [each.stem.casefold() for each in found]
    assert len(set(stems)) == len(stems)
    assert len(found) + len(missing) >= bool(safe)
