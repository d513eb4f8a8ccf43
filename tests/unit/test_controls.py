"""The list of controls (tests/controls) fits the code; ``make controls`` takes each of them away."""

from __future__ import annotations

import pytest

from tests.controls.entries import DOCUMENT, BadEntry, Control, documented, load_controls

CONTROLS = load_controls()


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_control_stands_in_its_file_once_and_tests_that_are_there_hold_it(control: Control) -> None:
    control.check()


def test_threat_model_shows_the_list() -> None:
    """python -m tests.controls --document"""
    text = DOCUMENT.read_text("utf-8")
    assert documented(text, CONTROLS) == text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"search": "no such text"}, "stands 0 times"),
        ({"search": "a"}, "times in"),
        ({"replace": CONTROLS[0].search}, "changes nothing"),
        ({"replace": "if ("}, "no sound Python"),
        ({"tests": ()}, "no test holds it"),
        ({"tests": ("tests/unit/test_controls.py::test_nowhere",)}, "there is no test"),
        ({"tests": ("tests/nowhere.py::test_x",)}, "there is no test"),
    ],
)
def test_entry_that_proves_nothing_is_refused(changes: dict[str, str], words: str) -> None:
    parts = {name: getattr(CONTROLS[0], name) for name in Control.__slots__}
    with pytest.raises(BadEntry, match=words):
        Control(**parts | changes).check()
