"""What a clip of the folder is made of, and what is known of it."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.rigs.labelled.cutouts import CUTS, Cutout, cut_out
from tests.rigs.labelled.scenes import SCENES, scene

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from streamer.evaluation.manifest import Variant
    from tests.rigs.labelled.packages import Origin
    from tests.rigs.labelled.staging import Stage

Span = tuple[float, float]


@dataclass(frozen=True)
class Labels:
    """As of ``streamer.evaluation.manifest.Clip``; of staged clips ``occupied`` and ``empty`` are known
    without: ``plainly`` is the share of the body seen from which on somebody is plainly there."""

    about: str
    people: int = 1
    quick: bool = False
    occupied: Sequence[Span] = ()
    empty: Sequence[Span] = ()
    rest: Sequence[Span] = ()
    moving: Sequence[Span] = ()
    variants: Sequence[Variant] = ()
    plainly: float = 0.75

    @property
    def is_needed_quick(self) -> bool:
        return self.quick or any(variant.quick for variant in self.variants)


@dataclass(frozen=True)
class Filmed:
    """A part of a real clip. ``crop``: left, top, width, height; ``width``: scaled to it. ``theirs``: the
    cut-outs whose landmarks are the truth of the clip, where it has one, the nearest person's first."""

    file: str
    origin: Origin
    frames: range
    crop: tuple[int, int, int, int]
    width: int
    labels: Labels
    theirs: Sequence[str] = ()

    @property
    def origins(self) -> list[Origin]:
        return [self.origin]


@dataclass(frozen=True)
class Composed:
    """A clip put together. ``uses``: the names of the cut-outs, and of the scene."""

    uses: Sequence[str]
    labels: Labels
    stage: Callable[[Props], Stage]

    @property
    def origins(self) -> list[Origin]:
        return [CUTS[each].origin if each in CUTS else SCENES[each][1] for each in self.uses]


@dataclass(frozen=True)
class Props:
    """Cut-outs and scenes, each read once."""

    folder: Path
    cutout: Callable[[str], Cutout] = field(init=False)
    scene: Callable[..., NDArray[np.uint8]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cutout", functools.cache(functools.partial(cut_out, self.folder)))
        object.__setattr__(self, "scene", functools.cache(functools.partial(scene, self.folder)))
