"""Puts the parts together: who comes in with what, and who may stay."""

from streamer.access.book import TokenBook, config_caller
from streamer.access.callers import EVERYBODY, Caller
from streamer.access.sessions import Sessions
from streamer.access.throttle import Throttle
from streamer.access.tickets import Tickets
from streamer.access.tokens import SECRET
from streamer.errors import TooManyAttempts


class Keeper:
    """Belongs to the event loop's thread, but for ``book.look``."""

    def __init__(self, book: TokenBook, session_s: float) -> None:
        self.book = book
        self.sessions = Sessions(session_s, book.digest_of)
        self.tickets = Tickets()
        self.throttle = Throttle()
        self.throttle_of_file = Throttle()

    def by_secret(self, secret: str, address: str) -> Caller | None:
        """None for a wrong one. Raises TooManyAttempts. A token of the file is always looked at, since
        nobody guesses one: whoever has it can't be locked out by those who try. And a program that goes on
        with a revoked one is no guess at the configured token."""
        caller = self.book.find(secret)
        if caller is not None:
            return caller
        throttle = self.throttle_of_file if SECRET.fullmatch(secret) else self.throttle
        wait_s = throttle.wait_s(address)
        if wait_s:
            raise TooManyAttempts(wait_s)
        if self.book.is_config_token(secret):
            return config_caller()
        throttle.was_wrong(address)
        return None

    def by_session(self, cookie: str) -> Caller | None:
        caller = self.sessions.find(cookie)
        return caller if caller is not None and self.may_stay(caller) else None

    def by_ticket(self, ticket: str, path: str) -> Caller | None:
        caller = self.tickets.take(ticket, path)
        return caller if caller is not None and self.may_stay(caller) else None

    def may_stay(self, caller: Caller) -> bool:
        """Whether the caller would come in as the same one now: token and session are valid and have the
        same scopes."""
        if caller == EVERYBODY:
            return not self.book.is_guarded
        if not caller.session:
            return self.book.current(caller.token) == caller
        signed_in = self.sessions.signed_in(caller.session)
        return signed_in is not None and self.book.current(caller.token) == signed_in

    def forget_ended(self) -> None:
        self.sessions.end_those(lambda caller: self.book.current(caller.token) != caller)
