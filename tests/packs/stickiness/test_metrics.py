"""Every metric of the stickiness pack on the tiny platform: whole, by period and by each slice it names, against the oracle.

Metrics that share a grain or a slice are asked in one request, as a dashboard does, so that a few requests cover them all.
"""

from __future__ import annotations

import pytest
from oracle_kit import periods, sliced, value, wrong

from prodsense.errors import UsageError
from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

from .oracle import Platform
from .oracle_metrics import measures

PACK = load_pack("stickiness")
VISIBLE = [m.name for m in PACK.metrics.values() if not m.hidden]
EXPECTED = measures(Platform())
#: Stocks, which have no time.
TIMELESS = ("network_density", "network_density_directed")
#: Defined by month, and not for finer grains.
MONTHLY = ("mau_creating_content_pct", "mau_social_interaction_pct", "resurrection_rate")
SLICES = sorted({by for name in VISIBLE for by in PACK.metrics[name].by})


def test_every_metric_has_an_expected_value() -> None:
    assert EXPECTED.keys() == set(VISIBLE)
    # All time has no start that connections could have grown from; by month they do.
    assert [name for name in VISIBLE if value(EXPECTED[name]) is None] == ["connection_growth_rate"]


@pytest.mark.parametrize("name", VISIBLE)
def test_over_all(platform: Warehouse, name: str) -> None:
    (row,) = platform.metric(f"stickiness.{name}", grain="all").rows
    assert wrong(name, {"all": row[name]}, {"all": value(EXPECTED[name])}) == []


@pytest.mark.parametrize("grain", ["day", "week", "month"])
def test_by_period(platform: Warehouse, grain: str) -> None:
    left_out = {*TIMELESS, "l7_share", *(MONTHLY if grain != "month" else ())}
    names = [name for name in VISIBLE if name not in left_out]
    rows = platform.metric(*(f"stickiness.{name}" for name in names), grain=grain).rows
    found = []
    for name in names:
        wanted = periods(EXPECTED[name], grain)
        rolling = any(leaf.rolling for leaf in EXPECTED[name].leaves)
        # A trailing window has users on days without any; the oracle looks at days with rows.
        values = {row["period"]: row[name] for row in rows if not rolling or row["period"] in wanted}
        found += wrong(name, values, wanted)
    assert found == []


@pytest.mark.parametrize("by", SLICES)
def test_slices(platform: Warehouse, by: str) -> None:
    names = [name for name in VISIBLE if by in PACK.metrics[name].by]
    rows = platform.metric(*(f"stickiness.{name}" for name in names), by=by, grain="all").rows
    found = []
    for name in names:
        found += wrong(name, {row[by]: row[name] for row in rows}, sliced(EXPECTED[name], by))
    assert found == []


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
