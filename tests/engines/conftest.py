"""Each engine in turn: what the protocol promises is asked of all of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prodsense.engines.duckdb import DuckDBEngine


@pytest.fixture(scope="session")
def spark_session() -> Iterator[Any]:
    """One local Spark for all tests; skips with a reason where Java or PySpark is missing."""
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java (17 or newer) on the PATH")
    pytest.importorskip("pyspark", reason="Spark needs the extra: pip install 'prodsense[spark]'")
    from prodsense.engines.spark import TINY, start_session

    session = start_session({"master": "local[2]", **TINY})
    yield session
    session.stop()


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
