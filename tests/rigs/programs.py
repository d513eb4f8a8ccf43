"""Programs of a test that publish or watch: they tell of themselves in lines, and can be killed."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

NEWS_TIMEOUT_S = 60.0
END_TIMEOUT_S = 60.0


class Program:
    """One that ends when its standard input closes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.errors = ""

    async def until(self, told: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first line (of JSON) of which this is true."""
        assert self._process.stdout is not None
        async with asyncio.timeout(NEWS_TIMEOUT_S):
            async for line in self._process.stdout:
                news: dict[str, Any] = json.loads(line)
                if told(news):
                    return news
        raise AssertionError(f"The program ended too early:\n{await self._read_errors()}")

    async def stop(self) -> int:
        """Its exit code after an end in order; ``errors`` has what it wrote."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return await self.wait()

    async def wait(self) -> int:
        """Its exit code after an end of its own."""
        async with asyncio.timeout(END_TIMEOUT_S):
            self.errors = await self._read_errors()
            return await self._process.wait()

    async def kill(self) -> None:
        """At once, without a farewell; twice is safe."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def _read_errors(self) -> str:
        assert self._process.stdout is not None and self._process.stderr is not None
        _, errors = await asyncio.gather(self._process.stdout.read(), self._process.stderr.read())
        return errors.decode(errors="replace")


@asynccontextmanager
async def run_program(*command: str) -> AsyncIterator[Program]:
    """It never outlives the block."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    program = Program(process)
    try:
        yield program
    finally:
        await program.kill()
