"""Causal methods give on Spark what they give on DuckDB: the statements aggregate alike."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

import prodsense as ps


def rows() -> list[dict[str, Any]]:
    """8 shops over 40 days; two cohorts adopt, a text column and gaps."""
    random.seed(2)
    found = []
    for shop in range(8):
        first = (date(2024, 1, 20), date(2024, 1, 30), None, None)[shop % 4]
        for t in range(40):
            day = date(2024, 1, 1) + timedelta(days=t)
            effect = 2.0 if first and day >= first else 0.0
            found.append({"shop": f"s{shop}", "day": day, "first": first, "pilot": shop % 4 == 0, "kind": "ab"[shop % 2],
                          "sales": None if (shop, t) == (3, 7) else 10 + shop + effect + random.gauss(0, 1)})  # fmt: skip
    return found


CALLS: dict[str, Callable[[Any], Any]] = {
    "did": lambda d: ps.did(d, "sales", treated="pilot", time="day", since="2024-01-20", unit="shop"),
    "did by covariate": lambda d: ps.did(d, "sales", treated="pilot", time="day", since="2024-01-20", covariates="kind"),
    "staggered": lambda d: ps.staggered_did(d, "sales", unit="shop", time="day", cohort="first", grain="week"),
    "interrupted": lambda d: ps.interrupted_series(d, "sales", time="day", since="2024-01-20"),
    "synthetic": lambda d: ps.synthetic_control(d, "sales", unit="shop", time="day", treated="s0", since="2024-01-20"),
}  # fmt: skip


@pytest.mark.spark
@pytest.mark.slow
def test_spark_gives_the_same(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    import pyarrow as pa

    from prodsense.engines.spark import SparkEngine

    data = pa.Table.from_pylist(rows())
    engine = SparkEngine(tmp_path / "lake", session=request.getfixturevalue("spark_session"))
    with ps.Sample.read(data) as here, ps.Sample.read(data, engine=engine) as there:
        for name, ask in CALLS.items():
            expected, found = ask(here), ask(there)
            assert len(found) == len(expected), name
            for one, other in zip(expected.rows, found.rows, strict=True):
                assert one == {k: pytest.approx(v, rel=1e-7, abs=1e-9) if isinstance(v, float) else v for k, v in other.items()}, name
    engine.close()
