"""The cache of models: only whole, pinned files are ever in it, and errors say what to do."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import TYPE_CHECKING

import pytest

from streamer.errors import ModelError
from streamer.pose import models
from streamer.pose.models import (
    PACKAGES,
    Complexity,
    KnownModels,
    ensure_models,
    find_model,
    model_path,
    places,
)
from streamer.pose.registries import NpmPackage, Package, Wheel, fetch
from tests.fakes import PATIENCE_S

if TYPE_CHECKING:
    from pathlib import Path

    from streamer.pose.registries import OnProgress

LITE, FULL, HEAVY = Complexity


class FakeRegistry:
    """Gives ``files`` whatever it is asked for, and remembers what it was asked for."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.asked: list[str] = []

    def __call__(self, package: Package, on_progress: OnProgress) -> dict[str, bytes]:
        self.asked.append(package.spec)
        return {name: self.files[name] for name in package.members}


class ScriptedPackage(Package):
    """A package whose client is a Python script that works in the download folder."""

    def command(self) -> list[str]:
        return [sys.executable, "-c", self.spec]

    def read(self, folder: Path) -> dict[str, bytes]:
        return {name: (folder / path).read_bytes() for name, path in self.members.items()}


def ignore(step: str, done_bytes: int, total_bytes: int) -> None:
    """Progress that nobody looks at."""


@pytest.fixture(scope="session")
def published() -> dict[str, bytes]:
    """The TFLite files behind the full model, which `make setup` has fetched."""
    (bundle,) = ensure_models([FULL])
    names = ("pose_detection.tflite", "pose_landmark_full.tflite")
    return {name: (bundle.parent / name).read_bytes() for name in names}


def make_full(cache: Path, registry: FakeRegistry) -> Path:
    (path,) = ensure_models([FULL], cache_dir=cache, on_progress=ignore, fetch=registry)
    return path


def test_bundle_is_made_once(tmp_path: Path, published: dict[str, bytes]) -> None:
    registry = FakeRegistry(published)
    path = make_full(tmp_path, registry)
    assert make_full(tmp_path, registry) == path == model_path(FULL, cache_dir=tmp_path)
    assert registry.asked == ["mediapipe==0.10.21"]


def test_same_sources_give_the_same_bytes(tmp_path: Path, published: dict[str, bytes]) -> None:
    one, other = (make_full(tmp_path / name, FakeRegistry(published)) for name in ("a", "b"))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("kept_bytes", [0, 100, -1])
def test_truncated_bundle_is_made_again(
    tmp_path: Path, published: dict[str, bytes], kept_bytes: int
) -> None:
    registry = FakeRegistry(published)
    path = make_full(tmp_path, registry)
    whole = path.read_bytes()
    path.write_bytes(whole[:kept_bytes])
    make_full(tmp_path, registry)
    assert path.read_bytes() == whole
    assert len(registry.asked) == 1, "the files beside it were whole"


def test_damaged_source_is_fetched_again(tmp_path: Path, published: dict[str, bytes]) -> None:
    registry = FakeRegistry(published)
    path = make_full(tmp_path, registry)
    path.unlink()
    (tmp_path / "pose_detection.tflite").write_bytes(b"cut short")
    make_full(tmp_path, registry)
    assert len(registry.asked) == 2


def test_wrong_digest_is_refused_and_nothing_is_left(
    tmp_path: Path, published: dict[str, bytes]
) -> None:
    """Of files that would do, but are not those that are named."""
    registry = FakeRegistry({name: content + b"\0" for name, content in published.items()})
    with pytest.raises(ModelError, match="SHA-256"):
        make_full(tmp_path, registry)
    assert list(tmp_path.iterdir()) == []


def test_several_at_once_do_not_disturb_each_other(
    tmp_path: Path, published: dict[str, bytes]
) -> None:
    at_once = 4
    barrier = Barrier(at_once)

    class Together(FakeRegistry):
        def __call__(self, package: Package, on_progress: OnProgress) -> dict[str, bytes]:
            barrier.wait()
            return super().__call__(package, on_progress)

    registry = Together(published)
    with ThreadPoolExecutor(at_once) as pool:
        paths = list(pool.map(lambda _: make_full(tmp_path, registry), range(at_once)))
    assert len(registry.asked) == at_once
    assert set(paths) == {model_path(FULL, cache_dir=tmp_path)}
    assert {path.name for path in tmp_path.iterdir()} == {*published, paths[0].name}


