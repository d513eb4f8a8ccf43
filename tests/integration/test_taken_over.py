"""Children of each role that were taken over: beyond what their work needs they reach nothing of ours."""

import asyncio
import contextlib
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from streamer.aio import cancel_and_wait, in_daemon_thread
from streamer.config import (
    FilesConfig,
    FileSource,
    PoseConfig,
    RtspConfig,
    RtspSource,
    UsbSource,
    WorkersConfig,
)
from streamer.errors import DecoderDied, EstimatorError, StreamerError
from streamer.isolation.child import Child
from streamer.isolation.landlock import NOTHING, Rights, version
from streamer.isolation.nursery import environment, nursery
from streamer.isolation.roles import ROLES
from streamer.model import Packet
from streamer.pose.models import find_model
from streamer.pose.remote import RemoteEstimator
from streamer.sources.file import FileCamera
from streamer.sources.rtsp import RtspCamera
from streamer.sources.usb import UsbCamera
from streamer.webrtc.decoding import VideoDecoder
from tests.rigs import taken_over
from tests.rigs.certificate import make_certificate
from tests.rigs.clips import Clips
from tests.rigs.recorder import Recorder
from tests.rigs.rtsp import RtspServer

LANDLOCK = version()
"""An older one leaves ports (before 4, Linux 6.7) and signals and abstract sockets (6, Linux 6.12) open."""

ON_TCP = "EACCES" if LANDLOCK >= 4 else "done"
ON_OTHERS = "EPERM" if LANDLOCK >= 6 else "done"

WORKERS = WorkersConfig(hang_timeout_s=20.0)

Told = dict[str, str]
Report = Callable[..., Told]


@pytest.fixture(autouse=True, scope="module")
def machine_has_landlock() -> None:
    assert LANDLOCK >= 1, "run these tests on Linux 5.13 or newer, with Landlock"


@pytest.fixture
def others() -> Iterator[dict[str, Any]]:
    """What belongs to others on this machine: a listening port, an abstract socket."""
    with contextlib.ExitStack() as stack:
        door = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        bus = stack.enter_context(socket.socket(socket.AF_UNIX))
        name = f"streamer-test-{os.getpid()}"
        bus.bind(f"\0{name}")
        bus.listen()
        yield {"port": door.getsockname()[1], "name": name}


@pytest.fixture
def secrets(tmp_path: Path) -> list[str]:
    """What a child must never read: tokens and configuration as the service has them, and the system's."""
    for name in ("tokens.json", "streamer.toml", "key.pem"):
        (tmp_path / name).write_text("s3cret")
        (tmp_path / name).chmod(0o600)
    ours = [str(each) for each in sorted(tmp_path.iterdir())]
    return [*ours, "/etc/passwd", f"/proc/{os.getpid()}/environ", f"/proc/{os.getpid()}/mem"]


