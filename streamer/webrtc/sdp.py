"""Reading offers and trickled candidates: refuses what can't work, with words, before aiortc sees it."""

import re
from dataclasses import dataclass

from aiortc import RTCIceCandidate
from aiortc.sdp import MediaDescription, SessionDescription, candidate_from_sdp

from streamer.config import LimitsConfig
from streamer.errors import InvalidOffer, InvalidRequest, Unsupported

_DEFAULTS = LimitsConfig()

_END = r"\n\r\v\f\x1c-\x1e\x85\u2028\u2029"
"""Of a line, as ``str.splitlines`` sees it and with it aiortc: no other reading of lines may count."""

_CANDIDATE = re.compile(rf"(?<![^{_END}])a=candidate:[^{_END}]*")
_HIDDEN_CANDIDATE = re.compile(
    rf"(?<![^{_END}])a=candidate:[^{_END}]*\.local(?!\S)[^{_END}]*(\r\n|[{_END}]|$)", re.IGNORECASE
)
_END_OF_CANDIDATES = re.compile(rf"(?<![^{_END}])a=end-of-candidates(\r\n|[{_END}]|$)")
_UFRAG = re.compile(r"^a=ice-ufrag:(\S+)", re.MULTILINE)
_KINDS = ("audio", "video", "application")
_MID = re.compile(r"^a=mid:(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Offer:
    """A usable SDP offer. ``video_mid`` names its first video section that is not rejected, None when
    it offers messages only; ``sends_video`` / ``receives_video``: what that one offers; ``videos``: how
    many sections there are; ``candidates``: how many it has."""

    sdp: str
    video_mid: str | None
    username_fragment: str
    sends_video: bool
    receives_video: bool
    videos: int
    candidates: int


def parse_offer(sdp: str, limits: LimitsConfig = _DEFAULTS) -> Offer:
    """Raises InvalidOffer.

    Browsers hide their addresses behind ``.local`` names until they are allowed the camera (RFC 8828,
    mode 3); where the name can't be resolved aioice fails or hangs. Without those lines, and without the
    claim that there are no more, it finds the browser through the browser's own checks.
    """
    if len(sdp) > limits.max_sdp_bytes:
        raise InvalidOffer(f"The SDP offer is longer than {limits.max_sdp_bytes} bytes.")
    if len(sdp.splitlines()) > limits.max_sdp_lines:  # as aiortc splits them
        raise InvalidOffer(f"The SDP offer has more than {limits.max_sdp_lines} lines.")
    candidates = len(_CANDIDATE.findall(sdp))
    if candidates > limits.max_candidates:
        raise InvalidOffer(f"The SDP offer has more than {limits.max_candidates} candidates.")
    sdp = _END_OF_CANDIDATES.sub("", _HIDDEN_CANDIDATE.sub("", sdp))
    try:
        description = SessionDescription.parse(sdp)
    except Exception as error:  # aiortc's parser answers malformed text with whatever comes up
        raise InvalidOffer("The body is not an SDP offer that can be read (RFC 8866).") from error
    if not 1 <= len(description.media) <= limits.max_media_sections:
        raise InvalidOffer(f"An SDP offer has 1 to {limits.max_media_sections} media sections.")
    for media in description.media:
        if media.kind not in _KINDS:
            raise InvalidOffer(f"An SDP offer's media sections are of {', '.join(_KINDS)}.")
        if not _username_fragment(media) or media.dtls is None or not media.dtls.fingerprints:
            raise InvalidOffer("The SDP offer lacks ICE credentials or a DTLS fingerprint.")
    videos = [media for media in description.media if media.kind == "video" and media.port]
    channels = [media for media in description.media if media.kind == "application" and media.port]
    if not (videos or channels):
        raise InvalidOffer("The SDP offer has no video: it needs one m=video section.")
    mids = {media.rtp.muxId for media in description.media}
    if any(mid not in mids for group in description.group for mid in group.items):
        raise InvalidOffer("The SDP offer bundles a media section that it does not have.")
    if not videos:
        return Offer(sdp, None, _username_fragment(channels[0]), False, False, 0, candidates)
    direction = videos[0].direction or "sendrecv"
    return Offer(
        sdp,
        videos[0].rtp.muxId,
        _username_fragment(videos[0]),
        sends_video=direction in ("sendrecv", "sendonly"),
        receives_video=direction in ("sendrecv", "recvonly"),
        videos=len(videos),
        candidates=candidates,
    )


def _username_fragment(media: MediaDescription) -> str:
    return (media.ice.usernameFragment or "") if media.ice else ""


def parse_fragment(
    fragment: str, username_fragment: str, limits: LimitsConfig = _DEFAULTS
) -> list[RTCIceCandidate]:
    """The usable candidates of an ``application/trickle-ice-sdpfrag`` body (RFC 8840).

    ``username_fragment``: of the peer's ICE session; another one would be an ICE restart. Raises
    InvalidRequest, Unsupported.
    """
    if len(fragment) > limits.max_sdp_bytes:
        raise InvalidRequest(f"The SDP fragment is longer than {limits.max_sdp_bytes} bytes.")
    lines = _CANDIDATE.findall(_HIDDEN_CANDIDATE.sub("", fragment + "\n"))
    if len(lines) > limits.max_candidates:
        raise InvalidRequest(f"The SDP fragment has more than {limits.max_candidates} candidates.")
    restart = _UFRAG.search(fragment)
    if restart and restart[1] != username_fragment:
        raise Unsupported("ICE restarts are not supported: send a new offer; the old peer goes on.")
    mid = _MID.search(fragment)
    candidates = []
    for line in lines:
        try:
            candidate = candidate_from_sdp(line.strip().removeprefix("a=candidate:"))
        except (ValueError, IndexError, AssertionError) as error:
            raise InvalidRequest("The SDP fragment has a malformed candidate.") from error
        candidate.sdpMid = mid.group(1) if mid else "0"
        candidates.append(candidate)
    return candidates
