"""A soak as a picture; its suffix is the format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.soak.report import bin_s, series_of
from tests.soak.trend import lowest_in_bins

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.soak.samples import Sample

PANELS = (
    (("memory", "RSS"), "MB"),
    (("files",), "files"),
    (("threads",), "threads"),
    (("processes", "tasks", "peers", "HTTP"), "number"),
)
"""How the names of a panel's figures begin, and what is written beside it."""


def plot(samples: Sequence[Sample], skip_s: float, cycle_s: float, file: Path) -> None:
    """Memory, files, threads, processes and frame rates over the hours: thin every sample, thick the
    lowest of some cycles each, grey the warm-up."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    hours = [sample.at_s / 3600 for sample in samples]
    series = series_of(samples)
    bin_h = bin_s(samples[-1].at_s - skip_s, cycle_s) / 3600
    figure, axes = pyplot.subplots(len(PANELS) + 1, 1, figsize=(9, 12), sharex=True)
    for axis, (begins, label) in zip(axes, PANELS, strict=False):
        chosen = {name: values for name, values in series.items() if name.startswith(begins)}
        _lines(axis, hours, chosen, bin_h)
        axis.set_ylabel(label)
    for stream in samples[0].streams:
        at, rates = _rates(samples, stream)
        axes[-1].plot(at, rates, linewidth=0.8, label=stream)
    axes[-1].set_ylabel("frames /s")
    axes[-1].set_xlabel("hours")
    for axis in axes:
        axis.axvspan(0, skip_s / 3600, color="0.9")
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(fontsize=7, loc="lower right")
    figure.tight_layout()
    figure.savefig(file)
    pyplot.close(figure)


def _lines(
    axis: Any, hours: Sequence[float], chosen: Mapping[str, Sequence[float]], bin_h: float
) -> None:
    for name, values in chosen.items():
        (line,) = axis.plot(hours, values, linewidth=0.5, alpha=0.5)
        axis.plot(*lowest_in_bins(hours, values, bin_h), color=line.get_color(), label=name)
    axis.set_ylim(bottom=0)


def _rates(samples: Sequence[Sample], stream: str) -> tuple[list[float], list[float]]:
    """Frames processed per second between each two samples."""
    at, rates = [], []
    for before, after in zip(samples, samples[1:], strict=False):
        old, new = before.streams[stream], after.streams[stream]
        seconds = (new["read_at_s"] or 0) - (old["read_at_s"] or 0)
        at.append(after.at_s / 3600)
        rates.append(((new["frames_processed"] or 0) - (old["frames_processed"] or 0)) / seconds)
    return at, rates
