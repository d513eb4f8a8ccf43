"""A bad network in user space: a UDP relay that loses, delays, reorders, repeats and throttles packets.

It stands between a peer and a server like a NAT. The peer's candidates are taken out of the offer and
the server's in the answer replaced by the relay's, so that all of the peer's packets (BUNDLE: one flow)
take this way, and the server finds the peer at the relay's address.

    async with running_relay(Conditions(loss=0.05, delay_s=0.025)) as relay:
        await impair_page(page, relay)
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import re
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from playwright.async_api import Page, Route

    Address = tuple[str, int]

MAX_WAITING = 4096
"""Packets under way in one direction: a second of 30 Mbit/s."""

MAX_QUEUED_S = 0.2
"""With a ``rate_bps``: a packet that would stand in line for longer is lost, as in a router's queue."""

OVERTAKEN_S = 0.02
"""By how much a reordered packet is late: a few come before it at video's rates."""

MAX_CLIENTS = 16
BUFFER_BYTES = 1 << 20
MAX_DATAGRAM_BYTES = 65_536
READS_AT_ONCE = 64

_CANDIDATE = re.compile(r"^a=candidate:(?:.*)\r?\n", re.MULTILINE)
_END_OF_CANDIDATES = re.compile(r"^a=end-of-candidates\r?\n", re.MULTILINE)
_HOST = re.compile(
    r"^a=candidate:(\S+) 1 udp (\d+) (\d+\.\d+\.\d+\.\d+) (\d+) typ host",
    re.MULTILINE | re.IGNORECASE,
)


@dataclass(frozen=True)
class Conditions:
    """Of one direction. ``loss``, ``reorder`` and ``duplicate`` are shares of the packets; ``jitter_s``
    is the most that is added to ``delay_s``, without changing the order; ``rate_bps`` 0 is no limit."""

    loss: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    reorder: float = 0.0
    duplicate: float = 0.0
    rate_bps: float = 0.0


@dataclass
class Way:
    """One direction: when does each packet arrive, if it does? ``conditions`` and ``blackout`` may be
    changed at any time; packets under way stay so."""

    conditions: Conditions
    random: random.Random
    blackout: bool = False
    carried: int = 0
    lost: int = 0
    _free_at: float = field(default=0.0, init=False)
    _last_at: float = field(default=0.0, init=False)

    def arrivals(self, size_bytes: int, now: float) -> list[float]:
        """When a packet sent at ``now`` arrives: not at all, once, or twice."""
        given = self.conditions
        if self.blackout or self.random.random() < given.loss:
            self.lost += 1
            return []
        leaves_at = now
        if given.rate_bps:
            leaves_at = max(now, self._free_at)
            if leaves_at - now > MAX_QUEUED_S:
                self.lost += 1
                return []
            leaves_at += 8 * size_bytes / given.rate_bps
            self._free_at = leaves_at
        self.carried += 1
        at = leaves_at + given.delay_s + self.random.random() * given.jitter_s
        at = max(at, self._last_at)
        if self.random.random() < given.reorder:
            at += OVERTAKEN_S  # and those behind it do not wait for it
        else:
            self._last_at = at
        return [at, at] if self.random.random() < given.duplicate else [at]


