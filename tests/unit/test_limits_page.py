"""docs/limits.md says what the program does."""

import re
from pathlib import Path

from streamer.config import Config, LimitsConfig

PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text("utf-8")
ROW = re.compile(r"^\| `(?:\[(\w+)\] )?(\w+)` \| `([0-9.]+)` \| (.+) \| (.+) \|$", re.MULTILINE)


def test_page_names_every_limit_with_its_default() -> None:
    config, listed = Config(), set()
    for section, key, value, _, _ in ROW.findall(PAGE):
        part = getattr(config, section or "limits")
        assert str(getattr(part, key)) == value, key
        listed |= set() if section else {key}
    assert listed == set(LimitsConfig.model_fields)
