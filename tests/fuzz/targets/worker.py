"""A child process that was taken over and lies: bytes of its channel, up to the frames that leave the reader.
Each record is a message's header; the body is as long as the header's first byte says, in kB."""

import math
import os
import socket
import struct
from typing import Any, cast

from pydantic import ValidationError

from streamer.config import WorkersConfig
from streamer.errors import StreamerError, WorkerDied
from streamer.isolation.channel import Channel, ChannelBroken, ChannelClosed
from streamer.isolation.landlock import NOTHING
from streamer.isolation.memory import SharedMemory, new_memory
from streamer.model import Frame, Packet, VideoInfo
from streamer.sources.events import EVENTS
from streamer.sources.remote import RemoteReader, TransportRefused
from tests.fuzz.pieces import records

_descriptor = new_memory()
_MEMORY = SharedMemory(_descriptor)
os.close(_descriptor)
_LENGTHS = struct.Struct("=II")


class _Child:
    def refuse(self, lie: str) -> WorkerDied:
        return WorkerDied(lie)


class _Receiver:
    """What the service believes."""

    def opened(self, video: VideoInfo) -> None:
        assert 0 < video.width <= 8192 and 0 < video.height <= 8192
        assert video.fps is None or (math.isfinite(video.fps) and video.fps > 0)

    def forward(self, packet: Packet) -> None:
        assert abs(packet.pts) < 1 << 63 and math.isfinite(packet.received_mono)

    def put(self, frame: Frame) -> None:
        assert abs(frame.pts) < 1 << 63
        assert frame.width % 2 == frame.height % 2 == 0 < frame.width * frame.height
        assert math.isfinite(frame.received_mono) and math.isfinite(frame.received_at)


def fuzz(data: bytes) -> None:
    here, there = socket.socketpair()
    channel = Channel(here, _MEMORY, is_child=False)
    reader = RemoteReader("door", {}, NOTHING, _Receiver(), WorkersConfig())
    reader._child = cast("Any", _Child())
    try:
        if data[:1] == b"\xff":  # not even lengths that are right
            there.sendall(data[1:])
        else:
            for record in records(data):
                body_bytes = 1024 * record[0] if record else 0
                there.sendall(_LENGTHS.pack(max(0, len(record) - 1), body_bytes) + record[1:])
        there.shutdown(socket.SHUT_WR)
        for _ in range(32):
            header, body = channel.receive(5.0)
            reader._take(EVENTS.validate_python(header), body)
    except (ChannelBroken, ChannelClosed, ValidationError, StreamerError, TransportRefused):
        return
    finally:
        there.close()
        channel._reading.close()
        channel._writing.close()
