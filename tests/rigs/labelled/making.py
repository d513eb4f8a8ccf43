"""Encodes the clips, and writes what is known of them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from tqdm import tqdm

from streamer.evaluation.manifest import MANIFEST
from tests.rigs.labelled.cutouts import CUTS, cut_out
from tests.rigs.labelled.packages import can_fetch, obtain
from tests.rigs.labelled.recipe import Composed, Filmed, Props
from tests.rigs.labelled.recipes import recipes
from tests.rigs.labelled.staging import Staged, staged

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from tests.rigs.labelled.recipe import Labels

    Pictures = Iterable[NDArray[np.uint8]]


def prepare_quick() -> Path:
    """A folder of the clips for ``--quick``, made when there is none (half a minute of CPU the first time). A
    change of any file of this package makes a new one. Safe to call from several processes."""
    recipe = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        recipe.update(file.read_bytes())
    folder = _cache() / f"labelled-{recipe.hexdigest()[:12]}"
    if not folder.exists():
        building = Path(tempfile.mkdtemp(dir=_cache(), prefix="building-"))
        try:
            make_all(building, quick=True)
            _publish(building, folder)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return folder


def make_all(folder: Path, *, quick: bool = False) -> None:
    """Makes the clips that can be made here, and their manifest. ``quick``: only those for ``--quick``. The
    packages' files and the cut-outs are kept in the tests' cache."""
    parts = _cache() / "packages"
    for each in (folder, parts):
        each.mkdir(parents=True, exist_ok=True)
    props = Props(parts)
    wanted = {
        name: recipe
        for name, recipe in recipes().items()
        if (recipe.labels.is_needed_quick or not quick) and all(map(can_fetch, recipe.origins))
    }
    entries = []
    for name, recipe in tqdm(wanted.items(), unit=" clips", disable=not sys.stderr.isatty()):
        if isinstance(recipe, Composed):
            entries.append(_compose(folder, name, recipe, props))
        else:
            entries.append(_film(folder, parts, name, recipe))
    (folder / MANIFEST).write_text("\n".join(entries), "utf-8")


def _publish(building: Path, folder: Path) -> None:
    """Moves a finished folder to its place in one step; another process may have been first."""
    try:
        building.rename(folder)
    except OSError:
        if not folder.exists():
            raise


def _cache() -> Path:
    """Of the tests, as ``tests.rigs.clips`` has it."""
    cache = Path(os.environ.get("STREAMER_TEST_CACHE") or Path.home() / ".cache" / "streamer-tests")
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def _compose(folder: Path, name: str, recipe: Composed, props: Props) -> str:
    stage = recipe.stage(props)
    known = Staged()
    _encode(folder / f"{name}.mp4", staged(stage, known), Fraction(stage.fps))
    best = np.array([seen.max(initial=0) for seen in known.seen])
    occupied = _spans(best >= recipe.labels.plainly, stage.fps)
    empty = _spans(~np.array(known.somebody), stage.fps)
    source = ", ".join(dict.fromkeys(origin.package.spec for origin in recipe.origins))
    licence = " AND ".join(dict.fromkeys(origin.licence for origin in recipe.origins))
    if stage.actors:
        np.savez_compressed(
            folder / f"{name}.npz",
            landmarks=np.stack(known.landmarks),
            boxes=np.stack(known.boxes),
            seen=np.stack(known.seen),
        )
    return _entry(
        *(folder, name, recipe.labels, f"composed from {source}", licence),
        occupied,
        empty,
        has_truth=bool(stage.actors),
    )


def _film(folder: Path, parts: Path, name: str, recipe: Filmed) -> str:
    clip = obtain(parts, recipe.file, recipe.origin)
    with av.open(str(clip)) as container:
        rate = container.streams.video[0].average_rate or Fraction(30)
        _encode(folder / f"{name}.mp4", _cropped(container, recipe), rate / recipe.frames.step)
    if recipe.theirs:
        landmarks = np.stack([_truth_of(parts, who, recipe) for who in recipe.theirs], axis=1)
        seen = np.ones(landmarks.shape[:2], np.float32)
        for person in range(1, len(recipe.theirs)):
            hidden = _covered(parts, recipe, landmarks[:, person, :, :2])
            landmarks[:, person, :, 2] *= ~hidden
            seen[:, person] -= hidden.mean(axis=1)
        np.savez_compressed(folder / f"{name}.npz", landmarks=landmarks, seen=seen)
    labels = recipe.labels
    source = f"{recipe.file} of {recipe.origin.package.spec}, cropped"
    return _entry(
        *(folder, name, labels, source, recipe.origin.licence),
        labels.occupied,
        labels.empty,
        has_truth=bool(recipe.theirs),
    )


def _cropped(container: Any, recipe: Filmed) -> Pictures:
    left, top, width, height = recipe.crop
    size = (recipe.width, round(recipe.width * height / width / 2) * 2)
    for number, frame in enumerate(container.decode(video=0)):
        if number in recipe.frames:
            whole = frame.to_ndarray(format="rgb24")[top : top + height, left : left + width]
            yield cv2.resize(whole, size, interpolation=cv2.INTER_AREA).astype(np.uint8)


def _truth_of(parts: Path, who: str, recipe: Filmed) -> NDArray[np.float32]:
    """(frames, 33, 3): a cut-out's landmarks where it was cut out. Frames between those of the cut-out have
    what lies between."""
    cut, cutout = CUTS[who], cut_out(parts, who)
    left, top, _, _ = cut.box
    points = cutout.landmarks.astype(np.float64)
    points[..., :2] *= 2 if cut.half else 1
    points[..., :2] += (left - recipe.crop[0], top - recipe.crop[1])
    points[..., :2] *= recipe.width / recipe.crop[2]
    columns = points.reshape(len(points), -1).T
    between = [np.interp(recipe.frames, cut.frames, column) for column in columns]
    return np.stack(between, axis=1).reshape(-1, 33, 3).astype(np.float32)


def _covered(parts: Path, recipe: Filmed, points: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which of the points (frames, 33, 2) lie on the first of ``theirs``, who is before all others. That
    cut-out must have every frame of the clip."""
    cut, cutout = CUTS[recipe.theirs[0]], cut_out(parts, recipe.theirs[0])
    there = points * (recipe.crop[2] / recipe.width) + np.subtract(recipe.crop[:2], cut.box[:2])
    x, y = (there / (2 if cut.half else 1)).round().astype(int).transpose(2, 0, 1)
    height, width = cutout.alpha.shape[1:]
    is_inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    places = np.array([cut.frames.index(number) for number in recipe.frames])[:, None]
    alpha = cutout.alpha[places, y.clip(0, height - 1), x.clip(0, width - 1)]
    covered: NDArray[np.bool_] = is_inside & (alpha > 127)
    return covered


