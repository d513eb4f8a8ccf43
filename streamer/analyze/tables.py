"""Landmarks as flat tables for spreadsheets and pandas: one row for each person of each frame.

docs/analyze.md describes the columns.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from streamer.angles import ANGLES
from streamer.errors import ConfigError
from streamer.landmarks import NAMES
from streamer.model import VIDEO_CLOCK_HZ

_IMAGE = ("x", "y", "z", "visibility", "presence")
_WORLD = ("world_x", "world_y", "world_z")
_WHOLE_NUMBERS = ("frame", "pts", "width", "height", "person")
_PREDICTED = tuple(f"{name}_predicted" for name in NAMES)
_ANGLES = tuple(f"{name}_{part}" for name in ANGLES for part in ("deg", "valid"))

COLUMNS = (
    *("stream", "frame", "pts", "time_s", "width", "height", "person", "score"),
    *(f"{name}_{part}" for name in NAMES for part in _IMAGE),
    *(f"{name}_{part}" for name in NAMES for part in _WORLD),
    *("turned", *_PREDICTED, *_ANGLES),
)
_EMPTY = (None,) * (len(COLUMNS) - 7)
"""Score and landmarks of a frame with nobody."""

_BATCH_ROWS = 1000

Row = tuple[Any, ...]


class Table(Protocol):
    def write(self, message: Mapping[str, Any]) -> None:
        """The rows of one ``pose`` message."""

    def close(self) -> None: ...


def rows(message: Mapping[str, Any]) -> Iterator[Row]:
    """One for each person; a frame with nobody has one too, of person 0."""
    head = (
        *(message["stream"], message["seq"], message["pts"], message["pts"] / VIDEO_CLOCK_HZ),
        *(message["width"], message["height"]),
    )
    if not message["poses"]:
        yield (*head, 0, *_EMPTY)
    for pose in message["poses"]:
        image = (value for landmark in pose["landmarks"] for value in landmark)
        world = (value for point in pose["world"] for value in point)
        yield (*head, pose["id"], pose["score"], *image, *world, *_further(pose))


def _further(pose: Mapping[str, Any]) -> Row:
    """What not every pose has, as far as this one has it."""
    flags: Row = (None,) * len(_PREDICTED)
    if "predicted" in pose:
        flags = tuple(int(index in pose["predicted"]) for index in range(len(NAMES)))
    angles = pose.get("angles", {})
    pairs = (angles.get(name, (None, None)) for name in ANGLES)
    return (pose.get("turned"), *flags, *(part for pair in pairs for part in pair))


class CsvTable:
    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(COLUMNS)

    def write(self, message: Mapping[str, Any]) -> None:
        self._writer.writerows(rows(message))

    def close(self) -> None:
        self._file.close()


class ParquetTable:
    """Raises ConfigError without pyarrow."""

    def __init__(self, path: Path) -> None:
        assert_parquet()
        import pyarrow as arrow
        from pyarrow import parquet

        kinds = {
            "stream": arrow.string(),
            "turned": arrow.string(),
            "time_s": arrow.float64(),
            **dict.fromkeys(_WHOLE_NUMBERS, arrow.int64()),
            **dict.fromkeys((*_PREDICTED, *_ANGLES[1::2]), arrow.int8()),
        }
        self._arrow = arrow
        self._schema = arrow.schema([(n, kinds.get(n, arrow.float32())) for n in COLUMNS])
        self._writer = parquet.ParquetWriter(path, self._schema)
        self._rows: list[Row] = []

    def write(self, message: Mapping[str, Any]) -> None:
        self._rows.extend(rows(message))
        if len(self._rows) >= _BATCH_ROWS:
            self._flush()

    def close(self) -> None:
        try:
            self._flush()
        finally:
            self._writer.close()

    def _flush(self) -> None:
        columns = zip(*self._rows, strict=True) if self._rows else ([] for _ in COLUMNS)
        arrays = [
            self._arrow.array(column, field.type)
            for column, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        self._rows.clear()


def assert_parquet() -> None:
    """Raises ConfigError where the library for Parquet is not installed."""
    try:
        import pyarrow  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise ConfigError(
            "--parquet needs pyarrow, which is not installed: pip install 'streamer[parquet]'"
        ) from error
