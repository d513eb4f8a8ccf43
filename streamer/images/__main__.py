"""``python -P -m streamer.images MODELS MAX_PIXELS MEMORY_BYTES``: the process that analyses pictures.

It gives up what its work has no need of while it has one thread, before NumPy starts others and long before
somebody's picture comes; then it is ``worker``.
"""

import sys
from pathlib import Path

import streamer
from streamer.isolation.confinement import narrow
from streamer.isolation.landlock import CPU, RANDOM, Rights


def rights(models: str) -> Rights:
    """The interpreter, its packages, what the system's libraries are, and the models: nothing of ours that
    is worth reading. It is started anew, not forked, and has to load all of it."""
    program = (sys.prefix, sys.base_prefix, *sys.path, str(Path(streamer.__file__).parent))
    system = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", RANDOM)
    return Rights(reads=(*program, *system, *CPU, models), devices=("/dev/null",))


if __name__ == "__main__":
    models, *limits = sys.argv[1:]
    narrow(rights(models))

    from streamer.images.job import Limits
    from streamer.images.worker import main

    main(Limits(*map(int, limits)))
