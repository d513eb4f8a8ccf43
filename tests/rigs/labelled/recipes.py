"""The clips: real ones, empty places, people who come and go, and people who hold still."""

from __future__ import annotations

import functools

from streamer.evaluation.manifest import Variant
from tests.rigs.labelled.crossings import crossings
from tests.rigs.labelled.packages import POSE2SIM, SPORTS2D
from tests.rigs.labelled.recipe import Composed, Filmed, Labels, Props
from tests.rigs.labelled.scenes import SCENES, WIDTH
from tests.rigs.labelled.staging import Actor, Stage

DARK = Variant(name="dark", gain=0.25, noise=4.0, seed=1)
NOISY = Variant(name="noisy", noise=12.0, seed=2)
BLURRED = Variant(name="blurred", blur=3.0)
SMALL = Variant(name="small", width=256)
ASKEW = Variant(name="askew", turn=20.0)
SIDEWAYS = Variant(name="sideways", turn=90.0)
FPS15 = Variant(name="15fps", every=2)
FPS10 = Variant(name="10fps", every=3)
FPS5 = Variant(name="5fps", every=6)
UNEVEN = Variant(name="uneven", drop=0.4, seed=3)


def recipes() -> dict[str, Filmed | Composed]:
    """By the clips' names."""
    return {**_filmed(), **_empty(), **_comings(), **_still(), **crossings()}


def _filmed() -> dict[str, Filmed | Composed]:
    park = Labels(
        "a man on a roof, against the light, raises his arms and jumps",
        occupied=[(0.0, 4.3)],
        moving=[(0.3, 4.3)],
        variants=[DARK, NOISY, SMALL, FPS15, FPS10, FPS5, UNEVEN],
    )
    walk = Labels(
        "a woman comes from behind a tree, and walks out of the picture",
        empty=[(0.0, 1.6), (4.7, 5.6)],
        occupied=[(2.15, 4.1)],
        moving=[(2.3, 4.1)],
        variants=[DARK, NOISY, FPS10, ASKEW],
    )
    clips: dict[str, Filmed | Composed] = {
        "park_man": Filmed("park.mp4", SPORTS2D, range(130), (370, 20, 600, 450), 640, park),
        "park_walk": Filmed("park.mp4", SPORTS2D, range(168), (720, 460, 840, 530), 640, walk),
    }
    for number in (1, 2, 3, 4):
        labels = Labels(
            "a man balances on one leg and moves his arms, 60 fps",
            occupied=[(0.0, 1.66)],
            moving=[(0.15, 1.66)],
            variants=[DARK, Variant(name="30fps", every=2, quick=number == 3)],
        )
        clips[f"balance{number}"] = Filmed(
            f"cam0{number}.mp4",
            POSE2SIM,
            range(100),
            (0, 0, 1080, 1920),
            360,
            labels,
            (f"balance{number}",),
        )
    for number in (3, 4):
        labels = Labels(
            "a man balances and a woman beside him talks; they cover one another at times",
            people=2,
            occupied=[(0.0, 1.66)],
            variants=[FPS10],
        )
        clips[f"pair{number}"] = Filmed(
            f"cam0{number}_two.mp4",
            POSE2SIM,
            range(0, 100, 2),
            (0, 0, 1080, 1920),
            360,
            labels,
            (f"balance{number}", f"pair{number}"),
        )
    return clips


def _empty() -> dict[str, Filmed | Composed]:
    def stage(props: Props, name: str, seed: int) -> Stage:
        return Stage(props.scene(name, margin=0.3), 3.0, pan=True, seed=seed, fps=15, noise=3.0)

    return {
        f"empty_{name}": Composed(
            [name],
            Labels("nobody; the camera moves", quick=name == "garage", variants=[DARK, FPS5]),
            functools.partial(stage, name=name, seed=seed),
        )
        for seed, name in enumerate(SCENES)
    }


