"""Every metric of the photos pack on the tiny app: whole, by day and by each slice it names, against the oracle."""

from __future__ import annotations

import pytest
from pack_kit import MetricChecks

from prodsense.warehouse import Warehouse

from .oracle import measures

CHECKS = MetricChecks("photos", measures())


def test_every_metric_has_an_expected_value(app: Warehouse) -> None:
    assert CHECKS.without_value() == []
    assert CHECKS.over_all(app) == []


def test_by_day(app: Warehouse) -> None:
    assert CHECKS.by_period(app, "day") == []


@pytest.mark.parametrize("by", CHECKS.slices)
def test_slices(app: Warehouse, by: str) -> None:
    assert CHECKS.by_slice(app, by) == []
