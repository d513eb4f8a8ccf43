"""Which codec a viewer gets: its camera's own if it may be forwarded, else one that is encoded anyway."""

import pytest
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from streamer.errors import InvalidOffer
from streamer.model import Forwarded, Packet, h264_profile
from streamer.webrtc.codecs import AgreedCodec, agreed_codecs, choose_codec, keep_only

VP8 = AgreedCodec("vp8", 96)
BASELINE = AgreedCodec("h264", 102, 0x42)
MAIN = AgreedCodec("h264", 104, 0x4D)
HIGH = AgreedCodec("h264", 106, 0x64)


def parameters(name: str, payload_type: int, **more: str | int) -> RTCRtpCodecParameters:
    values: dict[str, str | int | None] = {
        key.replace("_", "-"): value for key, value in more.items()
    }
    return RTCRtpCodecParameters(f"video/{name}", 90_000, None, payload_type, [], values)


NEGOTIATED = [
    parameters("VP8", 96),
    parameters("rtx", 97, apt=96),
    parameters("H264", 102, profile_level_id="42e01f"),
    parameters("rtx", 103, apt=102),
    parameters("H264", 106, profile_level_id="64001f"),
]


def test_codecs_come_in_the_offers_order_without_retransmissions() -> None:
    assert agreed_codecs(NEGOTIATED) == [VP8, BASELINE, HIGH]


def test_answer_holds_the_chosen_codec_and_its_retransmissions_only() -> None:
    assert [each.payloadType for each in keep_only(NEGOTIATED, BASELINE)] == [102, 103]
    assert [each.payloadType for each in keep_only(NEGOTIATED, HIGH)] == [106]


def test_offers_first_codec_is_taken_where_nothing_else_speaks() -> None:
    assert choose_codec([BASELINE, VP8], None, set()) is BASELINE


def test_codec_that_is_encoded_anyway_saves_an_encoder() -> None:
    assert choose_codec([BASELINE, VP8], None, {"vp8"}) is VP8
    assert choose_codec([VP8, BASELINE], None, {"h264"}) is BASELINE
    assert choose_codec([VP8], None, {"h264"}) is VP8


def test_cameras_own_codec_is_preferred_in_the_profile_that_decodes_most() -> None:
    assert choose_codec([VP8, BASELINE, HIGH, MAIN], "h264", {"vp8"}) is HIGH
    assert choose_codec([VP8, BASELINE], "hevc", set()) is VP8
    assert choose_codec([BASELINE, VP8], "vp8", set()) is VP8


def test_offer_without_a_codec_of_ours_is_refused() -> None:
    with pytest.raises(InvalidOffer, match="VP8"):
        choose_codec([], None, set())


@pytest.mark.parametrize(
    ("codec", "profile_idc", "takes"),
    [
        (BASELINE, 0x42, True),
        (BASELINE, 0x4D, False),
        (MAIN, 0x42, True),
        (MAIN, 0x64, False),
        (HIGH, 0x64, True),
        (HIGH, 0xF4, False),  # 4:4:4
        (VP8, 0x42, False),
    ],
)
def test_viewer_takes_profiles_up_to_its_own(
    codec: AgreedCodec, profile_idc: int, takes: bool
) -> None:
    assert codec.takes(Forwarded("h264", bytes([profile_idc, 0]))) is takes


def test_stream_of_an_unknown_profile_is_not_forwarded() -> None:
    assert not HIGH.takes(Forwarded("h264", None))
    assert VP8.takes(Forwarded("vp8"))


def test_profile_is_read_from_the_parameter_set_wherever_it_stands() -> None:
    delimiter, sps = b"\0\0\0\1\x09\xf0", b"\0\0\1\x67\x64\x00\x28\xac"
    assert h264_profile(delimiter + sps) == b"\x64\x00"
    assert h264_profile(delimiter + b"\0\0\1\x65\x67\x67") is None
    assert h264_profile(b"\0\0\1") is None
    packet = Packet(sps, "h264", 0, True, 0.0)
    assert packet.forwarded == Forwarded("h264", b"\x64\x00")
    assert Packet(sps, "vp8", 0, True, 0.0).forwarded == Forwarded("vp8")
