"""Every metric of the photos pack on the tiny app: whole, by day and by each slice it names, against the oracle.

Metrics that share a slice are asked in one request, as a dashboard does, so that a few requests cover them all.
"""

from __future__ import annotations

import pytest
from oracle_kit import wrong

from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

from .oracle import measures

PACK = load_pack("photos")
VISIBLE = [m.name for m in PACK.metrics.values() if not m.hidden]
SLICES = sorted({by for name in VISIBLE for by in PACK.metrics[name].by})


def test_every_metric_has_an_expected_value(app: Warehouse) -> None:
    expected = measures()
    assert expected.keys() == set(VISIBLE)
    assert [name for name in VISIBLE if expected[name].value() is None] == []
    (row,) = app.metric(*(f"photos.{name}" for name in VISIBLE), grain="all").rows
    assert [line for name in VISIBLE for line in wrong(name, {"all": row[name]}, {"all": expected[name].value()})] == []


def test_by_day(app: Warehouse) -> None:
    rows = app.metric(*(f"photos.{name}" for name in VISIBLE), grain="day").rows
    found = [wrong(name, {row["period"]: row[name] for row in rows}, measures()[name].days()) for name in VISIBLE]
    assert [line for lines in found for line in lines] == []


@pytest.mark.parametrize("by", SLICES)
def test_slices(app: Warehouse, by: str) -> None:
    names = [name for name in VISIBLE if by in PACK.metrics[name].by]
    rows = app.metric(*(f"photos.{name}" for name in names), by=by, grain="all").rows
    found = [wrong(name, {row[by]: row[name] for row in rows}, measures()[name].by(by)) for name in names]
    assert [line for lines in found for line in lines] == []
