"""The binary form carries the same as the JSON form, and the decoders that the protocol shows read it."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamer.angles import ANGLES
from streamer.errors import InvalidRequest
from streamer.messages import pose_message
from streamer.model import Pose, PoseResult
from streamer.pose.people import MAX_ID
from streamer.wire import decode_pose, encode_pose
from tests.fakes import make_frame

PROTOCOL_MD = Path(__file__).parents[2] / "docs" / "protocol.md"
SCTP_CHUNK_BYTES = 1160
CHANCE = np.random.default_rng(3)


def person(number: int = 1) -> Pose:
    landmarks = CHANCE.uniform(-0.5, 1.5, (33, 5)).astype(np.float32)
    landmarks[:, 3:] = CHANCE.uniform(0, 1, (33, 2))
    world = CHANCE.uniform(-1, 1, (33, 3)).astype(np.float32)
    return Pose(number, 0.987, landmarks, world)


def known(number: int = 1, *, turned: str | None = None, raw: bool = False) -> Pose:
    """A person of whom all is known that may be."""
    angles = np.empty((len(ANGLES), 2), np.float32)
    angles[:, 0] = CHANCE.uniform(-90, 180, len(ANGLES))
    angles[:, 1] = CHANCE.integers(0, 2, len(ANGLES))
    return replace(
        person(number),
        predicted=CHANCE.uniform(0, 1, 33) < 0.3,
        angles=angles,
        turned=turned,
        raw=person().landmarks if raw else None,
    )


def result(*poses: Pose, pts: int = 2_436_000) -> PoseResult:
    stages = {"decode": 0.8, "queue": 0.25, "pose": 11.9, "draw": 0.4, "total": 13.35}
    frame = make_frame(width=1280, height=720)
    return PoseResult(7, 812, pts, frame, poses, dropped=3, latency_ms=stages)


def assert_same(decoded: dict[str, Any], expected: PoseResult) -> None:
    """As the JSON message, within the binary form's steps."""
    message = json.loads(pose_message("door", expected))
    poses, told = decoded.pop("poses"), message.pop("poses")
    stages, told_stages = decoded.pop("latency_ms"), message.pop("latency_ms")
    assert stages == pytest.approx(told_stages, abs=0.01)
    assert decoded == {key: message[key] for key in decoded}
    assert len(poses) == len(told)
    for pose, other in zip(poses, told, strict=True):
        assert pose["id"] == other["id"]
        assert pose["score"] == pytest.approx(other["score"], abs=0.6e-3)
        landmarks, others = np.array(pose["landmarks"]), np.array(other["landmarks"])
        assert np.abs(landmarks[:, :3] - others[:, :3]).max() <= 0.5 / 16384 + 1e-5
        assert np.abs(landmarks[:, 3:] - others[:, 3:]).max() <= 0.5 / 255 + 0.6e-3
        assert np.abs(np.array(pose["world"]) - np.array(other["world"])).max() <= 1.01e-4


def test_the_largest_id_that_people_get_fits() -> None:
    (pose,) = decode_pose(encode_pose(result(person(MAX_ID))), "door")["poses"]
    assert pose["id"] == MAX_ID


def further(pose: dict[str, Any]) -> dict[str, Any]:
    """What not every pose has, but for its raw landmarks."""
    return {key: pose[key] for key in ("predicted", "turned", "angles") if key in pose}


@pytest.mark.parametrize("people", [0, 1, 2, 8])
def test_binary_message_carries_the_same_as_json(people: int) -> None:
    expected = result(*(person(number) for number in range(1, people + 1)))
    assert_same(decode_pose(encode_pose(expected), "door"), expected)


@pytest.mark.parametrize("people", [1, 2, 8])
@pytest.mark.parametrize("raw", [False, True])
def test_what_is_known_besides_is_the_same_as_in_json_to_the_digit(people: int, raw: bool) -> None:
    turns = (None, "left_right", "front_back")
    poses = [known(n, turned=turns[n % 3], raw=raw) for n in range(1, people + 1)]
    expected = result(*poses)
    decoded = decode_pose(encode_pose(expected), "door")
    told = json.loads(pose_message("door", expected))
    for pose, other in zip(decoded["poses"], told["poses"], strict=True):
        assert list(pose) == list(other)
        assert further(pose) == further(other)
        if raw:
            assert np.abs(np.array(pose["raw"]) - np.array(other["raw"])).max() <= 0.003
    assert_same(decoded, expected)


def test_what_only_some_of_the_people_have_is_left_out() -> None:
    decoded = decode_pose(encode_pose(result(known(1), person(2))), "door")
    assert [further(pose) for pose in decoded["poses"]] == [{}, {}]
    only_angles = replace(known(2), predicted=None)
    decoded = decode_pose(encode_pose(result(known(1), only_angles)), "door")
    assert [list(further(pose)) for pose in decoded["poses"]] == [["angles"], ["angles"]]


def test_reader_of_before_passes_over_what_is_known_besides() -> None:
    message = bytearray(encode_pose(result(known(1, raw=True), known(2, raw=True))))
    bare = bytearray(encode_pose(result(person(1), person(2))))
    reserved = slice(20, 24)  # what came after the poses was nobody's
    poses = slice(60, len(bare))
    assert len(message) > len(bare) and any(message[reserved]) and not any(bare[reserved])
    message[reserved] = bare[reserved]
    decoded = decode_pose(bytes(message), "door")
    assert [further(pose) for pose in decoded["poses"]] == [{}, {}]
    message[poses] = bare[poses]
    assert decode_pose(bytes(message), "door") == decode_pose(bytes(bare), "door")