class _Line:
    """Packets under way in one direction of one client."""

    def __init__(self, way: Way, deliver: Callable[[bytes], None]) -> None:
        self._way = way
        self._deliver = deliver
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[float, int, bytes]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def put(self, data: bytes) -> None:
        for at in self._way.arrivals(len(data), self._loop.time()):
            if len(self._waiting) == MAX_WAITING:
                self._way.lost += 1
                return
            heapq.heappush(self._waiting, (at, next(self._numbers), data))
        self._run()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._waiting.clear()

    def _run(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._loop.time():
            self._deliver(heapq.heappop(self._waiting)[2])
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self._waiting:
            self._timer = self._loop.call_at(self._waiting[0][0], self._run)


class _Client:
    """One client's address, and the socket that stands for it on the server's side."""

    def __init__(self, relay: Relay, address: Address, server: Address) -> None:
        self._relay = relay
        self._address = address
        self._socket = _udp_socket("0.0.0.0", server)
        self._up = _Line(relay.up, lambda data: _send(self._socket, data, None))
        self._down = _Line(relay.down, lambda data: _send(relay.socket, data, address))
        asyncio.get_running_loop().add_reader(self._socket, self._on_server)

    def to_server(self, data: bytes) -> None:
        self._up.put(data)

    def _on_server(self) -> None:
        for data, _ in _received(self._socket):
            self._down.put(data)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._up.close()
        self._down.close()
        self._socket.close()


class Relay:
    """Carries packets of clients to ``server`` and back; ``running_relay`` makes one.

    A new client address is taken to the server of that moment: one peer after another may go through
    one relay (a page that connects anew), but not two at once.
    """

    def __init__(self, up: Conditions, down: Conditions, seed: int) -> None:
        self.up = Way(up, random.Random(seed))
        self.down = Way(down, random.Random(seed + 1))
        self.server: Address | None = None
        self.socket = _udp_socket("127.0.0.1")
        self.address: Address = self.socket.getsockname()
        self._clients: dict[Address, _Client] = {}
        asyncio.get_running_loop().add_reader(self.socket, self._on_client)

    def change(self, conditions: Conditions) -> None:
        """In both directions, from now on."""
        self.up.conditions = self.down.conditions = conditions

    @property
    def blackout(self) -> bool:
        return self.up.blackout and self.down.blackout

    @blackout.setter
    def blackout(self, value: bool) -> None:
        self.up.blackout = self.down.blackout = value

    def _on_client(self) -> None:
        for data, address in _received(self.socket):
            client = self._clients.get(address)
            if client is None:
                if self.server is None or len(self._clients) == MAX_CLIENTS:
                    continue
                client = self._clients[address] = _Client(self, address, self.server)
            client.to_server(data)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.socket)
        for client in self._clients.values():
            client.close()
        self.socket.close()


@asynccontextmanager
async def running_relay(
    up: Conditions | None = None, down: Conditions | None = None, *, seed: int = 1
) -> AsyncIterator[Relay]:
    """On a free port of 127.0.0.1. ``up``: from the clients to the server; ``down``: the other way, and
    the same if it is not given."""
    up = up or Conditions()
    relay = Relay(up, down or up, seed)
    try:
        yield relay
    finally:
        relay.close()


def _udp_socket(host: str, peer: Address | None = None) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        made.setsockopt(socket.SOL_SOCKET, buffer, BUFFER_BYTES)
    made.bind((host, 0))
    if peer is not None:
        made.connect(peer)
    return made


def _received(from_: socket.socket) -> list[tuple[bytes, Address]]:
    """What lies there; a port that nobody listens on any more says so here (ICMP), which is its end."""
    found: list[tuple[bytes, Address]] = []
    for _ in range(READS_AT_ONCE):
        try:
            found.append(from_.recvfrom(MAX_DATAGRAM_BYTES))
        except BlockingIOError:
            break
        except ConnectionRefusedError:
            continue
    return found


def _send(through: socket.socket, data: bytes, to: Address | None) -> None:
    """As UDP does: what can't be sent now is lost."""
    try:
        if to is None:
            through.send(data)
        else:
            through.sendto(data, to)
    except (BlockingIOError, ConnectionRefusedError):
        pass


# -- ways around the relay closed ---------------------------------------------------------------------


def strip_offer(sdp: str) -> str:
    """Without candidates: the server is to learn the client's address from its packets alone."""
    return _END_OF_CANDIDATES.sub("", _CANDIDATE.sub("", sdp))


def rewrite_answer(sdp: str, relay: Relay) -> str:
    """With the relay's address in the place of all candidates; the relay learns where the server is."""
    host = _HOST.search(sdp)
    if host is None:
        raise ValueError(f"The answer has no IPv4 host candidate: {sdp}")
    relay.server = (host[3], int(host[4]))
    ours = (
        f"a=candidate:{host[1]} 1 udp {host[2]} {relay.address[0]} {relay.address[1]} typ host\r\n"
    )
    sections = re.split(r"(?=^m=)", sdp, flags=re.MULTILINE)
    return "".join(
        _CANDIDATE.sub("", each[: found.start()]) + ours + _CANDIDATE.sub("", each[found.start() :])
        if (found := _CANDIDATE.search(each))
        else each
        for each in sections
    )


async def impair_page(page: Page, relay: Relay) -> None:
    """Every peer of the page takes the way through the relay; call it before the page offers one."""

    async def through(route: Route) -> None:
        offer = route.request.post_data
        if route.request.method != "POST" or offer is None:
            await route.fallback()
            return
        response = await route.fetch(post_data=strip_offer(offer))
        answer = await response.text()
        if response.ok:
            answer = rewrite_answer(answer, relay)
        await route.fulfill(response=response, body=answer)

    await page.route(re.compile(r"/(webcam|whip|whep)(/[a-z0-9-]+)?(\?.*)?$"), through)
