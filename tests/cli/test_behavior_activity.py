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


APP = """user,device,at,event,platform,got,screen
ann,phone,2024-03-01 10:00:00,open,ios,2024-03-01 10:00:01,feed
ann,phone,2024-03-01 10:06:00,view,ios,2024-03-01 10:06:01,chat
ann,tablet,2024-03-01 08:07:00,open,ios,2024-03-01 10:07:00,film
ann,tablet,2024-03-01 08:25:00,view,ios,2024-03-01 10:25:00,film
"""
APP_COLUMNS = ("app.csv", "--user", "user", "--time", "at", "--event", "event", "--device", "device")


def test_sessions_of_joined_devices_with_clocks_set_right(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "app.csv").write_text(APP)
    run = cli("sessions", *APP_COLUMNS, "--devices", "joined", "--platform", "platform", "--received", "got", "--format", "json")
    found = json.loads(run.out)
    assert [(r["events"], r["devices"], r["platforms"], r["seconds"]) for r in found["rows"]] == [(4, 2, 1, 1500)]
    assert (found["clocks_off"], found["shifted"]) == (1, 2)
    assert "SELECT" in cli("sessions", *APP_COLUMNS, "--sql").out


def test_time_spent_by_feature(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "app.csv").write_text(APP)
    run = cli("sessions", *APP_COLUMNS, "--feature", "screen", "--by", "platform", "--grain", "day", "--last", "10",
              "--received", "got", "--tz", "Europe/Berlin", "--format", "json")  # fmt: skip
    assert [(r["period"], r["platform"], r["feature"], r["seconds"]) for r in json.loads(run.out)["rows"]] == [
        ("2024-03-01", "ios", "film", 1090), ("2024-03-01", "ios", "feed", 360), ("2024-03-01", "ios", "chat", 10)
    ]  # fmt: skip


def test_sessions_are_kept(cli: Cli, tmp_path: Path, warehouse: Path) -> None:
    (tmp_path / "app.csv").write_text(APP)
    keep = ("sessions", *APP_COLUMNS, "--keep", "app_sessions", "-w", "own.duckdb", "--format", "json")
    assert json.loads(cli(*keep).out)["made_anew"] == 2
    (tmp_path / "app.csv").write_text(APP + "ann,phone,2024-03-01 10:20:00,view,ios,2024-03-01 10:20:01,feed\n")
    found = json.loads(cli(*keep).out)
    assert [(r["change"], r["device_id"], r["events"]) for r in found["rows"]] == [("changed", "phone", 3)]
    assert (found["added"], found["changed"], found["removed"]) == (0, 1, 0)
    assert json.loads(cli(*keep, "--gap", "10").out)["notes"] == [
        "the sessions in app_sessions were made by other rules: all 4 made anew"
    ]
    orders = ("sessions", "delivery.fact_orders", "-w", warehouse, "--user", "customer_id", "--time", "order_timestamp")
    run = cli(*orders, "--keep", "delivery")
    assert run.code == 2
    assert "the schema delivery holds other tables" in run.err
    assert json.loads(cli(*orders, "--keep", "visits", "--format", "json").out)["made_anew"] > 0
    assert len(cli("show", "visits.sessions", "-w", warehouse, "--limit", "2", "--format", "csv").out.splitlines()) == 3


def test_options_of_sessions_that_do_not_meet(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "app.csv").write_text(APP)
    for options, words in [
        (("--by", "platform"), "--by tells of time spent: name a --feature"), (("--last", "0"), "--last tells of time spent"),
        (("--feature", "screen", "--platform", "platform"), "--platform is of sessions"),
        (("--keep", "k", "--as-of", "2024-03-01"), "--as-of is not for sessions to --keep"),
        (("--keep", "No Name"), "is no name of a schema"), (("--devices", "joined", "--join", "-1"), "join is minutes above 0"),
        (("--feature", "nosuch"), "no column nosuch"),
    ]:  # fmt: skip
        run = cli("sessions", *APP_COLUMNS, *options)
        assert run.code == 2, options
        assert words in run.err
        assert run.err.count("\n") == 1
