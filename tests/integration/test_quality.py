"""``streamer eval`` on the quick clips: real networks, real pictures, and what they have to reach."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from streamer.cli import main
from streamer.config import PoseConfig
from streamer.evaluation.case import play
from streamer.evaluation.manifest import load_manifest
from streamer.evaluation.run import live_estimator
from tests.rigs.labelled.making import prepare_quick
from tests.rigs.logs import logging_kept

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def clips() -> Path:
    return prepare_quick()


@pytest.fixture(scope="module")
def figures(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of one run, as its JSON has them."""
    file = tmp_path_factory.mktemp("eval") / "figures.json"
    with logging_kept():
        assert main(["eval", "--clips", str(clips), "--quick", "--json", str(file)]) == 0
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


def overall(figures: dict[str, Any], name: str) -> tuple[float, float]:
    """Ours and bare MediaPipe's."""
    both = figures["overall"]
    return both["ours"][name], both["bare"][name]


def test_every_figure_is_there_for_both(figures: dict[str, Any]) -> None:
    for estimator in ("ours", "bare"):
        missing = {name for name, value in figures["overall"][estimator].items() if value is None}
        assert not missing
    assert sum(each["frames"] for each in figures["reliability"]) > 100


def test_empty_places_stay_empty(figures: dict[str, Any]) -> None:
    ours, bare = overall(figures, "false_poses")
    assert ours <= 0.02
    assert ours <= bare


def test_people_are_found_as_often_as_mediapipe_finds_them_and_as_soon(
    figures: dict[str, Any],
) -> None:
    ours, bare = overall(figures, "recall")
    assert ours >= 0.99 * bare
    ours, bare = overall(figures, "first_pose_frames")
    assert ours <= bare + 2


def test_two_people_who_cross_keep_their_ids(figures: dict[str, Any]) -> None:
    ours, _ = overall(figures, "id_switches")
    assert ours == 0


def test_landmarks_are_as_near_to_the_truth_as_mediapipes(figures: dict[str, Any]) -> None:
    ours, bare = overall(figures, "error_torso")
    assert ours <= 1.1 * bare


def test_landmarks_tremble_less_at_rest_and_come_as_soon(figures: dict[str, Any]) -> None:
    ours, bare = overall(figures, "jitter")
    assert ours <= 0.7 * bare
    ours, bare = overall(figures, "lag_ms")
    assert ours <= 1.2 * bare + 2  # ms, the step of the measure


def test_what_the_gate_lets_through_is_what_the_estimator_publishes(clips: Path) -> None:
    """The evaluation gates by itself, so that one run tells of every score."""
    clip = next(each for each in load_manifest(clips) if each.empty and each.occupied)
    short = clip.model_copy(update={"use": (0.5, 2.5)})
    options = PoseConfig()
    makers = {
        "gated": (live_estimator, options),
        "any": (live_estimator, options.model_copy(update={"min_score": 0.0})),
    }
    tracks = play(clips, short, None, makers, lambda frames: None).tracks
    gated = tracks["any"].gated(options.min_score)
    for here, there in zip(tracks["gated"].poses, gated.poses, strict=True):
        assert [(pose.id, pose.score) for pose in here] == [(p.id, p.score) for p in there]
