"""Answers to an RTSP server that asks who we are: basic and digest authentication (RFC 7617, RFC 7616)."""

import base64
import hashlib
import secrets
from collections.abc import Sequence
from urllib.request import parse_http_list, parse_keqv_list

_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


class Login:
    """Answers the challenges of one server, one request after the other."""

    def __init__(self, username: str, password: str) -> None:
        self._username = username
        self._password = password
        self._challenge: dict[str, str] | None = None  # of digest; {} of basic
        self._count = 0

    def take(self, challenges: Sequence[str]) -> bool:
        """The values of ``WWW-Authenticate``, of which the best is answered from now on: digest before
        basic. False if there is none that can be answered."""
        offered = [_parsed(each) for each in challenges]
        digests = [
            values
            for scheme, values in offered
            if scheme == "digest" and values.get("algorithm", "MD5").upper() in _HASHES
        ]
        if digests:
            self._challenge, self._count = digests[0], 0
        elif any(scheme == "basic" for scheme, _ in offered):
            self._challenge = {}
        else:
            return False
        return True

    @property
    def is_asked_for(self) -> bool:
        return self._challenge is not None

    def answer(self, method: str, uri: str) -> str:
        """The value of ``Authorization`` for a request."""
        if not self._challenge:
            pair = f"{self._username}:{self._password}".encode()
            return f"Basic {base64.b64encode(pair).decode()}"
        return self._digest(self._challenge, method, uri)

    def _digest(self, challenge: dict[str, str], method: str, uri: str) -> str:
        algorithm = challenge.get("algorithm", "MD5")
        make = _HASHES[algorithm.upper()]

        def hashed(*parts: str) -> str:
            return make(":".join(parts).encode()).hexdigest()

        realm, nonce = challenge.get("realm", ""), challenge.get("nonce", "")
        who, what = hashed(self._username, realm, self._password), hashed(method, uri)
        fields = {"username": self._username, "realm": realm, "nonce": nonce, "uri": uri}
        extra = ""
        if "auth" in [each.strip() for each in challenge.get("qop", "").split(",")]:
            self._count += 1
            count, own = f"{self._count:08x}", secrets.token_hex(8)
            fields |= {"response": hashed(who, nonce, count, own, "auth", what), "cnonce": own}
            extra = f", qop=auth, nc={count}"
        else:
            fields |= {"response": hashed(who, nonce, what)}
        fields |= {key: challenge[key] for key in ("opaque",) if key in challenge}
        if "algorithm" in challenge:
            extra += f", algorithm={algorithm}"
        return "Digest " + ", ".join(f'{k}="{_quoted(v)}"' for k, v in fields.items()) + extra


def _parsed(challenge: str) -> tuple[str, dict[str, str]]:
    scheme, _, rest = challenge.strip().partition(" ")
    pairs = [each for each in parse_http_list(rest) if each.partition("=")[2]]
    return scheme.lower(), {k.lower(): v for k, v in parse_keqv_list(pairs).items()}


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
