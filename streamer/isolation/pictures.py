"""Pictures that come out of a child: copied, and believed no more than their size allows."""

import time
from typing import Annotated

import numpy as np
from pydantic import Field

from streamer.isolation.child import Child
from streamer.model import Frame

MAX_PIXELS = 3840 * 2160
MAX_SIDE_PX = 65_536

MAX_AGE_S = 60.0
"""A child that says it took longer with a picture is wrong: the figures of all would be, too."""

Side = Annotated[int, Field(ge=2, le=MAX_SIDE_PX, multiple_of=2)]
Ticks = Annotated[int, Field(ge=-(1 << 62), le=1 << 62)]


def frame_of(
    child: Child, body: memoryview, width: int, height: int, pts: int, received_mono: float
) -> Frame:
    """``body``: I420, as of ``Frame``. Raises WorkerDied, and ends the child, when that can't be true."""
    if width * height > MAX_PIXELS or body.nbytes != width * height * 3 // 2:
        raise child.refuse(f"that {body.nbytes} bytes are {width}x{height}")
    i420 = np.frombuffer(body, np.uint8).reshape(height * 3 // 2, width).copy()
    received_mono = arrival(received_mono)
    age_s = time.monotonic() - received_mono
    return Frame(i420, pts, received_mono, time.time() - age_s, age_s * 1000)


def arrival(claimed_mono: float) -> float:
    """When it came, as a child says, as far as that can be true."""
    now_mono = time.monotonic()
    return min(max(claimed_mono, now_mono - MAX_AGE_S), now_mono)
