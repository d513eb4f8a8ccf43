"""https: whose certificate, and how it is kept from running out."""

import asyncio
import contextlib
import logging
import ssl
import time
from pathlib import Path
from typing import Final

from streamer.aio import in_daemon_thread
from streamer.certificates import Authority, certificate_until, machine_hosts
from streamer.config import ServerConfig
from streamer.errors import ConfigError
from streamer.server.guard import is_loopback, own_names

logger = logging.getLogger(__name__)

LOOK_INTERVAL_S: Final = 60.0
"""Between looks at the certificate: a machine gets a new address now and then."""

_ANY: Final = {"", "0.0.0.0", "::"}


class Https:
    """The context of new connections, and the authority of its certificate, if that is our own. Made off the
    event loop; raises OSError, which ssl.SSLError is, too."""

    def __init__(self, cert: Path, key: Path | None, authority: Authority | None = None) -> None:
        self.authority = authority
        self._files = (cert, key or cert)
        self._load()

    def until(self) -> float | None:
        """When the certificate that new connections get runs out, Unix seconds; None where that can't be
        read of it."""
        return self._until

    async def keep_fresh(self, interval_s: float = LOOK_INTERVAL_S) -> None:
        """Until cancelled. New connections get the new certificate; the others stay."""
        while True:
            await asyncio.sleep(interval_s)
            try:
                if await asyncio.wrap_future(in_daemon_thread("certificate", self.renew)):
                    logger.info("the server has a new certificate")
            except Exception:  # it may be gone at the next look; without one the old one runs out
                logger.exception("the server's certificate can't be renewed")

    def renew(self) -> bool:
        """Whether there is another one by now, which our authority has made or somebody has put there: it is
        taken. Waits for the disk; raises OSError."""
        if self.authority is not None:
            self.authority.renew()
        if self._marks == self._look():
            return False
        self._load()
        return True

    def _load(self) -> None:
        """Into a fresh context: a certificate whose key is still to come would spoil the one in use."""
        marks = self._look()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*self._files)
        self.context, self._marks = context, marks
        self._until: float | None = None
        with contextlib.suppress(OSError, ValueError):
            self._until = certificate_until(self._files[0])

    def _look(self) -> list[tuple[int, int, int]]:
        found = [file.stat() for file in self._files]
        return [(each.st_ino, each.st_mtime_ns, each.st_size) for each in found]


async def open_https(config: ServerConfig, folder: Path) -> Https | None:
    """None for plain http. ``folder`` holds the certificates of our own. Raises ConfigError."""
    if not config.speaks_https:
        return None
    authority = None
    cert, key = config.tls_cert, config.tls_key or None
    if config.tls:
        named = own_names(config) - _ANY
        authority = Authority(folder, lambda: machine_hosts() | named)
        await asyncio.to_thread(authority.open)
        cert = str(authority.server_file)
        logger.info(
            "%s is the authority of the certificate; its SHA-256 fingerprint is %s; how a device "
            "learns to trust it: %s",
            authority.name,
            authority.fingerprint,
            _trust_pages(config),
        )
    try:
        https = await asyncio.to_thread(Https, Path(cert), Path(key) if key else None, authority)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"[server] tls_cert, tls_key: can't be used: {error}") from error
    until = https.until()
    if until is not None and until < time.time():
        logger.warning("the certificate %s has run out: browsers refuse it; renew it", cert)
    return https


def _trust_pages(config: ServerConfig) -> str:
    """At each IPv4 address where another device may find it; else where it was told to listen."""
    hosts = machine_hosts() if config.host in _ANY else {config.host}
    others = [host for host in hosts if host[-1:].isdigit() and not is_loopback(host)]
    shown = sorted(host for host in others if ":" not in host) or [config.host]
    return ", ".join(f"https://{host}:{config.port}/trust" for host in shown)
