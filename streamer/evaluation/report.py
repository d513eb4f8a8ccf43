"""What ``streamer eval`` prints, and its JSON."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TextIO

from streamer import __version__
from streamer.config import PoseConfig
from streamer.evaluation.case import BARE, OURS
from streamer.evaluation.figures import Figures, added, summary
from streamer.evaluation.presence import reliability


@dataclass(frozen=True, slots=True)
class _Column:
    """``scale``: from the figure to what is shown."""

    key: str
    head: str
    shown: str
    scale: float = 1.0


_COLUMNS = (
    _Column("recall", "recall %", ".1f", 100),
    _Column("false_poses", "false %", ".1f", 100),
    _Column("person_recall", "person %", ".1f", 100),
    _Column("id_switches", "switches", ".0f"),
    _Column("first_pose_ms", "first ms", ".0f"),
    _Column("error_torso", "err torso%", ".1f", 100),
    _Column("jitter", "jitter /s2", ".2f"),
    _Column("lag_ms", "lag ms", ".0f"),
    _Column("cpu_ms", "CPU ms", ".1f"),
)
"""Of the table of the cases, each with ours and bare MediaPipe's."""

_LINES = {
    "recall": ("presence recall", ".4f"),
    "false_poses": ("false poses on empty frames", ".4f"),
    "person_recall": ("recall by person", ".4f"),
    "worst_person_recall": ("  of the person worst off", ".4f"),
    "id_switches": ("identity switches", ".0f"),
    "extra_poses": ("poses of nobody, a frame", ".4f"),
    "first_pose_frames": ("time to first pose, frames", ".2f"),
    "first_pose_ms": ("time to first pose, ms", ".1f"),
    "never_found": ("people who came and were not found", ".0f"),
    "error_px": ("landmark error, px", ".2f"),
    "error_px_p95": ("  95th percentile", ".2f"),
    "error_torso": ("landmark error, share of torso", ".4f"),
    "error_torso_p95": ("  95th percentile", ".4f"),
    "jitter": ("jitter at rest, torsos/s2", ".3f"),
    "raw_jitter": ("  before smoothing", ".3f"),
    "lag_ms": ("lag of the smoothing, ms", ".1f"),
    "brier": ("Brier score of the score", ".4f"),
    "calibration_error": ("calibration error of the score", ".4f"),
    "cpu_ms": ("CPU ms a frame", ".2f"),
}
"""Of the overall figures."""


class Result(Protocol):
    @property
    def title(self) -> str: ...

    @property
    def figures(self) -> Mapping[str, Figures]: ...

    @property
    def faults(self) -> Sequence[str]: ...


def print_report(results: Sequence[Result], out: TextIO | None = None) -> None:
    out = out or sys.stdout
    for line in (*_table(results), "", *_overall(results), "", *_calibration(results)):
        out.write(f"{line}\n")
    for result in results:
        for fault in result.faults:
            out.write(f"{result.title}: {fault}\n")


def as_json(results: Sequence[Result], options: PoseConfig) -> dict[str, Any]:
    """Everything that is printed, and the figures of each case."""
    return {
        "version": __version__,
        "options": options.model_dump(mode="json"),
        "overall": _both(_total(results)),
        "reliability": [asdict(each) for each in reliability(_total(results)[OURS].scores)],
        "cases": [
            {
                "name": result.title,
                "frames": result.figures[OURS].frames,
                **_both(result.figures),
                "faults": list(result.faults),
            }
            for result in results
        ],
    }


def _both(figures: Mapping[str, Figures]) -> dict[str, dict[str, float | None]]:
    return {run: summary(figures[run]) for run in (OURS, BARE)}


def _total(results: Sequence[Result]) -> dict[str, Figures]:
    return {run: added([result.figures[run] for result in results]) for run in (OURS, BARE)}


def _table(results: Sequence[Result]) -> list[str]:
    """A line for each case; columns that no case has a figure for are left out."""
    cases = [(result, _both(result.figures)) for result in results]
    columns = [
        column
        for column in _COLUMNS
        if any(both[run][column.key] is not None for _, both in cases for run in both)
    ]
    widths = [max(len(column.head), 12) for column in columns]
    name_width = max(len("ours bare"), *(len(result.title) for result in results))
    heads = zip(columns, widths, strict=True)
    lines = [
        " ".join(
            [
                f"{'ours bare':{name_width}} {'frames':>6}",
                *(f"{c.head:>{w}}" for c, w in heads),
            ]
        )
    ]
    for result, both in cases:
        cells = [
            f"{' '.join(_cell(both[run][column.key], column) for run in (OURS, BARE)):>{width}}"
            for column, width in zip(columns, widths, strict=True)
        ]
        frames = result.figures[OURS].frames
        lines.append(" ".join([f"{result.title:{name_width}} {frames:6}", *cells]))
    return lines


def _cell(value: float | None, column: _Column) -> str:
    return f"{'-' if value is None else format(value * column.scale, column.shown):>5}"


def _overall(results: Sequence[Result]) -> list[str]:
    both = _both(_total(results))
    lines = [f"{'overall':36} {'ours':>10} {'bare':>10} {'ours/bare':>10}"]
    for key, (words, shown) in _LINES.items():
        ours, bare = both[OURS][key], both[BARE][key]
        if ours is None and bare is None:
            continue
        cells = ["-" if value is None else format(value, shown) for value in (ours, bare)]
        ratio = f"{ours / bare:.2f}" if ours is not None and bare else "-"
        lines.append(f"{words:36} {cells[0]:>10} {cells[1]:>10} {ratio:>10}")
    return lines


def _calibration(results: Sequence[Result]) -> list[str]:
    scores = _total(results)[OURS].scores
    if not len(scores):
        return []
    lines = [f"{'our score':12} {'frames':>8} {'mean':>8} {'occupied':>8}"]
    lines += [
        f"{each.begin:.1f} .. {each.end:.1f}   {each.frames:8} {each.score:8.3f} {each.occupied:8.3f}"
        for each in reliability(scores)
    ]
    return lines
