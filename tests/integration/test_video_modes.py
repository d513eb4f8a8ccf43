"""What a viewer is sent in each of the three video modes, over real WebRTC in one process."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from streamer.config import VideoConfig, WebRtcConfig
from streamer.model import StreamState
from tests.fakes import PATIENCE_S, RecordingSink
from tests.in_process import SDP, Camera, Http, Service, WebcamPeer, serving

MESSAGES_ONLY = "\r\n".join(
    [
        *("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0"),
        *("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=mid:0"),
        *("a=sctp-port:5000", "a=ice-ufrag:abcd", "a=ice-pwd:0123456789012345678901"),
        *("a=fingerprint:sha-256 " + ":".join(["AB"] * 32), "a=setup:actpass", ""),
    ]
)
QUICK = WebRtcConfig(resume_timeout_s=0.2)


def encoders() -> list[str]:
    """The looks and codecs that are being encoded."""
    names = [thread.name for thread in threading.enumerate()]
    return ["-".join(name.split("-")[2:]) for name in names if name.startswith("encode-")]


async def clock_of(peer: WebcamPeer) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            for message in peer.messages:
                if message["type"] == "clock" and "rtp_origin" in message:
                    return message
            peer.news.clear()
            await peer.news.wait()


async def test_webcam_is_sent_its_annotated_picture_by_default(tmp_path: Path) -> None:
    async with serving(Service(tmp_path)) as http:
        peer = WebcamPeer()
        await peer.join(http)
        await peer.plays()
        assert encoders() == ["annotated-vp8"]
        await peer.close()


async def test_plain_webcam_is_sent_its_own_packets_back(tmp_path: Path) -> None:
    async with serving(Service(tmp_path)) as http:
        peer = WebcamPeer()
        await peer.join(http, "/webcam?video=plain")
        await peer.plays(frames=10)
        assert encoders() == []
        await peer.close()


async def test_webcam_without_video_back_gets_messages_only(tmp_path: Path) -> None:
    service = Service(tmp_path)
    async with serving(service) as http:
        peer = WebcamPeer()
        await peer.join(http, "/webcam?video=none")
        await peer.plays(frames=0, poses=5)
        assert peer.frames == 0 and encoders() == []
        assert service.streams.get(peer.stream_id).viewers == 0
        await peer.close()


async def test_returned_frames_bear_the_time_of_their_messages(tmp_path: Path) -> None:
    async with serving(Service(tmp_path)) as http:
        peer = WebcamPeer()
        await peer.join(http)
        await peer.plays(frames=10, poses=10)
        origin = (await clock_of(peer))["rtp_origin"]
        (transceiver,) = peer.connection.getTransceivers()
        receiver: Any = transceiver.receiver
        first_rtp = receiver._RTCRtpReceiver__timestamp_mapper._origin
        shown = {(pts + first_rtp - origin) % 2**32 for pts in peer.frame_times}
        told = {pose["pts"] for pose in peer.poses}
        # The last frames' messages, and the last messages' frames, may be under way.
        assert len(shown & told) >= len(shown) - 3
        await peer.close()


async def test_publisher_is_told_its_own_clock(tmp_path: Path) -> None:
    async with serving(Service(tmp_path)) as http:
        peer = WebcamPeer()
        await peer.join(http, "/webcam?video=none")
        async with asyncio.timeout(PATIENCE_S):
            while not (reports := [each for each in peer.messages if "ntp" in each]):
                peer.news.clear()
                await peer.news.wait()
        report = reports[0]
        assert report["type"] == "clock" and report["epoch"] == 1
        assert abs(report["ntp"] - report["t"]) < 5, "both are this machine's clock"
        nearest = min(abs(pose["pts"] - report["pts"]) for pose in peer.poses)
        assert nearest < 90_000
        await peer.close()


async def watch(http: Http, url: str, *, video: bool) -> tuple[RTCPeerConnection, list[str]]:
    """A viewer that offers a channel, and video if so; and what comes on the channel."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    if video:
        connection.addTransceiver("video", direction="recvonly")
    channel = connection.createDataChannel("landmarks", ordered=False, maxRetransmits=0)
    messages: list[str] = []
    enough = asyncio.Event()

    @channel.on("message")
    def on_message(text: str) -> None:
        messages.append(text)
        if len(messages) >= 5:
            enough.set()

    await connection.setLocalDescription(await connection.createOffer())
    async with http.post(url, data=connection.localDescription.sdp, headers=SDP) as response:
        answer = await response.text()
        assert response.status == 201, answer
    await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await asyncio.wait_for(enough.wait(), PATIENCE_S)
    return connection, [answer, *messages]


