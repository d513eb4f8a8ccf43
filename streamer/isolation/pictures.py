"""Pictures that come out of a child: copied, and believed no more than their size allows."""

import time
from typing import Annotated

import numpy as np
from pydantic import Field

from streamer.isolation.child import Child
from streamer.model import Frame

MAX_PIXELS = 3840 * 2160
MAX_SIDE_PX = 65_536

Side = Annotated[int, Field(ge=2, le=MAX_SIDE_PX, multiple_of=2)]
Ticks = Annotated[int, Field(ge=-(1 << 62), le=1 << 62)]


def frame_of(
    child: Child, body: memoryview, width: int, height: int, pts: int, received_mono: float
) -> Frame:
    """``body``: I420, as of ``Frame``. Raises WorkerDied, and ends the child, when that can't be true."""
    if width * height > MAX_PIXELS or body.nbytes != width * height * 3 // 2:
        raise child.refuse(f"that {body.nbytes} bytes are {width}x{height}")
    i420 = np.frombuffer(body, np.uint8).reshape(height * 3 // 2, width).copy()
    now_mono = time.monotonic()
    received_mono = min(received_mono, now_mono)
    age_s = now_mono - received_mono
    return Frame(i420, pts, received_mono, time.time() - age_s, age_s * 1000)
