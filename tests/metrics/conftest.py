"""One small shop in DuckDB for all metric tests (read only: no test writes to it)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import metrics_shop as shop
import pytest
from metrics_shop import Ask

from prodsense.engines.duckdb import DuckDBEngine
from prodsense.metrics import Request, Result, Scope, run


@pytest.fixture(scope="session")
def rows() -> dict[str, list[tuple[Any, ...]]]:
    return shop.data()


@pytest.fixture(scope="session")
def engine(rows: dict[str, list[tuple[Any, ...]]]) -> Iterator[DuckDBEngine]:
    engine = DuckDBEngine()
    shop.load(engine, rows)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def scope(engine: DuckDBEngine) -> Scope:
    return shop.scope(engine.columns)


@pytest.fixture(scope="session")
def ask(engine: DuckDBEngine, scope: Scope) -> Ask:
    def ask(*metrics: str, **options: Any) -> Result:
        return run(engine, Request(metrics, **options), scope)

    return ask
