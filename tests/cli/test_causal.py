"""`prodsense causal` on files, on a warehouse's tables and on metrics."""

from __future__ import annotations

import csv
import io
import json
import random
from pathlib import Path

import pytest

from .conftest import Cli


@pytest.fixture
def shops(tmp_path: Path) -> Path:
    """12 shops over 20 weeks, a rise of 5 in half of them from week 13; shop 0 is one of those."""
    random.seed(1)
    path = tmp_path / "shops.csv"
    lines = ["shop,week,pilot,after,first,sales,size,size_before"]
    for shop in range(12):
        level = random.gauss(20, 2)
        for week in range(1, 21):
            pilot, after = int(shop % 2 == 0), int(week >= 13)
            y = level + 0.2 * week + 5 * pilot * after + random.gauss(0, 0.5)
            size = level + random.gauss(0, 4)
            lines.append(f"s{shop},{week},{pilot},{after},{13 * pilot},{y:.4f},{size:.4f},{size + random.gauss(0, 1):.4f}")
    path.write_text("\n".join(lines) + "\n")
    return path


PANEL = ("--outcome", "sales", "--unit", "shop", "--time", "week")
CALLS = {
    "did": ("did", *PANEL, "--treated", "pilot", "--since", "13"),
    "event-study": ("event-study", *PANEL, "--treated", "pilot", "--since", "13"),
    "staggered": ("staggered", *PANEL, "--cohort", "first"),
    "synthetic": ("synthetic", *PANEL, "--treated-unit", "s0", "--since", "13", "--donor", "s1,s3,s5,s7,s9"),
    "matching": ("matching", "--outcome", "sales", "--treated", "after", "--covariate", "size", "--placebo-outcome", "size_before"),
    "interrupted": ("interrupted", "--outcome", "sales", "--time", "week", "--since", "13", "--where", "pilot = 1"),
    "regression": ("regression", "--outcome", "sales", "--on", "after,size", "--cluster", "shop"),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_each_method_answers_with_label_and_checks(cli: Cli, shops: Path, tmp_path: Path, name: str) -> None:
    verb, *options = CALLS[name]
    run = cli("causal", verb, shops, *options, "--format", "json", "--chart", tmp_path / "effect.svg")
    assert run.code == 0, run.err
    found = json.loads(run.out)
    assert found["label"] == ("observational" if name in ("matching", "regression") else "quasi-experimental")
    assert found["rows"] and found["assumptions"] and set(found["estimate"]) >= {"value", "low", "high", "p_value"}
    if found["label"] == "quasi-experimental":
        assert found["estimate"]["low"] < 5 < found["estimate"]["high"] and found["estimate"]["low"] > 0
    assert (tmp_path / "effect.svg").read_text().startswith("<svg")
    table = cli("causal", verb, shops, *options)
    assert table.code == 0 and f"{found['label']}: " in table.out


@pytest.mark.parametrize("name", CALLS)
def test_help_has_an_example_and_the_warehouse(cli: Cli, name: str) -> None:
    run = cli("causal", name, "--help")
    assert run.code == 0 and f"prodsense causal {name} " in run.out and "-w, --warehouse PATH|URL" in run.out


def test_csv_and_sql(cli: Cli, shops: Path) -> None:
    run = cli("causal", *CALLS["did"][:1], shops, *CALLS["did"][1:], "--format", "csv")
    assert [r["term"] for r in csv.DictReader(io.StringIO(run.out))] == ["effect", "treated", "after", "constant"]
    run = cli("causal", *CALLS["did"][:1], shops, *CALLS["did"][1:], "--sql")
    assert "SELECT" in run.out and "GROUP BY" in run.out


def test_values_of_a_unit_may_be_treated(cli: Cli, shops: Path) -> None:
    units = [part for shop in range(0, 12, 2) for part in ("--treated-unit", f"s{shop}")]
    run = cli("causal", "did", shops, *PANEL, *units, "--since", "13", "--format", "json")
    named = cli("causal", *CALLS["did"][:1], shops, *CALLS["did"][1:], "--format", "json")
    assert json.loads(run.out)["estimate"] == pytest.approx(json.loads(named.out)["estimate"])


def test_tables_and_metrics_of_a_warehouse(cli: Cli, warehouse: Path) -> None:
    run = cli("-w", warehouse, "causal", "regression", "fact_orders", "--outcome", "tip_amount_cents",
              "--on", "order_total_cents", "--cluster", "customer_id", "--where", "tip_amount_cents > 0",
              "--format", "json")  # fmt: skip
    assert run.code == 0, run.err
    found = json.loads(run.out)
    assert found["clusters"][0] > 10 and [row["term"] for row in found["rows"]] == ["order_total_cents", "constant"]
    metric = cli("-w", warehouse, "metric", "delivery.on_time_rate", "--grain", "day", "--format", "json")
    days = [row["period"] for row in json.loads(metric.out)["rows"]]
    run = cli("-w", warehouse, "causal", "interrupted", "--metric", "delivery.on_time_rate", "--grain", "day",
              "--since", days[24], "--format", "json")  # fmt: skip
    assert run.code == 0, run.err
    found = json.loads(run.out)
    assert found["label"] == "quasi-experimental" and found["season"] == 7
    actual = {row["period"]: row["actual"] for row in found["series"]}
    known = {row["period"]: row["on_time_rate"] for row in json.loads(metric.out)["rows"]}
    assert actual[days[3]] == pytest.approx(known[days[3]])


def test_a_slice_of_a_metric_is_a_panel(cli: Cli, warehouse: Path) -> None:
    plain = json.loads(cli("-w", warehouse, "metric", "delivery.on_time_rate", "--by", "vehicle_type", "--grain", "week",
                           "--format", "json").out)  # fmt: skip
    weeks = sorted({row["period"] for row in plain["rows"]} - set(plain["incomplete"]))
    vehicle = plain["rows"][0]["vehicle_type"]
    run = cli("-w", warehouse, "causal", "did", "--metric", "delivery.on_time_rate", "--by", "vehicle_type",
              "--treated-unit", vehicle, "--since", weeks[2], "--errors", "robust", "--format", "json")  # fmt: skip
    assert run.code == 0, run.err
    values = {(r["vehicle_type"], r["period"]): r["on_time_rate"] for r in plain["rows"] if r["period"] in weeks}

    def mean(mine: bool, after: bool) -> float:
        chosen = [v for (who, week), v in values.items()
                  if (who == vehicle) == mine and (week >= weeks[2]) == after and v is not None]  # fmt: skip
        return sum(chosen) / len(chosen)

    expected = mean(True, True) - mean(True, False) - mean(False, True) + mean(False, False)
    assert json.loads(run.out)["estimate"]["value"] == pytest.approx(expected)


def test_wrong_usage_is_one_line_and_exit_2(cli: Cli, shops: Path) -> None:
    for args, message in {
        ("did", shops, "--outcome", "sales", "--after", "after"): "say who is treated",
        ("did", "--outcome", "sales", "--treated", "pilot", "--after", "after"): "name either a table or file",
        ("did", shops, "--treated", "pilot", "--after", "after"): "name the column of the outcome",
        ("did", shops, "--outcome", "sale", "--treated", "pilot", "--after", "after"): "Did you mean sales",
        ("did", "--metric", "delivery.on_time_rate", "--unit", "x", "--treated", "p"): "a metric brings its own",
        ("did", "--metric", "delivery.on_time_rate", "--treated-unit", "p", "--since", "2024-01-01"): "--by",
        ("did", shops, *PANEL, "--by", "x", "--treated", "pilot", "--since", "13"): "--by goes with --metric",
        ("synthetic", shops, "--outcome", "sales", "--treated-unit", "s0", "--since", "13"): "needs --unit",
        ("interrupted", shops, "--outcome", "sales", "--since", "13"): "needs --time",
        ("did", "no.csv", *PANEL, "--treated", "pilot", "--since", "13"): "there is no such file",
        ("did", shops, *PANEL, "--treated", "pilot", "--since", "13", "--chart", "a.gif"): "should end in",
    }.items():
        run = cli("causal", *args)
        assert run.code == 2 and message in run.err and len(run.err.splitlines()) == 1, (args, run.err)
    assert cli("causal", "magic").code == 2
