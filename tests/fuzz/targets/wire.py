"""The binary pose message."""

from streamer.errors import InvalidRequest
from streamer.wire import decode_pose


def fuzz(data: bytes) -> None:
    try:
        message = decode_pose(data, "door")
    except InvalidRequest:
        return
    assert all(len(pose["landmarks"]) == 33 for pose in message["poses"])
