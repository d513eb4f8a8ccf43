"""Child processes that work on what strangers send."""

from pydantic import Field

from streamer.config.section import Section


class WorkersConfig(Section):
    """``hang_timeout_s``: a worker that does not move for so long, or takes so long for one picture, is
    replaced; it shows that it runs five times a second. ``max_memory_mb``: of each, besides what it shares
    with the service; video of 3840x2160 in H.265 takes 350."""

    hang_timeout_s: float = Field(default=2.0, ge=1.0, le=60.0)
    max_memory_mb: int = Field(default=1024, ge=256)
