"""The pack as a whole: everything declared is sound, documented, portable, and builds day by day."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

import prodsense.warehouse
from prodsense.contracts.sql import parse_select, qualify_tables
from prodsense.engines.dialect import DIALECTS, render
from prodsense.errors import UsageError
from prodsense.inference.checks import check_detector, check_tree
from prodsense.metrics import Scope, check_scope
from prodsense.metrics.scope import inferred_columns
from prodsense.metrics.validate import sliceable
from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

from .conftest import TINY

PACK = load_pack("rideshare")
TEXTS = {
    f"{kind}/{artefact.name}": artefact.sql
    for kind in ("models", "queries", "policies", "detectors")
    for artefact in getattr(PACK, kind).values()
    if artefact.sql
}
#: What dates the rows of a table that comes in by day, and the column of that day.
MOMENTS = {
    "fact_rides": ("start_timestamp", "ride_date"), "fact_ride_segments": ("segment_pickup_timestamp", "segment_date"),
    "fact_ride_requests": ("request_timestamp", "request_date"),
    "fact_driver_sessions": ("session_start_timestamp", "session_date"),
    "fact_driver_earnings": ("earned_at", "earned_date"),
}  # fmt: skip


def test_definitions_are_sound() -> None:
    scope = Scope.of(PACK)
    assert not list(check_scope(scope))
    for detector in PACK.detectors.values():
        check_detector(detector, scope)
    for tree in PACK.trees.values():
        check_tree(tree, scope)
    known = set(sliceable(scope))
    assert [(m.name, by) for m in PACK.metrics.values() for by in m.by if (m.name, by) not in known] == []


@pytest.mark.parametrize("dialect", DIALECTS)
def test_sql_is_portable(dialect: str) -> None:
    for name, text in TEXTS.items():
        assert render(qualify_tables(parse_select(text, name), "rideshare"), dialect), name


def test_every_column_is_documented() -> None:
    scope = Scope.of(PACK)
    for table in PACK.tables.values():
        assert table.says, table.name
        assert [c.name for c in table.columns.values() if not c.says] == [], table.name
    for model in PACK.models.values():
        assert model.says, model.name
        assert list(model.columns) == list(inferred_columns(scope, model)), model.name


def test_what_is_named_exists_and_answers_a_question() -> None:
    entries = PACK.catalogue()
    names = {entry["name"] for entry in entries}
    asked = {name for q in PACK.questions.values() for name in (*q.answers, *q.headline)}
    assert asked <= names
    kinds = {"metric", "slice", "query", "detector", "policy", "experiment", "analysis", "dashboard"}
    silent = {e["name"] for e in entries if e["kind"] in kinds} - asked
    assert silent == {
        "carpool_drivers", "carpool_share_of_journeys", "complaints_detour_too_long_rate",
        "complaints_co_passenger_discomfort_rate", "complaints_safety_concern_rate",
    }  # fmt: skip
    charts = [c for d in PACK.dashboards.values() for s in d.sections for c in s.charts if isinstance(c, str)]
    assert sorted(charts) == sorted(PACK.charts)


def in_steps() -> Iterator[dict[str, list[dict[str, str]]]]:
    """The tiny fleet cut into loads: what has no day, then days out of order, the middle ones late."""
    rows = {t: list(csv.DictReader((TINY / f"{t}.csv").open())) for t in PACK.tables if (TINY / f"{t}.csv").exists()}
    for table, (moment, day) in MOMENTS.items():
        for row in rows[table]:
            # A ride without a start belongs to the day of its end.
            row[day] = (row[moment] or row.get("end_timestamp") or row.get("segment_dropoff_timestamp") or "")[:10]
    yield {t: r for t, r in rows.items() if t not in MOMENTS}
    days = sorted({row[day] for t, (_, day) in MOMENTS.items() for row in rows[t] if row[day]})
    for some in (days[:2], days[5:], days[2:5]):
        yield {t: [r for r in rows[t] if r[day] in some or (not r[day] and some[0] == days[0])]
               for t, (_, day) in MOMENTS.items()}  # fmt: skip


def test_step_by_step_equals_at_once(fleet: Warehouse, tmp_path: Path) -> None:
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
                    warehouse.ingest(path, table=f"rideshare.{table}")
            if step == 0:
                continue
            report = warehouse.build("rideshare")
            assert not [entry for entry in report if entry.mode in ("failed", "skipped")], str(report)
            for entry in report:
                modes.setdefault(entry.model.split(".")[1], set()).add(entry.mode)
        for name, model in PACK.models.items():
            if model.kind == "table":
                once, stepwise = (
                    sorted(map(repr, w.show(f"rideshare.{name}", limit=None).rows)) for w in (fleet, warehouse)
                )
                assert stepwise == once, name
                assert "incremental" in modes[name] or not model.partition, f"{name} is built whole each time"


def test_an_empty_warehouse_answers_nothing_and_refuses_with_a_reason() -> None:
    with prodsense.warehouse.open(":memory:") as warehouse:
        warehouse.build("rideshare")
        names = [f"rideshare.{m.name}" for m in PACK.metrics.values() if not m.hidden]
        (row,) = warehouse.metric(*names, grain="all").rows
        assert set(row.values()) == {None}
        assert all(warehouse.query(f"rideshare.{name}").rows == [] for name in PACK.queries)
        assert all(result.holds for result in warehouse.policies(pack="rideshare"))
        assert warehouse.detect(pack="rideshare").rows == []
        for name in PACK.analyses:
            with pytest.raises(UsageError) as error:
                warehouse.analyze(f"rideshare.{name}")
            assert "\n" not in error.value.message
