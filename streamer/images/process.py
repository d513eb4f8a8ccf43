"""The process of ``__main__.py``, seen from the service: started when it is needed, ended when it hangs."""

import asyncio
import contextlib
import json
import logging
import sys
from dataclasses import asdict
from functools import partial
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from streamer.aio import Inquiry
from streamer.config import ImagesConfig
from streamer.errors import (
    EstimatorError,
    InvalidPicture,
    LimitReached,
    ModelError,
    PictureTooLarge,
    StreamerError,
)
from streamer.images.job import LENGTHS, MAX_HEADER_BYTES, Analysis, Job, pack
from streamer.isolation.nursery import environment
from streamer.pose.models import default_cache_dir, places

logger = logging.getLogger(__name__)

START_TIMEOUT_S: Final = 60.0  # from a cold disk, on a busy machine
KILLED_S: Final = 5.0  # until it is gone; it has 600 MB to give back, at a low priority
PLACES_S: Final = 5.0  # to find where the models lie, on a disk that may hang
END_TIMEOUT_S: Final = 1.0  # from the end of its answers to its own
MEMORY_BASE_BYTES: Final = 1536 << 20
"""Of MediaPipe with three landmarkers, the interpreter, and their threads' stacks: 600 MB are used."""

MEMORY_BYTES_PER_PIXEL: Final = 24
"""Of a picture in all the forms that it takes, at the worst moment."""

_ERRORS: Final = {
    kind.kind: kind for kind in (InvalidPicture, PictureTooLarge, ModelError, EstimatorError)
}

_ANALYSIS: Final = TypeAdapter(Analysis)


class _Died(Exception):
    """The process ended with a job in hand. ``status``: as ``Process.returncode``; None: not known."""

    def __init__(self, status: int | None) -> None:
        super().__init__(status)
        self.status = status


class PictureProcess:
    """One job at a time: the caller sees to it."""

    def __init__(self, config: ImagesConfig) -> None:
        self._config = config
        self._process: asyncio.subprocess.Process | None = None
        self._left: asyncio.subprocess.Process | None = None  # it hangs in the kernel
        self._places = Inquiry("models", partial(places, default_cache_dir()))
        # Three bytes a pixel that can't be packed, in base64.
        self._max_body_bytes = 4 * config.max_pixels + (1 << 20)

    async def analyse(self, picture: bytes | bytearray, job: Job) -> Analysis:
        """Raises InvalidPicture, PictureTooLarge, ModelError, EstimatorError, and LimitReached when it
        takes too long, or the system has no memory for it."""
        try:
            header, body = await self._answer(picture, job)
        except (
            _Died
        ):  # perhaps before it saw this picture: only a second death is the picture's fault
            try:
                header, body = await self._answer(picture, job)
            except _Died as death:
                raise _blame(death.status) from death
        if "error" in header:
            raise _ERRORS.get(str(header["error"]), StreamerError)(str(header.get("detail")))
        try:
            return _ANALYSIS.validate_python({**header, "picture": body})
        except ValidationError as error:
            await self.close()
            logger.warning(
                "the reader of pictures said no analysis: %d faults", error.error_count()
            )
            raise StreamerError(
                "The picture could not be analysed: see the server's log."
            ) from None

    async def _answer(self, picture: bytes | bytearray, job: Job) -> tuple[dict[str, Any], bytes]:
        process = await self._running()
        try:
            async with asyncio.timeout(self._config.work_timeout_s):
                return await _ask(process, asdict(job), picture, self._max_body_bytes)
        except TimeoutError:
            await self.close()
            raise LimitReached(
                f"The picture took longer than {self._config.work_timeout_s:g} s. The server is busy, "
                "or the picture is an odd one: try again later, or save it anew."
            ) from None
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_TIMEOUT_S):
                    await process.wait()
            status = process.returncode  # before close() kills it: its own
            await self.close()
            logger.warning("the reader of pictures died (exit status %s)", status)
            raise _Died(status) from error
        except BaseException:
            await self.close()  # an answer may be half read: the next would take it for its own
            raise

    def rest(self) -> None:
        """The process ends by itself, soon; the next job starts another."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    async def close(self) -> None:
        """Ends the process and waits for it, but no longer than ``KILLED_S``: a disk that hangs may
        hold it. Twice is safe."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        try:
            async with asyncio.timeout(KILLED_S):
                await process.communicate()  # also closes its other pipe
        except TimeoutError:
            logger.warning("the reader of pictures hangs in the system")
            self._left = process

    async def _running(self) -> asyncio.subprocess.Process:
        process = self._process
        if process is not None:
            assert process.stdin is not None
            if process.returncode is None and not process.stdin.is_closing():
                return process
            await self.close()
        return await self._start()

    async def _start(self) -> asyncio.subprocess.Process:
        if self._left is not None and self._left.returncode is None:
            raise LimitReached(
                "The last process that analysed pictures hangs in the system and can't be ended: a disk may "
                "hang. No other is started beside it; try again later."
            )
        self._left = None
        max_pixels = self._config.max_pixels
        memory_bytes = MEMORY_BASE_BYTES + MEMORY_BYTES_PER_PIXEL * max_pixels
        try:
            models = await self._places.answer(PLACES_S)
        except TimeoutError:
            raise LimitReached(
                "The disk with the models does not answer: try again later."
            ) from None
        process = self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "streamer.images"),
            *(str(max_pixels), str(memory_bytes), *models),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment(),
            # Out of the reach of Ctrl+C, but in the same session: Linux weighs sessions against each
            # other (sched(7), autogroup), and a priority would mean nothing outside of its own.
            process_group=0,
        )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await _read(process, 0)
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError) as error:
            await self.close()
            raise StreamerError(
                "The process that analyses pictures does not start; the server's log says why."
            ) from error
        except BaseException:
            await self.close()
            raise
        return process


def _blame(status: int | None) -> StreamerError:
    if status == -9:  # SIGKILL: no file makes its reader do that; the system does, out of memory
        return LimitReached(
            "The system ended the process that analyses pictures: there is too little memory. Try again "
            "later, or send a smaller picture."
        )
    return InvalidPicture(
        "The picture broke its reader: its file is damaged. Save it anew and send that."
    )


async def _ask(
    process: asyncio.subprocess.Process,
    header: dict[str, Any],
    body: bytes | bytearray,
    max_body_bytes: int,
) -> tuple[dict[str, Any], bytes]:
    assert process.stdin is not None
    for part in pack(header, body):
        process.stdin.write(part)
    await process.stdin.drain()
    return await _read(process, max_body_bytes)


async def _read(
    process: asyncio.subprocess.Process, max_body_bytes: int
) -> tuple[dict[str, Any], bytes]:
    """Raises ConnectionError, too, where it says what can't be true: a picture may have taken it over."""
    assert process.stdout is not None
    lengths = await process.stdout.readexactly(LENGTHS.size)
    header_bytes, body_bytes = LENGTHS.unpack(lengths)
    if header_bytes > MAX_HEADER_BYTES or body_bytes > max_body_bytes:
        raise ConnectionError(f"an answer of {header_bytes} and {body_bytes} bytes")
    try:
        header = json.loads(await process.stdout.readexactly(header_bytes))
    except (ValueError, RecursionError):
        raise ConnectionError("an answer that is no JSON") from None
    if not isinstance(header, dict):
        raise ConnectionError("an answer that is no object")
    return header, await process.stdout.readexactly(body_bytes)
