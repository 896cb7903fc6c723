"""Warehouses made of a few rows, for what a test works out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

import prodsense.warehouse
from prodsense.warehouse import Warehouse


def at(text: str) -> datetime:
    """A moment as in ``03 20:15``: day of January 2024 and time."""
    return datetime.strptime(f"2024-01-{text}", "%Y-%m-%d %H:%M")


def session(number: int, user: int, title: int, start: datetime, seconds: int | None, **more: Any) -> dict[str, Any]:
    """A row of fact_viewing_sessions that is over, or open where `seconds` is None."""
    end = None if seconds is None else start + timedelta(seconds=seconds)
    return {
        "session_id": number, "user_key": user, "content_key": title, "session_start_timestamp": start,
        "session_end_timestamp": end, "session_duration_seconds": seconds, "total_pause_duration_seconds": 0, **more,
    }  # fmt: skip


def load(warehouse: Warehouse, tables: dict[str, list[dict[str, Any]]], *only: str) -> None:
    """Add rows and build: all models, or those named."""
    for name, rows in tables.items():
        columns = dict.fromkeys(column for row in rows for column in row)
        table = pa.table({column: [row.get(column) for row in rows] for column in columns})
        report = warehouse.ingest(table, table=f"streaming.{name}")
        assert report.quarantined == 0, str(report)
    report = warehouse.build("streaming", only=[f"streaming.{name}" for name in only] or None)
    assert report.ok, str(report)


@contextmanager
def made_of(tables: dict[str, list[dict[str, Any]]], *only: str) -> Iterator[Warehouse]:
    """A warehouse in memory with these rows, built."""
    with prodsense.warehouse.open(":memory:") as warehouse:
        load(warehouse, tables, *only)
        yield warehouse
