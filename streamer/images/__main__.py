"""``python -P -m streamer.images MAX_PIXELS MEMORY_BYTES MODELS...``: the process that analyses pictures.

It gives up what its work has no need of while it has one thread, before NumPy starts others and long before
somebody's picture comes; then it is ``worker``.
"""

import sys
from pathlib import Path

import streamer
from streamer.isolation.confinement import narrow
from streamer.isolation.landlock import CPU, RANDOM, Rights


def rights(*models: str) -> Rights:
    """The interpreter, its packages, what the system's libraries are, and the models: nothing of ours that
    is worth reading. It is started anew, not forked, and has to load all of it."""
    program = (sys.prefix, sys.base_prefix, *_packages())
    system = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", RANDOM)
    return Rights(reads=(*program, *system, *CPU, *models), devices=("/dev/null",))


def _packages() -> list[str]:
    """Of a checkout the package alone: beside it lie a person's own files, a configuration with passwords
    among them. Elsewhere the other packages do."""
    package = Path(streamer.__file__).resolve().parent
    if not (package.parent / "pyproject.toml").exists():
        return [*sys.path, str(package)]
    others = (each for each in sys.path if Path(each).resolve() != package.parent)
    return [*others, str(package)]


if __name__ == "__main__":
    limits, models = sys.argv[1:3], sys.argv[3:]
    narrow(rights(*models))

    from streamer.images.job import Limits
    from streamer.images.worker import main

    main(Limits(*map(int, limits)))
