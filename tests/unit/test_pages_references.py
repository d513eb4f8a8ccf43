"""A page may be under a prefix: it names nothing of the server by an absolute path."""

import re
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "web"


@pytest.mark.parametrize("page", sorted(WEB.glob("*.html")), ids=lambda page: page.name)
def test_a_page_has_one_base_and_only_relative_references(page: Path) -> None:
    text = page.read_text("utf-8")
    references = re.findall(r'(?:href|src|action)="(/[^"]*)"', text)
    assert references == ["/"], "the base alone"
    base = text.index('<base href="/">')
    first = re.search(r'(?:href|src)="[^/]', text)
    assert first is not None and base < first.start(), "the base comes before what it is for"


@pytest.mark.parametrize("script", sorted(WEB.glob("*.js")), ids=lambda script: script.name)
def test_a_script_names_paths_of_the_server_through_base_js(script: Path) -> None:
    text = script.read_text("utf-8")
    assert not re.search(r"""(fetch|assign|replace|import|URL|EventSource)\(["'`]/""", text)
    assert not re.search(r"""(href|src): ["'`]/""", text)
