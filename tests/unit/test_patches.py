"""What was added to aiortc's tables, and the private parts that are used: each fails here when aiortc
changes under it. Those of receivers and senders are in test_receiving.py and test_sending.py."""

from typing import Any

import pytest
from aiortc import RTCPeerConnection
from aiortc.codecs import CODECS, HEADER_EXTENSIONS, is_rtx
from aiortc.rtcrtpparameters import RTCRtpParameters
from aiortc.rtp import HeaderExtensionsMap, unpack_header_extensions

from streamer.webrtc import patches


@pytest.fixture(autouse=True)
def _applied() -> None:
    patches.apply()


# -- the seams in aiortc ----------------------------------------------------------------------------


async def test_connections_have_the_private_parts_that_liveness_uses() -> None:
    peer = RTCPeerConnection()
    transport: Any = peer.addTransceiver("video").receiver.transport
    (stats,) = transport._get_stats().values()
    assert (stats.type, stats.packetsReceived) == ("transport", 0)
    connection = transport.transport._connection
    assert connection._nominated == {}
    assert callable(connection.build_request)
    assert hasattr(connection, "remote_password")
    await peer.close()


async def test_offers_and_answers_speak_of_transport_wide_feedback_once() -> None:
    patches.apply()
    peer = RTCPeerConnection()
    peer.addTransceiver("video")
    sdp = (await peer.createOffer()).sdp
    assert sdp.count(patches.TRANSPORT_CC_URI) == 1
    lines = [line for line in sdp.splitlines() if line.endswith("transport-cc")]
    assert lines and len(lines) == len(set(lines))
    codecs = [codec for codec in CODECS["video"] if not codec.name.lower() == "rtx"]
    assert len(lines) == len(codecs)
    ids = [extension.id for extension in HEADER_EXTENSIONS["video"]]
    assert len(ids) == len(set(ids))
    await peer.close()


def test_extension_is_read_by_aiortc_under_our_id() -> None:
    header_extensions = HeaderExtensionsMap()
    header_extensions.configure(RTCRtpParameters(headerExtensions=HEADER_EXTENSIONS["video"]))
    profile, value = 0xBEDE, bytes([5 << 4 | 1, 0x12, 0x34, 0])
    assert unpack_header_extensions(profile, value) == [(5, b"\x12\x34")]
    assert header_extensions.get(profile, value).transport_sequence_number == 0x1234


def test_answers_know_the_profiles_that_cameras_send() -> None:
    """Each once, with retransmissions of its own, under a payload type of its own."""
    patches.apply()
    codecs = CODECS["video"]
    profiles = [c.parameters["profile-level-id"] for c in codecs if c.mimeType == "video/H264"]
    assert profiles == ["42001f", "42e01f", "4d001f", "64001f"]
    types = [codec.payloadType for codec in codecs]
    assert len(types) == len(set(types)) and all(96 <= (t or 0) <= 127 for t in types)
    mains = {codec.payloadType for codec in codecs if not is_rtx(codec)}
    assert {codec.parameters["apt"] for codec in codecs if is_rtx(codec)} == mains
