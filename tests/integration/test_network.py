"""Video through ports that a firewall publishes and addresses that a container does not have itself."""

import asyncio
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiortc import RTCSessionDescription

from streamer.config import IceServer, WebRtcConfig
from streamer.model import StreamState
from tests.fakes import PATIENCE_S, RecordingSink
from tests.in_process import SDP, Http, Service, WebcamPeer, serving
from tests.rigs.impairment import strip_offer
from tests.rigs.net import free_udp_ports
from tests.rigs.port_forward import running_forwarder
from tests.rigs.server import StreamerServer

LOOPBACK = ["127.0.0.1"]
CANDIDATE = re.compile(r"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", re.MULTILINE)
TURN = IceServer(urls=["turn:10.0.0.1:3478"], secret="s3cret-not-to-be-told")


def text(ports: range) -> str:
    return f"{ports[0]}-{ports[-1]}"


def candidates(peer: WebcamPeer) -> set[tuple[str, int]]:
    """Of the answer that it has got."""
    found = CANDIDATE.findall(peer.connection.remoteDescription.sdp)
    return {(address, int(port)) for address, port in found}


def udp_ports_of(pid: int) -> set[int]:
    """Those that a process has bound (Linux)."""
    files = Path(f"/proc/{pid}/fd")
    inodes = set()
    for file in os.listdir(files):
        try:
            inodes.add(os.readlink(files / file))
        except FileNotFoundError:
            continue  # closed meanwhile
    ports = set()
    for table in ("udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if f"socket:[{fields[9]}]" in inodes:
                ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports


async def test_all_udp_ports_of_answers_and_of_the_process_lie_in_the_range(
    server: Callable[..., StreamerServer],
) -> None:
    ports = free_udp_ports(8)
    running = await asyncio.to_thread(server, f'[webrtc]\nudp_ports = "{text(ports)}"\n')
    async with aiohttp.ClientSession(running.url) as http:
        publisher, viewer = WebcamPeer(), WebcamPeer()
        await publisher.join(http)
        await publisher.plays()
        await viewer.join(http, f"/whep/{publisher.stream_id}")
        await viewer.plays()
        told = {port for peer in (publisher, viewer) for _, port in candidates(peer)}
        assert told and told <= set(ports)
        assert udp_ports_of(running.pid) == told
        for peer in (viewer, publisher):
            await http.delete(peer.location)
            await peer.close()
        async with asyncio.timeout(PATIENCE_S):
            while udp_ports_of(running.pid):  # noqa: ASYNC110 - those of another process
                await asyncio.sleep(0.05)


async def test_peer_beyond_the_last_port_is_told_which_key_and_comes_in_when_another_has_left(
    tmp_path: Path,
) -> None:
    ports = free_udp_ports(1)
    config = WebRtcConfig(udp_ports=text(ports), addresses=LOOPBACK)
    service = Service(tmp_path, webrtc=config)
    async with serving(service) as http:
        first, second = WebcamPeer(), WebcamPeer()
        await first.join(http)
        response = await http.post("/webcam", data=await second.offer(), headers=SDP)
        problem = await response.json()
        assert (response.status, problem["type"]) == (503, "urn:streamer:problem:limit-reached")
        assert "[webrtc] udp_ports" in problem["detail"]
        assert int(response.headers["Retry-After"]) > 0
        assert len(service.peers) == 1 and len(list(service.streams)) == 1, "it left nothing"
        await first.plays()
        await http.delete(first.location)
        await first.close()
        await second.join(http)
        await second.plays()
        assert candidates(second) == {("127.0.0.1", ports[0])}
        await second.close()


async def test_ports_come_back_from_peers_that_leave_vanish_or_never_come(tmp_path: Path) -> None:
    config = WebRtcConfig(
        udp_ports=text(free_udp_ports(2)),
        addresses=LOOPBACK,
        connect_timeout_s=0.2,
        resume_timeout_s=0.1,
    )
    async with serving(service := Service(tmp_path, webrtc=config)) as http:
        for number in range(12):
            peer = WebcamPeer()
            await (peer.join(http) if number % 3 else never_come(peer, http, service))
            if number % 3 == 2:
                await peer.connection.close()
                await all_closed(service)
            elif number % 3 == 1:
                await http.delete(peer.location)
            await peer.close()
        assert len(service.peers) == 0


async def never_come(peer: WebcamPeer, http: Http, service: Service) -> None:
    """Offers, and takes no notice of the answer."""
    response = await http.post("/webcam", data=await peer.offer(), headers=SDP)
    assert response.status == 201
    sink = RecordingSink()
    service.streams.get(response.headers["X-Stream-Id"]).session.subscribe(sink)
    await sink.state_comes(StreamState.ENDED)
    await all_closed(service)


async def all_closed(service: Service) -> None:
    """The server has noticed, or is told."""
    await asyncio.gather(*(peer.close() for peer in tuple(service.peers._peers.values())))


async def test_video_comes_through_published_ports_at_an_advertised_address(tmp_path: Path) -> None:
    """As from a container on a bridge: it has another address than the one that is published."""
    ports = free_udp_ports(4)
    config = WebRtcConfig(udp_ports=text(ports), addresses=LOOPBACK, advertise=["127.0.0.2"])
    service = Service(tmp_path, webrtc=config)
    async with running_forwarder("127.0.0.2", "127.0.0.1", ports) as forwarder:
        async with serving(service) as http:
            peer = WebcamPeer()
            # Without its candidates the server can't reach it but through the port that it has used.
            offer = strip_offer(await peer.offer())
            response = await http.post("/webcam", data=offer, headers=SDP)
            answer = RTCSessionDescription(await response.text(), "answer")
            await peer.connection.setRemoteDescription(answer)
            await peer.plays()
            assert [address for address, _ in candidates(peer)] == ["127.0.0.2"]
            assert "127.0.0.1" not in answer.sdp
            assert forwarder.clients > 0
            await peer.close()


# -- what clients are told of STUN and TURN -------------------------------------------------------------


@pytest.fixture
async def service(tmp_path: Path) -> Service:
    """With a TURN server that nobody asks, since each answer would wait for it."""
    service = Service(tmp_path, webrtc=WebRtcConfig(ice_servers=[TURN]))
    service.peers._gathering = Service(tmp_path).peers._gathering
    return service


async def test_pages_get_new_credentials_each_time_and_nobody_keeps_them(http: Http) -> None:
    response = await http.get("/api/v1/ice")
    answer = await response.json()
    assert answer["iceTransportPolicy"] == "all"
    (server,) = answer["iceServers"]
    assert server["urls"] == TURN.urls and server["username"].isdigit() and server["credential"]
    assert response.headers["Cache-Control"] == "no-store"
    assert "not-to-be-told" not in str(answer)


def is_ice_link(link: str) -> bool:
    return re.fullmatch(
        r'<turn:10\.0\.0\.1:3478>; rel="ice-server"; username="\d+"; credential="[\w+/=]+"; '
        r'credential-type="password"',
        link,
    ) is not None  # fmt: skip


async def test_whip_and_whep_clients_get_them_as_links(http: Http) -> None:
    publisher, viewer = WebcamPeer(), WebcamPeer()
    made = await http.post("/whip/door", data=await publisher.offer(), headers=SDP)
    watched = await http.post("/whep/door", data=await viewer.offer(), headers=SDP)
    before = [await http.options(path) for path in ("/whip", "/whip/door", "/whep/door")]
    for response, status in ((made, 201), (watched, 201), *((each, 200) for each in before)):
        assert response.status == status, await response.text()
        assert [is_ice_link(link) for link in response.headers.getall("Link")] == [True]
        assert response.headers["Cache-Control"] == "no-store"
    assert all(response.headers["Accept-Post"] == "application/sdp" for response in before)
    for response in (made, watched):
        await http.delete(response.headers["Location"])
    await publisher.close()
    await viewer.close()


async def test_without_servers_there_is_no_link(tmp_path: Path) -> None:
    async with serving(Service(tmp_path)) as http:
        response: Any = await http.options("/whip")
        assert response.status == 200 and "Link" not in response.headers
