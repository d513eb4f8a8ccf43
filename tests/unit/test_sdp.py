"""Offers and trickled candidates: what can't work is refused with words, before aiortc sees it."""

import random

import pytest

from streamer.config import LimitsConfig
from streamer.errors import InvalidOffer, InvalidRequest, Unsupported
from streamer.webrtc.sdp import parse_fragment, parse_offer

LIMITS = LimitsConfig()

SESSION = """v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
"""
FINGERPRINT = ":".join(["AB"] * 32)
CREDENTIALS = f"""a=ice-ufrag:abcd
a=ice-pwd:0123456789012345678901
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass
"""
VIDEO = f"""m=video 9 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=mid:0
a=sendrecv
a=rtcp-mux
a=rtpmap:96 VP8/90000
{CREDENTIALS}"""
AUDIO = (
    VIDEO.replace("m=video", "m=audio")
    .replace("96 VP8/90000", "96 opus/48000/2")
    .replace("a=mid:0", "a=mid:1")
)
DATA = f"""m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:2
a=sctp-port:5000
{CREDENTIALS}"""
HOST_CANDIDATE = "a=candidate:1 1 udp 2113937151 192.168.1.7 50000 typ host\n"
HIDDEN_CANDIDATE = (
    "a=candidate:2 1 UDP 2113937151 1f4712db-ea17-4bcf-a596-105139dfd8bf.local 50001 typ host\n"
)


def crlf(text: str) -> str:
    return text.replace("\n", "\r\n")


def test_offer_of_a_camera_that_wants_its_picture_back() -> None:
    offer = parse_offer(crlf(SESSION + VIDEO + DATA))
    assert (offer.sends_video, offer.receives_video) == (True, True)


@pytest.mark.parametrize(
    ("direction", "sends", "receives"),
    [("sendonly", True, False), ("recvonly", False, True), ("inactive", False, False)],
)
def test_direction_of_the_video_is_understood(direction: str, sends: bool, receives: bool) -> None:
    offer = parse_offer(crlf(SESSION + VIDEO.replace("sendrecv", direction)))
    assert (offer.sends_video, offer.receives_video) == (sends, receives)


def test_direction_is_both_ways_where_none_is_told() -> None:
    offer = parse_offer(crlf(SESSION + VIDEO.replace("a=sendrecv\n", "")))
    assert (offer.sends_video, offer.receives_video) == (True, True)


def test_lines_may_end_without_carriage_return() -> None:
    assert parse_offer(SESSION + VIDEO).sends_video


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "v=0",
        "\x00\x01\x02",
        "m=video",
        "{}",
        SESSION,
        SESSION + "m=video 9 UDP/TLS/RTP/SAVPF 96\n",
        SESSION + VIDEO.replace("a=rtpmap:96 VP8/90000", "a=rtpmap:96"),
        SESSION + VIDEO.replace("m=video 9", "m=video nine"),
        SESSION + VIDEO.replace("a=ice-ufrag:abcd\n", ""),
        SESSION + VIDEO.replace(f"a=fingerprint:sha-256 {FINGERPRINT}\n", ""),
        SESSION + VIDEO + "a=candidate:1 1\n",
        SESSION + VIDEO + "a=ssrc:notanumber cname:x\n",
    ],
)
def test_broken_offer_is_refused(text: str) -> None:
    with pytest.raises(InvalidOffer):
        parse_offer(crlf(text))


def test_offer_without_video_is_refused_and_says_so() -> None:
    for sections in (AUDIO, VIDEO.replace("m=video 9", "m=video 0")):
        with pytest.raises(InvalidOffer, match="video"):
            parse_offer(crlf(SESSION + sections))


def test_offer_may_be_of_messages_only() -> None:
    session = SESSION.replace("BUNDLE 0", "BUNDLE 2")
    offer = parse_offer(crlf(session + DATA))
    assert (offer.video_mid, offer.sends_video, offer.receives_video) == (None, False, False)
    assert offer.username_fragment == "abcd"


def test_offer_of_unbounded_size_is_refused() -> None:
    with pytest.raises(InvalidOffer, match="longer"):
        parse_offer(crlf(SESSION + VIDEO + "a=x:" + "y" * LIMITS.max_sdp_bytes + "\n"))
    with pytest.raises(InvalidOffer, match="sections"):
        parse_offer(crlf(SESSION + VIDEO + DATA * LIMITS.max_media_sections))
    with pytest.raises(InvalidOffer, match="lines"):
        parse_offer(crlf(SESSION + VIDEO + "a=x\n" * LIMITS.max_sdp_lines))
    with pytest.raises(InvalidOffer, match="candidates"):
        parse_offer(crlf(SESSION + VIDEO + HOST_CANDIDATE * (LIMITS.max_candidates + 1)))


def test_offer_may_have_as_many_candidates_as_allowed() -> None:
    parse_offer(crlf(SESSION + VIDEO + HOST_CANDIDATE * LIMITS.max_candidates))


