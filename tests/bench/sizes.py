"""One webcam stream of several sizes: ours, the stock pattern and FastRTC, in turn in the same minutes.

``psnr.py`` says how pictures are compared. Both sides may send up to 1.5 Mbit/s, as much as stock aiortc
ever does, and the probe tells both that its network bears it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from tests.bench.bare import Bare, measure_bare
from tests.bench.child import BenchError
from tests.bench.plan import Plan, Size, size_text
from tests.bench.servers import NOT_INSTALLED, Target, fastrtc, fastrtc_is_installed, ours, stock
from tests.bench.table import figure, print_table
from tests.bench.watch import Run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAMES = ("ours", "stock", "FastRTC")
Value = Callable[[Run], float | None]


@dataclass(frozen=True)
class Figure:
    """One row of the table; ``targets`` (by size, "" for any) are what the project set itself."""

    name: str
    of: Value
    digits: int = 1
    targets: Mapping[str, str] | None = None
    has_ratio: bool = True

    def target(self, size: str) -> str:
        return (self.targets or {}).get(size, (self.targets or {}).get("", ""))


def _scaled(value: float | None, by: float) -> float | None:
    return None if value is None else value / by


FIGURES = (
    Figure("frames back /s", lambda run: run.one.fps_back, targets={"": "ours >= 28"}),
    Figure(
        "round trip p50 ms",
        lambda run: run.one.rtt_p50_ms,
        targets={
            "640x480": "ratio <= 0.33",
            "1280x720": "ratio <= 0.30",
            "1920x1080": "ours <= 80, flat",
        },
    ),
    Figure("round trip p95 ms", lambda run: run.one.rtt_p95_ms),
    Figure("its slope ms / s", lambda run: run.one.rtt_slope_ms_per_s, has_ratio=False),
    Figure(
        "server CPU ms / frame", lambda run: run.cpu_ms_per_frame, targets={"": "ratio <= 0.60"}
    ),
    Figure("messages /s", lambda run: run.one.messages_per_s),
    Figure("message bytes", lambda run: run.one.message_bytes, 0, {"": "ours < 1160"}),
    Figure("memory MB (PSS)", lambda run: _scaled(run.memory_bytes, 1e6), 0),
    Figure("luma PSNR dB", lambda run: run.psnr_db, 1, {"": "ours >= stock"}, False),
    Figure("received kbit/s", lambda run: run.one.received_kbps, 0),
)


def sizes(plan: Plan) -> dict[str, Any]:
    """Print a table for each size; return every round's figures and the ratios."""
    return {size_text(size): _one_size(plan, size) for size in plan.sizes}


def _one_size(plan: Plan, size: Size) -> dict[str, Any]:
    print(f"\n{size_text(size)}, what each part costs alone …", flush=True)
    bare = measure_bare(*size, plan.bare_frames)
    runs: dict[str, list[Run]] = {name: [] for name in NAMES}
    with ExitStack() as stack:
        targets = [stack.enter_context(ours()), stack.enter_context(stock())]
        if fastrtc_is_installed():
            targets.append(stack.enter_context(fastrtc()))
        for number in range(plan.rounds):
            for target in targets:
                run = _round(plan, target, size, bare, number)
                if run is not None:
                    runs[target.name].append(run)
    found = {
        each.name: summary({n: list(map(each.of, runs[n])) for n in NAMES}) for each in FIGURES
    }
    _print(plan, size_text(size), found, bare)
    alone = {key: value for key, value in asdict(bare).items() if key != "landmarks"}
    return {"figures": found, "bare": alone, "stage_ms": _stages(runs["ours"])}


def _round(plan: Plan, target: Target, size: Size, bare: Bare, number: int) -> Run | None:
    print(f"{size_text(size)}, round {number + 1}, {target.name} …", flush=True)
    try:
        return plan.probe.run(target, plan.options(size), landmarks=bare.landmarks)
    except BenchError as error:
        print(f"failed: {error}", flush=True)
        return None


def summary(values: Mapping[str, Sequence[float | None]]) -> dict[str, Any]:
    """Medians of each server, and the ratio ours / stock of each round's pair, as what slows the
    machine slows both of a pair; None where it is not known."""
    known = {name: [v for v in each if v is not None] for name, each in values.items()}
    pairs = zip(values["ours"], values["stock"], strict=False)
    ratios = [a / b for a, b in pairs if a is not None and b]
    return {
        "values": {name: list(each) for name, each in values.items()},
        "median": {name: median(each) if each else None for name, each in known.items()},
        "ratio": median(ratios) if ratios else None,
        "ratio_range": [min(ratios), max(ratios)] if ratios else None,
    }


def _print(plan: Plan, size: str, found: dict[str, Any], bare: Bare) -> None:
    rows = []
    for each in FIGURES:
        medians = found[each.name]["median"]
        cells = [_cell(found[each.name], name, each.digits) for name in NAMES]
        if medians["FastRTC"] is None and not fastrtc_is_installed():
            cells[2] = NOT_INSTALLED if each is FIGURES[0] else ""
        ratio = _ratio(found[each.name]) if each.has_ratio else ""
        rows.append([each.name, *cells, ratio, each.target(size)])
    print_table(
        f"One webcam stream, {size} at 30 fps, model full, {plan.codec}: the median of"
        f" {plan.rounds} rounds of {plan.seconds:g} s in turn (lowest to highest)",
        ["", "ours", "stock pattern", "FastRTC", "ours / stock", "to reach"],
        rows,
    )
    print(
        f"alone, CPU ms a frame: detect_for_video as published {bare.published_ms:.1f},"
        f" our estimator {bare.ours_ms:.1f}, decoding what is sent {bare.decode_ms:.2f}",
        flush=True,
    )


def _cell(found: dict[str, Any], name: str, digits: int) -> str:
    known = [value for value in found["values"][name] if value is not None]
    if len(known) < 2:
        return figure(found["median"][name], digits)
    low, high = figure(min(known), digits), figure(max(known), digits)
    return f"{figure(found['median'][name], digits)} ({low} to {high})"


def _ratio(found: dict[str, Any]) -> str:
    if found["ratio"] is None:
        return "-"
    if len(found["values"]["ours"]) < 2:
        return figure(found["ratio"], 2)
    low, high = found["ratio_range"]
    return f"{found['ratio']:.2f} ({low:.2f} to {high:.2f})"


def _stages(runs: Sequence[Run]) -> dict[str, float]:
    """The medians over all rounds of what our messages say of a frame's time in the server."""
    stages = {stage for run in runs for stage in run.stage_ms}
    return {s: median(run.stage_ms[s] for run in runs if s in run.stage_ms) for s in stages}
