"""Measures what the project promises, on this machine (Linux), and prints it.

make bench                                  compare with the stock pattern, then three streams
make bench ARGS="--compare --size 1280x720 --rounds 5"
make bench ARGS="--streams 3 --stock-streams 2"
make bench ARGS="--first-frame"             in Chromium; needs what tests/setup.sh installs
make bench ARGS="--process-port"            what an estimator in its own process would cost
make bench ARGS="--setup"                   a fresh clone, to its first page; needs a network

Ratios are to be trusted more than milliseconds, and a quiet machine more than a busy one.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.compare import compare
from tests.bench.first_frame import first_frame
from tests.bench.fresh_clone import fresh_clone
from tests.bench.machine import describe_machine
from tests.bench.many_streams import our_streams, stock_streams
from tests.bench.process_port import process_port
from tests.rigs.webrtc_probe import ProbeOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STOCK_STREAMS_S = 20.0  # long enough to see its latency grow by seconds


def main() -> None:
    """Run the sections that were asked for, in the order of their options."""
    given = _arguments()
    machine = describe_machine()
    for name, value in machine.items():
        print(f"{name:22}  {value}")
    report: dict[str, Any] = {"machine": machine}
    for name, section in _sections(given):
        report[name] = section()
        if given.json is not None:  # after each section, since the next one may fail
            given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--compare", action="store_true", help="ours and the stock pattern, in turn"
    )
    parser.add_argument("--streams", type=int, metavar="N", help="N streams on ours for a minute")
    parser.add_argument(
        "--stock-streams", type=int, metavar="N", help="N on the stock pattern, 20 s"
    )
    parser.add_argument("--first-frame", action="store_true", help="waiting times in a browser")
    parser.add_argument("--process-port", action="store_true", help="estimator in its own process")
    parser.add_argument("--setup", action="store_true", help="fresh clone to first served page")
    parser.add_argument("--rounds", type=int, default=3, help="of --compare (3)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of a round of --compare (10)")
    parser.add_argument("--size", default="640x480", metavar="WxH", help="of --compare (640x480)")
    parser.add_argument("--codec", choices=("VP8", "H264"), default="VP8", help="(VP8)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there too")
    given = parser.parse_args()
    wanted = (given.compare, given.streams, given.stock_streams, given.first_frame)
    if not any((*wanted, given.process_port, given.setup)):
        given.compare, given.streams = True, 3
    return given


def _sections(given: argparse.Namespace) -> Iterator[tuple[str, Callable[[], Any]]]:
    def options(size: str, seconds: float) -> ProbeOptions:
        width, height = (int(part) for part in size.split("x"))
        return ProbeOptions(
            "", width=width, height=height, seconds=seconds, codec=given.codec, warm_up_s=3.0
        )

    if given.compare:
        yield "compare", lambda: compare(options(given.size, given.seconds), given.rounds)
    if given.streams:
        yield "streams", lambda: our_streams(options("640x480", 60.0), given.streams)
    if given.stock_streams:
        stock_options = options("640x480", STOCK_STREAMS_S)
        yield "stock_streams", lambda: stock_streams(stock_options, given.stock_streams)
    if given.first_frame:
        yield "first_frame", first_frame
    if given.process_port:
        yield "process_port", process_port
    if given.setup:
        yield "setup", fresh_clone


if __name__ == "__main__":
    main()
