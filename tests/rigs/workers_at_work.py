"""A role for tests of the children: it echoes, hangs, dies and lies as it is told."""

import contextlib
import ctypes
import json
import os
import resource
import signal
import stat
import struct
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from streamer.isolation.memory import TO_CHILD
from streamer.isolation.worker import Worker

if TYPE_CHECKING:
    from streamer.isolation.channel import Channel


def main(worker: Worker) -> None:
    while True:
        header, body = worker.receive()
        channel: Channel = worker._channel
        match header["do"]:
            case "echo":
                worker.send({"told": header.get("tell")}, body)
            case "tell of yourself":
                worker.send(_myself())
            case "die":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "fail":
                raise ValueError("a fault in our own code")
            case "hang":
                with worker.working(0.1):
                    time.sleep(60)
            case "let no thread run":
                ctypes.PyDLL(None).sleep(60)  # it keeps the interpreter's lock
            case "take all memory":
                worker.send({"got": len(b"x" * header["bytes"])})
            case "take the ground away":
                os.ftruncate(_memory_descriptor(), 0)
            case "say":
                channel._writing.sendall(bytes.fromhex(header["hex"]))
            case "take what was not given":
                channel.memory.set_taken(TO_CHILD, 1000)
                worker.send({})


def message(header: object, body_bytes: int = 0, header_bytes: int | None = None) -> str:
    """In hex, for "say": it may be as wrong as one likes."""
    text = json.dumps(header).encode()
    size = len(text) if header_bytes is None else header_bytes
    return (struct.pack("=II", size, body_bytes) + text).hex()


def _myself() -> dict[str, Any]:
    return {
        "environment": sorted(os.environ),
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "group": os.getpgid(0) == os.getpid(),
        "sockets": sum(stat.S_ISSOCK(os.fstat(each).st_mode) for each in _descriptors()),
    }


def _descriptors() -> Iterator[int]:
    """Those that are open. A child may not read the folder in which they stand."""
    for each in range(resource.getrlimit(resource.RLIMIT_NOFILE)[0]):
        with contextlib.suppress(OSError):
            os.fstat(each)
            yield each


def _memory_descriptor() -> int:
    for each in _descriptors():
        if os.readlink(f"/proc/self/fd/{each}").startswith("/memfd:streamer-worker"):
            return each
    raise LookupError("no shared memory")
