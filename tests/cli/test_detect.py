"""The commands `detect` and `findings`."""

from __future__ import annotations

import csv
import io
import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from .conftest import Cli


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    """Ninety days of sales with one odd day, and a click log with a spell."""
    with (tmp_path / "sales.csv").open("w") as file:
        file.write("day,sold\n")
        for i in range(90):
            file.write(f"{date(2024, 1, 1) + timedelta(days=i)},{40 if i == 80 else 100 + 20 * (i % 7 == 5) + i % 3}\n")
    with (tmp_path / "clicks.csv").open("w") as file:
        file.write("day,event,platform\n")
        for i in range(60):
            for event, n in (("view", 9), ("error", 5 if 20 <= i < 30 else 0)):
                for _ in range(n):
                    file.write(f"{date(2024, 1, 1) + timedelta(days=i)},{event},{'ios' if event == 'error' else 'web'}\n")
    return tmp_path


def test_a_series_in_a_file(cli: Cli, sales: Path) -> None:
    run = cli("detect", sales / "sales.csv", "--time", "day", "--value", "sold", "--format", "json")
    assert run.code == 0
    answer = json.loads(run.out)
    assert [(row["period"], row["value"]) for row in answer["rows"]] == [("2024-03-21", 40.0)]
    assert answer["checked"][0]["state"] == "fired"
    table = cli("detect", sales / "sales.csv", "--time", "day", "--value", "sold").out
    assert "2024-03-21" in table and "warning" in table
    rows = list(csv.DictReader(io.StringIO(cli("detect", sales / "sales.csv", "--time", "day", "--value", "sold",
                                               "--format", "csv").out)))  # fmt: skip
    assert rows[0]["detector"] == "series"
    strict = cli("detect", sales / "sales.csv", "--time", "day", "--value", "sold", "--param", "threshold=1000")
    assert "no rows" in strict.out


def test_spells_in_a_file(cli: Cli, sales: Path) -> None:
    run = cli("detect", sales / "clicks.csv", "--time", "day", "--by", "event,platform", "--format", "json")
    (row,) = [r for r in json.loads(run.out)["rows"] if "error" in r["subject"]]
    assert (row["subject"], row["period"], row["until"]) == ("event=error, platform=ios", "2024-01-21", "2024-01-30")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--time", "day"), "--value"),
        (("--value", "sold"), "--time and --value"),
        (("--time", "day", "--value", "gone"), "no column gone"),
        (("--time", "sold", "--by", "day", "--since", "2024-01-01"), "no --since"),
        (("--time", "day", "--value", "sold", "--param", "threshold=high"), "threshold should be a number"),
    ],
)
def test_a_series_is_asked_rightly(cli: Cli, sales: Path, args: tuple[str, ...], says: str) -> None:
    run = cli("detect", sales / "sales.csv", *args)
    assert run.code == 2 and says in run.err and run.err.count("\n") == 1 and "Traceback" not in run.err


def test_detectors_of_a_warehouse(cli: Cli, warehouse: Path) -> None:
    run = cli("-w", warehouse, "detect", "--pack", "delivery")
    assert run.code in (0, 2) and "Traceback" not in run.err
    run = cli("-w", warehouse, "detect", "nothing_like_it")
    assert run.code == 2 and "no detector named nothing_like_it" in run.err
    run = cli("-w", warehouse, "detect", "--simulate", "--since", "2024-01-01")
    assert run.code == 2


def test_an_empty_queue(cli: Cli, warehouse: Path) -> None:
    run = cli("-w", warehouse, "findings", "--format", "json")
    assert run.code == 0 and json.loads(run.out) == {"rows": []}
    assert cli("-w", warehouse, "findings", "--state", "gone").code == 2
    assert cli("-w", warehouse, "findings", "--note", "x").code == 2
    assert "none of the queue's ids" in cli("-w", warehouse, "findings", "--close", "abc").err
