"""A feed encodes or forwards once for all who see it, in time, and holds up nobody."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import av
import pytest
from aiortc.codecs import depayload
from aiortc.codecs.h264 import H264Decoder
from aiortc.codecs.vpx import Vp8Decoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from streamer.model import Codec, Forwarded, Packet, Picture
from streamer.webrtc import feeds
from streamer.webrtc.feeds import MAX_WAITING, Coded, EncodedFeed, Feed, ForwardedFeed
from tests.fakes import PATIENCE_S, make_frame

FRAME = 3000  # ticks at 30 fps


class RecordingReceiver:
    """Keeps what it is sent; while held, it takes nothing."""

    def __init__(self) -> None:
        self.taken: list[Coded] = []
        self.gaps = 0
        self._news = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()

    async def take(self, feed: Feed, coded: Coded) -> None:
        await self._open.wait()
        self.taken.append(coded)
        self._news.set()

    def on_gap(self, feed: Feed) -> None:
        self.gaps += 1
        self._news.set()

    def hold(self) -> None:
        self._open.clear()

    def let_go(self) -> None:
        self._open.set()

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not met():
                self._news.clear()
                await self._news.wait()

    async def takes(self, count: int) -> None:
        await self.until(lambda: len(self.taken) >= count)


class Bench:
    def __init__(self) -> None:
        self.latencies: dict[str, list[float]] = {}
        self.feeds: list[Feed] = []
        self.receiver = RecordingReceiver()
        self.camera_asked = 0
        self.changes = 0

    def encoded(self, codec: Codec = "vp8", *, is_low: bool = False) -> EncodedFeed:
        feed = EncodedFeed("bench", self._note, codec, annotated=True, is_low=is_low)
        self._add(feed)
        return feed

    def forwarded(self) -> ForwardedFeed:
        feed = ForwardedFeed("bench", self._note, self._ask_camera, self._on_change)
        self._add(feed)
        return feed

    def _add(self, feed: Feed) -> None:
        feed.receivers = [self.receiver]
        self.feeds.append(feed)

    def _note(self, stage: str, ms: float) -> None:
        self.latencies.setdefault(stage, []).append(ms)

    def _ask_camera(self) -> bool:
        self.camera_asked += 1
        return True

    def _on_change(self) -> None:
        self.changes += 1


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    made.receiver.let_go()
    for feed in made.feeds:
        await asyncio.wait_for(feed.close(), PATIENCE_S)
    assert not [t for t in threading.enumerate() if t.name.startswith("encode-")]
    assert not [t for t in asyncio.all_tasks() if t.get_name().startswith("feed-")]


def picture(number: int, *, width: int = 64, height: int = 48, luma: int = 100) -> Picture:
    return Picture(make_frame(width=width, height=height, luma=luma), number * FRAME)


async def encode(bench: Bench, feed: EncodedFeed, *pictures: Picture) -> None:
    """One after the other: the slot keeps only the newest."""
    for each in pictures:
        before = len(bench.receiver.taken)
        feed.show(each)
        await bench.receiver.takes(before + 1)


def decode(codec: Codec, coded: list[Coded]) -> list[av.VideoFrame]:
    """By aiortc's own receiving side."""
    decoder = Vp8Decoder() if codec == "vp8" else H264Decoder()
    parameters = RTCRtpCodecParameters(f"video/{codec.upper()}", 90_000, None, 96)
    frames: list[Any] = []
    for each in coded:
        data = b"".join(depayload(parameters, payload) for payload in each.payloads)
        frames += decoder.decode(JitterFrame(data, each.pts))
    return frames


