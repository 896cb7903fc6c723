"""Every metric of the delivery pack on the tiny city, whole and by each slice it names, against the oracle."""

from __future__ import annotations

import pytest
from pack_kit import MetricChecks

from prodsense.warehouse import Warehouse

from .oracle import City
from .oracle_metrics import measures

CHECKS = MetricChecks("delivery", measures(City()))


def test_every_metric_has_an_expected_value() -> None:
    assert CHECKS.without_value() == []


def test_over_all(city: Warehouse) -> None:
    assert CHECKS.over_all(city) == []


@pytest.mark.versions
@pytest.mark.slow
@pytest.mark.parametrize("by", CHECKS.slices)
def test_slices(city: Warehouse, by: str) -> None:
    assert CHECKS.by_slice(city, by) == []
