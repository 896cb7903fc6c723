"""The command `explain`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Cli


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    """Errors and requests of two minutes: the payment route fails on phones in the second."""
    path = tmp_path / "requests.csv"
    with path.open("w") as file:
        file.write("minute,route,device,errors,requests,wanted\n")
        for minute in (1, 2):
            for route in ("pay", "read", "find"):
                for device in ("phone", "desk"):
                    bad = (minute, route, device) == (2, "pay", "phone")
                    file.write(f"{minute},{route},{device},{300 if bad else 10},1000,10\n")
    return path


def test_a_ratio_in_a_file(cli: Cli, requests: Path) -> None:
    ratio = ("explain", requests, "--numerator", "errors", "--denominator", "requests", "--time", "minute")
    run = cli(*ratio, "--from", "1", "--to", "2", "--format", "json")
    assert run.code == 0, run.err
    answer = json.loads(run.out)
    assert answer["rows"][0]["slice"] == "route=pay&device=phone"
    assert answer["answers"][0]["where"] == {"route": "pay", "device": "phone"}
    assert answer["label"] == "observational" and answer["from"] == "1" and answer["to"] == "2"
    assert (answer["before"], answer["after"]) == (60 / 6000, 350 / 6000)
    table = cli(*ratio, "--to", "2").out
    assert "route=pay&device=phone" in table and "1.0% in before 2" in table


def test_a_forecast_in_a_file(cli: Cli, requests: Path) -> None:
    run = cli("explain", requests, "--value", "errors", "--expected", "wanted", "--where", "minute = 2", "--dims",
              "route,device", "--format", "json")  # fmt: skip
    assert json.loads(run.out)["rows"][0]["slice"] == "route=pay&device=phone"


def test_a_metric_of_a_warehouse(cli: Cli, warehouse: Path, tmp_path: Path) -> None:
    run = cli("-w", warehouse, "explain", "batch_revenue", "--from", "2024-01-01..2024-01-14", "--to",
              "2024-01-15..2024-01-28", "--dims", "algorithm,vehicle_type", "--out", tmp_path / "why.html",
              "--chart", tmp_path / "why.json", "--format", "json")  # fmt: skip
    assert run.code == 0, run.err
    answer = json.loads(run.out)
    assert answer["dims"] == ["algorithm", "vehicle_type"]
    assert {row["part"] for row in answer["tree"]} == {"batch_delivery_fees", "batch_tips"}
    assert sum(row["effect"] for row in answer["tree"]) == pytest.approx(answer["delta"], rel=1e-9)
    page = (tmp_path / "why.html").read_text()
    assert "Why delivery.batch_revenue moved" in page and "observational" in page
    assert json.loads((tmp_path / "why.json").read_text())


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("on_time_rate", "--from", "2024-01-01"), "name both times"),
        (("on_time_rate", "--from", "2024-01-01", "--to", "2024-01-01"), "overlap"),
        (("on_time_rate", "--from", "2024-01-01", "--to", "soon"), "should be a date"),
        (("no_such_metric", "--from", "2024-01-01", "--to", "2024-01-02"), "no metric named"),
        (("on_time_rate", "--from", "2024-01-01", "--to", "2024-01-02", "--dims", "colour"), "no dimension named"),
        (("requests.csv", "--from", "1", "--to", "2"), "is a file"),
        (("requests.csv", "--value", "errors", "--time", "minute"), "which time"),
        (("requests.csv", "--value", "errors", "--time", "minute", "--to", "2", "--tree", "x"), "belongs to a metric"),
        (("on_time_rate", "--from", "2024-01-01", "--to", "2024-01-02", "--chart", "x.bmp"), "should end in"),
        (("on_time_rate", "--from", "2024-01-01", "--to", "2024-01-02", "--out", "x.doc"), "should end in"),
    ],
)
def test_wrong_questions_get_one_line(
    cli: Cli, warehouse: Path, requests: Path, args: tuple[str, ...], says: str
) -> None:
    run = cli("-w", warehouse, "explain", *args)
    assert run.code == 2 and says in run.err and run.err.count("\n") == 1, run.err
