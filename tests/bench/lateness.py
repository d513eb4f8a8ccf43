"""From RTP timestamps to the pictures they show, and how late those came.

A viewer sees RTP timestamps; what it learns of a picture (when it reached the server) comes in pose
messages under the stream's own time, pts. The clock message tells how the two lie to each other:
pts = (rtp - rtp_origin) mod 2^32.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Arrivals = Sequence[tuple[int, float]]  # (RTP timestamp, Unix s at which the last packet came)

RTP_MODULUS = 1 << 32
NEAR_TICKS = 90  # of the 90 kHz clock: clocks that are rounded on their way differ by as much


def nearest_pts(rtp: int, origin: int, known: Sequence[int]) -> int | None:
    """The one of ``known`` (rising) whose picture a frame shows; None when none does."""
    behind = np.asarray(known, np.int64) - (rtp - origin) + RTP_MODULUS // 2
    distances = np.abs(behind % RTP_MODULUS - RTP_MODULUS // 2)
    index = int(distances.argmin()) if len(distances) else -1
    return known[index] if index >= 0 and distances[index] <= NEAR_TICKS else None


def lateness_s(arrivals: Arrivals, origin: int, received_at: Mapping[int, float]) -> list[float]:
    """Arrival at the viewer minus arrival at the server, of each frame whose message is known."""
    known = sorted(received_at)
    pts = [nearest_pts(rtp, origin, known) for rtp, _ in arrivals]
    return [at - received_at[p] for p, (_, at) in zip(pts, arrivals, strict=True) if p is not None]


def origin_beside(arrivals: Arrivals, others: Arrivals, others_origin: int) -> int | None:
    """The origin of a viewer who was not told it, from one who was: the same picture goes to both at
    nearly the same time, so most of their nearest frames in time show the same one."""
    if not others:
        return None
    times = np.array([at for _, at in others])
    votes: Counter[int] = Counter()
    for rtp, at in arrivals:
        beside, _ = others[int(np.abs(times - at).argmin())]
        votes[(rtp - (beside - others_origin)) % RTP_MODULUS] += 1
    return votes.most_common(1)[0][0] if votes else None
