"""What a running service knows of tokens: that of the configuration, and those of the token file."""

import hmac
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from streamer.access.callers import CONFIG_TOKEN, Caller
from streamer.access.store import Mark, TokenFile
from streamer.access.tokens import SECRET, Token, digest
from streamer.errors import ConfigError

logger = logging.getLogger(__name__)

_NO_TOKEN: Final = "0" * 64


class TokenBook:
    """Deny by default: what can't be read lets nobody in, and once there was a token file, its absence does
    not open the service again. ``file``: None for none."""

    def __init__(
        self,
        file: TokenFile | None = None,
        config_token: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._file = file
        self._config_digest = digest(config_token) if config_token else ""
        self._clock = clock
        self._mark: Mark | None = None
        self._tokens: dict[str, Token] = {}
        self._has_file = False
        self._trouble = ""

    @property
    def is_guarded(self) -> bool:
        """Whether there is any token, or was: else everybody may do everything."""
        return bool(self._config_digest) or self._has_file

    def look(self) -> None:
        """Reads the file if it has changed. Blocks: for threads. Never fails: trouble is logged, once."""
        if self._file is None:
            return
        try:
            mark = self._file.mark()
            if mark == self._mark and not self._trouble:
                return
            if mark is None and self._has_file:
                raise ConfigError(f"The token file {self._file.path} is gone.")
            tokens = {token.id: token for token in self._file.read()}
        except (ConfigError, OSError) as error:
            self._refuse(str(error))
            return
        if self._trouble:
            logger.warning("the token file can be read again")
        self._mark, self._tokens, self._trouble = mark, tokens, ""
        self._has_file = self._has_file or mark is not None

    def _refuse(self, trouble: str) -> None:
        self._has_file, self._tokens = True, {}
        if trouble != self._trouble:
            logger.error("%s Nobody gets in with one of its tokens until that is mended.", trouble)
        self._trouble = trouble

    def find(self, secret: str) -> Caller | None:
        """Whose secret of the token file it is. Nobody guesses one: there is no harm in many attempts."""
        form = SECRET.fullmatch(secret)
        token = self._tokens.get(form["id"]) if form else None
        if token is None:
            hmac.compare_digest(_NO_TOKEN, digest(secret))  # takes as long as for a known id
            return None
        return token.caller if token.is_of(secret) and self._is_valid(token) else None

    def is_config_token(self, secret: str) -> bool:
        """A person may have chosen it: attempts are to be counted."""
        return bool(self._config_digest) and hmac.compare_digest(
            self._config_digest, digest(secret)
        )

    def current(self, token_id: str) -> Caller | None:
        """The one that the id stands for now; None once it has ended."""
        if token_id == CONFIG_TOKEN and self._config_digest:
            return config_caller()
        token = self._tokens.get(token_id)
        return token.caller if token is not None and self._is_valid(token) else None

    def digest_of(self, token_id: str) -> str:
        """Of the secret that the id stands for now; "" for none."""
        if token_id == CONFIG_TOKEN:
            return self._config_digest
        token = self._tokens.get(token_id)
        return token.sha256 if token is not None else ""

    def _is_valid(self, token: Token) -> bool:
        return token.state(self._clock()) == "valid"


def config_caller() -> Caller:
    return Caller(CONFIG_TOKEN, "[server] token", ("admin",))
