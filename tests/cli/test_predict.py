"""`prodsense forecast` and `prodsense predict` on files, on a warehouse and on metrics."""

from __future__ import annotations

import csv
import io
import json
import random
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from .conftest import Cli


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    random.seed(1)
    path = tmp_path / "sales.csv"
    lines = ["day,city,revenue"]
    for i in range(120):
        for city, level in (("north", 100), ("south", 40)):
            value = level + 0.3 * i + 15 * (i % 7 == 5) + random.gauss(0, 3)
            lines.append(f"{date(2024, 1, 1) + timedelta(days=i)},{city},{value:.3f}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def people(tmp_path: Path) -> Path:
    random.seed(2)
    path = tmp_path / "people.csv"
    lines = ["id,plan,visits,left,months,ended"]
    for i in range(400):
        plan, visits = random.choice(["free", "pro"]), random.randint(0, 20)
        left = random.random() < (0.6 if plan == "free" else 0.25) * (1.3 if visits < 5 else 0.7)
        months = max(1, round(random.expovariate(0.05 if plan == "pro" else 0.15)))
        lines.append(f"p{i},{plan},{visits},{'yes' if left else 'no'},{min(months, 24)},{int(months <= 24)}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def visits(tmp_path: Path) -> Path:
    random.seed(3)
    path = tmp_path / "visits.csv"
    lines = ["who,at,what,paid"]
    for user in range(250):
        at, end, rate = random.uniform(0, 60), random.expovariate(1 / 120), random.uniform(0.03, 0.4)
        end += at
        while at < min(end, 160):
            moment = datetime(2024, 1, 1) + timedelta(days=at)
            lines.append(f"u{user},{moment:%Y-%m-%d %H:%M:%S},{random.choice(['view', 'pay'])},{random.uniform(5, 40):.2f}")
            at += random.expovariate(rate)
    path.write_text("\n".join(lines) + "\n")
    return path


def test_forecast_of_a_file(cli: Cli, sales: Path, tmp_path: Path) -> None:
    asked = ("forecast", sales, "--time", "day", "--value", "revenue", "--by", "city", "--horizon", "7d")
    run = cli(*asked, "--format", "json", "--chart", tmp_path / "fan.svg")
    assert run.code == 0, run.err
    found = json.loads(run.out)
    assert len(found["rows"]) == 14 and set(found["rows"][0]) == {"city", "time", "forecast", "low", "high", "baseline"}
    assert [s["city"] for s in found["series"]] == ["north", "south"] and found["horizon"] == 7
    assert (tmp_path / "fan.svg").read_text().startswith("<svg")
    table = list(csv.DictReader(io.StringIO(cli(*asked, "--format", "csv").out)))
    assert float(table[0]["forecast"]) == pytest.approx(found["rows"][0]["forecast"])
    assert "past origins" in cli(*asked, "--where", "city = 'north'").out
    assert "SELECT" in cli(*asked, "--sql").out


def test_forecast_of_a_goal(cli: Cli, sales: Path) -> None:
    asked = ("forecast", sales, "--time", "day", "--value", "revenue", "--grain", "day", "--target", "6000", "--since", "2024-04-01",
             "--by", "2024-05-10")  # fmt: skip
    run = cli(*asked, "--format", "json")
    assert run.code == 0, run.err
    goal = json.loads(run.out)["goals"][0]
    assert goal["by"] == "2024-05-10" and 0 <= goal["probability"] <= 1 and goal["done"] > 4000
    # Level: about 2 · 0.3 a day on 140 + 15 on Saturdays.
    level = json.loads(cli(*asked[:8], "--target", "500", "--by", "2024-05-10", "--level", "--at-most", "--format", "json").out)["goals"][0]
    assert level["probability"] > 0.95 and level["kind"] == "level"


def test_forecast_of_a_metric(cli: Cli, warehouse: Path) -> None:
    run = cli("forecast", "delivery.total_order_volume", "-w", warehouse, "--horizon", "5", "--format", "json")
    assert run.code == 0, run.err
    found = json.loads(run.out)
    assert len(found["rows"]) == 5 and found["step"] == "day" and found["series"][0]["values"] >= 30


def test_outcome_and_survival(cli: Cli, people: Path, tmp_path: Path) -> None:
    asked = ("predict", "outcome", people, "--label", "left", "--id", "id", "--features", "plan,visits")
    run = cli(*asked, "--top", "5", "--format", "json", "--chart", tmp_path / "lift.svg", "--picture", "lift")
    assert run.code == 0, run.err
    found = json.loads(run.out)
    assert len(found["rows"]) == 5 and set(found["rows"][0]) == {"id", "outcome", "probability", "decile", "reasons"}
    assert found["verdict"]["beats"] and [m["baseline"] for m in found["metrics"]] == [False, True, True]
    assert (tmp_path / "lift.svg").read_text().startswith("<svg")
    assert len(list(csv.DictReader(io.StringIO(cli(*asked, "--top", "0", "--format", "csv").out)))) == 400
    run = cli("predict", "survival", people, "--duration", "months", "--observed", "ended", "--covariate", "plan", "--at", "12", "--format", "json")
    assert run.code == 0, run.err
    found = json.loads(run.out)
    assert found["rows"][0]["covariate"] == "plan=pro" and found["rows"][0]["high"] < 1
    assert 0 < found["survival"][0]["survival"] < 1


@pytest.mark.slow
def test_churn_and_lifetime_value(cli: Cli, visits: Path) -> None:
    asked = ("predict", "churn", visits, "--user", "who", "--time", "at", "--event", "what", "--horizon", "21d")
    run = cli(*asked, "--format", "json", "--top", "3")
    assert run.code == 0, run.err
    found = json.loads(run.out)
    assert len(found["rows"]) == 3 and found["label"] == "no event within 21 days" and found["metrics"][2]["model"] == "recency rule"
    assert "recency_days" in cli(*asked, "--sql").out
    run = cli("predict", "ltv", visits, "--customer", "who", "--time", "at", "--amount", "paid", "--horizon", "6w", "--format", "json")
    assert run.code == 0, run.err
    found = json.loads(run.out)
    assert found["judged"]["metrics"][0]["model"] == "bg/nbd" and found["rows"][0]["value"] > 0


def test_churn_of_a_pack(cli: Cli, warehouse: Path) -> None:
    """The pack's event table needs no columns; five weeks are too short for the default and the reason says so."""
    run = cli("predict", "churn", "delivery", "-w", warehouse)
    assert run.code == 2 and "choose a shorter horizon" in run.err
    assert cli("predict", "churn", "delivery", "-w", warehouse, "--horizon", "7d", "--cutoffs", "3").code == 0


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("forecast", "SALES", "--time", "day", "--value", "revenue"), "several values at 2024-01-01"),
        (("forecast", "SALES", "--time", "day", "--value", "revenue", "--by", "city", "--target", "5"), "needs the day by which"),
        (("forecast", "SALES", "--time", "day", "--value", "revenue", "--season", "a"), "seasons are numbers"),
        (("forecast", "delivery.total_order_volume", "--value", "revenue"), "--value goes with a table"),
        (("predict", "outcome", "SALES"), "--label"),
        (("predict", "churn", "SALES"), "name its columns for user and time"),
        (("predict", "survival", "SALES"), "--duration"),
        (("predict", "ltv", "SALES"), "customer"),
    ],
)
def test_wrong_usage_is_one_line(cli: Cli, sales: Path, args: tuple[str, ...], says: str) -> None:
    run = cli(*(sales if arg == "SALES" else arg for arg in args))
    assert run.code == 2 and says in run.err and run.err.count("\n") == 1 and run.out == ""
