"""What senders are told: every arrival once and in its time, losses until they are made good."""

import random
import struct
from dataclasses import dataclass

import pytest
from aiortc.rtp import RtpPacket

from streamer.webrtc.feedback import KeyframeRequests, Retransmissions, TransportFeedback

# -- transport-wide feedback ------------------------------------------------------------------------


@dataclass
class Report:
    """A feedback message, read by the letter of the draft and by none of our code."""

    sender_ssrc: int
    media_ssrc: int
    count: int
    arrivals: dict[int, float | None]  # sequence number, 16 bits -> seconds, None: lost


def read_report(message: bytes) -> Report:
    head, kind, words = struct.unpack("!BBH", message[:4])
    assert (head >> 6, head & 0x1F, kind) == (2, 15, 205)
    assert len(message) == 4 * (words + 1)
    if head & 0x20:
        message = message[: -message[-1]]
    sender, media, first, statuses = struct.unpack("!IIHH", message[4:16])
    time_ticks = int.from_bytes(message[16:19], "big") * 256
    symbols, rest = read_symbols(message[20:], statuses)
    arrivals: dict[int, float | None] = {}
    for offset, symbol in enumerate(symbols):
        if symbol == 0:
            arrivals[(first + offset) & 0xFFFF] = None
            continue
        size = {1: 1, 2: 2}[symbol]
        time_ticks += int.from_bytes(rest[:size], "big", signed=symbol == 2)
        rest = rest[size:]
        arrivals[(first + offset) & 0xFFFF] = time_ticks / 4000
    assert rest == b""
    return Report(sender, media, message[19], arrivals)


def read_symbols(data: bytes, count: int) -> tuple[list[int], bytes]:
    symbols: list[int] = []
    while len(symbols) < count:
        (chunk,) = struct.unpack("!H", data[:2])
        data = data[2:]
        if not chunk & 0x8000:
            symbols += [chunk >> 13 & 3] * (chunk & 0x1FFF)
        elif chunk & 0x4000:
            symbols += [chunk >> shift & 3 for shift in range(12, -1, -2)]
        else:
            symbols += [chunk >> shift & 1 for shift in range(13, -1, -1)]
    assert not any(symbols[count:])
    return symbols[:count], data


def report_of(arrivals: dict[int, float]) -> Report:
    """Arrivals in the order of the dict."""
    feedback = TransportFeedback()
    for sequence, at_s in arrivals.items():
        feedback.add(sequence & 0xFFFF, at_s)
    return only_report(feedback, 1000.0)


def only_report(feedback: TransportFeedback, now_s: float) -> Report:
    (message,) = feedback.reports(1, 2, now_s)
    return read_report(message)


def times(report: Report) -> list[float]:
    return [at_s for at_s in report.arrivals.values() if at_s is not None]


def test_report_names_each_packet_and_its_time_to_a_quarter_of_a_millisecond() -> None:
    arrivals = {100 + n: 7.0 + 0.0031 * n for n in range(20)}
    report = report_of(arrivals)
    assert (report.sender_ssrc, report.media_ssrc) == (1, 2)
    assert list(report.arrivals) == list(arrivals)
    assert times(report) == pytest.approx(list(arrivals.values()), abs=0.00026)


def test_lost_packets_are_told() -> None:
    report = report_of({10: 1.0, 13: 1.001, 14: 1.002, 30: 1.003})
    assert [number for number, at_s in report.arrivals.items() if at_s is not None] == [
        10,
        13,
        14,
        30,
    ]
    assert list(report.arrivals) == list(range(10, 31))


def test_packets_out_of_order_have_times_that_run_back() -> None:
    report = report_of({5: 1.0, 7: 1.010, 6: 1.030, 8: 1.020})
    assert times(report) == pytest.approx([1.0, 1.030, 1.010, 1.020], abs=0.00026)


def test_transport_sequence_numbers_wrap_around() -> None:
    arrivals = {n: 5.0 + 0.001 * (n - 65530) for n in range(65530, 65545)}
    report = report_of(arrivals)
    assert list(report.arrivals) == [n & 0xFFFF for n in arrivals]
    assert times(report) == pytest.approx(list(arrivals.values()), abs=0.00026)


def test_pause_between_packets_is_kept() -> None:
    report = report_of({1: 1.0, 2: 1.001, 3: 8.5, 4: 8.501})
    assert times(report) == pytest.approx([1.0, 1.001, 8.5, 8.501], abs=0.00026)


