"""The ways out to one peer never hold back more than the newest, however slow the peer is."""

from typing import Any

import pytest

from streamer.webrtc.outlets import MAX_BUFFERED_BYTES, LandmarkChannel


class FakeChannel:
    """Like aiortc's; while stuck it holds everything back."""

    def __init__(self, protocol: str = "") -> None:
        self.readyState = "open"
        self.protocol = protocol
        self.bufferedAmount = 0
        self.is_stuck = False
        self.sent: list[str | bytes] = []

    def send(self, message: str | bytes) -> None:
        assert self.readyState == "open"
        self.sent.append(message)
        if self.is_stuck:
            self.bufferedAmount += len(message)


def landmark_channel(protocol: str = "") -> tuple[LandmarkChannel, FakeChannel]:
    channel: Any = FakeChannel(protocol)
    return LandmarkChannel(channel), channel


@pytest.mark.parametrize(
    ("protocol", "form"), [("", "json"), ("chat", "json"), ("landmarks.v1+bin", "binary")]
)
def test_channels_protocol_chooses_the_form(protocol: str, form: str) -> None:
    outlet, _ = landmark_channel(protocol)
    assert outlet.form == form


def test_at_most_two_pose_messages_wait_in_a_slow_channel() -> None:
    outlet, channel = landmark_channel()
    channel.is_stuck = True
    for length in (1000, 1010, 990, 1005, 1000):
        outlet.pose(bytes(length))
    assert len(channel.sent) == 2 and outlet.dropped == 3


def test_messages_go_on_when_the_channel_keeps_up_again() -> None:
    outlet, channel = landmark_channel()
    channel.bufferedAmount = 1001
    outlet.pose(bytes(1000))
    channel.bufferedAmount = 0
    outlet.pose(b"fresh")
    assert channel.sent == [b"fresh"] and outlet.dropped == 1


def test_news_pass_pose_messages_that_wait_but_have_an_end_too() -> None:
    outlet, channel = landmark_channel()
    channel.is_stuck = True
    for _ in range(1000):
        outlet.pose(bytes(1000))
        outlet.news("x" * 100)
    assert channel.bufferedAmount <= MAX_BUFFERED_BYTES + 100
    assert channel.sent.count("x" * 100) > 100


@pytest.mark.parametrize("state", ["connecting", "closing", "closed"])
def test_channel_that_is_not_open_is_left_alone(state: str) -> None:
    outlet, channel = landmark_channel()
    channel.readyState = state
    outlet.pose("nothing")
    outlet.news("nothing")
    assert channel.sent == []
