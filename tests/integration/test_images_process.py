"""The process that analyses pictures: modest, bounded, and never the end of anything but one picture."""

import asyncio
import contextlib
import functools
import os
import signal
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from streamer.aio import Inquiry
from streamer.config import ImagesConfig
from streamer.errors import InvalidPicture, LimitReached, ModelError, PictureTooLarge, StreamerError
from streamer.images import process as process_module
from streamer.images.job import LENGTHS, Job
from streamer.images.process import PictureProcess
from streamer.images.worker import NICENESS
from streamer.pose.models import Complexity, ensure_models, find_model
from tests.fakes import PATIENCE_S
from tests.rigs.pictures import file_of, person_picture

PATIENT = ImagesConfig(work_timeout_s=60.0)


@pytest.fixture(scope="module")
def jpeg(person_clip: Path) -> bytes:
    ensure_models([Complexity.FULL])
    return file_of(person_picture(person_clip), "JPEG")


@pytest.fixture
def job() -> Job:
    return Job(str(find_model(1)), 5, 0.5, picture="jpeg")


@pytest.fixture
async def process() -> AsyncIterator[PictureProcess]:
    process = PictureProcess(PATIENT)
    yield process
    await process.close()


async def test_models_may_be_links(
    process: PictureProcess, jpeg: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / (model := find_model(1)).name).symlink_to(model)
    monkeypatch.setenv("STREAMER_MODELS_DIR", str(tmp_path))
    assert (await process.analyse(jpeg, Job(str(find_model(1)), 5, 0.5))).people == 1


def pid_of(process: PictureProcess) -> int:
    assert process._process is not None
    return process._process.pid


async def test_killed_in_the_middle_costs_no_picture(
    process: PictureProcess, jpeg: bytes, job: Job
) -> None:
    assert (await process.analyse(jpeg, job)).people == 1
    os.kill(pid_of(process), signal.SIGSTOP)
    work = asyncio.create_task(process.analyse(jpeg, job))
    await asyncio.sleep(0)
    os.kill(pid_of(process), signal.SIGKILL)
    assert (await work).people == 1


@pytest.mark.parametrize(
    ("number", "error", "words"),
    [
        (signal.SIGSEGV, InvalidPicture, "broke its reader"),
        (signal.SIGKILL, LimitReached, "too little memory"),
    ],
)
async def test_picture_is_blamed_for_the_second_process_that_dies_of_it_but_not_for_lack_of_memory(
    process: PictureProcess,
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    error: type[Exception],
    words: str,
) -> None:
    died = []

    async def ask(asked: asyncio.subprocess.Process, *message: Any) -> tuple[dict[str, Any], bytes]:
        asked.send_signal(number)
        died.append(asked.pid)
        return await process_module._read(asked, 0)

    monkeypatch.setattr(process_module, "_ask", ask)
    with pytest.raises(error, match=words):
        await process.analyse(b"", job)
    assert len(set(died)) == 2


@pytest.mark.parametrize(
    "answer",
    [
        LENGTHS.pack(2**32 - 1, 0),
        LENGTHS.pack(2, 2**32 - 1) + b"{}",
        LENGTHS.pack(2, 0) + b"{x",
        LENGTHS.pack(2, 0) + b"[]",
        LENGTHS.pack(100_000, 0) + b"[" * 100_000,
    ],
)
async def test_answer_that_can_not_be_true_is_the_end_of_its_process(answer: bytes) -> None:
    said = asyncio.StreamReader()
    said.feed_data(answer)
    said.feed_eof()
    process: Any = SimpleNamespace(stdout=said)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)) as refused:
        await process_module._read(process, 1000)
    assert refused.type is ConnectionError, "it waits for what can't be true"


