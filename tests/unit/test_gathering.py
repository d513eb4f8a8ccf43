"""Which candidates an answer holds: ports of the range, advertised addresses; words when it has none."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from ipaddress import ip_address
from typing import Any

import pytest
from aiortc import RTCPeerConnection
from aiortc.sdp import SessionDescription

from streamer.config import IceServer, WebRtcConfig
from streamer.errors import LimitReached, MediaUnreachable
from streamer.webrtc import gathering
from streamer.webrtc.gathering import Gathering, UdpPorts
from streamer.webrtc.relaying import CHANNEL_REFRESH_S, RelayedProtocol
from tests.fakes import PATIENCE_S
from tests.rigs.net import free_port, free_udp_ports

LOOPBACK = ["127.0.0.1"]


def text(ports: range) -> str:
    return f"{ports[0]}-{ports[-1]}"


# -- ports ------------------------------------------------------------------------------------------


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    opened: list[socket.socket] = []
    yield opened
    for each in opened:
        each.close()


def port_of(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


def test_every_port_of_the_range_is_given_once_and_then_the_limit_is_told(
    sockets: list[socket.socket],
) -> None:
    ports = free_udp_ports(4)
    pool = UdpPorts(ports)
    sockets += [pool.bind("127.0.0.1") for _ in ports]
    assert {port_of(each) for each in sockets} == set(ports)
    with pytest.raises(LimitReached, match=rf"{ports[0]} to {ports[-1]} \(\[webrtc\] udp_ports\)"):
        pool.bind("127.0.0.1")


def test_port_is_free_again_with_its_socket(sockets: list[socket.socket]) -> None:
    pool = UdpPorts(free_udp_ports(3))
    sockets += [pool.bind("127.0.0.1") for _ in range(3)]
    freed = port_of(sockets[1])
    sockets.pop(1).close()
    sockets.append(pool.bind("127.0.0.1"))
    assert port_of(sockets[-1]) == freed


def test_port_that_was_just_freed_waits_for_its_turn() -> None:
    ports = free_udp_ports(5)
    pool, seen = UdpPorts(ports), []
    for _ in ports:
        with pool.bind("127.0.0.1") as sock:
            seen.append(port_of(sock))
    assert sorted(seen) == list(ports)


def test_port_of_another_program_is_passed_by(sockets: list[socket.socket]) -> None:
    ports = free_udp_ports(2)
    sockets.append(UdpPorts(ports[:1]).bind("127.0.0.1"))
    sockets.append(UdpPorts(ports).bind("127.0.0.1"))
    assert port_of(sockets[-1]) == ports[1]


def test_each_address_has_the_whole_range(sockets: list[socket.socket]) -> None:
    pool = UdpPorts(free_udp_ports(1))
    sockets += [pool.bind("127.0.0.1"), pool.bind("127.0.0.2")]
    assert port_of(sockets[0]) == port_of(sockets[1])


def test_address_of_another_machine_is_no_lack_of_ports() -> None:
    with pytest.raises(OSError):
        UdpPorts(free_udp_ports(1)).bind("203.0.113.7")


# -- answers ----------------------------------------------------------------------------------------


class Answering:
    """Answers an offer of video and messages as ``Peer`` does."""

    def __init__(self, **config: Any) -> None:
        self.gathering = Gathering(WebRtcConfig(**config))
        self.peers: list[RTCPeerConnection] = []

    async def candidates(self) -> list[Any]:
        browser = RTCPeerConnection(self.gathering.configuration())
        peer = RTCPeerConnection(self.gathering.configuration())
        self.peers += [browser, peer]
        browser.addTransceiver("video")
        browser.createDataChannel("landmarks")
        # Not the browser's own candidates: nothing is to connect.
        await peer.setRemoteDescription(await browser.createOffer())
        self.gathering.take_over(peer)
        await peer.setLocalDescription(await peer.createAnswer())
        media = SessionDescription.parse(peer.localDescription.sdp).media
        assert media[0].ice_candidates_complete
        return list(media[0].ice_candidates)

    async def close(self) -> None:
        for peer in self.peers:
            await asyncio.wait_for(peer.close(), PATIENCE_S)


@pytest.fixture
async def answering() -> AsyncIterator[Any]:
    made: list[Answering] = []

    def make(**config: Any) -> Answering:
        made.append(Answering(**config))
        return made[-1]

    yield make
    for each in made:
        await each.close()


@pytest.fixture
def two_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    own = ["127.0.0.1", "127.0.0.2"]
    monkeypatch.setattr(gathering, "get_host_addresses", lambda use_ipv4, use_ipv6: own)


async def test_answer_has_a_port_of_the_range_for_each_address(
    answering: Any, two_addresses: None
) -> None:
    ports = free_udp_ports(4)
    found = await answering(udp_ports=text(ports)).candidates()
    assert [each.ip for each in found] == ["127.0.0.1", "127.0.0.2"]
    assert all(each.port in ports and each.type == "host" for each in found)
    assert len({each.priority for each in found}) == 2


async def test_range_that_is_used_up_is_told_and_what_was_bound_is_freed(
    answering: Any, two_addresses: None
) -> None:
    ports = free_udp_ports(1)
    with UdpPorts(ports).bind("127.0.0.2"):  # so that the second address of a peer has none
        one = answering(udp_ports=text(ports))
        with pytest.raises(LimitReached):
            await one.candidates()
        await one.close()
    for address in ("127.0.0.1", "127.0.0.2"):
        UdpPorts(ports).bind(address).close()


async def test_advertised_addresses_stand_in_place_of_the_own(answering: Any) -> None:
    found = await answering(addresses=LOOPBACK, advertise=["203.0.113.7", "10.1.2.3"]).candidates()
    assert [each.ip for each in found] == ["203.0.113.7", "10.1.2.3"]
    assert len({each.port for each in found}) == 1, "one socket, under two addresses"


async def test_no_own_address_is_told_where_others_are_advertised(answering: Any) -> None:
    one = answering(addresses=LOOPBACK, advertise=["203.0.113.7"])
    await one.candidates()
    assert "127.0.0.1" not in one.peers[1].localDescription.sdp


async def test_advertised_address_of_a_kind_that_the_machine_lacks_is_put_on_what_it_has(
    answering: Any,
) -> None:
    found = await answering(addresses=LOOPBACK, advertise=["2001:db8::7"]).candidates()
    assert [each.ip for each in found] == ["2001:db8::7"]


async def test_addresses_beyond_the_networks_are_not_used(
    answering: Any, two_addresses: None
) -> None:
    (only,) = await answering(addresses=["127.0.0.2/32"]).candidates()
    assert only.ip == "127.0.0.2"


async def test_loopback_is_used_when_there_is_no_other(
    answering: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "get_host_addresses", lambda use_ipv4, use_ipv6: [])
    (only,) = await answering().candidates()
    assert only.ip == "127.0.0.1"


async def test_address_that_can_not_be_bound_costs_the_others_nothing(
    answering: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ["203.0.113.7", "127.0.0.1"]
    monkeypatch.setattr(gathering, "get_host_addresses", lambda use_ipv4, use_ipv6: own)
    (only,) = await answering().candidates()
    assert only.ip == "127.0.0.1"


async def test_without_a_usable_address_the_peer_is_told_why(answering: Any) -> None:
    with pytest.raises(MediaUnreachable, match=r"no address of this machine is in \[webrtc\] add"):
        await answering(addresses=["198.51.100.0/24"]).candidates()


# -- names ------------------------------------------------------------------------------------------


async def test_name_stands_for_its_addresses_of_the_moment(
    answering: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = answering(addresses=LOOPBACK, advertise=["pose.example"])
    for answer in ("203.0.113.7", "203.0.113.8"):
        monkeypatch.setattr(gathering, "look_up", lambda host, answer=answer: found(answer))
        assert [each.ip for each in await one.candidates()] == [answer]


async def test_name_that_is_lost_keeps_the_address_it_had(
    answering: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = answering(addresses=LOOPBACK, advertise=["pose.example"])
    monkeypatch.setattr(gathering, "look_up", lambda host: found("203.0.113.7"))
    await one.candidates()
    monkeypatch.setattr(gathering, "look_up", lambda host: lost())
    assert [each.ip for each in await one.candidates()] == ["203.0.113.7"]


async def test_dead_name_server_holds_up_an_answer_for_a_while_only(
    answering: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "LOOK_UP_S", 0.05)
    monkeypatch.setattr(gathering, "look_up", lambda host: Future())
    with pytest.raises(MediaUnreachable, match=r"no name in \[webrtc\] advertise has an address"):
        await answering(addresses=LOOPBACK, advertise=["pose.example"]).candidates()


def found(address: str) -> "Future[Any]":
    future: Future[Any] = Future()
    future.set_result([ip_address(address), ip_address("fe80::1")])
    return future


def lost() -> "Future[Any]":
    future: Future[Any] = Future()
    future.set_exception(socket.gaierror("no such name"))
    return future


# -- STUN and TURN ------------------------------------------------------------------------------------


async def test_silent_turn_server_costs_a_wait_and_no_candidate(
    answering: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gathering, "SERVERS_BESIDE_HOSTS_S", 0.05)
    url = f"turn:127.0.0.1:{free_port()}"
    turn = IceServer(urls=[url], secret="s")
    found = await answering(addresses=LOOPBACK, ice_servers=[turn]).candidates()
    assert [each.type for each in found] == ["host"]
    assert f"{url} does not answer" in caplog.text


async def test_server_whose_name_has_no_end_of_look_up_is_not_waited_for(
    answering: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gathering, "SERVERS_BESIDE_HOSTS_S", 0.05)
    monkeypatch.setattr(gathering, "look_up", lambda host: Future())
    servers = [IceServer(urls=["stun:s.example"]), IceServer(urls=["turns:t.example"], secret="s")]
    found = await answering(addresses=LOOPBACK, ice_servers=servers).candidates()
    assert [each.type for each in found] == ["host"]
    assert caplog.text.count("does not answer") == 2


async def test_answer_of_a_server_that_makes_no_sense_is_one_that_does_not_help(
    answering: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def confused(*_: object) -> None:
        raise KeyError("XOR-MAPPED-ADDRESS")

    monkeypatch.setattr(gathering, "server_reflexive_candidate", confused)
    servers = [IceServer(urls=["stun:127.0.0.1"])]
    found = await answering(addresses=LOOPBACK, ice_servers=servers).candidates()
    assert [each.type for each in found] == ["host"]
    assert "no answer that makes sense" in caplog.text


async def test_relay_only_without_a_relay_is_told(answering: Any) -> None:
    url = f"turn:127.0.0.1:{free_port()}?transport=tcp"
    turn = IceServer(urls=[url], secret="s")
    with pytest.raises(MediaUnreachable, match="can't be reached"):
        await answering(ice_servers=[turn], ice_transport_policy="relay").candidates()


async def test_answer_that_is_given_up_leaves_no_task(
    answering: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def never(**_: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(gathering, "relayed_candidate", never)
    one = answering(
        addresses=LOOPBACK, ice_servers=[IceServer(urls=["turn:127.0.0.1"], secret="s")]
    )
    task = asyncio.create_task(one.candidates())
    await asyncio.wait_for(asked.wait(), PATIENCE_S)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    names = [each.get_name() for each in asyncio.all_tasks()]
    assert not [name for name in names if name.startswith("gather-")]


# -- the seams in aioice and aiortc -------------------------------------------------------------------


async def test_aioice_has_the_private_parts_that_are_used() -> None:
    from aioice.turn import TurnClientTcpProtocol, TurnClientUdpProtocol, TurnTransport

    for kind in (TurnClientUdpProtocol, TurnClientTcpProtocol):
        client = kind(("h", 1), "u", "p", 600, CHANNEL_REFRESH_S)
        assert client.peer_to_channel == {} and client.channel_refresh_time == CHANNEL_REFRESH_S
        assert callable(client._send)
        transport: Any = TurnTransport(client)
        assert transport._TurnTransport__inner_protocol is client
        assert transport._TurnTransport__close_task is None
        assert transport._TurnTransport__send_tasks == set()
    assert callable(RelayedProtocol.send_data)
    peer = RTCPeerConnection(Gathering(WebRtcConfig()).configuration())
    transceiver: Any = peer.addTransceiver("video")
    connection = transceiver.receiver.transport.transport._connection
    assert connection._local_candidates == connection._protocols == []
    assert not (connection._local_candidates_start or connection._local_candidates_end)
    assert not connection._closing
    assert callable(connection.gather_candidates)
    await peer.close()
