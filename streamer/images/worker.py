"""What the process that analyses pictures does, once ``__main__`` has given up its rights.

It reads jobs on standard input and answers each on standard output (see ``job.py``), one after another,
and ends when its input does. It is lower in priority than the live streams, and bounded in memory.
"""

import json
import logging
import os
import signal
import sys
from dataclasses import asdict
from typing import Any, BinaryIO, Final

from streamer.errors import StreamerError
from streamer.images.analysis import Analyst
from streamer.images.decoding import prepare_decoders
from streamer.images.job import LENGTHS, Job, Limits, pack

logger = logging.getLogger(__name__)

NICENESS: Final = 15
"""Of 19: next to nothing while live streams want the processor, all of it when they don't."""

READY: Final = {"ready": True}


def main(limits: Limits) -> None:
    answers = _keep_stdout()
    _be_modest(limits)
    prepare_decoders(limits.max_pixels)
    analyst = Analyst(limits.max_pixels)
    try:
        _write(answers, READY)
        while (message := _read(sys.stdin.buffer)) is not None:
            _write(answers, *_answer(analyst, *message))
    except BrokenPipeError:
        pass  # the service is gone
    finally:
        analyst.close()


def _keep_stdout() -> BinaryIO:
    """Standard output for answers only: what a library prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _be_modest(limits: Limits) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the service, which then ends us
    if sys.platform == "win32":
        return
    import resource

    # On Linux a priority is a thread's. Of the group, which is this process alone, it is that of the
    # threads that NumPy has started, and MediaPipe's threads inherit it. Of a service that yields more it
    # can't be raised again.
    os.setpriority(os.PRIO_PGRP, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
    if sys.platform == "linux":  # elsewhere it counts other things
        resource.setrlimit(resource.RLIMIT_DATA, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # somebody's picture would lie in it


def _answer(analyst: Analyst, job: dict[str, Any], picture: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        analysis = asdict(analyst.analyse(picture, Job(**job)))
    except StreamerError as error:
        return {"error": error.kind, "detail": str(error)}, b""
    return analysis, analysis.pop("picture")


def _read(source: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """None at the end."""
    lengths = source.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    header_bytes, body_bytes = LENGTHS.unpack(lengths)
    header = source.read(header_bytes)
    body = source.read(body_bytes)
    return (json.loads(header), body) if len(body) == body_bytes else None


def _write(target: BinaryIO, header: dict[str, Any], body: bytes = b"") -> None:
    for part in pack(header, body):
        target.write(part)
    target.flush()
