"""A bad network for everything, not just for WebRTC: a namespace of its own behind a wire that loses packets.

A TUN device on either side, and between them this program, which carries each packet as
``tests.rigs.impairment`` says. No kernel module for it is needed, but root is.

    async with strung_wire() as wire:
        wire.change(Conditions(loss=0.05))
        run(*wire.inside, "curl", f"http://{wire.here}:8080/")
"""

from __future__ import annotations

import asyncio
import fcntl
import heapq
import itertools
import os
import random
import struct
import subprocess
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from tests.rigs.impairment import Conditions, Way

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TUN = "/dev/net/tun"
MTU_BYTES = 1400
MAX_WAITING = 4096
READS_AT_ONCE = 64
_TUNSETIFF = 0x400454CA  # linux/if_tun.h
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_numbers = itertools.count()


class _End:
    """One side's device. ``way`` says what becomes of the packets that it is given to deliver."""

    def __init__(self, device: str, way: Way) -> None:
        self.file = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
        request = struct.pack("16sH22x", device.encode(), _IFF_TUN | _IFF_NO_PI)
        fcntl.ioctl(self.file, _TUNSETIFF, request)
        self.other: _End | None = None
        self._way = way
        self._waiting: list[tuple[float, int, bytes]] = []
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def start(self, other: _End) -> None:
        self.other = other
        self._loop.add_reader(self.file, self._on_packets)

    def put(self, packet: bytes) -> None:
        for at in self._way.arrivals(len(packet), self._loop.time()):
            if len(self._waiting) < MAX_WAITING:
                heapq.heappush(self._waiting, (at, next(_numbers), packet))
        self._deliver()

    def close(self) -> None:
        self._loop.remove_reader(self.file)
        if self._timer is not None:
            self._timer.cancel()
        os.close(self.file)

    def _on_packets(self) -> None:
        assert self.other is not None
        for _ in range(READS_AT_ONCE):
            try:
                self.other.put(os.read(self.file, 1 << 16))
            except OSError:  # nothing more there, or the device is not up yet
                return

    def _deliver(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting and self._waiting[0][0] <= self._loop.time():
            packet = heapq.heappop(self._waiting)[2]
            try:
                os.write(self.file, packet)
            except OSError:  # as a network card does whose queue is full
                self._way.lost += 1
        if self._waiting:
            self._timer = self._loop.call_at(self._waiting[0][0], self._deliver)


class Wire:
    """``here`` and ``there``: the addresses of both sides. ``inside``: the beginning of a command that is
    to run on the other side."""

    def __init__(self, subnet: int, namespace: str, ways: tuple[Way, Way]) -> None:
        self.here, self.there = f"10.77.{subnet}.1", f"10.77.{subnet}.2"
        self.inside = ("ip", "netns", "exec", namespace)
        self._ways = ways

    def change(self, conditions: Conditions) -> None:
        """In both directions, from now on."""
        for way in self._ways:
            way.conditions = conditions

    def set_blackout(self, dark: bool) -> None:
        """Whether nothing at all comes through."""
        for way in self._ways:
            way.blackout = dark


@asynccontextmanager
async def strung_wire(seed: int = 1) -> AsyncIterator[Wire]:
    """A namespace and the wire to it; both are gone after the block. PermissionError without root."""
    subnet = os.getpid() % 250
    namespace, ours, theirs = f"wire{os.getpid()}", f"wa{os.getpid()}", f"wb{os.getpid()}"
    ways = Way(Conditions(), random.Random(seed)), Way(Conditions(), random.Random(seed + 1))
    wire = Wire(subnet, namespace, ways)
    async with AsyncExitStack() as stack:
        near = _End(ours, ways[0])
        stack.callback(near.close)
        far = _End(theirs, ways[1])
        stack.callback(far.close)
        await _ip("netns", "add", namespace)
        stack.push_async_callback(_ip, "netns", "delete", namespace)
        await _ip("link", "set", theirs, "netns", namespace)
        await _up((), ours, wire.here)
        await _up(("-n", namespace), theirs, wire.there)
        await _ip("-n", namespace, "link", "set", "lo", "up")
        near.start(far)
        far.start(near)
        yield wire


async def _up(where: tuple[str, ...], device: str, address: str) -> None:
    await _ip(*where, "address", "add", f"{address}/24", "dev", device)
    await _ip(*where, "link", "set", device, "up", "mtu", str(MTU_BYTES))


async def _ip(*words: str) -> None:
    await asyncio.to_thread(subprocess.run, ["ip", *words], check=True)
