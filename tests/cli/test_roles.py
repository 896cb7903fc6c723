"""--as ROLE on the command line, and forget."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from .conftest import Cli

PARTNER = ("--as", "partner", "--actor", "restaurant_id=1002")


def test_a_role_reads_its_own_rows_and_says_what_is_hidden(cli: Cli, warehouse: Path) -> None:
    whole = json.loads(cli("metric", "total_order_volume", "--by", "restaurant", "--format", "json", "-w", warehouse).out)
    run = cli("metric", "total_order_volume", "--by", "restaurant", "--format", "json", "-w", warehouse, *PARTNER)
    assert (run.code, run.err) == (0, "")
    answer = json.loads(run.out)
    own = next(row for row in whole["rows"] if row["restaurant"] == 1002)
    assert answer["rows"] == [{**own, "suppressed": False}]
    assert answer["sql"] == []
    few = ("--as", "partner", "--actor", "restaurant_id=1008")
    days = cli("metric", "total_order_volume", "--grain", "day", "--format", "json", "-w", warehouse, *few)
    rows = json.loads(days.out)["rows"]
    assert all(row["total_order_volume"] is None for row in rows if row["suppressed"])
    assert {row["suppressed"] for row in rows} == {True, False}


def test_no_role_lasts_beyond_its_command(cli: Cli, warehouse: Path) -> None:
    assert cli("show", "fact_orders", "--limit", "1", "-w", warehouse, *PARTNER).code == 1
    assert cli("show", "fact_orders", "--limit", "1", "-w", warehouse).code == 0


def test_what_a_role_may_not_do_is_one_line(cli: Cli, warehouse: Path) -> None:
    for args, code, said in (
        (("show", "fact_orders", *PARTNER), 1, "role partner may not ask for stored rows of delivery"),
        (("metric", "average_batch_size", *PARTNER), 1, "role partner may not read delivery.batches"),
        (("metric", "total_order_volume", "--sql", *PARTNER), 1, "may not see SQL"),
        (("metric", "total_order_volume", "--as", "partner"), 2, "--actor restaurant_id=..."),
        (("metric", "total_order_volume", "--as", "partner", "--actor", "restaurant"), 2, "write it as NAME=VALUE"),
        (("metric", "total_order_volume", "--actor", "restaurant_id=1"), 2, "add --as ROLE"),
        (("metric", "total_order_volume", "--as", "boss"), 2, "no role named boss"),
        (("retention", "delivery", "--as", "executive"), 1, "role executive may not ask for"),
        (("query", "open_batches", "--as", "analyst"), 1, "may not see driver_lat"),
        (("metric", "total_order_volume", "--benchmark", "--by", "restaurant", *PARTNER), 2, "--benchmark takes"),
        (("metric", "total_order_volume", "--benchmark"), 2, "role that has peers"),
    ):  # fmt: skip
        run = cli(*args, "-w", warehouse)
        assert (run.code, run.out) == (code, "")
        assert said in run.err
        assert run.err.count("\n") == 1


def test_an_analyst_sees_guarded_sql(cli: Cli, warehouse: Path) -> None:
    run = cli("metric", "total_order_volume", "--sql", "--as", "analyst", "-w", warehouse)
    assert run.code == 0
    assert "delivery.orders" in run.out


def test_a_benchmark(cli: Cli, warehouse: Path) -> None:
    run = cli("metric", "total_order_volume", "--grain", "all", "--benchmark", "--format", "json", "-w", warehouse,
              *PARTNER)  # fmt: skip
    row = json.loads(run.out)["rows"][0]
    assert (row["restaurant"], row["metric"], row["peers"]) == (1002, "total_order_volume", 11)
    assert row["low"] < row["middle"] < row["high"]


def test_a_project_s_settings_are_in_force(cli: Cli, warehouse: Path, tmp_path: Path) -> None:
    (tmp_path / "prodsense.toml").write_text(
        '[roles.partner]\nk = 100000\n[roles.shift]\nlike = "operations"\nhide = ["tip_amount_cents"]\n'
    )
    run = cli("metric", "total_order_volume", "--format", "json", "-w", warehouse, *PARTNER)
    assert json.loads(run.out)["rows"][0] == {"period": None, "total_order_volume": None, "suppressed": True}
    run = cli("show", "fact_orders", "--format", "csv", "--limit", "1", "--as", "shift", "-w", warehouse)
    assert "tip_amount_cents" not in run.out
    (tmp_path / "prodsense.toml").write_text("[roles.partner]\nkk = 1\n")
    run = cli("metric", "total_order_volume", "-w", warehouse, *PARTNER)
    assert (run.code, "has no setting kk" in run.err) == (2, True)


def test_forget_counts_and_deletes(cli: Cli, warehouse: Path, tmp_path: Path) -> None:
    copy = shutil.copy(warehouse, tmp_path / "copy.duckdb")
    rows = json.loads(cli("show", "fact_orders", "--limit", "1", "--format", "json", "-w", copy).out)["rows"]
    who = str(rows[0]["customer_id"])
    dry = cli("forget", "--subject", who, "--dry-run", "--format", "json", "-w", copy)
    done = cli("forget", "--subject", who, "--format", "json", "-w", copy)
    assert dry.code == done.code == 0
    first, second = json.loads(dry.out), json.loads(done.out)
    assert first["rows"] == second["rows"]
    assert (first["dry_run"], second["dry_run"]) == (True, False)
    assert {"table": "delivery.dim_customers", "deleted": 1, "emptied": 0, "days": 0} in second["rows"]
    left = cli("show", "fact_orders", "--where", f"customer_id = {who}", "--format", "json", "-w", copy)
    assert json.loads(left.out)["rows"] == []
    assert cli("forget", "--subject", "Anna", "-w", copy).code == 2
    assert cli("forget", "--subject", who, "--kind", "rider", "-w", copy).code == 2
    assert cli("forget", "-w", copy).code == 2
    assert cli("forget", "--subject", who, "-w", tmp_path / "none.duckdb").code == 1
