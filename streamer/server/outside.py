"""How the sender of a request sees this server; a reverse proxy between the two may have changed it."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from streamer.config import ServerConfig, is_prefix

_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|([\d.]+):\d+")
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class Outside:
    """``host``: as in an origin, with the port unless it is the scheme's own. ``prefix``: what stands
    before every path of this server, ``""`` or as ``/pose``. ``client``: the sender's address."""

    scheme: str
    host: str
    prefix: str
    client: str

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}"

    def path(self, path: str) -> str:
        """Where the sender finds a path of ours."""
        return self.prefix + path


class Proxies:
    """Believes X-Forwarded-Proto, -Host, -Prefix and -For of the proxies in the configuration, and of
    nobody else. Of several values the last counts: that one the proxy itself has added."""

    def __init__(self, config: ServerConfig) -> None:
        self._base_path = config.base_path
        self._trusted = [ipaddress.ip_network(each) for each in config.trusted_proxies]

    def outside(self, request: web.Request) -> Outside:
        scheme, host, prefix = request.scheme, request.host, self._base_path
        client = request.remote or ""
        if self._trusts(client):
            told = _last(request, "X-Forwarded-Proto")
            scheme = told if told in _DEFAULT_PORTS else scheme
            host = _last(request, "X-Forwarded-Host") or host
            told = _last(request, "X-Forwarded-Prefix").rstrip("/")
            prefix = told if told and is_prefix(told) else prefix
            client = self._sender(request, client)
        return Outside(scheme, host.lower().removesuffix(_DEFAULT_PORTS[scheme]), prefix, client)

    def inside(self, path: str) -> str:
        """The path without the prefix, if the proxy has passed it on."""
        rest = path.removeprefix(self._base_path)
        if rest.startswith("/"):
            return rest
        return f"/{rest}" if rest == "" or rest.startswith("?") else path

    def _sender(self, request: web.Request, proxy: str) -> str:
        """The last address in the chain that is no proxy of ours."""
        for told in reversed(_values(request, "X-Forwarded-For")):
            address = _without_port(told)
            if not self._trusts(address):
                return address
        return proxy

    def _trusts(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped  # how a socket of both families shows IPv4
        return any(address in network for network in self._trusted)


def _without_port(told: str) -> str:
    """Some proxies tell the sender's port, too, with which each of its connections would be somebody else."""
    found = _WITH_PORT.fullmatch(told)
    return (found[1] or found[2]) if found else told


def _last(request: web.Request, header: str) -> str:
    values = _values(request, header)
    return values[-1] if values else ""


def _values(request: web.Request, header: str) -> list[str]:
    text = ",".join(request.headers.getall(header, ()))
    return [value.strip() for value in text.split(",") if value.strip()]
