"""A certificate authority of this server's own, and the certificate that it gives the server.

Whoever trusts it on a device trusts it for local names and networks and for this server's own names:
nothing else can be signed with its key (name constraints, RFC 5280, section 4.2.1.10).
"""

import datetime
import ipaddress
import logging
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import ifaddr
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from streamer.errors import ConfigError
from streamer.state import write_whole

logger = logging.getLogger(__name__)

Name = x509.DNSName | x509.IPAddress

AUTHORITY_LIFE: Final = datetime.timedelta(days=3650)
CERTIFICATE_LIFE: Final = datetime.timedelta(days=397)
"""Recommended at most: CA/Browser Forum, Baseline Requirements 2.0, section 6.3.2."""
RENEW_BEFORE: Final = datetime.timedelta(days=30)
CLOCK_SKEW: Final = datetime.timedelta(days=1)
"""How far a device's clock may be behind."""

# Names and networks that nobody can own in the internet: RFC 6761, 6762, 8375, ICANN's .internal;
# RFC 1918, 3927, 6598, 4193, 4291. `lan` is what many routers use.
_LOCAL_NAMES: Final = ("localhost", "local", "home.arpa", "internal", "lan", "test")
_LOCAL_NETWORKS: Final = (
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
    "100.64.0.0/10", "::1/128", "fc00::/7", "fe80::/10",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Signed:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


class Authority:
    """Two files in ``folder``, each a key with its certificate, readable by their owner only.

    ``hosts``: the names and addresses under which the server is reached, as they are now. All methods
    wait for the disk: not for the event loop.
    """

    def __init__(self, folder: Path, hosts: Callable[[], set[str]]) -> None:
        self._file = folder / "authority.pem"
        self.server_file = folder / "server.pem"
        self._hosts = hosts
        self._left_out: set[str] = set()

    def open(self) -> Self:
        """Makes what is not there yet, or has run out. Raises ConfigError."""
        try:
            self._signed = self._load() or self._make()
            self.renew()
        except OSError as error:
            raise ConfigError(
                f"[server] tls: the certificates can't be kept in {self._file.parent}: "
                f"{error.strerror}. Make that folder writable, or set [server] state_file to a file "
                "in another one."
            ) from error
        return self

    @property
    def certificate(self) -> x509.Certificate:
        return self._signed.certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def name(self) -> str:
        return common_name(self.certificate)

    @property
    def fingerprint(self) -> str:
        """SHA-256, as systems show it: ``AB:CD:…``."""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    def renew(self) -> bool:
        """Makes a new certificate of the server if the one it has runs out or lacks a name; whether it
        did. Raises OSError."""
        names = self._allowed(self._hosts())
        old = _read(self.server_file)
        if old and self._is_good(old.certificate, names):
            return False
        write_whole(self.server_file, _pem(self._sign(names)))
        return True

    def _load(self) -> _Signed | None:
        """Raises ConfigError for a file that is no key with its certificate: to replace it would break
        the trust of devices without a word."""
        if not self._file.exists():
            return None
        signed = _read(self._file)
        if signed is None:
            raise ConfigError(
                f"[server] tls: {self._file} is no authority's key and certificate. Put back what was "
                "there, or remove it: a new one is made then, which each device must trust anew."
            )
        if signed.certificate.not_valid_after_utc - _now() < CERTIFICATE_LIFE:
            logger.warning("the certificate authority has run out; devices must trust a new one")
            return None
        return signed

    def _make(self) -> _Signed:
        key = ec.generate_private_key(ec.SECP256R1())
        machine = socket.gethostname()
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Streamer"),
                x509.NameAttribute(NameOID.COMMON_NAME, f"Streamer on {machine}"[:64]),
            ]
        )
        usage = _usage(key_cert_sign=True, crl_sign=True)
        certificate = (
            _builder(name, name, key, AUTHORITY_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.NameConstraints(_subtrees(self._hosts()), None), critical=True)
            .sign(key, hashes.SHA256())
        )
        signed = _Signed(certificate, key)
        write_whole(self._file, _pem(signed))
        return signed

    def _sign(self, names: Iterable[Name]) -> _Signed:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Streamer")])
        issuer, issuer_key = self.certificate, self._signed.key
        by = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
        server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        certificate = (
            _builder(subject, issuer.subject, key, CERTIFICATE_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(server, critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(by, critical=False)
            .sign(issuer_key, hashes.SHA256())
        )
        return _Signed(certificate, key)

    def _is_good(self, certificate: x509.Certificate, names: set[Name]) -> bool:
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (InvalidSignature, ValueError, TypeError):
            return False  # another authority's, or no certificate of ours
        kind = x509.SubjectAlternativeName
        named = set(certificate.extensions.get_extension_for_class(kind).value)
        now = _now()
        # A clock that was wrong when it was made, and was put right: it lies in the future.
        lives = (
            certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - RENEW_BEFORE
        )
        return lives and names <= named

    def _allowed(self, hosts: set[str]) -> set[Name]:
        """One name that the authority may not sign would make the whole certificate worthless."""
        allowed = {}
        limits = self.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        for host in hosts:
            name = _name(host)
            if name and any(_is_under(name, limit) for limit in limits.permitted_subtrees or ()):
                allowed[host] = name
        left_out = hosts - allowed.keys()
        if left_out - self._left_out:
            logger.warning(
                "https is not for %s: the certificate authority was made without. Remove %s to get "
                "one with it, which each device must trust anew.",
                ", ".join(sorted(left_out)),
                self._file,
            )
        self._left_out = left_out
        return set(allowed.values())


def machine_hosts() -> set[str]:
    """The names of this machine, and all its addresses but those of one link."""
    machine = socket.gethostname().lower()
    hosts = {"localhost", "127.0.0.1", "::1", machine, f"{machine.split('.')[0]}.local"}
    for adapter in ifaddr.get_adapters():
        for each in adapter.ips:
            address = ipaddress.ip_address(each.ip if isinstance(each.ip, str) else each.ip[0])
            if not address.is_link_local:
                hosts.add(str(address))
    return hosts


def certificate_until(file: Path) -> float:
    """When the first certificate of a PEM file runs out, Unix seconds. Raises OSError, ValueError."""
    return x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc.timestamp()


def certificate_names(file: Path) -> set[str]:
    """What the first certificate of a PEM file is for: names, and addresses as text. Raises OSError,
    ValueError."""
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    try:
        kind = x509.SubjectAlternativeName
        return {
            str(each.value) for each in certificate.extensions.get_extension_for_class(kind).value
        }
    except x509.ExtensionNotFound:
        return set()


def common_name(certificate: x509.Certificate) -> str:
    (attribute,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(attribute.value)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    life: datetime.timedelta,
) -> x509.CertificateBuilder:
    start = _now() - CLOCK_SKEW
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(**uses: bool) -> x509.KeyUsage:
    none = dict.fromkeys(
        (
            "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
            "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
        ),
        False,
    )  # fmt: skip
    return x509.KeyUsage(**none | uses)


def _subtrees(hosts: set[str]) -> list[Name]:
    """What the authority may sign: what is local, and what this server is called today. Of an IPv6
    address the network, since machines change the rest."""
    names: set[Name] = {x509.DNSName(name) for name in _LOCAL_NAMES}
    networks = {ipaddress.ip_network(each) for each in _LOCAL_NETWORKS}
    for host in hosts:
        name = _name(host)
        if isinstance(name, x509.DNSName):
            names.add(name)
        elif name is not None and not any(name.value in network for network in networks):
            bits = 64 if name.value.version == 6 else 32
            networks.add(ipaddress.ip_network(f"{name.value}/{bits}", strict=False))
    return [*sorted(names, key=str), *map(x509.IPAddress, sorted(networks, key=str))]


def _name(host: str) -> Name | None:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        try:
            return x509.DNSName(host)
        except ValueError:
            return None  # not ASCII: browsers send it in another form


def _is_under(name: Name, limit: x509.GeneralName) -> bool:
    if isinstance(name, x509.DNSName) and isinstance(limit, x509.DNSName):
        return name.value == limit.value or name.value.endswith(f".{limit.value}")
    network = limit.value
    networks = ipaddress.IPv4Network | ipaddress.IPv6Network
    return (
        isinstance(name, x509.IPAddress) and isinstance(network, networks) and name.value in network
    )


def _read(file: Path) -> _Signed | None:
    """None for what is not there, or is no key with its own certificate."""
    try:
        data = file.read_bytes()
        certificate = x509.load_pem_x509_certificate(data)
        key = serialization.load_pem_private_key(data, None)
    except (FileNotFoundError, ValueError, TypeError, UnsupportedAlgorithm):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return None
    return _Signed(certificate, key) if key.public_key() == certificate.public_key() else None


def _pem(signed: _Signed) -> bytes:
    key = signed.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return key + signed.certificate.public_bytes(serialization.Encoding.PEM)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