def test_pause_beyond_what_a_delta_holds_begins_a_report_of_its_own() -> None:
    feedback = TransportFeedback()
    for number, at_s in ((1, 1.0), (2, 12.0), (4, 12.001)):
        feedback.add(number, at_s)
    first, second = (read_report(each) for each in feedback.reports(1, 2, 12.001))
    assert first.arrivals == {1: 1.0}
    assert list(second.arrivals) == [2, 3, 4]
    assert times(second) == pytest.approx([12.0, 12.001], abs=0.00026)
    assert (first.count, second.count) == (0, 1)


def test_jump_in_numbers_is_left_out() -> None:
    feedback = TransportFeedback()
    for number, at_s in ((1, 1.0), (2, 1.001), (9000, 1.002), (9001, 1.003)):
        feedback.add(number, at_s)
    first, second = (read_report(each) for each in feedback.reports(1, 2, 1.003))
    assert (list(first.arrivals), list(second.arrivals)) == ([1, 2], [9000, 9001])


def test_any_report_fits_a_packet() -> None:
    chance = random.Random(1)
    feedback = TransportFeedback()
    for number in range(0, 4000, 2):
        feedback.add(number, 1.0 + chance.uniform(0, 4.0))
    reports = feedback.reports(1, 2, 6.0)
    assert max(map(len, reports)) <= 1200
    told = [n for each in reports for n, at_s in read_report(each).arrivals.items() if at_s]
    assert told == list(range(0, 4000, 2))


def test_packet_that_comes_after_it_was_reported_lost_is_told_with_all_since() -> None:
    feedback = TransportFeedback()
    feedback.add(1, 1.0)
    feedback.add(3, 1.001)
    assert only_report(feedback, 1.001).arrivals[2] is None
    feedback.add(2, 1.002)
    assert feedback.due(1.1)
    assert only_report(feedback, 1.1).arrivals == {2: 1.002, 3: pytest.approx(1.001, abs=0.00026)}
    feedback.add(2, 1.2)
    assert not feedback.due(9.0)


def test_packet_that_comes_very_late_is_not_told_and_takes_nothing_back() -> None:
    feedback = TransportFeedback()
    for number in (1, 3, 4):
        feedback.add(number, 1.0)
    feedback.reports(1, 2, 1.0)
    feedback.add(5, 2.0)
    feedback.add(2, 2.0)
    assert list(only_report(feedback, 2.0).arrivals) == [5]


def test_gap_between_two_reports_is_in_the_second() -> None:
    feedback = TransportFeedback()
    feedback.add(1, 1.0)
    feedback.reports(1, 2, 1.0)
    feedback.add(4, 1.1)
    assert only_report(feedback, 1.1).arrivals == {
        2: None,
        3: None,
        4: pytest.approx(1.1, abs=0.00026),
    }


def test_reports_are_counted_in_a_byte() -> None:
    feedback = TransportFeedback()
    counts = []
    for number in range(300):
        feedback.add(number, 1.0 + number)
        counts.append(only_report(feedback, 1.0 + number).count)
    assert counts == [n & 0xFF for n in range(300)]


def test_report_is_due_every_fifty_milliseconds_and_only_with_something_to_tell() -> None:
    feedback = TransportFeedback()
    assert not feedback.due(1000.0)
    feedback.add(1, 999.99)
    assert feedback.due(1000.0)
    feedback.reports(1, 2, 1000.0)
    feedback.add(2, 1000.04)
    assert not feedback.due(1000.049)
    assert feedback.due(1000.051)


@pytest.mark.parametrize("seed", range(40))
def test_all_reports_together_say_of_every_packet_exactly_what_came(seed: int) -> None:
    """Under loss, reordering by up to 0.3 s, duplication, pauses and wrapping numbers."""
    chance = random.Random(seed)
    lost, doubled, reordered = (chance.choice([0.0, 0.05, 0.3]) for _ in range(3))
    first = chance.choice([0, 100, 0xFFF0, 0x8000])
    sent_s, events = 100.0, []
    for number in range(first, first + 3000):
        sent_s += chance.choice([0.0, 0.0002, 0.003, 0.02])
        if chance.random() < 0.001:
            sent_s += chance.choice([0.5, 9.0])
        if number > first and chance.random() < lost:
            continue
        late_s = chance.uniform(0, 0.3) if number > first and chance.random() < reordered else 0.0
        events.append((sent_s + late_s, number))
        if chance.random() < doubled:
            events.append((sent_s + late_s + chance.uniform(0, 0.2), number))
    came: dict[int, float] = {}
    told: dict[int, float] = {}
    feedback = TransportFeedback()
    newest = first
    for now_s, number in sorted(events):
        came.setdefault(number, now_s)
        feedback.add(number & 0xFFFF, now_s)
        newest = max(newest, number)
        if feedback.due(now_s):
            for message in feedback.reports(1, 2, now_s):
                for each, at_s in read_report(message).arrivals.items():
                    if at_s is not None:
                        unwrapped = newest - (newest - each & 0xFFFF)
                        assert told.setdefault(unwrapped, at_s) == at_s
    for message in feedback.reports(1, 2, sent_s + 1):
        for each, at_s in read_report(message).arrivals.items():
            if at_s is not None:
                told.setdefault(newest - (newest - each & 0xFFFF), at_s)
    assert told == {number: pytest.approx(at_s, abs=0.00026) for number, at_s in came.items()}


