"""`prodsense funnel` on a file and on a table of a warehouse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Cli

CLICKS = """user_id,ts,event,country
1,2024-05-01 10:00:00,view,de
1,2024-05-01 10:05:00,cart,de
1,2024-05-01 10:10:00,pay,de
2,2024-05-01 11:00:00,view,fr
2,2024-05-01 11:05:00,remove,fr
2,2024-05-01 11:09:00,cart,fr
3,2024-05-02 10:00:00,view,de
3,2024-05-02 13:00:00,cart,de
4,2024-05-20 10:00:00,view,de
"""
COLUMNS = ("--user", "user_id", "--time", "ts", "--event", "event")
STEPS = ("--step", "view", "--step", "cart", "--step", "?coupon", "--step", "pay")


@pytest.fixture
def clicks(tmp_path: Path) -> Path:
    path = tmp_path / "clicks.csv"
    path.write_text(CLICKS)
    return path


def test_a_file(cli: Cli, clicks: Path, tmp_path: Path) -> None:
    run = cli(
        "funnel", clicks, *COLUMNS, *STEPS, "--within", "7d", "--format", "json", "--chart", tmp_path / "funnel.json"
    )
    assert run.code == 0, run.err
    found = json.loads(run.out)
    assert [(r["name"], r["count"]) for r in found["rows"]] == [("view", 3), ("cart", 3), ("coupon", 0), ("pay", 1)]
    assert found["censored"] == 1 and found["within"] == "7d"
    assert (tmp_path / "funnel.json").exists()


@pytest.mark.slow
def test_options_reach_the_method(cli: Cli, clicks: Path) -> None:
    def counts(*options: str) -> list[str]:
        run = cli("funnel", clicks, *COLUMNS, "--step", "view", "--step", "cart", "--within", "7d", *options,
                  "--format", "csv")  # fmt: skip
        assert run.code == 0, run.err
        head, *lines = run.out.splitlines()
        at = head.split(",").index("count")
        return [line.split(",")[at] for line in lines]

    assert counts() == ["3", "3"]
    assert counts("--without", "cart=remove") == ["3", "2"]
    assert counts("--exclude", "remove") == ["3", "2"]
    assert counts("--step-within", "cart=1h") == ["3", "2"]
    assert counts("--order", "strict") == ["3", "2"]
    assert counts("--by", "country") == ["2", "2", "1", "1"]
    assert counts("--since", "2024-05-02", "--until", "2024-05-03") == ["1", "1"]
    assert counts("--where", "country = 'fr'", "--as-of", "2024-06-01") == ["1", "1"]
    assert counts("--as-of", "2024-05-30") == ["4", "3"]


def test_a_table_of_the_warehouse(cli: Cli, tmp_path: Path) -> None:
    from prodsense.engines.duckdb import DuckDBEngine

    (tmp_path / "c.csv").write_text(CLICKS)
    engine = DuckDBEngine(tmp_path / "shop.duckdb")
    engine.execute("CREATE SCHEMA shop")
    engine.raw(f"CREATE TABLE shop.clicks AS FROM read_csv('{tmp_path / 'c.csv'}')")
    engine.close()
    run = cli("funnel", "clicks", *COLUMNS, *STEPS, "--within", "7d", "-w", tmp_path / "shop.duckdb")
    assert run.code == 0, run.err
    assert "1 user left out: 7d since entry not over" in run.out
    sql = cli("funnel", "clicks", *COLUMNS, *STEPS, "--within", "7d", "--sql", "-w", tmp_path / "shop.duckdb").out
    assert "'coupon'" in sql and "shop" in sql


def test_who_drops(cli: Cli, tmp_path: Path) -> None:
    # 40 users view; of 20 on web all pay, of 20 on app none, and those see an error before the others have paid.
    lines = ["user_id,ts,event,platform"]
    for user in range(40):
        where = "web" if user < 20 else "app"
        lines.append(f"{user},2024-05-01 10:00:00,view,{where}")
        lines.append(f"{user},2024-05-01 10:{'05' if user < 20 else '01'}:00,{'pay' if user < 20 else 'error'},{where}")
    (tmp_path / "log.csv").write_text("\n".join(lines) + "\n")
    asked = ("funnel", "log.csv", *COLUMNS, "--step", "view", "--step", "pay", "--within", "1h", "--as-of", "2024-05-02")
    run = cli(*asked, "--drops", "platform", "--drops-events", "--format", "json", "--chart", "drops.json")
    assert run.code == 0, run.err
    found = json.loads(run.out)
    assert {(r["kind"], r["property"], r["value"], r["dropped"], r["converted"]) for r in found["rows"]} == {
        ("attribute", "platform", "app", 20, 0), ("attribute", "platform", "web", 0, 20),
        ("event", "event", "error", 20, 0),
    }  # fmt: skip
    assert found["steps"] == [{"step": 2, "name": "pay", "dropped": 20, "converted": 20}]
    assert (tmp_path / "drops.json").exists()
    assert "error" not in cli(*asked, "--drops", "platform", "--format", "csv").out
    run = cli(*asked, "--drops", "platform", "--by", "platform")
    assert run.code == 2 and "--by has no meaning beside --drops" in run.err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--step", "view", "--step", "cart"], "a funnel needs a window"),
        (["--step", "view", "--within", "7d"], "at least two steps"),
        (["--step", "view", "--step", "cart", "--step-within", "carts=1h"], "no step named carts"),
        (["--step", "view", "--step", "cart", "--step-within", "1h"], "--step-within 1h: write it as STEP=VALUE"),
        (["--step", "view", "--step", "cart", "--within", "1d", "--chart", "f.gif"], "the file should end in"),
        (["--step", "view", "--step", "cart", "--within", "1d", "--compare", "previous"], "give since"),
    ],
)
def test_wrong_usage(cli: Cli, clicks: Path, args: list[str], message: str) -> None:
    run = cli("funnel", clicks, *COLUMNS, *args)
    assert run.code == 2 and message in run.err
