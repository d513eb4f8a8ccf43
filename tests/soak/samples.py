"""What is looked at every few seconds of a soak, kept as lines of JSON, so that nothing is lost whatever
becomes of the run."""

from __future__ import annotations

import http.client
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.rigs.processes import Usage, usage_of_tree
from tests.soak.clients import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

TIMEOUT_S = 10.0
_OF_A_STREAM = ("frames_in", "frames_processed", "frames_dropped", "reconnects", "frame_age_ms")


@dataclass(frozen=True)
class Sample:
    """One look. ``at_s`` since the run began; ``streams``: id -> counts and age as the API tells them, and
    ``read_at_s``, when it did; ``clients``: kind -> tally; ``gauges``: figures of the process in /metrics
    that have no labels (``streamer_…``)."""

    at_s: float
    processes: list[Usage]
    streams: dict[str, dict[str, float | None]]
    clients: dict[str, Tally]
    gauges: dict[str, float]


def take(
    url: str,
    pid: int,
    streams: Sequence[str],
    clock: Callable[[], float],
    clients: dict[str, Tally],
) -> Sample:
    """Look now; OSError or http.client.HTTPException when the service does not answer."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT_S)
    try:
        found = {}
        for stream in streams:
            stats = json.loads(_get(connection, f"/api/v1/streams/{stream}"))["stats"]
            found[stream] = {name: stats[name] for name in _OF_A_STREAM}
            found[stream]["read_at_s"] = clock()
        gauges = _gauges(_get(connection, "/metrics").decode())
    finally:
        connection.close()
    return Sample(clock(), usage_of_tree(pid), found, clients, gauges)


def write(sample: Sample, line_file: Any) -> None:
    """Append a line, and see that it is in the file."""
    line_file.write(json.dumps(asdict(sample)) + "\n")
    line_file.flush()


def read(path: Path) -> list[Sample]:
    """The samples of a run; a last line that was cut short is left out."""
    found = []
    for line in path.read_text("utf-8").splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        raw = json.loads(line)
        raw["processes"] = [Usage(**each) for each in raw["processes"]]
        raw["clients"] = {kind: Tally(**each) for kind, each in raw["clients"].items()}
        found.append(Sample(**raw))
    return found


def _get(connection: http.client.HTTPConnection, path: str) -> bytes:
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise http.client.HTTPException(f"{path} answered {response.status}")
    return body


def _gauges(text: str) -> dict[str, float]:
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name.startswith("streamer_") and "{" not in name:
            found[name] = float(value)
    return found
