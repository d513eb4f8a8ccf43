"""The score of a person: one frame's evidence, and what time makes of it."""

import numpy as np
import pytest

from streamer.pose.networks import Sighting
from streamer.pose.presence import LIMIT, SURE_LANDMARKS, TIME_CONSTANT_S, Presence, evidence
from streamer.pose.regions import Region

FPS = 30.0


def sighting(flag: float, sure: float, unsure: float = 0.1, count: int = 33) -> Sighting:
    """``count`` landmarks have a heat map as sharp as ``sure``, the others as ``unsure``."""
    region = Region(320.0, 240.0, 400.0, 0.0)
    peaks = np.full(33, unsure, np.float32)
    peaks[:count] = sure
    return Sighting(
        np.zeros((33, 5), np.float32),
        np.zeros((33, 3), np.float32),
        flag,
        peaks,
        region,
        region,
        None,
    )


PERSON = sighting(flag=0.999, sure=0.85)
HEAD_AND_SHOULDERS = sighting(flag=0.99, sure=0.9, unsure=0.05, count=SURE_LANDMARKS)
BOTTLE = sighting(flag=0.76, sure=0.5, unsure=0.3)
BLURRED = sighting(flag=0.97, sure=0.5, unsure=0.4)


def watched(frames: list[Sighting], *, fps: float = FPS, detected: bool = False) -> Presence:
    presence = Presence()
    for number, seen in enumerate(frames):
        presence.update(seen, number / fps, detected=detected)
    return presence


@pytest.mark.parametrize("seen", [PERSON, HEAD_AND_SHOULDERS])
def test_who_is_plainly_there_has_a_high_score_on_the_first_frame(seen: Sighting) -> None:
    presence = watched([seen])
    assert presence.score > 0.95
    assert not presence.in_doubt


@pytest.mark.parametrize("frames", [1, 5, 300])
@pytest.mark.parametrize("detected", [False, True])
def test_what_only_resembles_a_person_never_becomes_one(frames: int, detected: bool) -> None:
    presence = watched([BOTTLE] * frames, detected=detected)
    assert presence.score < 0.1
    assert presence.in_doubt


def test_one_frame_of_a_bottle_that_looks_like_a_person_is_not_believed_for_long() -> None:
    assert watched([*[BOTTLE] * 30, PERSON]).score < 0.5


def test_person_who_is_blurred_for_a_moment_stays() -> None:
    presence = watched([*[PERSON] * 30, *[BLURRED] * 4])
    assert presence.score > 0.5
    assert presence.in_doubt


def test_person_who_is_blurred_for_long_stays_as_long_as_the_detector_agrees() -> None:
    frames = [*[PERSON] * 30, *[BLURRED] * 60]
    assert watched(frames, detected=True).score > 0.9
    assert watched(frames, detected=False).score < 0.1


def test_track_that_slid_from_a_person_to_a_bottle_is_given_up_within_half_a_second() -> None:
    assert watched([*[PERSON] * 300, *[BOTTLE] * 15]).score < 0.5


@pytest.mark.parametrize("fps", [5.0, 15.0, 60.0])
def test_it_takes_as_long_at_every_frame_rate(fps: float) -> None:
    gone_s = 3 * TIME_CONSTANT_S
    frames = [*[PERSON] * round(2 * fps), *[BOTTLE] * round(gone_s * fps)]
    assert watched(frames, fps=fps).score < 0.2
    still = [*[PERSON] * round(2 * fps), *[BOTTLE] * round(TIME_CONSTANT_S * fps / 2)]
    assert watched(still, fps=fps).score > 0.5


def test_time_that_runs_back_or_leaps_does_not_break_it() -> None:
    presence = Presence()
    for t_s in (10.0, 9.0, 5000.0, 5000.0):
        presence.update(PERSON, t_s, detected=False)
    assert 0.9 < presence.score < 1.0


@pytest.mark.parametrize("flag", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("peak", [0.0, 0.5, 1.0])
def test_evidence_is_bounded(flag: float, peak: float) -> None:
    assert -LIMIT <= evidence(sighting(flag, peak)) <= LIMIT


def test_evidence_rises_with_the_flag_and_with_the_peaks() -> None:
    assert (
        evidence(sighting(0.6, 0.6)) < evidence(sighting(0.9, 0.6)) < evidence(sighting(0.9, 0.7))
    )


def test_who_is_plainly_there_is_believed_within_two_frames_where_a_bottle_was_followed() -> None:
    frames = [*[BOTTLE] * 60, *[PERSON] * 2]
    assert watched(frames, detected=True).score >= 0.5
    assert watched(frames, detected=False).score < 0.1


def test_who_is_in_doubt_goes_sooner_if_the_detector_sees_nobody_either() -> None:
    unsure = sighting(flag=0.97, sure=0.6, unsure=0.5)
    assert -1.5 < evidence(unsure) < -0.2
    assert watched([*[PERSON] * 30, *[unsure] * 15]).score < 0.5
    assert watched([*[PERSON] * 30, *[unsure] * 15], detected=True).score > 0.9
