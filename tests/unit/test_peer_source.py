"""A browser's camera as a source: decoded while anybody wants it, lost, silent, back again."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

import pytest

from streamer.aio import cancel_and_wait
from streamer.errors import SourceEnded, SourceLost, SourceStalled
from streamer.webrtc import decoding as decoding_module
from streamer.webrtc import source as source_module
from streamer.webrtc.decoding import MAX_BURST, MAX_WAITING
from streamer.webrtc.source import PeerSource
from tests.fakes import PATIENCE_S
from tests.publisher import Publisher, Receiver


@pytest.fixture
async def source() -> AsyncIterator[PeerSource]:
    made = PeerSource(first_wait_s=5.0, resume_wait_s=0.01)
    yield made
    made.detach()


@pytest.fixture
async def publisher() -> AsyncIterator[Publisher]:
    made = Publisher()
    await made.connect()
    yield made
    await made.close()


@contextlib.asynccontextmanager
async def running(source: PeerSource, receiver: Receiver) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(source.run(receiver))
    camera = source._camera
    assert camera is not None
    while camera.on_packet is None and not task.done():  # noqa: ASYNC110 - its beginning sets no event
        await asyncio.sleep(0)
    try:
        yield task
    finally:
        receiver.gate.set()
        await cancel_and_wait(task)


async def test_pictures_are_forwarded_decoded_and_put_from_one_thread(
    source: PeerSource, publisher: Publisher
) -> None:
    receiver = Receiver()
    source.attach(publisher.receiver)
    async with running(source, receiver) as run:
        for number in range(6):
            await publisher.show(luma=50 + 20 * number)
            assert len(receiver.packets) == number + 1
        frames = await receiver.shows(6)
        assert receiver.threads == {"video-decoder"}
        for number, frame in enumerate(frames):
            assert frame.pts == receiver.packets[number].pts == 3000 * number
            assert frame.received_mono == receiver.packets[number].received_mono
            assert abs(int(frame.planes()[0].mean()) - (50 + 20 * number)) < 4
            assert 0 < frame.decode_ms < 10_000
        await publisher.close()
        with pytest.raises(SourceLost):
            await run
    assert [video.codec for video in receiver.videos] == ["vp8"]


@pytest.mark.parametrize("codec", ["vp8", "h264"])
async def test_size_may_change_in_the_middle(source: PeerSource, codec: str) -> None:
    publisher, receiver = Publisher(codec), Receiver()
    await publisher.connect()
    source.attach(publisher.receiver)
    async with running(source, receiver):
        for width in (64, 64, 32, 128):
            await publisher.show(width=width)
        frames = await receiver.shows(4)
    assert [frame.width for frame in frames] == [64, 64, 32, 128]
    assert [(video.width, video.height) for video in receiver.videos] == [
        (64, 48),
        (32, 48),
        (128, 48),
    ]
    await publisher.close()


async def test_source_that_nobody_publishes_to_any_more_ends(
    source: PeerSource, publisher: Publisher
) -> None:
    source.attach(publisher.receiver)
    source.detach()
    with pytest.raises(SourceLost):
        await source.run(Receiver())
    with pytest.raises(SourceEnded):
        await source.run(Receiver())
    assert not source.publishing


async def test_publisher_that_vanishes_without_a_word_ends_the_run(source: PeerSource) -> None:
    publisher, receiver = Publisher(), Receiver()  # never connected
    source.attach(publisher.receiver)
    async with running(source, receiver) as run:
        source.detach()
        with pytest.raises(SourceLost):
            await run
    assert publisher.receiver.track.readyState == "ended"


async def test_no_thread_outlives_a_run(source: PeerSource, publisher: Publisher) -> None:
    before = set(threading.enumerate())
    receiver = Receiver()
    source.attach(publisher.receiver)
    async with running(source, receiver):
        await publisher.show()
        await receiver.shows(1)
        assert {t.name for t in set(threading.enumerate()) - before} == {"video-decoder"}
    left = [each for each in set(threading.enumerate()) - before if each.name == "video-decoder"]
    for thread in left:  # its work is done, and the thread about to end
        await asyncio.to_thread(thread.join, PATIENCE_S)
    assert not any(thread.is_alive() for thread in left)


async def test_nothing_is_decoded_while_nobody_runs_it_and_then_from_a_new_key_frame_on(
    source: PeerSource, publisher: Publisher
) -> None:
    source.attach(publisher.receiver)
    first, second = Receiver(), Receiver()
    async with running(source, first):
        await publisher.show()
        await first.shows(1)
    for _ in range(100):
        await publisher.show()
    assert publisher.transport.keyframe_requests == 0
    async with running(source, second):
        await publisher.transport.keyframe_requests_come(1)
        await publisher.show()
        assert second.packets == []
        assert publisher.transport.keyframe_requests == 1
        await publisher.show(key=True)
        await publisher.show()
        frames = await second.shows(2)
        assert [frame.pts for frame in frames] == [102 * 3000, 103 * 3000]
        assert [packet.is_keyframe for packet in second.packets] == [True, False]
    assert len(first.frames) == 1


async def test_silent_publisher_is_said_so_and_goes_on_when_it_does(
    source: PeerSource, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "STALL_S", 0.01)
    receiver = Receiver()
    source.attach(publisher.receiver)
    with pytest.raises(SourceStalled):
        await source.run(receiver)
    monkeypatch.setattr(source_module, "STALL_S", 3600.0)
    async with running(source, receiver):
        await publisher.show(key=True)
        await receiver.shows(1)


async def test_publisher_who_comes_back_is_read_from_its_new_camera(
    source: PeerSource, publisher: Publisher
) -> None:
    receiver, second = Receiver(), Publisher()
    await second.connect()
    source.attach(publisher.receiver)
    source.detach()
    with pytest.raises(SourceLost):
        await source.run(receiver)
    source.attach(second.receiver)
    async with running(source, receiver):
        await second.show()
        await receiver.shows(1)
    await second.close()


async def test_decoder_that_falls_behind_goes_on_with_a_key_frame_that_is_asked_for(
    source: PeerSource, publisher: Publisher
) -> None:
    receiver = Receiver()
    source.attach(publisher.receiver)
    async with running(source, receiver):
        receiver.gate.clear()
        await publisher.show()
        await receiver.shows(1)  # and it stays there
        for _ in range(MAX_WAITING + 5):
            await publisher.show()
        await asyncio.sleep(0)
        assert len(receiver.packets) == MAX_WAITING + 6  # viewers of packets lack none
        publisher.transport.sent.clear()
        receiver.gate.set()
        await publisher.show(key=True)
        key = publisher.pts
        await publisher.show()
        await receiver.until(lambda: receiver.frames[-1].pts == publisher.pts)
    assert [frame.pts for frame in receiver.frames] == [0, key, publisher.pts]


async def test_thread_that_hangs_does_not_hold_up_the_end_of_the_source(
    source: PeerSource, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "KILLED_S", 0.05)
    receiver = Receiver()
    source.attach(publisher.receiver)
    async with running(source, receiver) as run:
        receiver.gate.clear()
        await publisher.show()
        await receiver.shows(1)  # and it stays there
        run.cancel()
        await asyncio.wait({run}, timeout=PATIENCE_S)
        assert run.cancelled()


async def test_pictures_that_come_at_once_are_handed_on_with_a_distance_unless_many_wait(
    source: PeerSource, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding_module, "CATCH_UP", 1e6)  # for ever, as far as a test goes
    monkeypatch.setattr(decoding_module, "MAX_DISTANCE_S", 1e3)
    receiver = Receiver()
    source.attach(publisher.receiver)
    async with running(source, receiver):
        receiver.gate.clear()
        await publisher.show()
        await receiver.shows(1)  # and it stays there
        for _ in range(MAX_BURST + 2):
            await publisher.show()
        receiver.gate.set()
        await receiver.shows(3)
        for _ in range(100):
            await asyncio.sleep(0.001)
        assert len(receiver.frames) == 3
        await publisher.show()
        await receiver.shows(4)
    assert [frame.pts for frame in receiver.frames][:4] == [0, 3000, 6000, 9000]


async def test_key_frame_that_waits_already_is_gone_on_with(
    source: PeerSource, publisher: Publisher
) -> None:
    receiver = Receiver()
    source.attach(publisher.receiver)
    async with running(source, receiver):
        receiver.gate.clear()
        await publisher.show()
        await receiver.shows(1)
        for _ in range(MAX_WAITING - 2):
            await publisher.show()
        await publisher.show(key=True)
        key = publisher.pts
        for _ in range(3):
            await publisher.show()
        receiver.gate.set()
        await receiver.until(lambda: receiver.frames[-1].pts == publisher.pts)
    assert [frame.pts for frame in receiver.frames] == [0, *range(key, publisher.pts + 1, 3000)]
    assert publisher.transport.keyframe_requests == 0


async def test_damaged_picture_costs_itself_and_a_request(
    source: PeerSource, publisher: Publisher
) -> None:
    receiver = Receiver()
    source.attach(publisher.receiver)
    async with running(source, receiver):
        await publisher.show()
        await receiver.shows(1)
        (packet,) = publisher.packets()
        packet.payload = packet.payload[:4] + b"\xff\xff\xff"
        await publisher.deliver(packet)
        await publisher.show()
        await receiver.until(lambda: receiver.frames[-1].pts == publisher.pts)
        await publisher.transport.keyframe_requests_come(1)
        await publisher.show()
        assert publisher.transport.keyframe_requests == 1


async def test_fault_of_ours_in_the_decoder_ends_the_run(
    source: PeerSource, publisher: Publisher
) -> None:
    receiver = Receiver()
    receiver.put = lambda frame: 1 / 0  # type: ignore[method-assign,assignment]
    source.attach(publisher.receiver)
    async with running(source, receiver) as run:
        await publisher.show()
        with pytest.raises(ZeroDivisionError):
            await run


async def test_sender_reports_reach_whoever_asks(source: PeerSource, publisher: Publisher) -> None:
    reports: list[tuple[float, int, int]] = []
    source.attach(publisher.receiver)
    await publisher.show()
    await publisher.report(1_760_000_000.0, pts=900)
    source.on_sender_report = lambda *report: reports.append(report)
    await publisher.report(1_760_000_001.0, pts=90_900)
    assert [(timestamp, pts) for _, timestamp, pts in reports] == [(90_900, 90_900)]


async def test_key_frame_may_be_asked_for_at_any_time(
    source: PeerSource, publisher: Publisher
) -> None:
    source.request_keyframe()
    source.attach(publisher.receiver)
    await publisher.show()
    source.request_keyframe()
    await asyncio.sleep(0)
    assert publisher.transport.keyframe_requests == 1
