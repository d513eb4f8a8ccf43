"""Asks the probe's process to measure one server."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from tests.bench.child import BenchError, Child
from tests.rigs.probe_record import ProbeResult

if TYPE_CHECKING:
    from tests.bench.servers import Target
    from tests.rigs.webrtc_probe import ProbeOptions

PREPARE_TIMEOUT_S = 120.0  # a large picture's clip, on a busy machine
CONNECT_TIMEOUT_S = 50.0


@dataclass(frozen=True)
class Run:
    """What each stream saw, and what a returned frame cost the server.

    ``memory_bytes`` is the server's PSS at the end; ``stage_ms`` what the messages say of a frame's
    time in the server; ``arrivals`` of each stream's frames, s since its figures began.
    """

    results: list[ProbeResult]
    cpu_ms_per_frame: float | None
    memory_bytes: int | None
    psnr_db: float | None
    stage_ms: dict[str, float]
    arrivals: list[list[float]]

    @property
    def one(self) -> ProbeResult:
        """Of a run of one stream."""
        return self.results[0]


class Probe:
    """The probe's process; a context manager."""

    def __init__(self) -> None:
        self._child = _probe_child()

    def __enter__(self) -> Self:
        self._child.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._child.__exit__()

    def run(
        self,
        target: Target,
        options: ProbeOptions,
        streams: int = 1,
        *,
        landmarks: Any = None,
    ) -> Run:
        """Send ``streams`` clips at once to ``target``; ``options`` get its address.

        ``landmarks`` (of ``Bare``) are needed for the PSNR. Raises BenchError, with the server's last
        words.
        """
        options = replace(options, url=target.url, mode=target.mode)
        job = {
            "options": asdict(options),
            "pid": target.pid,
            "streams": streams,
            "landmarks": landmarks,
        }
        timeout_s = PREPARE_TIMEOUT_S + CONNECT_TIMEOUT_S + options.warm_up_s + 2 * options.seconds
        if not self._child.is_alive:  # ended because it was too slow: the next run has a new one
            self._child.__exit__()
            self._child = _probe_child().__enter__()
        try:
            found = self._child.ask(job, timeout_s)
        except BenchError as error:
            raise BenchError(f"{target.name}: {error}\n{target.last_words()}".strip()) from error
        results = [ProbeResult(**each) for each in found.pop("results")]
        return Run(results=results, **found)


def _probe_child() -> Child:
    return Child([sys.executable, "-m", "tests.bench.probe_worker"])
