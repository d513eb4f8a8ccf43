"""Roles for tests of the children: they echo, hang, die and lie."""

import os

from streamer.isolation.worker import Worker


def main(worker: Worker) -> None:
    while True:
        header, body = worker.receive()
        _DEEDS[header["do"]](worker, bytes(body))


def _echo(worker: Worker, body: bytes) -> None:
    worker.send({"pid": os.getpid()}, body)


_DEEDS = {"echo": _echo}
