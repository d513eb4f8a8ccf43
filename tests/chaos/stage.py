"""What scenarios happen on: a service with small cameras, and somebody who reads every stream's messages."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import av
from av.video.frame import PictureType
from av.video.stream import VideoStream

from tests.chaos import Result
from tests.rigs.clips import prepare_clips
from tests.rigs.rtsp import RtspServer
from tests.rigs.server import StreamerServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

PATIENCE_S = 60.0
"""How long anything may take before a scenario gives up: far more than it should."""

REST_S = 20.0

SIZE, FPS, CLIP_S = (320, 240), 10, 8
LITE = "[pose]\nmodel_complexity = 0\n"
"""Small, slow and light, so that several cameras fit beside each other on two cores."""

CODECS = {"h264": "libx264", "h265": "libx265", "mjpeg": "mjpeg"}


@dataclass(frozen=True)
class Seen:
    """A pose message, and when it came (monotonic clock). ``pts``: its frame's stream time, 90 kHz."""

    at: float
    epoch: int
    seq: int
    pts: int
    dropped: int
    width: int
    height: int


@dataclass
class Reader:
    """Reads a stream's messages over one WebSocket, which it never opens anew. ``gaps``: messages that are
    missing within an epoch; ``closed``: the server hung up."""

    stream: str
    seen: list[Seen] = field(default_factory=list)
    gaps: int = 0
    closed: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, http: aiohttp.ClientSession, url: str) -> None:
        """Until cancelled, or the server hangs up."""
        try:
            async with http.ws_connect(f"{url}/api/v1/streams/{self.stream}/landmarks") as socket:
                async for message in socket:
                    self._note(json.loads(message.data))
        finally:
            self.closed = True
            self._news.set()

    def _note(self, message: dict[str, Any]) -> None:
        if message["type"] != "pose":
            return
        names = ("epoch", "seq", "pts", "dropped", "width", "height")
        seen = Seen(time.monotonic(), *(message[name] for name in names))
        if self.seen and self.seen[-1].epoch == seen.epoch:
            self.gaps += seen.seq - self.seen[-1].seq - 1
        self.seen.append(seen)
        self._news.set()

    async def first(self, wanted: Callable[[Seen], bool]) -> Seen:
        """The first message from now on of which it is true. Raises TimeoutError after a minute, and
        ConnectionError when the server hangs up."""
        place = len(self.seen)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                while place < len(self.seen):
                    if wanted(self.seen[place]):
                        return self.seen[place]
                    place += 1
                if self.closed:
                    raise ConnectionError(f"the WebSocket of {self.stream} was closed")
                self._news.clear()
                await self._news.wait()

    async def back_after(self, since: float) -> float:
        """How many seconds after ``since`` (monotonic clock) a frame came again."""
        return (await self.first(lambda seen: seen.at >= since)).at - since


@dataclass(frozen=True)
class Stage:
    """A running service; ``cameras`` and ``readers`` by their streams' names."""

    server: StreamerServer
    http: aiohttp.ClientSession
    cameras: dict[str, RtspServer]
    readers: dict[str, Reader]
    folder: Path

    async def stats(self, stream: str) -> dict[str, Any]:
        """Of a stream, as the API tells them."""
        url = f"{self.server.url}/api/v1/streams/{stream}"
        async with self.http.get(url, raise_for_status=True) as response:
            found: dict[str, Any] = (await response.json())["stats"]
            return found

    async def losses(self, stream: str) -> int:
        """Frames and messages that are missing, and new beginnings, since the stream began."""
        stats, reader = await self.stats(stream), self.readers[stream]
        return int(stats["frames_dropped"]) + reader.gaps + reader.seen[-1].epoch

    async def losses_at_rest(self) -> float:
        """Per stream and minute, while nothing is done to any: that much the machine takes from them."""
        before = [await self.losses(stream) for stream in self.readers]
        await asyncio.sleep(REST_S)
        after = [await self.losses(stream) for stream in self.readers]
        return (sum(after) - sum(before)) / len(self.readers) * 60.0 / REST_S

    async def metric(self, name: str) -> float:
        """A figure of /metrics without labels."""
        async with self.http.get(f"{self.server.url}/metrics", raise_for_status=True) as response:
            for line in (await response.text()).splitlines():
                if line.startswith(f"{name} "):
                    return float(line.split()[1])
        raise KeyError(name)


