"""The messages have exactly the shape of docs/protocol.md."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest

from streamer.angles import ANGLES
from streamer.messages import clock_message, pose_message, state_message
from streamer.model import Frame, ModelStatus, Pose, PoseResult, Status, StreamState
from streamer.sinks import Form, MessageFeed
from streamer.wire import decode_pose
from tests.fakes import RecordingListener, make_frame

LANDMARKS = np.linspace(0, 1, 33 * 5, dtype=np.float32).reshape(33, 5)
WORLD = np.linspace(-0.5, 0.5, 33 * 3, dtype=np.float32).reshape(33, 3)


def result(*poses: Pose, frame: Frame | None = None) -> PoseResult:
    return PoseResult(
        epoch=1,
        seq=812,
        pts=2_436_000,
        frame=frame or make_frame(width=1280, height=720),
        poses=poses,
        dropped=3,
        latency_ms={"queue": 1.0999, "pose": 11.912, "total": 15.4},
    )


def test_pose_message_has_the_fields_of_the_protocol_in_their_order() -> None:
    message = json.loads(pose_message("door", result(Pose(1, 0.98765, LANDMARKS, WORLD))))
    (pose,) = message.pop("poses")
    assert message == {
        "type": "pose",
        "v": 1,
        "stream": "door",
        "epoch": 1,
        "seq": 812,
        "pts": 2_436_000,
        "received_at": 1_760_000_000.0,
        "width": 1280,
        "height": 720,
        "latency_ms": {"queue": 1.1, "pose": 11.91, "total": 15.4},
        "dropped": 3,
    }
    assert list(pose) == ["id", "score", "landmarks", "world"]
    assert (pose["id"], pose["score"]) == (1, 0.988)


def known() -> Pose:
    """A person of whom all is known that may be."""
    return Pose(
        id=1,
        score=1.0,
        landmarks=LANDMARKS.copy(),
        world=WORLD.copy(),
        raw=LANDMARKS.copy(),
        predicted=np.isin(np.arange(33), [2, 32]),
        angles=np.stack((np.linspace(-90, 180, len(ANGLES)), np.arange(len(ANGLES)) % 2), 1).astype(
            np.float32
        ),
        turned="front_back",
    )


def test_what_is_known_besides_comes_in_fields_with_names() -> None:
    (pose,) = json.loads(pose_message("door", result(known())))["poses"]
    fields = ["id", "score", "landmarks", "world", "predicted", "turned", "angles", "raw"]
    assert list(pose) == fields
    assert (pose["predicted"], pose["turned"]) == ([2, 32], "front_back")
    assert list(pose["angles"]) == list(ANGLES)
    assert pose["angles"]["left_ankle"] == [-90.0, 0] and pose["angles"]["right_ankle"] == [
        -80.0,
        1,
    ]
    assert pose["raw"] == pose["landmarks"]


def test_a_person_who_is_seen_whole_and_right_has_nothing_predicted_and_is_not_turned() -> None:
    seen = replace(known(), predicted=np.zeros(33, np.bool_), turned=None)
    (pose,) = json.loads(pose_message("door", result(seen)))["poses"]
    assert pose["predicted"] == [] and "turned" not in pose


def test_landmarks_are_rows_of_five_and_three_numbers() -> None:
    message = json.loads(pose_message("door", result(Pose(1, 1.0, LANDMARKS, WORLD))))
    (pose,) = message["poses"]
    assert np.shape(pose["landmarks"]) == (33, 5)
    assert np.shape(pose["world"]) == (33, 3)
    assert np.abs(np.array(pose["landmarks"]) - LANDMARKS).max() <= 0.5e-5 + 1e-9
    assert np.abs(np.array(pose["world"]) - WORLD).max() <= 0.5e-4 + 1e-9


@pytest.mark.parametrize("what", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["landmarks", "world", "angles", "raw"])
def test_what_is_no_number_never_becomes_json(where: str, what: float) -> None:
    broken = known()
    getattr(broken, where)[0, 0] = what
    with pytest.raises(ValueError, match="JSON"):
        pose_message("door", result(broken))


def test_frame_with_nobody_is_a_message_with_no_poses() -> None:
    assert json.loads(pose_message("door", result()))["poses"] == []


def test_time_of_arrival_keeps_a_tenth_of_a_millisecond() -> None:
    frame = replace(make_frame(), received_at=1_760_000_000.12361)
    assert json.loads(pose_message("door", result(frame=frame)))["received_at"] == 1760000000.1236


def test_pose_message_of_one_person_fits_the_data_channels_bound() -> None:
    noise = np.random.default_rng(1).random((33, 5), np.float32)
    text = pose_message("0" * 32, result(Pose(1, 1.0, noise, noise[:, :3])))
    assert len(text) < 4096


def test_state_message_says_what_is_the_matter_and_when_it_is_tried_again() -> None:
    status = Status(StreamState.RECONNECTING, "no frame for 3 s", "source-stalled", 2.04, 4)
    assert json.loads(state_message("door", status)) == {
        "type": "state",
        "v": 1,
        "stream": "door",
        "state": "reconnecting",
        "detail": "no frame for 3 s",
        "error": "source-stalled",
        "retry_in_s": 2.0,
        "attempt": 4,
    }


@pytest.mark.parametrize("state", StreamState)
def test_state_message_without_an_error_has_nothing_about_errors(state: StreamState) -> None:
    assert json.loads(state_message("door", Status(state))) == {
        "type": "state",
        "v": 1,
        "stream": "door",
        "state": state.value,
        "detail": "",
    }


def test_clock_message_has_only_what_is_known() -> None:
    told = json.loads(clock_message(rtp_origin=0))
    assert abs(told.pop("t") - time.time()) < 60
    assert told == {"type": "clock", "v": 1, "rtp_origin": 0}
    told = json.loads(clock_message(epoch=2, ntp=1.5, rtp=7, pts=9))
    assert told | {"t": 0} == {
        "type": "clock", "v": 1, "epoch": 2, "ntp": 1.5, "rtp": 7, "pts": 9, "t": 0
    }  # fmt: skip


def test_feed_makes_each_form_once_for_all_who_want_it() -> None:
    feed = MessageFeed("door")
    forms: list[Form] = ["json", "binary", "json", "binary"]
    listeners = [RecordingListener(form) for form in forms]
    for listener in listeners:
        feed.listen(listener)
    feed.on_result(result(Pose(1, 1.0, LANDMARKS, WORLD)))
    text, binary, text_again, binary_again = (listener.poses[0] for listener in listeners)
    assert text is text_again and binary is binary_again
    assert isinstance(text, str) and json.loads(text)["seq"] == 812
    assert isinstance(binary, bytes) and decode_pose(binary, "door")["seq"] == 812


def test_fault_in_one_form_or_listener_costs_the_others_nothing() -> None:
    feed = MessageFeed("door")

    class Faulty(RecordingListener):
        def pose(self, message: str | bytes) -> None:
            raise ZeroDivisionError("a bug")

        def news(self, message: str) -> None:
            raise ZeroDivisionError("a bug")

    def fail(result: PoseResult) -> bytes:
        raise ZeroDivisionError("a bug")

    feed._makers["binary"] = fail
    listeners = [RecordingListener("binary"), Faulty(), RecordingListener()]
    for listener in listeners:
        feed.listen(listener)
    feed.on_status(Status(StreamState.LIVE))
    feed.on_result(result())
    assert [len(listener.poses) for listener in listeners] == [0, 0, 1]
    assert [len(listener.heard) for listener in listeners] == [1, 0, 1]


def test_listener_hears_the_state_first_and_nothing_after_it_has_left() -> None:
    feed, listener = MessageFeed("door"), RecordingListener("binary")
    feed.on_status(Status(StreamState.LIVE))
    feed.listen(listener)
    feed.leave(listener)
    feed.leave(listener)
    feed.on_status(Status(StreamState.ENDED))
    feed.on_result(result())
    assert [json.loads(text)["state"] for text in listener.heard] == ["live"]
    assert listener.poses == []


def test_listener_is_told_on_joining_if_another_model_runs_than_is_wanted() -> None:
    feed, early, late = MessageFeed("door"), RecordingListener(), RecordingListener()
    feed.listen(early)
    feed.on_model(ModelStatus(1, 1))  # as everybody expects
    assert early.heard == []
    feed.on_model(ModelStatus(0, 1, "overload"))
    feed.listen(late)
    feed.on_model(ModelStatus(1, 1))
    lighter = {"type": "model", "v": 1, "stream": "door", "model_complexity": 0, "wanted": 1}
    lighter["reason"] = "overload"
    wanted = {"type": "model", "v": 1, "stream": "door", "model_complexity": 1, "wanted": 1}
    for listener in (early, late):
        assert [json.loads(each) for each in listener.heard] == [lighter, wanted]
    last = RecordingListener()
    feed.listen(last)
    assert last.heard == []
