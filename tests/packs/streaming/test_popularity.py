"""Titles by completion: what the naive query gets wrong, each worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from prodsense.warehouse import Warehouse

from .little import at, made_of, session

NAME = "streaming.content_popularity_by_completion"


@pytest.fixture(scope="module")
def shop() -> Iterator[Warehouse]:
    titles = [
        {"content_key": key, "content_name": name, "content_type": "movie"}
        for key, name in ((1, "Twin"), (2, "Twin"), (3, "Solo"), (4, "Even"), (5, "Never told"))
    ]
    percent = [
        # User 1 watches title 1 in three sittings: 30, 60 and in the end 90 percent.
        (1, 1, 1, "01 10:00", 30), (2, 1, 1, "02 10:00", 60), (3, 1, 1, "03 10:00", 90), (4, 2, 1, "02 11:00", 50),
        (5, 1, 2, "02 12:00", 10), (6, 3, 3, "05 10:00", 100), (7, 4, 4, "02 13:00", 70), (8, 5, 5, "02 14:00", None),
    ]
    rows = [
        session(n, user, title, at(start), 600, completion_percentage=share) for n, user, title, start, share in percent
    ]
    with made_of({"dim_content": titles, "fact_viewing_sessions": rows}, "session_facts") as warehouse:
        yield warehouse


def found(warehouse: Warehouse, **given: Any) -> list[tuple[int, float | None, int]]:
    return [
        (row["content_key"], row["avg_completion"], row["session_count"]) for row in warehouse.query(NAME, **given).rows
    ]


def test_each_viewer_counts_with_the_furthest_point_and_titles_of_one_name_stay_apart(shop: Warehouse) -> None:
    # Title 1 has (90 + 50) / 2, as has title 4; of the two, the one with more sessions is first. Unknown is last.
    assert found(shop) == [(3, 100, 1), (1, 70, 4), (4, 70, 1), (2, 10, 1), (5, None, 1)]


def test_the_mean_of_sessions_is_an_option(shop: Warehouse) -> None:
    assert found(shop, per_session=True)[2] == (1, 57.5, 4)


def test_both_days_are_inside_and_few_sessions_may_be_left_out(shop: Warehouse) -> None:
    assert found(shop, start_date="2024-01-02", end_date="2024-01-02") == [
        (4, 70, 1), (1, 55, 2), (2, 10, 1), (5, None, 1),
    ]  # fmt: skip
    assert found(shop, min_sessions=2) == [(1, 70, 4)]
    assert found(shop, start_date="2025-01-01") == []
