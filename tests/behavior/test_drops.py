"""Who drops out of a funnel: counts against a plain-Python oracle, planted causes found, nothing found in noise."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest

from prodsense.behavior import EventTable, funnel
from prodsense.behavior.associations import association, false_discovery
from prodsense.engines.dialect import DIALECTS, render
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import UsageError

BEGIN = datetime(2024, 5, 1)
Row = dict[str, Any]


def people(seed: int, users: int = 600, *, broken: float = 0.0, fear: float = 0.0) -> list[Row]:
    """Views, and payments by half of the users after 1 to 60 minutes; noise events at random.

    `broken` of those on mobile cannot pay; `fear` of the users see an error soon after the view and do not pay.
    """
    rng = random.Random(seed)
    rows: list[Row] = []
    for user in range(users):
        platform = rng.choice(["mobile", "desktop", "tablet"])
        base = {"user": f"u{user}", "platform": platform, "age": rng.randrange(18, 78)}
        start = BEGIN + timedelta(minutes=rng.randrange(60 * 24))

        def did(event: str, minutes: float, base: Row = base, start: datetime = start) -> Row:
            return {**base, "event": event, "at": start + timedelta(minutes=minutes)}

        rows.append(did("view", 0))
        pays = rng.random() < 0.5
        if platform == "mobile" and rng.random() < broken:
            pays = False
        if rng.random() < fear:
            rows.append(did("error", rng.random()))
            pays = False
        if pays:
            rows.append(did("pay", rng.uniform(1, 60)))
        # Scrolling has nothing to do with paying, and who does not pay has a week for it.
        minute = rng.expovariate(0.02)
        while minute < 600:
            rows.append(did("scroll", minute))
            minute += rng.expovariate(0.02)
    return rows


@pytest.fixture(scope="module", autouse=True)
def engine() -> Iterator[DuckDBEngine]:
    """One engine, and one name for all logs: a statement is read once, however many logs it is asked of."""
    ENGINES.append(DuckDBEngine())
    yield ENGINES[0]
    ENGINES.pop().close()


ENGINES: list[DuckDBEngine] = []


def asked(rows: list[Row], **options: Any) -> Any:
    (engine,) = ENGINES
    with engine.temporary(pa.Table.from_pylist(rows)) as fresh:
        engine.replace("behavior_test.drops", f"SELECT * FROM {fresh}")
    events = EventTable.of(engine, "behavior_test.drops", "user", "at", "event")
    return funnel(events, ["view", "pay"], within="1d", as_of="2024-06-01", **options)


def test_counts_are_those_of_an_oracle() -> None:
    rows = people(1, 300, broken=0.5)
    start = {r["user"]: r["at"] for r in rows if r["event"] == "view"}
    paid = {r["user"]: r["at"] for r in rows if r["event"] == "pay"}
    on = {r["user"]: r["platform"] for r in rows}
    answer = asked(rows).drops("platform", at_least=5)
    found = {row["value"]: row for row in answer.rows if row["kind"] == "attribute"}
    for platform in ("mobile", "desktop", "tablet"):
        assert found[platform]["dropped"] == sum(on[u] == platform and u not in paid for u in start)
        assert found[platform]["converted"] == sum(on[u] == platform and u in paid for u in start)
    # Each who dropped is watched as long as the payer at the same place of the other line.
    payers = sorted(paid, key=lambda u: paid[u] - start[u])
    droppers = sorted((u for u in start if u not in paid), key=lambda u: hashlib.md5(u.encode()).hexdigest())
    span = {u: paid[u] - start[u] for u in payers}
    for place, user in enumerate(droppers):
        span[user] = span[payers[(2 * place + 1) * len(payers) // (2 * len(droppers))]]
    scrolled = {
        r["user"] for r in rows if r["event"] == "scroll" and r["at"] - start[r["user"]] < span[r["user"]]
    }
    (row,) = (row for row in answer.rows if row["kind"] == "event")
    assert (row["property"], row["value"]) == ("event", "scroll")
    assert (row["dropped"], row["converted"]) == (
        len(scrolled & set(droppers)), len(scrolled & set(payers)),
    )
    assert row["of_dropped"] == len(scrolled & set(droppers)) / len(droppers)


def test_planted_causes_are_found() -> None:
    rows = asked(people(2, broken=0.6, fear=0.1)).drops(["platform", "age"]).rows
    sure = {(r["kind"], r["value"]): r for r in rows if r["q_value"] < 0.01}
    assert {("attribute", "mobile"), ("event", "error")} <= set(sure)
    assert not any(r["property"] == "age" or r["value"] == "scroll" for r in sure.values())
    assert sure["attribute", "mobile"]["odds_ratio"] > 2 and sure["attribute", "mobile"]["low"] > 1
    assert sure["event", "error"]["converted"] == 0 and sure["event", "error"]["lift"] is None
    assert rows == sorted(rows, key=lambda r: (r["step"], r["p_value"]))


@pytest.mark.slow
def test_nothing_is_found_in_noise() -> None:
    """Of 10 clean runs the false discovery rate allows 5 in 100 to hold a finding: more than 2 would be a bias."""
    runs = [asked(people(seed, 400)).drops(["platform", "age"]).rows for seed in range(10, 20)]
    assert all({r["value"] for r in rows if r["kind"] == "event"} == {"scroll"} for rows in runs)
    assert sum(any(r["q_value"] < 0.05 for r in rows) for rows in runs) <= 2
    # Scrolling is no more frequent among those who drop, though they had a week for it.
    ratios = [r["odds_ratio"] for rows in runs for r in rows if r["kind"] == "event"]
    assert 0.85 < sum(ratios) / len(ratios) < 1.15


def test_numbers_of_many_values_are_cut_into_quarters() -> None:
    rows = people(3, 400)
    answer = asked(rows).drops("age", events=False, at_least=1)
    groups = [row["value"] for row in answer.rows]
    assert len(groups) == 4 and all(" to " in group for group in groups)
    bounds = sorted(tuple(map(int, group.split(" to "))) for group in groups)
    assert all(a[1] < b[0] for a, b in pairwise(bounds))
    ages = [r["age"] for r in rows if r["event"] == "view"]
    for row in answer.rows:
        low, high = map(int, row["value"].split(" to "))
        assert row["dropped"] + row["converted"] == sum(low <= age <= high for age in ages)
        assert 0.2 < (row["dropped"] + row["converted"]) / len(ages) < 0.3


def test_each_step_is_looked_at_by_itself() -> None:
    events = [("view", 40), ("cart", 30), ("pay", 10)]  # of 40 users 30 go on, then 10
    rows = [
        {"user": user, "at": BEGIN + timedelta(minutes=n), "event": event, "half": "a" if user % 2 else "b"}
        for n, (event, many) in enumerate(events) for user in range(many)
    ]  # fmt: skip
    table = EventTable.read(rows, "user", "at", "event")
    found = funnel(table, ["view", "cart", "pay"], within="1h", as_of="2024-06-01")
    answer = found.drops("half", events=False, at_least=5)
    assert [(r["step"], r["name"], r["value"], r["dropped"], r["converted"]) for r in answer.rows] == [
        (2, "cart", "a", 5, 15), (2, "cart", "b", 5, 15), (3, "pay", "a", 10, 5), (3, "pay", "b", 10, 5),
    ]
    assert all(r["p_value"] == 1 and r["odds_ratio"] == pytest.approx(1) for r in answer.rows)
    few = found.drops("half", events=False, at_least=11)
    assert not few.rows and few.notes[0] == "cart: 10 dropped and 30 went on, too few to compare (11 each)"


def test_a_null_is_a_value_and_rare_values_are_left_out() -> None:
    rows = [
        {"user": n, "at": BEGIN, "event": "view", "plan": None if n < 20 else "rare" if n == 20 else "pro"}
        for n in range(60)
    ]
    rows += [{"user": n, "at": BEGIN + timedelta(hours=1), "event": "pay", "plan": "later"} for n in range(30)]
    answer = asked(rows).drops("plan", at_least=10)
    assert {(r["value"], r["dropped"], r["converted"]) for r in answer.rows} == {("(none)", 0, 20), ("pro", 30, 9)}


def test_what_it_refuses() -> None:
    rows = people(4, 30)
    with pytest.raises(UsageError, match="entries first or best"):
        asked(rows, entries="every").drops("platform")
    with pytest.raises(UsageError, match="nothing to tell"):
        asked(rows).drops(events=False)
    with pytest.raises(UsageError, match="no column"):
        asked(rows).drops("plattform")
    with pytest.raises(UsageError, match="at_least"):
        asked(rows).drops("platform", at_least=0)


def test_any_order_and_a_picture() -> None:
    found = asked(people(5, 200, broken=0.8), order="any").drops("platform")
    assert {r["name"] for r in found.rows} == {"any 2 of 2"}
    assert "dropped" in found.chart().to_json()
    assert "WITH" in found.sql[0]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_is_said_in_every_dialect(dialect: str) -> None:
    for order in ("ordered", "strict", "any"):
        found = asked(people(6, 40), order=order, entries="best").drops(["platform", "age"], at_least=1)
        assert len(found.statements) == 2 and all(render(sql, dialect) for sql, _ in found.statements)


@pytest.mark.parametrize("cells", [(10, 20, 5, 40), (1, 99, 30, 70), (300, 200, 100, 50), (3, 3, 3, 3)])
def test_an_association_equals_statsmodels(cells: tuple[int, int, int, int]) -> None:
    from scipy.stats import fisher_exact
    from statsmodels.stats.contingency_tables import Table2x2

    a, b, c, d = cells
    found = association(a, b, c, d)
    table = Table2x2([[a, b], [c, d]])
    assert found.odds_ratio == pytest.approx(table.oddsratio)
    assert (found.low, found.high) == pytest.approx(table.oddsratio_confint())
    assert found.lift == pytest.approx(table.riskratio)
    assert found.p_value == pytest.approx(fisher_exact([[a, b], [c, d]])[1])


def test_an_empty_cell_is_corrected() -> None:
    found = association(5, 15, 0, 20)
    assert found.lift is None
    assert found.odds_ratio == pytest.approx(5.5 * 20.5 / (15.5 * 0.5))
    assert 1 < found.odds_ratio < found.high and found.low > 0
    with pytest.raises(ValueError, match="empty"):
        association(0, 0, 1, 2)


def test_false_discovery_equals_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests

    rng = random.Random(6)
    values = [rng.random() ** 3 for _ in range(50)] + [0.01, 0.01, 1.0]
    assert false_discovery(values) == pytest.approx(list(multipletests(values, method="fdr_bh")[1]))
    assert false_discovery([]) == []
