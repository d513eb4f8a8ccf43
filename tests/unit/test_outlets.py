"""The ways out to one peer never hold back more than the newest, however slow the peer is."""

from typing import Any

import pytest

from streamer.webrtc.outlets import MAX_BUFFERED_BYTES, LandmarkChannel


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
