"""The pack as a whole: everything declared is sound, documented, portable, and builds day by day."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import prodsense.warehouse
from prodsense.contracts.sql import parse_select, qualify_tables
from prodsense.engines.dialect import DIALECTS, render
from prodsense.metrics import Scope, check_scope
from prodsense.metrics.scope import inferred_columns
from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

from .conftest import TINY

PACK = load_pack("delivery")
TEXTS = {
    f"{kind}/{artefact.name}": artefact.sql
    for kind in ("models", "queries", "policies")
    for artefact in getattr(PACK, kind).values()
    if artefact.sql
}


def test_definitions_are_sound() -> None:
    assert not list(check_scope(Scope.of(PACK)))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", TEXTS)
def test_sql_is_portable(name: str, dialect: str) -> None:
    assert render(qualify_tables(parse_select(TEXTS[name], name), "delivery"), dialect)


def test_every_column_is_documented() -> None:
    scope = Scope.of(PACK)
    for table in PACK.tables.values():
        assert table.says, table.name
        assert [c.name for c in table.columns.values() if not c.says] == [], table.name
    for model in PACK.models.values():
        assert model.says, model.name
        assert list(model.columns) == list(inferred_columns(scope, model)), model.name


def test_facts_are_dated_and_partitioned() -> None:
    for name, table in PACK.tables.items():
        if name.startswith("fact_") and not name.endswith("_setup"):
            assert table.partition == "date_partition", name
            assert table.time, name


def test_what_is_named_exists() -> None:
    names = {entry["name"] for entry in PACK.catalogue()}
    for question in PACK.questions.values():
        assert set(question.answers) <= names, question.id
        assert set(question.headline) <= set(PACK.metrics), question.id
    for experiment in PACK.experiments.values():
        assert {*experiment.primary, *experiment.guardrails} <= set(PACK.metrics), experiment.name
        assert len(set(experiment.arms)) >= 2
    for pipeline in PACK.pipelines.values():
        assert set(pipeline.models) <= set(PACK.models), pipeline.name
        assert pipeline.models or pipeline.run
    for chart in PACK.charts.values():
        assert set(chart.metrics) <= set(PACK.metrics), chart.name
        assert not chart.query or chart.query in PACK.queries, chart.name
    for dashboard in PACK.dashboards.values():
        assert set(dashboard.by) <= set(PACK.dimensions), dashboard.name
        for section in dashboard.sections:
            assert set(section.metrics) <= set(PACK.metrics), section.title
            assert set(section.charts) <= set(PACK.charts), section.title
            assert set(section.policies) <= set(PACK.policies), section.title


@pytest.mark.parametrize("name", PACK.charts)
def test_chart_has_data(city: Warehouse, name: str) -> None:
    chart = PACK.charts[name]
    if chart.query:
        assert city.query(f"delivery.{chart.query}", **dict(chart.params)).rows
    else:
        assert city.metric(*(f"delivery.{m}" for m in chart.metrics), by=list(chart.by), grain=chart.grain).rows


@pytest.mark.parametrize("name", PACK.dashboards)
def test_dashboard_shows_no_error(city: Warehouse, name: str) -> None:
    page = city.dashboard(f"delivery.{name}")
    assert [v.error for section in page.sections for v in section.charts if v.error] == []


def dated(table: str, rows: list[dict[str, str]], batch_days: dict[str, str]) -> list[dict[str, str]]:
    """Rows with the day they belong to, where the file leaves it out."""
    if not rows or table.startswith("dim_") or "date_partition" in rows[0]:
        return rows
    moment = next((c for c in ("online_at", "offered_at", "timestamp", "started_at") if c in rows[0]), None)
    for row in rows:
        if moment:
            row["date_partition"] = row[moment][:10]
        elif "batch_id" in row and table.startswith("fact_"):
            row["date_partition"] = batch_days[row["batch_id"]]
    return rows


def in_steps(folder: Path) -> Iterator[dict[str, list[dict[str, str]]]]:
    """The tiny city cut into loads: dimensions, then facts by days, the newest days before those between."""
    rows = {
        t: list(csv.DictReader((folder / f"{t}.csv").open())) for t in PACK.tables if (folder / f"{t}.csv").exists()
    }
    batch_days = {row["batch_id"]: row["date_partition"] for row in rows["fact_delivery_batches"]}
    rows = {table: dated(table, found, batch_days) for table, found in rows.items()}
    facts = [t for t in rows if "date_partition" in rows[t][0]]
    days = sorted({row["date_partition"] for t in facts for row in rows[t]})
    yield {t: r for t, r in rows.items() if t not in facts}
    for some in (days[:2], days[4:], days[2:4]):
        yield {t: [row for row in rows[t] if row["date_partition"] in some] for t in facts}


def test_step_by_step_equals_at_once(city: Warehouse, tmp_path: Path) -> None:
    modes: dict[str, set[str]] = {}
    with prodsense.warehouse.open(":memory:") as warehouse:
        for step, load in enumerate(in_steps(TINY)):
            for table in PACK.tables:
                if rows := load.get(table):
                    path = tmp_path / f"{table}.csv"
                    with path.open("w", newline="") as file:
                        writer = csv.DictWriter(file, list(rows[0]))
                        writer.writeheader()
                        writer.writerows(rows)
                    warehouse.ingest(path, table=f"delivery.{table}")
            if step == 0:
                continue
            report = warehouse.build("delivery")
            assert not [entry for entry in report if entry.mode in ("failed", "skipped")], str(report)
            for entry in report:
                modes.setdefault(entry.model.split(".")[1], set()).add(entry.mode)
        for name, model in PACK.models.items():
            if model.kind == "table":
                once, stepwise = (
                    sorted(map(repr, w.show(f"delivery.{name}", limit=None).rows)) for w in (city, warehouse)
                )
                assert stepwise == once, name
                assert "incremental" in modes[name], f"{name} is built whole each time"


def test_every_listed_value_fits_the_length_of_its_column() -> None:
    """Decision 12: `en_route_to_restaurant` would not fit the VARCHAR(20) that was first asked for."""
    too_long = []
    for table in load_pack("delivery").tables.values():
        for check in table.checks:
            column = table.columns[check.columns[0]]
            values = re.findall(r"'([^']*)'", check.sql) if column.length and " IN " in check.sql else []
            too_long += [(table.name, column.name, v) for v in values if len(v) > (column.length or 0)]
    assert not too_long
