"""How many wrong tokens are taken: token buckets, one for each address, one for all."""

import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MAX_ADDRESSES: Final = 4096
_IPV6_SITE_BITS: Final = 64
"""What one household has of IPv6."""


@dataclass(slots=True)
class _Bucket:
    """``left`` attempts at ``at``; it fills at ``per_s`` up to ``size``."""

    size: float
    per_s: float
    left: float
    at: float

    def fill(self, now: float) -> None:
        self.left = min(self.size, self.left + (now - self.at) * self.per_s)
        self.at = now

    def wait_s(self, now: float) -> float:
        self.fill(now)
        return max(0.0, (1.0 - self.left) / self.per_s)


class Throttle:
    """Each address may be wrong ``burst`` times and then once a second, all together ten times as much. An
    address that was never wrong has its attempt whatever the others do."""

    def __init__(
        self, burst: int = 10, per_s: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._burst, self._per_s, self._clock = burst, per_s, clock
        self._all = _Bucket(10 * burst, 10 * per_s, 10 * burst, clock())
        self._addresses: dict[str, _Bucket] = {}  # that were wrong, the longest ago first

    def wait_s(self, address: str) -> float:
        """Until its next attempt; 0: now."""
        bucket = self._addresses.get(_site(address))
        if bucket is None:
            return 0.0
        now = self._clock()
        return max(bucket.wait_s(now), self._all.wait_s(now))

    def was_wrong(self, address: str) -> None:
        now, site = self._clock(), _site(address)
        bucket = self._addresses.pop(site, None) or _Bucket(
            self._burst, self._per_s, self._burst, now
        )
        for each in (bucket, self._all):
            each.fill(now)
            each.left = max(0.0, each.left - 1)
        self._addresses[site] = bucket
        if len(self._addresses) > MAX_ADDRESSES:
            del self._addresses[next(iter(self._addresses))]


def _site(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    return str(ipaddress.ip_network((found, _IPV6_SITE_BITS), strict=False))
