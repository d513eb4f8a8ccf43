"""Trickled candidates, as a peer sends them with PATCH."""

from streamer.config import LimitsConfig
from streamer.errors import InvalidRequest, Unsupported
from streamer.webrtc.sdp import parse_fragment
from tests.fuzz.pieces import text


def fuzz(data: bytes) -> None:
    try:
        candidates = parse_fragment(text(data), "ufrag")
    except (InvalidRequest, Unsupported):
        return
    assert len(candidates) <= LimitsConfig().max_candidates
    for each in candidates:
        assert not each.ip.lower().endswith(".local")
        assert each.sdpMid is not None
