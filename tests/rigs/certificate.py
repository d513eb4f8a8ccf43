"""A certificate as somebody makes it for a server at home: signed by itself. And a browser's user who
trusts an authority."""

from __future__ import annotations

import datetime
import shutil
import subprocess
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path


def make_certificate(folder: Path, host: str, *, days_left: int = 1) -> tuple[Path, Path]:
    """Write ``cert.pem`` and ``key.pem`` for ``host`` into ``folder``; return their paths. It is two days
    old, and runs out in ``days_left`` (less than 0: it has run out)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=days_left))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cert_file, key_file


def trust_authority(home: Path, certificate: Path) -> None:
    """What the page /trust tells the user of a Chromium on Linux to do; ``home`` is the user's folder."""
    certutil = shutil.which("certutil")
    if certutil is None:
        raise RuntimeError("The tests need certutil and found none: run tests/setup.sh.")
    database = home / ".pki" / "nssdb"
    database.mkdir(parents=True)
    begin = [certutil, "-d", f"sql:{database}"]
    subprocess.run([*begin, "-N", "--empty-password"], check=True)
    trusted = ["-A", "-n", "streamer", "-t", "C,,", "-i", str(certificate)]
    subprocess.run([*begin, *trusted], check=True)
