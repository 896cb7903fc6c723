"""Every metric of the streaming pack on the tiny platform: whole, by period and by each slice it names, against the oracle.

Metrics that share a grain or a slice are asked in one request, as a dashboard does, so that a few requests cover them all.
"""

from __future__ import annotations

from statistics import fmean
from typing import Any

import pytest
from oracle_kit import periods, sliced, value, wrong

from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

from .oracle import Platform
from .oracle_metrics import measures

PACK = load_pack("streaming")
VISIBLE = [m.name for m in PACK.metrics.values() if not m.hidden]
EXPECTED = measures(Platform())
#: Shares of a total, which the oracle has as counts: looked at apart.
SHARES = ("primary_device_share", "content_discovery_mix", "view_source_mix", "churn_reason_breakdown")
#: Of months, and not of finer grains.
MONTHLY = ("streaming_hours_concentration",)
#: As of one moment: a period is that of the row, not of the looking.
RATES = ("subscription_growth_rate", "subscriber_churn_rate")
SLICES = sorted({by for name in VISIBLE for by in PACK.metrics[name].by})
#: Asked in the same way as others that are: not in every run.
ALIKE = ("age_group", "production_type", "subscription_tier", "week")


def some_slow(names: list[str]) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.slow) if name in ALIKE else name for name in names]


def test_every_metric_has_an_expected_value() -> None:
    assert EXPECTED.keys() == set(VISIBLE)
    # All time has no start that subscriptions could have grown from; by month they do.
    assert [n for n in VISIBLE if n not in SHARES and value(EXPECTED[n]) is None] == list(RATES)


def test_over_all(platform: Warehouse) -> None:
    names = [n for n in VISIBLE if n not in SHARES]
    (row,) = platform.metric(*(f"streaming.{name}" for name in names), grain="all").rows
    found = []
    for name in names:
        wanted = value(EXPECTED[name])
        if name in MONTHLY:  # the mean of its months
            wanted = fmean(v for v in periods(EXPECTED[name], "month").values() if v is not None)
        found += wrong(name, {"all": row[name]}, {"all": wanted})
    assert found == []


@pytest.mark.parametrize("grain", some_slow(["day", "week", "month"]))
def test_by_period(platform: Warehouse, grain: str) -> None:
    names = [n for n in VISIBLE if n not in SHARES and (grain == "month" or n not in MONTHLY)]
    rows = platform.metric(*(f"streaming.{name}" for name in names), grain=grain).rows
    found = []
    for name in names:
        wanted = periods(EXPECTED[name], grain)
        rolling = any(leaf.rolling for leaf in EXPECTED[name].leaves)
        # A trailing window has rows on days without any; the oracle looks at days with rows.
        values = {row["period"]: row[name] for row in rows if not rolling or row["period"] in wanted}
        found += wrong(name, values, wanted)
    assert found == []


@pytest.mark.parametrize("by", some_slow(SLICES))
def test_slices(platform: Warehouse, by: str) -> None:
    names = [n for n in VISIBLE if by in PACK.metrics[n].by and n not in (*SHARES, *MONTHLY)]
    if not names:
        return
    rows = platform.metric(*(f"streaming.{name}" for name in names), by=by, grain="all").rows
    found = []
    for name in names:
        wanted = sliced(EXPECTED[name], by)
        # Where nothing that is asked for counts, the slice is left out.
        shown = {row[by] for row in rows}
        found += wrong(name, {row[by]: row[name] for row in rows}, {k: v for k, v in wanted.items() if v or k in shown})
    assert found == []
