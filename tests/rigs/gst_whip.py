#!/usr/bin/python3
"""WHIP and WHEP with GStreamer's webrtcbin; Debian's GStreamer has no elements for them, so HTTP is ours.

    gst_whip.py publish URL --clip FILE      plays the clip (its codec is the file's) until its input closes
    gst_whip.py watch URL --codec VP8        watches until its input closes

Run with the Python that has Debian's ``gi``. Prints a line of JSON whenever there is news: ``state``,
and of a viewer what has come by then (``frames``, ``size``, ``messages``, ``poses``). ``--picture``
keeps the newest picture there as a PNG.
"""

# Debian's gi lives in the system's Python, not in the project's environment, and has no types:
# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

import argparse
import json
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import Gst, GstSdp, GstWebRTC  # noqa: E402  (after the versions)
from gst_rtsp_server import read_clip  # noqa: E402  (beside this file)

WAIT_S = 20.0
CAPS = "application/x-rtp,media=video,encoding-name={codec},clock-rate=90000,payload=96"
H264_VIEWER = ",packetization-mode=(string)1,profile-level-id=(string)42e01f"
"""What a viewer takes: without it, one NAL unit a packet (RFC 6184, section 8.1), which nobody sends."""

DECODERS = {
    "VP8": "rtpvp8depay ! vp8dec",
    "H264": "rtph264depay ! h264parse ! openh264dec",
}


class Peer:
    """One webrtcbin, from its offer to the DELETE of its session."""

    def __init__(self, url: str, token: str, pipeline: Any) -> None:
        self._url = url
        self._token = token
        self._location = ""
        self.pipeline = pipeline
        self.webrtc = pipeline.get_by_name("peer")
        self.webrtc.connect("notify::ice-gathering-state", self._on_gathering)
        self.webrtc.connect("notify::connection-state", self._on_connection)
        self._gathered = threading.Event()
        self._needed = threading.Event()
        self.webrtc.connect("on-negotiation-needed", lambda _: self._needed.set())

    def connect(self) -> None:
        """Offer, POST, answer."""
        promise, reply = self._ask("create-offer", None)  # the offer is theirs: they must live on
        self._ask("set-local-description", reply.get_value("offer"))
        del promise, reply
        wait(self._gathered, "no candidates were gathered")
        sdp = self.webrtc.get_property("local-description").sdp.as_text()
        with self._request("POST", self._url, sdp.encode(), "application/sdp") as response:
            self._location = urljoin(self._url, response.headers["Location"])
            answer = response.read()
        _, message = GstSdp.SDPMessage.new_from_text(answer.decode())
        kind = GstWebRTC.WebRTCSDPType.ANSWER
        described = GstWebRTC.WebRTCSessionDescription.new(kind, message)
        self._ask("set-remote-description", described)

    def start(self, direction: str) -> None:
        """Run the pipeline and, once it wants to, negotiate ``sendonly`` or ``recvonly``."""
        self.pipeline.set_state(Gst.State.PLAYING)
        wait(self._needed, "webrtcbin wants no negotiation")
        transceiver = self.webrtc.emit("get-transceiver", 0)
        wanted = getattr(GstWebRTC.WebRTCRTPTransceiverDirection, direction.upper())
        transceiver.set_property("direction", wanted)
        transceiver.set_property(
            "do-nack", True
        )  # else a lost packet spoils pictures until the next key
        self.connect()

    def stop(self) -> None:
        self._request("DELETE", self._location).close()
        self.pipeline.set_state(Gst.State.NULL)

    def _request(self, method: str, url: str, body: bytes | None = None, kind: str = "") -> Any:
        request = urllib.request.Request(url, body, method=method)
        if kind:
            request.add_header("Content-Type", kind)
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        return urllib.request.urlopen(request, timeout=WAIT_S)

    def _ask(self, action: str, argument: Any) -> Any:
        promise = Gst.Promise.new()
        self.webrtc.emit(action, argument, promise)
        promise.wait()
        reply = promise.get_reply()
        if reply is not None and reply.has_field("error"):
            raise SystemExit(f"{action}: {reply.to_string()}")
        return promise, reply

    def _on_gathering(self, *_: object) -> None:
        if self.webrtc.get_property("ice-gathering-state").value_nick == "complete":
            self._gathered.set()

    def _on_connection(self, *_: object) -> None:
        tell(state=self.webrtc.get_property("connection-state").value_nick)


