"""Loopback helpers of the rigs."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def free_udp_ports(count: int) -> range:
    """Return so many UDP ports in a row that nobody has now, below those that the kernel gives out."""
    while True:
        first = random.randrange(20_000, 30_000 - count)
        ports = range(first, first + count)
        with ExitStack() as stack:
            try:
                for port in ports:
                    probe = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                    probe.bind(("0.0.0.0", port))
            except OSError:
                continue
        return ports
