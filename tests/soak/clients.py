"""Everybody who uses the service during a soak, in one process of their own.

Who stays: a WebRTC viewer of each stream, and of the first one a reader of landmarks over a WebSocket, one
of events, one of MJPEG. Who comes and goes: a viewer every ``cycle_s`` / 6, and in each cycle a webcam for
two fifths of it; in each cycle a picture is uploaded. /metrics is read every 15 s.

    python -m tests.soak.clients --url http://127.0.0.1:8080 --streams cam1,cam2 --cycle 60

Prints a line of JSON every 5 s: kind of client -> its tally. Ends with its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import sys
import traceback
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

import aiohttp

from tests.bench.viewers_worker import Viewer
from tests.rigs.clips import prepare_clips
from tests.rigs.pictures import file_of, person_picture
from tests.rigs.probe_media import encode_numbered, load_pictures
from tests.rigs.webrtc_probe import ProbeMedia, ProbeOptions, run_probe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

TELL_S = 5.0
SCRAPE_S = 15.0
AGAIN_S = 1.0
VISITS_A_CYCLE = 6
POOL = 32
"""Questions at once: as many threads as the service's pool ever has are there from the beginning. Else one
more of them in the middle of a soak would look like a leak."""

CLIP_FRAMES = 60
_SEQ = re.compile(r'"epoch":\s*(\d+),\s*"seq":\s*(\d+)')


@dataclass
class Tally:
    """``done``: frames, messages, pictures or visits that were as they should be; ``gaps``: messages or
    packets that are missing between them; ``broken``: how often the client was cut off or refused."""

    done: int = 0
    gaps: int = 0
    broken: int = 0


class Clients:
    """``tallies``: kind -> what all clients of that kind have seen."""

    def __init__(self, url: str, streams: Sequence[str], cycle_s: float) -> None:
        self.tallies: dict[str, Tally] = {}
        self._url = url
        self._streams = streams
        self._cycle_s = cycle_s

    async def run(self, media: ProbeMedia, picture: bytes) -> None:
        """For ever."""
        first = f"{self._url}/api/v1/streams/{self._streams[0]}"
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=30)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as http,
            asyncio.TaskGroup() as group,
        ):
            filling = [scrape(http, self._url, Tally()) for _ in range(POOL)]
            await asyncio.gather(*filling, return_exceptions=True)

            def start(kind: str, again_s: float, act: Callable[[Tally], Awaitable[None]]) -> None:
                tally = self.tallies.setdefault(kind, Tally())
                group.create_task(repeat(kind, tally, again_s, act))

            for stream in self._streams:
                start("viewers", AGAIN_S, partial(watch, http, f"{self._url}/whep/{stream}"))
            start("websocket", AGAIN_S, partial(read_websocket, http, first))
            start("events", AGAIN_S, partial(read_events, http, first))
            start("mjpeg", AGAIN_S, partial(read_mjpeg, http, first))
            start("metrics", SCRAPE_S, partial(scrape, http, self._url))
            visit_s = self._cycle_s / VISITS_A_CYCLE
            door = f"{self._url}/whep/{self._streams[0]}"
            start("visitors", visit_s, partial(visit, http, door, visit_s / 2))
            start("pictures", self._cycle_s, partial(upload, http, self._url, picture))
            webcam = ProbeOptions(f"{self._url}/webcam", seconds=0.4 * self._cycle_s, warm_up_s=1)
            start("webcams", self._cycle_s, partial(publish, http, webcam, media))


async def repeat(
    kind: str, tally: Tally, every_s: float, act: Callable[[Tally], Awaitable[None]]
) -> None:
    """Do it again and again, ``every_s`` from beginning to beginning; failures are counted and told."""
    loop = asyncio.get_running_loop()
    while True:
        next_at = loop.time() + every_s
        try:
            await act(tally)
        except (aiohttp.ClientError, OSError, RuntimeError, ExceptionGroup) as error:
            tally.broken += 1
            sys.stderr.write(f"{kind}: {type(error).__name__}: {error}\n")
            traceback.print_exc()
        await asyncio.sleep(max(0.0, next_at - loop.time()))


async def watch(http: aiohttp.ClientSession, url: str, tally: Tally) -> None:
    """A viewer that stays; ends when no frame comes for 15 s."""
    viewer = Viewer(has_video=True, has_channel=True, codec=None)
    try:
        await viewer.join(http, url)
        silent = 0
        while silent < 15:
            await asyncio.sleep(1.0)
            silent = 0 if viewer.frames else silent + 1
            tally.done += len(viewer.frames)
            tally.gaps += viewer.lost
            viewer.frames.clear()
            viewer.messages.clear()
            viewer.lost = 0
        raise RuntimeError("the viewer saw no frame for 15 s")
    finally:
        await viewer.leave(http)


async def visit(http: aiohttp.ClientSession, url: str, stay_s: float, tally: Tally) -> None:
    """A viewer that sees a frame, stays a while and says goodbye."""
    viewer = Viewer(has_video=True, has_channel=True, codec=None)
    try:
        await viewer.join(http, url)
        await asyncio.sleep(stay_s)
        tally.done += 1
    finally:
        await viewer.leave(http)


class SeqCounter:
    """Counts messages, and those that are missing between them."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._last: tuple[int, int] | None = None

    def note(self, text: str) -> None:
        found = _SEQ.search(text, 0, 300)
        if found is None:
            return  # not a pose
        epoch, seq = int(found[1]), int(found[2])
        if self._last is not None and self._last[0] == epoch:
            self._tally.gaps += seq - self._last[1] - 1
        self._last = epoch, seq
        self._tally.done += 1


