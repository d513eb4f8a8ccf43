#!/usr/bin/python3
"""A player that minds the rules (GStreamer's rtspsrc): prints what it gets of a stream, as JSON, and ends.

Run with the Python that has Debian's ``gi``, as ``gst_rtsp_server.py``.
"""

# Debian's gi lives in the system's Python, not in the project's environment, and has no types:
# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

import argparse
import json
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402  (after the version)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("pictures", type=int)
    arguments = parser.parse_args()
    Gst.init(None)
    pipeline = Gst.parse_launch(
        "rtspsrc name=source protocols=tcp latency=0 ! rtph264depay ! h264parse"
        " ! video/x-h264,stream-format=byte-stream,alignment=au ! appsink name=out sync=false"
    )
    pipeline.get_by_name("source").set_property("location", arguments.url)
    sink = pipeline.get_by_name("out")
    pipeline.set_state(Gst.State.PLAYING)
    keyframes, times, caps = [], [], {}
    for number in range(arguments.pictures):
        sample = sink.emit("try-pull-sample", 10 * Gst.SECOND)
        if sample is None:
            raise SystemExit(f"no picture came after {number}: {pipeline.get_bus().pop()}")
        buffer = sample.get_buffer()
        if not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT):
            keyframes.append(number)
        if buffer.pts != Gst.CLOCK_TIME_NONE:  # the second picture of one moment has none
            times.append(buffer.pts / Gst.SECOND)
        structure = sample.get_caps().get_structure(0)
        caps = {key: structure.get_value(key) for key in ("width", "height", "profile")}
    pipeline.set_state(Gst.State.NULL)
    sys.stdout.write(json.dumps({"keyframes": keyframes, "times": times, **caps}))


if __name__ == "__main__":
    main()
