"""The ways out to one peer never hold back more than the newest, however slow the peer is."""

from typing import Any

import pytest

from streamer.webrtc.outlets import MAX_WAITING_MESSAGES, LandmarkChannel


class FakeChannel:
    """Like aiortc's; while stuck it holds everything back."""

    def __init__(self, protocol: str = "") -> None:
        self.readyState = "open"
        self.protocol = protocol
        self.buffered: list[str | bytes] = []
        self.is_stuck = False
        self.sent: list[str | bytes] = []

    def send(self, message: str | bytes) -> None:
        assert self.readyState == "open"
        self.sent.append(message)
        self.buffered.append(message)
        if not self.is_stuck:
            self.let_go(len(self.buffered))

    @property
    def bufferedAmount(self) -> int:
        return sum(map(len, self.buffered))

    def let_go(self, count: int) -> None:
        """The oldest messages leave."""
        del self.buffered[:count]


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


@pytest.mark.parametrize("lengths", [(60, 60, 526, 992, 1924), (1924, 60, 60, 526)])
def test_people_who_come_and_go_change_nothing_about_how_many_wait(
    lengths: tuple[int, ...],
) -> None:
    outlet, channel = landmark_channel()
    channel.is_stuck = True
    for length in lengths:
        outlet.pose(bytes(length))
    assert [len(message) for message in channel.sent] == list(lengths[:2])
    assert outlet.dropped == len(lengths) - 2


def test_for_each_pose_message_that_leaves_a_new_one_goes_in() -> None:
    outlet, channel = landmark_channel()
    channel.is_stuck = True
    for letter in (b"a", b"b", b"late"):
        outlet.pose(letter * 100)
    channel.let_go(1)
    for letter in (b"c", b"late"):
        outlet.pose(letter * 100)
    channel.let_go(2)
    outlet.pose(b"d" * 100)
    assert [message[:1] for message in channel.sent] == [b"a", b"b", b"c", b"d"]
    assert outlet.dropped == 2


def test_news_pass_pose_messages_that_wait_but_have_an_end_too() -> None:
    outlet, channel = landmark_channel()
    channel.is_stuck = True
    for _ in range(1000):
        outlet.pose(bytes(1000))
        outlet.news("x" * 100)
    assert len(channel.sent) == MAX_WAITING_MESSAGES
    assert channel.sent.count("x" * 100) == MAX_WAITING_MESSAGES - 2


def test_news_that_wait_take_no_place_of_a_pose_message() -> None:
    outlet, channel = landmark_channel()
    channel.is_stuck = True
    for _ in range(5):
        outlet.news("x" * 1000)
    outlet.pose(bytes(526))
    outlet.pose(bytes(526))
    assert len(channel.sent) == 7 and outlet.dropped == 0


@pytest.mark.parametrize("state", ["connecting", "closing", "closed"])
def test_channel_that_is_not_open_is_left_alone(state: str) -> None:
    outlet, channel = landmark_channel()
    channel.readyState = state
    outlet.pose("nothing")
    outlet.news("nothing")
    assert channel.sent == []
