"""`streamer token`: makes, lists and revokes the tokens of the token file."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from streamer.access.scopes import is_scope
from streamer.access.store import TokenFile, tokens_path
from streamer.access.tokens import now_utc, parse_duration
from streamer.config import explain
from streamer.errors import InvalidRequest
from streamer.settings import load_config


def add_token_commands(commands: Any) -> None:
    token = commands.add_parser("token", help="make, list and revoke access tokens")
    actions = token.add_subparsers(required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make a token and show it, this once")
    create.add_argument("--name", required=True, help="whose it is, or what for")
    create.add_argument(
        "--scope",
        dest="scopes",
        action="append",
        required=True,
        metavar="SCOPE",
        help="view, view:STREAM (repeat it for more), operate or admin",
    )
    create.add_argument(
        "--expires", metavar="TIME", help="after so long: 30d, 12h, 90m, 2w (never)"
    )
    listing = actions.add_parser("list", help="show all tokens, but for their secrets")
    listing.add_argument("--json", action="store_true", help="print JSON")
    revoke = actions.add_parser("revoke", help="end a token, and all that is open with it")
    revoke.add_argument("id", metavar="ID", help="as `list` shows it")
    for parser, run in ((create, _create), (listing, _list), (revoke, _revoke)):
        parser.add_argument("--config", type=Path, metavar="FILE", help="the server's TOML file")
        parser.set_defaults(run=run)


def _file(arguments: argparse.Namespace) -> TokenFile:
    return TokenFile(tokens_path(load_config(arguments.config).server))


def _create(arguments: argparse.Namespace) -> int:
    """The secret alone goes to stdout, for scripts."""
    lasts = None if arguments.expires is None else parse_duration(arguments.expires)
    for scope in arguments.scopes:
        if not is_scope(scope):
            raise InvalidRequest(
                f"{scope!r} is no scope: view, view:STREAM (its id), operate or admin."
            )
    file = _file(arguments)
    try:
        token, secret = file.create(arguments.name, tuple(arguments.scopes), lasts)
    except ValidationError as error:
        raise InvalidRequest(f"The token can't be made: {explain(error)}.") from error
    until = f"until {token.expires:%Y-%m-%d %H:%M} UTC" if token.expires else "until it is revoked"
    sys.stderr.write(
        f"Token {token.id} ({token.name}) may {', '.join(token.scopes)}, {until}. "
        f"It is shown this once; {file.path} has only a hash of it.\n"
    )
    sys.stderr.flush()
    sys.stdout.write(f"{secret}\n")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    tokens, now = _file(arguments).read(), now_utc()
    if arguments.json:
        shown = [
            each.model_dump(mode="json", exclude={"sha256"}) | {"state": each.state(now)}
            for each in tokens
        ]
        sys.stdout.write(json.dumps(shown) + "\n")
        return 0
    rows = [("ID", "STATE", "CREATED", "EXPIRES", "SCOPES", "NAME")]
    rows += [
        (
            each.id,
            each.state(now),
            f"{each.created:%Y-%m-%d}",
            f"{each.expires:%Y-%m-%d %H:%M}" if each.expires else "never",
            " ".join(each.scopes),
            each.name,
        )
        for each in tokens
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")
    return 0


def _revoke(arguments: argparse.Namespace) -> int:
    token = _file(arguments).revoke(arguments.id)
    sys.stderr.write(
        f"Token {token.id} ({token.name}) is revoked. A running server cuts what is open with it "
        "within seconds.\n"
    )
    return 0