async def test_process_that_says_nonsense_is_ended(
    process: PictureProcess, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(*_: object) -> tuple[dict[str, Any], bytes]:
        return {"width": "wide", "height": 1, "people": 0, "poses": "[]"}, b""

    monkeypatch.setattr(process_module, "_ask", ask)
    with pytest.raises(StreamerError, match="could not be analysed"):
        await process.analyse(b"", job)
    assert process._process is None


async def test_picture_that_takes_too_long_is_given_up_and_its_process_ended(
    process: PictureProcess, jpeg: bytes, job: Job
) -> None:
    await process.analyse(jpeg, job)
    stuck = pid_of(process)
    os.kill(stuck, signal.SIGSTOP)
    process._config = ImagesConfig(work_timeout_s=1.0)
    with pytest.raises(LimitReached, match="longer than 1 s"):
        await process.analyse(jpeg, job)
    process._config = PATIENT
    with pytest.raises(ProcessLookupError):
        os.kill(stuck, 0)
    assert (await process.analyse(jpeg, job)).people == 1


async def test_process_that_hangs_in_the_system_is_left_and_no_other_started_beside_it(
    process: PictureProcess, jpeg: bytes, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that reads its models from a dead disk, which nothing can end."""
    monkeypatch.setattr(process_module, "KILLED_S", 0.05)
    hanging = SimpleNamespace(
        stdin=SimpleNamespace(close=lambda: None),
        kill=lambda: None,
        communicate=asyncio.Event().wait,
        returncode=None,
    )
    stuck: Any = hanging
    process._process = stuck
    async with asyncio.timeout(PATIENCE_S):
        await process.close()
    with pytest.raises(LimitReached, match="hangs in the system"):
        await process.analyse(jpeg, job)
    assert process._process is None
    hanging.returncode = -9  # the disk is back
    assert (await process.analyse(jpeg, job)).people == 1


async def test_disk_with_models_that_does_not_answer_is_not_waited_for(
    process: PictureProcess, jpeg: bytes, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "PLACES_S", 0.05)
    back = threading.Event()
    process._places = Inquiry("models", lambda: (back.wait(PATIENCE_S), ())[1])
    with pytest.raises(LimitReached, match="does not answer"):
        await process.analyse(jpeg, job)
    back.set()


async def test_answer_that_nobody_waited_for_is_nobody_elses(
    process: PictureProcess, jpeg: bytes, job: Job
) -> None:
    await process.analyse(jpeg, job)
    work = asyncio.create_task(process.analyse(jpeg, job))
    await asyncio.sleep(0.01)
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work
    empty = file_of(Image.new("RGB", (32, 16)), "PNG")
    answer = await process.analyse(empty, job)
    assert (answer.width, answer.height, answer.people) == (32, 16, 0)


async def test_picture_that_needs_more_memory_than_it_may_is_refused_and_the_next_answered(
    process: PictureProcess, jpeg: bytes, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "MEMORY_BASE_BYTES", 420 << 20)
    monkeypatch.setattr(process_module, "MEMORY_BYTES_PER_PIXEL", 0)
    assert (await process.analyse(jpeg, job)).people == 1
    large = file_of(Image.new("RGBA", (5000, 5000)), "PNG", compress_level=1)
    with pytest.raises((PictureTooLarge, InvalidPicture)):
        await process.analyse(large, job)
    assert (await process.analyse(jpeg, job)).people == 1


async def test_missing_model_and_broken_picture_are_told_apart(
    process: PictureProcess, jpeg: bytes, job: Job, tmp_path: Path
) -> None:
    (tmp_path / "broken.task").write_bytes(b"no model")
    with pytest.raises(ModelError, match="broken.task"):
        await process.analyse(jpeg, Job(str(tmp_path / "broken.task"), 1, 0.5))
    with pytest.raises(InvalidPicture):
        await process.analyse(b"no picture", job)
    assert (await process.analyse(jpeg, job)).people == 1


async def test_it_rests_and_starts_anew_for_the_next_picture(
    process: PictureProcess, jpeg: bytes, job: Job
) -> None:
    await process.analyse(jpeg, job)
    first = pid_of(process)
    process.rest()
    assert (await process.analyse(jpeg, job)).people == 1
    assert pid_of(process) != first


async def test_closing_leaves_no_process_and_twice_is_safe(
    process: PictureProcess, jpeg: bytes, job: Job
) -> None:
    await process.analyse(jpeg, job)
    pid = pid_of(process)
    await process.close()
    await process.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_its_landmarkers_are_few_however_many_options_are_tried(
    process: PictureProcess, jpeg: bytes, job: Job
) -> None:
    counts = []
    for share in range(12):
        tried = Job(job.model, 1 + share % 8, 0.3 + share / 100)
        await process.analyse(jpeg, tried)
        counts.append(len(_threads(pid_of(process))))
    assert max(counts[6:]) <= max(counts[:6])


@pytest.mark.parametrize("service", [0, NICENESS + 2])
async def test_all_its_threads_yield_to_the_live_streams(
    process: PictureProcess, jpeg: bytes, job: Job, monkeypatch: pytest.MonkeyPatch, service: int
) -> None:
    """Of a service that yields more, they do as it does: nobody but root goes back."""
    service = service if os.geteuid() == 0 else max(service, _of_this_thread())
    as_the_service = functools.partial(os.setpriority, os.PRIO_PROCESS, 0, service)
    start = functools.partial(asyncio.create_subprocess_exec, preexec_fn=as_the_service)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", start)
    await process.analyse(jpeg, job)
    niceness = {int(stat.rpartition(")")[2].split()[16]) for stat in _threads(pid_of(process))}
    assert niceness == {max(NICENESS, service)}
    assert os.getpriority(os.PRIO_PROCESS, 0) == _of_this_thread()


def _threads(pid: int) -> list[str]:
    return [file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/stat")]


def _environment(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def _of_this_thread() -> int:
    stat = Path(f"/proc/self/task/{os.getpid()}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[16])


async def test_settings_of_the_server_do_not_reach_it(
    process: PictureProcess, jpeg: bytes, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMER_SERVER__TOKEN", "0123456789-s3cret-token")
    await process.analyse(jpeg, job)
    environment = _environment(pid_of(process))
    assert b"PYTHONPATH" in environment and b"STREAMER_" not in environment
