"""Streams, arrivals, geography, users, columns, files: each against an independent computation."""

from __future__ import annotations

import json
import math
from collections import Counter
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from prodsense.simulate import Simulation, Streams, arrivals, geography, users, write
from prodsense.simulate import columns as col


def test_streams_depend_on_seed_and_name_only() -> None:
    first, second = Streams(7), Streams(7)
    second("something else").random(100)  # what else is drawn does not matter
    assert first("orders").random(5).tolist() == second("orders").random(5).tolist()
    assert first("orders").random() != first("users").random()
    assert Streams(8)("orders").random() != Streams(7)("orders").random()


def test_day_weights_follow_the_weekday_and_average_one() -> None:
    start = date(2024, 1, 3)  # a Wednesday
    weights = arrivals.day_weights(start, 28)
    assert weights.mean() == pytest.approx(1.0)
    by_weekday = {}
    for i, weight in enumerate(weights):
        by_weekday.setdefault((start + timedelta(days=i)).weekday(), set()).add(round(weight, 12))
    assert all(len(values) == 1 for values in by_weekday.values())
    assert max(by_weekday[5]) / max(by_weekday[0]) == pytest.approx(1.22 / 0.86)


def test_moments_have_the_rhythm_asked_for() -> None:
    hours = [0.0] * 24
    hours[12], hours[18] = 1.0, 3.0
    drawn = arrivals.moments(np.random.default_rng(1), 40_000, np.array([1.0, 2.0]), hours)
    counted = Counter((int(m) // 86_400, int(m) % 86_400 // 3600) for m in drawn)
    assert set(counted) == {(0, 12), (0, 18), (1, 12), (1, 18)}
    expected = {(0, 12): 1 / 12, (0, 18): 3 / 12, (1, 12): 2 / 12, (1, 18): 6 / 12}
    for cell, share in expected.items():
        assert counted[cell] / 40_000 == pytest.approx(share, abs=0.01)
    inside = np.array([m % 3600 for m in drawn])
    assert inside.mean() == pytest.approx(1800, abs=25)  # even within the hour


def test_projection_agrees_with_the_great_circle_and_inverts() -> None:
    here = geography.Projection(40.0, -75.0)
    x, y = np.array([0.0, 3.0, -4.0]), np.array([0.0, 4.0, 2.5])
    lat, lng = here.degrees(x, y)
    for i in range(3):
        a, b = math.radians(40.0), math.radians(lat[i])
        half = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(math.radians(lng[i] + 75.0) / 2) ** 2
        miles = 2 * 6371.0088 / 1.609344 * math.asin(math.sqrt(half))
        assert miles == pytest.approx(math.hypot(x[i], y[i]), rel=1e-3, abs=1e-9)
    back = here.miles(lat, lng)
    assert np.allclose(back, (x, y))


def test_points_around_lie_at_the_distance() -> None:
    points = np.array([[1.0, 2.0]] * 50)
    distance = np.linspace(0.1, 3, 50)
    moved = geography.around(np.random.default_rng(3), points, distance)
    assert np.allclose([math.dist(a, b) for a, b in zip(points, moved, strict=True)], distance)


def test_choose_within_keeps_to_the_group_and_the_weights() -> None:
    group = np.array([2, 0, 2, 1, 0])
    weights = np.array([1.0, 1.0, 3.0, 5.0, 0.0])
    wanted = np.repeat([0, 1, 2], 4000)
    drawn = users.choose_within(np.random.default_rng(5), group, weights, wanted)
    assert all(group[d] == w for d, w in zip(drawn, wanted, strict=True))
    counted = Counter(drawn.tolist())
    assert counted[1] == 4000
    assert counted[4] == 0
    assert counted[2] / 4000 == pytest.approx(0.75, abs=0.03)
    with pytest.raises(ValueError, match="group 7"):
        users.choose_within(np.random.default_rng(5), group, weights, np.array([7]))


def test_propensities_average_one_and_are_uneven() -> None:
    rates = users.propensities(np.random.default_rng(2), 100_000, shape=0.8)
    assert rates.mean() == pytest.approx(1.0, abs=0.02)
    assert rates.var() == pytest.approx(1 / 0.8, abs=0.05)


@pytest.mark.parametrize("value", [0.0, 1.23, -1.23, -0.005, 179.99999999, -122.41812345, 1e-9])
@pytest.mark.parametrize("missing", [False, True])
def test_decimals_are_those_of_exact_arithmetic(value: float, missing: bool) -> None:
    made = col.decimals(np.array([value, 5.0]), 11, 8, np.array([missing, False])).to_pylist()
    assert made == [None if missing else Decimal(round(value * 1e8)).scaleb(-8), Decimal(5)]


def test_a_decimal_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"DECIMAL\(4, 2\)"):
        col.decimals(np.array([100.0]), 4, 2)


def test_times_labels_and_codes() -> None:
    start = date(2024, 2, 28)
    seconds = np.array([0.0, 86_399.0, 2 * 86_400 + 0.25])
    gone = np.array([False, True, False])
    assert col.timestamps(seconds, start, gone).to_pylist() == [
        datetime(2024, 2, 28), None, datetime(2024, 3, 1, 0, 0, 0, 250_000),
    ]  # fmt: skip
    assert col.dates(np.array([0, 2, -59]), start).to_pylist() == [start, date(2024, 3, 1), date(2023, 12, 31)]
    assert col.labels(np.array([1, 0, 1]), ("a", "b"), gone).to_pylist() == ["b", None, "b"]
    assert col.codes("DRV", np.array([7, 1234567])).to_pylist() == ["DRV000007", "DRV1234567"]
    assert col.integers(np.array([1.6, np.nan]), np.array([False, True]), bits=32) == pa.array([2, None], pa.int32())


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_write_makes_a_file_for_each_table_and_the_truth(tmp_path: Path, format: str) -> None:
    table = pa.table({
        "id": pa.array([1, 2]), "name": pa.array(["a, b", None]),
        "at": pa.array([datetime(2024, 1, 1, 12), None], pa.timestamp("us")),
    })  # fmt: skip
    paths = write(Simulation({"things": table}, {"effect": {"size": 1.5}}), tmp_path / "out", format)  # type: ignore[arg-type]
    assert [p.name for p in paths] == [f"things.{format}", "_truth.json"]
    assert json.loads(paths[1].read_text()) == {"effect": {"size": 1.5}}
    if format == "parquet":
        assert pq.read_table(paths[0]).equals(table)
    else:
        assert paths[0].read_text().splitlines()[1:] == ['1,"a, b",2024-01-01 12:00:00.000000', "2,,"]


def test_write_refuses_other_formats(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="parquet or csv"):
        write(Simulation({}, {}), tmp_path, "xlsx")  # type: ignore[arg-type]
