"""Video through a real TURN server (coturn, relay only), and what a bad one costs."""

import asyncio
import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streamer.config import IceServer, WebRtcConfig
from streamer.webrtc import gathering
from streamer.webrtc.gathering import Gathering
from tests.fakes import PATIENCE_S
from tests.in_process import SDP, Http, Service, WebcamPeer, serving
from tests.rigs.turn import SECRET, TurnServer


@pytest.fixture
def coturn(tmp_path: Path) -> Iterator[TurnServer]:
    with TurnServer(tmp_path) as turn:
        yield turn


def relay_only(turn: TurnServer, *, transport: str = "udp", secret: str = SECRET) -> WebRtcConfig:
    server = IceServer(urls=[turn.url(transport)], secret=secret, username="streamer")
    return WebRtcConfig(ice_servers=[server], ice_transport_policy="relay")


def connection_of(service: Service, peer: WebcamPeer) -> Any:
    """aioice's, of the server's end."""
    ours = service.peers._peers[peer.location.rpartition("/")[2]]
    assert ours._transport is not None
    return ours._transport.transport._connection


async def refusal(http: Http) -> tuple[int, str, str]:
    peer = WebcamPeer()
    response = await http.post("/webcam", data=await peer.offer(), headers=SDP)
    problem = await response.json()
    await peer.close()
    return response.status, problem["type"], problem["detail"]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_relay_only_means_that_all_video_goes_through_the_turn_server(
    tmp_path: Path, coturn: TurnServer, transport: str
) -> None:
    service = Service(tmp_path, webrtc=relay_only(coturn, transport=transport))
    async with serving(service) as http:
        peer = WebcamPeer()
        await peer.join(http)
        await peer.plays()
        answer = peer.connection.remoteDescription.sdp
        kinds = re.findall(r"^a=candidate:.* typ (\w+)", answer, re.MULTILINE)
        assert set(kinds) == {"relay"}
        assert "raddr 0.0.0.0 rport 9" in answer, "not even beside it is an own address told"
        (pair,) = connection_of(service, peer)._nominated.values()
        assert pair.local_candidate.type == "relay"
        assert ":streamer>" in coturn.log_text(), "with the name in a login of its own"
        await http.delete(peer.location)
        await peer.close()
    assert "lifetime=0" in coturn.log_text(), "the allocation was given back"


async def test_wrong_secret_is_told_to_the_peer_at_once(tmp_path: Path, coturn: TurnServer) -> None:
    service = Service(tmp_path, webrtc=relay_only(coturn, secret="another"))
    async with serving(service) as http:
        status, kind, detail = await refusal(http)
        assert (status, kind) == (503, "urn:streamer:problem:media-unreachable")
        assert "refuses this server's credentials" in detail and "another" not in detail
        assert len(service.peers) == 0 and not list(service.streams)


async def test_credentials_that_have_expired_are_refused(
    tmp_path: Path, coturn: TurnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = relay_only(coturn)
    lifetime_s = config.ice_servers[0].lifetime_s
    async with serving(Service(tmp_path, webrtc=config)) as http:
        past = SimpleNamespace(time=lambda: time.time() - lifetime_s - 60)
        monkeypatch.setattr(gathering, "time", past)
        _, _, detail = await refusal(http)
        assert "refuses this server's credentials" in detail
        monkeypatch.setattr(gathering, "time", time)
        peer = WebcamPeer()
        await peer.join(http)
        await peer.plays()
        await peer.close()


async def test_direct_video_does_not_need_a_turn_server_that_works(
    tmp_path: Path, coturn: TurnServer, caplog: pytest.LogCaptureFixture
) -> None:
    bad = relay_only(coturn, secret="another").model_copy(update={"ice_transport_policy": "all"})
    async with serving(Service(tmp_path, webrtc=bad)) as http:
        peer = WebcamPeer()
        with caplog.at_level(logging.WARNING):
            await peer.join(http)
        await peer.plays()
        assert "refuses this server's credentials" in caplog.text
        await peer.close()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_relayed_peers_leave_no_socket_behind(
    tmp_path: Path, coturn: TurnServer, transport: str
) -> None:
    service = Service(tmp_path, webrtc=relay_only(coturn, transport=transport))
    async with serving(service) as http:
        files = []
        for number in range(4):
            peer = WebcamPeer()
            await peer.join(http)
            await peer.plays()
            await (peer.connection.close() if number % 2 else http.delete(peer.location))
            await asyncio.gather(*(each.close() for each in tuple(service.peers._peers.values())))
            await service.streams.remove(
                service.streams.get(peer.stream_id)
            ) if number % 2 else None
            await peer.close()
            files.append(len(os.listdir("/proc/self/fd")))
        async with asyncio.timeout(PATIENCE_S):
            while len(os.listdir("/proc/self/fd")) > files[0]:  # noqa: ASYNC110 - threads that are about to end
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_viewer_behind_a_turn_server_that_dies_delays_nobody(
    tmp_path: Path, coturn: TurnServer, transport: str
) -> None:
    service = Service(tmp_path)
    async with serving(service) as http:
        publisher, direct, relayed = WebcamPeer(), WebcamPeer(), WebcamPeer()
        await publisher.join(http)
        await publisher.plays()
        await direct.join(http, f"/whep/{publisher.stream_id}")
        service.peers._gathering = Gathering(relay_only(coturn, transport=transport))
        await relayed.join(http, f"/whep/{publisher.stream_id}")
        await asyncio.gather(direct.plays(), relayed.plays())

        connection = connection_of(service, relayed)
        (pair,) = connection._nominated.values()
        client = pair.protocol._client
        coturn.stall()
        for channel in client.channel_refresh_at:
            client.channel_refresh_at[channel] = 0.0  # its refresh is due, and has no answer
        gone = asyncio.Event()
        service.peers._peers[relayed.location.rpartition("/")[2]].on_closed(gone.set)
        await direct.plays(frames=direct.frames + 60, poses=len(direct.poses) + 60)
        assert len(client.transactions) < 20, "media asks nothing of the dead server"
        await asyncio.wait_for(gone.wait(), PATIENCE_S)
        coturn.go_on()
        for peer in (direct, publisher, relayed):
            await peer.close()
