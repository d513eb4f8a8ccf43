"""Clips of two people whose ways cross."""

from __future__ import annotations

import functools

import numpy as np

from tests.rigs.labelled.cutouts import CUTS
from tests.rigs.labelled.recipe import Composed, Labels, Props
from tests.rigs.labelled.scenes import HEIGHT, WIDTH
from tests.rigs.labelled.staging import Actor, Stage

_CROSSINGS = 24
_KINDS = ("opposite", "in_front", "behind", "overtakes", "meet", "cut_off")


def crossings() -> dict[str, Composed]:
    """Two people whose ways cross; the second of ``uses`` is the nearer one."""
    clips = {}
    people = [name for name in CUTS if name[:4] in ("bala", "help") and name != "balance2"]
    places = ["garage", "temple", "coffee", "park", "rocket"]
    for number in range(_CROSSINGS):
        kind = _KINDS[number % len(_KINDS)]
        chance = np.random.default_rng((5, number))
        far, near = chance.permutation(people)[:2]
        if kind in ("opposite", "in_front") and number % 4 < 3:
            near = "walker"
        if number in (0, 1):
            far = "helper3"
        where = places[0] if number in (0, 1) else str(chance.choice(places))
        labels = Labels(f"two people: {kind}", people=2, quick=number in (6, 7))
        clips[f"cross{number:02}_{kind}"] = Composed(
            [str(far), str(near), where],
            labels,
            functools.partial(_crossing, str(far), str(near), where, kind, number),
        )
    return clips


def _crossing(far: str, near: str, where: str, kind: str, number: int, props: Props) -> Stage:
    chance = np.random.default_rng((6, number))
    seconds = float(chance.uniform(2.4, 3.6))
    tall = float(chance.uniform(190, 270))
    nearer = float(chance.choice([1.0, 1.15, 1.35]))
    y = 400.0 if kind != "cut_off" else HEIGHT + 0.35 * tall
    left, right, middle = 110.0, WIDTH - 110.0, float(chance.uniform(280, 360))
    ways = {
        "opposite": ([left, right], [right, left]),
        "in_front": ([middle, middle], [right, left]),
        "behind": ([left, right], [middle, middle]),
        "overtakes": ([left + 130, right - 60], [left, right + 20]),
        "meet": ([left, middle - 20, left], [right, middle + 50, right]),
        "cut_off": ([left, right], [right, left]),
    }
    if kind == "cut_off":
        tall *= 1.6
    actors = []
    for who, way, height, ground in (
        (far, ways[kind][0], tall, y),
        (near, ways[kind][1], tall * nearer, y + 40 * (nearer - 1) / 0.35),
    ):
        cutout = props.cutout(who)
        walks_left = way[-1] <= way[0]
        if cutout.drift and (cutout.drift < 0) != walks_left:
            cutout = cutout.mirrored()
        elif not cutout.drift and chance.random() < 0.5:
            cutout = cutout.mirrored()
        times = np.linspace(0.4, seconds - 0.4, len(way))
        steps = list(zip(times.tolist(), way, strict=True))
        path = [(0.0, way[0], ground), *((t, x, ground) for t, x in steps)]
        path.append((seconds, way[-1], ground))
        actors.append(Actor(cutout, height, path, first=int(chance.integers(0, 10))))
    return Stage(props.scene(where), seconds, actors, seed=number, fps=20)
