"""Paths: a log worked by hand, any log against a plain loop over sessions, and the layout of the picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodsense.behavior.events import EventTable
from prodsense.behavior.paths import END, OTHER, START, chart_data, paths, step_matrix, transitions, walked
from prodsense.charts.sankey import layout
from prodsense.engines.dialect import DIALECTS, render
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import UsageError

BEGIN = datetime(2024, 5, 1)
LATE = datetime(2025, 1, 1)

Log = Sequence[tuple[int, float, str | None]]


@pytest.fixture(scope="module")
def engine() -> Any:
    made = DuckDBEngine()
    yield made
    made.close()


def table(engine: DuckDBEngine, log: Log) -> EventTable:
    rows = pa.table({
        "u": pa.array([u for u, _, _ in log], pa.int64()),
        "t": pa.array([BEGIN + timedelta(minutes=m) for _, m, _ in log], pa.timestamp("us")),
        "e": pa.array([e for _, _, e in log], pa.string()),
    })
    with engine.temporary(rows) as fresh:
        engine.replace("behavior_test.visits", f"SELECT * FROM {fresh}")
    return EventTable.of(engine, "behavior_test.visits", "u", "t", "e")


VISITS = [
    (1, 0, "home"), (1, 5, "item"), (1, 10, "item"), (1, 12, "pay"),
    (1, 42, "home"),  # 30 minutes later: another session
    (2, 0, "home"), (2, 29.99, "item"),
    (3, 7, "help"),
]  # fmt: skip


def links(answer: Any) -> dict[tuple[int, str, str], int]:
    return {(r["step"], r["source"], r["target"]): r["count"] for r in answer.rows}


def test_links_of_sessions(engine: DuckDBEngine) -> None:
    found = paths(table(engine, VISITS), steps=4, as_of=LATE)
    assert links(found) == {
        (1, "home", "item"): 2, (1, "home", END): 1, (1, "help", END): 1,
        (2, "item", "item"): 1, (2, "item", END): 1, (3, "item", "pay"): 1,
    }  # fmt: skip
    assert found.rows[0]["share"] == pytest.approx(2 / 3)
    assert found.extras["sessions"] == 4 and found.extras["gap"] == "30m"
    merged = paths(table(engine, VISITS), merge=True, as_of=LATE)
    assert links(merged)[2, "item", "pay"] == 1 and (2, "item", "item") not in links(merged)
    anchored = paths(table(engine, VISITS), start="item", as_of=LATE)
    assert links(anchored) == {(1, "item", "item"): 1, (1, "item", END): 1, (2, "item", "pay"): 1, (3, "pay", END): 1}


def test_folding_keeps_the_frequent_and_never_folds_one_alone(engine: DuckDBEngine) -> None:
    log = [(u, 0, name) for u, name in enumerate("aaabbcd")]
    assert links(paths(table(engine, log), top=2, as_of=LATE)) == {(1, "a", END): 3, (1, "b", END): 2, (1, OTHER, END): 2}
    assert links(paths(table(engine, log), top=3, as_of=LATE))[1, "d", END] == 1
    marked = [(1, 0, "(other)"), (1, 1, "(end)"), (2, 0, None)]
    assert links(paths(table(engine, marked), steps=2, as_of=LATE)) == {
        (1, "(other) [event]", "(end) [event]"): 1, (1, "(none)", END): 1
    }  # fmt: skip


def test_the_matrix_adds_up(engine: DuckDBEngine) -> None:
    found = step_matrix(table(engine, VISITS), steps=3, top=1, as_of=LATE)
    assert [(r["step"], r["event"], r["count"]) for r in found.rows] == [
        (1, "home", 3), (1, OTHER, 1), (1, END, 0), (2, "home", 0), (2, OTHER, 2), (2, END, 2),
        (3, "home", 0), (3, OTHER, 1), (3, END, 3),
    ]  # fmt: skip
    assert found.rows[0]["share"] == 0.75


def test_transitions(engine: DuckDBEngine) -> None:
    found = transitions(table(engine, VISITS), as_of=LATE)
    rows = {(r["source"], r["target"]): (r["count"], r["share"], r["p50"]) for r in found.rows}
    assert rows == {
        (START, "home"): (3, 0.75, None), (START, "help"): (1, 0.25, None),
        ("home", "item"): (2, pytest.approx(2 / 3), pytest.approx((300 + 29.99 * 60) / 2)),
        ("home", END): (1, pytest.approx(1 / 3), None),
        ("item", "item"): (1, pytest.approx(1 / 3), 300), ("item", "pay"): (1, pytest.approx(1 / 3), 120),
        ("item", END): (1, pytest.approx(1 / 3), None), ("pay", END): (1, 1.0, None), ("help", END): (1, 1.0, None),
    }  # fmt: skip


def test_sessions_that_may_go_on_are_left_out(engine: DuckDBEngine) -> None:
    found = paths(table(engine, VISITS))  # as of minute 42: sessions that last saw minute 12 are over, just
    assert found.extras["censored"] == 2
    assert found.notes == ("2 sessions left out: 30m without an event not over at as_of",)
    window = paths(table(engine, [(1, 0, "a"), (1, 1440, "b"), (1, 2880, "c")]), since="2024-05-02", until="2024-05-03",
                   as_of=LATE)  # fmt: skip
    assert links(window) == {(1, "b", END): 1}
    assert "no session has 'x': is it a value of e?" in paths(table(engine, VISITS), start="x", as_of=LATE).notes


LOGS = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 40).map(float), st.sampled_from("abcd")), min_size=1, max_size=20
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(log=LOGS, start=st.sampled_from([None, "a"]), merge=st.booleans(), end=st.integers(0, 50), top=st.integers(1, 4))
def test_any_log_gives_what_a_loop_finds(
    engine: DuckDBEngine, log: Log, start: str | None, merge: bool, end: int, top: int
) -> None:
    walks: list[list[tuple[float, str]]] = []
    censored = 0
    for user in {u for u, _, _ in log}:
        sessions: list[list[Any]] = []
        for minute, name in sorted((m, e) for u, m, e in log if u == user and m <= end):
            if not sessions or minute - sessions[-1][-1][0] >= 5:
                sessions.append([])
            sessions[-1].append((minute, name))
        for session in sessions:
            if end - session[-1][0] < 5:
                censored += 1
                continue
            while start and session and session[0][1] != start:
                session.pop(0)
            kept = [r for i, r in enumerate(session) if not merge or i == 0 or session[i - 1][1] != r[1]]
            walks += [kept] if kept else []
    events = table(engine, log)
    options: dict[str, Any] = {"gap": "5m", "merge": merge, "as_of": BEGIN + timedelta(minutes=end)}
    found = paths(events, steps=4, top=4, start=start, **options)
    expected = Counter(
        (i + 1, name, walk[i + 1][1] if i + 1 < len(walk) else END)
        for walk in walks for i, (_, name) in enumerate(walk[:3])
    )  # fmt: skip
    assert links(found) == expected and found.extras["censored"] == censored
    # However much is folded, nothing is lost: as many sessions stand at each step, and what arrives goes on.
    folded = links(paths(events, steps=4, top=top, start=start, **options))
    for step in (1, 2, 3):
        assert sum(n for (s, _, _), n in folded.items() if s == step) == sum(len(walk) >= step for walk in walks)
        if step < 3:
            into = Counter[str]()
            out = Counter[str]()
            for (s, source, target), n in folded.items():
                into[target] += n if s == step and target != END else 0
                out[source] += n if s == step + 1 else 0
            assert +into == +out
    matrix = step_matrix(events, steps=4, top=4, start=start, **options)
    for row in matrix.rows:
        if row["event"] != END:
            assert row["count"] == sum(len(w) >= row["step"] and w[row["step"] - 1][1] == row["event"] for w in walks)
    if start is None:
        pairs = Counter((a[1], b[1]) for walk in walks for a, b in pairwise(walk))
        rows = {(r["source"], r["target"]): r["count"] for r in transitions(events, **options).rows}
        assert {k: v for k, v in rows.items() if k[0] != START and k[1] != END} == pairs
        assert sum(v for k, v in rows.items() if k[0] == START) == len(walks)


def test_a_layout_by_hand() -> None:
    nodes, ribbons = layout(
        [(1, "a", "x", 6.0), (1, "a", END, 4.0), (1, "b", "x", 2.0), (2, "x", END, 8.0)], last=(END,), gap=0.1
    )
    # The largest step holds 12, so nodes stand 1.2 apart.
    assert [(n.step, n.name, n.size, n.top) for n in nodes] == [
        (1, "a", 10, 0), (1, "b", 2, pytest.approx(11.2)), (2, "x", 8, 0), (2, END, 4, pytest.approx(9.2)), (3, END, 8, 0)
    ]  # fmt: skip
    assert {(r.source.name, r.target.name): (r.leaves, r.arrives) for r in ribbons if r.source.step == 1} == {
        ("a", "x"): (0, 0), ("a", END): (6, pytest.approx(9.2)), ("b", "x"): (pytest.approx(11.2), 6)
    }  # fmt: skip


def test_pictures_say_the_flow(engine: DuckDBEngine) -> None:
    events = table(engine, VISITS)
    chart = paths(events, as_of=LATE).chart()
    assert "beginning with home 3, help 1; largest: home to item 2" in chart.description
    assert "home → item: 2" in str(chart.to_dict())
    assert step_matrix(events, as_of=LATE).chart().to_dict()
    found = transitions(events, as_of=LATE)
    assert found.chart().to_dict()
    assert Counter(r["source"] for r in chart_data(found))["home"] == 2
    nothing = paths(table(engine, [(1, 0, "a")]), as_of=BEGIN)
    assert "no data" in nothing.chart().description.lower()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_statement_is_said_in_every_dialect(engine: DuckDBEngine, dialect: str) -> None:
    text = walked(table(engine, VISITS), 1800.0, anchored=True, merge=True)
    assert render(f"{text} SELECT step, event_name FROM walked", dialect)


def test_wrong_requests(engine: DuckDBEngine) -> None:
    events = table(engine, VISITS)
    with pytest.raises(UsageError, match="at least 2 steps"):
        paths(events, steps=1)
    with pytest.raises(UsageError, match="the gap between sessions should be a length of time"):
        transitions(events, gap="soon")
    with pytest.raises(UsageError, match="name the event column"):
        paths(EventTable.of(engine, "behavior_test.visits", "u", "t"))