async def read_websocket(http: aiohttp.ClientSession, stream: str, tally: Tally) -> None:
    messages = SeqCounter(tally)
    async with http.ws_connect(f"{stream}/landmarks") as websocket:
        async for message in websocket:
            messages.note(message.data)
    raise RuntimeError(f"the WebSocket was closed ({websocket.close_code})")


async def read_events(http: aiohttp.ClientSession, stream: str, tally: Tally) -> None:
    messages = SeqCounter(tally)
    headers = {"Accept": "text/event-stream"}
    async with http.get(f"{stream}/landmarks", headers=headers, raise_for_status=True) as response:
        async for line in response.content:
            if line.startswith(b"data:"):
                messages.note(line[:400].decode())
    raise RuntimeError("the events ended")


async def read_mjpeg(http: aiohttp.ClientSession, stream: str, tally: Tally) -> None:
    async with http.get(f"{stream}/mjpeg?fps=5", raise_for_status=True) as response:
        parts = aiohttp.MultipartReader.from_response(response)
        while (part := await parts.next()) is not None:
            assert isinstance(part, aiohttp.BodyPartReader)
            await part.read()
            tally.done += 1
    raise RuntimeError("the pictures ended")


async def scrape(http: aiohttp.ClientSession, url: str, tally: Tally) -> None:
    async with http.get(f"{url}/metrics", raise_for_status=True) as response:
        await response.read()
        tally.done += 1


async def upload(http: aiohttp.ClientSession, url: str, picture: bytes, tally: Tally) -> None:
    headers = {"Content-Type": "image/jpeg"}
    target = f"{url}/api/v1/images"
    async with http.post(target, data=picture, headers=headers, raise_for_status=True) as response:
        if (await response.json())["landmarks_count"] != 33:
            raise RuntimeError("nobody was found in the picture")
        tally.done += 1


async def publish(
    http: aiohttp.ClientSession, options: ProbeOptions, media: ProbeMedia, tally: Tally
) -> None:
    """A webcam that is there for ``options.seconds``."""
    await run_probe(options, media, http)
    tally.done += 1


def webcam_media(clip: Path) -> ProbeMedia:
    """A few seconds of the clip, which the webcam plays again and again."""
    pictures = load_pictures(clip, 640, 480)[:CLIP_FRAMES]
    return ProbeMedia(pictures, encode_numbered(pictures, "VP8", length=CLIP_FRAMES))


async def tell(clients: Clients) -> None:
    while True:
        await asyncio.sleep(TELL_S)
        print(json.dumps({kind: asdict(each) for kind, each in clients.tallies.items()}))
        sys.stdout.flush()


async def run(clients: Clients) -> None:
    """Until standard input ends."""
    clip = prepare_clips().person
    media = await asyncio.to_thread(webcam_media, clip)
    picture = file_of(person_picture(clip), "JPEG", quality=90)
    print("READY", flush=True)
    tasks = [asyncio.create_task(clients.run(media, picture)), asyncio.create_task(tell(clients))]
    end = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    done, _ = await asyncio.wait({end, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--streams", required=True, metavar="ID,ID")
    parser.add_argument("--cycle", type=float, default=60.0, metavar="S")
    given = parser.parse_args()
    clients = Clients(given.url, given.streams.split(","), given.cycle)
    with contextlib.suppress(KeyboardInterrupt):  # whoever started it asks it to end in its own way
        asyncio.run(run(clients))


if __name__ == "__main__":
    main()
