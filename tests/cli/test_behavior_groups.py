"""survival and cohorts from the command line, and what retention and lifecycle take of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Cli

CLICKS = """u,t,e,city
a,2024-03-01 10:00:00,open,Berlin
a,2024-03-02 10:00:00,pay,Berlin
b,2024-03-01 11:00:00,open,Paris
c,2024-03-03 11:00:00,open,Paris
c,2024-03-03 12:00:00,pay,Paris
"""
COLUMNS = ("clicks.csv", "--user", "u", "--time", "t", "--event", "e")


@pytest.fixture(autouse=True)
def clicks(tmp_path: Path) -> None:
    (tmp_path / "clicks.csv").write_text(CLICKS)


def answer(cli: Cli, *args: str) -> dict[str, Any]:
    run = cli(*args, "--format", "json")
    assert run.code == 0, run.err
    found: dict[str, Any] = json.loads(run.out)
    return found


def test_survival(cli: Cli, tmp_path: Path) -> None:
    options = ("--start", "open", "--end", "pay", "--unit", "hours", "--chart", "s.json")
    found = answer(cli, "survival", *COLUMNS, *options)
    # c pays after 1 hour of 3 at risk, a after 24; b is seen for 49 hours without paying.
    assert [(row["time"], row["at_risk"], round(row["survival"], 6)) for row in found["rows"]] == [
        (0.0, 3, 1.0), (1.0, 3, 0.666667), (24.0, 2, 0.333333),
    ]
    assert found["groups"][0]["censored"] == 1 and found["groups"][0]["median"] == 24.0
    assert (tmp_path / "s.json").exists()
    assert {row["city"] for row in answer(cli, "survival", *COLUMNS, *options[:4], "--by", "city")["rows"]} == {
        "Berlin", "Paris",
    }
    assert answer(cli, "survival", *COLUMNS, *options[:4], "--since", "2024-03-02")["groups"][0]["subjects"] == 1
    assert "GROUP BY" in cli("survival", *COLUMNS, *options[:4], "--sql").out


def test_cohorts_tell_size_and_overlap(cli: Cli) -> None:
    rules = ("--in", "buyers: event=pay", "--in", "Paris: where=city = 'Paris'")
    found = answer(cli, "cohorts", *COLUMNS, *rules)
    assert found["everyone"] == 3 and found["sizes"] == {"buyers": 2, "Paris": 2}
    users = {(row["cohort"], row["other"]): (row["users"], row["share"]) for row in found["rows"]}
    assert users["buyers", "Paris"] == users["Paris", "buyers"] == (1, 0.5)
    assert users["(everyone)", "buyers"] == (2, 2 / 3)
    assert "66.7%" in cli("cohorts", *COLUMNS, *rules).out


def test_cohorts_list_the_users_of_all(cli: Cli) -> None:
    rules = ("--in", "buyers: event=pay", "--in", "Paris: where=city = 'Paris'")
    assert cli("cohorts", *COLUMNS, *rules[:2], "--users", "--format", "csv").out.split() == ["user_id", "a", "c"]
    assert cli("cohorts", *COLUMNS, *rules, "--users", "--format", "csv").out.split() == ["user_id", "c"]


def test_retention_in_a_cohort_against_the_others(cli: Cli) -> None:
    found = answer(
        cli, "retention", *COLUMNS, "--in", "buyers: event=pay, within_days=2", "--days", "1", "--grain", "all",
        "--as-of", "2024-03-04",
    )  # fmt: skip
    assert [(row["buyers"], row["day"], row["size"], row["rate"]) for row in found["rows"]] == [
        ("in", 0, 2, 1.0), ("in", 1, 2, 0.5), ("not in", 0, 1, 1.0), ("not in", 1, 1, 0.0),
    ]
    rows = answer(cli, "retention", *COLUMNS, "--days", "0", "--since", "2024-03-02", "--until", "2024-03-04",
                  "--as-of", "2024-03-04")["rows"]  # fmt: skip
    assert [(row["cohort"], row["size"]) for row in rows] == [("2024-03-03", 1)]


def test_lifecycle_of_one_event(cli: Cli) -> None:
    rows = answer(cli, "lifecycle", *COLUMNS, "--active", "pay")["rows"]
    assert [(row["period"], row["active"], row["churned"]) for row in rows] == [("2024-03-02", 1, 0), ("2024-03-03", 1, 1)]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["cohorts", "--in", "buyers"], "write it as NAME: event=pay"),
        (["cohorts", "--in", "event=pay: x"], "write it as NAME: event=pay"),
        (["cohorts", "--in", "a: evnt=pay"], "'evnt=pay' is none of event="),
        (["cohorts", "--in", "a: at_least=two"], "at_least is a whole number, not 'two'"),
        (["cohorts", "--in", "a: event=pay, event=open"], "event is given twice"),
        (["cohorts", "--in", "a: event=pay", "--in", "a: event=open"], "two cohorts share a name"),
        (["cohorts", "--in", "a: where=town = 'x'"], "town"),
        (["cohorts", "--in", "a: event=pay", "--users", "--chart", "x.png"], "--chart has no meaning for --users"),
        (["survival"], "Missing option '--end'"),
        (["survival", "--end", "pay", "--confidence", "2"], "confidence lies between 0 and 1"),
    ],
)
def test_wrong_usage(cli: Cli, args: list[str], message: str) -> None:
    run = cli(args[0], *COLUMNS, *args[1:])
    assert run.code == 2, run.out + run.err
    assert message in run.err and run.err.count("\n") == 1
