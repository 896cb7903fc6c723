"""Every metric of the streaming pack on the tiny platform: whole, by period and by each slice, against the oracle."""

from __future__ import annotations

from typing import Any

import pytest
from oracle_kit import mean, periods
from pack_kit import MetricChecks

from prodsense.warehouse import Warehouse

from .oracle import Platform
from .oracle_metrics import measures

CHECKS = MetricChecks("streaming", measures(Platform()))
#: Shares of a total, which the oracle has as counts: looked at apart.
SHARES = ("primary_device_share", "content_discovery_mix", "view_source_mix", "churn_reason_breakdown")
#: Of months, and not of finer grains.
MONTHLY = ("streaming_hours_concentration",)
#: As of one moment: a period is that of the row, not of the looking.
RATES = ("subscription_growth_rate", "subscriber_churn_rate")
#: Asked in the same way as others that are: not in every run.
ALIKE = ("age_group", "production_type", "subscription_tier", "week")


def some_slow(names: list[str]) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.slow) if name in ALIKE else name for name in names]


def test_every_metric_has_an_expected_value() -> None:
    # All time has no start that subscriptions could have grown from; by month they do.
    assert [name for name in CHECKS.without_value() if name not in SHARES] == list(RATES)


@pytest.mark.slow
def test_over_all(platform: Warehouse) -> None:
    of_months = {name: mean(periods(CHECKS.expected[name], "month").values()) for name in MONTHLY}
    assert CHECKS.over_all(platform, SHARES, **of_months) == []


@pytest.mark.slow
@pytest.mark.parametrize("grain", some_slow(["day", "week", "month"]))
def test_by_period(platform: Warehouse, grain: str) -> None:
    assert CHECKS.by_period(platform, grain, (*SHARES, *(MONTHLY if grain != "month" else ()))) == []


@pytest.mark.slow
@pytest.mark.parametrize("by", some_slow(CHECKS.slices))
def test_slices(platform: Warehouse, by: str) -> None:
    assert CHECKS.by_slice(platform, by, (*SHARES, *MONTHLY), sparse=True) == []
