"""The frame of the chaos scenarios: who fails is seen, and keeps nobody else from running."""

import importlib
import itertools
import sys
from types import ModuleType

import pytest

from tests import chaos
from tests.chaos import Result
from tests.chaos.__main__ import main
from tests.chaos.slow_reader import unseen
from tests.chaos.stage import Reader, Times


def scenario(name: str, outcome: Result | Exception) -> ModuleType:
    async def run(times: int) -> Result:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    module = ModuleType(f"tests.chaos.{name}")
    module.__dict__.update(NAME=name, PASS="nothing breaks", run=run)
    return module


@pytest.fixture
def scenarios(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes: dict[str, Result | Exception] = {
        "good": Result("3/3", passed=True),
        "bad": Result("2/3", passed=False, notes=("turn 2: it broke",)),
        "ugly": OSError("no such camera"),
    }
    for name, outcome in outcomes.items():
        monkeypatch.setitem(sys.modules, f"tests.chaos.{name}", scenario(name, outcome))
    monkeypatch.setattr("tests.chaos.__main__.SCENARIOS", tuple(outcomes))


@pytest.mark.usefixtures("scenarios")
def test_a_scenario_that_fails_or_breaks_down_is_told_and_the_next_one_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["ugly", "bad", "good", "--times", "3"]) == 1
    told = capsys.readouterr().out
    assert "broke down: OSError" in told and "turn 2: it broke" in told
    table = told[told.index("Faults,") :].splitlines()[4:]
    assert [line.split()[:4] for line in table[::2]] == [
        ["ugly", "3", "0", "FAIL"],
        ["bad", "3", "0", "FAIL"],
        ["good", "3", "0", "pass"],
    ]
    assert all(line.strip() == "to reach: nothing breaks" for line in table[1::2])
    assert main(["good"]) == 0


@pytest.mark.usefixtures("scenarios")
def test_an_unknown_scenario_is_refused_before_anything_runs() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["good", "nowhere"])
    assert ended.value.code == 2


@pytest.mark.parametrize("name", chaos.SCENARIOS)
def test_every_scenario_is_what_the_table_needs(name: str) -> None:
    module = importlib.import_module(f"tests.chaos.{name}")
    assert module.NAME and module.PASS and callable(module.run)


def give_up() -> None:
    raise TimeoutError


def test_tries_pass_when_all_were_made_in_time() -> None:
    times = Times(5.0)
    for seconds in (1.0, 2.0, 4.9):
        times.note(seconds)
    assert times.passed(3) and str(times) == "3/3, median 2.0 s, longest 4.9 s"
    assert not times.passed(4), "one was not made"
    with times.one_try("turn 4"):
        give_up()
    assert not times.passed(3) and times.failures == ["turn 4: TimeoutError: "]
    late = Times(5.0)
    late.note(5.1)
    assert not late.passed(1)


def test_a_reader_counts_what_is_missing_within_an_epoch() -> None:
    reader = Reader("cam")
    for epoch, seq in ((1, 0), (1, 1), (1, 4), (2, 0), (2, 1)):
        size = {"width": 64, "height": 48}
        counts = {"epoch": epoch, "seq": seq, "pts": 9000 * seq, "dropped": 0}
        reader._note({"type": "pose", **counts, **size})
    reader._note({"type": "state", "state": "live"})
    assert reader.gaps == 2 and len(reader.seen) == 5
    ats = [seen.at for seen in reader.seen]
    assert all(before <= after for before, after in itertools.pairwise(ats))


def test_a_frame_is_unseen_when_no_picture_of_its_time_came() -> None:
    origin = (1 << 32) - 10_000  # timestamps begin anew after the second one
    made = [6000 * number for number in range(10)]
    pictures = [((pts + origin) % (1 << 32), 0.0) for pts in [-6000, *made, 60_000]]
    assert unseen(made, pictures, origin) == 0
    assert unseen(made, pictures[:3] + pictures[5:], origin) == 2
    assert unseen(made, [*pictures[:5], pictures[4], *pictures[6:]], origin) == 1, "one came twice"
    assert unseen(made, [], origin) == unseen(made, pictures, None) == 10
