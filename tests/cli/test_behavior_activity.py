"""sessions, retention and lifecycle from the command line."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Cli

CSV = "u,t,e\na,2024-03-01 10:00:00,open\na,2024-03-02 10:00:00,pay\nb,2024-03-01 11:00:00,open\n"
COLUMNS = ("clicks.csv", "--user", "u", "--time", "t")


def test_the_methods_read_a_file(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "clicks.csv").write_text(CSV)
    run = cli("retention", *COLUMNS, "--event", "e", "--return-event", "pay", "--days", "1", "--as-of", "2024-03-02",
              "--format", "json", "--chart", "r.json")  # fmt: skip
    assert run.code == 0
    assert [(r["day"], r["rate"]) for r in json.loads(run.out)["rows"]] == [(0, 0.0), (1, 0.5)]
    assert (tmp_path / "r.json").exists()
    run = cli("lifecycle", *COLUMNS, "--format", "csv")
    assert run.out.splitlines()[-1] == "2024-03-02,1,0,1,0,1,1"
    assert len(cli("sessions", *COLUMNS, "--format", "csv").out.splitlines()) == 4


def test_the_methods_read_a_table(cli: Cli, warehouse: Path) -> None:
    run = cli("retention", "delivery.fact_orders", "-w", warehouse, "--user", "customer_id", "--time",
              "order_timestamp", "--days", "7", "--grain", "week", "--format", "json")  # fmt: skip
    assert run.code == 0
    first = json.loads(run.out)["rows"][0]
    assert first["day"] == 0
    assert first["rate"] == 1


def test_mistakes_end_in_one_line(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "clicks.csv").write_text(CSV)
    for args, words in [
        (("retention", "clicks.csv", "--user", "usr", "--time", "t"), "has no column usr"),
        (("sessions", "none.csv", "--user", "u", "--time", "t"), "there is no such file"),
        (("retention", *COLUMNS, "--brackets", "x"), "no bracket of days"),
        (("lifecycle", *COLUMNS, "--chart", "x.doc"), "should end in"),
    ]:
        run = cli(*args)
        assert run.code == 2
        assert words in run.err
        assert run.err.count("\n") == 1
