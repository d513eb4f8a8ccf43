"""What the client for programs reads: the first byte says whether a message is text or binary."""

import aiohttp

from streamer.client import PoseFrame, _read, _refusal
from streamer.model import LANDMARK_COUNT
from tests.fuzz.pieces import text


def fuzz(data: bytes) -> None:
    kind, body = data[:1], data[1:]
    if kind == b"r":
        _refusal(400, body)
        return
    if kind == b"b":
        frame = _read(aiohttp.WSMessage(aiohttp.WSMsgType.BINARY, body, None), "door")
    else:
        frame = _read(aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, text(body), None), "door")
    if isinstance(frame, PoseFrame):
        for pose in frame.poses:
            assert pose.landmarks.shape == (LANDMARK_COUNT, 5)
            assert pose.world.shape == (LANDMARK_COUNT, 3)
