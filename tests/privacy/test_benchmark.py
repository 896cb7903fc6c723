"""Numbers of peers that are nobody's own."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodsense.privacy.benchmark import smoothed, standing, why_not


def test_a_quarter_is_the_mean_of_three_peers() -> None:
    assert [smoothed([5, 1, 4, 2, 3], q) for q in (0.25, 0.5, 0.75)] == [2, 3, 4]
    # Of nine, the third, fifth and seventh with their neighbours.
    nine = [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert [smoothed(nine, q) for q in (0.25, 0.5, 0.75)] == [14 / 3, 56 / 3, 224 / 3]
    assert smoothed([1, 2, 9], 1.0) == smoothed([1, 2, 9], 0.0) == 4


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, 10**6), min_size=5, max_size=40, unique=True))
def test_quarters_rise_and_lie_within(values: list[int]) -> None:
    low, middle, high = (smoothed(values, q) for q in (0.25, 0.5, 0.75))
    assert min(values) < low <= middle <= high < max(values)


@pytest.mark.parametrize(
    ("people", "k", "said"),
    [([10] * 5, 5, ""), ([10] * 4, 5, "fewer than 5 peers"), ([10] * 6, 8, "fewer than 8 peers"),
     ([10] * 5, 1, ""), ([], 5, "fewer than 5 peers"), ([41, 10, 10, 10, 10], 5, "outweigh"),
     ([40, 10, 10, 10, 10], 5, ""), ([45, 45, 10, 5, 5], 5, "outweigh"), ([40, 38, 10, 6, 6], 5, "")],
)  # fmt: skip
def test_there_must_be_enough_peers_and_none_may_outweigh_the_others(people: list[int], k: int, said: str) -> None:
    found = why_not(people, k)
    assert said in found
    assert bool(found) == bool(said)


@pytest.mark.parametrize(
    ("own", "better", "place"),
    [(0.5, "up", "behind"), (0.5, "down", "ahead"), (2.5, "up", "ahead"), (2.5, "down", "behind"), (1.5, "up", "among"),
     (1.0, "up", "among"), (0.5, "none", "below"), (2.5, "none", "above"), (1.5, "none", "among"), (None, "up", None)],
)  # fmt: skip
def test_where_one_stands(own: float | None, better: str, place: str | None) -> None:
    assert standing(own, 1.0, 2.0, better) == place
