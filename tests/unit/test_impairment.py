"""The bad network of the tests is as bad as it says, and no worse."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import pytest

from tests.rigs.impairment import (
    MAX_QUEUED_S,
    OVERTAKEN_S,
    Conditions,
    Relay,
    Way,
    rewrite_answer,
    running_relay,
    strip_offer,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATIENCE_S = 5.0
INTERVAL_S = 0.002
CANDIDATES = (
    "a=candidate:1 1 udp 2130706431 192.0.2.2 5000 typ host\r\n"
    "a=candidate:2 1 udp 2130706175 fd00::2 5001 typ host\r\n"
    "a=end-of-candidates\r\n"
)
SDP = (
    "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=ice-ufrag:abcd\r\n"
    f"{CANDIDATES}a=mid:0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n{CANDIDATES}"
)


def journeys(conditions: Conditions, packets: int = 4000, size: int = 1000) -> list[list[float]]:
    """The arrivals of packets sent every 2 ms."""
    way = Way(conditions, random.Random(7))
    return [way.arrivals(size, number * INTERVAL_S) for number in range(packets)]


def test_a_good_network_changes_nothing() -> None:
    assert journeys(Conditions(), 50) == [[number * INTERVAL_S] for number in range(50)]


def test_the_share_of_lost_packets_is_the_one_asked_for_and_the_seed_decides_which() -> None:
    found = journeys(Conditions(loss=0.05))
    assert sum(not each for each in found) / len(found) == pytest.approx(0.05, abs=0.012)
    assert found == journeys(Conditions(loss=0.05))


def test_delay_and_jitter_stay_within_their_bounds_and_keep_the_order() -> None:
    found = [each[0] for each in journeys(Conditions(delay_s=0.025, jitter_s=0.01))]
    late = [at - number * INTERVAL_S for number, at in enumerate(found)]
    assert 0.025 <= min(late) < 0.027
    assert 0.033 < max(late) <= 0.0351
    assert found == sorted(found)


def test_packets_are_reordered_and_repeated_when_asked() -> None:
    found = journeys(Conditions(reorder=0.02, duplicate=0.01))
    firsts = [each[0] for each in found]
    overtaken = sum(b < a for a, b in itertools.pairwise(firsts))
    assert overtaken / len(found) == pytest.approx(0.02, abs=0.008)
    assert max(at - number * INTERVAL_S for number, at in enumerate(firsts)) <= OVERTAKEN_S + 1e-9
    twice = sum(len(each) == 2 for each in found)
    assert twice / len(found) == pytest.approx(0.01, abs=0.006)


def test_a_narrow_network_carries_its_rate_and_loses_the_rest() -> None:
    # 1000 bytes every 2 ms are 4 Mbit/s.
    found = journeys(Conditions(rate_bps=1_000_000))
    arrived = [at for each in found for at in each]
    seconds = arrived[-1] - arrived[0]
    assert 8 * 1000 * len(arrived) / seconds == pytest.approx(1e6, rel=0.02)
    assert sum(not each for each in found) / len(found) == pytest.approx(0.75, abs=0.05)
    late = [each[0] - number * INTERVAL_S for number, each in enumerate(found) if each]
    assert max(late) <= MAX_QUEUED_S + 0.0081


def test_a_blackout_loses_everything_until_it_ends() -> None:
    way = Way(Conditions(), random.Random(7))
    way.blackout = True
    assert way.arrivals(100, 1.0) == []
    way.blackout = False
    assert way.arrivals(100, 2.0) == [2.0]
    assert (way.carried, way.lost) == (1, 1)


class Peer(asyncio.DatagramProtocol):
    """Keeps what it gets; one that ``echoes`` sends it back in capitals."""

    def __init__(self, *, echoes: bool = False) -> None:
        self.got: asyncio.Queue[bytes] = asyncio.Queue()
        self.addresses: set[tuple[str, int]] = set()
        self.closed = asyncio.Event()
        self._echoes = echoes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.addresses.add(addr)
        self.got.put_nowait(data)
        if self._echoes:
            self.transport.sendto(data.upper(), addr)

    async def next(self) -> bytes:
        return await asyncio.wait_for(self.got.get(), PATIENCE_S)


@asynccontextmanager
async def listening(*, echoes: bool = False) -> AsyncIterator[Peer]:
    peer = Peer(echoes=echoes)
    await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: peer, local_addr=("127.0.0.1", 0), family=socket.AF_INET
    )
    try:
        yield peer
    finally:
        peer.transport.close()
        await peer.closed.wait()


async def loses(way: Way, packets: int) -> None:
    for _ in range(int(PATIENCE_S / 0.001)):
        if way.lost == packets:
            return
        await asyncio.sleep(0.001)
    raise TimeoutError


async def test_packets_go_both_ways_and_each_client_has_an_address_of_its_own() -> None:
    async with (
        running_relay(Conditions(delay_s=0.01)) as relay,
        listening(echoes=True) as server,
        listening() as one,
        listening() as other,
    ):
        relay.server = server.transport.get_extra_info("sockname")
        for client, word in ((one, b"one"), (other, b"other")):
            client.transport.sendto(word, relay.address)
            assert await server.next() == word
            assert await client.next() == word.upper()
            assert client.addresses == {relay.address}
        assert len(server.addresses) == 2


async def test_each_direction_has_its_own_conditions_which_change_while_it_runs() -> None:
    async with (
        running_relay(Conditions(), Conditions(loss=1.0)) as relay,
        listening(echoes=True) as server,
        listening() as client,
    ):
        relay.server = server.transport.get_extra_info("sockname")
        client.transport.sendto(b"one", relay.address)
        assert await server.next() == b"one"
        await loses(relay.down, 1)
        relay.change(Conditions())
        client.transport.sendto(b"two", relay.address)
        assert await client.next() == b"TWO"
        relay.blackout = True
        client.transport.sendto(b"three", relay.address)
        await loses(relay.up, 1)
        relay.blackout = False
        client.transport.sendto(b"four", relay.address)
        assert await client.next() == b"FOUR"


async def test_a_burst_comes_through_whole_and_in_order() -> None:
    sent = [bytes([number]) * 1200 for number in range(60)]  # a large key frame
    async with (
        running_relay(Conditions(delay_s=0.01)) as relay,
        listening() as server,
        listening() as client,
    ):
        relay.server = server.transport.get_extra_info("sockname")
        for data in sent:
            client.transport.sendto(data, relay.address)
        assert [await server.next() for _ in sent] == sent


def test_an_offer_loses_its_candidates_and_nothing_else() -> None:
    assert strip_offer(SDP) == SDP.replace(CANDIDATES, "")


async def test_an_answer_names_the_relay_alone_which_learns_where_the_server_is() -> None:
    async with running_relay() as relay:
        assert isinstance(relay, Relay)
        answer = rewrite_answer(SDP, relay)
        host, port = relay.address
        ours = f"a=candidate:1 1 udp 2130706431 {host} {port} typ host\r\na=end-of-candidates\r\n"
        assert answer == SDP.replace(CANDIDATES, ours)
        assert relay.server == ("192.0.2.2", 5000)
        with pytest.raises(ValueError, match="candidate"):
            rewrite_answer(strip_offer(SDP), relay)