def test_blocks_and_sides_that_a_later_version_adds_are_passed_over() -> None:
    message = bytearray(encode_pose(result(known())))
    before = decode_pose(bytes(message), "door")
    message[20] |= 1 << 5
    assert decode_pose(bytes(message) + b"later", "door") == before
    message[526 + 5] = 9
    (pose,) = decode_pose(bytes(message), "door")["poses"]
    assert "turned" not in pose


def test_message_whose_blocks_are_cut_off_is_refused() -> None:
    message = encode_pose(result(known(raw=True)))
    for length in range(526, len(message), 7):
        with pytest.raises(InvalidRequest):
            decode_pose(message[:length], "door")


def test_two_people_fit_one_chunk() -> None:
    assert len(encode_pose(result(person()))) == 526
    assert len(encode_pose(result(person(1), person(2)))) == 992 < SCTP_CHUNK_BYTES
    assert len(encode_pose(result(known()))) == 592
    assert len(encode_pose(result(known(1), known(2)))) == 1124 < SCTP_CHUNK_BYTES
    assert len(encode_pose(result(known(raw=True)))) == 856 < SCTP_CHUNK_BYTES


def test_stream_time_of_a_year_fits() -> None:
    pts = 90_000 * 86_400 * 366
    assert decode_pose(encode_pose(result(pts=pts)), "door")["pts"] == pts


def test_landmark_far_outside_is_kept_at_the_limit_and_does_not_wrap() -> None:
    far = person()
    far.landmarks[:4, 0] = [5.0, -5.0, 1.99, -2.0]
    far.world[:2, 0] = [9.0, -9.0]
    (pose,) = decode_pose(encode_pose(result(far)), "door")["poses"]
    xs = [row[0] for row in pose["landmarks"][:4]]
    assert xs == pytest.approx([2.0, -2.0, 1.99, -2.0], abs=1e-4)
    assert [row[0] for row in pose["world"][:2]] == pytest.approx([3.2767, -3.2768], abs=1e-4)


def test_numbers_are_rounded_to_the_nearest_step() -> None:
    exact = person()
    (pose,) = decode_pose(encode_pose(result(exact)), "door")["poses"]
    off = np.abs(np.array(pose["landmarks"]) - exact.landmarks)
    assert off[:, :3].max() <= 0.5 / 16384 + 1e-5 and off[:, 3:].max() <= 0.5 / 255 + 0.6e-3
    assert np.abs(np.array(pose["world"]) - exact.world).max() <= 0.5e-4 + 1e-6


@pytest.mark.parametrize("what", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["landmarks", "world", "angles", "raw"])
def test_what_is_no_number_is_never_sent(where: str, what: float) -> None:
    broken = known(raw=True)
    getattr(broken, where)[3, 1] = what
    with pytest.raises(ValueError, match="not all numbers"):
        encode_pose(result(broken))


def test_decoded_numbers_have_no_more_digits_than_json() -> None:
    (pose,) = decode_pose(encode_pose(result(person())), "door")["poses"]
    for row in pose["landmarks"]:
        assert row == [*(round(x, 5) for x in row[:3]), *(round(x, 3) for x in row[3:])]
    assert pose["world"] == np.round(pose["world"], 4).tolist()


def test_stage_that_was_not_timed_is_zero() -> None:
    untimed = PoseResult(1, 0, 0, make_frame(), (), 0, {"pose": 9.0})
    stages = decode_pose(encode_pose(untimed), "door")["latency_ms"]
    assert stages == {"decode": 0, "queue": 0, "pose": 9.0, "draw": 0, "total": 0}


def test_message_that_is_cut_off_or_of_another_kind_is_refused() -> None:
    message = encode_pose(result(person()))
    for length in (0, 1, 39, 40, 59, len(message) - 1):
        with pytest.raises(InvalidRequest):
            decode_pose(message[:length], "door")
    for head in (b"\2\1", b"\1\2", b"{}"):
        with pytest.raises(InvalidRequest):
            decode_pose(head + message[2:], "door")


def test_bytes_that_a_later_version_appends_are_ignored() -> None:
    expected = result(person())
    assert_same(decode_pose(encode_pose(expected) + b"more", "door"), expected)


def shown_code(language: str) -> str:
    """The decoder that docs/protocol.md shows."""
    blocks = re.findall(rf"```{language}\n(.*?)```", PROTOCOL_MD.read_text("utf-8"), re.DOTALL)
    (code,) = (block for block in blocks if "466" in block)
    return str(code)


def test_decoder_of_the_protocol_in_python_reads_our_messages() -> None:
    names: dict[str, Any] = {}
    exec(shown_code("python"), names)
    expected = result(known(1), known(2))
    assert_same(names["decode_pose"](encode_pose(expected)), expected)
    assert names["decode_pose"](b"\2\1\0\0") is None


def test_decoder_of_the_protocol_in_javascript_reads_our_messages() -> None:
    node = shutil.which("node")
    assert node, "the tests need Node: tests/setup.sh installs it"
    expected = result(known(1), known(2))
    script = shown_code("js") + (
        f"const bytes = Uint8Array.from({list(encode_pose(expected))});\n"
        "console.log(JSON.stringify(decodePose(bytes.buffer)));\n"
    )
    shown = subprocess.run([node, "-e", script], capture_output=True, text=True, check=True)
    assert_same(json.loads(shown.stdout), expected)
