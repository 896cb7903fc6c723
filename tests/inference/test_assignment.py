"""Assignment: deterministic, the same in the engine, independent between questions, faithful to its history."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from typer.testing import CliRunner

import prodsense as ps
from prodsense.engines.dialect import DIALECTS, render
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import UsageError
from prodsense.inference.assignment import (
    Assignment,
    ExposureLog,
    Split,
    Switchback,
    assign_clusters,
    assigned,
    hash_share,
)

UNITS = range(20_000)
START = datetime(2024, 3, 1)


def test_the_hash_is_the_first_bits_of_md5() -> None:
    digest = hashlib.md5(b"salt:42").digest()
    assert hash_share("salt:42") == (int.from_bytes(digest[:7], "big") >> 4) / 2**52
    places = np.array([hash_share(f"s:{u}") for u in UNITS])
    assert stats.kstest(places, "uniform").pvalue > 0.01


def test_shares_come_out_and_stay() -> None:
    rule = Assignment("checkout", {"control": 2, "new": 1, "newer": 1})
    arms = [rule.arm(u) for u in UNITS]
    assert arms == [rule.arm(u) for u in UNITS]
    counts = Counter(arms)
    assert stats.chisquare([counts["control"], counts["new"], counts["newer"]], [10_000, 5_000, 5_000]).pvalue > 0.01


def test_two_experiments_do_not_depend_on_each_other() -> None:
    one, two = Assignment("a", {"x": 1, "y": 1}), Assignment("b", {"x": 1, "y": 1})
    table = np.zeros((2, 2))
    for u in UNITS:
        table["xy".index(one.arm(u) or ""), "xy".index(two.arm(u) or "")] += 1
    assert stats.chi2_contingency(table).pvalue > 0.01


def test_a_layer_keeps_experiments_apart() -> None:
    one = Assignment("a", {"x": 1, "y": 1}, layer="search", slot=(0.0, 0.4))
    two = Assignment("b", {"x": 1, "y": 1}, layer="search", slot=(0.4, 1.0))
    inside = [(one.arm(u) is not None, two.arm(u) is not None) for u in UNITS]
    assert all(a != b for a, b in inside)
    assert np.mean([a for a, _ in inside]) == pytest.approx(0.4, abs=0.012)
    assert not one.overlaps(two)
    assert one.overlaps(Assignment("c", {"x": 1, "y": 1}, layer="search", slot=(0.3, 0.5)))
    assert one.overlaps(Assignment("c", {"x": 1, "y": 1}))


def test_held_back_from_everything() -> None:
    rules = [Assignment(name, {"x": 1, "y": 1}, holdback=0.05) for name in ("a", "b")]
    held = [{u for u in UNITS if rule.decide(u)[1] == "holdback"} for rule in rules]
    assert held[0] == held[1]
    assert len(held[0]) == pytest.approx(1000, abs=130)


def test_a_rollout_only_grows() -> None:
    rule = Assignment("r", {"off": 1, "on": 1}, traffic=0.01, splits=(
        Split({"off": 1, "on": 1}, START + timedelta(days=1), 0.1), Split({"off": 1, "on": 1}, START + timedelta(days=2))))
    days = [{u: arm for u in UNITS if (arm := rule.arm(u, START + timedelta(days=d, hours=1)))} for d in range(3)]
    assert [len(d) / 20_000 for d in days] == pytest.approx([0.01, 0.1, 1.0], abs=0.008)
    for before, after in ((days[0], days[1]), (days[1], days[2])):
        assert before.items() <= after.items()
    assert rule.decide(next(u for u in UNITS if u not in days[0]), START) == (None, "not rolled out yet")


def test_a_unit_keeps_the_split_it_came_under() -> None:
    rule = Assignment("s", {"a": 9, "b": 1}, splits=(Split({"a": 1, "b": 9}, START),))
    early = [rule.arm(u, START - timedelta(seconds=1)) for u in UNITS]
    late = [rule.arm(u, START) for u in UNITS]
    assert (early.count("a"), late.count("b")) == (pytest.approx(18_000, abs=250), pytest.approx(18_000, abs=250))
    assert rule.arm(1) == rule.arm(1, START)


def test_the_engine_gives_the_same_arms() -> None:
    rule = Assignment("it's", {"a": 1, "b": 2, "c": 1}, traffic=0.3, layer="l", slot=(0.2, 0.9), holdback=0.1,
                      splits=(Split({"a": 1, "b": 1, "c": 1}, START, 0.8),))
    engine = DuckDBEngine()
    seen = [START + timedelta(days=d) for d in (-1, 0, 1)] * 1000
    data = pa.table({"user": [f"ü{i}" for i in range(3000)], "seen": seen})
    with engine.temporary(data) as name:
        expression, params = rule.sql("user", "seen")
        found = engine.query(f'SELECT "user", {expression} AS arm FROM {name} ORDER BY 1', params).to_pylist()
        newest = assigned(engine, name, "user", rule).rows
    expected = {u: rule.arm(u, at) for u, at in zip(data["user"].to_pylist(), seen, strict=True)}
    assert {row["user"]: row["arm"] for row in found} == expected
    assert {row["unit"]: row["arm"] for row in newest} == {u: rule.arm(u) for u in expected}
    assert {"a", "b", "c", None} == set(expected.values())


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_rule_can_be_written_for_every_engine(dialect: str) -> None:
    rule = Assignment("x", {"a": 1, "b": 1}, layer="l", slot=(0, 0.5), splits=(Split({"a": 1, "b": 3}, START),))
    assert "MD5(" in render(f"SELECT {rule.sql('u', 'seen')[0]} AS arm FROM t", dialect)


def test_clusters_are_balanced_within_strata() -> None:
    clusters = [f"c{i}" for i in range(23)]
    strata = {c: i % 3 for i, c in enumerate(clusters)}
    found = assign_clusters(clusters, ["a", "b"], "test", strata)
    for stratum in range(3):
        counts = Counter(found[c] for c in clusters if strata[c] == stratum)
        assert abs(counts["a"] - counts["b"]) <= 1
    assert found == assign_clusters(reversed(clusters), ["a", "b"], "test", strata)
    assert found != assign_clusters(clusters, ["a", "b"], "another", strata)


def test_a_switchback_is_balanced_and_has_a_burn_in() -> None:
    plan = Switchback("s", ("off", "on"), 120, START, burn_in_minutes=30)
    rows = plan.schedule(["north", "south"], "2024-03-01", "2024-03-15").rows
    assert len(rows) == 2 * 14 * 12
    runs: dict[str, list[str]] = {}
    for row in rows:
        runs.setdefault(row["run"], []).append(row["arm"])
        assert plan.arm(row["region"], row["from"] + timedelta(minutes=119)) == row["arm"]
    assert all(sorted(arms) == ["off", "on"] for arms in runs.values())
    assert {arms[0] for arms in runs.values()} == {"off", "on"}
    assert not plan.counts(START + timedelta(minutes=29))
    assert plan.counts(START + timedelta(minutes=30))
    drawn = Switchback("s", ("off", "on"), 120, START, balanced=False).schedule(["n"], "2024-03-01", "2024-06-01").rows
    assert np.mean([row["arm"] == "on" for row in drawn]) == pytest.approx(0.5, abs=0.06)


def test_the_log_keeps_what_was_seen_and_finds_leaks() -> None:
    log = ExposureLog(DuckDBEngine())
    a = Assignment("a", {"x": 1, "y": 1}, layer="l", slot=(0, 0.5))
    b = Assignment("b", {"x": 1, "y": 1}, layer="l", slot=(0.5, 1))
    inside = [str(u) for u in range(200) if a.arm(u)]
    outside = next(str(u) for u in range(200) if not a.arm(u))
    log.log("a", [{"unit": u, "arm": a.arm(u), "exposed_at": START} for u in inside])
    log.log("a", [{"unit": u, "arm": a.arm(u), "exposed_at": START + timedelta(days=1)} for u in inside[:5]])
    log.log("b", [{"unit": str(u), "arm": b.arm(u), "exposed_at": START} for u in range(200) if b.arm(u)])
    assert {row["status"] for row in log.isolation([a, b], since=START).rows} == {"ok"}
    first = log.first("a").rows
    assert [row["unit"] for row in first] == sorted(inside)
    assert {row["exposures"] for row in first} == {1, 2}
    # Now break each rule once.
    other = "y" if a.arm(inside[0]) == "x" else "x"
    log.log("a", [{"unit": inside[0], "arm": other, "exposed_at": START},
                  {"unit": outside, "arm": "x", "exposed_at": START},
                  {"unit": inside[1], "arm": a.arm(inside[1]), "exposed_at": START - timedelta(seconds=1)}])
    found = {(row["experiment"], row["check"]): row["units"] for row in log.isolation([a, b], since=START).rows}
    assert found["a", "one arm a unit"] == 1
    assert found["a", "the arm of the rule"] == 1
    assert found["a", "nobody who has none"] == 1
    assert found["a", "nobody before the start"] == 1
    assert found["a, b", "no unit in both"] == 1
    assert inside[0] not in {row["unit"] for row in log.first("a").rows}


@pytest.mark.parametrize(("given", "why"), [
    ({"name": "", "arms": {"a": 1}}, "needs a name"),
    ({"name": "n", "arms": {"a": 0}}, "share above 0"),
    ({"name": "n", "arms": {"a": 1}, "slot": (0.6, 0.4)}, "a slot"),
    ({"name": "n", "arms": {"a": 1}, "traffic": 1.5}, "traffic"),
    ({"name": "n", "arms": {"a": 1}, "holdback": 1}, "holdback"),
    ({"name": "n", "arms": {"a": 1}, "splits": (Split({"a": 1}),)}, "moments that rise"),
])
def test_rules_that_cannot_be_are_refused(given: dict[str, object], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        Assignment(**given)  # type: ignore[arg-type]


def test_the_command_and_the_function(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from prodsense.cli.app import app

    file = tmp_path / "users.csv"
    file.write_text("user\n1\n2\n3\n3\n\n")
    done = CliRunner().invoke(app, ["assign", str(file), "--unit", "user", "--name", "t", "--arm", "A", "--arm", "B",
                                    "--format", "csv"])
    expected = ps.assign([1, 2, 3], ["A", "B"], "t").rows
    assert done.output.splitlines() == ["unit,arm", *(f"{row['unit']},{row['arm']}" for row in expected)]
    bad = CliRunner().invoke(app, ["assign", str(file), "--unit", "user", "--name", "t", "--arm", "A=x"])
    assert bad.exit_code != 0
