"""The token file: written by `streamer token`, read by the service."""

import contextlib
import json
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from pydantic import ValidationError, field_validator

from streamer.access.tokens import Token, new_token, now_utc
from streamer.config import Section, ServerConfig, explain
from streamer.errors import ConfigError, NotFound
from streamer.state import default_state_file, write_whole

if sys.platform == "win32":
    import msvcrt

    _AT_ONCE: Final = 0

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_LOCK, 1)
else:
    import fcntl

    _AT_ONCE: Final = os.O_NONBLOCK  # a pipe would be waited for, and revocations then not heard of

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX)


def _open_at_once(path: str | Path, flags: int) -> int:
    return os.open(path, flags | _AT_ONCE)


MAX_BYTES: Final = 1 << 20
MAX_TOKENS: Final = 1000
FORGET_AFTER: Final = timedelta(days=30)
"""The end of a token is told by `streamer token list` for so long."""


class _Content(Section):
    version: Literal[1] = 1
    tokens: tuple[Token, ...] = ()

    @field_validator("tokens")
    @classmethod
    def _each_stands_once(cls, tokens: tuple[Token, ...]) -> tuple[Token, ...]:
        """Of two with one id, which an editor may leave, one may be revoked and the other not."""
        if len({each.id for each in tokens}) < len(tokens):
            raise ValueError("two tokens have the same id")
        return tokens


@dataclass(frozen=True, slots=True)
class Mark:
    """Tells one content of the file from the next; mode and owner count, too (``ctime``)."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


def tokens_path(config: ServerConfig) -> Path:
    """Beside the state file, if nothing else is said."""
    beside = Path(config.state_file or default_state_file()).parent
    return Path(config.tokens_file) if config.tokens_file else beside / "tokens.json"


class TokenFile:
    """All methods block: they are for threads."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def mark(self) -> Mark | None:
        """None when there is no file. Raises OSError."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return Mark(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def read(self) -> tuple[Token, ...]:
        """() when there is no file. Raises ConfigError when it can't be read or is not one of ours."""
        try:
            with open(self.path, "rb", opener=_open_at_once) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise ConfigError(f"The token file {self.path} is no plain file.")
                data = file.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise ConfigError(f"The token file {self.path} is larger than {MAX_BYTES} bytes.")
            return _Content.model_validate_json(data).tokens
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise ConfigError(
                f"The token file {self.path} can't be read: {error.strerror}."
            ) from error
        except ValidationError as error:
            raise ConfigError(f"The token file {self.path} is broken: {explain(error)}.") from error

    def create(
        self, name: str, scopes: tuple[str, ...], lasts: timedelta | None
    ) -> tuple[Token, str]:
        """The token and its secret. Raises ConfigError, ValidationError."""
        now = now_utc()
        token, secret = new_token(name, scopes, lasts, now)
        with self._alone():
            kept = [each for each in self.read() if not _is_long_over(each, now)]
            if len(kept) >= MAX_TOKENS:
                raise ConfigError(f"There are {MAX_TOKENS} tokens: revoke those that nobody needs.")
            self._write((*kept, token))
        return token, secret

    def revoke(self, token_id: str) -> Token:
        """Twice is safe. Raises NotFound, ConfigError."""
        with self._alone():
            tokens = self.read()
            token = next((each for each in tokens if each.id == token_id), None)
            if token is None:
                raise NotFound(
                    f"There is no token {token_id!r}; `streamer token list` has their ids."
                )
            if token.revoked is None:
                token = token.model_copy(update={"revoked": now_utc()})
                self._write(tuple(token if each.id == token_id else each for each in tokens))
        return token

    def _write(self, tokens: tuple[Token, ...]) -> None:
        content = _Content(tokens=tokens).model_dump(mode="json")
        try:
            write_whole(self.path, json.dumps(content, indent=1).encode() + b"\n")
        except OSError as error:
            raise ConfigError(
                f"The token file {self.path} can't be written: {error.strerror}."
            ) from error

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Two commands at a time would undo what the other does, a revocation perhaps."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigError(
                f"The folder of the token file {self.path} can't be used: {error.strerror}."
            ) from error
        try:
            _lock(handle)
            yield
        finally:
            os.close(handle)


def _is_long_over(token: Token, now: datetime) -> bool:
    ends = [each for each in (token.expires, token.revoked) if each is not None]
    return bool(ends) and min(ends) < now - FORGET_AFTER
