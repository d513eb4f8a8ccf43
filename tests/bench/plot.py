"""The report's main figures as a picture. matplotlib belongs to the bench alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.bench.child import BenchError
from tests.bench.sizes import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Draw = Callable[[Any, Any], None]

COLOURS = {"ours": "#0072b2", "stock": "#d55e00", "FastRTC": "#999999"}  # told apart by everybody


def assert_can_plot() -> None:
    """Before anything is measured. Raises BenchError."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise BenchError(
            "--plot needs matplotlib: `make setup` and `pip install matplotlib` in .venv"
        ) from error


def plot(report: dict[str, Any], file: Path) -> None:
    """Write what ``report`` has of the sections that have a picture; the suffix is the format."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    panels: list[tuple[str, Draw]] = []
    if "sizes" in report:
        panels += [
            ("Round trip p50, ms (log)", _bars("round trip p50 ms", log=True)),
            ("Server CPU, ms a returned frame", _bars("server CPU ms / frame")),
        ]
    if "streams" in report:
        panels.append(("Frames back, /s of the slowest of n streams", _streams))
    if "viewers" in report:
        panels.append(("Server CPU, % of a core, by viewers", _viewers))
    if not panels:
        return
    figure, axes = pyplot.subplots(1, len(panels), figsize=(5 * len(panels), 4), squeeze=False)
    for (title, draw), axis in zip(panels, axes[0], strict=True):
        axis.set_title(title, fontsize=10)
        draw(axis, report)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(fontsize=8)
    machine = report["machine"]
    figure.suptitle(f"{machine['cpu']}, {machine['cores']} cores", fontsize=9)
    figure.tight_layout()
    figure.savefig(file)
    pyplot.close(figure)


def _bars(name: str, log: bool = False) -> Draw:
    def draw(axis: Any, report: dict[str, Any]) -> None:
        found = report["sizes"]
        for index, server in enumerate(NAMES):
            heights = [found[size]["figures"][name]["median"][server] for size in found]
            if all(height is None for height in heights):
                continue
            places = [place + (index - 1) * 0.27 for place in range(len(heights))]
            shown = [height or 0 for height in heights]
            bars = axis.bar(places, shown, 0.25, label=server, color=COLOURS[server])
            axis.bar_label(bars, fmt="%.0f", fontsize=7)
        axis.set_xticks(range(len(found)), list(found))
        if log:
            axis.set_yscale("log")

    return draw


def _streams(axis: Any, report: dict[str, Any]) -> None:
    points: dict[str, list[tuple[int, float]]] = {}
    for name, found in report["streams"].items():
        server, count = name.split(", ")
        points.setdefault(server, []).append((int(count), min(found["fps"])))
    for server, each in points.items():
        axis.plot(*zip(*each, strict=True), "o-", label=server, color=COLOURS[server])
    axis.set_ylim(0, 32)
    axis.set_xlabel("streams")


def _viewers(axis: Any, report: dict[str, Any]) -> None:
    runs = report["viewers"]["runs"]
    for has_channels, label in ((False, "video alone"), (True, "with landmarks")):
        points = [
            (run["viewers"], 100 * run["cpu"])
            for run in runs
            if run["has_channels"] == has_channels or run["viewers"] < 2
        ]
        axis.plot(*zip(*points, strict=True), "o-", label=label)
    axis.axhline(100 * report["viewers"]["pose_cpu"], ls=":", c="grey", label="the pose alone")
    axis.set_ylim(bottom=0)
    axis.set_xlabel("viewers")
