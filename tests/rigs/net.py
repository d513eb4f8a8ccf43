"""Loopback helpers of the rigs."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack, suppress
from typing import Final

_OURS: Final = (20_000, 30_000)


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nothing listens on now. It is below those that the kernel gives
    out: until it is bound, no connection or other server on this busy machine gets it by chance."""
    while True:
        port = random.randrange(*_OURS)
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
            probe.bind(("127.0.0.1", port))
            return port


def free_udp_ports(count: int) -> range:
    """Return so many UDP ports in a row that nobody has now, below those that the kernel gives out."""
    while True:
        first = random.randrange(_OURS[0], _OURS[1] - count)
        ports = range(first, first + count)
        with ExitStack() as stack:
            try:
                for port in ports:
                    probe = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                    probe.bind(("0.0.0.0", port))
            except OSError:
                continue
        return ports
