"""Cameras whose picture changes: its size within one connection, or codec, size and rate by a restart."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import av
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from tests.chaos import Result
from tests.chaos.stage import Seen, Stage, Times, make_clip, running, staged
from tests.rigs.rtsp import RtspServer
from tests.rigs.webrtc_probe import post_offer

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack

NAME = "camera changes"
PASS = "the same viewer sees the new size <= 5 s after it is sent"
LIMIT_S = 5.0
SIZES = ((320, 240), (640, 360))
FORMATS = (
    ((320, 240), 10, "h265", "mp4"),
    ((640, 360), 15, "mjpeg", "avi"),
    ((240, 320), 20, "h264", "mp4"),
)
"""Size, frame rate and codec of the restarted camera, in turn, and a container for them."""

PATIENCE_S = 60.0


async def run(times: int) -> Result:
    """Half of them within a connection, half by a restart; a WebRTC viewer watches each."""
    within, again = times - times // 2, times // 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = [folder / f"{codec}.{suffix}" for *_, codec, suffix in FORMATS]
        for clip, (size, fps, codec, _) in zip(clips, FORMATS, strict=True):
            await asyncio.to_thread(make_clip, clip, size, fps, codec)
        alternating = await asyncio.to_thread(make_alternating, folder)
        async with staged([alternating, clips[-1]]) as stage:
            found = await asyncio.gather(
                _watch_changes(stage, "cam1", within), _restart(stage, "cam2", clips, again)
            )
            broken = [
                f"{r.stream}: the WebSocket broke" for r in stage.readers.values() if r.closed
            ]
    together = Times(LIMIT_S).merged(found)
    return Result(
        str(together), together.passed(times) and not broken, (*together.failures, *broken)
    )


def make_alternating(folder: Path) -> Path:
    """An H.264 stream without a container, whose parameter sets change every 2 s."""
    parts = []
    for size in SIZES:
        part = make_clip(folder / f"{size[0]}.h264", size, seconds=2)
        parts.append(part.read_bytes())
    clip = folder / "alternating.h264"
    clip.write_bytes(b"".join(parts))
    return clip


class SizeWatch:
    """A WebRTC viewer that decodes and knows how large the newest picture is."""

    def __init__(self) -> None:
        self.size = (0, 0)
        self.changed = asyncio.Event()
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))

    async def run(self, stage: Stage, stream: str) -> None:
        """Until cancelled, or the track ends."""
        transceiver = self._peer.addTransceiver("video", direction="recvonly")
        try:
            await self._peer.setLocalDescription(await self._peer.createOffer())
            offer = self._peer.localDescription.sdp
            answer, _, _ = await post_offer(stage.http, f"{stage.server.url}/whep/{stream}", offer)
            await self._peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            await self._read(transceiver.receiver.track)
        finally:
            self.size = (0, 0)
            self.changed.set()
            await self._peer.close()

    async def _read(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, av.VideoFrame)
            if (frame.width, frame.height) != self.size:
                self.size = (frame.width, frame.height)
                self.changed.set()

    async def shows(self, size: tuple[int, int]) -> None:
        """Waits until it does."""
        async with asyncio.timeout(PATIENCE_S):
            while self.size != size:
                self.changed.clear()
                await self.changed.wait()


async def _watch_changes(stage: Stage, stream: str, times: int) -> Times:
    """The message with the new size tells when it came."""
    viewer, found, reader = SizeWatch(), Times(LIMIT_S), stage.readers[stream]
    async with running(viewer.run(stage, stream)):
        await viewer.shows((reader.seen[-1].width, reader.seen[-1].height))
        for turn in range(times):
            with found.one_try(f"change {turn + 1} within a connection"):
                new = await reader.first(partial(_is_not, reader.seen[-1].width))
                await viewer.shows((new.width, new.height))
                found.note(time.monotonic() - new.at)
    return found


def _is_not(width: int, seen: Seen) -> bool:
    return seen.width != width


async def _restart(stage: Stage, stream: str, clips: list[Path], times: int) -> Times:
    old, viewer, found = stage.cameras[stream], SizeWatch(), Times(LIMIT_S)
    async with running(viewer.run(stage, stream)):
        await viewer.shows(FORMATS[-1][0])
        for turn, (clip, (size, _, codec, _)) in zip(
            range(times), itertools.cycle(zip(clips, FORMATS, strict=True)), strict=False
        ):
            await asyncio.to_thread(old.kill)
            with (
                found.one_try(f"restart {turn + 1} with {codec}"),
                RtspServer({"/cam": clip}, port=old.port),
            ):
                begun = time.monotonic()
                await viewer.shows(size)
                found.note(time.monotonic() - begun)
    return found
