"""Which codec a viewer is sent: what it offers, what its camera forwards, what is being encoded anyway."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from aiortc.codecs import is_rtx
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from streamer.errors import InvalidOffer
from streamer.model import Codec, Forwarded

H264_PROFILE_LEVEL_IDS = ("42001f", "42e01f", "4d001f", "64001f")
"""Baseline, constrained baseline, main and high, level 3.1, as browsers offer them (RFC 6184, section
8.1). The level of what is sent may be higher, which every browser takes."""

_PROFILE_RANKS = {0x42: 0, 0x4D: 1, 0x64: 2}
"""By profile_idc: who decodes one of these decodes those before it. Baseline's own tools, which main
lacks, are used by no camera."""


@dataclass(frozen=True, slots=True)
class AgreedCodec:
    """One codec that the peer offers and we speak. ``profile``: H.264's profile_idc."""

    codec: Codec
    payload_type: int
    profile: int | None = None

    def takes(self, forwarded: Forwarded) -> bool:
        """Whether the peer can decode what the camera sends."""
        if forwarded.codec != self.codec:
            return False
        if self.codec != "h264":
            return True
        sent = _PROFILE_RANKS.get(forwarded.profile[0]) if forwarded.profile else None
        taken = _PROFILE_RANKS.get(self.profile or 0)
        return sent is not None and taken is not None and sent <= taken


def agreed_codecs(negotiated: Sequence[RTCRtpCodecParameters]) -> list[AgreedCodec]:
    """Of what offer and answer have in common, in the offer's order, that which we can send."""
    agreed = []
    for each in negotiated:
        if each.payloadType is None:
            continue
        match each.name.lower():
            case "vp8":
                agreed.append(AgreedCodec("vp8", each.payloadType))
            case "h264":
                level_id = str(each.parameters.get("profile-level-id", "42e01f"))
                agreed.append(AgreedCodec("h264", each.payloadType, int(level_id[:2], 16)))
    return agreed


def choose_codec(
    agreed: Sequence[AgreedCodec], forwarded: Forwarded | None, encoding: Collection[Codec]
) -> AgreedCodec:
    """What the camera sends, if it may be forwarded and the peer takes it; else what is being encoded
    anyway; else what the peer prefers. Raises InvalidOffer."""
    if not agreed:
        raise InvalidOffer("The SDP offer has neither VP8 nor H.264 video.")
    if forwarded is not None:
        fitting = [each for each in agreed if each.takes(forwarded)]
        if fitting:
            return min(fitting, key=lambda each: _PROFILE_RANKS.get(each.profile or 0, 0))
    return next((each for each in agreed if each.codec in encoding), agreed[0])


def keep_only(
    negotiated: Sequence[RTCRtpCodecParameters], chosen: AgreedCodec
) -> list[RTCRtpCodecParameters]:
    """The chosen codec and its retransmissions: what the answer is to hold."""
    return [
        each
        for each in negotiated
        if (each.parameters.get("apt") if is_rtx(each) else each.payloadType)
        == chosen.payload_type
    ]
