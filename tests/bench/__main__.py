"""Measures what the project promises, on this machine (Linux), and prints it.

streamer bench                              all of the next five; `make bench ARGS=…` is the same
streamer bench --sizes [640x480,1280x720]   one stream: ours, the stock pattern and FastRTC in turn
streamer bench --streams [1,2,4]            several streams at once; --stock-streams 1,2 on stock
streamer bench --viewers [1,5,20,50]        viewers of one stream, with and without landmarks
streamer bench --readers [1,20,100]         programs that read one stream's landmarks
streamer bench --modes                      video=none, plain and annotated of an IP camera
streamer bench --stills                     pictures: JPEG encoders, and readers of MJPEG beside viewers
streamer bench --images                     pictures over HTTP, and a live stream beside a flood of them
streamer bench --loss                       over a network that loses packets and goes away for 5 s
streamer bench --first-frame                in Chromium; needs what tests/setup.sh installs
streamer bench --analyze                    files and folders beside a bare loop
streamer bench --smoothing                  how calm and how late landmarks are, beside MediaPipe's filter
streamer bench --estimators                 what an estimator in a process of its own costs
streamer bench --decode-port                what decoding in children costs, beside threads
streamer bench --setup                      a fresh clone, to its first page; needs a network

--quick tries a section in short rounds; --rounds, --seconds and --stream-seconds set them. --json FILE
has every round's figures, --plot FILE.svg (or .png) the main ones as a picture. FastRTC is a yardstick in
an environment of its own: `make bench-yardsticks`.

The probe runs in a process of its own and sends packets encoded beforehand (with --loss it encodes live,
to answer requests for key frames); CPU is the server's process with all its workers. Ratios are to be
trusted more than milliseconds, and a quiet machine more than a busy one. A section that fails says so,
and the next one runs.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.analyze import analyze
from tests.bench.child import BenchError
from tests.bench.decode_port import decode_port
from tests.bench.estimators import estimators
from tests.bench.first_frame import first_frame
from tests.bench.fresh_clone import fresh_clone
from tests.bench.images import images
from tests.bench.loss import loss
from tests.bench.machine import describe_machine
from tests.bench.modes import modes
from tests.bench.plan import Plan, Size
from tests.bench.plot import assert_can_plot, plot
from tests.bench.readers import readers
from tests.bench.sizes import sizes
from tests.bench.smoothing import smoothing
from tests.bench.stills import stills
from tests.bench.streams import streams
from tests.bench.viewers import viewers
from tests.bench.watch import Probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SIZES = "640x480,1280x720,1920x1080"
STREAMS = "1,2,4"
VIEWERS = "1,5,20,50"
READERS = "1,20,100"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sections that were asked for, in the order of their options; 1 when one failed."""
    given = _arguments(arguments)
    if given.plot is not None:
        assert_can_plot()
    machine = describe_machine()
    for name, value in machine.items():
        print(f"{name:22}  {value}")
    report: dict[str, Any] = {"machine": machine}
    failed = False
    with Probe() as probe:
        for name, section in _sections(given, _plan(given, probe)):
            try:
                report[name] = section()
            except Exception as error:  # the next section may go well
                failed = True
                if not isinstance(error, BenchError):
                    traceback.print_exc()
                print(f"\n{name} failed: {error}", file=sys.stderr, flush=True)
            _write(report, given)
    return int(failed)