@pytest.mark.parametrize("codec", ["vp8", "h264"])
async def test_pictures_arrive_decodable_at_their_times(bench: Bench, codec: Codec) -> None:
    feed = bench.encoded(codec)
    await encode(bench, feed, *(picture(n, luma=40 + 20 * n) for n in range(5)))
    assert [each.pts for each in bench.receiver.taken] == [n * FRAME for n in range(5)]
    assert [each.is_keyframe for each in bench.receiver.taken] == [True] + [False] * 4
    frames = decode(codec, bench.receiver.taken)
    lumas = [int(frame.to_ndarray(format="gray")[24, 32]) for frame in frames]
    assert lumas == pytest.approx([40 + 20 * n for n in range(5)], abs=24)
    assert lumas == sorted(set(lumas))


async def test_every_receiver_gets_the_very_same_picture(bench: Bench) -> None:
    feed, second = bench.encoded(), RecordingReceiver()
    feed.receivers = [bench.receiver, second]
    await encode(bench, feed, picture(0))
    await second.takes(1)
    assert second.taken[0] is bench.receiver.taken[0]


async def test_time_of_encoding_and_sending_is_told_but_not_of_notices(bench: Bench) -> None:
    feed = bench.encoded()
    notice = Picture(make_frame(), 0, is_notice=True)
    await encode(bench, feed, notice, picture(1))
    await asyncio.sleep(0)
    assert {stage: len(times) for stage, times in bench.latencies.items()} == {
        "encode": 2,
        "send": 2,
        "sent": 1,
    }
    assert all(ms >= 0 for times in bench.latencies.values() for ms in times)


async def test_picture_older_than_the_last_comes_too_late(bench: Bench) -> None:
    feed = bench.encoded()
    await encode(bench, feed, picture(5))
    feed.show(picture(3))
    await encode(bench, feed, picture(6))
    assert [each.pts // FRAME for each in bench.receiver.taken] == [5, 6]


async def test_key_frames_are_as_many_as_time_allows_however_many_ask(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "MIN_KEYFRAME_INTERVAL_S", 3600.0)
    feed = bench.encoded()
    for number in range(10):
        feed.request_keyframe()
        await encode(bench, feed, picture(number))
    assert sum(each.is_keyframe for each in bench.receiver.taken) == 1


async def test_key_frame_comes_when_it_is_asked_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "MIN_KEYFRAME_INTERVAL_S", 0.0)
    feed = bench.encoded()
    await encode(bench, feed, picture(0), picture(1))
    feed.request_keyframe()
    await encode(bench, feed, picture(2), picture(3))
    assert [each.is_keyframe for each in bench.receiver.taken] == [True, False, True, False]


async def test_picture_of_another_size_begins_with_a_key_frame(bench: Bench) -> None:
    feed = bench.encoded()
    await encode(bench, feed, picture(0), picture(1), picture(2, width=96), picture(3, width=96))
    assert [each.is_keyframe for each in bench.receiver.taken] == [True, False, True, False]
    assert [frame.width for frame in decode("vp8", bench.receiver.taken)] == [64, 64, 96, 96]
    assert feed.size == (96, 48)


