"""A stream's clock never runs back, whatever its source's clock does."""

import itertools
import random

import pytest

from streamer.timeline import MAX_CLOCK_JUMP_S, Timeline

TICKS_PER_S = 90_000
FRAME = 3000  # ticks at 30 fps


def test_first_frame_begins_an_epoch_at_its_time_of_arrival() -> None:
    assert Timeline(100.0).place(media_pts=987_654_321, received_mono=102.0) == (180_000, 1)


def test_distances_of_media_time_are_kept_exactly() -> None:
    timeline = Timeline(0.0)
    first, _ = timeline.place(5000, 1.0)
    placed = [timeline.place(5000 + n * FRAME, 1.0 + n / 30 + 0.2 * (n % 3)) for n in range(1, 50)]
    assert placed == [(first + n * FRAME, 1) for n in range(1, 50)]


def test_new_connection_begins_an_epoch_at_its_time_of_arrival() -> None:
    timeline = Timeline(0.0)
    timeline.place(0, 1.0)
    timeline.restart()
    assert timeline.place(0, 11.0) == (11 * TICKS_PER_S, 2)


def test_new_connection_whose_frame_comes_early_is_still_later_than_all_before() -> None:
    timeline = Timeline(0.0)
    timeline.place(0, 1.0)
    last, _ = timeline.place(2 * TICKS_PER_S, 1.1)  # media time runs ahead of arrival
    timeline.restart()
    assert timeline.place(0, 1.2) == (last + 1, 2)


@pytest.mark.parametrize("jump_s", [-0.001, -3600.0, MAX_CLOCK_JUMP_S + 0.5, 3600.0])
def test_media_clock_that_was_set_anew_begins_an_epoch(jump_s: float) -> None:
    timeline = Timeline(0.0)
    last, _ = timeline.place(10**9, 1.0)
    placed, epoch = timeline.place(10**9 + round(jump_s * TICKS_PER_S) - 1, 1.033)
    assert epoch == 2
    assert last < placed <= last + TICKS_PER_S // 10


def test_pause_of_source_and_clock_alike_is_no_new_epoch() -> None:
    timeline = Timeline(0.0)
    first, _ = timeline.place(0, 1.0)
    assert timeline.place(60 * TICKS_PER_S, 61.0) == (first + 60 * TICKS_PER_S, 1)


def test_frames_with_the_same_media_time_are_told_apart() -> None:
    timeline = Timeline(0.0)
    first, _ = timeline.place(700, 1.0)
    assert timeline.place(700, 1.01) == (first + 1, 1)


def test_notice_is_later_than_the_frame_before_it_and_earlier_than_the_next() -> None:
    timeline = Timeline(0.0)
    frame, _ = timeline.place(0, 1.0)
    notices = [timeline.now(1.0), timeline.now(1.0), timeline.now(2.0)]
    timeline.restart()
    again, _ = timeline.place(0, 2.0)
    times = [frame, *notices, again]
    assert times == sorted(set(times))


@pytest.mark.parametrize("seed", range(40))
def test_time_always_rises_under_any_mix_of_frames_notices_jumps_and_restarts(seed: int) -> None:
    chance = random.Random(seed)
    timeline, mono, media = Timeline(50.0), 50.0, chance.randrange(2**32)
    last = -1
    for _ in range(500):
        mono += chance.choice([1e-6, 0.001, 0.033, 0.5, 4.0])
        match chance.randrange(8):
            case 0:
                placed = timeline.now(mono)
            case 1:
                timeline.restart()
                continue
            case 2:
                placed, _ = timeline.place(chance.randrange(2**33), mono)
            case _:
                media += chance.choice([0, 1, FRAME, FRAME, 10 * FRAME])
                placed, _ = timeline.place(media, mono)
        assert placed > last
        last = placed


def test_notices_of_a_stream_that_is_ahead_of_our_clock_keep_their_distance() -> None:
    timeline = Timeline(0.0)
    timeline.place(0, 0.0)
    ahead, _ = timeline.place(2 * TICKS_PER_S, 0.5)  # a backlog: media time ran faster than ours
    notices = [timeline.now(mono) for mono in (1.0, 1.5, 2.0)]
    assert [b - a for a, b in itertools.pairwise([ahead, *notices])] == [TICKS_PER_S // 2] * 3


def test_frame_has_the_place_of_its_packet_however_late_it_is_decoded() -> None:
    timeline = Timeline(0.0)
    packets = [timeline.place_packet(5000 + n * FRAME, 1.0 + n / 30) for n in range(10)]
    # A decoder that holds back one picture: each comes with the arrival of the next packet.
    frames = [timeline.place(5000 + n * FRAME, 1.0 + (n + 1) / 30) for n in range(10)]
    assert frames == packets
    assert len(set(packets)) == 10


def test_frames_one_picture_behind_their_packets_begin_no_epochs() -> None:
    timeline = Timeline(0.0)
    timeline.place_packet(0, 1.0)
    for number in range(1, 50):
        arrival = 1.0 + number / 30
        packet = timeline.place_packet(number * FRAME, arrival)
        frame = timeline.place((number - 1) * FRAME, arrival)
        assert frame == (packet[0] - FRAME, 1)


def test_frame_decoded_after_the_clock_was_set_anew_keeps_its_packets_place() -> None:
    timeline = Timeline(0.0)
    before = timeline.place_packet(10**9, 1.0)
    after = timeline.place_packet(500, 1.033)
    assert timeline.place(10**9, 1.04) == before
    assert timeline.place_packet(500 + FRAME, 1.066) == (after[0] + FRAME, 2)


def test_packets_that_never_become_frames_are_forgotten() -> None:
    timeline = Timeline(0.0)
    for number in range(10_000):
        timeline.place_packet(number * FRAME, number / 30)
    assert len(timeline._packets) <= 64


def test_time_between_two_pictures_lies_between_them_on_the_streams_clock() -> None:
    timeline = Timeline(0.0)
    assert timeline.translate(5000) is None
    first, epoch = timeline.place(5000, 1.0)
    assert timeline.translate(5000 + FRAME // 2) == (first + FRAME // 2, epoch)
    timeline.restart()
    assert timeline.translate(5000) is None
