"""What a source may send: sizes, changes of size, frames a second; what becomes of one that sends more."""

from fractions import Fraction
from typing import Any

import av
import pytest

from streamer.config import LimitsConfig, OverlayConfig, PoseConfig
from streamer.errors import SourceUnusable
from streamer.model import StreamState, VideoInfo
from streamer.overlay import SkeletonPainter
from streamer.retry import RetryPolicy
from streamer.session import Session
from streamer.turnstile import SLACK, Turnstile
from streamer.webrtc import decoder
from tests.fakes import FakeEstimators, FakeSource, RecordingSink, make_frame
from tests.unit.test_rates import Clock


def test_frames_beyond_the_limit_are_not_let_in_and_a_burst_is() -> None:
    clock = Clock()
    turnstile = Turnstile(LimitsConfig(max_fps=30.0), clock)

    def let_in(fps: int, seconds: int) -> int:
        count = 0
        for _ in range(fps * seconds):
            clock.now_s += 1 / fps
            count += turnstile.lets_in()
        return count

    assert let_in(30, 10) == 300
    assert let_in(120, 10) <= 10 * 30 * SLACK + 2 * 30 * SLACK
    clock.now_s += 2.0
    assert sum(turnstile.lets_in() for _ in range(100)) == 63  # of two seconds, all at once


def test_video_of_too_many_pixels_is_refused_in_words() -> None:
    turnstile = Turnstile(LimitsConfig(max_pixels=640 * 480))
    turnstile.check_size(VideoInfo(640, 480, "h264"))
    with pytest.raises(SourceUnusable, match="1280x720, more than the 307200 pixels"):
        turnstile.check_size(VideoInfo(1280, 720, "h264"))


@pytest.fixture
async def sized() -> Any:
    """A session of at most 100x100 px and three changes of size, over a fake camera."""
    limits = LimitsConfig(max_pixels=100 * 100, size_changes_per_minute=3, max_fps=2.0)
    source, sink = FakeSource(), RecordingSink()
    session = Session(
        *("door", source, FakeEstimators(), PoseConfig()),
        SkeletonPainter(OverlayConfig()),
        RetryPolicy(),
        limits=limits,
    )
    session.subscribe(sink)
    session.start()
    await source.connected()
    yield session, source, sink
    await session.close()


async def refused(source: FakeSource, sink: RecordingSink, video: VideoInfo) -> str:
    """Opens it as a source does, whose thread the error ends; what the stream then says."""
    with pytest.raises(SourceUnusable) as error:
        source.open(video)
    source.end(error.value)
    await sink.until(lambda: sink.statuses[-1].state is StreamState.RECONNECTING)
    assert sink.statuses[-1].error_kind == "source-unusable"
    return sink.statuses[-1].detail


async def test_stream_that_grows_too_large_while_it_plays_says_so(sized: Any) -> None:
    _, source, sink = sized
    source.open(VideoInfo(64, 48, "h264"))
    source.put(make_frame())
    await sink.results_come(1)
    assert "200x200" in await refused(source, sink, VideoInfo(200, 200, "h264"))


async def test_stream_whose_size_changes_all_the_time_is_ended(sized: Any) -> None:
    _, source, sink = sized
    for side in (10, 12, 14, 16):  # the first is no change
        source.open(VideoInfo(side, side, "h264"))
    assert "3 times a minute" in await refused(source, sink, VideoInfo(18, 18, "h264"))


async def test_frames_too_many_are_counted_as_dropped_and_seen_by_nobody(sized: Any) -> None:
    session, source, sink = sized
    stopped = Clock()
    session._entrance.turnstile = Turnstile(LimitsConfig(max_fps=2.0), stopped)
    source.open(VideoInfo(64, 48, "h264"))
    for pts in range(4):  # as many are let in at once
        source.put(make_frame(pts))
        await sink.results_come(pts + 1)
    source.put(*(make_frame(pts) for pts in range(4, 20)))
    stats = session.stats()
    assert stats.frames_in == 20
    assert stats.frames_dropped == 16


async def test_connection_whose_first_frame_is_one_too_many_is_live_with_the_next(
    sized: Any,
) -> None:
    session, source, sink = sized
    clock = Clock()
    session._entrance.turnstile = turnstile = Turnstile(LimitsConfig(max_fps=2.0), clock)
    while turnstile.lets_in():  # a connection before sent too many
        pass
    source.put(make_frame(0))
    clock.now_s += 10.0
    source.put(make_frame(1))
    await sink.state_comes(StreamState.LIVE)
    assert session.stats().frames_dropped == 1


# -- a publisher ------------------------------------------------------------------------------------


class OnePacket:
    """A child's side of its parent, which sends one packet."""

    def __init__(self, codec: str, data: bytes) -> None:
        self.sent: list[dict[str, Any]] = []
        self._orders = [({"codec": codec, "pts": 0}, memoryview(data))]

    def receive(self) -> tuple[dict[str, Any], memoryview]:
        if not self._orders:
            raise EOFError
        return self._orders.pop()

    def send(self, header: dict[str, Any]) -> None:
        self.sent.append(header)


@pytest.mark.parametrize(("codec", "encoder"), [("vp8", "libvpx"), ("h264", "libx264")])
def test_publishers_video_that_is_too_large_to_be_decoded_is_named(
    codec: str, encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "MAX_PIXELS", 100 * 100)
    context: Any = av.CodecContext.create(encoder, "w")
    context.width, context.height, context.pix_fmt = 320, 240, "yuv420p"
    context.time_base = Fraction(1, 30)
    picture = av.VideoFrame(320, 240, "yuv420p")
    picture.pts = 0
    child: Any = OnePacket(codec, bytes([*context.encode(picture), *context.encode(None)][0]))
    with pytest.raises(EOFError):
        decoder.main(child)
    assert child.sent == [{"left": 0, "answer": "nothing", "failed": True, "too_large": "320x240"}]
