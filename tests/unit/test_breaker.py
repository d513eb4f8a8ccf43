"""The circuit breaker: a death now and then is mended at once, many in a row are left alone."""

import pytest

from streamer.breaker import MAX_DEATHS, WINDOW_S, Breaker, Pause
from streamer.retry import RetryPolicy

STEADY = RetryPolicy(jitter=0.0)


@pytest.fixture
def breaker() -> Breaker:
    return Breaker(STEADY)


def open_it(breaker: Breaker, now_s: float) -> Pause:
    """With as many deaths in a row as it takes."""
    for _ in range(MAX_DEATHS - 1):
        assert not breaker.note_death(now_s).is_open
    return breaker.note_death(now_s)


def test_first_death_is_mended_at_once_and_the_next_ones_after_waits_that_grow(
    breaker: Breaker,
) -> None:
    waits = [breaker.note_death(float(n)).wait_s for n in range(MAX_DEATHS - 1)]
    assert waits == [0.0, *(STEADY.delay_s(attempt) for attempt in range(1, MAX_DEATHS - 1))]
    assert waits == sorted(waits) and waits[-1] < 3.0


def test_deaths_far_apart_never_open_it(breaker: Breaker) -> None:
    apart_s = WINDOW_S / (MAX_DEATHS - 1)
    pauses = [breaker.note_death(n * apart_s) for n in range(1000)]
    assert not any(pause.is_open for pause in pauses)
    assert breaker.deaths == 1000


def test_single_deaths_are_each_mended_at_once(breaker: Breaker) -> None:
    assert [breaker.note_death(n * WINDOW_S).wait_s for n in range(9)] == [0.0] * 9


def test_too_many_deaths_in_a_row_open_it_for_a_while(breaker: Breaker) -> None:
    assert open_it(breaker, 7.0) == Pause(STEADY.open_s, is_open=True)


def test_death_on_trial_doubles_the_pause_up_to_a_cap(breaker: Breaker) -> None:
    now_s = 0.0
    pauses = [open_it(breaker, now_s)]
    for _ in range(6):
        now_s += pauses[-1].wait_s + 1.0
        pauses.append(breaker.note_death(now_s))
    assert [pause.wait_s for pause in pauses] == [30, 60, 120, 240, 300, 300, 300]
    assert all(pause.is_open for pause in pauses)


def test_trial_that_is_survived_closes_it(breaker: Breaker) -> None:
    pause = open_it(breaker, 0.0)
    now_s = pause.wait_s + WINDOW_S
    assert breaker.note_death(now_s) == Pause(0.0, is_open=False)
    breaker.close()
    assert open_it(breaker, now_s).wait_s == STEADY.open_s


def test_what_is_begun_before_its_pause_is_over_was_begun_by_hand(breaker: Breaker) -> None:
    """A publisher's source has its own, which a restart of the stream does not reach."""
    pause = open_it(breaker, 0.0)
    assert breaker.note_death(pause.wait_s - 1.0) == Pause(0.0, is_open=False)


def test_closing_it_by_hand_forgets_all_but_the_count(breaker: Breaker) -> None:
    open_it(breaker, 0.0)
    breaker.close()
    assert breaker.note_death(1.0) == Pause(0.0, is_open=False)
    assert breaker.deaths == MAX_DEATHS + 1
