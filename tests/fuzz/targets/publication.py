"""What an RTSP server answers to a stream that is published to it."""

import asyncio
from typing import cast

from streamer.errors import StreamerError
from streamer.outputs.publication import Publication
from streamer.sources.address import CameraUrl
from tests.fuzz.pieces import run

_URL = CameraUrl("rtsp", "10.0.0.5", 554, "/live", "user", "s3cret-canary")


class _Writer:
    def __init__(self) -> None:
        self.sent = b""

    def write(self, data: bytes) -> None:
        self.sent += data

    async def drain(self) -> None: ...


async def _feed(data: bytes) -> None:
    reader, writer = asyncio.StreamReader(), _Writer()
    reader.feed_data(data)
    reader.feed_eof()
    publication = Publication(_URL, (reader, cast("asyncio.StreamWriter", writer)), 5.0)
    try:
        await publication.open("v=0\r\n")
        while True:
            await publication._read()
    except StreamerError as error:
        assert "s3cret-canary" not in str(error)
    assert writer.sent.count(b" RTSP/1.0\r\n") <= 6  # three requests, each once again with a login


def fuzz(data: bytes) -> None:
    run(_feed(data))
