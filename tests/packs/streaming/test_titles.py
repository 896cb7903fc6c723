"""Return on titles and gaps of the library, worked out by hand; the flop and the gap that the simulator plants."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from prodsense.errors import UsageError
from prodsense.warehouse import Warehouse

from .little import at, made_of, session

TITLES = [
    {"content_key": 1, "content_id": "m1", "content_name": "One", "content_type": "movie", "genre": "Drama|Crime"},
    {"content_key": 2, "content_id": "m2", "content_name": "Two", "content_type": "movie", "genre": "comedy"},
    {"content_key": 9, "content_id": "s9", "content_name": "Show", "content_type": "series"},
    {"content_key": 91, "content_id": "e1", "content_name": "E1", "content_type": "episode", "series_key": 9,
     "genre": "drama"},
]  # fmt: skip
#: User 1 pays 31 for January, and watches title 1 for an hour and the show for three; user 2 begins on the 17th (15 of 31
#: days), pays 31 a month and watches title 2 alone; user 3 is in a trial that never was paid.
VIEWS = [
    session(1, 1, 1, at("05 10:00"), 3600), session(2, 1, 91, at("06 10:00"), 3 * 3600, series_key=9),
    session(3, 2, 2, at("18 10:00"), 600), session(4, 3, 2, at("20 10:00"), 600), session(5, 1, 1, at("31 23:00"), 0),
]  # fmt: skip
PAID = [
    {"user_id": "1", "started_at": datetime(2023, 12, 1), "monthly_price": 31.0},
    {"user_id": "2", "started_at": datetime(2024, 1, 17, 8), "monthly_price": 31.0},
    {"user_id": "3", "started_at": datetime(2024, 1, 19), "trial_started_at": datetime(2024, 1, 19),
     "trial_ends_at": datetime(2024, 2, 2), "monthly_price": 31.0},
]  # fmt: skip
COSTS = [{"content_id": "m1", "cost": 5.0}, {"content_id": "m2", "cost": 30.0}, {"content_id": "s9", "cost": 10.0}]
_MODELS = ("session_facts", "viewers", "titles", "sessions")


def test_return_by_hand() -> None:
    tables = {
        "dim_content": TITLES, "fact_viewing_sessions": VIEWS, "subscriptions": PAID, "content_costs": COSTS,
    }
    with made_of(tables, *_MODELS) as warehouse:
        rows = {row["content_key"]: row for row in warehouse.analyze("streaming.content_roi_model").rows}
        assert {key: row["revenue"] for key, row in rows.items()} == pytest.approx({1: 7.75, 9: 23.25, 2: 15.0})
        assert rows[1]["roi"] == pytest.approx(0.55) and rows[2]["roi"] == pytest.approx(-0.5)
        assert rows[9]["hours"] == 3 and rows[9]["cost_per_hour"] == pytest.approx(10 / 3) and rows[2]["viewers"] == 2
        # The first views of users 2 and 3 came within a week of their start.
        assert {key: row["subscribers_begun"] for key, row in rows.items()} == {1: 0, 9: 0, 2: 2}
        assert list(rows) == [9, 1, 2]
        # Half of the month has passed: half of the payment.
        early = warehouse.analyze("streaming.content_roi_model", as_of="2024-01-15 23:59:59").rows
        assert {row["content_key"]: row["revenue"] for row in early} == pytest.approx({1: 3.75, 9: 11.25, 2: 0})


def test_return_needs_prices_and_costs() -> None:
    bare = [{key: value for key, value in row.items() if key != "monthly_price"} for row in PAID]
    with made_of({"dim_content": TITLES, "fact_viewing_sessions": VIEWS, "subscriptions": bare}, *_MODELS) as warehouse:
        with pytest.raises(UsageError, match="no subscription has a monthly_price"):
            warehouse.analyze("streaming.content_roi_model")
        with pytest.raises(UsageError, match="no title has a cost"):
            warehouse.analyze("streaming.content_roi_model", monthly_price=10)


def test_gaps_by_hand() -> None:
    """Drama has 2 of 12 titles, 30 of 40 views and 8 of 10 searches; comedy the rest. Two users ask for what is not there."""
    titles = [
        {"content_key": n, "content_id": f"t{n}", "content_type": "movie", "genre": "drama" if n <= 2 else "comedy",
         "content_name": f"T{n}"}
        for n in range(1, 13)
    ] + [{"content_key": 13, "content_id": "t13", "content_type": "movie", "genre": "drama", "content_name": "Gone"}]
    offers = [{"content_id": f"t{n}", "available_from": date(2023, 1, 1)} for n in range(1, 13)]
    offers.append({"content_id": "t13", "available_from": date(2023, 1, 1), "available_to": date(2024, 1, 1)})
    views = [session(n, n % 7, 1 if n < 30 else 5, at("10 10:00"), 600) for n in range(40)]
    views += [session(99, 1, 5, at("10 11:00"), 10)]  # no view
    searches: list[dict[str, Any]] = [
        *({"user_id": "1", "query": "Drama ", "clicked_content_id": None} for _ in range(5)),
        *({"user_id": "1", "query": "t1"} for _ in range(2)),
        {"user_id": "1", "query": "something", "clicked_content_id": "t2"},
        *({"user_id": "1", "query": "x", "clicked_content_id": "t9"} for _ in range(2)),
        *({"user_id": user, "query": "Westerns"} for user in ("1", "2", "2")), {"user_id": "3", "query": "alone"},
    ]
    searches = [{"search_id": str(n), "searched_at": at("09 10:00"), **row} for n, row in enumerate(searches)]
    searches.append({"search_id": "old", "user_id": "1", "query": "comedy", "searched_at": datetime(2023, 10, 1)})
    tables = {
        "dim_content": titles, "content_availability": offers, "fact_viewing_sessions": views, "search_events": searches,
    }
    with made_of(tables, *_MODELS) as warehouse:
        answer = warehouse.analyze("streaming.content_gap_analysis")
        drama, comedy, western = answer.rows
        assert (drama["titles"], drama["views"], drama["searches"], drama["unmet"]) == (2, 30, 8, 7)
        assert drama["gap"] == pytest.approx((0.75 + 0.8) / 2 / (2 / 12)) and drama["is_gap"]
        assert comedy["gap"] == pytest.approx((0.25 + 0.2) / 2 / (10 / 12)) and not comedy["is_gap"]
        assert (western["kind"], western["subject"], western["searches"]) == ("search", "westerns", 3)
        assert answer.extras["gaps"] == ["drama"] and answer.extras["missing"] == ["westerns"]
        assert "alone" in warehouse.analyze("streaming.content_gap_analysis", min_users=1).extras["missing"]


@pytest.mark.slow
def test_what_the_simulator_plants(planted: tuple[Warehouse, dict[str, Any]]) -> None:
    warehouse, truth = planted
    rows = warehouse.analyze("streaming.content_roi_model").rows
    worst = min((row for row in rows if row["views"]), key=lambda row: row["roi"])
    assert worst["content_key"] == int(truth["flop"]["content_id"][1:]) + 1 and worst["roi"] < -0.9
    assert warehouse.analyze("streaming.content_gap_analysis").extras["gaps"] == [truth["genre_gap"]["genre"]]
    cold = {r["content_id"] for r in warehouse.show("streaming.popular_vs_cold_titles", limit=None).rows if not r["views"]}
    assert set(truth["unwatched"]["content_ids"]) <= cold


def test_popular_and_cold_by_hand() -> None:
    titles = [{"content_key": n, "content_id": f"t{n}", "content_type": "movie"} for n in range(1, 5)]
    offers = [
        {"content_id": "t1"}, {"content_id": "t2"}, {"content_id": "t3", "available_to": date(2023, 1, 1)},
        {"content_id": "t4", "available_from": date(2024, 1, 10)}, {"content_id": "unknown"},
    ]
    # 150 users view title 1, one of them title 2: fewer than one in a hundred.
    views = [session(n, n, 1, at("20 10:00"), 600) for n in range(1, 151)] + [session(200, 1, 2, at("20 12:00"), 600)]
    views.append(session(201, 2, 4, datetime(2023, 11, 1), 600))
    tables = {"dim_content": titles, "content_availability": offers, "fact_viewing_sessions": views}
    with made_of(tables, *_MODELS, "popular_vs_cold_titles") as warehouse:
        rows = {r["content_id"]: r for r in warehouse.show("streaming.popular_vs_cold_titles").rows}
        assert {key: (r["popularity"], r["viewers"]) for key, r in rows.items()} == {
            "t1": ("popular", 150), "t2": ("cold", 1), "t4": ("cold", 0), "unknown": ("cold", 0),
        }  # fmt: skip
        assert rows["t4"]["last_viewed"] == date(2023, 11, 1)
