"""Peers that come and go, with a farewell or without, leave nothing behind. Linux tells what there is."""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamer.app import EXECUTOR_THREADS  # which the pool keeps
from streamer.config import WebRtcConfig
from streamer.model import StreamState
from tests.chaos.churn import AT_ONCE, come_and_go
from tests.fakes import PATIENCE_S, RecordingSink
from tests.in_process import SDP, Service, WebcamPeer, serving
from tests.rigs.server import StreamerServer

PEERS = 25
"""`make chaos ARGS=churn` has a thousand."""

GONE_WITHIN_S = 8.0  # tests/unit/test_liveness.py counts the seconds
MARGIN_S = 12.0  # of a busy machine; a peer that is not watched stays for half a minute
MAX_GROWTH_BYTES = 48 * 2**20
StartServer = Callable[..., StreamerServer]
# A publisher that vanished may come back to its stream; here nobody does.
CONFIG = "[server]\nmax_streams = 40\n[webrtc]\nresume_timeout_s = 0.1\nconnect_timeout_s = 60.0\n"
QUICK = WebRtcConfig(resume_timeout_s=0.1, connect_timeout_s=60.0)


def comes_back_to(expected: int, now: Callable[[], int]) -> bool:
    """Another process sends no events: look until it is so."""
    deadline = time.monotonic() + PATIENCE_S
    while now() > expected and time.monotonic() < deadline:
        time.sleep(0.1)
    return now() <= expected


async def test_peers_leave_no_threads_sockets_or_memory_behind(server: StartServer) -> None:
    streamer = await asyncio.to_thread(lambda: server(CONFIG, alone=True))
    threads, fds = streamer.threads() + EXECUTOR_THREADS, streamer.fds()
    await come_and_go(streamer.url, 4 * AT_ONCE)  # from here on caches and arenas are filled
    assert await asyncio.to_thread(comes_back_to, fds, streamer.fds)
    assert await asyncio.to_thread(comes_back_to, threads, streamer.threads)
    memory_bytes = streamer.rss_bytes()
    await come_and_go(streamer.url, PEERS)
    assert await asyncio.to_thread(comes_back_to, fds, streamer.fds)
    assert await asyncio.to_thread(comes_back_to, threads, streamer.threads)
    # The pose threads of the last peers may still be closing their networks.
    limit_bytes = memory_bytes + MAX_GROWTH_BYTES
    assert await asyncio.to_thread(comes_back_to, limit_bytes, streamer.rss_bytes)


OUR_TASKS = ("source-", "notice-", "peer-", "liveness-", "over-", "clock-", "feed-", "save-")
OUR_THREADS = ("pose-", "video-", "encode-")


async def what_is_left() -> tuple[set[str], set[str], int]:
    """The tasks and threads of the service, when those about to end have ended, and the open files."""
    ending = [task for task in asyncio.all_tasks() if is_left_over(task)]
    if ending:
        await asyncio.wait(ending, timeout=PATIENCE_S)
    for thread in threading.enumerate():
        if thread.name.startswith(OUR_THREADS):
            await asyncio.to_thread(thread.join, PATIENCE_S)
    tasks = {task.get_name() for task in asyncio.all_tasks() if is_left_over(task)}
    threads = {each.name for each in threading.enumerate() if each.name.startswith(OUR_THREADS)}
    return tasks, threads, len(os.listdir("/proc/self/fd"))


def is_left_over(task: "asyncio.Task[Any]") -> bool:
    """One of ours, or one of the libraries on behalf of a peer."""
    doing = getattr(task.get_coro(), "__qualname__", "")
    libraries = ("RTC", "Connection.", "RemoteStreamTrack")
    return task.get_name().startswith(OUR_TASKS) or doing.startswith(libraries)


async def test_tasks_and_threads_end_with_their_peers(tmp_path: Path) -> None:
    service = Service(tmp_path, webrtc=QUICK)
    async with serving(service) as http:
        warm_up = WebcamPeer()
        await warm_up.join(http)
        await warm_up.plays()
        await http.delete(warm_up.location)
        await warm_up.close()
        before = await what_is_left()
        peers = [WebcamPeer() for _ in range(6)]
        sinks = []
        for peer in peers:
            await peer.join(http)
            sinks.append(RecordingSink())
            service.streams.get(peer.stream_id).session.subscribe(sinks[-1])
        await asyncio.gather(*(peer.plays() for peer in peers))
        assert len(service.peers) == 6
        for way, peer in enumerate(peers[:4]):
            await (peer.connection.close() if way % 2 else http.delete(peer.location))
        for peer in peers[4:]:
            peer.fall_silent()
        await asyncio.gather(*(sink.state_comes(StreamState.ENDED) for sink in sinks))
        await asyncio.gather(*(peer.close() for peer in peers))
        assert await what_is_left() == before == (set(), set(), before[2])
        assert len(service.peers) == 0 and list(service.streams) == []


