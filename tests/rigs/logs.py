"""What a command of ours, run in this process, does to logging, undone."""

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def logging_kept() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("streamer")
    before = (root.level, ours.level, root.handlers[:])
    try:
        yield
    finally:
        root.setLevel(before[0])
        ours.setLevel(before[1])
        root.handlers[:] = before[2]
