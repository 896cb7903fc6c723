"""Series without a declaration: baselines, surprise, spells, and `detect` on data."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import prodsense as ps
from prodsense.errors import UsageError
from prodsense.inference.detect import TooLittleError
from prodsense.inference.detect_series import SURPRISE
from prodsense.inference.seasonal import baseline, trailing_median
from prodsense.inference.surprise import alerts, surprise

START = datetime(2024, 1, 1)


def week(days: int, seed: int = 0) -> Any:
    """Daily Poisson counts with a weekly course."""
    rng = np.random.default_rng(seed)
    return rng.poisson(500 * (1 + 0.3 * np.sin(2 * np.pi * np.arange(days) / 7))).astype(float)


def fine(days: int, seed: int = 0) -> Any:
    """Five-minute values with a daily course."""
    rng = np.random.default_rng(seed)
    t = np.arange(days * 288)
    return 100 + 30 * np.sin(2 * np.pi * t / 288) + rng.normal(0, 3, len(t))


def test_trailing_median_by_hand() -> None:
    found = trailing_median(np.array([[1.0], [5.0], [np.nan], [3.0], [9.0]]), 3, least=2)[:, 0]
    assert np.isnan(found[:2]).all() and found[2:].tolist() == [3.0, 3.0, 4.0]


def test_a_baseline_knows_the_week_and_sees_the_outage_only() -> None:
    x = week(120)
    x[100] *= 0.6
    found = baseline(x, 7, kind="count")
    assert np.flatnonzero(np.abs(np.nan_to_num(found.score)) > 4).tolist() == [100]
    assert found.low[100] > x[100] and found.expected[100] == pytest.approx(x[93], rel=0.15)
    # What comes later changes nothing that was said before.
    assert np.array_equal(baseline(x[:80], 7, kind="count").score, found.score[:80], equal_nan=True)


def test_a_level_shift_is_said_once_and_then_known() -> None:
    x = week(160, seed=2)
    x[110:] *= 1.5
    high = np.flatnonzero(np.nan_to_num(baseline(x, 7, kind="count").score) > 4)
    assert high[0] == 110 and high[-1] < 118


def test_false_alarms_of_the_baseline_are_rare() -> None:
    scores = [np.nan_to_num(baseline(week(200, seed), 7, kind="count").score) for seed in range(60)]
    assert sum(int((np.abs(s) > 4).sum()) for s in scores) <= 15  # of 60 x 200 days, 7 months each


def test_surprise_finds_what_stands_out_and_nothing_else() -> None:
    x = fine(21, seed=1)
    calm = alerts(surprise(x, 288), SURPRISE, 100)
    assert len(calm) <= 1
    x[5000] += 80
    x[5400:5460] = x[5399]  # a sensor that stands still
    found = alerts(surprise(x, 288), SURPRISE, 100)
    assert 5000 in found
    assert np.array_equal(surprise(x[:5200], 288), surprise(x, 288)[:5200])


def test_surprise_does_not_depend_on_units_and_a_still_past_is_no_division_by_zero() -> None:
    x = fine(7, seed=3)
    assert np.allclose(surprise(x, 288), surprise(x * 1e6 + 1e9, 288), atol=1e-4)
    still = np.full(2000, 0.1)
    assert not surprise(still, 288).any()
    still[1500] = 0.2
    assert alerts(surprise(still, 0), SURPRISE, 100) == [1500]


def test_alerts_are_quiet_for_a_while() -> None:
    assert alerts(np.array([0, 2, 2, 0, 0, 3, 2]), 1.5, 3) == [1, 5]


def table(values: Any, step: timedelta, **more: Any) -> pa.Table:
    times = [START + i * step for i in range(len(values))]
    return pa.table({"t": times, "x": values, **{k: [v] * len(values) for k, v in more.items()}})


def test_detect_reads_daily_and_fine_series() -> None:
    x = week(120)
    x[100] *= 0.6
    (row,) = ps.detect(table(x, timedelta(days=1)), time="t", value="x").rows
    assert row["period"] == "2024-04-10" and row["value"] == x[100] and row["low"] > row["value"]
    y = fine(14)
    y[3000] += 90
    found = ps.detect(table(y, timedelta(minutes=5)), time="t", value="x")
    assert found.rows[0]["period"] == (START + timedelta(minutes=15000)).isoformat()
    assert ps.detect(table(y, timedelta(minutes=5)), time="t", value="x", since="2024-01-12").rows == []


def test_detect_tells_series_apart_and_refuses_what_is_none() -> None:
    x = week(120)
    calm, odd = table(x, timedelta(days=1), shop="a"), table(np.where(np.arange(120) == 110, 900, x),
                                                            timedelta(days=1), shop="b")  # fmt: skip
    both = pa.concat_tables([calm, odd.cast(calm.schema)])
    (row,) = ps.detect(both, time="t", value="x", by="shop").rows
    assert row["subject"] == "shop=b"
    with pytest.raises(UsageError, match="several values at"):
        ps.detect(both, time="t", value="x")
    with pytest.raises(TooLittleError, match="too few"):
        ps.detect(table(x[:20], timedelta(days=1)), time="t", value="x")
    with pytest.raises(UsageError, match="no column y"):
        ps.detect(calm, time="t", value="y")
    with pytest.raises(UsageError, match="not numbers"):
        ps.detect(calm, time="t", value="shop")
    with pytest.raises(UsageError, match="threshold"):
        ps.detect(calm, time="t", value="x", threshold="high")


def events(plant: dict[tuple[str, str], tuple[int, int, int]], seed: int = 0) -> pa.Table:
    """Events of 150 days on two platforms; `plant`: (event, platform) → first day, last day, how many a day."""
    rng = np.random.default_rng(seed)
    rows = []
    for day in range(150):
        busy = 2 if 60 <= day < 75 else 1  # a busy fortnight is no finding
        for event, rate in (("view", 60), ("cart", 15), ("error", 2)):
            for platform, share in (("ios", 0.4), ("web", 0.6)):
                n = rng.poisson(rate * share * busy)
                first, last, more = plant.get((event, platform), (0, -1, 0))
                n += rng.poisson(more) if first <= day <= last else 0
                rows += [{"at": date(2024, 1, 1) + timedelta(days=day), "event": event, "platform": platform}] * n
    return pa.Table.from_pylist(rows)


def test_a_spell_is_found_with_its_days_and_its_platform() -> None:
    found = ps.detect(events({("error", "ios"): (90, 109, 6)}), time="at", by=["event", "platform"])
    (row,) = found.rows
    assert row["subject"] == "event=error, platform=ios"
    assert abs((date.fromisoformat(row["period"]) - date(2024, 3, 31)).days) <= 3
    assert abs((row["until"] - date(2024, 4, 19)).days) <= 3
    (wide,) = ps.detect(
        events({("error", "ios"): (90, 109, 4), ("error", "web"): (90, 109, 6)}), time="at", by=["event", "platform"]
    ).rows
    assert wide["subject"] == "event=error"


def test_calm_events_have_no_spells() -> None:
    for seed in range(5):
        assert ps.detect(events({}, seed), time="at", by=["event", "platform"]).rows == []
    with pytest.raises(TooLittleError, match="28"):
        ps.detect(events({}).slice(0, 1000), time="at", by="event")