async def test_publisher_that_falls_silent_is_gone_within_eight_seconds(tmp_path: Path) -> None:
    service = Service(tmp_path)
    async with serving(service) as http:
        peer = WebcamPeer()
        await peer.join(http)
        await peer.plays()
        sink = RecordingSink()
        service.streams.get(peer.stream_id).session.subscribe(sink)
        silent_at = time.monotonic()
        peer.fall_silent()
        gone = asyncio.create_task(all_gone(service))
        await sink.state_comes(StreamState.RECONNECTING)
        await gone
        assert time.monotonic() - silent_at < GONE_WITHIN_S + MARGIN_S
        assert service.streams.has(peer.stream_id)  # it may come back
        await peer.close()


async def all_gone(service: Service) -> None:
    """Returns when the last peer has been cleaned up."""
    done = asyncio.Event()
    for peer in tuple(service.peers._peers.values()):
        peer.on_close(done.set)
    await done.wait()


async def test_viewer_that_falls_silent_is_gone_within_eight_seconds(tmp_path: Path) -> None:
    service = Service(tmp_path)
    async with serving(service) as http:
        publisher, viewer = WebcamPeer(), WebcamPeer()
        await publisher.join(http)
        await publisher.plays()
        await viewer.join(http, f"/whep/{publisher.stream_id}")
        await viewer.plays()
        stream = service.streams.get(publisher.stream_id)
        assert stream.viewers == 2
        (peer,) = [each for each in service.peers._peers.values() if not each.publishes]
        done = asyncio.Event()
        peer.on_close(done.set)
        silent_at = time.monotonic()
        viewer.fall_silent()
        await done.wait()
        assert time.monotonic() - silent_at < GONE_WITHIN_S + MARGIN_S
        await peer.close()
        assert stream.viewers == 1 and len(service.peers) == 1
        assert stream.session.status.state is StreamState.LIVE
        await publisher.close()
        await viewer.close()


async def test_vanished_publisher_may_come_back_to_its_stream(tmp_path: Path) -> None:
    service = Service(tmp_path)
    async with serving(service) as http:
        peer, again = WebcamPeer(), WebcamPeer()
        await peer.join(http)
        await peer.plays()
        stream = service.streams.get(peer.stream_id)
        sink = RecordingSink()
        stream.session.subscribe(sink)
        await peer.close()
        await sink.state_comes(StreamState.RECONNECTING)
        await again.join(http, f"/webcam/{peer.stream_id}")
        await again.plays()
        assert again.stream_id == peer.stream_id
        assert service.streams.get(peer.stream_id) is stream
        assert sink.statuses[-1].state is StreamState.LIVE
        assert {message["epoch"] for message in again.poses} == {2}
        await again.close()


async def test_offer_without_a_connection_leaves_nothing(tmp_path: Path) -> None:
    service = Service(tmp_path, webrtc=WebRtcConfig(connect_timeout_s=0.2, resume_timeout_s=0.2))
    async with serving(service) as http:
        peer = WebcamPeer()
        response = await http.post("/webcam", data=await peer.offer(), headers=SDP)
        sink = RecordingSink()
        service.streams.get(response.headers["X-Stream-Id"]).session.subscribe(sink)
        await sink.state_comes(StreamState.ENDED)
        await service.peers.close()  # waits for those that are closing
        assert list(service.streams) == [] and len(service.peers) == 0
        await peer.close()


async def test_peer_that_leaves_while_it_connects_leaves_nothing(tmp_path: Path) -> None:
    service = Service(tmp_path, webrtc=QUICK)
    async with serving(service) as http:
        before = await what_is_left()
        for number in range(12):
            peer = WebcamPeer()
            await peer.join(http)
            for _ in range(5 * number):
                await asyncio.sleep(0)
            assert (await http.delete(peer.location)).status == 200
            await peer.close()
        assert list(service.streams) == [] and len(service.peers) == 0
        tasks, threads, files = await what_is_left()
        assert (tasks, threads) == (set(), set())
        assert files <= before[2] + 2  # the test's own connection, kept alive, at both ends
