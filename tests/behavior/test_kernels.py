"""Kernels against the SQL that they must equal, in both of their forms, on logs full of ties."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodsense.behavior import EventTable, funnel, kernels, optional, paths, sessions, step, step_matrix, transitions
from prodsense.behavior.log import EventLog
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import UsageError

START = datetime(2024, 5, 1)
ENGINE = DuckDBEngine()

FORMS = ["numpy", pytest.param("numba", marks=pytest.mark.slow)]


def few(examples: int) -> Any:
    return settings(
        max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )


#: Minutes: equal moments, and spans right at and beside the windows below.
MOMENTS = st.sampled_from([0, 1, 1, 2, 29, 30, 31, 59, 60, 61, 1439, 1440, 1441, 1470, 3000])
LOGS = st.lists(st.tuples(st.integers(0, 2), MOMENTS, st.sampled_from(["a", "b", "c", "x", "(none)", None])), max_size=24)


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "numba":
        pytest.importorskip("numba")
    monkeypatch.setattr(kernels, "COMPILED_FROM", 0 if request.param == "numba" else 10**12)
    yield f"kernel ({request.param})"


def table(log: Sequence[tuple[Any, ...]], tick: timedelta = timedelta(minutes=1)) -> EventTable:
    rows = pa.table({
        "u": pa.array([None if u is None else f"user {u}" for u, _, _ in log], pa.string()),
        "t": pa.array([START + m * tick for _, m, _ in log], pa.timestamp("us")),
        "e": pa.array([e for _, _, e in log], pa.string()),
    })
    with ENGINE.temporary(rows) as fresh:
        ENGINE.replace("kernel_test.log", f"SELECT * FROM {fresh}")
    return EventTable.of(ENGINE, "kernel_test.log", "u", "t", "e")


def near(left: Any, right: Any) -> bool:
    """Equal to the unit; a quantile may differ in the last digit of a double."""
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-12)
    return bool(left == right)


def same(events: EventTable, ask: Any, form: str) -> Any:
    by_sql, by_kernel = ask(events.answered_by("sql")), ask(events.answered_by("kernel"))
    assert by_sql.extras["form"] == "sql"
    assert by_kernel.extras["form"] == form
    assert by_kernel.sql == by_sql.sql  # the reference is shown whichever answered
    assert by_kernel.arrow.column_names == by_sql.arrow.column_names
    assert len(by_kernel.rows) == len(by_sql.rows)
    for left, right in zip(by_kernel.rows, by_sql.rows, strict=True):
        assert left.keys() == right.keys() and all(near(left[k], right[k]) for k in left), (left, right)
    assert {**by_kernel.extras, "form": ""} == {**by_sql.extras, "form": ""}
    assert by_kernel.notes == by_sql.notes
    return by_kernel


STEPS = st.sampled_from([
    ["a", "b"], ["a", "b", "c"], ["a", "?x", "b", "?c"], ["a", "a", "a"], ["a", "b", "a", "b"],
    ["a", step("b", within="1h"), "c"], ["a", step("b", within="30m"), step("c", within="30m", without="x")],
    ["a", optional("x", within="1h"), step("b", within="1d")], [step(["a", "b"]), step(["b", "c"])],
    ["a", step("b", without="a"), "?x", "c"], ["a", "unheard of"],
])  # fmt: skip


@pytest.mark.versions
@pytest.mark.slow
@few(25)
@given(
    log=LOGS, steps=STEPS, order=st.sampled_from(["ordered", "strict", "any"]),
    entries=st.sampled_from(["first", "best", "every"]), within=st.sampled_from(["29m", "30m", "1h", "1d", "4d"]),
    exclude=st.sampled_from([(), "x", ("x", "b")]), since=st.sampled_from([None, "2024-05-02"]),
    late=st.sampled_from([0, 1, 30, 1440, 10000]),
)  # fmt: skip
def test_funnels(
    form: str, log: Any, steps: Any, order: str, entries: str, within: str, exclude: Any, since: Any, late: int
) -> None:
    events = table([*log, (0, 0, "a"), (None, 5, "a")])
    last = max([0, *(m for _, m, _ in log)])
    options = {"order": order, "entries": entries, "within": within, "since": since,
               "as_of": START + timedelta(minutes=last + late), "quantiles": (0.5, 0.9)}  # fmt: skip
    try:
        funnel(events.answered_by("sql"), steps, exclude=exclude, **options)
    except UsageError:
        options["order"], exclude = "ordered", ()
    try:
        same(events, lambda e: funnel(e, steps, exclude=exclude, **options), form)
    except UsageError as error:
        assert "nobody can enter" in error.message  # since lies after the log


@pytest.mark.slow
def test_funnel_windows_end_at_the_microsecond(form: str) -> None:
    tick = timedelta(microseconds=1)
    log = [(1, 0, "a"), (1, 60_000_000, "b"), (2, 0, "a"), (2, 60_000_001, "b"), (3, 0, "a"), (3, 0, "b")]
    found = same(table(log, tick), lambda e: funnel(e, ["a", "b"], within="1m", as_of="2024-05-02"), form)
    assert [row["count"] for row in found.rows] == [3, 2]
    # The first window is over exactly when as_of is one minute later.
    for late, whole in ((60_000_000, 3), (59_999_999, 0)):
        found = funnel(
            table(log, tick).answered_by("kernel"), ["a", "b"], within="1m", as_of=START + late * tick
        )  # fmt: skip
        assert (found.rows[0]["count"], found.extras["censored"]) == (whole, 3 - whole)


def test_funnels_with_slices_are_left_to_sql() -> None:
    events = table([(1, 0, "a"), (1, 1, "b")])
    assert funnel(events.answered_by("kernel"), ["a", "b"], within="1m", by="u").extras["form"] == "sql"
    assert funnel(events, ["a", "b"], within="1m").extras["form"] == "sql"  # too few for a log


@pytest.mark.slow
@few(10)
@given(
    log=LOGS, gap=st.sampled_from(["1m", "30m", "1h"]), start=st.sampled_from([None, "b", "(none)", "unheard of"]),
    merge=st.booleans(), since=st.sampled_from([None, "2024-05-02"]), late=st.sampled_from([0, 29, 30, 10000]),
)  # fmt: skip
def test_paths(form: str, log: Any, gap: str, start: Any, merge: bool, since: Any, late: int) -> None:
    events = table([*log, (0, 0, "a"), (None, 5, "a")])
    last = max([0, *(m for _, m, _ in log)])
    options = {"gap": gap, "merge": merge, "since": since, "as_of": START + timedelta(minutes=last + late)}
    same(events, lambda e: paths(e, steps=3, top=2, start=start, **options), form)
    same(events, lambda e: step_matrix(e, steps=3, top=2, start=start, **options), form)
    same(events, lambda e: transitions(e, **options), form)


@pytest.mark.slow
@few(15)
@given(
    log=LOGS, gap=st.sampled_from([1, 30, 60]), grace=st.sampled_from([1, 30, 90]),
    background=st.sampled_from([None, "x", "a", "unheard of"]), early=st.sampled_from([0, 30, 1440]),
)  # fmt: skip
def test_sessions(form: str, log: Any, gap: float, grace: float, background: Any, early: int) -> None:
    events = table([*log, (0, 0, "a"), (None, 5, "a")])
    last = max([0, *(m for _, m, _ in log)])
    as_of = START + timedelta(minutes=max(last - early, 0))
    same(events, lambda e: sessions(e, gap=gap, grace=grace, background=background, as_of=as_of), form)


def test_kernels_on_no_event_before_as_of(form: str) -> None:
    events = table([(1, 10, "a"), (1, 11, "b")])
    for ask in (
        lambda e: funnel(e, ["a", "b"], within="1m", as_of=START), lambda e: paths(e, as_of=START),
        lambda e: transitions(e, as_of=START), lambda e: sessions(e, as_of=START),
    ):
        same(events, ask, form)


def test_sessions_without_an_event_column(form: str) -> None:
    events = table([(1, 0, "a"), (1, 29, "b"), (1, 59, "c"), (2, 0, None)])
    bare = EventTable.of(ENGINE, events.relation, "u", "t")
    assert [row["events"] for row in same(bare, sessions, form).rows] == [2, 1, 1]


def test_at_most_and_at_least_say_what_seconds_say() -> None:
    for seconds in (0.001, 0.1, 0.3, 1 / 3, 29.999999, 30.0, 86400.0, 604800.000001, 1e-7):
        most, least = kernels.at_most(seconds), kernels.at_least(seconds)
        assert most / 1e6 <= seconds < (most + 1) / 1e6
        assert (least - 1) / 1e6 < seconds <= least / 1e6


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=40), st.sampled_from([0.1, 0.5, 0.9, 0.99]))
def test_quantile_is_that_of_numpy(values: list[int], q: float) -> None:
    assert kernels.quantile(np.array(values), q) == pytest.approx(float(np.quantile(np.array(values) / 1e6, q)))


def test_rows_of_one_moment_take_the_rank_asked_for() -> None:
    log = EventLog.build(table([(1, 0, "a"), (1, 0, "b"), (1, 0, "b"), (1, 1, "a"), (2, 0, "b"), (2, 0, "c")]))
    rank = np.array([2, 1, 0])
    found = kernels.ranked(log.code, log.ties, log.user, log.moment, rank)
    assert [log.names[code] for code in found] == ["b", "b", "a", "a", "c", "b"]
    assert kernels.ranked(log.code, log.ties, log.user, log.moment, np.arange(3)) is log.code
