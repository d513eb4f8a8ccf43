"""USB cameras: which there are, which may be opened, and what their errors mean. There is no camera on the
machine that runs the tests: what opening a real one does is not tested here."""

import asyncio
import errno
import itertools
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
from pydantic import ValidationError

from streamer.aio import cancel_and_wait
from streamer.config import UsbSource
from streamer.errors import (
    SourceError,
    SourceLost,
    SourceStalled,
    SourceUnreachable,
    SourceUnusable,
)
from streamer.sources import usb
from streamer.sources.usb import UsbCamera, list_devices, open_device
from tests.fakes import PATIENCE_S
from tests.rigs.clips import Clips
from tests.rigs.recorder import Recorder


def add_node(sysfs: Path, node: str, name: str, index: str = "0") -> None:
    (sysfs / node).mkdir(parents=True)
    (sysfs / node / "name").write_text(f"{name}\n")
    (sysfs / node / "index").write_text(f"{index}\n")


def test_devices_are_listed_by_number_without_the_nodes_that_give_no_pictures(
    tmp_path: Path,
) -> None:
    add_node(tmp_path, "video10", "Tenth")
    add_node(tmp_path, "video2", "Desk camera: USB 2.0")
    add_node(tmp_path, "video3", "Desk camera: USB 2.0", index="1")
    add_node(tmp_path, "v4l-subdev0", "no camera")
    (tmp_path / "video11").mkdir()  # pulled out while we look
    assert list_devices(tmp_path) == [
        {"device": "/dev/video2", "name": "Desk camera: USB 2.0"},
        {"device": "/dev/video10", "name": "Tenth"},
        {"device": "/dev/video11", "name": "video11"},
    ]


def test_machine_without_video4linux_has_no_devices(tmp_path: Path) -> None:
    assert list_devices(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    "device", ["/dev/video0", "/dev/video63", "/dev/v4l/by-id/usb-Acme_C920-video-index0"]
)
def test_cameras_device_is_taken(device: str) -> None:
    assert UsbCamera(UsbSource(device=device)).shown == {"type": "usb", "device": device}


@pytest.mark.parametrize(
    "device",
    [
        "/dev/sda",
        "/dev/video",
        "/dev/video0x",
        "/dev/video0\n",
        "/dev/video0/../sda",
        "/dev/v4l/by-id/../../sda",
        "/dev/v4l/by-id/a/b",
        "/dev/v4l/by-id/..",
        "/dev/v4l/by-path/x",
        "video0",
        "http://127.0.0.1/",
        "",
    ],
)
def test_any_other_path_is_refused(device: str) -> None:
    with pytest.raises(ValidationError):
        UsbSource(device=device)


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOENT, SourceUnreachable, "plugged in"),
        (errno.ENXIO, SourceUnreachable, "plugged in"),
        (errno.ENODEV, SourceLost, "plug the camera in anew"),
        (errno.EACCES, SourceUnusable, "group video"),
        (errno.EBUSY, SourceUnusable, "in use by another program"),
        (errno.ENOTTY, SourceUnusable, "is no camera"),
        (errno.EINVAL, SourceUnusable, "no such size, fps or format"),
        (errno.ENOMEM, SourceUnusable, "memory"),
        (None, SourceUnusable, "can't be opened"),
    ],
)
def test_each_error_of_a_camera_says_what_to_do(
    number: int | None, kind: type[SourceError], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise av.error.OSError(number, "as the kernel says") if number else OSError("nothing")

    monkeypatch.setattr(av, "open", fail)
    with pytest.raises(kind, match=words) as caught:
        open_device(UsbSource(device="/dev/video0", size="1280x720"))
    assert "/dev/video0" in str(caught.value)


def test_options_reach_ffmpeg_under_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(av, "open", lambda *args, **kwargs: asked.append((args, kwargs)))
    open_device(UsbSource(device="/dev/video0", size="1280x720", fps=30.0, format="mjpeg"))
    open_device(UsbSource(device="/dev/video1"))
    options = {"video_size": "1280x720", "framerate": "30", "input_format": "mjpeg"}
    assert asked == [
        (("/dev/video0",), {"format": "v4l2", "options": options}),
        (("/dev/video1",), {"format": "v4l2", "options": {}}),
    ]


def real(path: str) -> Callable[..., Any]:
    """FFmpeg's own Video4Linux input on another path than the one that was allowed."""
    really = av.open
    return lambda _, **kwargs: really(path, **kwargs)


async def test_device_that_is_no_camera_is_told_by_the_kernel_itself(
    in_this_process: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(av, "open", real("/dev/null"))
    with pytest.raises(SourceUnusable, match="is no camera"):
        await UsbCamera(UsbSource(device="/dev/video0")).run(Recorder())


async def test_camera_that_is_not_there_is_told_by_the_kernel_itself(
    in_this_process: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(av, "open", real("/dev/video-that-is-not-there"))
    with pytest.raises(SourceUnreachable, match="plugged in"):
        await UsbCamera(UsbSource(device="/dev/video0")).run(Recorder())


async def test_pictures_of_a_camera_come_through_and_its_end_is_a_loss(
    in_this_process: None, monkeypatch: pytest.MonkeyPatch, clips: Clips, tmp_path: Path
) -> None:
    """A pipe into which a JPEG goes every 40 ms stands in for the camera."""
    pipe = tmp_path / "camera"
    os.mkfifo(pipe)
    really, unplugged = av.open, threading.Event()
    with really(clips.person_mjpeg) as clip:
        jpegs = [bytes(packet) for packet in clip.demux(video=0) if packet.size][:100]

    def play() -> None:
        with pipe.open("wb", buffering=0) as camera:
            for jpeg in itertools.cycle(jpegs):
                if unplugged.wait(0.04):
                    return
                camera.write(jpeg)

    quick = {"probesize": "32", "analyzeduration": "0"}
    monkeypatch.setattr(av, "open", lambda *_, **__: really(pipe, format="mjpeg", options=quick))
    player = threading.Thread(target=play)
    player.start()
    recorder = Recorder()
    running = asyncio.create_task(UsbCamera(UsbSource(device="/dev/video0")).run(recorder))
    try:
        await asyncio.wait_for(recorder.frames_come(5), PATIENCE_S)
    finally:
        unplugged.set()
    with pytest.raises(SourceLost):
        await running
    await asyncio.to_thread(player.join)
    assert (recorder.videos[0].codec, recorder.videos[0].width) == ("mjpeg", 640)
    assert recorder.packets == [], "no viewer decodes MJPEG"


async def test_camera_that_gives_no_pictures_is_stalled_and_left_behind_once(
    in_this_process: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    go_on = threading.Event()
    opened: list[object] = []

    def hang(*device: object, **__: object) -> None:
        opened.append(device)
        go_on.wait()
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    monkeypatch.setattr(av, "open", hang)
    monkeypatch.setattr(usb, "OPEN_TIMEOUT_S", 0.05)
    monkeypatch.setattr(usb, "GOODBYE_S", 0.05)
    with pytest.raises(SourceStalled, match="plug it in anew"):
        await UsbCamera(UsbSource(device="/dev/video0")).run(Recorder())
    assert "hangs in the system" in caplog.text
    for _ in range(2):  # no worker has died, and none is started beside it
        with pytest.raises(SourceStalled, match="hangs in the system"):
            await UsbCamera(UsbSource(device="/dev/video0")).run(Recorder())
    assert len(opened) == 1
    go_on.set()
    running = asyncio.create_task(UsbCamera(UsbSource(device="/dev/video0")).run(Recorder()))
    await cancel_and_wait(running)
