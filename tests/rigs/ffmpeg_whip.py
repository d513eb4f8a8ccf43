"""FFmpeg's WHIP muxer, as PyAV carries it: publishes a clip, uncoded, until standard input closes.

    python -m tests.rigs.ffmpeg_whip URL CLIP [--cert FILE --key FILE] [--token TOKEN]

``--cert`` and ``--key``: the muxer's ``cert_file`` and ``key_file``; without them it makes its own.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.packet import Packet

if TYPE_CHECKING:
    from av.stream import Stream
    from av.video.stream import VideoStream

HANDSHAKE_TIMEOUT_MS = 10_000


def publish(url: str, clip: str, options: dict[str, str], done: threading.Event) -> None:
    """Play ``clip`` in a loop, in real time. Raises av.error.OSError when FFmpeg gives up."""
    with av.open(clip) as source, av.open(url, "w", format="whip", options=options) as sink:
        video = source.streams.video[0]
        output = sink.add_stream_from_template(video)
        packets = [packet for packet in source.demux(video) if packet.dts is not None]
        time_base = video.time_base or Fraction(1, 90_000)
        last = packets[-1]
        round_ticks = (last.pts or 0) + (last.duration or 1)
        started = time.monotonic()
        rounds = 0
        while not done.is_set():
            for packet in packets:
                pts = rounds * round_ticks + (packet.pts or 0)
                done.wait(max(0.0, started + float(pts * time_base) - time.monotonic()))
                if done.is_set():
                    break
                sink.mux(copy(packet, output, pts))
            rounds += 1


def copy(packet: Packet[VideoStream], stream: VideoStream, pts: int) -> Packet[Stream]:
    """Its bytes at another time: muxing changes the packet that is given."""
    one = Packet(bytes(packet))
    one.pts = one.dts = pts
    one.duration, one.time_base = packet.duration, packet.time_base
    one.is_keyframe = packet.is_keyframe
    one.stream = stream
    return one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("clip")
    parser.add_argument("--cert", default="")
    parser.add_argument("--key", default="")
    parser.add_argument("--token", default="")
    given = parser.parse_args()
    named = {"cert_file": given.cert, "key_file": given.key, "authorization": given.token}
    options = {name: value for name, value in named.items() if value}
    options["handshake_timeout"] = str(HANDSHAKE_TIMEOUT_MS)
    done = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        done.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    publish(given.url, given.clip, options, done)


if __name__ == "__main__":
    main()