async def test_low_rendition_is_half_the_size_at_half_the_rate(bench: Bench) -> None:
    feed = bench.encoded(is_low=True)
    await encode(bench, feed, picture(0))
    feed.show(picture(1))  # too soon
    await encode(bench, feed, picture(2))
    taken = bench.receiver.taken
    assert [each.pts // FRAME for each in taken] == [0, 2]
    assert [(f.width, f.height) for f in decode("vp8", taken)] == [(32, 24)] * 2
    assert feed.size == (64, 48), "limits are reckoned from the full size"


async def test_slow_sending_drops_pictures_and_keeps_the_newest(bench: Bench) -> None:
    feed = bench.encoded()
    bench.receiver.hold()
    for number in range(50):
        feed.show(picture(number))
        await asyncio.sleep(0.001)
    feed.show(picture(99))
    bench.receiver.let_go()
    await bench.receiver.until(
        lambda: bench.receiver.taken[-1:] != [] and bench.receiver.taken[-1].pts == 99 * FRAME
    )
    assert len(bench.receiver.taken) <= 2 * feeds.MAX_IN_FLIGHT + 2


class Alarm(logging.Handler):
    """``rung`` is set by the next line of the log."""

    def __init__(self) -> None:
        super().__init__()
        self.rung = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def emit(self, record: logging.LogRecord) -> None:
        self._loop.call_soon_threadsafe(self.rung.set)


async def test_encoder_that_breaks_on_one_picture_goes_on_with_the_next(bench: Bench) -> None:
    feed = bench.encoded()
    await encode(bench, feed, picture(0))
    broken = Picture(make_frame(), FRAME)
    object.__setattr__(broken, "frame", None)
    alarm = Alarm()
    feeds.logger.addHandler(alarm)
    feed.show(broken)
    await asyncio.wait_for(alarm.rung.wait(), PATIENCE_S)
    feeds.logger.removeHandler(alarm)
    await encode(bench, feed, picture(2))
    assert bench.receiver.taken[-1].is_keyframe


async def test_closing_does_not_wait_for_a_receiver_that_takes_nothing(bench: Bench) -> None:
    feed = bench.encoded()
    bench.receiver.hold()
    for number in range(5):
        feed.show(picture(number))
        await asyncio.sleep(0.01)
    await asyncio.wait_for(feed.close(), PATIENCE_S)


# -- forwarding -------------------------------------------------------------------------------------


def packet(number: int, *, key: bool = False, data: bytes = b"data") -> Packet:
    return Packet(data, "vp8", number * FRAME, key, 0.0)


async def test_packets_are_forwarded_as_they_are(bench: Bench) -> None:
    feed = bench.forwarded()
    feed.forward(packet(0, key=True, data=bytes(3000)))
    feed.forward(packet(1, data=b"\1\2\3"))
    await bench.receiver.takes(2)
    parameters = RTCRtpCodecParameters("video/VP8", 90_000, None, 96)
    taken = bench.receiver.taken
    whole = [b"".join(depayload(parameters, part) for part in each.payloads) for each in taken]
    assert whole == [bytes(3000), b"\1\2\3"]
    assert [(each.pts, each.is_keyframe) for each in taken] == [(0, True), (FRAME, False)]
    assert "encode" not in bench.latencies


async def test_empty_unit_in_a_hostile_stream_is_left_out(bench: Bench) -> None:
    feed = bench.forwarded()
    data = b"\0\0\1\0\0\1\x65picture\0\0\1"
    feed.forward(Packet(data, "h264", 0, True, 0.0))
    await bench.receiver.takes(1)
    assert bench.receiver.taken[0].payloads == [b"\x65picture"]


async def test_nothing_is_packetised_while_nobody_sees_it(bench: Bench) -> None:
    feed = bench.forwarded()
    feed.receivers = []
    feed.forward(packet(0, key=True))
    await asyncio.sleep(0)
    feed.receivers = [bench.receiver]
    feed.forward(packet(1, key=True))
    await bench.receiver.takes(1)
    assert bench.receiver.taken[0].pts == FRAME


async def test_feed_that_is_behind_goes_on_with_the_next_key_frame(bench: Bench) -> None:
    feed = bench.forwarded()
    bench.receiver.hold()
    for number in range(MAX_WAITING + 2):
        feed.forward(packet(number, key=number == 0))
    await bench.receiver.until(lambda: bench.receiver.gaps == 1)
    assert bench.camera_asked == 1
    bench.receiver.let_go()
    feed.forward(packet(500))
    feed.forward(packet(501, key=True))
    feed.forward(packet(502))
    await bench.receiver.until(
        lambda: bool(bench.receiver.taken) and bench.receiver.taken[-1].pts == 502 * FRAME
    )
    assert [each.pts // FRAME for each in bench.receiver.taken[-2:]] == [501, 502]
    assert all(each.pts // FRAME != 500 for each in bench.receiver.taken)


async def test_change_of_what_is_forwarded_is_passed_on(bench: Bench) -> None:
    bench.forwarded().on_forwarded(Forwarded("vp8"))
    assert bench.changes == 1
