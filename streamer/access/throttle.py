"""How many wrong tokens are taken: token buckets, one for each address, one for all."""

import ipaddress
import time
from collections.abc import Callable
from typing import Final

from streamer.rates import Bucket

MAX_ADDRESSES: Final = 4096
_IPV6_SITE_BITS: Final = 64
"""What one household has of IPv6."""


class Throttle:
    """Each address may be wrong ``burst`` times and then once a second, all together ten times as much. An
    address that was never wrong has its attempt whatever the others do."""

    def __init__(
        self, burst: int = 10, per_s: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._burst, self._per_s, self._clock = burst, per_s, clock
        self._all = Bucket(60 * 10 * per_s, clock, at_once=10 * burst)
        self._addresses: dict[str, Bucket] = {}  # that were wrong, the longest ago first

    def wait_s(self, address: str) -> float:
        """Until its next attempt; 0: now."""
        bucket = self._addresses.get(_site(address))
        if bucket is None:
            return 0.0
        return max(bucket.wait_s, self._all.wait_s)

    def was_wrong(self, address: str) -> None:
        site = _site(address)
        bucket = self._addresses.pop(site, None) or Bucket(
            60 * self._per_s, self._clock, at_once=self._burst
        )
        for each in (bucket, self._all):
            each.lose()
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
