"""The event loop is never blocked: nothing that waits runs on it, and nothing heavy may."""

import asyncio
import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from blockbuster import BlockBuster, BlockingError

from streamer.app import check_models, make_estimator
from streamer.pose.models import Complexity, KnownModels, ensure_models
from streamer.state import StateFile
from tests.decoded import decode
from tests.in_process import Camera, Service, WebcamPeer, serving
from tests.rigs.pictures import file_of, person_picture

JPEG = {"Content-Type": "image/jpeg"}


@contextlib.contextmanager
def no_blocking(caught: list[BaseException]) -> Iterator[None]:
    """Every call of ours that would block the event loop raises; ``caught`` gets those that a task
    or a callback swallowed."""
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(
        lambda _, context: caught.append(context.get("exception", Exception(context["message"])))
    )
    # aiortc and the test's own peer run on this loop too: only what streamer calls is judged.
    blocker = BlockBuster(scanned_modules=["streamer"])
    # It comes here through our hardening; of our own peers the receiver is taken over (receiving.py).
    blocker.functions["threading.Lock.acquire"].can_block_in("rtcrtpreceiver.py", "__stop_decoder")
    blocker.activate()
    try:
        yield
    finally:
        blocker.deactivate()
        loop.set_exception_handler(before)


async def test_blocking_call_on_the_loop_would_be_noticed(tmp_path: Path) -> None:
    """The proof that the next test can fail."""
    with no_blocking([]), pytest.raises(BlockingError):
        StateFile(tmp_path / "streams.json").save([])
    with no_blocking([]):
        await asyncio.to_thread(StateFile(tmp_path / "streams.json").save, [])


async def test_whole_life_of_a_peer_and_a_camera_blocks_nothing(
    tmp_path: Path, person_clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ensure_models([Complexity.FULL])
    models = KnownModels()
    service = Service(
        tmp_path, estimator=make_estimator, check_models=partial(check_models, find=models.find)
    )
    service.services.model, service.services.look_for_models = models.find, models.look
    await models.look()  # as the service does when it starts
    caught: list[BaseException] = []
    async with serving(service) as http:
        with no_blocking(caught):
            peer = WebcamPeer(Camera(await asyncio.to_thread(decode, person_clip, 30)))
            await peer.join(http)
            await peer.plays(frames=20, poses=20)
            assert any(message["poses"] for message in peer.poses)
            camera = {"source": {"type": "rtsp", "url": "rtsp://127.0.0.1:9/"}, "id": "door"}
            assert (await http.post("/api/v1/streams", json=camera)).status == 201
            patch = {"pose": {"num_poses": 2}}
            assert (await http.patch("/api/v1/streams/door", json=patch)).status == 200
            assert (await http.post("/api/v1/streams/door/restart")).status == 200
            assert (await http.get("/api/v1/streams")).status == 200
            assert (await http.get("/")).status == 200
            picture = await asyncio.to_thread(person_picture, person_clip)
            upload = await http.post("/upload", data=file_of(picture, "JPEG"), headers=JPEG)
            assert upload.status == 200
            assert (await http.delete("/api/v1/streams/door")).status == 204
            assert (await http.delete(peer.location)).status == 200
            await peer.close()
            await service.close()
    assert [error for error in caught if isinstance(error, BlockingError)] == []
    assert "BlockingError" not in caplog.text
