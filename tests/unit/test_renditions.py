"""Which feed each viewer of a stream sees, and when it changes to another."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiortc import RTCRtpSender
from aiortc.rtcrtpparameters import RTCRtcpParameters, RTCRtpCodecParameters, RTCRtpSendParameters
from aiortc.rtp import RtpPacket, is_rtcp

from streamer.config import VideoConfig
from streamer.model import Codec, Forwarded, Packet, Picture
from streamer.screens import Screens
from streamer.webrtc import feeds, renditions
from streamer.webrtc.codecs import AgreedCodec
from streamer.webrtc.feeds import Coded, EncodedFeed
from streamer.webrtc.renditions import Renditions, Viewer, _Key
from tests.fakes import PATIENCE_S, FakeTransport, make_frame

FRAME = 3000  # ticks at 30 fps
H264_KEY = b"\0\0\1\x67\x42\xe0\x1f" + b"\0\0\1\x65" + bytes(20)
H264_OTHER = b"\0\0\1\x41" + bytes(20)
BASELINE = Forwarded("h264", b"\x42\xe0")
HIGH = Forwarded("h264", b"\x64\x00")


class Bench:
    """A stream's renditions, with a source in the test's hands and viewers over fake transports."""

    def __init__(self) -> None:
        self.screens = Screens(asyncio.Event())
        self.camera_answers = False
        self.camera_asked = 0
        self.limits = VideoConfig()
        self.number = 0
        session: Any = SimpleNamespace(
            screens=self.screens, name="bench", note_latency=lambda stage, ms: None
        )
        self.renditions = Renditions(session, lambda: self.limits, self._ask_camera)
        self.viewers: list[Watching] = []

    def _ask_camera(self) -> bool:
        self.camera_asked += 1
        return self.camera_answers

    async def watch(
        self, codec: Codec = "vp8", *, annotated: bool = True, profile: int | None = None
    ) -> "Watching":
        watching = Watching(self, AgreedCodec(codec, 100, profile), annotated=annotated)
        self.viewers.append(watching)
        await watching.start()
        return watching

    def show(self) -> None:
        """The next picture, in both looks."""
        self.number += 1
        shown = Picture(make_frame(luma=self.number % 200), self.number * FRAME)
        self.screens.show_plain(shown)
        self.screens.show_annotated(shown)

    def forward(self, *, key: bool = False) -> None:
        """The next picture as the camera's packet."""
        self.number += 1
        data = H264_KEY if key else H264_OTHER
        self.screens.forward(Packet(data, "h264", self.number * FRAME, key, 0.0))

    def encoders(self) -> set[str]:
        prefix = "encode-bench-"
        names = [t.name for t in threading.enumerate() if t.name.startswith(prefix)]
        return {name.removeprefix(prefix) for name in names}


