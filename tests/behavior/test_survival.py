"""Survival: published answers of real data, cases worked by hand, and lives found in events."""

from __future__ import annotations

import csv
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prodsense.behavior.events import EventTable
from prodsense.behavior.survival import chart_data, statement, survival, survival_of
from prodsense.behavior.survival_math import Lives, kaplan_meier, log_rank
from prodsense.engines.dialect import DIALECTS, render
from prodsense.errors import UsageError


def read(shared_data: Path, name: str) -> list[dict[str, str]]:
    path = shared_data / "survival" / name
    if not path.is_file():
        pytest.skip(f"no survival data at {path}")
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_waltons_has_the_published_numbers(shared_data: Path) -> None:
    rows = [
        {"T": float(r["T"]), "E": int(r["E"]), "group": r["group"]} for r in read(shared_data, "waltons.csv")
    ]  # fmt: skip
    overall = survival_of(rows, "T", "E").extras["groups"][0]
    assert (overall["subjects"], overall["median"], overall["median_low"], overall["median_high"]) == (163, 56, 53, 58)
    grouped = survival_of(rows, "T", "E", "group")
    assert [(g["group"], g["subjects"], g["events"], g["median"]) for g in grouped.extras["groups"]] == [
        ("control", 129, 122, 58), ("miR-137", 34, 34, 26)
    ]  # fmt: skip
    assert grouped.extras["log_rank"]["statistic"] == pytest.approx(122.249, abs=5e-4)
    assert grouped.extras["log_rank"]["p_value"] == pytest.approx(2.0e-28, rel=0.05)


def test_lung_has_the_published_median(shared_data: Path) -> None:
    rows = [{"time": int(r["time"]), "dead": int(r["status"])} for r in read(shared_data, "lung.csv")]
    assert survival_of(rows, "time", "dead").extras["groups"][0]["median"] == 310


def test_a_curve_by_hand() -> None:
    # Ends at 1, 3, 3 and 6; lost at 2, 3 (still at risk at 3) and 8.
    found = kaplan_meier(Lives.of(np.array([1.0, 2, 3, 3, 3, 6, 8]), np.array([1, 0, 1, 1, 0, 1, 0], bool)))
    assert found.times.tolist() == [1, 3, 6] and found.at_risk.tolist() == [7, 5, 2]
    assert found.survival == pytest.approx([6 / 7, 6 / 7 * 3 / 5, 6 / 7 * 3 / 5 / 2])
    # Greenwood: S² times the sum of d / (n (n - d)).
    assert found.std_error[1] == pytest.approx(18 / 35 * np.sqrt(1 / (7 * 6) + 2 / (5 * 3)))
    # log(-log S) ± 1.959964 · sqrt(sum) / |log S|, at 3.
    width = 1.959964 * np.sqrt(1 / 42 + 2 / 15) / abs(np.log(18 / 35))
    assert found.low[1] == pytest.approx((18 / 35) ** np.exp(width), abs=1e-7)
    assert found.high[1] == pytest.approx((18 / 35) ** np.exp(-width), abs=1e-7)
    assert found.quantile(0.5)[0] == 6


def test_half_exactly_and_everybody() -> None:
    found = kaplan_meier(Lives.of(np.array([1.0, 2, 3, 4, 5, 6]), np.ones(6, bool)), interval="plain")
    assert found.quantile(0.5)[0] == 3
    assert (found.survival[-1], found.std_error[-1], found.low[-1], found.high[-1]) == (0, 0, 0, 0)
    assert np.all((found.low >= 0) & (found.high <= 1) & np.isfinite(found.low))
    nobody = kaplan_meier(Lives.of(np.array([1.0, 2]), np.zeros(2, bool)))
    assert len(nobody.times) == 0 and nobody.quantile(0.5) == (None, None, None)


def test_log_rank_by_hand_and_of_three_groups() -> None:
    # Two groups: ends at 1 and 3 against 2 and 4. Expected in the first: 2/4 + 1/3 + 1/2 + 0.
    one, two = (Lives.of(np.array(t), np.ones(2, bool)) for t in ([1.0, 3], [2.0, 4]))
    found = log_rank({"a": one, "b": two})
    assert found is not None
    surplus, variance = 2 - (1 / 2 + 1 / 3 + 1 / 2), 1 / 4 + 2 / 9 + 1 / 4
    assert found.statistic == pytest.approx(surplus**2 / variance) and found.degrees == 1
    same = log_rank({"a": one, "b": one, "c": one})
    assert same is not None and same.degrees == 2 and same.statistic == pytest.approx(0)
    assert log_rank({"a": one}) is None


START = datetime(2024, 5, 1)