def _write(report: dict[str, Any], given: argparse.Namespace) -> None:
    """After each section, since the next one may never end well."""
    if given.json is not None:
        given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if given.plot is not None:
        plot(report, given.plot)


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="streamer bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def listed(name: str, kind: Any, default: str, text: str) -> None:
        shown = f"{text} ({default})"
        parser.add_argument(
            name, type=kind, nargs="?", const=kind(default), metavar="LIST", help=shown
        )

    listed("--sizes", _sizes, SIZES, "one stream of these sizes")
    listed("--streams", _numbers, STREAMS, "so many streams at once, on ours")
    parser.add_argument(
        "--stock-streams", type=_numbers, metavar="LIST", help="and on the stock pattern (1,2)"
    )
    listed("--viewers", _numbers, VIEWERS, "so many viewers of one stream")
    listed("--readers", _numbers, READERS, "so many readers of one stream's landmarks")
    parser.add_argument("--modes", action="store_true", help="video modes of an IP camera")
    parser.add_argument("--stills", action="store_true", help="JPEG and readers of MJPEG")
    parser.add_argument("--images", action="store_true", help="pictures, and a flood of them")
    parser.add_argument("--loss", action="store_true", help="a bad network, ours and stock")
    parser.add_argument("--first-frame", action="store_true", help="waiting times in a browser")
    parser.add_argument("--analyze", action="store_true", help="streamer analyze and a bare loop")
    parser.add_argument("--smoothing", action="store_true", help="jitter, lag and cost of it")
    parser.add_argument(
        "--estimators", action="store_true", help="each in a thread, and in a process"
    )
    parser.add_argument("--decode-port", action="store_true", help="decoding in children")
    parser.add_argument("--setup", action="store_true", help="fresh clone to first served page")
    parser.add_argument("--quick", action="store_true", help="one short round of each")
    parser.add_argument("--rounds", type=int, help="of --sizes, --estimators (3)")
    parser.add_argument("--seconds", type=float, help="of a round (5)")
    parser.add_argument("--stream-seconds", type=float, help="of --streams (12)")
    parser.add_argument("--codec", choices=("VP8", "H264"), default="VP8", help="(VP8)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there too")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="and a picture (.svg, .png)")
    given = parser.parse_args(arguments)
    wanted = (given.sizes, given.streams or given.stock_streams, given.viewers, given.modes)
    others = (
        *(given.readers, given.stills, given.images, given.loss, given.first_frame),
        *(given.analyze, given.smoothing, given.estimators, given.decode_port, given.setup),
    )
    if not any((*wanted, *others)):
        given.sizes, given.streams, given.viewers = (
            _sizes(SIZES),
            _numbers(STREAMS),
            _numbers(VIEWERS),
        )
        given.modes = given.loss = True
    return given


def _sizes(text: str) -> tuple[Size, ...]:
    parts = (each.split("x") for each in text.split(","))
    return tuple((int(width), int(height)) for width, height in parts)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in text.split(","))


def _plan(given: argparse.Namespace, probe: Probe) -> Plan:
    quick = given.quick
    stock_streams = given.stock_streams
    if stock_streams is None:
        stock_streams = (1, 2) if given.streams else ()
    return Plan(
        probe=probe,
        sizes=given.sizes or (),
        streams=given.streams or (),
        stock_streams=stock_streams,
        viewers=given.viewers or (),
        readers=given.readers or (),
        rounds=given.rounds or (1 if quick else 3),
        seconds=given.seconds or (3.0 if quick else 5.0),
        stream_seconds=given.stream_seconds or (4.0 if quick else 12.0),
        warm_up_s=1.5 if quick else 2.0,
        bare_frames=40 if quick else 90,
        codec=given.codec,
    )


def _sections(
    given: argparse.Namespace, plan: Plan
) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    if given.sizes:
        yield "sizes", lambda: sizes(plan)
    if given.streams or given.stock_streams:
        yield "streams", lambda: streams(plan)
    if given.viewers:
        yield "viewers", lambda: viewers(plan)
    if given.readers:
        yield "readers", lambda: readers(plan)
    if given.modes:
        yield "modes", lambda: modes(plan)
    if given.stills:
        yield "stills", lambda: stills(plan)
    if given.images:
        yield "images", lambda: images(plan)
    if given.loss:
        yield "loss", lambda: loss(plan)
    if given.first_frame:
        yield "first_frame", lambda: dict(first_frame())
    if given.analyze:
        yield "analyze", lambda: analyze(plan)
    if given.smoothing:
        yield "smoothing", smoothing
    if given.estimators:
        yield "estimators", lambda: estimators(plan.rounds)
    if given.decode_port:
        yield "decode_port", decode_port
    if given.setup:
        yield "setup", fresh_clone


if __name__ == "__main__":
    sys.exit(main())
