"""What was added to aiortc's tables, and the private parts that are used: each fails here when aiortc
changes under it. Those of receivers and senders are in test_receiving.py and test_sending.py."""

import contextlib
import datetime
from typing import Any

import pytest
from aiortc import RTCCertificate, RTCPeerConnection
from aiortc.codecs import CODECS, HEADER_EXTENSIONS, is_rtx
from aiortc.rtcdtlstransport import SRTP_PROFILES
from aiortc.rtcrtpparameters import RTCRtpParameters
from aiortc.rtp import HeaderExtensionsMap, unpack_header_extensions
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from OpenSSL import SSL

from streamer.webrtc import patches

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


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


# -- DTLS -------------------------------------------------------------------------------------------


def dtls_context(key: PrivateKey) -> SSL.Context:
    """Of a peer with a certificate of this key, as aiortc makes it but for the suites: any that there are."""
    ours: Any = RTCCertificate(key, self_signed(key))  # type: ignore[arg-type]
    context: SSL.Context = ours._create_ssl_context(SRTP_PROFILES)
    context.set_cipher_list(b"ALL")
    return context


def self_signed(key: PrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a peer")])
    now = datetime.datetime.now(tz=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    return builder.sign(key, hashes.SHA256())


def shake_hands(client: SSL.Connection, server: SSL.Connection) -> None:
    """Carries their datagrams until both are content. Raises SSL.Error."""
    client.set_connect_state()
    server.set_accept_state()
    content: set[SSL.Connection] = set()
    while content != {client, server}:
        for one, other in ((client, server), (server, client)):
            try:
                one.do_handshake()
                content.add(one)
            except SSL.WantReadError:
                pass
            with contextlib.suppress(SSL.WantReadError):
                other.bio_write(one.bio_read(65_536))


@pytest.mark.parametrize(
    "key",
    [rsa.generate_private_key(65_537, 2048), ec.generate_private_key(ec.SECP256R1())],
    ids=["RSA, as GStreamer's", "P-256, as all others'"],
)
@pytest.mark.parametrize("we_are_the_client", [True, False])
def test_peers_may_have_either_kind_of_certificate(
    key: PrivateKey, we_are_the_client: bool
) -> None:
    mine: Any = RTCCertificate.generateCertificate()
    ours = SSL.Connection(mine._create_ssl_context(SRTP_PROFILES))
    theirs = SSL.Connection(dtls_context(key))
    shake_hands(*((ours, theirs) if we_are_the_client else (theirs, ours)))
    assert ours.get_selected_srtp_profile() == theirs.get_selected_srtp_profile() != b""
