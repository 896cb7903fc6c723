"""Every metric of the stickiness pack on the tiny platform: whole, by period and by each slice, against the oracle."""

from __future__ import annotations

import pytest
from pack_kit import MetricChecks

from prodsense.errors import UsageError
from prodsense.warehouse import Warehouse

from .oracle import Platform
from .oracle_metrics import measures

CHECKS = MetricChecks("stickiness", measures(Platform()))
#: Stocks, which have no time.
TIMELESS = ("network_density", "network_density_directed")
#: Defined by month, and not for finer grains.
MONTHLY = ("mau_creating_content_pct", "mau_social_interaction_pct", "resurrection_rate")


def test_every_metric_has_an_expected_value() -> None:
    # All time has no start that connections could have grown from; by month they do.
    assert CHECKS.without_value() == ["connection_growth_rate"]


def test_over_all(platform: Warehouse) -> None:
    assert CHECKS.over_all(platform) == []


@pytest.mark.parametrize("grain", ["day", "week", "month"])
def test_by_period(platform: Warehouse, grain: str) -> None:
    but = (*TIMELESS, "l7_share", *(MONTHLY if grain != "month" else ()))
    assert CHECKS.by_period(platform, grain, but) == []


@pytest.mark.slow
@pytest.mark.parametrize("by", CHECKS.slices)
def test_slices(platform: Warehouse, by: str) -> None:
    assert CHECKS.by_slice(platform, by) == []


def test_l7_shares_of_a_day_sum_to_one(platform: Warehouse) -> None:
    rows = platform.metric("stickiness.l7_share", by="l7", since="2024-01-03", until="2024-01-04").rows
    # On 3 January u1 has been active on three days, u2 on three, u3 and u5 on one.
    assert {row["l7"]: row["l7_share"] for row in rows} == {1: 0.5, 3: 0.5}


@pytest.mark.parametrize("name", MONTHLY)
def test_shares_of_a_month_refuse_a_day(platform: Warehouse, name: str) -> None:
    with pytest.raises(UsageError, match="defined per month"):
        platform.metric(f"stickiness.{name}", grain="day")


@pytest.mark.parametrize("name", TIMELESS)
def test_stocks_have_no_periods(platform: Warehouse, name: str) -> None:
    with pytest.raises(UsageError, match="no time"):
        platform.metric(f"stickiness.{name}", grain="month")