def test_error_tells_which_file_to_put_where(tmp_path: Path) -> None:
    def unreachable(package: Package, on_progress: OnProgress) -> dict[str, bytes]:
        raise ModelError("nothing answers.")

    with pytest.raises(ModelError) as caught:
        ensure_models([HEAVY], cache_dir=tmp_path, on_progress=ignore, fetch=unreachable)
    assert "nothing answers" in str(caught.value)
    assert f"copy pose_landmarker_heavy.task from a machine that has it to {tmp_path}" in str(
        caught.value
    )


def test_unwritable_folder_is_a_model_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ModelError, match="can't be written or read"):
        make_full(tmp_path / "file" / "cache", FakeRegistry({}))


def test_missing_npm_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (npm_package,) = (package for package in PACKAGES if isinstance(package, NpmPackage))
    with pytest.raises(ModelError, match=r"npm, which is not here: install Node\.js"):
        fetch(npm_package, ignore)


def test_full_model_needs_no_npm() -> None:
    (wheel,) = (package for package in PACKAGES if isinstance(package, Wheel))
    assert {"pose_detection.tflite", "pose_landmark_full.tflite"} <= set(wheel.members)


def test_failed_download_is_tried_again(tmp_path: Path) -> None:
    tries = tmp_path / "tries"
    script = (
        "import pathlib, sys\n"
        f"tries = pathlib.Path({str(tries)!r}); tries.open('a').write('x')\n"
        "if tries.stat().st_size < 3: sys.exit('error: the line is cut')\n"
        "pathlib.Path('archive').write_bytes(b'model')\n"
    )
    package = ScriptedPackage(spec=script, size_bytes=5, members={"model": "archive"})
    progress: list[tuple[int, int]] = []
    contents = fetch(
        package, lambda step, done, total: progress.append((done, total)), retry_delays_s=(0, 0)
    )
    assert contents == {"model": b"model"}
    assert progress[0] == (0, 5)
    assert progress[-1] == (5, 5)


def test_client_that_keeps_failing_is_quoted() -> None:
    script = "import sys; print('working'); sys.exit('error: no such host')"
    package = ScriptedPackage(spec=script, size_bytes=5, members={})
    with pytest.raises(ModelError, match="error: no such host"):
        fetch(package, ignore, retry_delays_s=(0, 0))


def test_archive_that_is_cut_short_is_an_error(tmp_path: Path) -> None:
    script = "open('package-1.0.tgz', 'wb').write(b'half'); open('a.whl', 'wb').write(b'PK')"

    class CutWheel(Wheel):
        command = ScriptedPackage.command

    class CutNpmPackage(NpmPackage):
        command = ScriptedPackage.command

    for package in (CutWheel(script, 4, {"a": "b"}), CutNpmPackage(script, 4, {"a": "b"})):
        with pytest.raises(ModelError, match="can't be read"):
            fetch(package, ignore, retry_delays_s=())


def test_cache_folder_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STREAMER_MODELS_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert model_path(LITE).parent == tmp_path / "cache" / "streamer" / "models"
    monkeypatch.setenv("STREAMER_MODELS_DIR", str(tmp_path / "own"))
    assert model_path(LITE, segmentation=True) == (
        tmp_path / "own" / "pose_landmarker_lite_segmentation.task"
    )


def test_models_that_are_links_are_read_where_they_lead(tmp_path: Path) -> None:
    """Where packages share what they have, each may lie in another folder."""
    (tmp_path / "pose_landmarker_lite.task").touch()
    link = tmp_path / "pose_landmarker_full.task"
    link.symlink_to("/srv/elsewhere")
    assert places(tmp_path) == (str(tmp_path), str(link))
    assert places(tmp_path / "missing") == (str(tmp_path / "missing"),)


# -- which there are, without waiting ----------------------------------------------------------------


async def test_known_models_are_as_the_last_look_found_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMER_MODELS_DIR", str(tmp_path))
    known, full = KnownModels(), model_path(FULL)
    full.touch()
    assert known.find(1) == full
    await known.look()
    assert known.find(1) == full
    for absent in ((0, False), (1, True)):
        with pytest.raises(ModelError, match="run `streamer models"):
            known.find(*absent)
    full.unlink()
    assert known.find(1) == full  # nobody has looked
    model_path(FULL, segmentation=True).touch()
    await known.look()
    assert known.find(1, True) == find_model(1, True)
    with pytest.raises(ModelError):
        known.find(1)


async def test_known_models_stay_known_while_their_disk_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMER_MODELS_DIR", str(tmp_path))
    model_path(FULL).touch()
    known, back = KnownModels(), Event()
    await known.look()
    monkeypatch.setattr(models, "LOOK_S", 0.05)
    monkeypatch.setattr(type(tmp_path), "is_file", lambda path: back.wait(PATIENCE_S))
    await known.look()
    assert known.find(1) == model_path(FULL)
    back.set()
