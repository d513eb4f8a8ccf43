"""One module for each target: its ``fuzz`` takes whatever bytes, and raises only when something is wrong.

What a target may meet it handles itself: the errors that the code under it says it raises.
"""

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules

Fuzz = Callable[[bytes], None]

NAMES = sorted(each.name for each in iter_modules(__path__))


def load(name: str) -> Fuzz:
    """Imports the target, and with it the code that it feeds."""
    fuzz: Fuzz = import_module(f"{__name__}.{name}").fuzz
    return fuzz
