"""Each engine in turn: what the protocol promises is asked of all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prodsense.engines.duckdb import DuckDBEngine


@pytest.fixture(params=["duckdb", pytest.param("spark", marks=pytest.mark.spark)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """An empty warehouse of each engine."""
    if request.param == "duckdb":
        opened: Any = DuckDBEngine(tmp_path / "warehouse.duckdb")
    else:
        from prodsense.engines.spark import SparkEngine

        opened = SparkEngine(tmp_path / "lake", session=request.getfixturevalue("spark_session"))
    yield opened
    opened.close()
