"""Leading indicators of churn: a plain case by hand, planted warnings, and none where nothing is planted."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

import prodsense.warehouse
from prodsense.errors import UsageError
from prodsense.warehouse import Warehouse

START = datetime(2024, 1, 1, 8)


def sessions() -> list[dict[str, Any]]:
    """60 users, there every other day with four sessions of 10 minutes: 40 to the end, 20 leave from day 42 on. Their last 14
    days have two sessions a day. Two users pause for 28 days (no churn), one for 29 (churn, and back)."""
    rows = []

    def visit(user: str, day: int, times: int) -> None:
        for i in range(times):
            begin = START + timedelta(days=day, hours=2 * i)
            rows.append({"session_id": f"{user}-{day}-{i}", "user_id": user, "started_at": begin, "duration_seconds": 600.0})

    for number in range(40):
        for day in range(0, 100, 2):
            visit(f"stay{number:02}", day, 4)
    for number in range(20):
        last = 42 + 2 * (number % 5)
        for day in range(0, last + 1, 2):
            visit(f"leave{number:02}", day, 2 if day > last - 14 else 4)
    for number in range(2):
        for day in (*range(0, 41, 2), *range(69, 100, 2)):
            visit(f"pause{number}", day, 4)
    for day in (*range(0, 41, 2), *range(70, 100, 2)):
        visit("back", day, 4)
    return rows


@pytest.fixture(scope="module")
def hand() -> Any:
    with prodsense.warehouse.open(":memory:") as warehouse:
        warehouse.ingest(pa.Table.from_pylist(sessions()), table="stickiness.sessions")
        warehouse.build("stickiness")
        yield warehouse


def test_by_hand(hand: Warehouse) -> None:
    answer = hand.analyze("churn_leading_indicators")
    # The pause of 28 days without activity is churn (40 + 28 days later comes the next, on day 69: 28 days between).
    assert (answer.extras["churners"], answer.extras["stayers"]) == (23, 40)
    by_name = {row["indicator"]: row for row in answer.rows}
    sessions_a_day = by_name["sessions_per_active_day"]
    assert (sessions_a_day["churners"], sessions_a_day["stayers"]) == (23, 40)
    assert sessions_a_day["churners_change"] == pytest.approx(-0.5)
    assert sessions_a_day["stayers_change"] == pytest.approx(0)
    assert sessions_a_day["churners_fell"] == pytest.approx(20 / 23)
    assert sessions_a_day["stayers_fell"] == 0 and sessions_a_day["lift"] is None
    # Ties count half: the three who left without a warning change by as much as who stays.
    assert sessions_a_day["auc"] == pytest.approx((20 + 3 / 2) / 23)
    assert sessions_a_day["leads"] is True
    assert by_name["minutes_per_session"]["auc"] is None  # all alike: no number
    assert answer.extras["leading"] == ["sessions_per_active_day"]


def test_churn_window_is_a_parameter_and_a_setting(hand: Warehouse) -> None:
    assert hand.analyze("churn_leading_indicators", churn_days=29).extras["churners"] == 21
    assert hand.analyze("churn_leading_indicators", churn_days=30).extras["churners"] == 20


def test_the_course_shows_when_it_begins(hand: Warehouse) -> None:
    course = hand.analyze("churn_leading_indicators").extras["course"]
    told = {r["weeks_before"]: (r["churners"], r["stayers"]) for r in course if r["indicator"] == "sessions_per_active_day"}
    assert told[3] == told[2] == (4, 4)
    assert told[0][1] == 4 and told[0][0] < 2.5


def test_refusals(hand: Warehouse, platform: Warehouse) -> None:
    with pytest.raises(UsageError, match="15 of both are needed"):
        platform.analyze("churn_leading_indicators")
    with pytest.raises(UsageError, match="fall is a share"):
        hand.analyze("churn_leading_indicators", fall=3)


@pytest.mark.slow
def test_planted_warnings(planted: tuple[Warehouse, dict[str, Any]], quiet: Warehouse) -> None:
    warehouse, _ = planted
    answer = warehouse.analyze("churn_leading_indicators")
    assert "sessions_per_active_day" in answer.extras["leading"]
    row = next(row for row in answer.rows if row["indicator"] == "sessions_per_active_day")
    assert row["churners_change"] < -0.15 and abs(row["stayers_change"]) < 0.1 and row["lift"] > 2
    with pytest.raises(UsageError, match="churners"):  # nobody leaves there
        quiet.analyze("churn_leading_indicators")
