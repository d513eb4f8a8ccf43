"""[limits]: how much of everything one client, or all of them together, may have."""

from pydantic import Field

from streamer.config.section import Section


class LimitsConfig(Section):
    """docs/limits.md says what is answered beyond each. Limits of one part of the program stand with that
    part: ``max_streams``, ``max_readers`` and ``max_picture_readers`` in [server], ``max_peers`` in [webrtc],
    pictures in [images]."""

    max_connections: int = Field(default=256, ge=1)
    max_connections_per_client: int = Field(default=64, ge=1)
    header_timeout_s: float = Field(default=5.0, gt=0)
    body_timeout_s: float = Field(default=15.0, gt=0)
    idle_timeout_s: float = Field(default=75.0, gt=0)
    answer_timeout_s: float = Field(default=30.0, gt=0)
    write_timeout_s: float = Field(default=10.0, gt=0)
    max_url_bytes: int = Field(default=8190, ge=1024)
    max_header_bytes: int = Field(default=32 * 1024, ge=4096)

    max_json_bytes: int = Field(default=64 * 1024, ge=4096)
    max_sdp_bytes: int = Field(default=32 * 1024, ge=4096)
    max_sdp_lines: int = Field(default=1000, ge=100)
    max_media_sections: int = Field(default=4, ge=1)
    max_candidates: int = Field(default=32, ge=1)
    offers_per_minute: int = Field(default=60, ge=1)
    changes_per_minute: int = Field(default=300, ge=1)

    max_channels: int = Field(default=4, ge=1)
    max_message_bytes: int = Field(default=4096, ge=256)
    messages_per_minute: int = Field(default=1200, ge=1)

    max_pixels: int = Field(default=3840 * 2160, ge=1, le=3840 * 2160)
    max_fps: float = Field(default=60.0, ge=1.0)
    size_changes_per_minute: int = Field(default=30, ge=1)

    min_free_bytes: int = Field(default=16 * 1024 * 1024, ge=0)
