"""Any role's child that was taken over: it tries what its orders name, and tells how each try ended."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamer.isolation.worker import Worker

ORDERS: Final = "TAKEN_OVER"
"""The environment's: what to try, as JSON. The fork server hands it on if it was started with it."""

_FIONREAD: Final = 0x541B  # which a device that is no terminal does not know


class Report(Exception):
    """JSON: of each try the error's name, or "done"; first those of the child's first thread."""


def main(worker: Worker) -> None:
    """Its last words, which its parent puts into the log."""
    worker.receive()
    orders = json.loads(os.environ[ORDERS])
    told = [_try_all(orders)]
    other = threading.Thread(target=lambda: told.append(_try_all(orders)))
    other.start()
    other.join()
    raise Report(json.dumps(told))


def _try_all(orders: dict[str, list[Any]]) -> dict[str, str]:
    return {
        f"{do} {what}": _how(_DEEDS[do], what) for do, those in orders.items() for what in those
    }


def _how(deed: Callable[[Any], object], what: Any) -> str:
    try:
        deed(what)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


def _read(path: str) -> None:
    os.close(os.open(path, os.O_RDONLY))


def _write(path: str) -> None:
    os.close(os.open(path, os.O_RDWR))


def _make(path: str) -> None:
    os.mkdir(path)


def _steer(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, _FIONREAD)
    finally:
        os.close(descriptor)


def _connect(port: int) -> None:
    with socket.socket() as tcp:  # by itself: create_connection() would first import more
        tcp.connect(("127.0.0.1", port))


def _listen(port: int) -> None:
    with socket.socket() as tcp:
        tcp.bind(("127.0.0.1", port))


def _speak(name: str) -> None:
    with socket.socket(socket.AF_UNIX) as abstract:
        abstract.connect(f"\0{name}")


def _run(path: str) -> None:
    os.posix_spawn(path, [path], {})


_DEEDS: Final[dict[str, Callable[[Any], object]]] = {
    **{"read": _read, "write": _write, "make": _make, "steer": _steer, "list": os.listdir},
    **{"connect": _connect, "listen": _listen, "speak": _speak, "run": _run},
    "signal": lambda pid: os.kill(pid, 0),
    "signal parent": lambda _: os.kill(os.getppid(), 0),
    "signal itself": lambda _: os.kill(os.getpid(), 0),
}
