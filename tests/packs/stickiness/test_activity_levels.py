"""Active days, tiers and moves between tiers on the tiny platform, against its oracle and by hand."""

from __future__ import annotations

import calendar
from collections import Counter
from datetime import date

import pyarrow as pa
import pytest

from prodsense.errors import UsageError
from prodsense.packs.stickiness.activity_levels import read_tiers
from prodsense.warehouse import Warehouse

from .oracle import Platform

ORACLE = Platform()


def days_of_month(year: int, month: int) -> dict[str, int]:
    """User → days active in the month, of all but internal users."""
    found = {user: {d for d in ORACLE.days_of(user) if (d.year, d.month) == (year, month)} for user in ORACLE.everyone()}
    return {user: len(days) for user, days in found.items() if days}


@pytest.mark.parametrize("month", ["2024-01", "2024-02"])
def test_distribution_of_a_month(platform: Warehouse, month: str) -> None:
    answer = platform.analyze("active_days_distribution", month=month)
    year, number = map(int, month.split("-"))
    expected = Counter(days_of_month(year, number).values())
    length = calendar.monthrange(year, number)[1]
    assert [row["active_days"] for row in answer.rows] == list(range(1, length + 1))
    assert {row["active_days"]: row["users"] for row in answer.rows if row["users"]} == dict(expected)
    assert sum(row["share"] for row in answer.rows) == pytest.approx(1)
    assert answer.extras["active_users"] == sum(expected.values())


def test_distribution_by_slice_sums_to_one_in_each(platform: Warehouse) -> None:
    answer = platform.analyze("active_days_distribution", month="2024-01", by="region,gender")
    days = days_of_month(2024, 1)
    groups: dict[tuple[str | None, str | None], Counter[int]] = {}
    for user, n in days.items():
        row = ORACLE.users.get(user, {})
        groups.setdefault((row.get("region"), row.get("gender")), Counter())[n] += 1
    for key, expected in groups.items():
        mine = [row for row in answer.rows if (row["region"], row["gender"]) == key]
        assert {row["active_days"]: row["users"] for row in mine if row["users"]} == dict(expected)
        assert sum(row["share"] for row in mine) == pytest.approx(1)
    assert {(row["region"], row["gender"]) for row in answer.rows} == set(groups)


def test_distribution_agrees_with_the_query_of_the_histogram(platform: Warehouse) -> None:
    picture = platform.query("active_days_shares", month="2024-01-15").rows
    answer = platform.analyze("active_days_distribution", month="2024-01").rows
    assert [(r["active_days"], r["users"], r["share"]) for r in picture] == [
        (r["active_days"], r["users"], pytest.approx(r["share"])) for r in answer
    ]


def test_a_month_nobody_was_there_or_that_is_none(platform: Warehouse) -> None:
    with pytest.raises(UsageError, match="nobody was active in 2019-05"):
        platform.analyze("active_days_distribution", month="2019-05")
    with pytest.raises(UsageError, match="is no month"):
        platform.analyze("active_days_distribution", month="May")
    with pytest.raises(UsageError, match="cannot be told apart by colour"):
        platform.analyze("active_days_distribution", by="colour")


def test_tiers_by_thresholds(platform: Warehouse) -> None:
    answer = platform.analyze("engagement_tiers", period="2024-01", tiers="Power: 6, Core: 3, Casual: 1")
    days = days_of_month(2024, 1)
    for row in answer.rows:
        n = days.get(row["user_id"], 0)
        assert row["active_days"] == n
        assert row["tier"] == ("Power" if n >= 6 else "Core" if n >= 3 else "Casual" if n else "Dormant"), row
    # u6 signs up in February; internal u9 is nobody.
    assert {"u6", "u9"}.isdisjoint(row["user_id"] for row in answer.rows)
    assert sum(tier["users"] for tier in answer.extras["tiers"]) == len(answer.rows)
    assert sum(tier["share"] for tier in answer.extras["tiers"]) == pytest.approx(1)


def test_best_tier_asks_for_sessions_and_interactions_too(platform: Warehouse) -> None:
    rank = lambda **more: {  # noqa: E731
        r["user_id"]: r["tier"] for r in platform.analyze("engagement_tiers", period="2024-01", tiers="Power: 6, Core: 3", **more).rows
    }
    assert rank()["u1"] == "Power"
    assert rank(power_sessions=50)["u1"] == "Core"
    assert rank(power_interactions=50)["u1"] == "Core"


def test_at_risk_is_a_flag_beside_the_tier(platform: Warehouse) -> None:
    january, february = days_of_month(2024, 1), days_of_month(2024, 2)
    answer = platform.analyze("engagement_tiers", period="2024-02", at_risk_fall=0.5, tiers="Core: 3, Casual: 1")
    for row in answer.rows:
        before, now = january.get(row["user_id"], 0), february.get(row["user_id"], 0)
        assert row["is_at_risk"] == (before > 0 and now * 2 <= before), row
    assert {tier["tier"] for tier in answer.extras["tiers"]} == {"Core", "Casual", "Dormant"}


@pytest.mark.parametrize("text", ["Power", "Power: many", "Core: 3, Power: 8", "Core: 3, Core: 1", "Dormant: 1", "Core: 0", ": 3"])
def test_tiers_that_make_no_sense(text: str) -> None:
    with pytest.raises(UsageError):
        read_tiers(text)


def test_moves_by_hand(own_platform: Warehouse) -> None:
    tiers = {
        "2024-01": {"a": "Power", "b": "Power", "c": "Core", "d": "Casual", "gone": "Casual"},
        "2024-02": {"a": "Power", "b": "Core", "c": "Power", "d": "Dormant", "new": "Casual", "u9": "Power"},
    }
    rows = [(u, p, t) for p, of in tiers.items() for u, t in of.items()]
    own_platform.ingest(
        pa.table(dict(zip(("user_id", "period", "tier"), zip(*rows, strict=True), strict=True))),
        table="stickiness.user_engagement_tiers",
    )
    own_platform.build("stickiness")
    answer = own_platform.analyze("engagement_tier_transitions")
    moves = {(r["from_tier"], r["to_tier"]): (r["users"], r["share"]) for r in answer.rows if r["users"]}
    assert moves == {
        ("Power", "Power"): (1, 0.5), ("Power", "Core"): (1, 0.5), ("Core", "Power"): (1, 1.0),
        ("Casual", "Dormant"): (1, 0.5), ("Casual", "Lost"): (1, 0.5), ("New", "Casual"): (1, 1.0),
    }  # fmt: skip
    assert {k: answer.extras[k] for k in ("risen", "fallen", "same", "new", "lost")} == {
        "risen": 1, "fallen": 2, "same": 1, "new": 1, "lost": 1
    }
    empty = [r["share"] for r in answer.rows if r["from_tier"] == "Dormant"]
    assert set(empty) == {None}
    with pytest.raises(UsageError, match="first period"):
        own_platform.analyze("engagement_tier_transitions", period="2024-01")


def test_moves_of_computed_tiers_add_up(platform: Warehouse) -> None:
    answer = platform.analyze("engagement_tier_transitions", period="2024-02")
    now = platform.analyze("engagement_tiers", period="2024-02").rows
    assert sum(r["users"] for r in answer.rows if r["to_tier"] != "Lost") == len(now)
    assert answer.extras["from_period"] == str(date(2024, 1, 1))
    for tier in {r["from_tier"] for r in answer.rows}:
        shares = [r["share"] for r in answer.rows if r["from_tier"] == tier and r["share"] is not None]
        assert not shares or sum(shares) == pytest.approx(1)
