"""DuckDB: SQL by hand on its own table."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from peers.sql import DUCKDB, TOLD, questions

MISSING = "" if importlib.util.find_spec("duckdb") else "duckdb is not installed"
TITLE = "DuckDB SQL"


def open_(folder: Path, question: str, last: date) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    import duckdb

    con = duckdb.connect(str(folder / "raw.duckdb"), read_only=True)
    con.execute(f"SET temp_directory = '{folder}'; SET enable_progress_bar = false")
    sql = questions(DUCKDB, last)[question]
    if question == "sessions":
        return (lambda: con.execute(f"CREATE OR REPLACE TEMP TABLE told AS {sql}")), (
            lambda _: con.sql(TOLD.format(table="told")).fetchall()
        )
    return (lambda: con.sql(sql).to_arrow_table()), (lambda found: _rows(found))


def _rows(found: Any) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in found.columns), strict=True))
