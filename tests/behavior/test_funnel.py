"""Funnels: cases worked by hand, and any log against an oracle that tries every way through it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodsense.behavior.events import EventTable
from prodsense.behavior.funnel import chart_data, funnel
from prodsense.behavior.funnel_sql import Shape, parameters, statement
from prodsense.behavior.funnel_steps import Step, optional, read_steps, step
from prodsense.engines.dialect import DIALECTS, render
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import UsageError

START = datetime(2024, 5, 1)
LATE = START + timedelta(days=400)

Log = Sequence[tuple[int, float, str]]


@pytest.fixture(scope="module")
def engine() -> Any:
    """One engine for all: making one costs more than a question."""
    made = DuckDBEngine()
    yield made
    made.close()


def table(engine: DuckDBEngine, log: Log, **columns: list[Any]) -> EventTable:
    """Events (user, minutes after the start, name)."""
    rows = pa.table({
        "u": pa.array([u for u, _, _ in log], pa.int64()),
        "t": pa.array([START + timedelta(minutes=m) for _, m, _ in log], pa.timestamp("us")),
        "e": pa.array([e for _, _, e in log], pa.string()),
        **columns,
    })
    # Always of one name: a statement is read once, however many logs it is asked of.
    with engine.temporary(rows) as fresh:
        engine.replace("behavior_test.log", f"SELECT * FROM {fresh}")
    return EventTable.of(engine, "behavior_test.log", "u", "t", "e")


@pytest.mark.parametrize("entries", ["first", "best", "every"])
def test_without_a_window_all_count_as_they_stand(engine: DuckDBEngine, entries: str) -> None:
    log = [(1, 0, "view"), (1, 60 * 24 * 300, "pay"), (2, 60 * 24 * 300 - 1, "view"), (3, 60 * 24 * 300, "view")]
    events = table(engine, log, g=["a", "a", "b", "b"])
    found = funnel(events, ["view", "pay"], within="ever", entries=entries)
    assert counts(found) == [3, 1] and found.extras["within"] == "ever" and found.extras["censored"] == 0
    assert counts(funnel(events, ["view", "pay"], within="ever", entries=entries, by="g")) == [2, 0, 1, 1]
    # With a window as long, those who entered lately are left out.
    assert counts(funnel(events, ["view", "pay"], within="300d", entries=entries)) == [1, 1]


def counts(answer: Any) -> list[int]:
    return [row["count"] for row in answer.rows]


SHOP = [
    (1, 0, "view"), (1, 5, "look"), (1, 10, "cart"), (1, 20, "coupon"), (1, 30, "pay"),
    (2, 0, "view"), (2, 60, "cart"), (2, 90, "pay"),  # pays without a coupon
    (3, 0, "view"), (3, 10, "cart"), (3, 11, "coupon"),  # stops with a coupon in hand
    (4, 0, "cart"), (4, 1, "pay"),  # never entered
    (5, 0, "view"), (5, 5, "pay"), (5, 9, "cart"),  # paid before the cart
    (6, 0, "view"), (6, 10, "cart"), (6, 60 * 24 * 8, "pay"),  # too late for 7 days
]  # fmt: skip


def test_ordered_with_an_optional_step(engine: DuckDBEngine) -> None:
    found = funnel(
        table(engine, SHOP), ["view", "cart", optional("coupon"), "pay"], within="7d", as_of=LATE, quantiles=(0.5, 0.75)
    )
    assert found.rows == [
        {"step": 1, "name": "view", "optional": False, "count": 5, "of_first": 1.0, "of_step": None, "dropped": None,
         "step_p50": None, "total_p50": None, "step_p75": None, "total_p75": None, "censored": 0},
        # Minutes to the cart: 10, 60, 10, 9, 10.
        {"step": 2, "name": "cart", "optional": False, "count": 5, "of_first": 1.0, "of_step": 1.0, "dropped": 0,
         "step_p50": 600.0, "total_p50": 600.0, "step_p75": 600.0, "total_p75": 600.0, "censored": 0},
        {"step": 3, "name": "coupon", "optional": True, "count": 2, "of_first": 0.4, "of_step": 0.4, "dropped": None,
         "step_p50": 330.0, "total_p50": 930.0, "step_p75": 465.0, "total_p75": 1065.0, "censored": 0},
        # From the cart, not from the coupon: 20 and 30 minutes; in all 30 and 90.
        {"step": 4, "name": "pay", "optional": False, "count": 2, "of_first": 0.4, "of_step": 0.4, "dropped": 3,
         "step_p50": 1500.0, "total_p50": 3600.0, "step_p75": 1650.0, "total_p75": 4500.0, "censored": 0},
    ]  # fmt: skip
    as_text = funnel(table(engine, SHOP), ["view", "cart", "?coupon", "pay"], within="7d", as_of=LATE)
    assert counts(as_text) == [5, 5, 2, 2]


def test_an_optional_step_after_the_purchase_is_not_on_the_way(engine: DuckDBEngine) -> None:
    log = [(1, 0, "cart"), (1, 1, "pay"), (1, 2, "coupon"), (1, 3, "pay")]
    assert counts(funnel(table(engine, log), ["cart", "?coupon", "pay"], within="1d", as_of=LATE)) == [1, 0, 1]


def test_strict_counts_the_very_next_event(engine: DuckDBEngine) -> None:
    steps = ["view", "cart", "?coupon", "pay"]
    found = funnel(table(engine, SHOP), steps, within="7d", order="strict", as_of=LATE)
    # User 1 looks before the cart, user 2 goes straight through, 3 stops, 5 pays first, 6 is late.
    assert counts(found) == [5, 3, 1, 1]
    log = [(1, 0, "view"), (1, 1, "cart"), (1, 2, "coupon"), (1, 3, "pay")]
    assert counts(funnel(table(engine, log), steps, within="7d", order="strict", as_of=LATE)) == [1, 1, 1, 1]
    assert counts(funnel(table(engine, log), ["view", "cart", "pay"], within="7d", order="strict", as_of=LATE)) == [
        1, 1, 0
    ]  # fmt: skip


def test_any_order_counts_how_many_steps_were_done(engine: DuckDBEngine) -> None:
    found = funnel(table(engine, SHOP), ["view", "cart", "pay", "?coupon"], within="7d", order="any", as_of=LATE)
    # Three: users 1, 2, 5. Two: also 3, 4, 6. One: the same six.
    assert [(row["name"], row["count"]) for row in found.rows] == [
        ("any 1 of 3", 6), ("any 2 of 3", 6), ("any 3 of 3", 3), ("coupon", 2)
    ]  # fmt: skip
    assert found.rows[2]["total_p50"] == 30 * 60  # 30, 90 and 9 minutes


def test_the_overall_window_holds_its_end(engine: DuckDBEngine) -> None:
    log = [(1, 0, "a"), (1, 60, "b"), (2, 0, "a"), (2, 60.001, "b")]
    assert counts(funnel(table(engine, log), ["a", "b"], within="1h", as_of=LATE)) == [2, 1]


def test_windows_of_steps_look_for_another_way(engine: DuckDBEngine) -> None:
    # From the first b, c is too far; from the second it is near.
    log = [(1, 0, "a"), (1, 10, "b"), (1, 300, "b"), (1, 320, "c")]
    steps = ["a", "b", step("c", within="30m")]
    found = funnel(table(engine, log), steps, within="1d", as_of=LATE)
    assert counts(found) == [1, 1, 1]
    assert found.rows[1]["total_p50"] == 600 and found.rows[2]["total_p50"] == 320 * 60
    assert counts(funnel(table(engine, log), ["a", step("b", within="5m"), "c"], within="1d", as_of=LATE)) == [1, 0, 0]


def test_windows_of_all_steps_make_the_overall_window(engine: DuckDBEngine) -> None:
    log = [(1, 0, "a"), (1, 50, "b"), (1, 100, "c")]
    steps = ["a", step("b", within="1h"), step("c", within="1h")]
    found = funnel(table(engine, log), steps, as_of=START + timedelta(hours=2))
    assert counts(found) == [1, 1, 1] and found.extras["within"] == "2h"
    assert funnel(table(engine, log), steps, as_of=START + timedelta(minutes=119)).extras["censored"] == 1


def test_exclusions_end_a_way_but_not_another_one(engine: DuckDBEngine) -> None:
    log = [
        (1, 0, "a"), (1, 1, "b"), (1, 2, "x"), (1, 3, "c"),  # x on the way to c
        (2, 0, "a"), (2, 1, "b"), (2, 2, "x"), (2, 3, "b"), (2, 4, "c"),  # a second b after x
        (3, 0, "a"), (3, 1, "x"), (3, 2, "b"), (3, 3, "c"),  # x before b only
    ]  # fmt: skip
    rows = table(engine, log)
    assert counts(funnel(rows, ["a", "b", step("c", without="x")], within="1d", as_of=LATE)) == [3, 3, 2]
    assert counts(funnel(rows, ["a", "b", "c"], exclude="x", within="1d", as_of=LATE)) == [3, 2, 0]


def test_ties_follow_the_order_of_the_steps(engine: DuckDBEngine) -> None:
    log = [(1, 0, "c"), (1, 0, "x"), (1, 0, "b"), (1, 0, "a")]
    assert counts(funnel(table(engine, log), ["a", "b", "c"], within="1d", as_of=LATE)) == [1, 1, 1]
    # An exclusion of the same moment comes after the steps.
    assert counts(funnel(table(engine, log), ["a", "b", step("c", without="x")], within="1d", as_of=LATE)) == [1, 1, 1]
    # One event never serves two steps.
    twice = [(1, 0, "a"), (2, 0, "a"), (2, 0, "a")]
    assert counts(funnel(table(engine, twice), ["a", "a"], within="1d", as_of=LATE)) == [2, 1]


def test_which_entry_counts(engine: DuckDBEngine) -> None:
    log = [(1, 0, "a"), (1, 100, "a"), (1, 110, "b"), (1, 300, "a"), (2, 0, "a")]
    rows = table(engine, log)
    for entries, expected in {"first": [2, 0], "best": [2, 1], "every": [4, 1]}.items():
        assert counts(funnel(rows, ["a", "b"], within="30m", entries=entries, as_of=LATE)) == expected, entries


def test_windows_that_are_not_over_are_left_out_and_counted(engine: DuckDBEngine) -> None:
    day = 24 * 60
    log = [(1, 0, "a"), (1, 5, "b"), (2, 3 * day, "a"), (2, 3 * day + 5, "b"), (3, 3 * day + 1, "a"), (4, 9 * day, "a")]
    # The newest event is day 9 at 0:00, so that entries up to day 2 are over; user 4 enters at that moment.
    found = funnel(table(engine, log), ["a", "b"], within="7d")
    assert counts(found) == [1, 1]
    assert found.extras["censored"] == 3
    assert found.notes == ("3 users left out: 7d since entry not over at as_of",)
    # Exactly over counts; events after as_of are not seen.
    found = funnel(table(engine, log), ["a", "b"], within="7d", as_of=START)
    assert (counts(found), found.extras["censored"]) == ([0, 0], 1)
    assert counts(funnel(table(engine, log), ["a", "b"], within="7d", as_of=START + timedelta(days=7))) == [1, 1]


def test_slices_by_entry_and_by_touch(engine: DuckDBEngine) -> None:
    log = [(1, 0, "ad"), (1, 1, "view"), (1, 2, "pay"), (2, 0, "view"), (2, 1, "pay"), (3, 0, "ad"), (3, 5, "view")]
    source = ["mail", "web", "app", None, "app", "web", None]

    def by(attribution: str) -> dict[Any, list[int]]:
        rows = table(engine, log, source=source)
        found = funnel(rows, ["view", "pay"], within="1d", by="source", attribution=attribution, as_of=LATE)
        slices: dict[Any, list[int]] = {}
        for row in found.rows:
            slices.setdefault(row["source"], []).append(row["count"])
        return slices

    assert by("entry") == {"web": [1, 1], None: [2, 1]}
    assert by("first") == {"mail": [1, 1], None: [1, 1], "web": [1, 0]}
    assert by("last") == {"web": [2, 1], None: [1, 1]}


def test_comparison_with_the_window_before(engine: DuckDBEngine) -> None:
    day = 24 * 60
    log = [(1, 0, "a"), (1, 1, "b"), (2, 0, "a"), (3, day, "a"), (3, day + 1, "b"), (4, 2 * day, "a")]
    found = funnel(
        table(engine, log), ["a", "b"], within="1h", since="2024-05-02", until="2024-05-03", compare="previous", as_of=LATE
    )  # fmt: skip
    assert [(r["count"], r["count_previous"], r["of_first"], r["of_first_previous"], r["of_first_delta"])
            for r in found.rows] == [(1, 2, 1.0, 1.0, 0.0), (1, 1, 1.0, 0.5, 0.5)]  # fmt: skip
    with pytest.raises(UsageError, match="needs the window to compare: give since"):
        funnel(table(engine, log), ["a", "b"], within="1h", compare="previous")


def test_more_than_ten_steps(engine: DuckDBEngine) -> None:
    names = [f"s{i}" for i in range(14)]
    log = [(u, i, name) for u in range(14) for i, name in enumerate(names[: u + 1])]
    assert counts(funnel(table(engine, log), names, within="1d", as_of=LATE)) == list(range(14, 0, -1))


def test_rows_without_user_are_told_and_names_are_data(engine: DuckDBEngine) -> None:
    rows = pa.table({
        "u": [None, 1, 1], "t": [START] * 3, "e": ["it's", "it's", 'pay ";--'],
    })  # fmt: skip
    found = funnel(EventTable.read(rows, "u", "t", "e", engine=engine), ["it's", 'pay ";--'], within="1d", as_of=LATE)
    assert counts(found) == [1, 1]
    assert found.notes == ("1 row without u or t left out",)
    nobody = funnel(EventTable.read(rows, "u", "t", "e", engine=engine), ["its", "b"], within="1d", as_of=LATE)
    assert counts(nobody) == [0, 0] and nobody.rows[1]["of_first"] is None
    assert "nobody entered: is 'its' a value of e?" in nobody.notes


@pytest.mark.parametrize(
    ("steps", "options", "message"),
    [
        (["a"], {}, "at least two steps"),
        (["?a", "b", "c"], {}, "cannot be optional: a"),
        (["a", "b"], {"within": None}, "a funnel needs a window"),
        (["a", "b"], {"within": "7 moons"}, "within should be a length of time like 7d"),
        (["a", "b"], {"within": "0d"}, "should be longer than 0"),
        (["a", step("b", without="x")], {"order": "strict"}, "in strict order nothing may happen"),
        (["a", step("b", within="1h")], {"order": "any"}, "in any order no step comes before another"),
        (["a", "a"], {"order": "any"}, "can stand in one step only: a"),
        (["a", "b"], {"order": "loose"}, "choose one of ordered, strict, any"),
        (["a", "b"], {"entries": "last"}, "choose one of first, best, every"),
        (["a", "b"], {"by": "contry"}, "has no column contry"),
        (["a", "b"], {"quantiles": [50]}, "between 0 and 1, not 50"),
        (["a", "b"], {"since": "2024-06-01", "until": "2024-05-01"}, "since should be before until"),
    ],
)
def test_wrong_requests_say_what_to_do(
    engine: DuckDBEngine, steps: list[Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        funnel(table(engine, SHOP), steps, **{"within": "7d", **options})


# --- the oracle ---------------------------------------------------------------------------------


def ways(log: list[tuple[float, str]], start: int, steps: Sequence[Step], window: float, strict: bool) -> list[Any]:
    """For an entry at row `start`: the least time at which each step is reached, trying every way.

    `log` is in order. None where a step is not reached.
    """
    entered = log[start][0]
    first: dict[int, int] = {}

    def rows_between(i: int, j: int) -> list[str]:
        return [name for _, name in log[i + 1 : j]]

    def walk(at: int, last_required: int, k: int) -> None:
        """Standing on row `at`; step k is the next one to reach or (optional ones, in strict order) to skip."""
        for following in range(k, len(steps)):
            item = steps[following]
            if item.optional and not strict:
                continue
            for j in [at + 1] if strict else range(at + 1, len(log)):
                if j >= len(log) or log[j][0] - entered > window or log[j][1] not in item.events:
                    continue
                if item.within is not None and log[j][0] - log[last_required][0] > item.within:
                    continue
                if not item.optional and any(name in item.without for name in rows_between(last_required, j)):
                    continue
                first[following] = min(first.get(following, j), j)
                walk(j, last_required if item.optional else j, following + 1)
            if not item.optional:
                break

    walk(start, start, 1)
    reached: list[Any] = [entered, *(log[first[k]][0] if k in first else None for k in range(1, len(steps)))]
    for k, item in enumerate(steps):
        if item.optional:
            before = max(i for i in range(k) if not steps[i].optional)
            after = next((i for i in range(k, len(steps)) if not steps[i].optional), None)
            low = start if before == 0 else first.get(before)
            high = first.get(after, len(log)) if after is not None else len(log)
            seen = [] if low is None else [
                j for j in range(low + 1, high)
                if log[j][1] in item.events and log[j][0] - entered <= window
                and (item.within is None or log[j][0] - log[low][0] <= item.within)
            ]  # fmt: skip
            if strict:
                seen = [first[k]] if k in first and first[k] < high else []
            reached[k] = log[seen[0]][0] if seen else None
    return reached


def any_way(log: list[tuple[float, str]], start: int, steps: Sequence[Step], window: float) -> list[Any]:
    entered = log[start][0]
    times = []
    for item in steps:
        seen = [t for t, name in log[start:] if name in item.events and t - entered <= window]
        times.append(min(seen, default=None))
    required = sorted(t for t, item in zip(times, steps, strict=True) if t is not None and not item.optional)
    levels = iter([*required, *[None] * len(steps)])
    return [t if item.optional else next(levels) for t, item in zip(times, steps, strict=True)]


def oracle(
    log: Log, steps: Sequence[Step], *, window: float, order: str, entries: str, as_of: float
) -> tuple[list[int], int, list[list[float]]]:
    """Counts by step, censored entries, seconds from entry to each step (sorted)."""
    places: dict[str, int] = {}
    for place, item in enumerate(dict.fromkeys(s.events for s in steps)):
        for name in item:
            places.setdefault(name, place)
    outcomes = []
    censored = 0
    for user in sorted({u for u, _, _ in log}):
        rows = sorted(
            ((m * 60, name) for u, m, name in log if u == user and m * 60 <= as_of),
            key=lambda r: (r[0], places.get(r[1], 99), r[1]),
        )
        enter = [e for s in steps if not s.optional for e in s.events] if order == "any" else steps[0].events
        starts = [i for i, row in enumerate(rows) if row[1] in enter]
        if entries == "first":
            starts = starts[:1]
        over = [i for i in starts if as_of - rows[i][0] >= window]
        if entries == "best":
            censored += bool(starts) and not over
        else:
            censored += len(starts) - len(over)
        found = [
            any_way(rows, i, steps, window) if order == "any" else ways(rows, i, steps, window, order == "strict")
            for i in over
        ]
        if entries == "best" and found:
            depth = [sum(t is not None for t, s in zip(f, steps, strict=True) if not s.optional) for f in found]
            found = [found[depth.index(max(depth))]]
        outcomes += found
    counts = [sum(o[k] is not None for o in outcomes) for k in range(len(steps))]
    totals = [sorted(o[k] - o[0] for o in outcomes if o[k] is not None) for k in range(len(steps))]
    return counts, censored, totals


#: Few names and moments, so that ties and repeats are the rule.
LOGS = st.lists(
    st.tuples(st.integers(1, 2), st.integers(0, 12).map(float), st.sampled_from("aabbcxyz")), min_size=1, max_size=16
)
REQUESTS = st.sampled_from([
    ["a", "b", "c"],
    ["a", "b", "a"],
    ["a", "?x", "b", "?y", "?z", "c"],
    ["a", step("b", within="3m"), step("c", within="2m")],
    ["a", step("b", without="x"), step("c", without=("x", "y"), within="4m")],
    ["a", step(("b", "x")), optional("y", within="2m"), "b"],
])


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(
    log=LOGS, request_steps=REQUESTS, order=st.sampled_from(["ordered", "strict", "any"]),
    entries=st.sampled_from(["first", "best", "every"]), window=st.integers(1, 12), end=st.integers(0, 25),
)  # fmt: skip
def test_any_log_gives_what_the_oracle_finds(
    engine: DuckDBEngine, log: Log, request_steps: list[Any], order: str, entries: str, window: int, end: int
) -> None:
    try:
        steps = read_steps(request_steps, order=order)
    except UsageError:
        return  # has no meaning in this order
    found = funnel(
        table(engine, log), steps, within=timedelta(minutes=window), order=order, entries=entries,
        as_of=START + timedelta(minutes=end), quantiles=(0.5,),
    )
    expected, censored, totals = oracle(
        log, steps, window=window * 60.0, order=order, entries=entries, as_of=end * 60.0
    )
    assert (counts(found), found.extras["censored"]) == (expected, censored)
    for row, seconds in list(zip(found.rows, totals, strict=True))[1:]:
        middle = len(seconds) // 2
        median = None if not seconds else (seconds[middle] + seconds[-1 - middle]) / 2
        assert row["total_p50"] == median


# --- every engine, pictures -----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("order", ["ordered", "strict", "any"])
def test_the_statement_is_said_in_every_dialect(engine: DuckDBEngine, dialect: str, order: str) -> None:
    steps = read_steps(["a", "?b", step("c", within="1h") if order != "any" else "c"], order=order)
    for entries, attribution in (("first", "entry"), ("best", "last"), ("every", "first")):
        shape = Shape(steps, order, entries, attribution, 3600.0, (0.5,))
        events = table(engine, SHOP, country=["x"] * len(SHOP)).by("country")
        assert render(statement(events, shape), dialect)
        assert parameters(shape) == {"e0": "a", "e1": "b", "e2": "c"}


def test_pictures_have_the_numbers(engine: DuckDBEngine) -> None:
    rows = table(engine, SHOP, country=["de" if u < 3 else "fr" for u, _, _ in SHOP])
    plain = funnel(rows, ["view", "cart", "?coupon", "pay"], within="7d", as_of=LATE)
    assert "funnel of 4 steps" in plain.chart().description
    assert [r["label"] for r in chart_data(plain)] == ["1. view", "2. cart", "3. coupon (optional)", "4. pay"]
    sliced = funnel(rows, ["view", "cart", "pay"], within="7d", by="country", as_of=LATE)
    assert {r["slice"] for r in chart_data(sliced)} == {"de", "fr"}
    spec = sliced.chart().to_dict()
    assert "de" in str(spec) and "fr" in str(spec)
    compared = funnel(rows, ["view", "pay"], within="1d", since="2024-05-01", compare="previous", as_of=LATE)
    assert compared.chart().to_dict()
    assert plain.to_dict()["within"] == "7d"
