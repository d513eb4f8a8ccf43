"""Published UDP ports, as a container's engine or a router forwards them: the same ports, another address."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    Address = tuple[str, int]

MAX_CLIENTS = 32


class _Back(asyncio.DatagramProtocol):
    """The way from inside back to one client."""

    def __init__(self, outside: asyncio.DatagramTransport, client: Address) -> None:
        self._outside = outside
        self._client = client

    def datagram_received(self, data: bytes, _: Address) -> None:
        self._outside.sendto(data, self._client)


class _Port(asyncio.DatagramProtocol):
    """One published port. Inside sees each client at an address of the forwarder's own."""

    def __init__(self, inside: Address) -> None:
        self.clients: dict[Address, asyncio.DatagramTransport] = {}
        self._inside = inside
        self._opening: dict[Address, asyncio.Task[None]] = {}

    def connection_made(self, transport: Any) -> None:
        self._outside: asyncio.DatagramTransport = transport

    def datagram_received(self, data: bytes, client: Address) -> None:
        if client in self.clients:
            self.clients[client].sendto(data)
        elif client not in self._opening and len(self._opening) < MAX_CLIENTS:
            self._opening[client] = asyncio.create_task(self._open(client, data))

    async def _open(self, client: Address, first: bytes) -> None:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Back(self._outside, client), remote_addr=self._inside
        )
        self.clients[client] = transport
        transport.sendto(first)

    async def close(self) -> None:
        await asyncio.gather(*self._opening.values())
        for each in (self._outside, *self.clients.values()):
            each.close()


class Forwarder:
    """``running_forwarder`` makes one."""

    def __init__(self) -> None:
        self.ports: list[_Port] = []

    @property
    def clients(self) -> int:
        """How many addresses have come in."""
        return sum(len(port.clients) for port in self.ports)


@asynccontextmanager
async def running_forwarder(outside: str, inside: str, ports: range) -> AsyncIterator[Forwarder]:
    """Forward all of ``ports`` at ``outside`` to the same at ``inside``."""
    loop, forwarder = asyncio.get_running_loop(), Forwarder()
    async with AsyncExitStack() as stack:
        for port in ports:
            _, protocol = await loop.create_datagram_endpoint(
                partial(_Port, (inside, port)), local_addr=(outside, port)
            )
            forwarder.ports.append(protocol)
            stack.push_async_callback(protocol.close)
        yield forwarder
