"""The mended places of aiortc: each fails here when aiortc changes under it, and does what it is for."""

from typing import Any

import aiortc.codecs.vpx
import aiortc.rtcrtpreceiver
import aiortc.rtcrtpsender
import av
import numpy as np
import pytest
from aiortc import RTCPeerConnection
from aiortc.codecs import CODECS, HEADER_EXTENSIONS, get_decoder
from aiortc.codecs.h264 import h264_depayload
from aiortc.codecs.vpx import Vp8Encoder, vp8_depayload
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensionsMap, unpack_header_extensions

from streamer.pixels import to_av
from streamer.webrtc import patches
from streamer.webrtc.patches import (
    FastH264Encoder,
    FastVp8Encoder,
)
from tests.fakes import make_frame

VP8 = RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90_000, payloadType=96)
H264 = RTCRtpCodecParameters(mimeType="video/H264", clockRate=90_000, payloadType=98)


@pytest.fixture(autouse=True)
def _applied() -> None:
    patches.apply()


# -- the seams in aiortc ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "encoder"), [(VP8, FastVp8Encoder), (H264, FastH264Encoder)], ids=["VP8", "H264"]
)
def test_senders_make_our_encoders(codec: RTCRtpCodecParameters, encoder: type) -> None:
    sender_module: Any = aiortc.rtcrtpsender
    assert type(sender_module.get_encoder(codec)) is encoder


def test_audio_keeps_aiortcs_own_encoder() -> None:
    sender_module: Any = aiortc.rtcrtpsender
    opus = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48_000, channels=2)
    assert type(sender_module.get_encoder(opus)).__module__ == "aiortc.codecs.opus"


def test_encoders_begin_with_our_bit_rate() -> None:
    assert FastVp8Encoder().target_bitrate == FastH264Encoder().target_bitrate == 1_000_000


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


# -- the encoders -----------------------------------------------------------------------------------

ENCODERS = pytest.mark.parametrize(
    ("make", "codec"), [(FastVp8Encoder, VP8), (FastH264Encoder, H264)], ids=["VP8", "H264"]
)
Encoder = Vp8Encoder | FastH264Encoder


def picture(number: int, width: int = 320, height: int = 240) -> av.VideoFrame:
    """A grey picture with a light square that moves."""
    frame = make_frame(number * 3000, width=width, height=height, luma=60)
    left = 4 * number % (width - 32)
    frame.planes()[0][40:72, left : left + 32] = 200
    return to_av(frame)


def encoded(encoder: Encoder, frame: av.VideoFrame, *, key: bool = False) -> bytes:
    payloads, timestamp = encoder.encode(frame, force_keyframe=key)
    assert timestamp == frame.pts
    depayload = vp8_depayload if isinstance(encoder, Vp8Encoder) else h264_depayload
    return b"".join(depayload(payload) for payload in payloads)


def is_key_frame(encoder: Encoder, data: bytes) -> bool:
    if isinstance(encoder, Vp8Encoder):
        return not data[0] & 1  # RFC 7741, section 4.3
    types = [data[at + 4] & 0x1F for at in range(len(data) - 4) if data[at : at + 4] == b"\0\0\0\1"]
    return 5 in types  # an IDR slice, RFC 6184, section 1.3


@ENCODERS
def test_encoded_video_is_decoded_to_the_pictures_that_went_in(
    make: type[Encoder], codec: RTCRtpCodecParameters
) -> None:
    encoder, decoder = make(), get_decoder(codec)
    for number in range(20):
        sent = picture(number)
        data = encoded(encoder, sent)
        (back,) = decoder.decode(JitterFrame(data, number * 3000))
        assert isinstance(back, av.VideoFrame)
        difference = back.to_ndarray(format="gray").astype(int) - sent.to_ndarray(format="gray")
        assert np.abs(difference).mean() < 4


@ENCODERS
def test_key_frames_come_first_and_on_request_only(
    make: type[Encoder], codec: RTCRtpCodecParameters
) -> None:
    encoder = make()
    asked = {0, 25, 40}
    keys = {
        number
        for number in range(60)
        if is_key_frame(encoder, encoded(encoder, picture(number), key=number in asked - {0}))
    }
    assert keys == asked


@ENCODERS
def test_change_of_size_goes_on_with_a_key_frame_of_the_new_size(
    make: type[Encoder], codec: RTCRtpCodecParameters
) -> None:
    encoder, decoder = make(), get_decoder(codec)
    for number, (width, height) in enumerate([(320, 240), (320, 240), (640, 360), (176, 144)]):
        data = encoded(encoder, picture(number, width, height))
        (back,) = decoder.decode(JitterFrame(data, number * 3000))
        assert isinstance(back, av.VideoFrame)
        assert (back.width, back.height) == (width, height)


@ENCODERS
def test_encoder_is_rebuilt_for_a_bit_rate_that_differs_by_more_than_a_tenth(
    make: type[Encoder], codec: RTCRtpCodecParameters
) -> None:
    encoder = make()
    encoded(encoder, picture(0))
    first = encoder.codec
    encoder.target_bitrate = 1_050_000
    encoded(encoder, picture(1))
    assert encoder.codec is first
    encoder.target_bitrate = 1_400_000
    encoded(encoder, picture(2))
    assert encoder.codec is not first and encoder.codec is not None
    assert encoder.codec.bit_rate == 1_400_000


@ENCODERS
def test_encoder_understands_all_our_settings_and_the_stock_code_keeps_them(
    make: type[Encoder], codec: RTCRtpCodecParameters
) -> None:
    encoder = make()
    encoded(encoder, picture(0))
    context = encoder.codec
    assert context is not None and context.is_open
    assert context.options == {}  # where FFmpeg leaves what it did not understand
    encoded(encoder, picture(1))
    assert encoder.codec is context


def test_vp8_is_encoded_with_our_settings_and_not_with_the_stock_ones() -> None:
    fast, stock = FastVp8Encoder(), Vp8Encoder()
    context = patches._vp8_context(320, 240, patches.START_BITRATE)
    settings = {name: context.options[name] for name in ("cpu-used", "noise-sensitivity")}
    assert settings == {"cpu-used": "-8", "noise-sensitivity": "0"}
    by_settings = [b"".join(bytes(p) for p in context.encode(picture(n))) for n in range(10)]
    assert [encoded(fast, picture(n)) for n in range(10)] == by_settings
    by_stock = [stock.encode(picture(n))[0] for n in range(10)]
    assert [b"".join(map(vp8_depayload, payloads)) for payloads in by_stock] != by_settings


def test_x264_says_itself_that_it_runs_fast() -> None:
    """x264 writes its settings into the stream: subme is 1 at superfast and 7 at medium."""
    data = encoded(FastH264Encoder(), picture(0))
    assert b"subme=1 " in data and b"bframes=0 " in data


@ENCODERS
def test_no_frame_is_held_back(make: type[Encoder], codec: RTCRtpCodecParameters) -> None:
    encoder = make()
    assert all(encoded(encoder, picture(number)) for number in range(5))


@ENCODERS
async def test_encoding_on_the_event_loop_is_refused(
    make: type[Encoder], codec: RTCRtpCodecParameters
) -> None:
    with pytest.raises(RuntimeError, match="event loop"):
        make().encode(picture(0))
