"""Which codec a viewer is sent: what it offers, what its camera sends, what is being encoded anyway."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from aiortc.codecs import is_rtx
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from streamer.errors import InvalidOffer
from streamer.model import Codec, Forwarded

_PROFILE_RANKS = {0x42: 0, 0x4D: 1, 0x64: 2}
"""Baseline, main and high by profile_idc (H.264, annex A): who decodes one decodes those before it.
Baseline's own tools, which main lacks, are used by no camera."""


@dataclass(frozen=True, slots=True)
class AgreedCodec:
    """One codec that the peer offers and we speak. ``profile``: H.264's profile_idc."""

    codec: Codec
    payload_type: int
    profile: int | None = None

    def takes(self, forwarded: Forwarded) -> bool:
        """Whether the peer can decode what the camera sends. Its level may be higher than the one that
        was agreed: the cameras' usual ones are decoded by every browser."""
        if forwarded.codec != self.codec:
            return False
        if self.codec != "h264":
            return True
        sent = _PROFILE_RANKS.get(forwarded.profile[0]) if forwarded.profile else None
        return sent is not None and sent <= self.rank

    @property
    def rank(self) -> int:
        return _PROFILE_RANKS.get(self.profile or 0, 0)


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
    agreed: Sequence[AgreedCodec], camera: str | None, encoding: Collection[Codec]
) -> AgreedCodec:
    """What the camera sends, if its own packets are wanted (else ``camera`` is None) and the peer takes
    its codec; else what is being encoded anyway; else what the peer prefers. Raises InvalidOffer."""
    if not agreed:
        raise InvalidOffer("The SDP offer has neither VP8 nor H.264 video.")
    fitting = [each for each in agreed if each.codec == camera]
    if fitting:  # in the profile with most tools, since it decodes the others too
        return max(fitting, key=lambda each: each.rank)
    return next((each for each in agreed if each.codec in encoding), agreed[0])


def keep_only(
    negotiated: Sequence[RTCRtpCodecParameters], chosen: AgreedCodec
) -> list[RTCRtpCodecParameters]:
    """The chosen codec and its retransmissions: what the answer is to hold."""
    return [
        each
        for each in negotiated
        if (each.parameters.get("apt") if is_rtx(each) else each.payloadType) == chosen.payload_type
    ]
