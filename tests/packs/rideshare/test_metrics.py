"""Every metric of the rideshare pack on the tiny fleet: whole, by period and by each slice it names, against the oracle.

Metrics that share a grain or a slice are asked in one request, as a dashboard does.
"""

from __future__ import annotations

import pytest
from oracle_kit import wrong

from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

from .oracle import Fleet
from .oracle_metrics import measures, periods, sliced, value

PACK = load_pack("rideshare")
VISIBLE = [m.name for m in PACK.metrics.values() if not m.hidden]
EXPECTED = measures(Fleet())
SLICES = sorted({by for name in VISIBLE for by in PACK.metrics[name].by})


def test_every_metric_has_an_expected_value() -> None:
    assert EXPECTED.keys() == set(VISIBLE)
    assert [name for name in VISIBLE if value(EXPECTED[name]) is None] == []


def test_over_all(fleet: Warehouse) -> None:
    (row,) = fleet.metric(*(f"rideshare.{name}" for name in VISIBLE), grain="all").rows
    assert [line for name in VISIBLE for line in wrong(name, {"all": row[name]}, {"all": value(EXPECTED[name])})] == []


@pytest.mark.parametrize("grain", ["day", "week", "month"])
def test_by_period(fleet: Warehouse, grain: str) -> None:
    steps = ("day", "week", "month")
    names = [n for n in VISIBLE if steps.index(PACK.metrics[n].per or "day") <= steps.index(grain) or PACK.metrics[n].rolling]
    rows = fleet.metric(*(f"rideshare.{name}" for name in names), grain=grain).rows
    found = []
    for name in names:
        wanted = periods(EXPECTED[name], grain)
        # A trailing window has values on days without any ride; the oracle looks at days with rides.
        values = {row["period"]: row[name] for row in rows if not PACK.metrics[name].rolling or row["period"] in wanted}
        found += wrong(name, values, wanted)
    assert found == []


@pytest.mark.parametrize("by", SLICES)
def test_slices(fleet: Warehouse, by: str) -> None:
    names = [name for name in VISIBLE if by in PACK.metrics[name].by]
    rows = fleet.metric(*(f"rideshare.{name}" for name in names), by=by, grain="all").rows
    found = []
    for name in names:
        found += wrong(name, {row[by]: row[name] for row in rows}, sliced(EXPECTED[name], by))
    assert found == []
