"""A session whose people are hidden, and what becomes of pictures under way when that changes."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiortc import RTCRtpSender
from aiortc.rtcrtpparameters import RTCRtcpParameters, RTCRtpCodecParameters, RTCRtpSendParameters
from aiortc.rtp import RTCP_RTPFB_NACK, RtcpRtpfbPacket, RtpPacket, is_rtcp

from streamer.config import PoseConfig, PrivacyConfig, VideoConfig
from streamer.errors import SourceLost
from streamer.model import Forwarded, Frame, Packet, Picture, Rule, StreamState
from streamer.outputs.output import OutputEncoder
from streamer.outputs.stills import Look, StillFeed
from streamer.retry import RetryPolicy
from streamer.session import Session
from streamer.webrtc.feeds import Coded, EncodedFeed, Feed, ForwardedFeed
from streamer.webrtc.sending import VideoSender, ViewerEvents
from tests.fakes import (
    PATIENCE_S,
    FakeEstimators,
    FakePainter,
    FakeSource,
    FakeTransport,
    RecordingScreen,
    RecordingSink,
    make_frame,
)
from tests.rigs.hiding import body_of, detail_left, noise_frame, standing

FRAME = 3000  # ticks at 30 fps
NEVER = RetryPolicy(first_s=3600.0, cap_s=3600.0)
BLUR, OFF = PrivacyConfig(mode="blur"), PrivacyConfig()
ORIGINAL = noise_frame(64, 48)
FORWARDED = Forwarded("vp8")


def is_original(frame: Frame) -> bool:
    luma, before = frame.planes()[0], ORIGINAL.planes()[0]
    return luma.shape == before.shape and abs(detail_left(luma, before, before > 0)) > 0.3


class Bench:
    """A session with fakes on all sides but for what hides, and all kinds of screens."""

    def __init__(self, privacy: PrivacyConfig) -> None:
        self.source = FakeSource()
        self.estimators = FakeEstimators()
        self.painter = FakePainter()
        self.session = Session(
            "bench",
            self.source,
            self.estimators,
            PoseConfig(),
            self.painter,
            NEVER,
            privacy=privacy,
        )
        self.sink = RecordingSink()
        self.session.subscribe(self.sink)
        self.plain = RecordingScreen(annotated=False)
        self.annotated = RecordingScreen()
        for screen in (self.plain, self.annotated):
            self.session.screens.add(screen)
        self.session.screens.add_packets(self.plain)
        self._number = 0

    async def start(self) -> None:
        self.session.start()
        await self.source.connected()

    def film(self) -> None:
        """The next picture, as the camera's packet and as a frame."""
        pts = self._number * FRAME
        self._number += 1
        self.source.forward(Packet(b"original", "vp8", pts, is_keyframe=True, received_mono=0.0))
        self.source.put(replace(ORIGINAL, pts=pts))

    async def see(self) -> None:
        """Until another picture has gone all its way."""
        results = len(self.sink.results)
        self.film()
        await self.sink.results_come(results + 1)

    def shown(self) -> list[Frame]:
        """All that may still go out."""
        pictures = self.plain.pictures + self.annotated.pictures
        return [each.frame for each in pictures if not each.rule.over]


@pytest.fixture
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    made = Bench(getattr(request, "param", BLUR))
    await made.start()
    yield made
    made.estimators.let_go()
    await made.session.close()


off_at_first = pytest.mark.parametrize("bench", [OFF], indirect=True)


async def test_where_people_are_hidden_nobody_gets_the_cameras_picture(bench: Bench) -> None:
    for _ in range(3):
        await bench.see()
    for screen in (bench.plain, bench.annotated):
        assert len([each for each in screen.pictures if not each.is_notice]) == 3
    assert bench.plain.packets == [] and bench.session.screens.forwarded is None
    frames = [*bench.shown(), *(result.frame for result in bench.sink.results)]
    assert not any(map(is_original, [*frames, *bench.painter.annotated]))
    assert all(is_original(frame) for frame in bench.estimators.frames), "but for the network"


async def test_a_lost_camera_leaves_no_picture_that_was_not_seen_before(bench: Bench) -> None:
    await bench.see()
    bench.source.end(SourceLost("gone"))
    await bench.plain.until(lambda: bench.plain.pictures[-1].is_notice)
    last, _ = bench.painter.notices[-1]
    assert last is not None and not is_original(last)


@off_at_first
async def test_without_privacy_pictures_and_packets_go_their_short_ways(bench: Bench) -> None:
    bench.estimators.hold()
    bench.film()
    await bench.plain.until(lambda: is_original(bench.plain.pictures[-1].frame))
    assert len(bench.plain.packets) == 1
    await bench.plain.until(lambda: bench.session.screens.forwarded == FORWARDED)


