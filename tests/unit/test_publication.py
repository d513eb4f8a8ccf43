"""The conversation with an RTSP server beside the video."""

import asyncio
import itertools
from typing import cast

import pytest

from streamer.errors import SourceLost
from streamer.outputs import publication
from streamer.outputs.publication import Publication
from streamer.sources.address import CameraUrl

REPORT = b"$\x01\x00\x08\x80\xc9\x00\x01abcd"


class Server:
    """Answers each OPTIONS at once; a receiver report comes in two pieces, the ping between them."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._pings = itertools.count(1)

    def write(self, _: bytes) -> None:
        ping = next(self._pings)
        reply = f"RTSP/1.0 200 OK\r\nCSeq: {ping}\r\n\r\n".encode()
        self._reader.feed_data({1: reply + REPORT[:1], 2: REPORT[1:] + reply}.get(ping, reply))
        if ping == 4:
            self._reader.feed_eof()


async def test_message_that_comes_in_pieces_around_a_ping_is_one_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publication, "PING_S", 0.01)
    reader = asyncio.StreamReader()
    conversation = reader, cast("asyncio.StreamWriter", Server(reader))
    url = CameraUrl("rtsp", "127.0.0.1", 554, "/x")
    with pytest.raises(SourceLost):  # at its end, and not SourceStalled before
        await Publication(url, conversation, 5.0).listen()