class Watching:
    """A viewer, and the pictures that went out to it: (frame number, a packet of it)."""

    def __init__(self, bench: Bench, agreed: AgreedCodec, *, annotated: bool) -> None:
        self.bench = bench
        self.transport = FakeTransport()
        self.stock = RTCRtpSender("video", self.transport)  # type: ignore[arg-type] # a fake
        self.viewer = Viewer(self.stock, agreed, bench.renditions, annotated=annotated)
        self.viewer.sender._events.on_ready = self._on_ready
        self._joined = asyncio.Event()

    async def start(self) -> None:
        codec = RTCRtpCodecParameters("video/x", 90_000, None, 100)
        rtcp = RTCRtcpParameters(cname="streamer")
        await self.stock.send(RTCRtpSendParameters(codecs=[codec], rtcp=rtcp))
        await asyncio.wait_for(self._joined.wait(), PATIENCE_S)

    def _on_ready(self) -> None:
        self.bench.renditions.join(self.viewer)
        self._joined.set()

    async def leave(self) -> None:
        self.bench.renditions.leave(self.viewer)
        await self.stock.stop()

    def numbers(self) -> list[int]:
        """Of the pictures that went out, without repetition."""
        origin = self.viewer.sender.rtp_origin
        packets = [RtpPacket.parse(data) for data in self.transport.sent if not is_rtcp(data)]
        times = [(packet.timestamp - origin) % 2**32 for packet in packets]
        return list(dict.fromkeys(time // FRAME for time in times))

    async def sees(self, show: Callable[[], None]) -> int:
        """Shows pictures until one of them goes out; its number. What else goes out, reports and pictures of
        before, does not count."""
        before = self.bench.number
        async with asyncio.timeout(PATIENCE_S):
            while True:
                show()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.2):
                        while not (seen := [each for each in self.numbers() if each > before]):
                            self.transport.news.clear()
                            await self.transport.news.wait()
                        return seen[-1]

    @property
    def feed_name(self) -> str:
        assert self.viewer.feed is not None
        return self.viewer.feed.name.removeprefix("bench-")


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(feeds, "MIN_KEYFRAME_INTERVAL_S", 0.0)
    monkeypatch.setattr(renditions, "DRAIN_S", 0.0)
    made = Bench()
    yield made
    for viewer in made.viewers:
        await viewer.leave()
    await asyncio.wait_for(made.renditions.close(), PATIENCE_S)
    assert made.encoders() == set()
    assert not made.screens and made.screens.packets == ()


async def test_viewers_of_one_look_and_codec_share_one_encoder(bench: Bench) -> None:
    viewers = [await bench.watch() for _ in range(5)]
    assert bench.encoders() == {"annotated-vp8"}
    for viewer in viewers:
        await viewer.sees(bench.show)
    await bench.watch("h264")
    await bench.watch(annotated=False)
    assert bench.encoders() == {"annotated-vp8", "annotated-h264", "plain-vp8"}
    assert bench.renditions.encoding == {"vp8", "h264"}


async def test_encoder_ends_with_its_last_viewer(bench: Bench) -> None:
    first, second = await bench.watch(), await bench.watch()
    await first.leave()
    assert bench.encoders() == {"annotated-vp8"}
    await second.leave()
    await bench.renditions.close()
    assert bench.encoders() == set()
    assert bench.screens.annotated == ()


async def test_late_viewer_begins_with_a_key_frame(bench: Bench) -> None:
    first = await bench.watch()
    for _ in range(3):
        await first.sees(bench.show)
    late = await bench.watch()
    await late.sees(bench.show)
    packet = next(data for data in late.transport.sent if not is_rtcp(data))
    # VP8: the descriptor's four bytes, then the frame tag, whose lowest bit is 0 in a key frame.
    assert RtpPacket.parse(packet).payload[4] & 1 == 0


async def test_viewer_who_lost_packets_gets_a_key_frame(bench: Bench) -> None:
    viewer = await bench.watch()
    await viewer.sees(bench.show)
    before = len(viewer.transport.sent)
    viewer.stock._send_keyframe()
    await viewer.sees(bench.show)
    packet = next(data for data in viewer.transport.sent[before:] if not is_rtcp(data))
    assert RtpPacket.parse(packet).payload[4] & 1 == 0


async def test_plain_viewer_sees_the_cameras_own_packets_from_its_next_key_frame(
    bench: Bench,
) -> None:
    bench.screens.set_forwarded(BASELINE)
    viewer = await bench.watch("h264", annotated=False, profile=0x42)
    assert viewer.feed_name == "plain-h264", "until the camera's key frame"
    await viewer.sees(bench.show)
    await viewer.sees(lambda: bench.forward(key=True))
    assert viewer.feed_name == "forwarded"
    await viewer.sees(bench.forward)
    await asyncio.gather(*bench.renditions._closing)
    assert bench.encoders() == set(), "nothing is encoded for it any more"
    assert viewer.numbers() == sorted(set(viewer.numbers()))


async def test_camera_that_can_be_asked_is_seen_at_once(bench: Bench) -> None:
    bench.camera_answers = True
    bench.screens.set_forwarded(BASELINE)
    viewer = await bench.watch("h264", annotated=False, profile=0x42)
    assert viewer.feed_name == "forwarded"
    assert bench.camera_asked >= 1 and bench.encoders() == set()


@pytest.mark.parametrize("forwarded", [None, HIGH, Forwarded("vp8")])
async def test_plain_picture_is_encoded_for_a_viewer_who_can_not_take_the_packets(
    bench: Bench, forwarded: Forwarded | None
) -> None:
    bench.screens.set_forwarded(forwarded)
    viewer = await bench.watch("h264", annotated=False, profile=0x42)
    assert viewer.feed_name == "plain-h264" and viewer.viewer.next_feed is None


async def test_camera_that_begins_or_ends_to_forward_changes_its_plain_viewers(
    bench: Bench,
) -> None:
    annotated = await bench.watch("h264", profile=0x64)
    viewer = await bench.watch("h264", annotated=False, profile=0x64)
    await viewer.sees(bench.show)
    bench.screens.set_forwarded(HIGH)
    await viewer.sees(lambda: bench.forward(key=True))
    assert (viewer.feed_name, annotated.feed_name) == ("forwarded", "annotated-h264")
    bench.screens.set_forwarded(None)
    await viewer.sees(bench.show)
    assert viewer.feed_name == "plain-h264"
    assert viewer.numbers() == sorted(set(viewer.numbers()))


async def test_lost_packets_of_a_camera_that_can_not_be_asked_are_bridged_by_encoding(
    bench: Bench,
) -> None:
    bench.screens.set_forwarded(BASELINE)
    viewer = await bench.watch("h264", annotated=False, profile=0x42)
    await viewer.sees(lambda: bench.forward(key=True))
    viewer.stock._send_keyframe()
    assert viewer.feed_name == "plain-h264"
    await viewer.sees(bench.show)
    await viewer.sees(lambda: bench.forward(key=True))
    assert viewer.feed_name == "forwarded"


def coded(number: int, *, key: bool = False) -> Coded:
    return Coded([b"K" if key else b"d"], number * FRAME, key, None, 0.0)


async def sent_after_change(
    bench: Bench, before: list[int], after: list[tuple[int, bool]], *, drains: bool = False
) -> list[tuple[int, bytes]]:
    """What goes out of a feed's pictures ``before``, and of another's ``after`` (number, key frame) to
    which the viewer changes then."""
    watching = await bench.watch()
    viewer, old = watching.viewer, watching.viewer.feed
    assert old is not None
    await viewer.take(old, coded(before[0], key=True))
    for number in before[1:]:
        await viewer.take(old, coded(number))
    new = bench.renditions._encoded_feed(_Key("vp8", annotated=True, is_low=True))
    viewer.change_to(new, drains=drains)
    for number, key in after:
        await viewer.take(old, coded(number))
        await viewer.take(new, coded(number, key=key))
    packets = [RtpPacket.parse(data) for data in watching.transport.sent if not is_rtcp(data)]
    origin = viewer.sender.rtp_origin
    return [((p.timestamp - origin) % 2**32, p.payload) for p in packets]


async def test_change_begins_with_the_key_frame_though_the_same_picture_was_seen(
    bench: Bench,
) -> None:
    sent = await sent_after_change(bench, [1, 2], [(3, True), (4, False)])
    assert sent[2:] == [(3 * FRAME, b"d"), (3 * FRAME + 1, b"K"), (4 * FRAME, b"d")]


async def test_nothing_is_sent_into_a_full_link_before_the_key_frame(bench: Bench) -> None:
    sent = await sent_after_change(bench, [1], [(2, False), (3, True), (4, False)], drains=True)
    assert sent[1:] == [(3 * FRAME, b"K"), (4 * FRAME, b"d")]


async def test_key_frame_that_comes_before_the_link_has_drained_is_asked_for_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renditions, "DRAIN_S", 3600.0)
    sent = await sent_after_change(bench, [1], [(2, True), (3, True)], drains=True)
    assert sent == [(FRAME, b"K")]


