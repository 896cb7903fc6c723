"""What holds of every pack: all that is declared is sound, documented, portable, and drawn without an error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pack_kit import errors, tiny_file

import prodsense.warehouse
from prodsense.contracts.sql import parse_select, qualify_tables
from prodsense.engines.dialect import DIALECTS, render
from prodsense.errors import ProdsenseError
from prodsense.inference.checks import check_detector, check_tree
from prodsense.metrics import Scope, check_scope
from prodsense.metrics.scope import inferred_columns
from prodsense.metrics.validate import sliceable
from prodsense.packs import load_pack, pack_names
from prodsense.packs.pack import Pack
from prodsense.warehouse import Warehouse


@pytest.fixture(scope="module", params=pack_names())
def pack(request: pytest.FixtureRequest) -> Pack:
    return load_pack(request.param)


@pytest.fixture(scope="module")
def tiny(pack: Pack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    path = tiny_file(pack.name, tmp_path_factory.mktemp(pack.name) / "tiny.duckdb")
    with prodsense.warehouse.open(path, read_only=True) as warehouse:
        yield warehouse


@pytest.mark.versions
@pytest.mark.slow
def test_definitions_are_sound(pack: Pack) -> None:
    scope = Scope.of(pack)
    assert not list(check_scope(scope))
    for detector in pack.detectors.values():
        check_detector(detector, scope)
    for tree in pack.trees.values():
        check_tree(tree, scope)
    known = set(sliceable(scope))
    assert [(m.name, by) for m in pack.metrics.values() for by in m.by if (m.name, by) not in known] == []


@pytest.mark.versions
@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_sql_is_portable(pack: Pack, dialect: str) -> None:
    for kind in ("models", "queries", "policies"):
        for name, artefact in getattr(pack, kind).items():
            if artefact.sql:
                assert render(qualify_tables(parse_select(artefact.sql, name), pack.name), dialect), name


def test_every_column_is_documented(pack: Pack) -> None:
    scope = Scope.of(pack)
    for table in pack.tables.values():
        assert table.says, table.name
        assert [c.name for c in table.columns.values() if not c.says] == [], table.name
    for model in pack.models.values():
        assert model.says, model.name
        assert list(model.columns) == list(inferred_columns(scope, model)), model.name


def test_every_listed_value_fits_the_length_of_its_column(pack: Pack) -> None:
    """Decision 12: `en_route_to_restaurant` would not fit the VARCHAR(20) that was first asked for."""
    too_long = []
    for table in pack.tables.values():
        for check in table.checks:
            column = table.columns[check.columns[0]]
            listed = check.sql.split("'")[1::2] if column.length and " IN " in check.sql else []
            too_long += [(table.name, column.name, value) for value in listed if len(value) > (column.length or 0)]
    assert not too_long


def test_what_is_named_exists(pack: Pack) -> None:
    names = {entry["name"] for entry in pack.catalogue()}
    for question in pack.questions.values():
        assert set(question.answers) <= names, question.id
        assert set(question.headline) <= set(pack.metrics), question.id
    for experiment in pack.experiments.values():
        assert {*experiment.primary, *experiment.guardrails} <= set(pack.metrics), experiment.name
        assert len(set(experiment.arms)) >= 2
    for pipeline in pack.pipelines.values():
        assert set(pipeline.models) <= set(pack.models), pipeline.name
        assert pipeline.models or pipeline.run
    for chart in pack.charts.values():
        assert set(chart.metrics) <= set(pack.metrics), chart.name
        assert not chart.query or chart.query in pack.queries, chart.name
    for dashboard in pack.dashboards.values():
        assert set(dashboard.by) <= set(pack.dimensions), dashboard.name
        for section in dashboard.sections:
            assert set(section.metrics) <= set(pack.metrics), section.title
            assert {chart for chart in section.charts if isinstance(chart, str)} <= set(pack.charts), section.title
            assert set(section.policies) <= set(pack.policies), section.title


def test_events_name_each_field_once(pack: Pack) -> None:
    for event in pack.events.values():
        names = [field.name for field in event.fields]
        assert len(set(names)) == len(names), event.name


@pytest.mark.slow
def test_every_chart_has_data(pack: Pack, tiny: Warehouse) -> None:
    for name, chart in pack.charts.items():
        if chart.query:
            few = {key: 1 for key in chart.params if key.startswith("min_")}  # tiny data are too few for a picture
            assert tiny.query(f"{pack.name}.{chart.query}", **{**chart.params, **few}).rows, name
        else:
            asked: Any = [f"{pack.name}.{metric}" for metric in chart.metrics]
            assert tiny.metric(*asked, by=list(chart.by), grain=chart.grain).rows, name


@pytest.mark.versions
@pytest.mark.slow
def test_pages_show_no_error(pack: Pack, tiny: Warehouse) -> None:
    for name in pack.dashboards:
        assert errors(tiny.dashboard(f"{pack.name}.{name}")) == [], name


@pytest.mark.slow
def test_an_empty_warehouse_answers_nothing_and_refuses_with_a_reason(pack: Pack) -> None:
    with prodsense.warehouse.open(":memory:") as warehouse:
        assert warehouse.build(pack.name).ok
        names = [f"{pack.name}.{metric.name}" for metric in pack.metrics.values() if not metric.hidden]
        assert all(row[name.rpartition(".")[2]] is None for row in warehouse.metric(*names, grain="all").rows for name in names)
        assert not pack.detectors or warehouse.detect(pack=pack.name).rows == []
        assert [result.name for result in warehouse.policies(pack=pack.name) if not result.holds] == []
        for ask, artefacts in ((warehouse.query, pack.queries), (warehouse.analyze, pack.analyses), (warehouse.policies, pack.policies)):
            for name in artefacts:
                try:
                    ask(f"{pack.name}.{name}")
                except ProdsenseError as error:
                    assert error.message and "\n" not in error.message, name
