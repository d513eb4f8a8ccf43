"""What the networks leave behind."""

import ctypes
import functools
import sys
from collections.abc import Callable


def give_back_memory() -> None:
    """glibc keeps what the networks' threads have freed: 600 MB after forty sessions, of which 20 are in
    use. This gives it back to the system; other C libraries do so by themselves."""
    _malloc_trim()(0)


@functools.cache
def _malloc_trim() -> Callable[[int], object]:
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    return getattr(libc, "malloc_trim", lambda keep_bytes: None)
