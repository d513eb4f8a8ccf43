"""The service with its pictures analysed in a thread of lowest priority: what ``images.py`` compares with.

python -m tests.bench.thread_server serve --port 9000
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from streamer import app
from streamer.cli import main
from streamer.images.analysis import Analyst
from streamer.images.decoding import prepare_decoders
from streamer.images.process import PictureProcess
from streamer.images.service import Images
from streamer.images.worker import NICENESS

if TYPE_CHECKING:
    from streamer.config import ImagesConfig
    from streamer.images.job import Analysis, Job


class PictureThread(PictureProcess):
    """The same, in this process. On Linux a thread has a priority of its own, which MediaPipe's threads
    inherit."""

    def __init__(self, config: ImagesConfig) -> None:
        super().__init__(config)
        self._analyst = Analyst(config.max_pixels)
        self._thread = ThreadPoolExecutor(1, initializer=self._prepare)

    def _prepare(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        prepare_decoders(self._config.max_pixels)

    async def analyse(self, picture: bytes | bytearray, job: Job) -> Analysis:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._analyst.analyse, picture, job)

    async def close(self) -> None:
        self._thread.shutdown()


if __name__ == "__main__":
    app.Images = lambda config: Images(config, PictureThread(config))  # type: ignore[misc, assignment, attr-defined]
    sys.exit(main())
