"""Data in and models up to date: counts, refusals, rebuilds, restatement."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Cli

PEOPLE = "customer_id,customer_since_date\n1,2024-01-01\n2,2024-01-02\n3,nonsense\n1,2024-01-01\n"


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "dim_customers.csv"
    path.write_text(PEOPLE)
    return path


def test_every_row_read_is_counted_and_quarantine_is_no_failure(cli: Cli, people: Path) -> None:
    run = cli("ingest", people, "--pack", "delivery", "-w", "w.duckdb")
    assert run.code == 0
    assert run.out.splitlines()[0] == "delivery.dim_customers: 2 accepted + 1 duplicate + 1 quarantined = 4 read"
    assert run.err == (
        "note: 1 row is in quarantine; see why: prodsense show prodsense.quarantine -w w.duckdb\n"
    )
    shown = cli("show", "prodsense.quarantine", "--format", "json", "-w", "w.duckdb")
    rows = json.loads(shown.out)["rows"]
    assert [(row["relation"], row["row_number"], row["column_name"]) for row in rows] == [
        ("delivery.dim_customers", 3, "customer_since_date"),
    ]


def test_the_same_file_again_is_nothing_to_do(cli: Cli, people: Path) -> None:
    cli("ingest", people, "--pack", "delivery")
    run = cli("ingest", people, "--pack", "delivery")
    assert run.code == 0
    assert run.out.startswith("delivery.dim_customers: nothing to do")
    assert len(json.loads(cli("show", "dim_customers", "--format", "json").out)["rows"]) == 2


def test_a_file_of_another_name_needs_its_table(cli: Cli, people: Path, tmp_path: Path) -> None:
    other = people.rename(tmp_path / "export 7.csv")
    assert cli("ingest", other, "--table", "delivery.dim_customers").out.splitlines()[0].endswith("= 4 read")


def test_a_refused_file_fails_but_the_others_are_loaded(cli: Cli, people: Path, tmp_path: Path) -> None:
    broken = tmp_path / "dim_restaurants.csv"
    broken.write_text("restaurant_id\n1\n")  # lacks columns that have to be there
    run = cli("ingest", broken, people, "--pack", "delivery")
    assert run.code == 1
    assert run.out.startswith("delivery.dim_customers: 2 accepted")
    errors = [line for line in run.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "restaurant_name" in errors[0]


def test_a_path_with_nothing_there_makes_no_warehouse(cli: Cli) -> None:
    run = cli("ingest", "nothing.csv", "--table", "delivery.dim_customers")
    assert (run.code, run.err) == (1, "error: nothing.csv: no such file or folder\n")
    assert not Path("prodsense.duckdb").exists()


@pytest.mark.slow
def test_build_restate_and_build_again(cli: Cli, city: Path) -> None:
    assert cli("ingest", city, "--pack", "delivery").code == 0
    first = cli("build")
    assert first.code == 0
    assert "delivery.delivery_facts: full" in first.out
    again = cli("build", "--pack", "delivery")
    assert "delivery.delivery_facts: unchanged" in again.out
    restated = cli("restate", "delivery_facts", "--since", "2024-01-10", "--until", "2024-01-12")
    assert restated.code == 0
    assert restated.out.startswith("delivery.delivery_facts: ")
    assert " 0 changed" in restated.out.splitlines()[0]
    full = cli("build", "--full", "--since", "2024-01-10", "--until", "2024-01-12")
    assert full.code == 0
    assert "delivery.delivery_facts: incremental" in full.out


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["build", "--since", "soon"], 2, "error: 'soon' is no day; write it like 2024-01-31"),
        (["build", "--since", "2024-02-01", "--until", "2024-01-01"], 2, "error: the window from 2024-02-01"),
        (["restate", "nope", "--since", "2024-01-01", "--until", "2024-01-02"], 2, "error: no model named nope."),
        (["restate", "delivery_facts", "--since", "2024-01-01", "--until", "2024-01-02"], 1,
         "error: delivery.delivery_facts was never built"),
    ],
)  # fmt: skip
def test_what_cannot_be_built(cli: Cli, people: Path, args: list[str], code: int, message: str) -> None:
    cli("ingest", people, "--pack", "delivery")
    run = cli(*args)
    assert run.err.startswith(message)
    assert (run.code, run.err.count("\n")) == (code, 1)


def test_an_empty_warehouse_has_nothing_to_build(cli: Cli) -> None:
    from prodsense.engines.duckdb import DuckDBEngine

    DuckDBEngine("prodsense.duckdb").close()
    run = cli("build")
    assert (run.code, run.out) == (1, "")
    assert run.err.startswith("error: prodsense.duckdb holds no pack's tables yet; load some: ")


@pytest.mark.slow
def test_a_pipeline_is_built_or_run_by_name(cli: Cli) -> None:
    def counts(out: str) -> list[str]:
        return next(line.split() for line in out.splitlines() if line.startswith("fact_orders "))

    assert counts(cli("build", "--pipeline", "delivery_setup_script").out) == ["fact_orders", "3", "0", "0"]
    assert counts(cli("build", "--pipeline", "delivery.delivery_setup_script").out) == ["fact_orders", "0", "3", "0"]
    assert "delivery.route_feedback" in cli("build", "--pipeline", "route_feedback_loop").out
    wrong = cli("build", "--pipeline", "route_feedback_loop", "--full")
    assert (wrong.code, "goes alone" in wrong.err) == (2, True)
