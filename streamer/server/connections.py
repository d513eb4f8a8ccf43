"""Who is connected, what each connection is doing, and who must go: so that those who send nothing, or send
it drop by drop, keep nobody out."""

import asyncio
import enum
import ipaddress
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from streamer.aio import tell_all
from streamer.config import LimitsConfig
from streamer.errors import LimitReached, StreamerError, TooManyRequests

logger = logging.getLogger(__name__)

LOOK_INTERVAL_S: Final = 0.25
"""Between two looks for connections that are late."""

LAST_S: Final = 2.0
"""For a connection that was told to go, until it is cut off."""

RESERVE: Final = 16
"""Connections beyond the limits that are let in to be told so: their requests are answered 503 or 429."""


class Phase(enum.Enum):
    """What a connection waits for."""

    HEAD = "head"  # of a request: nothing has come yet, or half of it
    BODY = "body"  # of a request
    ANSWER = "answer"  # from us; a stream's readers are here as long as they read
    IDLE = "idle"  # between two requests
    PARTING = "parting"  # it was told to go


_CHEAP: Final = (Phase.PARTING, Phase.HEAD, Phase.IDLE, Phase.BODY)
"""Whom to drop first where there is no room. Who has not got through a head in the time that all others
needed for theirs loses nothing that counts; an idle one connects anew, unasked; a body would have to be
sent again. Who waits for an answer is never dropped."""


@dataclass(slots=True, eq=False)
class Connection:
    """``client``: whose share it counts for: this machine's programs and its tunnels have none, and proxies
    come for many; "" for them. ``refused``: what its requests are answered, if there is no room for it.
    ``part``: asks it to go, or cuts it off at once."""

    client: str
    is_proxy: bool
    since_mono: float
    part: Callable[[bool], object]
    refused: StreamerError | None = None
    phase: Phase = Phase.HEAD
    leave: Callable[[], None] = field(init=False)


@dataclass(slots=True)
class Figures:
    """Since the start: ``dropped`` to make room, ``late`` beyond a deadline, ``refused`` for lack of room."""

    dropped: int = 0
    late: int = 0
    refused: int = 0


class Connections:
    """All connections of the server's ports. Belongs to the event loop. ``clock``: monotonic, in seconds."""

    def __init__(
        self,
        limits: LimitsConfig,
        trusted_proxies: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.figures = Figures()
        self._limits = limits
        self._proxies = [ipaddress.ip_network(each) for each in trusted_proxies]
        self._clock = clock
        self._all: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._all)

    def admit(self, address: str, part: Callable[[bool], object]) -> Connection | None:
        """A new one from this address; None where there is not even room to tell it so."""
        ip = _parsed(address)
        is_proxy = any(ip in network for network in self._proxies)
        client = "" if is_proxy or ip.is_loopback else _share_of(ip)
        limits, held = self._limits, [each for each in self._all if each.refused is None]
        own = [each for each in held if client and each.client == client]
        refused: StreamerError | None = None
        if len(own) >= limits.max_connections_per_client and not self._drop_cheapest(own):
            refused = TooManyRequests(
                f"You have {len(own)} connections open, as many as one client may "
                "([limits] max_connections_per_client); close one first."
            )
        elif len(held) >= limits.max_connections and not self._drop_cheapest(held):
            refused = LimitReached(
                f"This server has {limits.max_connections} connections open, as many as it may "
                "([limits] max_connections); try again when one has ended."
            )
        if refused is not None:
            self.figures.refused += 1
            reserve = [each for each in self._all if each.refused is not None]
            if len(reserve) >= RESERVE and not self._drop_cheapest(reserve):
                return None
        connection = Connection(client, is_proxy, self._clock(), part, refused)
        connection.leave = lambda: self._all.discard(connection)
        self._all.add(connection)
        return connection

    def enter(self, connection: Connection, phase: Phase) -> None:
        """It has begun to wait for something else."""
        connection.phase, connection.since_mono = phase, self._clock()

    def part_with_late(self) -> None:
        """Those whose deadline is over are asked to go; those who were asked and did not are cut off."""
        # A fault in one must not be the end of all deadlines.
        tell_all(self._all, self._part_if_late)

    def _part_if_late(self, each: Connection) -> None:
        if self._clock() - each.since_mono < self._patience_s(each):
            return
        if each.phase is Phase.PARTING:
            each.leave()
            each.part(True)
        else:
            self.figures.late += 1
            was_asked = each.phase
            self.enter(each, Phase.PARTING)
            logger.debug("a connection was too late with its %s", was_asked.value)
            each.part(False)

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(min(LOOK_INTERVAL_S, self._limits.header_timeout_s / 4))
            self.part_with_late()

    def _patience_s(self, connection: Connection) -> float:
        """Bodies and answers have deadlines of their own, in what reads and writes them."""
        match connection.phase:
            case Phase.HEAD:
                return self._limits.header_timeout_s
            case Phase.IDLE if not connection.is_proxy:  # a proxy knows better when to let go
                return self._limits.idle_timeout_s
            case Phase.PARTING:
                return LAST_S
            case _:
                return float("inf")

    def _drop_cheapest(self, among: list[Connection]) -> bool:
        """False where none may be dropped."""
        droppable = [each for each in among if each.phase in _CHEAP]
        if not droppable:
            return False
        cheapest = min(droppable, key=lambda each: (_CHEAP.index(each.phase), each.since_mono))
        self.figures.dropped += 1
        cheapest.part(True)
        cheapest.leave()
        return True


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip


def client_of(address: str) -> str:
    """Whose share what comes from this address counts for; "" for this machine's programs, and for what is
    no address."""
    try:
        ip = _parsed(address)
    except ValueError:
        return ""
    return "" if ip.is_loopback else _share_of(ip)


def _share_of(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """A host has 2^64 addresses of IPv6 (RFC 4291, section 2.5.4)."""
    return str(ip) if ip.version == 4 else str(ipaddress.ip_network((ip, 64), strict=False))
