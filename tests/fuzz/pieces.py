"""What targets are made of: bytes taken apart, and coroutines run to their end."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar

Result = TypeVar("Result")

MAX_RECORDS = 24
"""In one input: what takes longer is found with less."""

LOOP = asyncio.new_event_loop()
_ends: list[Callable[[], Awaitable[None]]] = []


def text(data: bytes) -> str:
    """Any text that JSON can hold, halves of characters too."""
    return data.decode("utf-8", "surrogateescape")


def records(data: bytes) -> Iterator[bytes]:
    """The input as several messages, each behind its length in two bytes."""
    at = 0
    for _ in range(MAX_RECORDS):
        if at + 2 > len(data):
            return
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        yield data[at + 2 : end]
        at = end


def keys(value: Any) -> Iterator[str]:
    """All names of keys in what JSON holds, at any depth."""
    if isinstance(value, dict):
        yield from value
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from keys(each)


def joined(*messages: bytes) -> bytes:
    """What ``records`` takes apart."""
    return b"".join(len(each).to_bytes(2, "big") + each for each in messages)


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """In the one loop of all targets: a new one for each input would take longer than the input."""
    return LOOP.run_until_complete(coroutine)


def at_end(end: Callable[[], Awaitable[None]]) -> None:
    """What a target has made once for all its inputs is to be ended so."""
    _ends.append(end)


def close() -> None:
    """After the last input: no target can be used any more."""

    async def end_all() -> None:
        for end in _ends:
            await end()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    LOOP.run_until_complete(end_all())
    LOOP.run_until_complete(LOOP.shutdown_default_executor())
    LOOP.close()
