"""What goes with value: ranks and tests against pandas and scikit-learn, patterns by hand, planted truth."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import prodsense.warehouse
from prodsense.errors import UsageError
from prodsense.warehouse import Warehouse

START = date(2024, 1, 1)


@pytest.fixture(scope="module")
def days_and_value() -> Iterator[tuple[Warehouse, pd.DataFrame, pd.Series]]:
    """Only daily activity and LTV: 120 users over 56 days, some of whom do not come back in the last 28."""
    rng = np.random.default_rng(3)
    chance = rng.uniform(0.1, 0.9, 120)
    there = rng.random((120, 56)) < chance[:, None]
    there[:, 28:] &= (rng.random(120) < chance)[:, None]
    there[0, 0] = there[1, 55] = True
    user, day = np.nonzero(there)
    days = pd.DataFrame({"user_id": [f"u{i:03}" for i in user], "activity_date": [START + timedelta(int(d)) for d in day]})
    ltv = pd.Series(np.round(chance * 50 + rng.normal(0, 12, 120), 2), [f"u{i:03}" for i in range(120)])
    with prodsense.warehouse.open(":memory:") as warehouse:
        warehouse.ingest(pa.Table.from_pandas(days, preserve_index=False), table="stickiness.daily_user_activity")
        warehouse.ingest(pa.table({"user_id": list(ltv.index), "ltv": list(ltv)}), table="stickiness.user_ltv")
        warehouse.build("stickiness")
        yield warehouse, days, ltv


def test_ranks_against_pandas_and_sklearn(days_and_value: tuple[Warehouse, pd.DataFrame, pd.Series]) -> None:
    from sklearn.metrics import roc_auc_score

    warehouse, days, ltv = days_and_value
    answer = warehouse.analyze("engagement_ltv_correlation")
    split = START + timedelta(27)
    before = days[days["activity_date"] <= split].groupby("user_id").size()
    back = before.index.isin(days[days["activity_date"] > split]["user_id"])
    row = next(row for row in answer.rows if row["metric"] == "active_days")
    assert answer.extras["split"] == split and answer.extras["users"] == len(before)
    assert row["ltv_correlation"] == pytest.approx(before.corr(ltv[before.index], method="spearman"))
    assert row["ltv_low"] < row["ltv_correlation"] < row["ltv_high"]
    assert row["retention_auc"] == pytest.approx(roc_auc_score(back, before))
    assert row["rank"] == 1
    # Nothing else is known: what all have alike has no rank, and no number.
    assert [r["metric"] for r in answer.rows if r["rank"] is not None] == ["active_days"]
    assert all(r["ltv_correlation"] is None for r in answer.rows if r["metric"] != "active_days")


def test_too_little_is_a_refusal(days_and_value: tuple[Warehouse, pd.DataFrame, pd.Series], platform: Warehouse) -> None:
    warehouse, _, _ = days_and_value
    with pytest.raises(UsageError, match="shorter than 40 days and 28 days"):
        warehouse.analyze("engagement_ltv_correlation", days=40)
    with pytest.raises(UsageError, match="users were active"):
        platform.analyze("engagement_ltv_correlation", days=7, horizon=7)
    with pytest.raises(UsageError, match="sessions of known length"):
        platform.analyze("session_pattern_quality_analysis")
    with pytest.raises(UsageError, match="csat or nps"):
        platform.analyze("session_pattern_quality_analysis", survey="ces")


def sessions_of(user: str, a_day: int, minutes: float, days: int = 4) -> list[dict[str, Any]]:
    return [
        {"session_id": f"{user}-{d}-{i}", "user_id": user, "started_at": datetime(2024, 1, 1 + d, 8 + 2 * i),
         "duration_seconds": 60 * minutes}
        for d in range(days) for i in range(a_day)
    ]  # fmt: skip


@pytest.mark.slow
def test_five_short_against_one_long_by_hand() -> None:
    """25 users each: five sessions of 4 minutes, or one of 20; the same time. LTV 60 or 40, CSAT 5 or 3, give or take 1."""
    rows, ltv, answers = [], [], []
    for i in range(50):
        user, short = f"u{i:02}", i < 25
        rows += sessions_of(user, 5 if short else 1, 4 if short else 20, 4 + i % 3)
        ltv.append({"user_id": user, "ltv": (60.0 if short else 40.0) + i % 5 - 2})
        answers.append({"user_id": user, "survey_type": "csat", "score": (5.0 if short else 3.0) - (i % 2)})
    with prodsense.warehouse.open(":memory:") as warehouse:
        for name, table in (("sessions", rows), ("user_ltv", ltv), ("survey_responses", answers)):
            warehouse.ingest(pa.Table.from_pylist(table), table=f"stickiness.{name}")
        warehouse.build("stickiness")
        answer = warehouse.analyze("session_pattern_quality_analysis", many=3, long_minutes=10)
    by_pattern = {row["pattern"]: row for row in answer.rows}
    assert {name: row["users"] for name, row in by_pattern.items()} == {
        "many short": 25, "many long": 0, "few short": 0, "few long": 25
    }
    assert by_pattern["many short"]["ltv"] == pytest.approx(60) and by_pattern["few long"]["ltv"] == pytest.approx(40)
    assert by_pattern["many short"]["minutes_per_day"] == pytest.approx(by_pattern["few long"]["minutes_per_day"])
    assert by_pattern["many long"]["ltv"] is None
    from scipy import stats

    a = [60 + i % 5 - 2 for i in range(25)]
    b = [40 + i % 5 - 2 for i in range(25, 50)]
    found = answer.extras["comparison"]["ltv"]["difference"]
    interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert (found["estimate"], found["low"], found["high"]) == pytest.approx((20, interval.low, interval.high))
    at_equal_time = answer.extras["comparison"]["satisfaction"]["at_equal_time"]
    assert at_equal_time["low"] < 2 < at_equal_time["high"] and at_equal_time["low"] > 1


@pytest.mark.slow
def test_planted_value(planted: tuple[Warehouse, dict[str, Any]]) -> None:
    warehouse, truth = planted
    answer = warehouse.analyze("engagement_ltv_correlation")
    # LTV follows how much people turn to others, and many short sessions.
    first = min((row for row in answer.rows), key=lambda row: row["ltv_rank"])
    assert first["metric"] == "interactions_per_active_day" and first["ltv_correlation"] > 0.6
    patterns = warehouse.analyze("session_pattern_quality_analysis").extras["comparison"]
    for outcome, planted_effect in (("ltv", truth["ltv"]["short_sessions"]), ("satisfaction", truth["csat"]["effect"])):
        found = patterns[outcome]["difference"]
        assert found["low"] < planted_effect * 1.1 and found["high"] > planted_effect * 0.8, outcome


@pytest.mark.slow
def test_nothing_goes_with_value_where_nothing_is_planted(quiet: Warehouse) -> None:
    answer = quiet.analyze("engagement_ltv_correlation")
    assert not [row["metric"] for row in answer.rows if row["ltv_p_adjusted"] is not None and row["ltv_p_adjusted"] < 0.01]
    for found in quiet.analyze("session_pattern_quality_analysis").extras["comparison"].values():
        assert found["at_equal_time"]["p_value"] > 0.01
