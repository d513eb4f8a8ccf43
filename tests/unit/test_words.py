"""Every word that the pages show has its Chinese one, and the dictionary has none that no page uses."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from streamer import errors
from streamer.server import problems

SERVER = Path(__file__).parents[2] / "streamer" / "server"
WEB = Path(__file__).parents[2] / "web"
SCRIPTS = sorted(path for path in WEB.glob("*.js") if path.name not in ("i18n.js", "zh.js"))
PAGES = sorted(WEB.glob("*.html"))

COMMENT = re.compile(r"^\s*(//|/?\*).*$", re.MULTILINE)
LITERAL = r'"(?:[^"\\]|\\.)*"'
CALL = re.compile(r"(?<![\w.$])t\(")
WORDS = re.compile(rf"(?<![\w.$])t\(\s*({LITERAL}(?:\s*\+\s*{LITERAL})*)\s*[,)]")
SHOWN_ATTRIBUTES = ("title", "aria-label", "placeholder", "alt")
BRAND = {"Streamer"}
EXAMPLES = {"front-door", "rtsp://192.168.1.20:554/stream1"}

DUMP = """
import { words, problems } from "%s/zh.js";
import { LANDMARK_NAMES } from "%s/landmarks.js";
console.log(JSON.stringify({ words, problems, names: LANDMARK_NAMES }));
"""


class Texts(HTMLParser):
    """What a page's HTML shows to people, as ``translatePage`` in ``i18n.js`` finds it."""

    VOID = ("meta", "link", "input", "img", "br", "base", "use", "path", "circle", "source")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self._silent: list[bool] = [False]
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        silent = self._silent[-1] or tag in ("script", "style") or given.get("translate") == "no"
        if not silent:
            self.found |= {given[name] or "" for name in SHOWN_ATTRIBUTES if given.get(name)}
        if tag not in self.VOID:
            self._silent.append(silent)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None: ...

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            self._silent.pop()

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if not self._silent[-1] and re.search(r"[A-Za-z]{2}", text):
            self.found.add(text)


def without_comments(script: Path) -> str:
    return COMMENT.sub("", script.read_text("utf-8"))


def words_of(script: Path) -> set[str]:
    """The English of each ``t("…")``; literals joined by + are one."""
    found = WORDS.findall(without_comments(script))
    return {"".join(json.loads(each) for each in re.findall(LITERAL, text)) for text in found}


@pytest.fixture(scope="module")
def chinese() -> dict[str, dict[str, str]]:
    node = shutil.which("node")
    assert node is not None, "There is no Node: tests/setup.sh --node installs it."
    command = [node, "--input-type=module", "--eval", DUMP % (WEB.as_uri(), WEB.as_uri())]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    dump: dict[str, dict[str, str]] = json.loads(done.stdout)
    return dump


def shown(chinese: dict[str, dict[str, str]]) -> set[str]:
    """All that the pages show. Names of landmarks and groups of routes are words that come as values."""
    found = set(chinese["names"])
    for module in SERVER.glob("*.py"):
        found |= set(re.findall(r'@describe\(\s*"(\w+)"', module.read_text("utf-8")))
    for script in SCRIPTS:
        found |= words_of(script)
    for page in PAGES:
        found |= Texts(page.read_text("utf-8")).found
    return found - BRAND - EXAMPLES


def test_every_word_on_the_pages_has_a_chinese_one(chinese: dict[str, dict[str, str]]) -> None:
    assert sorted(shown(chinese) - set(chinese["words"])) == []


def test_dictionary_has_no_word_that_no_page_shows(chinese: dict[str, dict[str, str]]) -> None:
    assert sorted(set(chinese["words"]) - shown(chinese)) == []


def test_translations_keep_the_names_of_their_values(chinese: dict[str, dict[str, str]]) -> None:
    name = re.compile(r"\{\w+\}")
    for english, translated in chinese["words"].items():
        assert sorted(name.findall(english)) == sorted(name.findall(translated)), english


def test_every_kind_of_error_has_its_meaning_in_chinese(
    chinese: dict[str, dict[str, str]],
) -> None:
    kinds = set(problems._KINDS.values()) | {"http-error"}
    tree = [errors.StreamerError]
    for each in tree:  # grows as it goes
        kinds.add(each.kind)
        tree += each.__subclasses__()
    for module in ("problems", "access", "account", "guard", "landmarks"):
        source = (SERVER / f"{module}.py").read_text("utf-8")
        kinds |= set(re.findall(r'HTTPStatus\.\w+,\s*"([a-z-]+)"', source))
    never_seen = {"invalid-config", "source-ended"}
    assert kinds - never_seen == set(chinese["problems"])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_words_stand_in_the_source_as_they_are(script: Path) -> None:
    """``t(variable)`` hides its words from these tests; the names are known."""
    text = without_comments(script).replace("t(name)", "")
    assert len(CALL.findall(text)) == len(WORDS.findall(text))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_page_chooses_its_language_before_it_is_painted(page: Path) -> None:
    html = page.read_text("utf-8")
    assert re.search(r'<script src="[^"]*static/language\.js"></script>', html)
    assert 'id="language"' in html