def _encode(path: Path, pictures: Pictures, rate: Fraction) -> None:
    """H.264 of a quality that shows no blocks."""
    part = path.with_name(f".{path.name}")
    with av.open(str(part), "w", format="mp4") as container:
        options = {"crf": "18", "preset": "veryfast", "threads": "1"}
        stream = container.add_stream("libx264", rate=rate, options=options)
        assert isinstance(stream, VideoStream)
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            if not stream.codec_context.is_open:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    part.replace(path)


def _spans(holds: NDArray[np.bool_], fps: int) -> list[tuple[float, float]]:
    """Where it holds, from the first of the frames until half a frame after the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], holds, [False]]).astype(int)))
    return [
        (max(0.0, (begin - 0.5) / fps), (end - 0.5) / fps)
        for begin, end in edges.reshape(-1, 2).tolist()
    ]


def _entry(
    folder: Path,
    name: str,
    labels: Labels,
    source: str,
    licence: str,
    occupied: Sequence[tuple[float, float]],
    empty: Sequence[tuple[float, float]],
    *,
    has_truth: bool,
) -> str:
    """The clip's table of the manifest; JSON's strings, numbers and lists are TOML's as well."""
    table: dict[str, Any] = {
        "file": f"{name}.mp4",
        "sha256": _digest(folder / f"{name}.mp4"),
        "source": source,
        "licence": licence,
        "about": labels.about,
        "people": labels.people,
        "quick": labels.quick,
        "occupied": [[round(t, 3) for t in span] for span in occupied],
        "empty": [[round(t, 3) for t in span] for span in empty],
        "rest": labels.rest,
        "moving": labels.moving,
    }
    if has_truth:
        table |= {"truth": f"{name}.npz", "truth_sha256": _digest(folder / f"{name}.npz")}
    lines = ["[[clip]]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    for variant in labels.variants:
        changed = variant.model_dump(exclude_defaults=True)
        lines += ["[[clip.variant]]", *(f"{k} = {json.dumps(v)}" for k, v in changed.items())]
    return "\n".join(lines) + "\n"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