@pytest.fixture
def try_it(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Sets what each child will try, once it is taken over, and all children are."""
    for role in ROLES:
        monkeypatch.setitem(ROLES, role, "tests.rigs.taken_over")

    def begin(**orders: Sequence[Any]) -> None:
        wanted = {name.replace("_", " "): list(those) for name, those in orders.items()}
        monkeypatch.setenv(taken_over.ORDERS, json.dumps(wanted))
        nursery.close()  # a fresh one inherits that

    yield begin
    nursery.close()


@pytest.fixture
def report(caplog: pytest.LogCaptureFixture) -> Report:
    """What the last child told of its tries; all of its threads are held alike."""

    def read() -> Told:
        found = re.findall(r"Report: (\[.*\])", caplog.text)
        first, other = json.loads(found[-1])
        assert first == other
        told: Told = first
        return told

    return read


def of_all(secrets: list[str], others: dict[str, Any]) -> dict[str, list[Any]]:
    """What no child of any role needs."""
    return {
        "read": secrets,
        "write": secrets[:1],
        "make": [str(Path(secrets[0]).parent / "new")],
        "list": ["/", "/proc"],
        "run": ["/bin/true"],
        "connect": [others["port"]],
        "listen": [0],
        "speak": [others["name"]],
        "signal": [os.getpid()],
        "signal_parent": [0],  # the fork server
        "signal_itself": [0],
    }


def assert_held(told: Told) -> None:
    expected = {"connect": ON_TCP, "listen": ON_TCP, "signal itself": "done"}
    expected |= dict.fromkeys(("signal", "signal parent", "speak"), ON_OTHERS)
    kinds = {tried: tried.rpartition(" ")[0] for tried in told}
    assert told == {tried: expected.get(kind, "EACCES") for tried, kind in kinds.items()}
    assert set(expected) < set(kinds.values())


def test_estimator_reads_its_models_and_nothing_else(
    try_it: Callable[..., None], report: Report, secrets: list[str], others: dict[str, Any]
) -> None:
    try_it(**of_all(secrets, others))
    with pytest.raises(EstimatorError):
        RemoteEstimator("test", find_model, PoseConfig(), WORKERS)
    assert_held(report())
    model = find_model(1)
    try_it(read=[str(model), "/proc/cpuinfo"], write=[str(model)])
    with pytest.raises(EstimatorError):
        RemoteEstimator("test", find_model, PoseConfig(), WORKERS)
    told = report()
    assert told == {
        f"read {model}": "done",
        "read /proc/cpuinfo": "done",
        f"write {model}": "EACCES",
    }


async def test_publishers_decoder_reaches_nothing(
    try_it: Callable[..., None], report: Report, secrets: list[str], others: dict[str, Any]
) -> None:
    try_it(**of_all([*secrets, str(find_model(1)), "/dev/urandom"], others))
    loop, anew = asyncio.get_running_loop(), asyncio.Event()

    def ask_for_keyframe() -> None:
        loop.call_soon_threadsafe(anew.set)

    decoder = VideoDecoder(Recorder(), ask_for_keyframe, "door", WORKERS)
    running = in_daemon_thread("video-decoder", decoder.run)
    decoder.put(Packet(b"key", "vp8", 0, True, time.monotonic()))
    await anew.wait()
    decoder.close()
    await asyncio.wrap_future(running)
    assert_held(report())


async def test_cameras_child_connects_to_our_relay_alone(
    try_it: Callable[..., None],
    report: Report,
    secrets: list[str],
    others: dict[str, Any],
    clips: Clips,
) -> None:
    with RtspServer({"/door": clips.person}) as server:
        tries = of_all(secrets, others)
        tries["connect"].append(server.port)  # the camera itself: only the service goes there
        try_it(**tries)
        source = RtspSource(url=server.url("/door"))
        with pytest.raises(DecoderDied):
            await RtspCamera(source, RtspConfig(), WORKERS).run(Recorder())
    assert_held(report())


async def test_files_child_reads_that_file_alone(
    try_it: Callable[..., None],
    report: Report,
    secrets: list[str],
    others: dict[str, Any],
    tmp_path: Path,
) -> None:
    for name in ("clip.mp4", "beside.mp4"):
        (tmp_path / name).write_bytes(b"video")
    clip = str(tmp_path / "clip.mp4")
    camera = FileCamera(FileSource(path=clip), FilesConfig(folders=[str(tmp_path)]), WORKERS)
    try_it(**of_all([*secrets, str(tmp_path / "beside.mp4")], others))
    with pytest.raises(DecoderDied):
        await camera.run(Recorder())
    assert_held(report())
    try_it(read=[clip], write=[clip])
    with pytest.raises(DecoderDied):
        await camera.run(Recorder())
    assert report() == {f"read {clip}": "done", f"write {clip}": "EACCES"}


async def test_usb_cameras_child_reaches_no_other_device(
    try_it: Callable[..., None], report: Report, secrets: list[str], others: dict[str, Any]
) -> None:
    try_it(**of_all([*secrets, "/dev/zero"], others))
    with pytest.raises(StreamerError):
        await UsbCamera(UsbSource(device="/dev/video0"), WORKERS).run(Recorder())
    assert_held(report())


async def _pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError), contextlib.closing(sink):
        while chunk := await source.read(1 << 16):
            sink.write(chunk)


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps"])
async def test_camera_with_a_name_and_with_tls_plays_all_the_same(
    clips: Clips, tmp_path: Path, scheme: str
) -> None:
    """Names and TLS are the service's business."""
    with RtspServer({"/door": clips.person}) as server:

        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there = await asyncio.open_connection("127.0.0.1", server.port)
            await asyncio.gather(_pipe(reader, there[1]), _pipe(there[0], writer))

        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*make_certificate(tmp_path, "localhost"))
        async with await asyncio.start_server(carry, "127.0.0.1", 0, ssl=tls) as door:
            port = door.sockets[0].getsockname()[1] if scheme == "rtsps" else server.port
            camera = RtspCamera(
                RtspSource(url=f"{scheme}://localhost:{port}/door"), RtspConfig(), WORKERS
            )
            recorder = Recorder()
            playing = asyncio.create_task(camera.run(recorder))
            coming = asyncio.create_task(recorder.frames_come(5))
            await asyncio.wait({playing, coming}, return_when=asyncio.FIRST_COMPLETED)
            await cancel_and_wait(playing, coming)
    assert len(recorder.frames) >= 5


