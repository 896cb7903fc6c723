"""Experiments on any table: what is asked, in which order it is told, what is refused and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import Result
from typer.testing import CliRunner

import prodsense as ps
from prodsense.cli.app import app
from prodsense.errors import ProdsenseError, UsageError


@pytest.fixture(scope="module")
def users() -> pd.DataFrame:
    """A planted effect of +2 on revenue and of −0.3 on latency, in units of everyone; 3,000 users, three countries."""
    rng = np.random.default_rng(12)
    n = 3000
    on = rng.random(n) < 0.5
    before = rng.gamma(2, 10, n)
    visits = 1 + rng.poisson(4, n)
    return pd.DataFrame({
        "user": np.arange(n), "arm": np.where(on, "B", "A"), "country": rng.choice(["de", "fr", "it"], n),
        "revenue": before + rng.gamma(2, 5, n) + 2 * on, "before": before, "visits": visits,
        "orders": rng.binomial(visits, 0.2 + 0.05 * on), "latency": rng.normal(3, 1, n) - 0.3 * on,
        "bought": rng.random(n) < 0.3, "noise": rng.normal(0, 1, n),
        "day": pd.Timestamp("2024-05-01") + pd.to_timedelta(rng.integers(0, 10, n), unit="D"),
    })


def row_of(found: Any, metric: str) -> dict[str, Any]:
    return next(row for row in found.rows if row["metric"] == metric)


def test_planted_effects_are_found_and_shipped(users: pd.DataFrame) -> None:
    found = ps.experiment(
        users, arm="arm", metrics=["revenue", "conversion=ratio:orders/visits", "slow=quantile:latency@0.9"],
        guardrails={"latency": "5%", "bought": 0.05}, lower_is_better=["latency", "slow"],
        covariates={"revenue": "before"},
    )
    assert found.decision == "ship"
    assert found.to_dict()["label"] == "randomised"
    revenue = row_of(found, "revenue")
    assert revenue["ci_low"] < 2 < revenue["ci_high"]
    assert revenue["variance_reduction"] > 0.5
    assert revenue["adjusted_for"] == "before"
    ratio = row_of(found, "conversion")
    frame = users.groupby("arm")[["orders", "visits"]].sum()
    assert ratio["treatment_mean"] == pytest.approx(frame.orders["B"] / frame.visits["B"])
    assert ratio["ci_low"] < 0.05 < ratio["ci_high"]
    slow = row_of(found, "slow")
    assert (slow["control_mean"], slow["treatment_mean"]) == tuple(
        pytest.approx(users[users.arm == a].latency.quantile(0.9)) for a in "AB")
    assert slow["verdict"] == "better"
    assert {row["guardrail"] for row in found.rows if row["role"] == "guardrail"} == {"within"}


def test_the_split_comes_before_the_effects(users: pd.DataFrame) -> None:
    found = ps.experiment(users, arm="arm", metrics="revenue")
    text = str(found)
    assert text.index("sample ratio") < text.index("revenue") < text.index("decision")
    keys = list(found.to_dict())
    assert keys.index("srm") < keys.index("rows") < keys.index("decision")
    columns = found.arrow.column_names
    assert columns.index("ci_high") < columns.index("p_value")


def test_a_broken_split_stops_all(users: pd.DataFrame) -> None:
    lost = users[(users.arm == "A") | (users.user % 4 != 0)]
    found = ps.experiment(lost, arm="arm", metrics="revenue")
    assert (found.srm["status"], found.decision) == ("broken", "stop")
    assert "split is not as planned" in found.reasons[0]
    share = len(lost[lost.arm == "B"]) / len(lost)
    assert ps.experiment(lost, arm="arm", metrics="revenue", shares={"A": 1 - share, "B": share}).decision == "ship"


def test_nothing_is_found_where_nothing_is(users: pd.DataFrame) -> None:
    found = ps.experiment(users, arm="arm", metrics=["noise", "bought"])
    assert (found.decision, found.reasons) == ("hold", ["no primary metric is better at the level 0.05"])


def test_harm_stops_and_guardrails_bind(users: pd.DataFrame) -> None:
    worse = users.assign(revenue=users.revenue - 5 * (users.arm == "B"))
    assert ps.experiment(worse, arm="arm", metrics="revenue").decision == "stop"
    slow = users.assign(latency=users.latency + 1.0 * (users.arm == "B"))
    found = ps.experiment(slow, arm="arm", metrics="revenue", guardrails={"latency": 0.5}, lower_is_better="latency")
    assert found.decision == "stop"
    assert found.reasons == ["guardrail latency is worse by more than its margin 0.5"]
    narrow = ps.experiment(users, arm="arm", metrics="revenue", guardrails={"noise": 0.0001})
    assert narrow.decision == "hold"
    assert "guardrail noise is not shown to stay within its margin 0.0001" in narrow.reasons[1]


def test_a_fixed_test_waits_for_its_plan(users: pd.DataFrame) -> None:
    assert ps.experiment(users, arm="arm", metrics="revenue", planned_units=4000).decision == "hold"
    assert ps.experiment(users, arm="arm", metrics="revenue", planned_units=3000).decision == "ship"
    assert ps.experiment(users, arm="arm", metrics="revenue", covariates="before", planned_units=4000,
                         sequential=True).decision == "ship"


def test_each_treatment_is_judged_by_itself(users: pd.DataFrame) -> None:
    three = users.assign(arm=np.where(users.user % 3 == 0, "C", users.arm))
    three.loc[three.arm == "C", "revenue"] -= 20
    found = ps.experiment(three, arm="arm", metrics="revenue", covariates="before")
    assert found.decision == "ship"
    assert found.extras["by_arm"] == {"B": "ship", "C": "stop"}
    p = [row["p_value"] for row in found.rows]
    assert [row["p_adjusted"] for row in found.rows] == pytest.approx(
        [min(1, 2 * min(p)) if q == min(p) else max(max(p), min(1, 2 * min(p))) for q in p])


def test_rows_of_a_unit_are_added_up_and_leaks_left_out(users: pd.DataFrame) -> None:
    rows = pd.concat([users.assign(revenue=users.revenue * 0.5)] * 2)
    expected = row_of(ps.experiment(users, arm="arm", metrics="revenue", covariates="before"), "revenue")
    found = ps.experiment(rows, arm="arm", unit="user", metrics="revenue", covariates="before")
    assert row_of(found, "revenue")["se"] == pytest.approx(expected["se"], rel=1e-10)
    leak = pd.concat([users, users.iloc[:20].assign(arm="B"), users.iloc[:20].assign(arm="A")])
    seen = ps.experiment(leak, arm="arm", unit="user", metrics="revenue")
    assert seen.extras["facts"]["several_arms"] == 20
    assert sum(seen.srm["observed"].values()) == 2980
    many = pd.concat([users, users.iloc[:200].assign(arm="B"), users.iloc[:200].assign(arm="A")])
    assert ps.experiment(many, arm="arm", unit="user", metrics="revenue").decision == "hold"


def test_segments_share_the_error_and_ask_whether_they_differ(users: pd.DataFrame) -> None:
    planted = users.assign(revenue=users.revenue + np.where((users.arm == "B") & (users.country == "fr"), 8, 0))
    found = ps.experiment(planted, arm="arm", metrics=["revenue", "noise"], segments="country")
    lines = {(s["metric"], s["value"]): s for s in found.extras["segments"]}
    assert len(lines) == 6
    assert lines["revenue", "fr"]["effect"] == pytest.approx(10, abs=3)
    assert lines["revenue", "fr"]["p_interaction"] < 0.001
    assert lines["noise", "fr"]["p_interaction"] > 0.05
    p = [s["p_value"] for s in lines.values()]
    assert lines["revenue", "fr"]["p_adjusted"] == pytest.approx(min(1.0, 6 * min(p)))


def test_the_effect_over_time_ends_at_the_whole(users: pd.DataFrame) -> None:
    found = ps.experiment(users, arm="arm", metrics="revenue", time="day")
    series = found.extras["series"]
    assert len(series) == 10
    last = row_of(found, "revenue")
    assert (series[-1]["effect"], series[-1]["ci_low"]) == pytest.approx((last["effect"], last["ci_low"]), rel=1e-9)
    assert series[0]["n_control"] < series[-1]["n_control"] == last["n_control"]
    assert all(s["always_low"] < s["ci_low"] for s in series)


def test_strata_and_an_own_slope(users: pd.DataFrame) -> None:
    far = users.assign(revenue=users.revenue + users.country.map({"de": 0, "fr": 50, "it": 100}))
    plain = row_of(ps.experiment(far, arm="arm", metrics="revenue"), "revenue")
    found = row_of(ps.experiment(far, arm="arm", metrics="revenue", strata="country"), "revenue")
    assert found["se"] < 0.5 * plain["se"]
    assert found["ci_low"] < 2 < found["ci_high"]
    lin = row_of(ps.experiment(users, arm="arm", metrics="revenue", covariates="before", adjustment="lin"), "revenue")
    cuped = row_of(ps.experiment(users, arm="arm", metrics="revenue", covariates="before"), "revenue")
    assert lin["effect"] == pytest.approx(cuped["effect"], abs=0.05)


@pytest.mark.parametrize(("change", "asked", "why"), [
    ({}, {"where": "arm = 'A'"}, "only one arm"),
    ({}, {"where": "user < 0"}, "no unit has an arm"),
])
def test_nothing_to_compare_is_an_error(
    users: pd.DataFrame, change: dict[str, Any], asked: dict[str, Any], why: str
) -> None:
    with pytest.raises(ProdsenseError, match=why):
        ps.experiment(users.assign(**change), arm="arm", metrics="revenue", **asked)


@pytest.mark.parametrize(("column", "values", "asked", "why"), [
    ("flat", lambda u: 3.0, {}, "does not vary"),
    ("gone", lambda u: np.where(u.arm == "A", u.revenue, np.nan), {}, "arm B has no units with a value"),
    ("few", lambda u: np.where(u.user < 20, u.revenue, np.nan), {"min_units": 30}, "at least 30 are needed"),
    ("revenue", lambda u: u.revenue, {"covariates": "none_before"}, "no time before the assignment"),
    ("revenue", lambda u: u.revenue, {"covariates": "same_before"}, "same for all units"),
])
def test_a_metric_without_a_result_says_why(
    users: pd.DataFrame, column: str, values: Any, asked: dict[str, Any], why: str
) -> None:
    data = users.assign(none_before=pd.Series(np.nan, users.index), same_before=7.0)
    data[column] = values(data)
    data[column] = data[column].astype(object).where(data[column].notna(), None).astype("Float64")
    data["none_before"] = data["none_before"].astype("Float64").where(data["none_before"].notna(), None)
    found = ps.experiment(data, arm="arm", metrics=column, **asked)
    row = found.rows[0]
    assert why in row["refused"]
    assert row["effect"] is row["p_value"] is row["ci_low"] is None
    assert found.decision == "hold"
    assert why in str(found)


@pytest.mark.parametrize(("asked", "why"), [
    ({"metrics": "revenu"}, "Did you mean revenue"),
    ({"metrics": ()}, "at least one metric"),
    ({"metrics": "country"}, "not numbers"),
    ({"metrics": "ratio:orders"}, "ratio is written"),
    ({"metrics": "quantile:latency"}, "quantile is written"),
    ({"metrics": "revenue", "guardrails": ["latency"]}, "METRIC:MARGIN"),
    ({"metrics": "revenue", "guardrails": {"latency": "-1"}}, "margin"),
    ({"metrics": "revenue", "control": "C"}, "none of the arms A, B"),
    ({"metrics": "revenue", "shares": {"C": 1.0}}, "none of the arms"),
    ({"metrics": "revenue", "winsorize": 2}, "winsorize"),
    ({"metrics": "revenue", "alpha": 0}, "alpha"),
    ({"metrics": "revenue", "correction": "x"}, "no correction"),
    ({"metrics": "revenue", "covariates": {"x": "before"}}, "no such metric"),
    ({"metrics": "revenue", "lower_is_better": "latency"}, "no metric asked for"),
    ({"metrics": ["revenue", "revenue"]}, "named twice"),
    ({"metrics": "revenue", "where": "1; DROP TABLE x"}, "where"),
])
def test_what_is_asked_wrongly_is_refused(users: pd.DataFrame, asked: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        ps.experiment(users, arm="arm", **asked)


def invoke(*args: str) -> Result:
    return CliRunner().invoke(app, ["experiment", *args])


def test_the_command(users: pd.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / "users.parquet"
    users.to_parquet(file)
    out = tmp_path / "readout.html"
    done = invoke(str(file), "--arm", "arm", "--metric", "revenue", "--metric", "c=ratio:orders/visits", "--guardrail",
                  "latency:5%", "--lower-is-better", "latency", "--covariate", "revenue=before", "--segment", "country",
                  "--split", "A=50", "--split", "B=50", "--time", "day", "--format", "json", "--out", str(out))
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert {"rows", "srm", "decision", "reasons", "label", "segments", "series"} <= found.keys()
    assert {"metric", "role", "arm", "control_mean", "treatment_mean", "n_control", "n_treatment", "effect", "ci_low",
            "ci_high", "relative", "relative_low", "relative_high", "p_value", "p_adjusted"} <= found["rows"][0].keys()
    page = out.read_text()
    assert page.index("Checked before any effect") < page.index("Scorecard")
    assert "<svg" in page


def test_the_command_refuses_what_does_not_fit(users: pd.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / "users.parquet"
    users.to_parquet(file)
    for args in (
        [str(file), "--arm", "arm", "--metric", "revenue", "--since", "2024-01-01"],
        ["delivery.batching_algorithm_ab_test", "--metric", "revenue"],
        [str(file), "--arm", "arm", "--metric", "revenue", "--out", "x.pdf"],
        [str(file), "--arm", "arm", "--metric", "revenue", "--split", "A"],
    ):
        done = invoke(*args)
        assert done.exit_code == 2, args
        assert done.output.startswith("error: ") and done.output.count("\n") == 1


def test_splits_by_chance_show_effects_as_often_as_they_should(users: pd.DataFrame) -> None:
    found = ps.experiment(users, arm="arm", unit="user", metrics=["noise", "c=ratio:orders/visits", "revenue"],
                          covariates={"revenue": "before"}, aa=1000)
    assert [row["status"] for row in found.rows] == ["ok"] * 3
    assert all(0.03 < row["false_alarms"] < 0.07 for row in found.rows)
    # Rows that are alike within a household, taken for units: twice the variance is not seen.
    rows = pd.concat([users] * 4).assign(row=lambda d: d.user)
    import dataclasses

    import pyarrow as pa

    from prodsense.engines.duckdb import DuckDBEngine
    from prodsense.inference.aa import false_alarms
    from prodsense.inference.tables import Asked, Spec, study_of_table

    engine = DuckDBEngine()
    with engine.temporary(pa.Table.from_pandas(rows)) as name:
        study = study_of_table(engine, name, Asked("arm", (Spec.read("noise"),)))
        naive = dataclasses.replace(study, source=f"SELECT {name}.noise AS v0, {name}.arm, {name}.row AS unit FROM {name}")
        line = false_alarms(engine, naive, 500).rows[0]
    assert line["status"] == "suspicious"
    assert line["false_alarms"] > 0.2
    with pytest.raises(UsageError, match="needs to know them"):
        ps.experiment(users, arm="arm", metrics="noise", aa=1000)


def test_arms_that_differed_before_hold_the_decision(users: pd.DataFrame) -> None:
    shifted = users.assign(before=users.before + 5 * (users.arm == "B"))
    found = ps.experiment(shifted, arm="arm", metrics="revenue", covariates="before")
    assert any("before differed before the assignment" in reason for reason in found.reasons)
    assert found.decision in ("hold", "stop")
    assert "alike before" not in {c["check"] for c in ps.experiment(
        users, arm="arm", metrics="revenue", covariates="before").extras["checks"]}


def test_names_may_hold_anything(users: pd.DataFrame) -> None:
    odd = users.rename(columns={"arm": 'the "arm"', "revenue": "Umsatz (€); --", "country": "select", "user": "a b"})
    found = ps.experiment(odd, arm='the "arm"', unit="a b", metrics=["m=Umsatz (€); --"], segments="select",
                          where="latency > 0")
    assert row_of(found, "m")["effect"] == pytest.approx(2, abs=1.5)
    assert len(found.extras["segments"]) == 3
    flags = users.assign(arm=users.arm == "B")
    assert ps.experiment(flags, arm="arm", control="false", metrics=["revenue", "q=quantile:revenue@0.5"]).srm[
        "observed"].keys() == {"false", "true"}
