"""``streamer doctor``: looks at all that a running service needs, and says what to do."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from streamer.config import Config, StreamConfig
from streamer.doctor import machine, network, service
from streamer.doctor.finding import Finding, ok, problem
from streamer.errors import ConfigError
from streamer.settings import load_config
from streamer.state import default_state_file

_ENTRIES = TypeAdapter(list[Any])


def examine(file: Path | None) -> Iterator[Finding]:
    """Each finding as soon as it is there; the cameras last, since they take the longest."""
    try:
        config = load_config(file)
    except ConfigError as error:
        for fault in str(error).splitlines():
            yield problem("configuration", fault, "config/streamer.toml explains every key")
        return
    yield ok("configuration", f"{file} can be used" if file else "the defaults and the environment")
    state_file = Path(config.server.state_file or default_state_file())
    tls = state_file.parent / "tls"
    checks: tuple[Callable[[], Iterable[Finding]], ...] = (
        machine.packages,
        machine.cpu,
        lambda: machine.memory(config),
        lambda: machine.file_descriptors(config),
        machine.children,
        lambda: machine.clock(state_file),
        lambda: service.disk(state_file.parent),
        lambda: service.state(state_file),
        lambda: service.models(config),
        lambda: service.exposure(config.server, file),
        lambda: service.ports(config),
        lambda: network.certificates(config, tls),
        lambda: asyncio.run(network.ice(config)),
        lambda: asyncio.run(network.cameras(config, _all_streams(config, state_file))),
    )
    for check in checks:
        yield from check()


def _all_streams(config: Config, state_file: Path) -> list[StreamConfig]:
    """Those of the configuration, and those that are remembered. The file itself stays untouched."""
    streams = {each.id: each for each in config.streams}
    try:
        entries = _ENTRIES.validate_json(state_file.read_bytes())
    except (OSError, ValidationError):
        return list(streams.values())  # the check of the state has told
    for entry in entries:
        try:
            stream = StreamConfig.model_validate(entry)
        except ValidationError:
            continue
        streams.setdefault(stream.id, stream)
    return list(streams.values())