@pytest.mark.parametrize("video", [True, False])
async def test_viewer_may_want_messages_only(tmp_path: Path, video: bool) -> None:
    async with serving(Service(tmp_path)) as http:
        peer = WebcamPeer()
        await peer.join(http, "/webcam?video=none")
        url = f"/whep/{peer.stream_id}?video=none"
        viewer, (answer, *messages) = await watch(http, url, video=video)
        assert ("a=inactive" in answer) is video
        assert any('"type":"pose"' in message for message in messages)
        assert encoders() == []
        await viewer.close()
        await peer.close()


async def test_viewers_of_one_look_share_an_encoder_that_ends_with_them(tmp_path: Path) -> None:
    async with serving(Service(tmp_path)) as http:
        peer = WebcamPeer()
        await peer.join(http, "/webcam?video=none")
        await peer.plays(frames=0)
        url = f"/whep/{peer.stream_id}"
        viewers = [(await watch(http, url, video=True))[0] for _ in range(3)]
        assert encoders() == ["annotated-vp8"]
        async with http.get(f"/api/v1/streams/{peer.stream_id}") as response:
            assert (await response.json())["viewers"] == 3
        (encoder,) = (each for each in threading.enumerate() if each.name.startswith("encode-"))
        for viewer in viewers:
            await viewer.close()
        await asyncio.to_thread(encoder.join, 2 * PATIENCE_S)
        assert encoders() == []
        await peer.close()


async def test_unknown_mode_is_refused_with_those_there_are(tmp_path: Path) -> None:
    async with serving(Service(tmp_path)) as http:
        for url in ("/webcam?video=3d", "/whep/x?video=Plain"):
            async with http.post(url, data=MESSAGES_ONLY, headers=SDP) as response:
                problem = await response.json()
            assert response.status == 400
            assert "?video=plain" in problem["detail"]


async def test_offer_without_video_is_refused_where_video_is_wanted(tmp_path: Path) -> None:
    async with serving(Service(tmp_path)) as http:
        peer = WebcamPeer()
        await peer.join(http, "/webcam?video=none")
        for url in (f"/whep/{peer.stream_id}", "/webcam", "/whip"):
            async with http.post(url, data=MESSAGES_ONLY, headers=SDP) as response:
                assert response.status == 400
                assert "no video" in (await response.json())["detail"]
        await peer.close()


async def test_stream_of_a_publisher_pauses_while_nobody_watches_and_wakes_for_a_viewer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.screens.IDLE_AFTER_S", 0.1)
    service = Service(tmp_path, webrtc=QUICK, video=VideoConfig(idle="pause"))
    async with serving(service) as http:
        publisher, location = await publish(http, "/whip/cam")
        sink = RecordingSink()
        service.streams.get("cam").session.subscribe(sink)
        await sink.state_comes(StreamState.PAUSED)
        viewer, messages = await watch(http, "/whep/cam", video=True)
        assert any('"type":"pose"' in message for message in messages)
        assert sink.states[-1] is StreamState.LIVE
        await viewer.close()
        await sink.state_comes(StreamState.PAUSED)
        async with http.delete(location):
            pass
        assert not service.streams.has("cam")
        await publisher.close()


async def publish(http: Http, url: str) -> tuple[RTCPeerConnection, str]:
    """A WHIP publisher that listens to nothing, and its peer's address."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver(Camera(), direction="sendonly")
    await connection.setLocalDescription(await connection.createOffer())
    async with http.post(url, data=connection.localDescription.sdp, headers=SDP) as response:
        answer = await response.text()
        assert response.status == 201, answer
        location = response.headers["Location"]
    await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    return connection, location