@off_at_first
async def test_from_the_switch_on_nothing_goes_out_that_was_made_before_it(bench: Bench) -> None:
    """Also what is in the network's hands at that moment."""
    await bench.see()
    bench.estimators.hold()
    bench.film()
    await bench.estimators.frames_come(2)
    before = len(bench.sink.results)
    bench.session.set_privacy(BLUR)
    assert bench.shown() == [] and all(packet.rule.over for packet in bench.plain.packets)
    assert bench.session.screens.forwarded is None
    assert bench.session.last_result is None
    packets = len(bench.plain.packets)
    bench.estimators.let_go()
    await bench.see()
    await bench.see()
    assert bench.shown() and not any(map(is_original, bench.shown()))
    assert len(bench.plain.packets) == packets
    assert not any(is_original(each.frame) for each in bench.sink.results[before:])


@off_at_first
async def test_a_notice_shows_no_picture_of_before_the_switch(bench: Bench) -> None:
    await bench.see()
    bench.source.end(SourceLost("gone"))
    await bench.plain.until(lambda: bench.plain.pictures[-1].is_notice)
    bench.session.set_privacy(BLUR)
    await bench.plain.until(lambda: bool(bench.shown()))
    assert bench.painter.notices[-1][0] is None
    assert bench.sink.states[-1] is StreamState.RECONNECTING


async def test_packets_go_out_again_when_it_is_off_again(bench: Bench) -> None:
    await bench.see()
    bench.session.set_privacy(OFF)
    assert bench.session.screens.forwarded == FORWARDED
    await bench.see()
    assert len(bench.plain.packets) == 1
    assert is_original(bench.plain.pictures[-1].frame)


async def test_who_is_not_told_of_is_hidden_all_the_same(bench: Bench) -> None:
    """Too low a score, or one too many."""
    unsure = standing(ORIGINAL, x=0.85, share=0.5)
    bench.session.set_privacy(PrivacyConfig(mode="silhouette"))
    bench.estimators.bystanders = (unsure,)
    for _ in range(40):
        await bench.see()  # more than the first second, in which everything is covered
    body = body_of(unsure, ORIGINAL.width, ORIGINAL.height)
    shown, before = bench.sink.results[-1].frame.planes()[0], ORIGINAL.planes()[0]
    assert (shown[body] == before[body]).mean() < 0.05
    assert (shown[:, :8] == before[:, :8]).all() and len(bench.sink.results[-1].poses) == 1
    bench.estimators.bystanders = ()
    bench.session.max_poses = 0
    await bench.see()
    result = bench.sink.results[-1]
    assert result.poses == () and result.frame.planes()[0][24, 32] != before[24, 32]


async def test_a_restarted_session_still_hides(bench: Bench) -> None:
    await bench.see()
    await bench.session.restart()
    await bench.source.connected()
    await bench.see()
    assert not any(map(is_original, bench.shown()))


# -- the ways out -----------------------------------------------------------------------------------


class Receiver:
    """Takes a feed's pictures when it is let to."""

    def __init__(self) -> None:
        self.taken: list[Coded] = []
        self.is_open = asyncio.Event()
        self.news = asyncio.Event()

    async def take(self, feed: Feed, coded: Coded) -> None:
        self.taken.append(coded)
        self.news.set()
        await self.is_open.wait()

    def on_gap(self, feed: Feed) -> None: ...

    async def takes(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.taken) < count:
                self.news.clear()
                await self.news.wait()


def picture(number: int, rule: Rule) -> Picture:
    return Picture(make_frame(luma=100 + number), number * FRAME, rule=rule)


