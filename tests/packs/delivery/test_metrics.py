"""Every metric of the delivery pack on the tiny city, whole and by each slice it names, against the oracle."""

from __future__ import annotations

import pytest

from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

from .oracle import City
from .oracle_metrics import measures, sliced, whole

PACK = load_pack("delivery")
VISIBLE = [m.name for m in PACK.metrics.values() if not m.hidden]
CITY = City()
EXPECTED = measures(CITY)


def close(value: float | None) -> object:
    return None if value is None else pytest.approx(value, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", VISIBLE)
def test_metric(city: Warehouse, name: str) -> None:
    rows = city.metric(f"delivery.{name}").rows
    assert [row[name] for row in rows] == [close(whole(EXPECTED[name]))]


@pytest.mark.parametrize(("name", "by"), [(name, by) for name in VISIBLE for by in PACK.metrics[name].by])
def test_slices(city: Warehouse, name: str, by: str) -> None:
    found = {row[by]: row[name] for row in city.metric(f"delivery.{name}", by=by).rows}
    assert found == {key: close(value) for key, value in sliced(EXPECTED[name], by).items()}