@pytest.mark.parametrize("end_of_line", ["\n", "\r\n"])
def test_hidden_candidates_are_left_out_and_the_end_is_left_open(end_of_line: str) -> None:
    text = SESSION + VIDEO + HIDDEN_CANDIDATE + HOST_CANDIDATE + "a=end-of-candidates\n"
    text += HIDDEN_CANDIDATE.replace("UDP", "tcp").replace(".local", ".LOCAL")
    sdp = parse_offer(text.replace("\n", end_of_line)).sdp
    assert ".local" not in sdp.lower()
    assert "end-of-candidates" not in sdp
    assert sdp == (SESSION + VIDEO + HOST_CANDIDATE).replace("\n", end_of_line)


@pytest.mark.parametrize("seed", range(300))
def test_damaged_offer_is_refused_or_read_and_nothing_else(seed: int) -> None:
    """Lines lost, doubled, swapped, cut and with letters changed."""
    chance = random.Random(seed)
    lines = (SESSION + VIDEO + HOST_CANDIDATE + AUDIO + DATA).splitlines()
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(lines))
        match chance.randrange(5):
            case 0:
                del lines[at]
            case 1:
                lines.insert(chance.randrange(len(lines)), lines[at])
            case 2:
                lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
            case 3:
                lines[at] = lines[at].replace(
                    chance.choice(lines[at] or " "), chr(chance.randrange(1, 0x300))
                )
            case _:
                chance.shuffle(lines)
    try:
        parse_offer("\r\n".join(lines) + "\r\n")
    except InvalidOffer as error:
        assert str(error)


# -- trickled candidates ----------------------------------------------------------------------------


def test_candidates_of_a_fragment_belong_to_its_media_section() -> None:
    fragment = "a=ice-ufrag:abcd\r\na=mid:7\r\n" + crlf(HOST_CANDIDATE)
    (candidate,) = parse_fragment(fragment, "abcd")
    assert (candidate.ip, candidate.port, candidate.sdpMid) == ("192.168.1.7", 50000, "7")


def test_fragment_without_a_section_means_the_first() -> None:
    (candidate,) = parse_fragment(HOST_CANDIDATE.strip(), "")
    assert candidate.sdpMid == "0"


def test_hidden_candidates_and_the_end_of_candidates_are_nothing_to_add() -> None:
    assert parse_fragment(crlf(HIDDEN_CANDIDATE + "a=end-of-candidates\n"), "") == []
    assert parse_fragment(HIDDEN_CANDIDATE.strip(), "") == []


@pytest.mark.parametrize(
    "fragment",
    [
        "a=candidate:",
        "a=candidate:1 1 udp",
        "a=candidate:x y z",
        "a=candidate:1 1 udp many 192.168.1.7 50000 typ host",
        "a=candidate:1 1 udp 5 192.168.1.7 port typ host",
        HOST_CANDIDATE * (LIMITS.max_candidates + 1),
        "a" * (LIMITS.max_sdp_bytes + 1),
    ],
)
def test_fragment_that_can_not_be_read_is_refused(fragment: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_fragment(fragment, "")


def test_first_video_section_that_is_not_rejected_is_the_one() -> None:
    rejected = VIDEO.replace("m=video 9", "m=video 0")
    second = VIDEO.replace("a=mid:0", "a=mid:1").replace("a=sendrecv", "a=recvonly")
    offer = parse_offer(crlf(SESSION.replace("BUNDLE 0", "BUNDLE 0 1") + rejected + second))
    assert (offer.video_mid, offer.sends_video, offer.receives_video) == ("1", False, True)
    assert offer.videos == 1


@pytest.mark.parametrize(
    "offer",
    [SESSION + VIDEO + VIDEO.replace("m=video", "m=text"), SESSION.replace("0\n", "9\n") + VIDEO],
    ids=["a section of text", "a bundle of what is not there"],
)
def test_offer_that_aiortc_would_stumble_over_is_refused(offer: str) -> None:
    with pytest.raises(InvalidOffer):
        parse_offer(crlf(offer))


def test_another_ice_session_would_be_a_restart_and_is_refused() -> None:
    assert parse_fragment("a=ice-ufrag:abcd", "abcd") == []
    with pytest.raises(Unsupported, match="restart"):
        parse_fragment("a=ice-ufrag:efgh", "abcd")


@pytest.mark.parametrize("end", ["\v", "\f", "\x1c", "\x85", "\u2028", "\r", "\n"])
@pytest.mark.parametrize("gap", [" ", "  ", "\t"])
def test_hidden_candidate_is_found_however_lines_and_words_are_parted(end: str, gap: str) -> None:
    words = ["1", "1", "udp", "5", "a-b.LOCAL", "5000", "typ", "host"]
    hidden = f"a=candidate:{gap.join(words)}"
    assert parse_fragment(f"a=mid:0\n{end}{hidden}{end}a=x", "ufrag") == []
    many = end.join(f"a=candidate:1 1 udp {n} 10.0.0.5 5000 typ host" for n in range(40))
    with pytest.raises(InvalidRequest, match="candidates"):
        parse_fragment(many, "ufrag")
