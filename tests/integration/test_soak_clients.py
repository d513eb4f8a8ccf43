"""What the long runs read with, on a service whose camera is in the test's hands."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chaos.stage import Reader, running
from tests.fakes import PATIENCE_S, RecordingSink, make_frame
from tests.in_process import Http, Service, serving
from tests.soak.clients import Tally, read_events, read_mjpeg, read_websocket, scrape, visit

CAMERA = {"type": "rtsp", "url": "rtsp://127.0.0.1:9/a"}
FRAMES = 40


@pytest.fixture
async def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


@pytest.fixture
async def http(service: Service) -> AsyncIterator[Http]:
    async with serving(service) as http:
        yield http


async def play(service: Service, sink: RecordingSink) -> None:
    """Frame after frame, each once the one before is through, for ever."""
    count = 0
    while True:
        count += 1
        service.cameras[0].put(make_frame(count * 3000))
        await sink.results_come(count)


async def test_every_client_sees_the_frames_without_a_gap(service: Service, http: Http) -> None:
    await http.post("/api/v1/streams", json={"id": "cam", "source": CAMERA})
    sink = RecordingSink()
    service.streams.get("cam").session.subscribe(sink)
    await service.cameras[0].connected()
    tallies = [Tally() for _ in range(3)]
    url = str(http.make_url("")).rstrip("/")
    stream = f"{url}/api/v1/streams/cam"
    reader, visited, scraped = Reader("cam"), Tally(), Tally()
    websocket, events, mjpeg = tallies
    reading = (
        reader.run(http.session, url),
        read_websocket(http.session, stream, websocket),
        read_events(http.session, stream, events),
        read_mjpeg(http.session, stream, mjpeg),
    )
    async with running(*reading, play(service, sink)), asyncio.timeout(2 * PATIENCE_S):
        await visit(http.session, f"{url}/whep/cam", 0.1, visited)
        await scrape(http.session, url, scraped)
        while min(tally.done for tally in tallies) < 5:
            await reader.first(lambda _: True)
    assert (visited, scraped) == (Tally(done=1), Tally(done=1))
    assert all(tally.gaps == 0 and tally.broken == 0 for tally in tallies)
    assert len(reader.seen) >= 5
    assert (reader.seen[-1].epoch, reader.seen[-1].width, reader.seen[-1].height) == (1, 64, 48)
