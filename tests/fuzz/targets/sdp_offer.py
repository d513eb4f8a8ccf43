"""SDP offers, as a stranger posts them to /webcam, /whip and /whep."""

from aiortc.sdp import SessionDescription

from streamer.config import LimitsConfig
from streamer.errors import InvalidOffer
from streamer.webrtc.sdp import parse_offer
from tests.fuzz.pieces import text


def fuzz(data: bytes) -> None:
    try:
        offer = parse_offer(text(data))
    except InvalidOffer:
        return
    again = SessionDescription.parse(offer.sdp)  # as aiortc does with what we hand on
    assert 1 <= len(again.media) <= LimitsConfig().max_media_sections
    assert offer.username_fragment
    assert ".local" not in "".join(each.ip or "" for m in again.media for each in m.ice_candidates)
