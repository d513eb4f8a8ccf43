"""What aiortc 1.16 does not say in its answers, added to its tables.

1. Transport-wide congestion control, without which Chromium sends a camera of 640x480 at a quarter of
   its size; ``receiving.py`` sends the feedback.
2. H.264's main and high profiles, for cameras whose own packets are forwarded.
3. DTLS with peers whose certificate is RSA (GStreamer's webrtcbin): aiortc offers suites for ECDSA alone.
4. One fingerprint of our certificate, SHA-256, instead of three: OBS's library takes the last one and now
   and then refuses the certificate. Every peer must know SHA-256 (RFC 8122, section 5).

``apply`` puts them in place; tests/unit/test_patches.py fails when aiortc changes under them. What is
mended in receivers and senders is in receiving.py and sending.py, in reading packets in hardening.py.
"""

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from aiortc import RTCCertificate
from aiortc.codecs import CODECS, HEADER_EXTENSIONS
from aiortc.rtcdtlstransport import RTCDtlsFingerprint
from aiortc.rtcrtpparameters import (
    RTCRtcpFeedback,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
)

from streamer.webrtc import hardening

if TYPE_CHECKING:
    from aiortc.rtcdtlstransport import SRTPProtectionProfile
    from OpenSSL import SSL

TRANSPORT_CC_URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
_TRANSPORT_CC_ID = 5  # free in aiortc's table of extensions

CAMERA_START_KBPS = 1500
"""Where Chromium's estimate for its camera begins, in kbit/s. From its own 300 it scales 1280x720 down
to 320x180 and takes 24 s to come back; with transport-wide feedback it leaves this at once where the
network is slower."""

_CIPHERS = ":".join(
    f"ECDHE-{certificate}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "CHACHA20-POLY1305", "AES128-SHA", "AES256-SHA")
    for certificate in ("ECDSA", "RSA")
)
"""aiortc's own suites, each for either kind of the peer's certificate (ours is ECDSA)."""


@cache
def apply() -> None:
    """Before the first peer is made; again is harmless."""
    HEADER_EXTENSIONS["video"].append(
        RTCRtpHeaderExtensionParameters(id=_TRANSPORT_CC_ID, uri=TRANSPORT_CC_URI)
    )
    _add_h264_profiles()
    _add_rsa_suites()
    _keep_one_fingerprint()
    hardening.apply()
    for codec in CODECS["video"]:
        if codec.rtcpFeedback:  # not the retransmission "codecs"
            codec.rtcpFeedback.append(RTCRtcpFeedback(type="transport-cc"))
            codec.parameters["x-google-start-bitrate"] = CAMERA_START_KBPS


def _add_h264_profiles() -> None:
    known = next(codec for codec in CODECS["video"] if codec.mimeType == "video/H264")
    payload_type = max(codec.payloadType or 0 for codec in CODECS["video"]) + 1
    for profile_level_id in ("4d001f", "64001f"):
        codec = replace(
            known,
            payloadType=payload_type,
            parameters={**known.parameters, "profile-level-id": profile_level_id},
            rtcpFeedback=list(known.rtcpFeedback),
        )
        retransmission = RTCRtpCodecParameters(
            mimeType="video/rtx",
            clockRate=codec.clockRate,
            payloadType=payload_type + 1,
            parameters={"apt": payload_type},
        )
        CODECS["video"] += [codec, retransmission]
        payload_type += 2


def _add_rsa_suites() -> None:
    stock = RTCCertificate._create_ssl_context

    def create(self: RTCCertificate, srtp_profiles: "list[SRTPProtectionProfile]") -> "SSL.Context":
        context = stock(self, srtp_profiles)
        context.set_cipher_list(_CIPHERS.encode())
        return context

    RTCCertificate._create_ssl_context = create  # type: ignore[method-assign]


def _keep_one_fingerprint() -> None:
    stock = RTCCertificate.getFingerprints

    def keep(self: RTCCertificate) -> list[RTCDtlsFingerprint]:
        return [each for each in stock(self) if each.algorithm == "sha-256"]

    RTCCertificate.getFingerprints = keep  # type: ignore[method-assign]
