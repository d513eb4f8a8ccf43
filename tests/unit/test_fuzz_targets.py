"""Every fuzz target with its corpus, in which each input stands that ever broke something, and with mutations
of it: a short form of ``make fuzz``."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import pieces, targets
from tests.fuzz.__main__ import CORPORA, Row

TOKENS = [
    *(
        b"\r\n",
        b"\n",
        b"\0",
        b"\xff" * 4,
        b"\0" * 8,
        b"a=",
        b'"',
        b"[",
        b"{",
        b":",
        b"://",
        b"@",
        b"%",
    ),
    *(
        b"\0\0\0\1",
        b"\x80",
        b"99999999999999999999",
        b"-1",
        b"<",
        b"&",
        b"..",
        b"/",
        b"\xed\xa0\x80",
    ),
]


@pytest.fixture(scope="module", autouse=True)
def loop_of_the_targets() -> Iterator[None]:
    logging.disable(logging.CRITICAL)  # trouble is what comes here
    yield
    logging.disable(logging.NOTSET)
    pieces.close()


def corpus(target: str) -> list[Path]:
    return sorted((CORPORA / target).iterdir())


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A seed with a few pieces cut out, put in, doubled or replaced."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        at, end = sorted(draw(st.tuples(*2 * [st.integers(0, len(data))])))
        piece = draw(
            st.one_of(
                st.sampled_from([*TOKENS, b""]),
                st.binary(max_size=6),
                st.just(2 * data[at:end]),
                st.just(draw(st.sampled_from(seeds))[at:end]),
            )
        )
        data = data[:at] + piece + data[end if draw(st.booleans()) else at :]
    return data[:4096]


@pytest.mark.parametrize("target", targets.NAMES)
def test_target_takes_its_corpus_and_mutations_of_it(target: str) -> None:
    fuzz = targets.load(target)
    seeds = [each.read_bytes() for each in corpus(target)]
    for data in [b"", *seeds]:
        fuzz(data)

    @settings(
        max_examples=60,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(mutated(seeds))
    def takes(data: bytes) -> None:
        fuzz(data)

    takes()


def test_corpora_are_small_and_each_has_a_target() -> None:
    assert {each.name for each in CORPORA.iterdir()} == set(targets.NAMES)
    files = [each for target in targets.NAMES for each in corpus(target)]
    assert all(each.stat().st_size <= 4096 for each in files)
    assert sum(each.stat().st_size for each in files) < 512 * 1024


def test_table_counts_what_the_engine_prints() -> None:
    row = Row("sdp_offer")
    for line in (
        "#3\tINITED cov: 52 ft: 57 corp: 2/156b exec/s: 0 rss: 59Mb",
        "#512\tNEW    cov: 61 ft: 70 corp: 3/160b exec/s: 0 rss: 59Mb",
        "#1000\tDONE   cov: 63 ft: 72 corp: 3/160b lim: 4 exec/s: 0 rss: 59Mb",
    ):
        row.note(line)
    assert (row.executions, row.new_coverage, row.crashes, row.hangs) == (1000, 11, 0, 0)
    row.note(" === Uncaught Python exception: ===")
    assert (row.crashes, row.hangs) == (1, 0)
    slow = Row("sctp")
    slow.note("==12== ERROR: libFuzzer: timeout after 61 seconds")
    assert (slow.crashes, slow.hangs) == (0, 1)
