"""Forecasts: the recursion against statsmodels, intervals and goals by hand, planted series, refusals."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

import prodsense as ps
from prodsense.errors import UsageError
from prodsense.inference import forecast_fit as fitting
from prodsense.inference.forecast_goal import Goal, goal_row
from prodsense.inference.forecast_models import Candidate, _line, _start, rule_forecasts, smoothing_forecasts
from prodsense.inference.forecast_read import Axis, Series

DAY = dt.date(2024, 1, 1)


def daily(values: Any, **more: Any) -> list[dict[str, Any]]:
    return [{"day": DAY + dt.timedelta(days=i), "y": float(v), **more} for i, v in enumerate(values)]


# -- models ---------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
def test_smoothing_is_that_of_statsmodels() -> None:
    """Holt-Winters with a damped trend and a season, from the same first state, at two origins of two series."""
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    rng = np.random.default_rng(3)
    t = np.arange(70)
    y = np.column_stack([50 + 0.4 * t + 8 * (t % 7 == 5) + rng.normal(0, 2, 70), 20 - 0.1 * t + rng.normal(0, 1, 70)])
    ours = Candidate("x", level=0.3, slope=0.3 * 0.2, damping=0.9, seasons=(0.15,))
    origins = [40, 70]
    found = smoothing_forecasts(y, [ours], [7], origins, 10)
    _, profiles = _start(y, [7])
    begin, rise = _line(y[:20], profiles)
    for s in range(2):
        for place, origin in enumerate(origins):
            theirs = ETSModel(
                y[:origin, s], error="add", trend="add", damped_trend=True, seasonal="add", seasonal_periods=7,
                initialization_method="known", initial_level=begin[s], initial_trend=rise[s],
                initial_seasonal=profiles[0][:, s],
            ).smooth([0.3, 0.06, 0.15, 0.9])
            assert found[place, :, 0, s] == pytest.approx(theirs.forecast(10), rel=1e-9)


def test_two_seasons_and_a_memory_by_a_plain_loop() -> None:
    rng = np.random.default_rng(4)
    y = rng.normal(10, 1, (60, 1))
    y[33, 0] = np.nan
    c = Candidate("x", level=0.2, seasons=(0.1, 0.3), memory=0.5)
    found = smoothing_forecasts(y, [c], [3, 6], [50], 8)[0, :, 0, 0]
    start, (short, long) = _start(y, [3, 6])
    level, error, a, b = float(start[0]), 0.0, short[:, 0].copy(), long[:, 0].copy()
    for t in range(50):
        if math.isnan(y[t, 0]):
            error *= 0.5
            continue
        error = y[t, 0] - level - a[t % 3] - b[t % 6]
        level += 0.2 * error
        a[t % 3] += 0.1 * error
        b[t % 6] += 0.3 * error
    expected = [level + a[(50 + h) % 3] + b[(50 + h) % 6] + 0.5 ** (h + 1) * error for h in range(8)]
    assert found == pytest.approx(expected, rel=1e-12)


def test_a_forecast_sees_nothing_later_than_its_origin() -> None:
    rng = np.random.default_rng(5)
    y = rng.normal(10, 2, (80, 1))
    other = y.copy()
    other[60:] += 100
    c = [Candidate("x", level=0.3, slope=0.05, seasons=(0.2,))]
    for values in (y, other):
        assert smoothing_forecasts(values, c, [7], [60], 5) == pytest.approx(smoothing_forecasts(y, c, [7], [60], 5))


def test_the_naive_rules() -> None:
    y = np.array([[1.0], [2.0], [3.0], [4.0], [np.nan]])
    assert rule_forecasts(y, [4], 3, 1)[0, :, 0].tolist() == [4, 4, 4]
    assert rule_forecasts(y, [4], 5, 3)[0, :, 0].tolist() == [2, 3, 4, 2, 3]
    assert rule_forecasts(y, [5], 2, 2)[0, :, 0].tolist() == [4, 3]  # the gap counts as the value two before


# -- intervals and goals ----------------------------------------------------------------------------------


def test_half_widths_by_hand() -> None:
    errors = np.ones((10, 2, 1)) * np.where(np.arange(10) % 2, 1.0, -1.0)[:, None, None]
    # Scale 1 at both steps, so that every score is 1; wider by the root of 1 + 1/10.
    assert fitting.half_widths(errors, 0.95)[:, 0] == pytest.approx([math.sqrt(1.1)] * 2)
    errors[:, 1] *= 3
    square = (10 * 9 + 5 * 5.0) / 15  # drawn towards the mean square of all, (1 + 9) / 2, by half of the origins
    scale = math.sqrt(square), math.sqrt((10 * 1 + 5 * 5.0) / 15)
    reach = max(3 / scale[0], 1 / scale[1])
    assert fitting.half_widths(errors, 1.0 - 1e-12)[:, 0] == pytest.approx([reach * scale[1] * math.sqrt(1.1), reach * scale[0] * math.sqrt(1.1)])


def test_a_goal_by_hand() -> None:
    axis = Axis(dt.datetime(2024, 1, 1), seconds=86400.0, days=True)
    one = Series((), 0, np.arange(30.0))
    mean = np.array([10.0, 10.0, 10.0])
    errors = np.array([[1.0, 1.0, 0.0], [-1.0, -1.0, 5.0], [2.0, 0.0, 0.0], [0.0, -2.0, 0.0]])
    row = goal_row(Goal.of(40.0, "total", "up"), one, mean, errors, (5, 7, 9, 11), axis, "2024-02-01", "2024-01-30", 0.95, False)
    # Two steps to 1 February; done are the values of 30 January (29) only; errors of the sums: 2, -2, 2, -2.
    assert (row["done"], row["expected"], row["by"]) == (29.0, 49.0, dt.date(2024, 2, 1))
    apart = (11 - 5) / 2 + 1
    assert row["probability"] == pytest.approx(stats.t.cdf((49 - 40) / (2 * math.sqrt(1 + 1 / apart)), apart))
    assert (row["pace_needed"], row["pace_expected"]) == (5.5, 10.0)
    assert row["reached"] == dt.date(2024, 2, 1)
    down = goal_row(Goal.of(40.0, "total", "down"), one, mean, errors, (5, 7, 9, 11), axis, "2024-02-01", "2024-01-30", 0.95, False)
    assert down["probability"] == pytest.approx(1 - row["probability"])
    level = goal_row(Goal.of(11.0, "level", "up"), one, mean, errors, (5, 7, 9, 11), axis, "2024-01-31", None, 0.95, False)
    assert level["probability"] == pytest.approx(stats.t.cdf(-1 / math.sqrt(1.5 * 1.25), 4))
    done = goal_row(Goal.of(20.0, "total", "up"), one, mean, errors, (5, 7, 9, 11), axis, "2024-02-01", "2024-01-30", 0.95, True)
    assert done["probability"] == 1.0


# -- the whole --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sales() -> list[dict[str, Any]]:
    rng = np.random.default_rng(1)
    return daily(100 + 0.5 * i + 20 * (i % 7 in (5, 6)) + rng.normal(0, 4) for i in range(150))


def test_planted_trend_and_week_are_found(sales: list[dict[str, Any]]) -> None:
    found = ps.forecast(sales, time="day", value="y", horizon=14, target=2500, target_by="2024-06-12")
    truth = [100 + 0.5 * i + 20 * (i % 7 in (5, 6)) for i in range(150, 164)]
    assert [row["time"] for row in found.rows] == [DAY + dt.timedelta(days=i) for i in range(150, 164)]
    assert np.mean(np.abs(np.array([row["forecast"] for row in found.rows]) - truth)) < 3
    assert all(row["low"] < value < row["high"] for row, value in zip(found.rows, truth, strict=True))
    series = found.extras["series"][0]
    assert series["beats_baseline"] and series["mae"] < series["baseline_mae"] and series["seasons"] == [7]
    goal = found.extras["goals"][0]
    assert goal["expected"] == pytest.approx(sum(truth), rel=0.02) and goal["probability"] > 0.8
    told = found.to_dict()
    assert set(told) >= {"rows", "series", "goals", "notes", "horizon"} and told["rows"][0]["time"] == "2024-05-30"
    assert found.chart().to_dict() and "beats seasonal naive 7" in str(found)


def test_a_model_that_does_not_beat_the_rule_says_so() -> None:
    found = ps.forecast(daily([1.0, 5.0, 2.0, 8.0, 3.0, 9.0, 4.0] * 12), time="day", value="y", horizon=7)
    assert [row["forecast"] for row in found.rows] == pytest.approx([1, 5, 2, 8, 3, 9, 4])
    assert found.extras["series"][0]["beats_baseline"] is False
    assert "does not beat seasonal naive 7" in found.notes[0] and "no better than repeating the past" in found.notes[1]


def test_intervals_hold_what_they_promise() -> None:
    rng = np.random.default_rng(8)
    n, horizon = 250, 7
    t = np.arange(n + horizon)[:, None]
    noise = np.zeros((n + horizon, 150))
    for i in range(1, n + horizon):
        noise[i] = 0.5 * noise[i - 1] + rng.normal(0, 3, 150)
    y = 50 + 10 * np.sin(2 * np.pi * t / 7) + noise
    found = fitting.fit(y[:n], horizon, [7])
    inside = np.abs(y[n:] - found.mean) <= fitting.half_widths(found.errors, 0.95)
    assert 0.92 < inside.mean() < 0.985


def test_series_by_slice_have_their_own_ends(sales: list[dict[str, Any]]) -> None:
    rows = [{**r, "city": "a"} for r in sales] + [{**r, "city": "b"} for r in sales[:100]] + daily([1.0] * 90, city="c")
    found = ps.forecast(rows, time="day", value="y", by="city", horizon="1w")
    assert [(r["city"], r["time"].isoformat()) for r in found.rows][::7] == [("a", "2024-05-30"), ("b", "2024-04-10")]
    alone = ps.forecast(sales[:100], time="day", value="y", horizon=7)
    assert [r["forecast"] for r in found.rows[7:]] == pytest.approx([r["forecast"] for r in alone.rows])
    assert found.extras["series"][2]["model"] is None and "all values are 1" in found.extras["series"][2]["reason"]


def test_periods_that_are_not_over_and_gaps() -> None:
    start = dt.datetime(2024, 1, 1)
    rng = np.random.default_rng(2)
    moments = [start + dt.timedelta(days=float(d)) for d in np.sort(rng.uniform(0, 60, 900))]
    found = ps.forecast([{"at": m} for m in moments], time="at", grain="day", horizon=7)
    last = moments[-1].date()
    assert found.rows[0]["time"] == last and f"the day of {last} is not over and left out" in found.notes
    expected = [sum(m.date() == DAY + dt.timedelta(days=i) for m in moments) for i in range((last - DAY).days)]
    assert found.history is not None and found.history["value"].to_pylist() == expected
    rows = daily(rng.normal(10, 1, 60))
    del rows[20]
    for fill, value in ((None, None), (0.0, 0.0)):
        assert ps.forecast(rows, time="day", value="y", horizon=7, fill=fill).history["value"][20].as_py() == value  # type: ignore[union-attr]


def test_months_roll_over_the_year() -> None:
    rows = [{"m": dt.date(2021 + i // 12, i % 12 + 1, 1), "y": 10.0 + i % 12 + 0.1 * i} for i in range(44)]
    found = ps.forecast(rows, time="m", value="y", horizon=6)
    assert [r["time"].isoformat() for r in found.rows][:5] == ["2024-09-01", "2024-10-01", "2024-11-01", "2024-12-01", "2025-01-01"]
    assert found.extras["series"][0]["seasons"] == [12] and found.extras["step"] == "month"


def test_a_week_of_days_is_complete_on_its_sunday() -> None:
    rows = daily(np.random.default_rng(0).normal(10, 1, 7 * 20))  # from a Monday to a Sunday
    found = ps.forecast(rows, time="day", value="y", grain="week", horizon=2)
    assert found.rows[0]["time"] == DAY + dt.timedelta(weeks=20)
    found = ps.forecast(rows[:-1], time="day", value="y", grain="week", horizon=2)
    assert found.rows[0]["time"] == DAY + dt.timedelta(weeks=19)


@pytest.mark.parametrize(
    ("rows", "options", "says"),
    [
        (daily(range(12)), {}, "12 values are too few to forecast 14 ahead"),
        (daily([3.0] * 60), {}, "all values are 3"),
        (daily(range(60)) + daily([1.0]), {}, "several values at 2024-01-01"),
        ([{"day": DAY + dt.timedelta(days=i * i), "y": 1.0 * i} for i in range(40)], {}, "not regular"),
        (daily(range(60)), {"horizon": "5x"}, "horizon should be"),
        (daily(range(60)), {"horizon": "5h"}, "not a whole number of steps"),
        (daily(range(60)), {"target": 5.0}, "needs both"),
        (daily(range(60)), {"target": 5.0, "target_by": "2024-01-05"}, "is not after the last value"),
        (daily(range(60)), {"confidence": 1.5}, "confidence"),
        (daily(range(60)), {"seasons": [1]}, "at least two steps"),
        ([{"day": "soon", "y": 1.0}], {}, "'soon' is no time"),
        (pa.table({"day": pa.array([], pa.date32()), "y": pa.array([], pa.float64())}), {}, "no rows"),
    ],
)
def test_refusals(rows: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        ps.forecast(rows, time="day", value="y", **options)
