"""Packets that come late, twice, in any order or never: pictures leave whole, in order and at once."""

import itertools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pytest
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket

from streamer.model import Codec
from streamer.webrtc.jitter import (
    PATIENCE_S,
    EncodedPicture,
    PictureBuffer,
    RtpClock,
    begins_keyframe,
    is_keyframe,
)

FRAME_S = 1 / 30
KEY = b"\x10\x00\x00\x9d\x01\x2a\x40\x01\xf0\x00"
DELTA = b"\x11\x00\x00"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def packet(
    sequence: int, timestamp: int, data: bytes, *, marker: bool = False, ssrc: int = 1
) -> RtpPacket:
    made: Any = RtpPacket(96, int(marker), sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
    made._data = data  # as aiortc's receiver leaves it
    return made  # type: ignore[no-any-return]


def picture(sequence: int, timestamp: int, count: int, *, key: bool = True) -> list[RtpPacket]:
    """The packets of one picture; each one's data tells its place."""
    return [
        packet(
            sequence + n,
            timestamp,
            (b"" if n else KEY if key else DELTA) + b"%d.%d " % (timestamp & 0xFFFFFFFF, n),
            marker=n == count - 1,
        )
        for n in range(count)
    ]


def data_of(packets: Iterable[RtpPacket]) -> bytes:
    return b"".join(cast("Any", each)._data for each in packets)


class Rig:
    """A buffer with a clock in the test's hands."""

    def __init__(self, capacity: int = 2048, codec: Codec = "vp8") -> None:
        self.clock = Clock()
        self.buffer = PictureBuffer(lambda _: codec, capacity=capacity, clock=self.clock)

    def feed(self, packets: Iterable[RtpPacket], after_s: float = 0.0) -> list[EncodedPicture]:
        self.clock.now += after_s
        left = []
        for each in packets:
            assert self.buffer.add(each) == (False, None)
            left += self.buffer.take()
        return left


def timestamps(pictures: Iterable[EncodedPicture]) -> list[int]:
    return [each.timestamp for each in pictures]


# -- one by one -------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 7, 180])
def test_picture_leaves_with_its_last_packet(count: int) -> None:
    rig = Rig()
    for number in range(5):
        packets = picture(number * count, number * 3000, count, key=number == 0)
        assert rig.feed(packets[:-1], after_s=FRAME_S) == []
        (left,) = rig.feed(packets[-1:], after_s=0.004)
        assert (left.timestamp, left.data) == (number * 3000, data_of(packets))
        assert (left.is_keyframe, left.codec) == (number == 0, "vp8")
        assert left.received_mono == rig.clock.now


def test_packets_of_a_picture_may_come_in_any_order() -> None:
    for order in itertools.permutations(range(4)):
        rig = Rig()
        rig.feed(picture(0, 0, 1))
        packets = picture(1, 3000, 4, key=False)
        (left,) = rig.feed([packets[n] for n in order])
        assert left.data == data_of(packets)


def test_very_first_packets_may_come_in_any_order_but_for_the_last() -> None:
    for order in itertools.permutations(range(3)):
        rig = Rig()
        packets = picture(100, 0, 4)
        (left,) = rig.feed([packets[n] for n in (*order, 3)])
        assert left.data == data_of(packets)


def test_all_that_waited_behind_a_repaired_loss_leave_at_once() -> None:
    rig = Rig()
    packets = [picture(n, n * 3000, 1, key=n == 0)[0] for n in range(6)]
    assert len(rig.feed([packets[0], *packets[2:]])) == 1
    assert timestamps(rig.feed([packets[1]])) == [3000, 6000, 9000, 12000, 15000]


def test_sequence_numbers_and_timestamps_wrap_around() -> None:
    rig = Rig()
    sent = [picture(0xFFF9 + 3 * n, (1 << 32) - 6000 + n * 3000, 3) for n in range(6)]
    left = rig.feed(itertools.chain.from_iterable(sent))
    assert [each.data for each in left] == [data_of(each) for each in sent]


def test_pictures_without_markers_leave_when_the_next_one_begins() -> None:
    rig = Rig()
    packets = [packet(n, n // 3 * 3000, KEY + b"%d" % n) for n in range(60)]
    left = rig.feed(packets)
    assert timestamps(left) == [n * 3000 for n in range(19)]
    assert left[4].data == data_of(packets[12:15])


def test_padding_between_pictures_is_no_picture() -> None:
    """Libwebrtc may send packets without payload after a picture, with its timestamp."""
    rig = Rig()
    assert len(rig.feed(picture(0, 0, 2))) == 1
    assert rig.feed([packet(2, 0, b""), packet(3, 0, b"")]) == []
    assert timestamps(rig.feed([*picture(4, 3000, 1), *picture(5, 6000, 2)])) == [3000, 6000]


def test_packet_that_comes_twice_changes_nothing() -> None:
    rig = Rig()
    packets = [*picture(0, 0, 3), *picture(3, 3000, 2, key=False)]
    left = rig.feed(each for one in packets for each in (one, one))
    assert timestamps(left + rig.feed(packets)) == [0, 3000]


def test_nothing_leaves_before_the_first_key_frame() -> None:
    rig = Rig()
    assert rig.feed([*picture(0, 0, 2, key=False), *picture(2, 3000, 1, key=False)]) == []
    assert rig.buffer.wants_keyframe
    assert timestamps(rig.feed([*picture(3, 6000, 2), *picture(5, 9000, 1, key=False)])) == [
        6000,
        9000,
    ]
    assert not rig.buffer.wants_keyframe


def test_tail_of_a_key_frame_is_no_key_frame() -> None:
    """Where the first packet ever is not the first of its picture."""
    rig = Rig(codec="h264")
    idr = b"\0\0\0\1\x65slice"
    assert rig.feed([packet(5, 0, idr, marker=True)]) == []
    whole = [packet(6, 3000, b"\0\0\0\1\x67sps\0\0\0\1\x68pps"), packet(7, 3000, idr, marker=True)]
    assert timestamps(rig.feed(whole)) == [3000]


# -- giving up --------------------------------------------------------------------------------------


def test_after_a_quarter_of_a_second_it_gives_a_packet_up_and_holds_until_a_key_frame() -> None:
    rig = Rig()
    rig.feed(picture(0, 0, 1))
    sequence = 2  # 1 is lost
    for number in range(1, 8):
        assert rig.feed(picture(sequence, number * 3000, 2, key=False), FRAME_S) == []
        assert not rig.buffer.wants_keyframe
        sequence += 2
    assert rig.feed(picture(sequence, 24000, 2, key=False), 2 * FRAME_S) == []
    assert rig.buffer.wants_keyframe
    assert rig.buffer.next_sequence_number == sequence + 2
    (key,) = rig.feed(picture(sequence + 2, 27000, 2), FRAME_S)
    assert key.timestamp == 27000 and not rig.buffer.wants_keyframe


def test_key_frame_that_is_being_repaired_is_waited_for() -> None:
    rig = Rig()
    first, second = picture(0, 0, 3), picture(3, 3000, 1)
    assert rig.feed([first[0], first[2], *second]) == []
    assert timestamps(rig.feed([first[1]])) == [0, 3000]


def test_while_it_holds_it_goes_to_a_key_frame_over_any_gap() -> None:
    rig = Rig()
    rig.feed(picture(0, 0, 1, key=False))  # the wait for the first key frame
    assert rig.feed(picture(3, 3000, 2, key=False)) == []
    assert timestamps(rig.feed(picture(9, 6000, 2))) == [6000]


def test_long_silence_with_a_jump_of_hundreds_needs_no_patience() -> None:
    rig = Rig()
    rig.feed([*picture(0, 0, 1), packet(1, 3000, DELTA)])
    assert rig.feed(picture(700, 450_000, 2, key=False), after_s=5.0) == []
    assert rig.buffer.wants_keyframe and rig.buffer.next_sequence_number == 702
    assert timestamps(rig.feed(picture(702, 453_000, 3), FRAME_S)) == [453_000]


@pytest.mark.parametrize("jump", [2048, 5000, 30_000, 40_000, -5000])
def test_jump_beyond_what_may_wait_begins_anew(jump: int) -> None:
    rig = Rig()
    rig.feed([*picture(0, 0, 1), packet(2, 3000, DELTA)])
    assert rig.feed(picture(jump, 6000, 2, key=False)) == []
    assert timestamps(rig.feed(picture(jump + 2, 9000, 2))) == [9000]


def test_old_packet_after_the_gap_was_given_up_is_ignored_however_old() -> None:
    rig = Rig()
    rig.feed(picture(0, 0, 1))
    rig.feed(picture(300, 3000, 2, key=False))
    rig.feed([])
    assert timestamps(rig.feed(picture(302, 6000, 2), after_s=PATIENCE_S + 0.1)) == [6000]
    assert rig.feed([packet(1, 1, KEY, marker=True), packet(299, 2, KEY, marker=True)]) == []
    assert timestamps(rig.feed(picture(304, 9000, 1, key=False))) == [9000]


def test_sender_that_begins_anew_under_another_name_is_followed() -> None:
    rig = Rig()
    rig.feed(picture(40, 0, 2))
    delta, key = packet(39, 5, DELTA, marker=True, ssrc=2), packet(40, 8, KEY, marker=True, ssrc=2)
    assert timestamps(rig.feed([delta, key])) == [8]


def test_no_more_than_the_capacity_ever_waits() -> None:
    rig = Rig(capacity=64)
    rig.feed(picture(0, 0, 1))
    for number in range(2, 500):
        rig.feed([packet(number, 3000, b"x")])
        assert len(rig.buffer._packets) <= 64


def test_buffer_remembers_nothing_of_what_has_left() -> None:
    rig = Rig()
    for number in range(50):
        rig.feed(picture(2 * number, number * 3000, 2))
    assert not rig.buffer._packets and not rig.buffer._key_starts


# -- against the stock buffer -----------------------------------------------------------------------


@dataclass(frozen=True)
class Weather:
    """``repaired``: the share of losses that a retransmission makes good, 20 to 200 ms later."""

    lost: float = 0.0
    repaired: float = 1.0
    reordered: float = 0.0
    doubled: float = 0.0
    largest: int = 12
    markers: bool = True


def film(chance: random.Random, frames: int, weather: Weather) -> list[list[RtpPacket]]:
    """Key frames only, since the stock buffer does not hold; with padding here and there."""
    sequence, timestamp = chance.randrange(0x10000), chance.randrange(1 << 32)
    pictures = []
    for _ in range(frames):
        packets = picture(sequence, timestamp, chance.randint(1, weather.largest))
        if not weather.markers:
            packets[-1].marker = 0
        sequence += len(packets)
        if weather.markers and chance.random() < 0.05:
            packets.append(packet(sequence, timestamp, b""))
            sequence += 1
        pictures.append(packets)
        timestamp += 3000
    return pictures


def carry(
    chance: random.Random, sent: Sequence[list[RtpPacket]], weather: Weather
) -> list[tuple[float, RtpPacket]]:
    """(time of arrival, packet), where the first one comes first: the stock buffer begins there."""
    arrivals: list[tuple[float, int, RtpPacket]] = []
    for number, packets in enumerate(sent):
        for place, each in enumerate(packets):
            at_s = number * FRAME_S + place * 0.0003
            is_first = number == place == 0
            if not is_first and chance.random() < weather.lost:
                if chance.random() >= weather.repaired:
                    continue
                at_s += chance.uniform(0.02, 0.2)
            elif not is_first and chance.random() < weather.reordered:
                at_s += chance.uniform(0.0003, 0.02)
            arrivals.append((at_s, len(arrivals), each))
            if chance.random() < weather.doubled:
                arrivals.append((at_s + chance.uniform(0, 0.03), len(arrivals), each))
    return [(at_s, each) for at_s, _, each in sorted(arrivals, key=lambda item: item[:2])]


def ours(arrivals: Sequence[tuple[float, RtpPacket]]) -> list[EncodedPicture]:
    rig, left = Rig(), []
    for at_s, each in arrivals:
        rig.clock.now = 1000.0 + at_s
        left += rig.feed([each])
    return left


def stock(arrivals: Sequence[tuple[float, RtpPacket]]) -> list[JitterFrame]:
    buffer = JitterBuffer(capacity=512, is_video=True)
    frames = (buffer.add(each)[1] for _, each in arrivals)
    return [frame for frame in frames if frame is not None and frame.data]


CALM = {
    "clear": Weather(),
    "reordered": Weather(reordered=0.1, doubled=0.02),
    "losses repaired": Weather(lost=0.05, reordered=0.02, doubled=0.02),
    "many losses repaired": Weather(lost=0.25, reordered=0.1, doubled=0.05),
    "small pictures": Weather(lost=0.05, reordered=0.05, largest=1),
    "no markers": Weather(lost=0.03, reordered=0.05, markers=False),
}
ROUGH = {
    "few losses": Weather(lost=0.005, repaired=0.0),
    "losses": Weather(lost=0.05, repaired=0.95, reordered=0.05, doubled=0.02),
    "many losses": Weather(lost=0.2, repaired=0.8, reordered=0.05, doubled=0.02),
    "small pictures": Weather(lost=0.1, repaired=0.5, largest=1),
    "large pictures": Weather(lost=0.02, repaired=0.9, largest=60),
    "no markers": Weather(lost=0.05, repaired=0.5, markers=False),
}


@pytest.mark.parametrize("weather", CALM.values(), ids=CALM.keys())
def test_when_all_packets_come_in_the_end_so_do_all_pictures_as_from_stock(
    weather: Weather,
) -> None:
    for seed in range(12):
        chance = random.Random(seed)
        sent = film(chance, 150, weather)
        arrivals = carry(chance, sent, weather)
        left = ours(arrivals)
        assert [each.data for each in left] == [data_of(each) for each in sent][: len(left)]
        assert len(left) == len(sent) - (not weather.markers)
        assert [each.data for each in stock(arrivals)] == [
            each.data for each in left[: len(stock(arrivals))]
        ]


@pytest.mark.parametrize("weather", ROUGH.values(), ids=ROUGH.keys())
def test_losses_cost_no_more_than_with_stock_and_no_picture_is_cut_repeated_or_late(
    weather: Weather,
) -> None:
    whole = stock_whole = 0
    for seed in range(12):
        chance = random.Random(seed)
        sent = film(chance, 200, weather)
        arrivals = carry(chance, sent, weather)
        data = {packets[0].timestamp: data_of(packets) for packets in sent}
        order = {timestamp: number for number, timestamp in enumerate(data)}
        left = ours(arrivals)
        assert all(each.data == data[each.timestamp] for each in left)
        numbers = [order[each.timestamp] for each in left]
        assert numbers == sorted(set(numbers))
        whole += len(left)
        stock_whole += sum(frame.data == data[frame.timestamp] for frame in stock(arrivals))
    assert whole >= stock_whole > 0


@pytest.mark.parametrize("seed", range(12))
def test_no_picture_leaves_whose_predecessor_did_not_and_key_frames_end_every_hold(
    seed: int,
) -> None:
    """A camera that sends a key frame 80 ms after it was asked for one, on a lossy way."""
    chance = random.Random(seed)
    rig = Rig()
    weather = Weather(lost=0.06, repaired=0.9, reordered=0.05, doubled=0.02)
    sequence, key_due_s, left, keys = 0, 0.0, 0, set()
    waiting: list[tuple[float, int, RtpPacket]] = []
    last: int | None = None
    for number in range(600):
        now = number * FRAME_S
        is_key = now >= key_due_s
        if is_key:
            keys.add(number)
            key_due_s = float("inf")
        packets = picture(sequence, number * 3000, chance.choice([1, 2, 3, 9]), key=is_key)
        sequence += len(packets)
        for at_s, each in carry(chance, [packets], weather):
            waiting.append((now + at_s, len(waiting) + sequence, each))
        due = sorted(item for item in waiting if item[0] < now + FRAME_S)
        waiting = [item for item in waiting if item[0] >= now + FRAME_S]
        for at_s, _, each in due:
            rig.clock.now = 1000.0 + at_s
            for leaving in rig.feed([each]):
                shown = leaving.timestamp // 3000
                assert shown in keys or shown - 1 == last
                last, left = shown, left + 1
            if rig.buffer.wants_keyframe and key_due_s == float("inf"):
                key_due_s = at_s + 0.08
    assert left > 400
    assert len(keys) > 1


# -- what pictures are ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "data", "is_key", "begins"),
    [
        ("vp8", KEY, True, True),
        ("vp8", DELTA + b"\x9d\x01\x2a....", False, False),
        ("vp8", b"\x10\0\0....", False, False),
        ("vp8", b"", False, False),
        ("h264", b"\0\0\0\1\x67abc\0\0\0\1\x68d\0\0\1\x65e", True, True),
        ("h264", b"\0\0\1\x09\xf0\0\0\1\x67abc\0\0\1\x65e", True, True),
        ("h264", b"\0\0\0\1\x65abc", True, False),
        ("h264", b"tail\0\0\0\1\x65abc", True, False),
        (
            "h264",
            b"\0\0\1\x67abc\0\0\1\x41e",
            False,
            True,
        ),  # a picture from which it recovers bit by bit
        ("h264", b"\0\0\0\1\x41abc", False, False),
        ("h264", b"\0\0\1", False, False),
    ],
)
def test_key_frames_are_known_by_their_data(
    codec: Codec, data: bytes, is_key: bool, begins: bool
) -> None:
    assert is_keyframe(codec, data) is is_key
    assert begins_keyframe(codec, data) is begins


def test_media_time_grows_from_the_first_picture_where_timestamps_wrap_around() -> None:
    clock = RtpClock()
    assert clock.of(5) is None
    first = (1 << 32) - 4000
    assert [clock.place((first + n * 3000) % (1 << 32)) for n in range(4)] == [0, 3000, 6000, 9000]
    assert clock.place((first + 3000) % (1 << 32)) == 3000
    assert clock.of(first) == 0
    assert clock.of((first + 90_000) % (1 << 32)) == 90_000
    assert clock.of(first - 90_000) == -90_000
    pts = 9000
    for _ in range(9):  # far beyond one turn of 32 bits
        pts += 1 << 30
        assert clock.place((first + pts) % (1 << 32)) == pts
