"""Every metric of the rideshare pack on the tiny fleet: whole, by period and by each slice it names, against the oracle."""

from __future__ import annotations

import pytest
from oracle_kit import STEPS
from pack_kit import MetricChecks

from prodsense.warehouse import Warehouse

from .oracle import Fleet
from .oracle_metrics import measures

CHECKS = MetricChecks("rideshare", measures(Fleet()))


def test_every_metric_has_an_expected_value() -> None:
    assert CHECKS.without_value() == []


def test_over_all(fleet: Warehouse) -> None:
    assert CHECKS.over_all(fleet) == []


@pytest.mark.parametrize("grain", ["day", "week", "month"])
def test_by_period(fleet: Warehouse, grain: str) -> None:
    coarser = [name for name in CHECKS.names if (metric := CHECKS.pack.metrics[name]).per and not metric.rolling
               and STEPS.index(metric.per) > STEPS.index(grain)]  # fmt: skip
    assert CHECKS.by_period(fleet, grain, but=coarser) == []


@pytest.mark.slow
@pytest.mark.parametrize("by", CHECKS.slices)
def test_slices(fleet: Warehouse, by: str) -> None:
    assert CHECKS.by_slice(fleet, by) == []
