"""Declared experiments, tables and assignment give the same on DuckDB and on Spark."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from parity_rows import Pair

import prodsense as ps
from prodsense.errors import ProdsenseError
from prodsense.inference.assignment import assigned

pytestmark = [pytest.mark.spark, pytest.mark.slow]


def test_declared_experiments(pair: Pair) -> None:
    # One a pack: a statement on Spark is dear, and all of them are written by the same few functions.
    declared = [name for name, e in pair.pack.experiments.items() if e.run is None and e.design != "rollout"]
    for name in declared[:1]:
        full, answers = f"{pair.pack.name}.{name}", []
        for warehouse in (pair.duckdb, pair.spark):
            try:
                answers.append(warehouse.experiment(full).rows)
            except ProdsenseError as error:
                answers.append(error.message)
        if isinstance(answers[0], str):
            assert answers[0] == answers[1], full
            continue
        for one, other in zip(*answers, strict=True):
            for column, value in one.items():
                expected = pytest.approx(value, rel=1e-7, abs=1e-12) if isinstance(value, float) else value
                assert other[column] == expected, (full, one["metric"], column)


def test_a_table_and_its_assignment(pair: Pair) -> None:
    rng = np.random.default_rng(2)
    data = pa.table({
        "user": [f"ü{i}" for i in range(400)], "arm": rng.choice(["A", "B"], 400), "y": rng.normal(5, 2, 400),
        "x": rng.normal(3, 1, 400), "n": 1 + rng.poisson(2, 400), "flag": rng.random(400) < 0.3,
    })
    rule = ps.Assignment("it's", {"a": 1, "b": 2}, traffic=0.5, layer="l", slot=(0.1, 0.9))
    found, arms = [], []
    for warehouse in (pair.duckdb, pair.spark):
        engine = warehouse.engine
        with engine.temporary(data) as name:
            arms.append({row["unit"]: row["arm"] for row in assigned(engine, name, "user", rule).rows})
            found.append(ps.experiment(
                name, engine=engine, arm="arm", unit="user", metrics=["y", "ratio:y/n", "flag", "quantile:y@0.5"],
                covariates={"y": "x"}, segments="flag", winsorize=0.95,
            ))
    assert arms[0] == arms[1] == {u: rule.arm(u) for u in data["user"].to_pylist()}
    for one, other in zip(found[0].rows, found[1].rows, strict=True):
        for column, value in one.items():
            assert other[column] == (pytest.approx(value, rel=1e-9) if isinstance(value, float) else value), column
