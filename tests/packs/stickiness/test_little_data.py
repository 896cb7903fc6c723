"""With nothing, or with no more than the columns asked for, there is an answer or a refusal with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pyarrow as pa
import pytest

import prodsense.warehouse
from prodsense.errors import UsageError
from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

PACK = load_pack("stickiness")
START = date(2024, 1, 1)


@pytest.fixture(scope="module")
def empty() -> Iterator[Warehouse]:
    with prodsense.warehouse.open(":memory:") as warehouse:
        warehouse.build("stickiness")
        yield warehouse


@pytest.mark.parametrize("name", PACK.analyses)
def test_no_data_is_a_refusal(empty: Warehouse, name: str) -> None:
    with pytest.raises(UsageError) as error:
        empty.analyze(f"stickiness.{name}")
    assert "\n" not in error.value.message


def test_no_data_breaks_no_rule_finds_nothing_and_is_no_row(empty: Warehouse) -> None:
    assert all(result.holds for result in empty.policies(pack="stickiness"))
    answer = empty.detect(pack="stickiness")
    assert answer.rows == [] and {c["state"] for c in answer.extras["checked"]} == {"refused"}
    assert all(empty.query(f"stickiness.{name}").rows == [] for name in PACK.queries if name != "ecosystem_balance")
    for name, pipeline in PACK.pipelines.items():
        if pipeline.run is not None:
            assert empty.run_pipeline(f"stickiness.{name}").rows, name


@pytest.fixture(scope="module")
def daily() -> Iterator[Warehouse]:
    """Nothing but daily_user_activity: 60 users, there every (n % 4 + 1)-th day of 90; every fifth leaves on day 50."""
    rows = [
        {"user_id": f"u{n:02}", "activity_date": START + timedelta(day)}
        for n in range(60) for day in range(0, 50 if n % 5 == 0 else 90, n % 4 + 1)
    ]  # fmt: skip
    with prodsense.warehouse.open(":memory:") as warehouse:
        warehouse.ingest(pa.Table.from_pylist(rows), table="stickiness.daily_user_activity")
        warehouse.build("stickiness")
        yield warehouse


def test_daily_activity_alone(daily: Warehouse) -> None:
    january = {row["active_days"]: row["users"] for row in daily.analyze("active_days_distribution", month="2024-01").rows}
    # Every day 31, every other 16, every third 11, every fourth 8.
    assert {days: users for days, users in january.items() if users} == {31: 15, 16: 15, 11: 15, 8: 15}
    tiers = {row["user_id"]: row["tier"] for row in daily.analyze("engagement_tiers", period="2024-01").rows}
    assert {tier for user, tier in tiers.items() if int(user[1:]) % 4 == 0} == {"Power"}
    assert {tier for user, tier in tiers.items() if int(user[1:]) % 4 != 0} == {"Core"}
    moves = daily.analyze("engagement_tier_transitions", period="2024-03").extras
    assert moves["fallen"] >= 12  # who left on day 50 was there in February, not in March
    with pytest.raises(UsageError, match="15 of both"):
        daily.analyze("churn_leading_indicators")
    with pytest.raises(UsageError, match="signed up"):
        daily.analyze("retention_cohort_analysis")
    with pytest.raises(UsageError, match="differ in coming back"):
        daily.analyze("engagement_ltv_correlation")


def test_tiers_alone() -> None:
    """A file of tiers by quarter, of people of whom nothing else is known."""
    tiers = pa.table({
        "user_id": ["a", "a", "b"], "period": ["2024-Q1", "2024-Q2", "2024-Q2"], "tier": ["Core", "Star", None],
    })
    with prodsense.warehouse.open(":memory:") as warehouse:
        warehouse.ingest(tiers, table="stickiness.user_engagement_tiers")
        answer = warehouse.analyze("engagement_tier_transitions")
        moves = {(r["from_tier"], r["to_tier"]): r["users"] for r in answer.rows if r["users"]}
        assert moves == {("Core", "Star"): 1, ("New", "Unknown"): 1}
        assert {r["user_id"]: r["tier"] for r in warehouse.analyze("engagement_tiers").rows} == {"a": "Star", "b": "Unknown"}
        with pytest.raises(UsageError, match="no tiers of period 2024-Q9"):
            warehouse.analyze("engagement_tiers", period="2024-Q9")
