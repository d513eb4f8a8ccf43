"""Settings in the environment: of each two records the first is a name, the second a value."""

from streamer.errors import ConfigError
from streamer.settings import load_config
from tests.fuzz.pieces import records, text


def fuzz(data: bytes) -> None:
    words = [text(each).replace("\0", "") for each in records(data)]
    pairs = zip(words[::2], words[1::2], strict=False)
    environment = {f"STREAMER_{name}": value for name, value in pairs}
    try:
        load_config(None, environment)
    except ConfigError as error:  # which tells names
        assert "s3cret-canary" not in str(error) or "s3cret-canary" in "".join(environment).lower()