async def test_feed_that_is_behind_is_changed_to_with_its_next_key_frame(bench: Bench) -> None:
    sent = await sent_after_change(bench, [1, 2, 3, 4], [(2, True), (5, False), (6, True)])
    assert sent[4:] == [(6 * FRAME, b"K")], "nothing of the other feed meanwhile"


async def test_request_while_a_change_is_due_leads_to_the_feed_that_is_right(bench: Bench) -> None:
    bench.screens.set_forwarded(BASELINE)
    viewer = await bench.watch("h264", annotated=False, profile=0x42)
    await viewer.sees(lambda: bench.forward(key=True))
    viewer.viewer.link.is_low = True
    bench.renditions._settle(viewer.viewer)
    viewer.stock._send_keyframe()
    assert viewer.feed_name == "plain-h264-low" and viewer.viewer.next_feed is None
    await viewer.sees(bench.show)


async def test_reports_that_jump_do_not_make_every_picture_a_key_frame(bench: Bench) -> None:
    viewer = await bench.watch()
    await viewer.sees(bench.show)
    feed = viewer.viewer.feed
    assert isinstance(feed, EncodedFeed)
    rates = set()
    for number in range(50):
        viewer.viewer._on_estimate(9_000_000 if number % 2 else 1)
        rates.add(feed.bit_rate)
    assert len(rates) <= 2


