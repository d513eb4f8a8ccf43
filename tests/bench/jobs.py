"""The other end of a ``Child`` that takes jobs."""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Run = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


def serve_jobs(run: Run) -> None:
    """Answer each line of JSON with one, until standard input ends. A failed job is an answer too."""
    print("READY", flush=True)
    for line in sys.stdin:
        print(json.dumps(asyncio.run(_answer(run, json.loads(line)))), flush=True)


async def _answer(run: Run, job: dict[str, Any]) -> dict[str, Any]:
    try:
        return await run(job)
    except Exception as error:  # told to the one who asked
        traceback.print_exc()
        words = {f"{type(each).__name__}: {each}" for each in _leaves(error)}
        return {"error": "; ".join(sorted(words))}


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]
