"""The ways out to one peer never hold back more than the newest, however slow the peer is."""

import asyncio
from typing import Any

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError

from streamer.model import Picture
from streamer.webrtc.outlets import MAX_BUFFERED_BYTES, AnnotatedTrack, LandmarkChannel
from tests.fakes import make_frame


def picture(pts: int) -> Picture:
    return Picture(make_frame(luma=pts), pts)


async def test_slow_encoder_gets_the_newest_picture_and_the_rest_are_dropped() -> None:
    track = AnnotatedTrack()
    for pts in range(50, 60):
        track.on_picture(picture(pts))
    frame = await track.recv()
    assert (frame.pts, frame.time_base.denominator if frame.time_base else 0) == (59, 90_000)
    assert np.frombuffer(memoryview(frame.planes[0]), np.uint8)[0] == 59
    assert track.dropped == 9


async def test_encoder_waits_for_the_next_picture() -> None:
    track = AnnotatedTrack()
    track.on_picture(picture(50))
    await track.recv()
    waiting = asyncio.create_task(track.recv())
    await asyncio.sleep(0)
    assert not waiting.done()
    track.on_picture(picture(51))
    assert (await waiting).pts == 51
    assert track.dropped == 0


async def test_stopped_track_gives_no_more_pictures() -> None:
    track = AnnotatedTrack()
    track.on_picture(picture(50))
    track.stop()
    with pytest.raises(MediaStreamError):
        await track.recv()


class FakeChannel:
    def __init__(self) -> None:
        self.readyState = "open"
        self.bufferedAmount = 0
        self.sent: list[str] = []

    def send(self, message: str) -> None:
        assert self.readyState == "open"
        self.sent.append(message)


def landmark_channel() -> tuple[LandmarkChannel, FakeChannel]:
    channel: Any = FakeChannel()
    return LandmarkChannel(channel), channel


def test_messages_go_out_while_the_channel_keeps_up() -> None:
    outlet, channel = landmark_channel()
    channel.bufferedAmount = MAX_BUFFERED_BYTES
    outlet.send("one")
    assert channel.sent == ["one"] and outlet.dropped == 0


def test_messages_are_dropped_while_the_channel_is_full_and_go_on_after_that() -> None:
    outlet, channel = landmark_channel()
    channel.bufferedAmount = MAX_BUFFERED_BYTES + 1
    outlet.send("late")
    channel.bufferedAmount = 0
    outlet.send("fresh")
    assert channel.sent == ["fresh"] and outlet.dropped == 1


@pytest.mark.parametrize("state", ["connecting", "closing", "closed"])
def test_channel_that_is_not_open_is_left_alone(state: str) -> None:
    outlet, channel = landmark_channel()
    channel.readyState = state
    outlet.send("nothing")
    assert channel.sent == []
