"""Figures as text: columns wide enough for what stands in them, numbers to the right."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def print_table(
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    text: Collection[int] = (0,),
) -> None:
    """Print ``rows`` under ``title``; the columns ``text`` are words, the others figures."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    print(f"\n{title}\n")
    for row in (header, ["-" * width for width in widths], *rows):
        cells = (
            cell.ljust(width) if index in text else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(cells).rstrip())


def figure(value: float | None, digits: int = 1) -> str:
    """A number with ``digits`` decimals; a dash for none."""
    return "-" if value is None else f"{value:.{digits}f}"
