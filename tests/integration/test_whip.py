"""WHIP (RFC 9725) and WHEP as their texts have it: methods, headers, ICE sessions, shapes of offers."""

import time
from pathlib import Path

import pytest
from aiortc import RTCSessionDescription

from streamer.config import LimitsConfig, ServerConfig
from streamer.model import StreamState
from streamer.webrtc import peers
from streamer.webrtc.source import PeerSource
from tests.fakes import RecordingSink
from tests.in_process import SDP, Http, Service, WebcamPeer, serving
from tests.integration.test_http import TOKEN, problem
from tests.rigs.obs import OBS_OFFER

FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
CANDIDATE = "a=mid:0\r\na=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\na=end-of-candidates\r\n"
ENDPOINTS = ["/whip", "/whip/door", "/whep/door"]


class Publisher(WebcamPeer):
    """Joined to /whip/gym, and what its answer said."""

    def __init__(self, http: Http) -> None:
        super().__init__()
        self._http = http
        self.tag = ""

    async def __aenter__(self) -> "Publisher":
        offer = (await self.offer()).replace("sendrecv", "sendonly")
        response = await self._http.post("/whip/gym", data=offer, headers=SDP)
        assert response.status == 201
        assert response.headers["Content-Type"] == "application/sdp"
        self.location, self.tag = response.headers["Location"], response.headers["ETag"]
        answer = RTCSessionDescription(await response.text(), "answer")
        await self.connection.setRemoteDescription(answer)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def patch(self, fragment: str, if_match: str | None) -> "tuple[int, dict[str, str]]":
        headers = FRAGMENT | ({} if if_match is None else {"If-Match": if_match})
        response = await self._http.patch(self.location, data=fragment, headers=headers)
        if response.status >= 400:
            await problem(response, response.status, KINDS[response.status])
        return response.status, dict(response.headers)


KINDS = {
    400: "invalid-request",
    412: "precondition-failed",
    422: "not-supported",
}


