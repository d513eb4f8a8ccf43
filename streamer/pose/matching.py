"""Which body is whose: the assignment of least cost. At most a few rows and columns."""

import math

import numpy as np
from numpy.typing import NDArray


def assign(costs: NDArray[np.float64], limit: float) -> list[tuple[int, int]]:
    """Pairs (row, column), each used once, of the least sum, where to leave a row without a column costs
    ``limit``: no pair costs more. ``costs``: shape (rows, columns); inf: never.

    The Hungarian algorithm with potentials, O(rows^2 x columns), on the costs with one more column for
    each row, at ``limit``.
    """
    rows, columns = costs.shape
    if not rows or not columns:
        return []
    table = np.hstack([costs, np.full((rows, rows), limit)])
    # What will not be chosen must still be a number for the sums below.
    table = np.minimum(table, 2 * limit * (rows + 1)).tolist()
    row_of = _least(table, rows + columns)
    return [
        (row, column)
        for column, row in enumerate(row_of[:columns])
        if row is not None and costs[row, column] < limit
    ]


def _least(costs: list[list[float]], columns: int) -> list[int | None]:
    """The row that each column goes to; each row has one, there are no fewer columns than rows."""
    row_price, column_price = [0.0] * len(costs), [0.0] * (columns + 1)
    row_of: list[int | None] = [None] * (
        columns + 1
    )  # the last column is where each new row starts
    for new in range(len(costs)):
        row_of[columns] = new
        column, came_from = columns, [columns] * columns
        slack, done = [math.inf] * columns, [False] * (columns + 1)
        while (row := row_of[column]) is not None:
            done[column] = True
            step, nearest = math.inf, columns
            for other in range(columns):
                if done[other]:
                    continue
                reduced = costs[row][other] - row_price[row] - column_price[other]
                if reduced < slack[other]:
                    slack[other], came_from[other] = reduced, column
                if slack[other] < step:
                    step, nearest = slack[other], other
            for other in range(columns + 1):
                reached = row_of[other]
                if done[other] and reached is not None:
                    row_price[reached] += step
                    column_price[other] -= step
                elif other < columns:
                    slack[other] -= step
            column = nearest
        while column != columns:
            row_of[column] = row_of[came_from[column]]
            column = came_from[column]
    return row_of[:columns]
