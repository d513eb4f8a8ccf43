"""The measures of ``streamer eval``, on signals and people of which the answer is known."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.cli import main
from streamer.config import PoseConfig
from streamer.errors import ConfigError
from streamer.evaluation import motion, people, presence
from streamer.evaluation.case import BARE, BARE_RAW, OURS, Played, Track
from streamer.evaluation.degrade import degraded, kept, matrix_of
from streamer.evaluation.figures import added, summary
from streamer.evaluation.manifest import Clip, Span, Variant, check_files, load_manifest
from streamer.evaluation.measure import measure
from streamer.evaluation.truth import Truth, load_truth, torso_px
from streamer.model import LANDMARK_COUNT, Frame, Pose
from tests.fakes import make_frame

WIDTH, HEIGHT = 640, 480
BODY = np.random.default_rng(1).uniform(-1, 1, (LANDMARK_COUNT, 2)).astype(np.float32)
BODY[[11, 12]], BODY[[23, 24]] = (0.0, -0.5), (0.0, 0.5)
"""Of one who is 2 wide, 2 tall and has a torso of 1, in the middle of 0, 0."""


def body_px(x: float, y: float = 240.0, size_px: float = 100.0) -> NDArray[np.float32]:
    """(33, 2); the torso is as long as ``size_px``."""
    return BODY * np.float32(size_px) + np.array([x, y], np.float32)


def pose_at(points_px: NDArray[np.float32], person: int = 1, score: float = 0.9) -> Pose:
    landmarks = np.ones((LANDMARK_COUNT, 5), np.float32)
    landmarks[:, :2] = points_px / (WIDTH, HEIGHT)
    return Pose(person, score, landmarks, np.zeros((LANDMARK_COUNT, 3), np.float32))


def truth_of(*ways: list[NDArray[np.float32] | None]) -> Truth:
    """By person, by frame: their points, or None where they are not there."""
    landmarks = np.full((len(ways[0]), len(ways), LANDMARK_COUNT, 3), np.nan, np.float32)
    for person, way in enumerate(ways):
        for place, points in enumerate(way):
            if points is not None:
                landmarks[place, person, :, :2] = points
                landmarks[place, person, :, 2] = 1
    boxes = np.concatenate([landmarks[..., :2].min(axis=2), landmarks[..., :2].max(axis=2)], -1)
    return Truth(landmarks, boxes, np.isfinite(boxes[..., 0]).astype(np.float32))


def played(
    poses: Sequence[tuple[Pose, ...]],
    *,
    truth: Truth | None = None,
    fps: float = 30,
    occupied: list[Span] | None = None,
    empty: list[Span] | None = None,
    rest: list[Span] | None = None,
    moving: list[Span] | None = None,
    bare: Sequence[tuple[Pose, ...]] | None = None,
    bare_raw: Sequence[tuple[Pose, ...]] | None = None,
) -> Played:
    clip = Clip(
        file="clip.mp4",
        sha256="0" * 64,
        source="",
        licence="",
        occupied=occupied or [],
        empty=empty or [],
        rest=rest or [],
        moving=moving or [],
    )
    tracks = {OURS: Track(list(poses), 0.3), BARE: Track(list(bare or poses), 0.6)}
    if bare_raw is not None:
        tracks[BARE_RAW] = Track(list(bare_raw), 0.6)
    times_s = [place / fps for place in range(len(poses))]
    return Played(clip, None, times_s, WIDTH, HEIGHT, truth, tracks, [])


# -- is somebody there? -----------------------------------------------------------------------------


def test_recall_and_false_poses_count_labelled_frames_alone() -> None:
    somebody = (pose_at(body_px(300)),)
    poses = [*[()] * 5, *[somebody] * 3, *[()] * 2, *[somebody] * 10]
    # Frames 0 to 3 are empty, 4 is not labelled, 5 to 9 are occupied; from 15 on it is empty again.
    one = played(poses, fps=10, empty=[(0.0, 0.4), (1.5, 2.0)], occupied=[(0.5, 1.0)])
    figures = measure(one, 0.5)[OURS]
    assert (figures.occupied, figures.found) == (5, 3)
    assert (figures.empty, figures.false) == (9, 5)
    assert summary(figures)["recall"] == pytest.approx(0.6)
    assert summary(figures)["false_poses"] == pytest.approx(5 / 9)


def test_a_pose_below_the_gate_is_not_published_but_its_score_is_judged() -> None:
    ghost = (pose_at(body_px(300), score=0.2),)
    figures = measure(played([ghost] * 10, fps=10, empty=[(0.0, 1.0)]), 0.5)[OURS]
    assert figures.false == 0
    assert presence.brier(figures.scores) == pytest.approx(0.04)


def test_a_pose_on_the_furniture_finds_nobody() -> None:
    truth = truth_of([body_px(500)] * 10)
    on_furniture = [(pose_at(body_px(100)),)] * 10
    figures = measure(played(on_furniture, truth=truth, fps=10, occupied=[(0.0, 1.0)]), 0.5)[OURS]
    assert (figures.occupied, figures.found, figures.extra) == (10, 0, 10)


def test_the_first_pose_is_timed_from_when_somebody_is_plainly_there() -> None:
    somebody = (pose_at(body_px(300)),)
    poses = [(), (), (), somebody, somebody, (), (), (), (), ()]
    one = played(poses, fps=10, occupied=[(0.05, 0.45), (0.45, 0.5), (0.6, 1.0)])
    there = [bool(each) for each in poses]
    first, never = presence.first_poses(one, there)  # the second span goes on from the first
    assert (first.frames, first.found) == (2, True)
    assert first.ms == pytest.approx(200)
    assert (never.frames, never.found) == (3, False)


def test_calibration_is_perfect_when_scores_are_shares() -> None:
    scores = np.repeat([0.25, 0.75], 100)
    there = np.concatenate([np.arange(100) < 25, np.arange(100) < 75]).astype(float)
    rows = np.stack([scores, there], axis=1)
    assert presence.calibration_error(rows) == pytest.approx(0)
    assert presence.brier(rows) == pytest.approx(0.25 * 0.75)
    low, high = presence.reliability(rows)
    assert (low.begin, low.frames, low.occupied) == (0.2, 100, 0.25)
    assert (high.score, high.occupied) == (0.75, 0.75)
    off = np.stack([scores, 1 - there], axis=1)
    assert presence.calibration_error(off) == pytest.approx(0.5)


# -- who is who? ------------------------------------------------------------------------------------


def crossing(
    frames: int = 41,
) -> tuple[Truth, list[NDArray[np.float32]], list[NDArray[np.float32]]]:
    to_right = [body_px(100 + 10 * place) for place in range(frames)]
    to_left = [body_px(500 - 10 * place, y=260, size_px=120) for place in range(frames)]
    return truth_of(list(to_right), list(to_left)), to_right, to_left


def test_ids_that_stay_with_their_people_are_no_switch() -> None:
    truth, one, other = crossing()
    poses = [(pose_at(a, 1), pose_at(b, 2)) for a, b in zip(one, other, strict=True)]
    pairs = people.matches(truth, poses, WIDTH, HEIGHT)
    assert people.switches(pairs) == 0
    assert people.found_people(truth, pairs) == [(41, 41), (41, 41)]


def test_ids_that_are_exchanged_at_the_crossing_are_a_switch_for_each_person() -> None:
    truth, one, other = crossing()
    poses = [
        (pose_at(a, 1), pose_at(b, 2)) if place < 20 else (pose_at(b, 1), pose_at(a, 2))
        for place, (a, b) in enumerate(zip(one, other, strict=True))
    ]
    assert people.switches(people.matches(truth, poses, WIDTH, HEIGHT)) == 2


def test_a_person_who_is_lost_and_found_under_another_id_is_a_switch() -> None:
    way = [body_px(300)] * 10
    before, after = (pose_at(way[0], 1),), (pose_at(way[0], 7),)
    poses = [*[before] * 4, (), (), *[after] * 4]
    pairs = people.matches(truth_of(list(way)), poses, WIDTH, HEIGHT)
    assert people.switches(pairs) == 1
    assert people.found_people(truth_of(list(way)), pairs) == [(10, 8)]


def test_a_pose_that_goes_over_to_another_person_leaves_the_first_without() -> None:
    truth, one, other = crossing()
    poses = [(pose_at(points, 1),) for points in [*one[:20], *other[20:]]]
    pairs = people.matches(truth, poses, WIDTH, HEIGHT)
    (_, first), (_, second) = people.found_people(truth, pairs)
    assert first in range(18, 26)
    assert first + second == 41
    assert people.switches(pairs) == 0  # each of the two had one id, and no other


def test_who_is_hidden_is_nobodys_match_and_not_missed() -> None:
    truth, one, _ = crossing()
    hidden = replace(truth, seen=truth.seen * np.array([1.0, 0.1], np.float32))
    pairs = people.matches(hidden, [(pose_at(a, 1),) for a in one], WIDTH, HEIGHT)
    assert people.found_people(hidden, pairs) == [(41, 41), (0, 0)]


def test_boxes_are_truth_enough_to_tell_people_apart() -> None:
    truth, one, other = crossing()
    boxes_alone = replace(truth, landmarks=np.full_like(truth.landmarks, np.nan))
    poses = [(pose_at(b, 2), pose_at(a, 1)) for a, b in zip(one, other, strict=True)]
    pairs = people.matches(boxes_alone, poses, WIDTH, HEIGHT)
    assert people.switches(pairs) == 0
    assert people.found_people(truth, pairs) == [(41, 41), (41, 41)]
    assert len(people.errors(boxes_alone, pairs, WIDTH, HEIGHT, [0, 1]).px) == 0


def test_errors_are_in_pixels_and_in_torsos() -> None:
    way = [body_px(300, size_px=50)] * 4
    truth = truth_of(list(way))
    truth.landmarks[:, 0, 5:, 2] = 0.2  # not to be trusted: five landmarks are left
    poses = [(pose_at(points + np.array([3, 4], np.float32)),) for points in way]
    pairs = people.matches(truth, poses, WIDTH, HEIGHT)
    errors = people.errors(truth, pairs, WIDTH, HEIGHT, [0, 1, 2, 3])
    assert errors.px == pytest.approx(np.full(20, 5.0), abs=1e-3)
    assert errors.torso == pytest.approx(np.full(20, 0.1), abs=1e-4)


# -- jitter and lag ---------------------------------------------------------------------------------


def test_jitter_is_the_acceleration_of_the_landmarks() -> None:
    times_s = np.arange(90) / 30
    x = 7 + 3 * times_s + 0.5 * 8 * times_s**2  # 8 px/s^2
    points = np.stack([x, np.zeros(90)], axis=1)[:, None]
    assert motion.jitter(times_s, points, torso=2.0).mean == pytest.approx(4.0)
    uneven = np.delete(np.arange(90), [3, 4, 17, 40, 41, 42])
    assert motion.jitter(times_s[uneven], points[uneven], torso=2.0).mean == pytest.approx(4.0)


def test_jitter_of_noise_is_that_of_its_second_difference() -> None:
    noise = np.random.default_rng(2).normal(0, 0.5, (20_000, 1, 2))
    times_s = np.arange(20_000) / 25
    # The second difference of white noise has 6 times its variance, on each of two axes: of such a
    # vector the length is Rayleigh's, whose mean is sigma times the root of pi / 2.
    assert motion.jitter(times_s, noise, torso=10.0).mean == pytest.approx(
        0.5 / 10 * np.sqrt(6 * np.pi / 2) * 25**2, rel=0.02
    )


@pytest.mark.parametrize("fps", [10, 30, 60])
@pytest.mark.parametrize("late_s", [0.0, 0.021, 0.1])
def test_lag_is_found_between_frames_too(fps: int, late_s: float) -> None:
    times_s = np.arange(int(4 * fps)) / fps

    def wave(at: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([np.sin(4 * at), np.cos(5 * at)], axis=1)[:, None] * 100

    chance = np.random.default_rng(3)
    raw = wave(times_s) + chance.normal(0, 1, (len(times_s), 1, 2))
    assert motion.lag_s(times_s, wave(times_s - late_s), raw) == pytest.approx(late_s, abs=0.004)


def test_nothing_is_said_of_lag_where_nothing_moves() -> None:
    still = np.ones((60, 5, 2))
    assert motion.lag_s(np.arange(60) / 30, still, still) is None
    assert motion.lag_s(np.arange(5) / 30, still[:5], still[:5]) is None


def test_ours_is_held_against_its_own_raw_landmarks_and_mediapipes_against_its_own() -> None:
    times_s = np.arange(90) / 30

    def moved(late_s: float) -> list[NDArray[np.float32]]:
        return [body_px(300 + 100 * np.sin(4 * (time_s - late_s))) for time_s in times_s]

    raw = [pose_at(points) for points in moved(0.0)]
    ours = [
        (replace(pose_at(points), raw=now.landmarks),)
        for points, now in zip(moved(0.05), raw, strict=True)
    ]
    bare = [(pose_at(points),) for points in moved(0.1)]
    one = played(ours, moving=[(0.0, 3.0)], bare=bare, bare_raw=[(pose,) for pose in raw])
    figures = measure(one, 0.5)
    assert summary(figures[OURS])["lag_ms"] == pytest.approx(50, abs=3)
    assert summary(figures[BARE])["lag_ms"] == pytest.approx(100, abs=3)


def test_jitter_is_measured_where_the_manifest_says_that_people_rest() -> None:
    chance = np.random.default_rng(4)
    trembling = [
        (pose_at(body_px(300) + chance.normal(0, 2, (33, 2)).astype(np.float32)),)
        for _ in range(60)
    ]
    calm = [(pose_at(body_px(300)),)] * 60
    one = played([*trembling, *calm], rest=[(2.1, 4.0)])
    assert summary(measure(one, 0.5)[OURS])["jitter"] == pytest.approx(0, abs=1e-2)
    other = played([*trembling, *calm], rest=[(0.0, 1.9)])
    assert summary(measure(other, 0.5)[OURS])["jitter"] == pytest.approx(
        0.02 * np.sqrt(6 * np.pi / 2) * 900, rel=0.1
    )


# -- adding up --------------------------------------------------------------------------------------


def test_every_frame_counts_the_same_in_the_whole() -> None:
    somebody = (pose_at(body_px(300)),)
    found = measure(played([somebody] * 10, fps=10, occupied=[(0.0, 1.0)]), 0.5)[OURS]
    missed = measure(played([()] * 30, fps=10, occupied=[(0.0, 3.0)]), 0.5)[OURS]
    whole = summary(added([found, missed]))
    assert whole["recall"] == pytest.approx(0.25)
    assert whole["cpu_ms"] == pytest.approx(0.6 / 40 * 1000)
    assert whole["never_found"] == 1
    assert whole["id_switches"] is None  # nobody said who is who


# -- harder cases -----------------------------------------------------------------------------------


def spot(x: int, y: int) -> Frame:
    """White around a place, on grey."""
    frame = make_frame(width=WIDTH, height=HEIGHT)
    frame.planes()[0][y - 4 : y + 4, x - 4 : x + 4] = 235
    return frame


@pytest.mark.parametrize("turn", [0.0, 20.0, 90.0, 180.0, 270.0, -35.0])
@pytest.mark.parametrize("width", [0, 320])
def test_the_truth_turns_and_shrinks_with_the_picture(turn: float, width: int) -> None:
    variant = Variant(name="x", turn=turn, width=width)
    luma = degraded(spot(400, 200), variant, 0).planes()[0].astype(float)
    weight = np.maximum(luma - 110, 0)
    y, x = (np.indices(luma.shape) + 0.5) * weight
    expected = matrix_of(variant, WIDTH, HEIGHT) @ np.array([400, 200, 1])
    assert (x.sum() / weight.sum(), y.sum() / weight.sum()) == pytest.approx(expected, abs=1.0)


def test_the_dark_has_a_quarter_of_the_light_and_the_same_noise_each_time() -> None:
    dark = Variant(name="dark", gain=0.25, noise=4.0, seed=3)
    frame = make_frame(width=WIDTH, height=HEIGHT, luma=116)
    once, again, later = (degraded(frame, dark, number).planes()[0] for number in (0, 0, 1))
    assert once.mean() == pytest.approx(16 + 100 / 4, abs=0.1)
    assert once.std() == pytest.approx(4.0, abs=0.1)
    assert (once == again).all()
    assert (once != later).any()


def test_frames_are_left_out_evenly_or_by_chance() -> None:
    frames = [make_frame(pts=place) for place in range(1000)]
    assert [number for number, _ in kept(frames, Variant(name="x", every=3))] == [
        *range(0, 1000, 3)
    ]
    lost = [number for number, _ in kept(frames, Variant(name="x", drop=0.4, seed=1))]
    assert len(lost) == pytest.approx(600, abs=50)
    assert lost == [number for number, _ in kept(frames, Variant(name="x", drop=0.4, seed=1))]


# -- the folder -------------------------------------------------------------------------------------

ENTRY = """
[[clip]]
file = "a.mp4"
sha256 = "{digest}"
source = "a film of ours"
licence = "CC0-1.0"
"""


def manifest(folder: Path, more: str = "", content: bytes = b"film") -> Path:
    (folder / "a.mp4").write_bytes(content)
    text = ENTRY.format(digest=hashlib.sha256(b"film").hexdigest()) + more
    (folder / "manifest.toml").write_text(text, "utf-8")
    return folder


def test_a_manifest_tells_what_is_known_of_a_clip(tmp_path: Path) -> None:
    more = 'occupied = [[0, 1.5]]\n[[clip.variant]]\nname = "dark"\ngain = 0.25\n'
    (clip,) = load_manifest(manifest(tmp_path, more))
    check_files(tmp_path, [clip])
    assert (clip.title, clip.occupied, clip.variant[0].gain) == ("a", [(0.0, 1.5)], 0.25)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("occupied = [[2.0, 1.0]]", "must run forward"),
        ("occupied = [[0.0, 2.0]]\nempty = [[1.0, 3.0]]", "overlaps"),
        ('truth = "a.npz"', "truth_sha256"),
        ("ocupied = []", "ocupied"),
        ("occupied = ", "not valid TOML"),
        (ENTRY.format(digest="0" * 64), "two clips are called a"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_manifest(manifest(tmp_path, more))


def test_files_that_are_missing_or_others_are_named_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "--clips", str(tmp_path)]) == 2
    assert "`make eval` prepares" in capsys.readouterr().err
    manifest(tmp_path, content=b"another film")
    assert main(["eval", "--clips", str(tmp_path)]) == 2
    assert "a.mp4 is not the file that was labelled" in capsys.readouterr().err
    (tmp_path / "a.mp4").unlink()
    assert main(["eval", "--clips", str(tmp_path)]) == 2
    assert "Put the file there" in capsys.readouterr().err
    assert main(["eval", "--clips", str(tmp_path), "--only", "b"]) == 2
    assert "there is no such clip" in capsys.readouterr().err
    assert main(["eval", "--clips", str(tmp_path), "--set", "smoothin=steady"]) == 2
    assert "pose.smoothin" in capsys.readouterr().err


def test_truth_needs_landmarks_or_boxes_that_fit(tmp_path: Path) -> None:
    boxes = np.full((4, 2, 4), np.nan, np.float32)
    boxes[1:, 0] = (10, 20, 30, 60)
    np.savez(tmp_path / "boxes.npz", boxes=boxes)
    truth = load_truth(tmp_path / "boxes.npz")
    assert truth.people == 2
    assert truth.seen.tolist() == [[0, 0], [1, 0], [1, 0], [1, 0]]
    with pytest.raises(ConfigError, match="has 4 frames"):
        truth.at([0, 4])
    np.savez(tmp_path / "none.npz", seen=truth.seen)
    with pytest.raises(ConfigError, match="neither landmarks nor boxes"):
        load_truth(tmp_path / "none.npz")
    np.savez(tmp_path / "odd.npz", boxes=boxes, seen=np.ones((4, 3)))
    with pytest.raises(ConfigError, match="don't fit"):
        load_truth(tmp_path / "odd.npz")
    (tmp_path / "bad.npz").write_bytes(b"no zip")
    with pytest.raises(ConfigError, match="can't be read"):
        load_truth(tmp_path / "bad.npz")


def test_a_torso_is_from_the_shoulders_to_the_hips() -> None:
    assert torso_px(body_px(0, size_px=70)) == pytest.approx(70)


def test_the_figures_go_to_json_as_they_are() -> None:
    figures = measure(played([()] * 3, occupied=[(0.0, 1.0)]), PoseConfig().min_score)
    assert json.loads(json.dumps(summary(figures[OURS])))["recall"] == 0