@pytest.mark.parametrize("path", ENDPOINTS)
async def test_endpoint_says_what_may_be_posted_and_lets_no_other_origin_in(
    http: Http, path: str
) -> None:
    response = await http.options(path, headers={"Origin": "https://elsewhere.example"})
    assert response.status == 200
    assert response.headers["Accept-Post"] == "application/sdp"
    assert "POST" in response.headers["Allow"]
    assert not [name for name in response.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize("path", ENDPOINTS)
async def test_endpoint_has_nothing_to_read(http: Http, path: str) -> None:
    for method in ("GET", "HEAD"):
        response = await http.request(method, path)
        assert (response.status, await response.text()) == (204, "")


@pytest.mark.parametrize("path", ENDPOINTS)
async def test_what_is_no_sdp_is_an_unsupported_type(http: Http, path: str) -> None:
    for headers in ({"Content-Type": "application/json"}, {"Content-Type": "text/plain"}, {}):
        response = await http.post(path, data=b"v=0", headers=headers)
        await problem(response, 415, "unsupported-media-type")


async def test_options_need_the_token_as_everything_does(tmp_path: Path) -> None:
    async with serving(Service(tmp_path, server=ServerConfig(token=TOKEN))) as guarded:
        await problem(await guarded.options("/whip/gym"), 401, "token-needed")
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        response = await guarded.options("/whip/gym", headers=bearer)
        assert response.headers["Accept-Post"] == "application/sdp"


async def test_peer_says_what_may_be_patched_and_whether_it_is_there(http: Http) -> None:
    async with Publisher(http) as peer:
        response = await http.options(peer.location)
        assert response.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"
        assert (await http.get(peer.location)).status == 204
        assert (await http.delete(peer.location)).status == 200
        await problem(await http.get(peer.location), 404, "not-found")


async def test_each_answer_names_its_ice_session_with_a_strong_tag(http: Http) -> None:
    async with Publisher(http) as one:
        first = one.tag
        assert (await http.delete(one.location)).status == 200
    async with Publisher(http) as two:
        assert first.startswith('"') and first.endswith('"')
        assert two.tag != first


async def test_candidates_may_come_later_for_the_ice_session_they_name(http: Http) -> None:
    async with Publisher(http) as peer:
        for if_match in (peer.tag, "*", f'"other", {peer.tag}', None):
            status, headers = await peer.patch(CANDIDATE, if_match)
            assert status == 204
            assert "ETag" not in headers
        for if_match in ('"other"', f"W/{peer.tag}", ""):
            assert (await peer.patch(CANDIDATE, if_match))[0] == 412
        assert (await peer.patch("a=candidate:x", peer.tag))[0] == 400
        wrong = await http.patch(peer.location, data="{}", headers=SDP | {"If-Match": "*"})
        await problem(wrong, 415, "unsupported-media-type")


async def test_if_match_of_nonsense_costs_nothing(http: Http) -> None:
    async with Publisher(http) as peer:
        begun_s = time.thread_time()
        assert (await peer.patch(CANDIDATE, "a" + " " * 8000 + "b"))[0] == 412
        assert time.thread_time() - begun_s < 0.1


@pytest.mark.parametrize(
    "candidate",
    [
        "2 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active",
        "2 1 udp 1518280447 no-such-host.example 4000 typ host",
        "2 1 udp 1518280447 1f4712db-ea17-4bcf-a596-105139dfd8bf.local 4000 typ host",
    ],
    ids=["tcp", "a name", "a hidden name"],
)
async def test_candidate_that_can_not_be_used_is_left_out_in_silence(
    http: Http, candidate: str
) -> None:
    async with Publisher(http) as peer:
        fragment = f"a=mid:0\r\na=candidate:{candidate}\r\n{CANDIDATE}"
        assert (await peer.patch(fragment, peer.tag))[0] == 204


async def test_candidates_of_a_peer_have_an_end(http: Http) -> None:
    async with Publisher(http) as peer:
        offered = peer.connection.localDescription.sdp.count("a=candidate:")
        for _ in range(LimitsConfig().max_candidates - offered):
            assert (await peer.patch(CANDIDATE, "*"))[0] == 204
        assert (await peer.patch(CANDIDATE, "*"))[0] == 400


async def test_ice_restart_is_declined_and_the_session_stays(http: Http) -> None:
    async with Publisher(http) as peer:
        restart = "a=ice-ufrag:anew\r\na=ice-pwd:0123456789012345678901\r\n"
        assert (await peer.patch(restart, "*"))[0] == 422
        assert (await peer.patch(CANDIDATE, peer.tag))[0] == 204


async def test_the_end_of_a_session_asks_for_no_tag(http: Http) -> None:
    async with Publisher(http) as peer:
        response = await http.delete(peer.location, headers={"If-Match": '"other"'})
        assert response.status == 200


async def test_publisher_that_hangs_up_before_it_says_so_ends_its_stream_all_the_same(
    http: Http, service: Service
) -> None:
    """As whip-whep does, and most pages: the farewell on the connection comes first, then the DELETE."""
    async with Publisher(http) as peer:
        await hung_up(peer, service)
        assert service.streams.has("gym")
        assert (await http.delete(peer.location)).status == 200
        assert not service.streams.has("gym")
        await problem(await http.delete(peer.location), 404, "not-found")


async def test_late_end_of_a_publisher_leaves_its_successor_alone(
    http: Http, service: Service
) -> None:
    async with Publisher(http) as first:
        await hung_up(first, service)
        async with Publisher(http) as second:
            assert (await http.delete(first.location)).status == 200
            assert service.streams.has("gym")
            assert (await http.get(second.location)).status == 204


async def hung_up(peer: Publisher, service: Service) -> None:
    """Connected, live, and then closed without a word by HTTP."""
    sink = RecordingSink()
    service.streams.get("gym").session.subscribe(sink)
    await sink.state_comes(StreamState.LIVE)
    await peer.connection.close()
    await sink.state_comes(StreamState.RECONNECTING)


async def test_two_videos_of_one_publisher_are_refused_rather_than_one_of_them_lost(
    http: Http, service: Service
) -> None:
    head, audio, video = OBS_OFFER.replace("BUNDLE 0 1", "BUNDLE 0 1 2").split("m=")
    second = video.replace("a=mid:1", "a=mid:2").replace("1000002", "1000003")
    offer = "m=".join([head, audio, video, second])
    detail = await problem(
        await http.post("/whip/gym", data=offer, headers=SDP), 400, "invalid-offer"
    )
    assert "several videos" in detail
    assert len(service.peers) == 0


# -- OBS --------------------------------------------------------------------------------------------


async def test_offer_as_of_obs_gets_its_video_taken_and_its_audio_declined(
    tmp_path: Path,
) -> None:
    async with serving(Service(tmp_path, server=ServerConfig(token=TOKEN))) as guarded:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        await problem(
            await guarded.post("/whip/obs", data=OBS_OFFER, headers=SDP), 401, "token-needed"
        )
        response = await guarded.post("/whip/obs", data=OBS_OFFER, headers=SDP | bearer)
        assert response.status == 201
        answer = await response.text()
        location = response.url.join(response.url.with_path(response.headers["Location"]))
        _, audio, video = answer.split("m=")
        assert audio.startswith("audio") and "a=inactive" in audio
        assert "a=recvonly" in video and "a=rtpmap:96 H264/90000" in video
        assert "a=candidate:" in answer and "a=end-of-candidates" in answer
        for section in (audio, video):
            assert "a=rtcp-mux" in section
            assert "a=setup:active" in section
            assert section.count("a=fingerprint:") == section.count("a=fingerprint:sha-256") == 1
        assert "a=group:BUNDLE 0 1" in answer
        assert (await guarded.delete(location.path, headers=bearer)).status == 200


@pytest.mark.parametrize(
    ("offered", "answered"), [("actpass", "active"), ("active", "passive"), ("passive", "active")]
)
async def test_publisher_that_can_be_only_one_side_of_dtls_is_served(
    http: Http, offered: str, answered: str
) -> None:
    offer = OBS_OFFER.replace("setup:actpass", f"setup:{offered}")
    response = await http.post("/whip/obs", data=offer, headers=SDP)
    answer = await response.text()
    assert response.status == 201, answer
    assert answer.count(f"a=setup:{answered}") == answer.count("a=setup:") > 0
    await http.delete(response.headers["Location"])


@pytest.mark.parametrize("part", ["Peer", "Renditions"])
async def test_peer_that_can_not_be_made_leaves_its_place_free(
    http: Http, service: Service, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of luck")

    publisher = WebcamPeer()
    offer = (await publisher.offer()).replace("sendrecv", "sendonly")
    with monkeypatch.context() as patch:
        patch.setattr(peers, part, fail)
        assert (await http.post("/whip/gym", data=offer, headers=SDP)).status == 500
    await publisher.close()
    assert not service.streams.has("gym")
    async with Publisher(http):
        source = service.streams.get("gym").source
        assert isinstance(source, PeerSource)
        source.detach()  # it comes back to a stream that is there
        with monkeypatch.context() as patch:
            patch.setattr(peers, "Peer", fail)
            assert (await http.post("/whip/gym", data=offer, headers=SDP)).status == 500
        assert not source.publishing