@pytest.mark.parametrize(
    ("rights", "expected"),
    [(NOTHING, ["EACCES", "EACCES"]), (Rights(devices=("/dev/zero",)), ["done", "ENOTTY"])],
)
def test_device_may_be_written_to_and_steered_by_whom_it_was_given(
    try_it: Callable[..., None], report: Report, rights: Rights, expected: list[str]
) -> None:
    try_it(write=["/dev/zero"], steer=["/dev/zero"])
    child = Child("camera", "test", rights, WORKERS)
    with contextlib.closing(child):
        child.start()
        child.send({})
        with pytest.raises(StreamerError):
            child.receive(20.0)
    assert list(report().values()) == expected
    assert child.pid not in (0, os.getpid())


@pytest.mark.parametrize(("ports", "expected"), [((), ON_TCP), (("port",), "done")])
def test_port_may_be_connected_to_by_whom_it_was_given(
    try_it: Callable[..., None],
    report: Report,
    others: dict[str, Any],
    ports: tuple[str, ...],
    expected: str,
) -> None:
    try_it(connect=[others["port"]])
    child = Child("camera", "test", Rights(connects=tuple(others[each] for each in ports)), WORKERS)
    with contextlib.closing(child):
        child.start()
        child.send({})
        with pytest.raises(StreamerError):
            child.receive(20.0)
    assert list(report().values()) == [expected]


def test_pictures_process_reads_its_program_and_its_models_alone(
    secrets: list[str], others: dict[str, Any]
) -> None:
    tries = of_all(secrets, others) | {"list": ["/", "/root", "/home"], "signal_parent": []}
    model = str(find_model(1))
    tries["read"] = [*tries["read"], str(Path.cwd() / "config" / "streamer.toml")]
    tries["read"].remove("/etc/passwd")
    orders = {name.replace("_", " "): those for name, those in tries.items() if those}
    code = f"""
import json, os, runpy, sys, types
from streamer.isolation import confinement
from tests.rigs import taken_over
narrow = confinement.narrow
def alone(rights):
    assert len(os.listdir("/proc/self/task")) == 1  # another thread would keep its rights
    narrow(rights)
confinement.narrow = alone
worker = types.ModuleType("streamer.images.worker")
def main(limits):
    print(json.dumps(taken_over._try_all({orders!r} | {{"read": {[*tries["read"], model]!r}}})))
worker.main = main
sys.modules[worker.__name__] = worker
runpy.run_module("streamer.images", run_name="__main__")
"""
    command = [sys.executable, "-P", "-c", code, "1000", "1000", str(Path(model).parent)]
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment())
    told = json.loads(ended.stdout)
    assert told.pop(f"read {model}") == "done"
    assert_held(told | {"signal parent 0": ON_OTHERS})