class Viewer:
    """Counts what comes to a peer, and keeps the newest picture."""

    def __init__(self, peer: Peer, codec: str, picture: Path | None) -> None:
        self._peer = peer
        self._decoder = DECODERS[codec]
        self._picture = picture
        self._seen: dict[str, Any] = {"frames": 0, "size": "", "messages": 0, "poses": 0}
        peer.webrtc.connect("pad-added", self._on_pad)

    def open_channel(self) -> None:
        options = Gst.Structure.from_string("o,ordered=(boolean)false,max-retransmits=(int)0")[0]
        self._channel = self._peer.webrtc.emit("create-data-channel", "landmarks", options)
        self._channel.connect("on-message-string", self._on_message)

    def _on_pad(self, _webrtc: Any, pad: Any) -> None:
        if pad.get_direction() != Gst.PadDirection.SRC:
            return
        chain = Gst.parse_bin_from_description(
            f"{self._decoder} ! videoconvert ! pngenc snapshot=false compression-level=1"
            " ! appsink name=out emit-signals=true sync=false max-buffers=1 drop=true",
            True,
        )
        chain.get_by_name("out").connect("new-sample", self._on_sample)
        self._peer.pipeline.add(chain)
        chain.sync_state_with_parent()
        pad.link(chain.get_static_pad("sink"))

    def _on_sample(self, sink: Any) -> Any:
        sample = sink.emit("pull-sample")
        size = sample.get_caps().get_structure(0)
        self._seen["frames"] += 1
        self._seen["size"] = f"{size.get_value('width')}x{size.get_value('height')}"
        if self._picture is not None and self._seen["frames"] % 10 == 0:
            buffer = sample.get_buffer()
            part = self._picture.with_suffix(".part")
            part.write_bytes(buffer.extract_dup(0, buffer.get_size()))
            part.replace(self._picture)
        tell(**self._seen)
        return Gst.FlowReturn.OK

    def _on_message(self, _channel: Any, text: str) -> None:
        message = json.loads(text)
        if message["type"] == "pose":
            self._seen["messages"] += 1
            self._seen["poses"] += bool(message["poses"])


def publish(arguments: argparse.Namespace) -> Peer:
    clip = read_clip(arguments.clip)
    codec = {"video/x-vp8": "VP8"}.get(clip.caps.get_structure(0).get_name(), "H264")
    pipeline = Gst.parse_launch(
        "webrtcbin name=peer bundle-policy=max-bundle appsrc name=src format=time is-live=true"
        f" max-buffers=4 ! clocksync ! {clip.payloader} pt=96 ! {CAPS.format(codec=codec)} ! peer."
    )
    source = pipeline.get_by_name("src")
    source.set_property("caps", clip.caps)
    buffers = clip.endless()
    source.connect("need-data", lambda src, _size: src.emit("push-buffer", next(buffers)))
    peer = Peer(arguments.url, arguments.token, pipeline)
    peer.start("sendonly")
    return peer


def watch(arguments: argparse.Namespace) -> Peer:
    pipeline = Gst.Pipeline.new()
    webrtc = Gst.ElementFactory.make("webrtcbin", "peer")
    webrtc.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
    pipeline.add(webrtc)
    peer = Peer(arguments.url, arguments.token, pipeline)
    viewer = Viewer(peer, arguments.codec, arguments.picture)
    pipeline.set_state(Gst.State.READY)
    viewer.open_channel()
    form = H264_VIEWER if arguments.codec == "H264" else ""
    caps = Gst.Caps.from_string(CAPS.format(codec=arguments.codec) + form)
    direction = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
    peer.webrtc.emit("add-transceiver", direction, caps)
    peer.start("recvonly")
    return peer


def wait(event: threading.Event, otherwise: str) -> None:
    if not event.wait(WAIT_S):
        raise SystemExit(otherwise)


def tell(**news: Any) -> None:
    sys.stdout.write(json.dumps(news) + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["publish", "watch"])
    parser.add_argument("url")
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--codec", choices=DECODERS, default="VP8")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--token", default="")
    arguments = parser.parse_args()
    Gst.init(None)
    peer = publish(arguments) if arguments.what == "publish" else watch(arguments)
    sys.stdin.read()  # until whoever started it closes it, or is no more
    peer.stop()


if __name__ == "__main__":
    main()
