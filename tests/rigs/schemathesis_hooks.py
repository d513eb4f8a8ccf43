"""Teaches schemathesis the bodies that are neither JSON nor forms."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.serializer("application/sdp", "application/trickle-ice-sdpfrag")
def as_text(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Text as it is, and what is none as its words."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