@asynccontextmanager
async def staged(
    clips: Sequence[Path], config: str = "", *, transport: str = "tcp", module: str = "streamer"
) -> AsyncIterator[Stage]:
    """A service with one camera for each of ``clips``, each in a process of its own, all live and read.
    The streams are cam1, cam2, …; ``config`` comes before them; ``module`` runs in the service's place."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        cameras: dict[str, RtspServer] = {}
        for number, clip in enumerate(clips, 1):
            camera = RtspServer({"/cam": clip})
            stack.callback(camera.kill)
            await asyncio.to_thread(camera.start)
            cameras[f"cam{number}"] = camera
        text = (config or LITE) + "".join(
            f'[[streams]]\nid = "{name}"\nsource = {{ type = "rtsp", url = "{camera.url("/cam")}",'
            f' transport = "{transport}" }}\n'
            for name, camera in cameras.items()
        )
        server = StreamerServer(folder, text, module=module)
        stack.callback(server.kill)
        await asyncio.to_thread(server.start)
        connector = aiohttp.TCPConnector(limit=0)
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        readers = {name: Reader(name) for name in cameras}
        await stack.enter_async_context(
            running(*(r.run(http, server.url) for r in readers.values()))
        )
        await asyncio.gather(*(reader.first(lambda _: True) for reader in readers.values()))
        yield Stage(server, http, cameras, readers, folder)


@asynccontextmanager
async def running(*coroutines: Any) -> AsyncIterator[None]:
    """Run them beside the block, and end them with it."""
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def make_clip(
    path: Path,
    size: tuple[int, int] = SIZE,
    fps: int = FPS,
    codec: str = "h264",
    seconds: int = CLIP_S,
) -> Path:
    """The tests' person in another size, frame rate and codec ("h264", "h265", "mjpeg"), without
    B-frames and with a key frame each second; the name decides the container."""
    with av.open(prepare_clips().person) as source, av.open(path, "w") as made:
        pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        options = {"preset": "ultrafast", "tune": "zerolatency"} if codec != "mjpeg" else {}
        if codec == "h265":
            options["x265-params"] = "log-level=error"
        stream = made.add_stream(CODECS[codec], rate=fps, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.gop_size, stream.max_b_frames = fps, 0
        count = 0
        for frame in source.decode(video=0):
            assert frame.time is not None
            if frame.time < count / fps:
                continue
            if count == seconds * fps:
                break
            small = frame.reformat(*size, format=pixels)
            small.pict_type = PictureType.NONE
            small.pts, small.time_base = count, Fraction(1, fps)
            made.mux(stream.encode(small))
            count += 1
        made.mux(stream.encode(None))
    return path


class Times:
    """How long each of many tries took, and whether it was short enough."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self.taken_s: list[float] = []
        self.failures: list[str] = []

    def note(self, seconds: float) -> None:
        self.taken_s.append(seconds)

    @contextlib.contextmanager
    def one_try(self, what: str) -> Iterator[None]:
        """A try that breaks down has failed, and the next one is made."""
        try:
            yield
        except (TimeoutError, OSError, RuntimeError, aiohttp.ClientError) as error:
            self.failures.append(f"{what}: {type(error).__name__}: {error}")

    def merged(self, others: Sequence[Self]) -> Self:
        """With those of others."""
        for other in others:
            self.taken_s += other.taken_s
            self.failures += other.failures
        return self

    def passed(self, times: int) -> bool:
        """So many were made and all were in time."""
        return len(self.taken_s) >= times and not self.failures and self._good == len(self.taken_s)

    @property
    def _good(self) -> int:
        return sum(seconds <= self._limit_s for seconds in self.taken_s)

    def __str__(self) -> str:
        total = len(self.taken_s) + len(self.failures)
        if not self.taken_s:
            return f"0/{total}"
        middle = sorted(self.taken_s)[len(self.taken_s) // 2]
        return f"{self._good}/{total}, median {middle:.1f} s, longest {max(self.taken_s):.1f} s"


async def side_by_side(
    times: int,
    at_once: int,
    limit_s: float,
    strike: Callable[[Stage, str, int], Awaitable[Times]],
) -> Result:
    """The tries shared among some cameras at once; ``strike``: stage, camera and how many times."""
    with tempfile.TemporaryDirectory() as folder:
        clip = await asyncio.to_thread(make_clip, Path(folder) / "clip.mp4")
        cameras = min(times, at_once)
        async with staged([clip] * cameras) as stage:
            found = await asyncio.gather(
                *(
                    strike(stage, name, len(range(place, times, cameras)))
                    for place, name in enumerate(stage.cameras)
                )
            )
    together = Times(limit_s).merged(found)
    return Result(str(together), together.passed(times), tuple(together.failures))
