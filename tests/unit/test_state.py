"""The cameras that outlive a restart: kept whole, private, and never a reason not to start."""

import asyncio
import json
import os
import stat
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from streamer.config import FileSource, PoseConfig, RtspSource, StreamConfig, UsbSource
from streamer.state import Memory, StateFile, default_state_file
from tests.fakes import PATIENCE_S

SECRET = "hunter2"
DOOR = StreamConfig(
    id="door",
    source=RtspSource(url="rtsp://10.0.0.1/a", username="u", password=SECRET, transport="udp"),
    pose=PoseConfig(num_poses=2, min_detection_confidence=0.25),
)
YARD = StreamConfig(id="yard", source=RtspSource(url=f"rtsp://u:{SECRET}@10.0.0.2/"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "down" / "streams.json"


def test_what_was_saved_is_loaded(path: Path) -> None:
    StateFile(path).save([DOOR, YARD])
    assert StateFile(path).load() == [DOOR, YARD]


def test_what_a_power_cut_left_is_removed_and_a_write_under_way_is_not(path: Path) -> None:
    StateFile(path).save([DOOR])
    left, under_way, others = (
        path.with_name(name)
        for name in (".streams.json.1x2y.part", ".streams.json.3z.part", ".notes.1x2y.part")
    )
    for each in (left, under_way, others):
        each.write_text(SECRET)
    for each in (left, others):
        os.utime(each, (0, 0))
    StateFile(path).save([YARD])
    assert {each.name for each in path.parent.iterdir()} == {
        path.name,
        under_way.name,
        others.name,
    }


def test_what_a_write_that_is_cut_off_leaves_is_known_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCut(BaseException):
        """Nothing is done after it."""

    def cut(*_: object) -> None:
        raise PowerCut

    StateFile(path).save([DOOR])
    with monkeypatch.context() as now:
        now.setattr(os, "replace", cut)
        with pytest.raises(PowerCut):
            StateFile(path).save([YARD])
    assert len(list(path.parent.iterdir())) == 2
    for each in path.parent.iterdir():
        os.utime(each, (0, 0))
    StateFile(path).save([YARD])
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_file_from_before_there_were_other_sources_is_loaded(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps([{"id": "door", "source": {"url": "rtsp://10.0.0.1/a"}}]))
    assert StateFile(path).load() == [
        StreamConfig(id="door", source=RtspSource(url="rtsp://10.0.0.1/a"))
    ]


def test_every_kind_of_source_is_saved_and_loaded(path: Path) -> None:
    cameras = [
        StreamConfig(id="clip", source=FileSource(path="a.mp4", loop=False)),
        StreamConfig(id="desk", source=UsbSource(device="/dev/video0", fps=30.0, format="mjpeg")),
        DOOR,
    ]
    StateFile(path).save(cameras)
    assert StateFile(path).load() == cameras


def test_nothing_saved_is_nothing_loaded(path: Path) -> None:
    assert StateFile(path).load() == []
    assert not path.parent.exists()


def test_saving_replaces_what_was_there(path: Path) -> None:
    state = StateFile(path)
    state.save([DOOR, YARD])
    state.save([])
    assert state.load() == []


def test_only_the_owner_may_read_the_passwords(path: Path) -> None:
    before = os.umask(0)
    try:
        StateFile(path).save([DOOR])
        StateFile(path).save([DOOR, YARD])
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_but_the_file_is_left_in_the_folder(path: Path) -> None:
    StateFile(path).save([DOOR])
    assert [each.name for each in path.parent.iterdir()] == ["streams.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"5",
        b'{"id": "door"}',
        b'["door"]',
        b'[{"id": "door"}]',
        json.dumps([{"id": "Door!", "source": {"url": f"rtsp://u:{SECRET}@h/"}}]).encode(),
        json.dumps([{"id": "d", "source": {"password": SECRET}}]).encode(),
        b"\xff\xfe\x00",
        b"[" * 100_000,
    ],
)
def test_unreadable_file_is_told_and_kept_aside(
    path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert StateFile(path).load() == []
    assert str(path) in caplog.text
    assert SECRET not in caplog.text
    assert path.with_suffix(".unreadable").read_bytes() == content
    StateFile(path).save([DOOR])
    assert StateFile(path).load() == [DOOR]


def test_good_cameras_beside_a_bad_one_are_loaded_and_the_file_kept_aside(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir(parents=True)
    bad = {"id": "Bad!", "source": {"url": f"rtsp://u:{SECRET}@h/"}}
    content = json.dumps([DOOR.model_dump(), bad, YARD.model_dump()])
    path.write_text(content)
    state = StateFile(path)
    assert state.load() == [DOOR, YARD]
    assert path.read_text() == content  # a kill now loses nobody
    state.save([DOOR, YARD])
    assert path.with_suffix(".unreadable").read_text() == content
    assert "camera 1: id" in caplog.text and SECRET not in caplog.text


@pytest.fixture
def full_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """From here on nothing more can be written: what a write meets on a full disk, for root too."""

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    yield
    monkeypatch.undo()


def test_full_disk_is_told_and_leaves_the_old_file_whole(
    path: Path, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    StateFile(path).save([DOOR])
    request.getfixturevalue("full_disk")
    StateFile(path).save([DOOR, YARD])
    assert "No space left" in caplog.text and SECRET not in caplog.text
    assert StateFile(path).load() == [DOOR]
    assert [each.name for each in path.parent.iterdir()] == ["streams.json"]


def test_folder_that_can_not_be_made_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    state = StateFile(tmp_path / "file" / "streams.json")
    state.save([DOOR])
    assert "can't be remembered" in caplog.text
    assert state.load() == []


def test_file_lies_in_the_xdg_state_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
    assert default_state_file() == Path("/xdg/streamer/streams.json")
    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.setenv("HOME", "/home/me")
    assert default_state_file() == Path("/home/me/.local/state/streamer/streams.json")


async def test_of_many_changes_that_a_hanging_disk_holds_up_only_the_newest_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, back, written = StateFile(tmp_path / "streams.json"), threading.Event(), []

    def save(cameras: Sequence[StreamConfig]) -> None:
        assert back.wait(PATIENCE_S)
        written.append(cameras)

    monkeypatch.setattr(file, "save", save)
    now: list[StreamConfig] = []
    memory, before = Memory(file, lambda: list(now)), len(asyncio.all_tasks())
    for camera in (DOOR, YARD, DOOR):
        now.append(camera)
        memory.save()
        await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before + 1
    back.set()
    await memory.written()
    assert written == [[DOOR], [DOOR, YARD, DOOR]]


async def test_event_loop_goes_on_while_the_file_is_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, went_on = StateFile(path), threading.Event()
    monkeypatch.setattr(file, "load", lambda: [DOOR] if went_on.wait(PATIENCE_S) else [])
    asyncio.get_running_loop().call_soon(went_on.set)
    assert await Memory(file, list).load() == [DOOR]
