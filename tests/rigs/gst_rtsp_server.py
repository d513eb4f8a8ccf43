#!/usr/bin/python3
"""A real RTSP server (GStreamer's) that loops clips without transcoding, for the tests. It also takes
video that is published to it (RECORD), and plays it to those who come for it.

Run by ``tests.rigs.rtsp`` with the Python that has Debian's ``gi`` (usually not the project's), so
it imports nothing of ours. Prints ``READY`` once it accepts connections, and ends when its
standard input closes: it can not outlive the test that started it.

"""

# Debian's gi lives in the system's Python, not in the project's environment, and has no types:
# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

import argparse
import itertools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402  (after the versions)

if TYPE_CHECKING:
    from collections.abc import Iterator

PAYLOADERS = {
    "video/x-h264": "h264parse config-interval=-1 ! rtph264pay",
    "video/x-h265": "h265parse config-interval=-1 ! rtph265pay",
    "image/jpeg": "rtpjpegpay",
    "video/x-vp8": "rtpvp8pay",
}
TRANSPORTS = {
    "tcp": GstRtsp.RTSPLowerTrans.TCP,
    "udp": GstRtsp.RTSPLowerTrans.UDP,
    "all": GstRtsp.RTSPLowerTrans.TCP | GstRtsp.RTSPLowerTrans.UDP,
}
ROLE = "viewer"


@dataclass(frozen=True)
class Clip:
    """A clip's packets in order of time; ``duration_ns`` is that of one round of the loop."""

    caps: Any
    packets: list[tuple[bytes, int]]
    duration_ns: int

    @property
    def payloader(self) -> str:
        return PAYLOADERS[self.caps.get_structure(0).get_name()]

    def endless(self) -> Iterator[Any]:
        """Yield buffers for ever; their timestamps go on rising when the clip starts again."""
        for round_number in itertools.count():
            for content, pts_ns in self.packets:
                buffer = Gst.Buffer.new_wrapped(content)
                buffer.pts = buffer.dts = round_number * self.duration_ns + pts_ns
                yield buffer


def read_clip(path: Path) -> Clip:
    """Demux a file into memory; raises SystemExit when it has no video of a known codec."""
    pipeline = Gst.parse_launch("filesrc name=file ! parsebin ! appsink name=out sync=false")
    pipeline.get_by_name("file").set_property("location", str(path))
    sink = pipeline.get_by_name("out")
    pipeline.set_state(Gst.State.PLAYING)
    samples = list(iter(lambda: sink.emit("try-pull-sample", 5 * Gst.SECOND), None))
    pipeline.set_state(Gst.State.NULL)
    if not samples or samples[0].get_caps().get_structure(0).get_name() not in PAYLOADERS:
        raise SystemExit(f"{path}: no H.264, H.265, MJPEG or VP8 video")
    buffers = [sample.get_buffer() for sample in samples]
    start_ns, end_ns = buffers[0].pts, buffers[-1].pts
    frame_ns = (end_ns - start_ns) // (len(buffers) - 1)
    packets = [(item.extract_dup(0, item.get_size()), item.pts - start_ns) for item in buffers]
    return Clip(samples[0].get_caps(), packets, end_ns - start_ns + frame_ns)


def make_factory(clip: Clip, transport: str) -> Any:
    """Return the factory of one mount point; all its viewers share one running media."""
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        "( appsrc name=src format=time max-bytes=0 max-buffers=4 block=false"
        f" ! clocksync ! {clip.payloader} name=pay0 )"
    )
    open_up(factory, transport)

    def feed(_factory: Any, media: Any) -> None:
        source = media.get_element().get_by_name("src")
        source.set_property("caps", clip.caps)
        buffers = clip.endless()
        source.connect("need-data", lambda src, _size: src.emit("push-buffer", next(buffers)))

    factory.connect("media-configure", feed)
    return factory


def open_up(factory: Any, transport: str) -> None:
    """One running media for all who come, and those who may come."""
    factory.set_shared(True)
    factory.set_protocols(TRANSPORTS[transport])
    permission = f"{ROLE},media.factory.access=(boolean)true,media.factory.construct=(boolean)true"
    factory.add_role_from_structure(Gst.Structure.from_string(permission)[0])


class Studio:
    """What is published to one mount point is played at another, picture by picture as it comes."""

    def __init__(self, transport: str) -> None:
        self.recorder = GstRtspServer.RTSPMediaFactory()
        self.recorder.set_launch(
            "( rtph264depay name=depay0 ! h264parse"
            " ! video/x-h264,stream-format=byte-stream,alignment=au"
            " ! appsink name=out sync=false emit-signals=true )"
        )
        self.recorder.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
        self.player = GstRtspServer.RTSPMediaFactory()
        self.player.set_launch(
            "( appsrc name=src is-live=true format=time do-timestamp=true"
            " caps=video/x-h264,stream-format=byte-stream,alignment=au"
            " ! h264parse ! rtph264pay name=pay0 )"
        )
        for factory in (self.recorder, self.player):
            open_up(factory, transport)
        self._source: Any = None
        self.recorder.connect("media-configure", self._on_recorder)
        self.player.connect("media-configure", self._on_player)

    def _on_recorder(self, _factory: Any, media: Any) -> None:
        media.get_element().get_by_name("out").connect("new-sample", self._on_sample)

    def _on_player(self, _factory: Any, media: Any) -> None:
        self._source = media.get_element().get_by_name("src")

    def _on_sample(self, sink: Any) -> Any:
        buffer = sink.emit("pull-sample").get_buffer()
        if self._source is not None:
            content = buffer.extract_dup(0, buffer.get_size())
            self._source.emit("push-buffer", Gst.Buffer.new_wrapped(content))
        return Gst.FlowReturn.OK


def make_auth(method: str, user: str, password: str) -> Any:
    """Return what admits one user by basic or digest authentication, or anybody by "none"."""
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", ROLE)
    if method == "digest":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    elif method == "basic":
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    else:
        auth.set_default_token(token)
    return auth


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", required=True)
    parser.add_argument("--mount", action="append", default=[], metavar="/PATH=FILE")
    parser.add_argument("--record", action="append", default=[], metavar="/IN=/OUT")
    parser.add_argument("--transport", choices=TRANSPORTS, default="all")
    parser.add_argument("--auth", choices=["none", "basic", "digest"], default="none")
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address(arguments.address)
    server.set_service(arguments.port)
    # One thread for all, the default, would wait for a player's first picture instead of taking it.
    server.get_thread_pool().set_max_threads(4)
    server.set_auth(make_auth(arguments.auth, arguments.user, arguments.password))
    for mount in arguments.mount:
        path, file = mount.split("=", 1)
        factory = make_factory(read_clip(Path(file)), arguments.transport)
        server.get_mount_points().add_factory(path, factory)
    for record in arguments.record:
        studio = Studio(arguments.transport)
        for path, factory in zip(record.split("="), (studio.recorder, studio.player), strict=True):
            server.get_mount_points().add_factory(path, factory)
    if not server.attach(None):
        raise SystemExit(f"port {arguments.port} is taken")
    loop = GLib.MainLoop()
    GLib.io_add_watch(sys.stdin.fileno(), GLib.IOCondition.HUP, lambda *_: loop.quit())
    sys.stdout.write("READY\n")
    sys.stdout.flush()
    loop.run()


if __name__ == "__main__":
    main()
