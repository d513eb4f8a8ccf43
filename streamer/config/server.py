"""[server]: where the service is, and who may reach it."""

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from streamer.config.section import Networks, Section

_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
"""RFC 6454, section 6.2, as browsers write it."""


_PREFIX = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*")


def is_prefix(path: str) -> bool:
    """Whether it can stand before every path of the server: empty, or as `/pose`."""
    return _PREFIX.fullmatch(path) is not None


class ServerConfig(Section):
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    token: str = ""
    tokens_file: str = ""
    session_hours: float = Field(default=168.0, gt=0, le=8760)
    insecure_lan: bool = False
    allowed_hosts: list[str] = []
    allowed_origins: list[str] = []
    base_path: str = ""
    trusted_proxies: Networks = []
    tls: Literal["", "auto"] = ""
    tls_cert: str = ""
    tls_key: str = ""
    http_port: int = Field(default=0, ge=0, le=65535)
    max_streams: int = Field(default=16, ge=1)
    max_readers: int = Field(default=256, ge=1)
    max_picture_readers: int = Field(default=64, ge=1)
    state_file: str = ""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"

    @field_validator("token")
    @classmethod
    def _token_is_long_enough(cls, token: str) -> str:
        if token and len(token) < 16:
            raise ValueError("an access token needs at least 16 characters")
        return token

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, origins: list[str]) -> list[str]:
        if not all(_ORIGIN.fullmatch(origin) for origin in origins):
            raise ValueError(
                "write an origin as http://host:port, in small letters, without a path"
            )
        return origins

    @field_validator("base_path")
    @classmethod
    def _base_path_is_a_path(cls, path: str) -> str:
        if not is_prefix(path):
            raise ValueError("write it as /pose: a slash before each part, none at the end")
        return path

    @model_validator(mode="after")
    def _tls_has_both_halves(self) -> "ServerConfig":
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("tls_cert and tls_key belong together: set both or neither")
        if self.tls and self.tls_cert:
            raise ValueError("tls makes a certificate of its own: leave tls_cert and tls_key out")
        if self.http_port and not self.speaks_https:
            raise ValueError("http_port is for a server that speaks https: set tls, too")
        if self.http_port and self.http_port == self.port:
            raise ValueError("http_port must be another port than port")
        return self

    @property
    def speaks_https(self) -> bool:
        return bool(self.tls or self.tls_cert)
