"""H.264 and VP8 as far as we look into them: NAL units, profiles, key frames."""

from streamer.model import h264_profile, h264_units
from streamer.webrtc.jitter import begins_keyframe, is_keyframe


def fuzz(data: bytes) -> None:
    units = list(h264_units(data))
    assert all(0 <= kind < 32 and 3 <= at < len(data) for kind, at in units)
    profile = h264_profile(data)
    assert profile is None or len(profile) <= 2
    for codec in ("h264", "vp8"):
        starts = begins_keyframe(codec, data)
        is_keyframe(codec, data)
        assert not starts or data
