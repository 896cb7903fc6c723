"""Helpers to make input files and to look into a warehouse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ingest_shop import TABLES

from prodsense.contracts.tables import Table
from prodsense.engines import open_engine
from prodsense.engines.base import Engine

#: Reads rows of a relation.
Rows = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def tables() -> dict[str, Table]:
    return TABLES


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(tmp_path / "wh.duckdb")
    yield opened
    opened.close()


@pytest.fixture
def rows(engine: Engine) -> Rows:
    """Rows of a relation as dicts, some columns, in an order."""

    def read(relation: str, columns: str = "*", order: str = "1") -> list[dict[str, Any]]:
        return engine.query(f"SELECT {columns} FROM {relation} ORDER BY {order}").to_pylist()

    return read


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, str | bytes], str]:
    """Write a file; return its path."""

    def write(name: str, content: str | bytes) -> str:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write
