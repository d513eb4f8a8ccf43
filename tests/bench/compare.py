"""Ours against the stock pattern, in turn on the same machine in the same minutes."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from tests.bench.servers import Target, ours, stock
from tests.bench.table import figure, print_table
from tests.bench.watch import Run, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.rigs.webrtc_probe import ProbeOptions


@dataclass(frozen=True)
class Figure:
    """One row of the table; ``target`` is what the project set itself."""

    name: str
    of: Callable[[Run], float | None]
    target: str = ""


FIGURES = (
    Figure("frames back /s", lambda run: run.results[0].fps_back, "ours >= 28"),
    Figure("messages /s", lambda run: run.results[0].messages_per_s, "ours >= 28"),
    Figure("round trip p50 ms", lambda run: run.results[0].rtt_p50_ms, "ratio <= 0.50"),
    Figure("round trip p95 ms", lambda run: run.results[0].rtt_p95_ms),
    Figure("server CPU ms / frame", lambda run: run.cpu_ms_per_frame, "ratio <= 0.75"),
)


def compare(options: ProbeOptions, rounds: int) -> dict[str, Any]:
    """Print the table; return every round's figures and the ratios."""
    runs: dict[str, list[Run]] = {"ours": [], "stock": []}
    with ours() as our_server, stock() as stock_server:
        for number in range(rounds):
            for target in (our_server, stock_server):
                runs[target.name].append(_round(target, options, number))
    rows, found = [], {}
    for each in FIGURES:
        values = {name: [each.of(one) for one in runs[name]] for name in runs}
        summary = _summary(values["ours"], values["stock"])
        found[each.name] = {**values, **summary}
        rows.append(_row(each, values, summary))
    size = f"{options.width}x{options.height}"
    print_table(
        f"One webcam stream, {size} at {options.fps} fps, model full: the median of {rounds} rounds"
        f" of {options.seconds:g} s in turn (lowest to highest)",
        ["", "ours", "stock pattern", "ours / stock", "to reach"],
        rows,
    )
    return {"size": size, "rounds": rounds, "seconds": options.seconds, "figures": found}


def _round(target: Target, options: ProbeOptions, number: int) -> Run:
    print(f"round {number + 1}, {target.name} …", flush=True)
    return run(target, options)


def _summary(ours: list[float | None], stock: list[float | None]) -> dict[str, Any]:
    """Medians, and the ratio of each round's pair: what slows the machine slows both."""
    pairs = [(a, b) for a, b in zip(ours, stock, strict=True) if a is not None and b]
    ratios = [a / b for a, b in pairs]
    if not ratios:
        return {"median": {}, "ratio": None}
    medians = {"ours": median(a for a, _ in pairs), "stock": median(b for _, b in pairs)}
    spread = [min(ratios), max(ratios)]
    return {"median": medians, "ratio": median(ratios), "ratio_range": spread}


def _row(each: Figure, values: dict[str, list[float | None]], summary: dict[str, Any]) -> list[str]:
    ratio = figure(summary["ratio"], 2)
    if summary["ratio"] is not None:
        ratio += " ({:.2f} to {:.2f})".format(*summary["ratio_range"])
    cells = [each.name]
    for name in ("ours", "stock"):
        known = [value for value in values[name] if value is not None]
        spread = f" ({figure(min(known))} to {figure(max(known))})" if known else ""
        cells.append(figure(summary["median"].get(name)) + spread)
    return [*cells, ratio, each.target]
