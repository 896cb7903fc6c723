"""Looking around without a warehouse: catalogue, schema, lineage; the doctor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prodsense.doctor import Finding, _fits, examine_pack
from prodsense.packs import load_pack

from .conftest import Cli


def test_the_catalogue_as_json_is_a_list_of_all_entries(cli: Cli) -> None:
    entries = json.loads(cli("catalog", "--json").out)
    assert isinstance(entries, list)
    for entry in entries:
        assert list(entry)[:4] == ["pack", "kind", "name", "says"]
        assert entry["says"], entry["name"]
    metric = next(entry for entry in entries if entry["name"] == "on_time_rate")
    assert (metric["pack"], metric["kind"], metric["unit"], metric["better"]) == ("delivery", "metric", "share", "up")


def test_the_catalogue_can_be_narrowed(cli: Cli) -> None:
    kinds = {entry["kind"] for entry in json.loads(cli("catalog", "--kind", "query", "--json").out)}
    assert kinds == {"query"}
    found = json.loads(cli("catalog", "--search", "ON time rate", "--json").out)
    assert found
    assert all("time" in f"{entry['name']} {entry['says']}".lower() for entry in found)
    text = cli("catalog", "--pack", "delivery", "--kind", "query").out
    assert text.startswith("delivery · query (")
    assert "min_deliveries=20" in text


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--kind", "metrik"], "error: no artefacts of kind metrik. Did you mean metric?"),
        (["--pack", "delivry"], "error: no pack named delivry. Did you mean delivery?"),
        (["--search", "xyzzy"], "error: nothing found for 'xyzzy'"),
    ],
)
def test_a_catalogue_with_nothing_in_it_says_so(cli: Cli, args: list[str], message: str) -> None:
    run = cli("catalog", *args)
    assert run.err.startswith(message)
    assert run.code == 2


def test_schema_in_three_forms(cli: Cli) -> None:
    assert cli("schema", "delivery").out.startswith("erDiagram\n    dim_customers ||--o{ fact_orders : customer_id\n")
    schemas = json.loads(cli("schema", "delivery", "--format", "json-schema").out)
    assert schemas["tables"]["fact_orders"]["title"] == "delivery.fact_orders"
    assert cli("schema", "delivery", "--format", "sql").out == load_pack("delivery").schema_text


@pytest.mark.slow
def test_lineage_in_three_forms(cli: Cli) -> None:
    tree = cli("lineage", "on_time_rate")
    assert tree.code == 0
    assert "delivery.fact_deliveries (table)" in tree.out
    found = json.loads(cli("lineage", "delivery.on_time_rate", "--format", "json").out)
    assert found["kind"] == "metric"
    assert "delivery.fact_deliveries.actual_delivery_time_minutes" in found["columns"]["on_time_rate"]
    assert cli("lineage", "delivery_facts", "--format", "mermaid").out.startswith("flowchart LR\n")
    wrong = cli("lineage", "on_tme_rate")
    assert wrong.err.startswith("error: no model or metric named on_tme_rate. Did you mean on_time_rate")
    assert not Path("prodsense.duckdb").exists()


# -- doctor ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_doctor_finds_a_built_warehouse_in_order(
    cli: Cli, warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each pack's definitions have a test of their own (tests/packs/test_every_pack.py).
    monkeypatch.setattr("prodsense.packs.pack_names", lambda: ["delivery"])
    run = cli("doctor", "-w", warehouse)
    assert run.code == 0
    assert all(line[0] in "✓!" for line in run.out.splitlines())
    assert "✓ pack delivery: " in run.out
    assert f"✓ warehouse {warehouse}: duckdb, can be read; holds delivery" in run.out
    assert "✓ models of delivery: all" in run.out
    assert "✓ quarantine: empty" in run.out


def test_the_doctor_in_json(cli: Cli, warehouse: Path, no_pack_checks: None) -> None:
    rows = json.loads(cli("doctor", "--format", "json", "-w", warehouse).out)["rows"]
    assert {tuple(row) for row in rows} == {("level", "about", "says", "do")}
    assert len(rows) == len(cli("doctor", "-w", warehouse).out.splitlines())


def test_the_doctor_says_what_is_missing_and_what_to_do(cli: Cli, tmp_path: Path, no_pack_checks: None) -> None:
    missing = cli("doctor")
    assert missing.code == 0
    assert missing.out.startswith("! warehouse prodsense.duckdb: not there yet; make one: prodsense demo")
    (tmp_path / "dim_customers.csv").write_text("customer_id,customer_since_date\n1,2024-01-01\nx,2024-01-01\n")
    (tmp_path / "fact_orders.csv").write_text(
        "order_id,customer_id,restaurant_id,order_timestamp,order_total_cents,item_count,date_partition\n"
        "1,1,7,2024-01-01 10:00:00,100,1,2024-01-01\n"
    )
    cli("ingest", "dim_customers.csv", "fact_orders.csv", "--pack", "delivery")
    run = cli("doctor")
    assert run.code == 0, "warnings alone are no failure"
    warnings = [line for line in run.out.splitlines() if line.startswith("! ")]
    assert any("never built" in line and "prodsense build --pack delivery" in line for line in warnings)
    assert any(line.startswith("! quarantine of delivery.dim_customers: 1 row") for line in warnings)
    # No restaurant was ever loaded: the order was accepted and points nowhere.
    assert any("fact_orders: 1 row" in line and "delivery.dim_restaurants" in line for line in warnings)


def test_the_doctor_fails_on_what_is_no_warehouse(cli: Cli, tmp_path: Path, no_pack_checks: None) -> None:
    (tmp_path / "notes.duckdb").write_text("no database " * 2000)
    run = cli("doctor", "-w", "notes.duckdb")
    assert run.code == 1
    assert run.out.startswith("✗ warehouse notes.duckdb: ")
    assert run.err.startswith("error: 1 check failed")


def test_broken_definitions_are_found_one_by_one() -> None:
    from types import SimpleNamespace

    from prodsense.contracts.tables import read_schema
    from prodsense.contracts.vocabulary import (
        Detector,
        EventSource,
        Experiment,
        Metric,
        MetricTree,
        Model,
        Policy,
        Query,
        Question,
        Role,
        Subject,
    )

    pack = SimpleNamespace(
        name="shop",
        tables=read_schema("CREATE TABLE orders (id INT PRIMARY KEY, price INT, day DATE)", "shop"),
        models={"bad_model": Model("bad_model", "Says.", "SELECT colour FROM orders", path="shop/bad_model.sql")},
        dimensions={},
        metrics={
            "good": Metric("good", "Says.", "count", "up", "COUNT(*)", "orders", time="day"),
            "bad_metric": Metric("bad_metric", "Says.", "count", "up", "SUM(weight)", "orders", time="day"),
        },
        queries={"bad_query": Query("bad_query", "Says.", "SELECT * FROM nowhere", path="shop/queries/bad_query.sql")},
        experiments={
            "bad_test": Experiment(
                "bad_test", "Says.", "order", ("a", "b"), ("goood",), key="id",
                sql="SELECT text_of(id) AS unit, 'a' AS arm, CAST(NULL AS TIMESTAMP) AS assigned_at FROM orders",
            )
        },
        policies={"bad_policy": Policy("bad_policy", "Says.", "SELECT id FROM orders WHERE shade = 1")},
        trees={"bad_tree": MetricTree("bad_tree", "Says.", "good", "price * volume")},
        detectors={"bad_detector": Detector("bad_detector", "Says.", "SELECT hue FROM orders")},
        questions={"Q1": Question("Q1", "What?", ("good", "ghost"))},
        event_source=EventSource("orders", "buyer", "day"),
        roles={"bad_role": Role("bad_role", rows={"orders": "shop = 1"})},
        subjects={"bad_subject": Subject("bad_subject", "", "orders.buyer")},
        privacy=lambda name, default: {"PEOPLE": {"orders": "SUM(heads)"}}.get(name, default),
        catalogue=lambda: [{"name": "good"}],
    )
    found = {finding.about: finding for finding in examine_pack(pack)}  # type: ignore[arg-type]
    assert set(found) == {
        "models of shop", "metric shop.bad_metric", "query shop.bad_query", "policy shop.bad_policy",
        "tree shop.bad_tree", "detector shop.bad_detector", "question Q1",
        "event table of shop", "experiment shop.bad_test", "role shop.bad_role", "subject shop.bad_subject",
        "people of shop",
    }
    assert all(finding.level == "error" for finding in found.values())
    for about, word in [("models of shop", "colour"), ("metric shop.bad_metric", "weight"),
                        ("query shop.bad_query", "nowhere"), ("policy shop.bad_policy", "shade"),
                        ("tree shop.bad_tree", "price"), ("detector shop.bad_detector", "hue"),
                        ("question Q1", "ghost"), ("event table of shop", "buyer"),
                        ("role shop.bad_role", "shop"), ("subject shop.bad_subject", "buyer"),
                        ("people of shop", "heads"),
                        ("experiment shop.bad_test", "goood")]:  # fmt: skip
        assert word in found[about].says


@pytest.mark.parametrize(
    ("version", "bounds", "fits"),
    [
        ("2.0.0", ">=1.5,<3", True), ("1.4.9", ">=1.5,<3", False), ("3.0.0", ">=1.5,<3", False),
        ("1.5", ">=1.5", True), ("30.30.0", "<31,>=30.20", True), ("1.10.0", ">=1.9", True), ("1.0", "", True),
    ],
)  # fmt: skip
def test_version_bounds(version: str, bounds: str, fits: bool) -> None:
    assert _fits(version, bounds) is fits


def test_a_finding_in_a_line() -> None:
    assert str(Finding("warning", "models", "stale", "run: prodsense build")) == "! models: stale; run: prodsense build"
    assert str(Finding("ok", "python", "3.11")) == "✓ python: 3.11"
