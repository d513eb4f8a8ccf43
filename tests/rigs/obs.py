"""What OBS 30 and later sends: there is no OBS in the tests. tests/node/obs.mjs publishes with its library.

The text is what libdatachannel, OBS's library, writes when it is asked for what OBS asks for: two
``sendonly`` tracks of one stream in one bundle, Opus before H.264; ``actpass``; the fingerprint once, for
all sections; the candidates in the first section alone, and all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
from av.bitstream import BitStreamFilterContext

if TYPE_CHECKING:
    from pathlib import Path

FINGERPRINT = ":".join(["3A"] * 32)

_TRANSPORT = """a=setup:actpass
a=ice-ufrag:Tn4K
a=ice-pwd:bWb3d6uHk0NlPVnlMtqOpz
"""

OBS_OFFER = f"""v=0
o=rtc 3141592653 0 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=group:LS 0 1
a=msid-semantic:WMS *
a=ice-options:ice2,trickle
a=fingerprint:sha-256 {FINGERPRINT}
m=audio 50123 UDP/TLS/RTP/SAVPF 111
c=IN IP4 127.0.0.1
a=mid:0
a=sendonly
a=ssrc:1000001 cname:aStreamOfOBS
a=ssrc:1000001 msid:theStream theStream-audio
a=msid:theStream theStream-audio
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;maxaveragebitrate=96000;stereo=1;sprop-stereo=1;useinbandfec=1
{_TRANSPORT}a=candidate:1 1 UDP 2122317823 127.0.0.1 50123 typ host
a=end-of-candidates
m=video 50123 UDP/TLS/RTP/SAVPF 96
c=IN IP4 127.0.0.1
a=mid:1
a=sendonly
a=ssrc:1000002 cname:aStreamOfOBS
a=ssrc:1000002 msid:theStream theStream-video
a=msid:theStream theStream-video
a=rtcp-mux
a=rtpmap:96 H264/90000
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtcp-fb:96 goog-remb
a=fmtp:96 profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1
{_TRANSPORT}""".replace("\n", "\r\n")


def write_units(clip: Path, units: Path) -> None:
    """The clip's access units as tests/node/obs.mjs reads them: Annex B, each after its length (u32)."""
    with av.open(clip) as container, units.open("wb") as out:
        video = container.streams.video[0]
        annex_b = BitStreamFilterContext("h264_mp4toannexb", video)
        for packet in container.demux(video):
            for unit in annex_b.filter(packet if packet.dts is not None else None):
                content = bytes(unit)
                out.write(len(content).to_bytes(4, "big") + content)
