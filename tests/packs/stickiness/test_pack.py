"""The pack as a whole: everything declared is sound, documented, portable, and builds day by day."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

import prodsense.warehouse
from prodsense.contracts.sql import parse_select, qualify_tables
from prodsense.engines.dialect import DIALECTS, render
from prodsense.metrics import Scope, check_scope
from prodsense.metrics.scope import inferred_columns
from prodsense.packs import load_pack
from prodsense.packs.stickiness.registry import COUNTER, NEAR_REAL_TIME, VANITY, registry_rows
from prodsense.warehouse import Warehouse

from .conftest import TINY

PACK = load_pack("stickiness")
TEXTS = {
    f"{kind}/{artefact.name}": artefact.sql
    for kind in ("models", "queries", "policies")
    for artefact in getattr(PACK, kind).values()
    if artefact.sql
}
#: What dates the rows of a table that comes in by day.
MOMENTS = {"user_events": "timestamp", "sessions": "started_at", "daily_user_activity": "activity_date"}


def test_definitions_are_sound() -> None:
    assert not list(check_scope(Scope.of(PACK)))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_sql_is_portable(dialect: str) -> None:
    for name, text in TEXTS.items():
        assert render(qualify_tables(parse_select(text, name), "stickiness"), dialect), name


def test_every_column_is_documented() -> None:
    scope = Scope.of(PACK)
    for table in PACK.tables.values():
        assert table.says, table.name
        assert [c.name for c in table.columns.values() if not c.says] == [], table.name
    for model in PACK.models.values():
        assert model.says, model.name
        assert list(model.columns) == list(inferred_columns(scope, model)), model.name


def test_columns_that_a_team_may_lack_are_nullable() -> None:
    required = {name: {c.name for c in table.columns.values() if not c.nullable} for name, table in PACK.tables.items()}
    assert required["users"] == {"user_id"}
    assert required["user_events"] == {"user_id", "timestamp", "event_type"}
    assert required["sessions"] == {"user_id", "session_id", "started_at"}
    assert required["daily_user_activity"] == {"user_id", "activity_date"}
    assert required["connections"] == {"user_id", "connected_user_id"}


def test_events_fit_the_table_that_takes_them() -> None:
    columns = set(PACK.tables["user_events"].columns)
    for event in PACK.events.values():
        names = [field.name for field in event.fields]
        assert len(set(names)) == len(names), event.name
        assert set(names) <= columns, event.name
        assert {"user_id", "session_id", "timestamp", "attributes"} <= set(names), event.name


def test_registry_knows_every_metric() -> None:
    rows = registry_rows()
    visible = {m.name for m in PACK.metrics.values() if not m.hidden}
    assert {row["metric_name"] for row in rows} == visible
    assert len({row["active_definition"] for row in rows}) == 1
    counters = {name for text in COUNTER.values() for name in text.split(",")}
    assert {*VANITY, *NEAR_REAL_TIME, *COUNTER, *counters} <= visible


def in_steps() -> Iterator[dict[str, list[dict[str, str]]]]:
    """The tiny platform cut into loads: what has no day, then days out of order, one of them late."""
    rows = {t: list(csv.DictReader((TINY / f"{t}.csv").open())) for t in PACK.tables if (TINY / f"{t}.csv").exists()}
    for found in (rows["user_events"], rows["sessions"]):
        for row in found:
            moment = row.get("timestamp") or row["started_at"]
            row["event_date" if "timestamp" in row else "session_date"] = moment[:10]
    yield {t: r for t, r in rows.items() if t not in MOMENTS}
    days = sorted({row[MOMENTS[t]][:10] for t in MOMENTS for row in rows[t]})
    for some in (days[:2], days[5:], days[2:5]):
        yield {t: [row for row in rows[t] if row[MOMENTS[t]][:10] in some] for t in MOMENTS}


def test_step_by_step_equals_at_once(platform: Warehouse, tmp_path: Path) -> None:
    modes: dict[str, set[str]] = {}
    with prodsense.warehouse.open(":memory:") as warehouse:
        for step, load in enumerate(in_steps()):
            for table, rows in load.items():
                if rows:
                    path = tmp_path / f"{table}.csv"
                    with path.open("w", newline="") as file:
                        writer = csv.DictWriter(file, list(rows[0]))
                        writer.writeheader()
                        writer.writerows(rows)
                    warehouse.ingest(path, table=f"stickiness.{table}")
            if step == 0:
                continue
            report = warehouse.build("stickiness")
            assert not [entry for entry in report if entry.mode in ("failed", "skipped")], str(report)
            for entry in report:
                modes.setdefault(entry.model.split(".")[1], set()).add(entry.mode)
        for name, model in PACK.models.items():
            if model.kind == "table":
                once, stepwise = (
                    sorted(map(repr, w.show(f"stickiness.{name}", limit=None).rows)) for w in (platform, warehouse)
                )
                assert stepwise == once, name
                assert "incremental" in modes[name] or not model.partition, f"{name} is built whole each time"
