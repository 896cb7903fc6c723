"""Sufficient statistics: one pass gives what numpy gives, pieces give what the whole gives, large numbers stay right."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from prodsense.engines.dialect import DIALECTS, render
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import UsageError
from prodsense.inference.suffstats import Moments, gather, merged


@pytest.fixture
def engine() -> DuckDBEngine:
    return DuckDBEngine()


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    rng = np.random.default_rng(3)
    n = 5000
    y = rng.gamma(2, 30, n)
    return pa.table({
        "arm": np.where(rng.random(n) < 0.4, "A", "B"), "day": rng.integers(0, 5, n), "y": y,
        "x": y * 0.5 + rng.normal(0, 10, n), "k": rng.integers(0, 4, n),
    })


@pytest.mark.parametrize("base", [True, False])
def test_moments_are_those_of_numpy(engine: DuckDBEngine, rows: pa.Table, base: bool) -> None:
    with engine.temporary(rows) as name:
        found = gather(engine, f"SELECT * FROM {name}", {"m": ("y", "x", "k"), "k": ("k",)}, ["arm"], base=base)
    frame = rows.to_pandas()
    for arm, part in frame.groupby("arm"):
        moments = found.moments[(arm,)]["m"]
        values = part[["y", "x", "k"]].to_numpy(float)
        assert moments.n == len(part) == found.rows[(arm,)]
        np.testing.assert_allclose(moments.mean, values.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(moments.cov, np.cov(values.T), rtol=1e-10)
        np.testing.assert_allclose(found.moments[(arm,)]["k"].cov, [[np.var(values[:, 2], ddof=1)]], rtol=1e-10)


def test_daily_pieces_give_the_whole(engine: DuckDBEngine, rows: pa.Table) -> None:
    with engine.temporary(rows) as name:
        source = f"SELECT * FROM {name}"
        whole = gather(engine, source, {"m": ("y", "x")}, ["arm"]).moments[("A",)]["m"]
        days = gather(engine, source, {"m": ("y", "x")}, ["arm", "day"])
    pieces = [m["m"] for key, m in days.moments.items() if key[0] == "A"]
    # Stored, read again and added: still the whole.
    total = merged([Moments.from_dict(piece.to_dict()) for piece in pieces])
    assert len(pieces) == 5
    assert total.n == whole.n
    np.testing.assert_allclose(total.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(total.m2, whole.m2, rtol=1e-10)


def test_the_variance_of_large_numbers_survives(engine: DuckDBEngine) -> None:
    rng = np.random.default_rng(1)
    values = 1e9 + rng.random(200_000)
    with engine.temporary(pa.table({"x": values})) as name:
        found = gather(engine, f"SELECT * FROM {name}", {"x": ("x",)}).moments[()]["x"]
    assert found.cov[0, 0] == pytest.approx(np.var(values - 1e9, ddof=1), rel=1e-6)


def test_a_unit_counts_when_all_its_columns_are_known(engine: DuckDBEngine) -> None:
    data = pa.table({"y": [1.0, 2.0, None, 4.0], "x": [1.0, None, 3.0, 5.0]})
    with engine.temporary(data) as name:
        found = gather(engine, f"SELECT * FROM {name}", {"both": ("y", "x"), "y": ("y",)}).moments[()]
    assert (found["both"].n, found["y"].n) == (2, 3)
    np.testing.assert_allclose(found["both"].mean, [2.5, 3.0])
    assert found["y"].mean[0] == pytest.approx(7 / 3)


def test_no_rows_and_one_row(engine: DuckDBEngine) -> None:
    with engine.temporary(pa.table({"y": pa.array([], pa.float64())})) as name:
        empty = gather(engine, f"SELECT * FROM {name}", {"y": ("y",)}).moments[()]["y"]
    with engine.temporary(pa.table({"y": [3.0]})) as name:
        one = gather(engine, f"SELECT * FROM {name}", {"y": ("y",)}, base=False).moments[()]["y"]
    assert empty.n == 0
    assert (one.n, one.mean[0], one.m2[0, 0]) == (1, 3.0, 0.0)
    assert np.isnan(one.cov[0, 0])
    assert (empty + one).mean[0] == 3.0


def test_nan_is_refused(engine: DuckDBEngine) -> None:
    with (
        engine.temporary(pa.table({"y": [1.0, float("nan")]})) as name,
        pytest.raises(UsageError, match="NaN or infinite"),
    ):
        gather(engine, f"SELECT * FROM {name}", {"y": ("y",)})


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_pass_can_be_written_for_every_engine(engine: DuckDBEngine, rows: pa.Table, dialect: str) -> None:
    with engine.temporary(rows) as name:
        for base in (True, False):
            for text, _ in gather(engine, f"SELECT * FROM {name}", {"m": ("y", "x")}, ["arm"], base=base).statements:
                assert "SUM(" in render(text, dialect) or "AVG(" in render(text, dialect)