async def test_encoded_pictures_of_before_do_not_go_out_and_those_after_need_none_of_them() -> None:
    before, after, receiver = Rule(), Rule(), Receiver()
    feed = EncodedFeed("rule", lambda stage, ms: None, "vp8", annotated=True, is_low=False)
    feed.receivers = [receiver]
    feed.show(picture(1, before))
    await receiver.takes(1)
    feed.show(picture(2, before))  # encoded while the first is being sent
    async with asyncio.timeout(PATIENCE_S):
        while feed._queue.empty():  # noqa: ASYNC110 - sets no event
            await asyncio.sleep(0.001)
    before.over = True
    receiver.is_open.set()
    feed.show(picture(3, after))
    await receiver.takes(2)
    feed.show(picture(4, after))
    await receiver.takes(3)
    assert [coded.pts // FRAME for coded in receiver.taken] == [1, 3, 4]
    assert [coded.is_keyframe for coded in receiver.taken] == [True, True, False]
    await feed.close()


async def test_forwarded_packets_of_before_do_not_go_out() -> None:
    before, receiver = Rule(), Receiver()
    feed = ForwardedFeed("rule", lambda stage, ms: None, lambda: True, lambda: None)
    feed.receivers = [receiver]
    for number in range(3):
        feed.forward(Packet(b"x" * 20, "vp8", number, True, 0.0, before))
    await receiver.takes(1)
    before.over = True
    receiver.is_open.set()
    feed.forward(Packet(b"x" * 20, "vp8", 3, True, 0.0))
    await receiver.takes(2)
    assert [coded.pts for coded in receiver.taken] == [0, 3]
    await feed.close()


class StuckTransport(FakeTransport):
    """Each packet takes until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.is_open = asyncio.Event()

    async def _send_rtp(self, data: bytes) -> None:
        await super()._send_rtp(data)
        if not is_rtcp(data):
            await self.is_open.wait()


async def test_neither_the_rest_of_a_picture_nor_a_repeat_goes_out_afterwards() -> None:
    transport, ready, rule = StuckTransport(), asyncio.Event(), Rule()
    stock = RTCRtpSender("video", transport)  # type: ignore[arg-type] # a fake
    ignored = ViewerEvents(ready.set, lambda: None, lambda bps: None, lambda share: None)
    sender = VideoSender(stock, ignored)
    codec = RTCRtpCodecParameters("video/VP8", 90_000, None, 100)
    rtcp = RTCRtcpParameters(cname="streamer")
    await stock.send(RTCRtpSendParameters(codecs=[codec], rtcp=rtcp))
    await asyncio.wait_for(ready.wait(), PATIENCE_S)
    sending = asyncio.create_task(sender.send([b"first", b"second"], 0, rule))

    def sent() -> list[RtpPacket]:
        return [RtpPacket.parse(data) for data in transport.sent if not is_rtcp(data)]

    async with asyncio.timeout(PATIENCE_S):
        while not sent():  # a report may go out before
            transport.news.clear()
            await transport.news.wait()
    rule.over = True
    transport.is_open.set()
    await sending
    only = sent()[0]
    nack = RtcpRtpfbPacket(RTCP_RTPFB_NACK, 1, stock._ssrc, lost=[only.sequence_number])
    await stock._handle_rtcp_packet(nack)
    assert [packet.payload for packet in sent()] == [b"first"]
    await sender.send([b"next"], FRAME)
    assert sent()[-1].sequence_number == only.sequence_number + 1
    await stock.stop()


async def test_readers_of_stills_get_none_of_before() -> None:
    rule = Rule()
    feed = StillFeed("rule", Look(annotated=False))
    feed.show(picture(1, rule))  # kept for whoever comes
    rule.over = True
    reading = asyncio.create_task(feed.next())
    await asyncio.sleep(0)
    feed.show(picture(2, Rule()))
    still = await asyncio.wait_for(reading, PATIENCE_S)
    assert still is not None and still.pts == 2 * FRAME
    await feed.close()


async def test_a_still_that_is_ready_and_not_taken_yet_is_made_anew() -> None:
    rule = Rule()
    feed = StillFeed("rule", Look(annotated=False))
    reading = asyncio.create_task(feed.next())
    await asyncio.sleep(0)
    feed.show(picture(1, rule))
    async with asyncio.timeout(PATIENCE_S):
        while feed._coming is not None:  # noqa: ASYNC110 - until it has come, before the reader runs
            await asyncio.sleep(0)
    rule.over = True
    feed.show(picture(2, Rule()))
    still = await asyncio.wait_for(reading, PATIENCE_S)
    assert still is not None and still.pts == 2 * FRAME
    await feed.close()


async def test_a_published_stream_goes_on_with_a_key_frame_after_the_switch() -> None:
    before, after = Rule(), Rule()
    encoder = OutputEncoder("rule", VideoConfig, annotated=False, shows_notices=False)
    encoder.show(picture(1, before))
    assert (await asyncio.wait_for(encoder.next(), PATIENCE_S)).packet.is_keyframe
    encoder.show(picture(2, before))
    async with asyncio.timeout(PATIENCE_S):
        while encoder._coded.empty():  # noqa: ASYNC110 - sets no event
            await asyncio.sleep(0.001)
    before.over = True
    encoder.show(picture(3, after))
    coded = await asyncio.wait_for(encoder.next(), PATIENCE_S)
    assert (coded.packet.pts // FRAME, coded.packet.is_keyframe) == (3, True)
    await encoder.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("output-")]
