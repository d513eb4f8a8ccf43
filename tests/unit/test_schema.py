"""The JSON Schema of the messages: what is written and what is read are of one shape, in both languages
(tests/node/messages.test.mjs reads the same samples)."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from streamer.client import PoseFrame
from streamer.messages import clock_message, model_message, pose_message, state_message
from streamer.model import ModelReason, ModelStatus, PoseResult, Status, StreamState
from streamer.schema import AnyMessage, message_schema
from streamer.wire import decode_pose
from tests.fakes import make_frame, make_pose

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs" / "messages.schema.json").read_text("utf-8"))
SAMPLES = json.loads((ROOT / "tests" / "samples" / "messages.json").read_text("utf-8"))
VALID = [sample for sample in SAMPLES if sample["valid"]]
BROKEN = [sample for sample in SAMPLES if not sample["valid"]]

validator = Draft202012Validator(SCHEMA)


def name_of(sample: dict[str, Any]) -> str:
    return str(sample["name"])


def test_published_schema_is_the_codes_own() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert message_schema() == SCHEMA, "run: python tools/write_schema.py"


@pytest.mark.parametrize("sample", VALID, ids=name_of)
def test_sample_fits_the_schema(sample: dict[str, Any]) -> None:
    validator.validate(sample["message"])
    AnyMessage.model_validate_json(json.dumps(sample["message"]))


@pytest.mark.parametrize("sample", BROKEN, ids=name_of)
def test_broken_sample_does_not_fit(sample: dict[str, Any]) -> None:
    assert not validator.is_valid(sample["message"])


@pytest.mark.parametrize("sample", [each for each in SAMPLES if "binary" in each], ids=name_of)
def test_binary_sample_is_the_same_message(sample: dict[str, Any]) -> None:
    assert decode_pose(base64.b64decode(sample["binary"]), "door") == sample["message"]


@pytest.mark.parametrize("sample", [each for each in SAMPLES if "binary" in each], ids=name_of)
def test_client_reads_both_forms_alike(sample: dict[str, Any]) -> None:
    ours = PoseFrame.from_message(sample["message"])
    other = PoseFrame.from_binary(base64.b64decode(sample["binary"]), "door")
    assert (ours.seq, ours.time_s, ours.latency_ms) == (other.seq, other.time_s, other.latency_ms)
    for pose, twin in zip(ours.poses, other.poses, strict=True):
        assert pose.id == twin.id and pose.score == pytest.approx(twin.score, abs=1e-3)
        assert pose.landmarks == pytest.approx(twin.landmarks, abs=1e-3)
        assert pose.world == pytest.approx(twin.world, abs=1e-4)
        assert pose.turned == twin.turned
        for field in ("predicted", "angles", "raw"):
            one, two = getattr(pose, field), getattr(twin, field)
            assert (one is None) == (two is None)
            if one is not None:
                assert one.dtype == two.dtype and one == pytest.approx(two, abs=1e-3)


@pytest.mark.parametrize("people", [0, 1, 3])
def test_pose_message_fits(people: int) -> None:
    poses = tuple(make_pose(nose=(0.25, -0.5)) for _ in range(people))
    result = PoseResult(1, 2, 3000, make_frame(), poses, 0, {"pose": 11.9, "total": 15.0})
    validator.validate(json.loads(pose_message("door", result)))


@pytest.mark.parametrize("state", StreamState)
def test_state_message_fits(state: StreamState) -> None:
    validator.validate(json.loads(state_message("door", Status(state))))
    status = Status(state, "no video came for 5 s", "source-stalled", 2.04, 3)
    validator.validate(json.loads(state_message("door", status)))


@pytest.mark.parametrize("reason", [None, "overload", "loading", "failed"])
def test_model_message_fits(reason: ModelReason | None) -> None:
    validator.validate(json.loads(model_message("door", ModelStatus(0, 1, reason))))


def test_clock_message_fits() -> None:
    validator.validate(json.loads(clock_message()))
    validator.validate(json.loads(clock_message(rtp_origin=2**32 - 1)))
    validator.validate(json.loads(clock_message(epoch=1, ntp=1.5, rtp=7, pts=-3)))
