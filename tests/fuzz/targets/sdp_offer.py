"""SDP offers, as a stranger posts them to /webcam, /whip and /whep."""

from aioice.mdns import is_mdns_hostname
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
    # Names that aioice would try to resolve.
    hosts = [each.ip or "" for media in again.media for each in media.ice_candidates]
    assert not any(map(is_mdns_hostname, hosts))