def days(*events: tuple[int, float, str]) -> list[dict[str, Any]]:
    return [{"u": u, "t": START + timedelta(days=d), "e": e, "plan": "pro" if u > 3 else None} for u, d, e in events]


LOG = days(
    (1, 0, "join"), (1, 1, "join"), (1, 3, "leave"), (1, 5, "leave"),  # 3 days
    (2, 2, "join"), (2, 10, "open"),  # lost from view after 8 days
    (3, 0, "leave"), (3, 1, "join"), (3, 2, "leave"),  # what was before entry does not count: 1 day
    (4, 4, "join"), (4, 4, "leave"), (4, 9, "leave"),  # of the same moment is not later: 5 days
    (5, 12, "join"), (6, 1, "open"),  # after as_of; never joined
)  # fmt: skip


def test_lives_in_events() -> None:
    with EventTable.read(LOG, "u", "t", "e") as events:
        found = survival(events, "leave", start="join", as_of="2024-05-10")
        # as_of is the end of 10 May: user 2 is lost after 8 days less a tick.
        assert [(r["time"], r["at_risk"], r["events"]) for r in found.rows] == [(0, 4, 0), (1, 4, 1), (3, 3, 1), (5, 2, 1)]
        assert [r["survival"] for r in found.rows] == pytest.approx([1, 3 / 4, 1 / 2, 1 / 4])
        assert found.extras["groups"][0] == {
            "subjects": 4, "events": 3, "censored": 1, "median": 3.0, "median_low": 1.0, "median_high": None
        }  # fmt: skip
        hours = survival(events, "leave", start="join", as_of="2024-05-10", unit="hours", since="2024-05-02")
        assert [r["time"] for r in hours.rows] == [0, 24, 120]
        assert "nobody entered: is 'jion' a value of e?" in survival(events, "leave", start="jion").notes
        assert "nobody came to the end: is 'quit' a value of e?" in survival(events, "quit").notes
        with pytest.raises(UsageError, match="no unit named 'months'"):
            survival(events, "leave", unit="months")


def test_groups_and_their_picture() -> None:
    with EventTable.read(LOG, "u", "t", "e") as events:
        found = survival(events, "leave", start="join", by="plan", as_of="2024-05-10")
        assert [(g["plan"], g["subjects"], g["events"]) for g in found.extras["groups"]] == [("pro", 1, 1), (None, 3, 2)]
        assert found.extras["log_rank"]["degrees"] == 1
        assert {r["group"] for r in chart_data(found)} == {"(none)", "pro"}
        spec = found.chart().to_dict()
        assert "step-after" in str(spec) and "pro" in str(spec)
        assert '"log_rank"' in found.to_json()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_statement_is_said_in_every_dialect(dialect: str) -> None:
    with EventTable.read(LOG, "u", "t", "e", "plan") as events:
        assert render(statement(events, True), dialect) and render(statement(events, False), dialect)


def test_wrong_durations_are_refused() -> None:
    with pytest.raises(UsageError, match="not below 0"):
        survival_of([{"t": -1, "e": 1}], "t", "e")
    with pytest.raises(UsageError, match=r"should be 1 where the end was seen and 0 elsewhere; it holds 2"):
        survival_of([{"t": 1, "e": 2}], "t", "e")
    with pytest.raises(UsageError, match="there is no column x; there are: t, e"):
        survival_of([{"t": 1, "e": 1}], "t", "x")
    assert "1 row without t or e left out" in survival_of([{"t": 1, "e": 1}, {"t": None, "e": 1}], "t", "e").notes


def test_groups_of_several_columns_nulls_last() -> None:
    rows = []
    for n, (plan, region) in enumerate([("a", "x"), (None, "x"), ("a", None), ("b", "x"), ("a", "x"), (None, None)]):
        user = {"u": n, "plan": plan, "region": region}
        rows.append({**user, "e": "in", "t": datetime(2024, 1, 1)})
        rows.append({**user, "e": "end", "t": datetime(2024, 1, 2 + n)})
    with EventTable.read(rows, "u", "t", "e") as events:
        found = survival(events, "end", by=["plan", "region"])
    assert [(g["plan"], g["region"], g["subjects"], g["median"]) for g in found.extras["groups"]] == [
        ("a", "x", 2, 1.0), ("a", None, 1, 3.0), ("b", "x", 1, 4.0), (None, "x", 1, 2.0), (None, None, 1, 6.0),
    ]  # fmt: skip
    known = survival_of([{"d": 1, "o": 1, "g": g} for g in ("b", None, "a", "b")], "d", "o", "g")
    assert [(g["g"], g["subjects"]) for g in known.extras["groups"]] == [("a", 1), ("b", 2), (None, 1)]
