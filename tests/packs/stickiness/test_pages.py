"""The pack's pages come whole, its pictures show what they should, its names run by the command line's own verbs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pack_kit import errors

from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

PACK = load_pack("stickiness")


@pytest.mark.slow
def test_pages_without_an_error(planted: tuple[Warehouse, dict[str, Any]]) -> None:
    warehouse, _ = planted
    for page in (*(warehouse.dashboard(f"stickiness.{name}") for name in PACK.dashboards), warehouse.answer("Q5.1.1")):
        assert errors(page) == []
        assert "<svg" in page.html() if hasattr(page, "html") else True


def test_queries_of_pictures_by_hand(platform: Warehouse) -> None:
    histogram = platform.query("active_days_shares", month="2024-02-10").rows
    assert len(histogram) == 29 and sum(row["share"] for row in histogram) == pytest.approx(1)
    curve = platform.query("activity_levels", months=1, as_of="2024-02-15").rows
    assert {str(row["month"]) for row in curve} == {"2024-01-01"}  # February is not over
    assert sum(row["percent_of_users"] for row in curve) == pytest.approx(100)
    assert all(row["tier"] == ("Power" if row["active_days"] >= 20 else "Core" if row["active_days"] >= 8 else "Casual") for row in curve)
    january = {row["active_days"]: row["users"] for row in platform.query("active_days_shares", month="2024-01-01").rows}
    assert {row["active_days"]: row["users"] for row in curve} == {n: users for n, users in january.items() if users}


def test_retention_from_the_cohort_store_is_that_of_the_metric(platform: Warehouse) -> None:
    rows = {(row["signup_week"], row["day_n"]): row for row in platform.query("retention_by_week").rows}
    for n in (1, 7, 30):
        metric = platform.metric(f"d{n}_retention", grain="week").rows
        for row in metric:
            if row[f"d{n}_retention"] is not None and (row["period"], n) in rows:
                assert rows[row["period"], n]["percent_retained"] == pytest.approx(100 * row[f"d{n}_retention"])
    assert {n for _, n in rows} == {1, 7, 30}


@pytest.mark.slow
def test_every_analysis_prints_exports_and_draws(planted: tuple[Warehouse, dict[str, Any]]) -> None:
    warehouse, _ = planted
    for name in PACK.analyses:
        answer = warehouse.analyze(f"stickiness.{name}")
        assert str(answer) and answer.to_csv().count("\n") == len(answer) + 1
        told = json.loads(answer.to_json())
        assert told["rows"] and all(line for line in answer.notes), name
        assert all(answer.sql), name
    for name in ("active_days_distribution", "engagement_tier_transitions", "retention_cohort_analysis",
                 "churn_leading_indicators", "sessionization"):  # fmt: skip
        assert warehouse.analyze(f"stickiness.{name}").chart().to_dict()