async def test_fault_in_one_viewer_costs_the_others_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = await bench.watch(), await bench.watch()
    await good.sees(bench.show)

    async def fail(data: bytes) -> None:
        raise RuntimeError("as the test wants it")

    with monkeypatch.context() as patch:
        patch.setattr(bad.transport, "_send_rtp", fail)
        for _ in range(3):
            await good.sees(bench.show)


async def test_poor_link_takes_the_low_rendition_and_nobody_else_notices(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, poor = await bench.watch(), await bench.watch()
    await poor.sees(bench.show)
    monkeypatch.setattr(poor.viewer.link, "settle", switch_once(poor.viewer))
    poor.viewer._on_loss(0.5)
    assert bench.encoders() == {"annotated-vp8", "annotated-vp8-low"}
    assert poor.feed_name == "annotated-vp8", "until the low rendition's key frame"
    while poor.feed_name != "annotated-vp8-low":
        await poor.sees(bench.show)
    assert good.feed_name == "annotated-vp8"
    assert poor.numbers() == sorted(set(poor.numbers()))


def switch_once(viewer: Viewer) -> Callable[[float], bool]:
    def settle(now_s: float) -> bool:
        changed, viewer.link.is_low = not viewer.link.is_low, True
        return changed

    return settle


async def test_rate_follows_the_best_viewer_within_the_streams_limits(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renditions, "MIN_RATE_INTERVAL_S", 0.0)
    first, second = await bench.watch(), await bench.watch()
    await first.sees(bench.show)
    feed = first.viewer.feed
    assert isinstance(feed, EncodedFeed)
    bench.limits = VideoConfig(max_bitrate=2_000_000)
    for watching, bps in ((first, 900_000), (second, 1_700_000)):
        monkey: Any = watching.viewer.sender
        monkey.sent_bps = lambda: 2_000_000.0
        watching.viewer._on_estimate(bps)
    assert feed.bit_rate == 1_700_000
    bench.limits = VideoConfig(max_bitrate=800_000)
    second.viewer._on_estimate(1_700_000)
    assert feed.bit_rate == 800_000
    await second.leave()
    bench.limits = VideoConfig(max_bitrate=2_000_000)
    first.viewer._on_estimate(1_100_000)
    assert feed.bit_rate == 1_100_000


async def test_viewer_who_leaves_before_it_has_joined_leaves_nothing(bench: Bench) -> None:
    watching = Watching(bench, AgreedCodec("vp8", 100), annotated=True)
    bench.renditions.leave(watching.viewer)
    bench.viewers.append(watching)
    await watching.start()  # its connection comes about after all, while it is being closed
    assert not bench.renditions and bench.encoders() == set()