# -- asking for packets again -----------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Asking:
    def __init__(self) -> None:
        self.clock = Clock()
        self.retransmissions = Retransmissions(self.clock)

    def comes(self, number: int, after_s: float = 0.0, ssrc: int = 1) -> list[int]:
        """What is asked for when this packet comes."""
        self.clock.now += after_s
        packet = RtpPacket(sequence_number=number & 0xFFFF, ssrc=ssrc)
        is_due = self.retransmissions.add(packet)
        assert is_due == bool(self.retransmissions.missing)
        return self.retransmissions.missing


def test_packets_of_a_new_gap_are_asked_for_at_once() -> None:
    asking = Asking()
    assert [asking.comes(number) for number in (7, 8, 11)] == [[], [], [9, 10]]


def test_numbers_of_a_gap_wrap_around() -> None:
    asking = Asking()
    asking.comes(0xFFFE)
    assert asking.comes(0x10001) == [0xFFFF, 0]


def test_packet_is_asked_for_again_after_each_assumed_round_trip_but_no_more_than_ten_times() -> (
    None
):
    asking = Asking()
    asking.comes(1)
    times = [asking.clock.now for number in range(3, 300) if asking.comes(number, 0.01) == [2]]
    assert len(times) == 10
    gaps = [after - before for before, after in zip(times, times[1:], strict=False)]
    assert gaps == [pytest.approx(0.13, abs=0.011)] * 9


def test_intervals_follow_the_round_trip_that_answers_show() -> None:
    asking = Asking()
    asking.comes(1)
    assert asking.comes(3) == [2]
    assert asking.comes(2, 0.2) == []
    assert asking.retransmissions.round_trip_s == pytest.approx(0.2)
    assert asking.comes(5) == [4]
    assert asking.comes(6, 0.2) == []
    assert asking.comes(7, 0.06) == [4]
    asking.comes(4, 0.001)  # to which of the two is it an answer?
    assert asking.retransmissions.round_trip_s == pytest.approx(0.2)


def test_packets_are_not_asked_for_more_often_than_every_forty_milliseconds() -> None:
    asking = Asking()
    for number in range(1, 201, 2):
        asking.comes(number)
        asking.comes(number - 1, 0.001)
    assert asking.comes(203) == [200, 201, 202]
    assert asking.comes(204, 0.038) == []
    assert asking.comes(205, 0.003) == [200, 201, 202]


def test_what_was_given_up_is_not_asked_for_again() -> None:
    asking = Asking()
    asking.comes(1)
    asking.comes(5)
    asking.retransmissions.forget_before(4)
    assert asking.comes(6, 1.0) == [4]


def test_jump_of_many_hundreds_is_not_asked_for() -> None:
    asking = Asking()
    asking.comes(1)
    assert asking.comes(700) == []
    assert asking.comes(702) == [701]


def test_sender_that_begins_anew_owes_nothing() -> None:
    asking = Asking()
    asking.comes(1)
    asking.comes(3)
    assert asking.comes(40, 1.0, ssrc=2) == []
    assert asking.comes(42, ssrc=2) == [41]


# -- asking for a key frame -------------------------------------------------------------------------


def test_key_frame_is_asked_for_at_once_and_again_until_it_comes() -> None:
    requests = KeyframeRequests()
    assert not requests.due(5.0)
    requests.want()
    assert [requests.due(5.0 + n * 0.11) for n in range(8)] == [
        number in (0, 3, 6) for number in range(8)
    ]
    requests.came()
    assert not requests.due(9.0)


def test_many_wishes_within_a_moment_are_one_request_and_a_later_one_is_not_forgotten() -> None:
    requests = KeyframeRequests()
    requests.want()
    assert requests.due(5.0)
    requests.came()
    requests.want()
    assert not requests.due(5.1)
    assert requests.due(5.31)
