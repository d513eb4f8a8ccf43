"""The token file, which two programs share and a person may have edited: what can't be read lets nobody in,
and what can is understood by both in the same way."""

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from streamer.access.book import TokenBook
from streamer.access.store import Mark, TokenFile
from streamer.access.tokens import Token, now_utc
from streamer.errors import ConfigError
from tests.fuzz.pieces import keys

SECRET = f"st-0000000a-{'A' * 43}"
"""Of the first token of the corpus."""


class _File(type(Path())):  # type: ignore[misc] # Path() is a path of this system's kind
    """A file without a disk, which would be slow."""

    content = b""

    def open(self, *_: Any, **__: Any) -> io.BytesIO:
        return io.BytesIO(self.content)


class _Tokens(TokenFile):
    written: tuple[Token, ...] = ()

    def mark(self) -> Mark:
        return Mark(1, len(self.path.content), 0, 0)  # type: ignore[attr-defined] # it is a _File

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        yield

    def _write(self, tokens: tuple[Token, ...]) -> None:
        self.written = tokens


def fuzz(data: bytes) -> None:
    _File.content = data
    file: Any = _Tokens(_File("tokens.json"))
    book = TokenBook(file)
    book.look()
    assert book.is_guarded
    found = book.find(SECRET)
    try:
        tokens = file.read()
    except ConfigError as error:
        assert found is None
        assert "s3cret-canary" not in str(error) or "s3cret-canary" in _keys(data)
        return
    now = now_utc()
    valid = {each.id for each in tokens if each.state(now) == "valid"}
    over = {each.id for each in tokens if each.state(now) != "valid"}
    assert found is None or (found.token in valid - over and found.scopes)
    for each in tokens:
        assert Token.model_validate_json(json.dumps(each.model_dump(mode="json"))) == each
        assert f"{each.created:%Y-%m-%d} {each.expires or each.created:%Y-%m-%d %H:%M}"
    _is_changed(file, tokens, valid)


def _keys(content: bytes) -> str:
    """Their names are told."""
    return "".join(keys(json.loads(content)))


def _is_changed(file: _Tokens, tokens: tuple[Token, ...], valid: set[str]) -> None:
    """A command keeps every token that holds, and ends the one that it is to end."""
    made, _ = file.create("new", ("view",), None)
    assert valid | {made.id} <= {each.id for each in file.written}
    for each in tokens:
        file.written = tokens
        file.revoke(each.id)
        assert all(left.revoked for left in file.written if left.id == each.id)
