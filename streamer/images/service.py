"""Pictures, one after another: a waiting room with a few places before one process that analyses them."""

import asyncio
import contextlib
from collections.abc import Iterator

from streamer.aio import cancel_and_wait
from streamer.config import ImagesConfig
from streamer.errors import LimitReached
from streamer.images.job import Analysis, Job
from streamer.images.process import PictureProcess


class Images:
    """Lives on the event loop. The process starts with the first picture, and rests after a while without
    any."""

    def __init__(self, config: ImagesConfig, process: PictureProcess | None = None) -> None:
        self.config = config
        self._process = process or PictureProcess(config)
        self._places = config.max_waiting + 1
        self._turn = asyncio.Lock()
        self._work: asyncio.Task[Analysis] | None = None
        self._rest: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Room for one picture, from before its first byte is read. Raises LimitReached."""
        if self._places == 0:
            raise LimitReached("Other pictures are being analysed; try again in a moment.")
        self._places -= 1
        try:
            yield
        finally:
            self._places += 1

    async def analyse(self, picture: bytes | bytearray, job: Job) -> Analysis:
        """Waits for its turn. Who is cancelled while waiting never gets it; work that has begun is done
        to its end, since the process knows no half pictures. Raises the errors of
        ``PictureProcess.analyse``."""
        await self._turn.acquire()
        self._stay()
        work = self._work = asyncio.create_task(self._process.analyse(picture, job), name="picture")
        work.add_done_callback(self._on_done)
        return await asyncio.shield(work)

    async def close(self) -> None:
        """Whoever still waits is cancelled by the server's own end."""
        self._stay()
        await cancel_and_wait(self._work)
        self._stay()
        await self._process.close()

    def _on_done(self, work: "asyncio.Task[Analysis]") -> None:
        self._turn.release()
        loop = asyncio.get_running_loop()
        self._rest = loop.call_later(self.config.keep_s, self._process.rest)

    def _stay(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