def _comings() -> dict[str, Filmed | Composed]:
    clips: dict[str, Filmed | Composed] = {}
    # name: who, mirrored, where, height, path, seconds, quick
    plans: dict[str, tuple[str, bool, str, float, list[tuple[float, float, float]], float]] = {
        "walk_garage": ("walker", False, "garage", 260, _across(1.0, 4.6, 440), 6.4),
        "walk_temple": ("walker", True, "temple", 220, _across(1.2, 5.0, 420)[::-1], 6.6),
        "walk_far": ("walker", False, "park", 170, _across(0.8, 5.2, 400), 6.0),
        "walk_near": ("walker", True, "hotel", 430, _across(1.0, 3.2, 560)[::-1], 4.6),
        "pops_up_garage": ("helper3", False, "garage", 300, _stands(1.0, 3.0, 330, 450), 4.5),
        "pops_up_rocket": ("balance3", False, "rocket", 260, _stands(1.0, 3.0, 200, 430), 4.5),
        "pops_up_street": ("balance1", False, "street", 240, _stands(1.0, 3.0, 420, 430), 4.5),
        "pops_up_chair": ("helper1", False, "chair", 280, _stands(1.0, 3.0, 220, 450), 4.5),
        "webcam": ("helper3", False, "garage", 760, _stands(0.8, 3.4, 320, 800), 4.8),
        "leans_in": ("balance2", False, "rocket", 520, _leans(1.0, 3.6, 640), 4.8),
        "visitor": ("balance4", False, "plant", 280, _leans(1.0, 4.0, 440), 5.2),
        "looks_in": ("helper3", True, "plaza", 180, _leans(1.0, 4.0, 420), 5.2),
    }
    for seed, (name, (who, mirrored, where, height, path, seconds)) in enumerate(plans.items()):
        labels = Labels(
            f"{who} comes and goes",
            quick=name in ("walk_temple", "pops_up_garage"),
            plainly=0.5 if name == "webcam" else 0.75,
            variants=[DARK, ASKEW] if seed % 3 else [DARK, BLURRED, SIDEWAYS],
        )
        clips[name] = Composed(
            [who, where],
            labels,
            functools.partial(_visit, who, mirrored, where, height, _rising(path), seconds, seed),
        )
    return clips


def _visit(
    who: str,
    mirrored: bool,
    where: str,
    height: float,
    path: list[tuple[float, float, float]],
    seconds: float,
    seed: int,
    props: Props,
) -> Stage:
    cutout = props.cutout(who)
    actor = Actor(cutout.mirrored() if mirrored else cutout, height, path)
    return Stage(props.scene(where), seconds, [actor], seed=seed, fps=20)


def _across(begin_s: float, end_s: float, y: float) -> list[tuple[float, float, float]]:
    """From right to left, through the whole picture."""
    return [(begin_s, WIDTH + 110.0, y), (end_s, -110.0, y)]


def _rising(path: list[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """A path that was turned round: the places in the new order, at the old times."""
    times = sorted(time_s for time_s, _, _ in path)
    return [(time_s, x, y) for time_s, (_, x, y) in zip(times, path, strict=True)]


def _stands(begin_s: float, end_s: float, x: float, y: float) -> list[tuple[float, float, float]]:
    return [(begin_s, x, y), (end_s, x, y)]


def _leans(begin_s: float, end_s: float, y: float) -> list[tuple[float, float, float]]:
    """In from the left, and out there again."""
    middle = (begin_s + end_s) / 2
    return [
        (begin_s, -220.0, y),
        (middle - 0.5, 200.0, y),
        (middle + 0.5, 200.0, y),
        (end_s, -220.0, y),
    ]


def _still() -> dict[str, Filmed | Composed]:
    clips: dict[str, Filmed | Composed] = {}
    plans = [
        ("balance1", "garage", 250, 0),
        ("helper3", "temple", 300, 0),
        ("balance3", "flower", 260, 10),
        ("walker", "temple", 300, 60),
        ("helper1", "rocket", 280, 0),
    ]
    for seed, (who, where, height, first) in enumerate(plans):
        labels = Labels(
            f"{who} holds still: one picture of a person, with a sensor's noise",
            rest=[(0.5, 2.5)],
            quick=who == "helper3",
            variants=[FPS15, FPS5, UNEVEN] if seed % 2 else [FPS15, NOISY],
        )
        clips[f"still_{who}"] = Composed(
            [who, where],
            labels,
            functools.partial(_hold_still, who, where, height, first, seed),
        )
    return clips


def _hold_still(who: str, where: str, height: float, first: int, seed: int, props: Props) -> Stage:
    path = _stands(0.0, 2.5, 300, 440)
    actor = Actor(props.cutout(who), height, path, pace=0, first=first)
    return Stage(props.scene(where), 2.5, [actor], noise=3.0, seed=seed)
