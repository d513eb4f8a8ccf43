"""The waiting room before the process that analyses pictures."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from streamer.config import ImagesConfig
from streamer.errors import LimitReached
from streamer.images.job import Analysis, Job
from streamer.images.process import PictureProcess
from streamer.images.service import Images
from tests.fakes import PATIENCE_S, RecordingSink, make_frame
from tests.in_process import Http, Service, has_connection, limit, serving

JOB = Job("model", 1, 0.5)
JPEG = {"Content-Type": "image/jpeg"}


class FakeProcess(PictureProcess):
    """Answers when the test lets it."""

    def __init__(self) -> None:
        super().__init__(ImagesConfig())
        self.begun: list[bytes] = []
        self.ended: list[bytes] = []
        self.rests = 0
        self.drawn = b""
        self.is_closed = False
        self.news = asyncio.Event()
        self._open = asyncio.Event()

    async def analyse(self, picture: bytes | bytearray, job: Job) -> Analysis:
        self.begun.append(bytes(picture))
        self.news.set()
        await self._open.wait()
        self.ended.append(bytes(picture))
        self.news.set()
        return Analysis(4, 3, 0, "[]", self.drawn)

    def let_go(self) -> None:
        self._open.set()

    def rest(self) -> None:
        self.rests += 1
        self.news.set()

    async def close(self) -> None:
        self.is_closed = True

    async def comes_to(self, count: int, what: list[bytes]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(what) < count:
                self.news.clear()
                await self.news.wait()


@pytest.fixture
async def process() -> FakeProcess:
    return FakeProcess()


@contextlib.asynccontextmanager
async def room(process: FakeProcess, config: ImagesConfig) -> AsyncIterator[Images]:
    images = Images(config, process)
    try:
        yield images
    finally:
        await images.close()
    assert process.is_closed


async def test_pictures_are_analysed_one_at_a_time_in_their_order(process: FakeProcess) -> None:
    async with room(process, ImagesConfig()) as images:
        jobs = [asyncio.create_task(images.analyse(name, JOB)) for name in (b"a", b"b", b"c")]
        await process.comes_to(1, process.begun)
        await asyncio.sleep(0)
        assert process.begun == [b"a"]
        process.let_go()
        await asyncio.gather(*jobs)
        assert process.begun == process.ended == [b"a", b"b", b"c"]


async def test_who_leaves_while_waiting_is_never_analysed(process: FakeProcess) -> None:
    async with room(process, ImagesConfig()) as images:
        first, gone, last = (
            asyncio.create_task(images.analyse(name, JOB)) for name in (b"a", b"gone", b"c")
        )
        await process.comes_to(1, process.begun)
        gone.cancel()
        process.let_go()
        await asyncio.gather(first, last)
        assert process.begun == [b"a", b"c"] and gone.cancelled()


async def test_who_leaves_during_the_work_holds_up_nobody_and_mixes_no_answers(
    process: FakeProcess,
) -> None:
    async with room(process, ImagesConfig()) as images:
        gone, last = (asyncio.create_task(images.analyse(name, JOB)) for name in (b"a", b"b"))
        await process.comes_to(1, process.begun)
        gone.cancel()
        await asyncio.sleep(0)
        assert process.begun == [b"a"]  # the process is still at it
        process.let_go()
        await last
        assert process.ended == [b"a", b"b"]


async def test_place_is_given_back_whatever_happens(process: FakeProcess) -> None:
    images = Images(ImagesConfig(max_waiting=1), process)
    with images.place(), images.place():
        with pytest.raises(LimitReached), images.place():
            pass
        with contextlib.suppress(ValueError), contextlib.suppress(LimitReached), images.place():
            raise ValueError
    with images.place(), images.place():
        pass


async def test_process_rests_after_a_while_without_pictures_and_not_before(
    process: FakeProcess,
) -> None:
    process.let_go()
    async with room(process, ImagesConfig(keep_s=0.0)) as images:
        await images.analyse(b"a", JOB)
        async with asyncio.timeout(PATIENCE_S):
            while not process.rests:
                process.news.clear()
                await process.news.wait()
    async with room(process, ImagesConfig(keep_s=3600.0)) as images:
        await images.analyse(b"a", JOB)
    assert process.rests == 1


async def test_closing_in_the_middle_of_the_work_ends_it(process: FakeProcess) -> None:
    async with room(process, ImagesConfig()) as images:
        work = asyncio.create_task(images.analyse(b"a", JOB))
        await process.comes_to(1, process.begun)
    with pytest.raises(asyncio.CancelledError):
        await work
    assert process.ended == []


# -- over HTTP --------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def uploads(
    folder: Path, process: FakeProcess, config: ImagesConfig
) -> AsyncIterator[tuple[Http, Service]]:
    service = Service(folder)
    service.images = service.services.images = Images(config, process)
    service.services.model = lambda complexity: Path("model")
    async with serving(service) as http:
        yield http, service


async def upload(http: Http, data: bytes) -> aiohttp.ClientResponse:
    return await http.post("/upload", data=data, headers=JPEG)


async def test_full_waiting_room_says_when_to_come_back(
    tmp_path: Path, process: FakeProcess
) -> None:
    async with uploads(tmp_path, process, ImagesConfig(max_waiting=1)) as (http, _):
        jobs = [asyncio.create_task(upload(http, name)) for name in (b"a", b"b")]
        await process.comes_to(1, process.begun)
        async with asyncio.timeout(PATIENCE_S):
            while (refused := await upload(http, b"c")).status != 503:
                await refused.release()
        assert int(refused.headers["Retry-After"]) > 0
        assert (await refused.json(content_type=None))["type"].endswith(":limit-reached")
        process.let_go()
        assert [(await job).status for job in jobs] == [200, 200]
        assert (await upload(http, b"d")).status == 200
        assert b"c" not in process.begun


@contextlib.contextmanager
def taking_nothing(http: Http, process: FakeProcess) -> Iterator[tuple[str, int]]:
    """The address of a client that sends a picture and reads none of its answer, which is larger than
    what the system holds back."""
    process.drawn = bytes(1 << 24)
    process.let_go()
    head = "POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\n"
    with socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", http.port or 0))
        stuck.sendall(f"{head}Content-Length: 5\r\n\r\nstuck".encode())
        yield stuck.getsockname()


async def hung_up(http: Http, address: tuple[str, int]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while has_connection(http, address):
            await http.get("/healthz")


async def test_client_that_takes_nothing_of_its_answer_is_hung_up_on(
    tmp_path: Path, process: FakeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with uploads(tmp_path, process, ImagesConfig(max_waiting=0)) as (http, _):
        limit(http, write_timeout_s=0.2)
        with taking_nothing(http, process) as address:
            await process.comes_to(1, process.ended)
            await hung_up(http, address)
            assert (await upload(http, b"next")).status == 200


async def test_answer_keeps_its_place_until_it_is_out_or_the_server_stops(
    tmp_path: Path, process: FakeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.server.slow_readers.LAST_WRITE_TIMEOUT_S", 0.1)
    async with uploads(tmp_path, process, ImagesConfig(max_waiting=0)) as (http, _):
        limit(http, write_timeout_s=3600.0)
        with taking_nothing(http, process) as address:
            await process.comes_to(1, process.ended)
            assert (await upload(http, b"next")).status == 503
            await http.app.shutdown()
            await hung_up(http, address)


async def test_large_answer_comes_whole_with_its_length(
    tmp_path: Path, process: FakeProcess
) -> None:
    process.drawn = bytes(range(256)) * 4099
    process.let_go()
    async with uploads(tmp_path, process, ImagesConfig()) as (http, _):
        response = await http.post("/upload", data=b"a", headers=JPEG | {"Accept": "image/png"})
        assert await response.read() == process.drawn
        assert response.content_length == len(process.drawn)
        assert response.headers["X-Poses"] == "0" and response.content_type == "image/png"


async def test_upload_that_never_ends_is_given_up(tmp_path: Path, process: FakeProcess) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(PATIENCE_S)

    config = ImagesConfig(max_waiting=0, receive_timeout_s=0.2)
    async with uploads(tmp_path, process, config) as (http, service):
        response = await http.post("/upload", data=endless(), headers=JPEG)
        assert response.status == 408
        response.close()
        service.images.config = ImagesConfig(max_waiting=0)  # the next may take its time
        process.let_go()
        assert (await upload(http, b"b")).status == 200


async def places_come_to(count: int, service: Service, http: Http) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while service.images._places != count:
            await http.get("/healthz")


async def test_picture_of_a_client_that_has_gone_is_dropped_from_the_queue(
    tmp_path: Path, process: FakeProcess
) -> None:
    async with uploads(tmp_path, process, ImagesConfig(max_waiting=1)) as (http, service):
        first = asyncio.create_task(upload(http, b"a"))
        await process.comes_to(1, process.begun)
        reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
        head = "POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\n"
        writer.write(f"{head}Content-Length: 4\r\n\r\ngone".encode())
        await places_come_to(0, service, http)
        writer.close()
        await writer.wait_closed()
        await places_come_to(1, service, http)
        answer = asyncio.create_task(upload(http, b"b"))
        await places_come_to(0, service, http)
        process.let_go()
        assert (await first).status == (await answer).status == 200
        assert process.begun == [b"a", b"b"]


async def test_live_stream_loses_no_frame_while_pictures_pour_in(
    tmp_path: Path, process: FakeProcess
) -> None:
    """Every frame is processed before the next comes: whatever was dropped was the pictures' doing."""
    async with uploads(tmp_path, process, ImagesConfig(max_waiting=3)) as (http, service):
        camera = {"id": "door", "source": {"type": "rtsp", "url": "rtsp://127.0.0.1:9/a"}}
        assert (await http.post("/api/v1/streams", json=camera)).status == 201
        sink = RecordingSink()
        session = service.streams.get("door").session
        session.subscribe(sink)
        await service.cameras[0].connected()
        jobs = [asyncio.create_task(upload(http, bytes(100_000))) for _ in range(20)]
        await process.comes_to(1, process.begun)
        await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)  # one is refused
        for number in range(100):
            service.cameras[0].put(make_frame(pts=3000 * number))
            await sink.results_come(number + 1)
        process.let_go()
        assert {(await job).status for job in jobs} == {200, 503}
        stats = session.stats()
        assert (stats.frames_in, stats.frames_processed, stats.frames_dropped) == (100, 100, 0)
