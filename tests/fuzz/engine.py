"""One target under atheris (libFuzzer), in a process of its own: ``python -m tests.fuzz.engine TARGET …``.

The arguments after the target are libFuzzer's. A hang is an input that takes a second of CPU: by the clock on
the wall, a busy machine would find some.
"""

import logging
import sys
import time
import warnings

import atheris

from tests.fuzz import targets

MAX_CPU_S = 1.0
INSTRUMENTED = ("streamer", "aiortc", "aioice")


class Hang(Exception):
    """An input took more than ``MAX_CPU_S``."""


def main() -> None:
    name = sys.argv.pop(1)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    with atheris.instrument_imports(include=list(INSTRUMENTED)):
        fuzz = targets.load(name)
    fuzz(b"")  # what is loaded at the first use is no part of an input's time

    def timed(data: bytes) -> None:
        began_s = time.process_time()
        fuzz(data)
        took_s = time.process_time() - began_s
        if took_s > MAX_CPU_S:
            raise Hang(f"an input of {len(data)} bytes took {took_s:.1f} s of CPU")

    atheris.Setup(sys.argv, timed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
