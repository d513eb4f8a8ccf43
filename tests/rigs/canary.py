"""Places that nobody may visit, and who did: sockets on loopback, and what Python itself connects to."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import sys
from typing import TYPE_CHECKING, Any, Self

from tests.rigs.net import free_port

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

_ATTEMPTS = 20

_watching: list[Canary] = []
_is_hooked = False


class Canary:
    """TCP and UDP at one ``port`` (and UDP at the next) of ``addresses``, all of them loopback's; a context
    manager. ``allowed``: addresses that Python may connect to meanwhile, besides; all other attempts are
    visits, wherever they lead: nothing has to listen there."""

    def __init__(self, addresses: Iterable[str], allowed: Iterable[str]) -> None:
        self._addresses = tuple(addresses)
        self._allowed = frozenset(allowed)
        self._tcp: list[socket.socket] = []
        self._udp: list[socket.socket] = []
        self._attempts: list[str] = []
        self.port = 0

    def __enter__(self) -> Self:
        for _ in range(_ATTEMPTS):
            self.port = free_port()
            with contextlib.suppress(OSError):  # somebody has it at one of the addresses
                self._listen()
                break
            self._close()
        else:
            raise RuntimeError("no port is free at all of the addresses")
        _watch(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _watching.remove(self)
        self._close()

    def visits(self) -> list[str]:
        """Who came since the last call. What is in the kernel's queues counts."""
        found, self._attempts = self._attempts, []
        for tcp in self._tcp:
            with contextlib.suppress(BlockingIOError):
                while True:
                    visitor, _ = tcp.accept()
                    visitor.close()
                    found.append(f"TCP {tcp.getsockname()}")
        for udp in self._udp:
            with contextlib.suppress(BlockingIOError):
                while True:
                    data = udp.recv(65536)
                    found.append(f"UDP {udp.getsockname()}: {data[:16].hex()}")
        return found

    def note(self, address: str, what: str) -> None:
        """An attempt of this process."""
        if address not in self._allowed:
            self._attempts.append(f"{what} {address}")

    def _listen(self) -> None:
        for address in self._addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            self._tcp.append(
                socket.create_server((address, self.port), family=family, backlog=1024)
            )
            for port in (self.port, self.port + 1):
                udp = socket.socket(family, socket.SOCK_DGRAM)
                self._udp.append(udp)
                udp.bind((address, port))
        for each in (*self._tcp, *self._udp):
            each.setblocking(False)

    def _close(self) -> None:
        for each in (*self._tcp, *self._udp):
            each.close()
        self._tcp.clear()
        self._udp.clear()


def _watch(canary: Canary) -> None:
    global _is_hooked
    _watching.append(canary)
    if not _is_hooked:  # a hook can't be taken away again
        sys.addaudithook(_hear)
        _is_hooked = True


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching or event not in ("socket.connect", "socket.sendto"):
        return
    where = arguments[1]
    if not isinstance(where, tuple):
        return  # a socket of this machine's file system
    with contextlib.suppress(ValueError):
        address = str(ipaddress.ip_address(str(where[0]).partition("%")[0]))
        for canary in _watching:
            canary.note(address, event)
