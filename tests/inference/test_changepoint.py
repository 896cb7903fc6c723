"""Change points: a known one, all of brute force's, none in noise."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from prodsense.inference.changepoint import _pelt, change_points


def test_the_nile_changed_in_1899(shared_data: Path) -> None:
    with (shared_data / "nile_changepoint" / "nile.csv").open() as file:
        rows = [(int(row["year"]), float(row["volume"])) for row in csv.DictReader(file)]
    (change,) = change_points([volume for _, volume in rows])
    assert rows[change.at][0] == 1899
    assert change.before == pytest.approx(1097.75) and change.after == pytest.approx(849.97, abs=0.01)


def brute(x: np.ndarray[tuple[int], np.dtype[np.float64]], least: int, penalty: float) -> list[int]:
    """All cuts of least cost, by trying every last cut."""
    n = len(x)
    best, last = [-penalty] + [np.inf] * n, [0] * (n + 1)
    for end in range(1, n + 1):
        for start in range(end - least + 1):
            cost = best[start] + ((x[start:end] - x[start:end].mean()) ** 2).sum() + penalty
            if cost < best[end] - 1e-12:
                best[end], last[end] = cost, start
    cuts, at = [], n
    while last[at] > 0:
        at = last[at]
        cuts.append(at)
    return cuts[::-1]


@pytest.mark.parametrize("least", [1, 2, 5])
def test_pruning_loses_nothing(least: int) -> None:
    rng = np.random.default_rng(3)
    for _ in range(60):
        x = rng.normal(size=40) + np.repeat(rng.normal(0, 2, 4), 10)
        assert _pelt(x, least, 5.0) == brute(x, least, 5.0)


def test_noise_has_no_change_points() -> None:
    rng = np.random.default_rng(0)
    assert sum(bool(change_points(rng.normal(size=60))) for _ in range(300)) <= 15


def test_degenerate_series() -> None:
    assert change_points([]) == [] and change_points([1.0]) == [] and change_points([5.0] * 30) == []
    (step,) = change_points([5.0] * 10 + [6.0] * 10)
    assert (step.at, step.before, step.after) == (10, 5.0, 6.0)
    assert change_points([1.0, float("nan")] * 10) == []
    # A large offset takes no digits away.
    assert [c.at for c in change_points([1e12 + v for v in [0, 1, 0, 1, 0, 1, 9, 8, 9, 8, 9, 8]])] == [6]
