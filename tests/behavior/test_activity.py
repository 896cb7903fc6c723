"""The activity model and lifecycle: by hand, against plain Python, incremental against full, late against rebuild."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodsense.behavior import Activity, EventTable, active_users, cells, lifecycle, retention
from prodsense.engines.dialect import DIALECTS, render
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import NotBuiltError, UsageError

BASE = date(2024, 2, 26)  # a Monday; February has 29 days
ENGINE = DuckDBEngine()
TABLES = ("user_days", "gaps", "cohorts", "month_days", "settings")


def table(days: list[tuple[Any, int, Any]], engine: DuckDBEngine | None = None, **options: Any) -> EventTable:
    rows = [
        {"user": user, "time": datetime.combine(BASE, datetime.min.time()) + timedelta(days=day, hours=12), "plan": plan}
        for user, day, plan in days
    ]
    return EventTable.read(rows, "user", "time", engine=engine, **options)


def day(n: int) -> date:
    return BASE + timedelta(days=n)


#: a: days 0, 1, 5; b: days 1, 2 (twice); c: day 5.
LOG = [("a", 0, "x"), ("a", 1, "x"), ("a", 5, "y"), ("b", 1, None), ("b", 2, None), ("b", 2, None), ("c", 5, "x"),
       (None, 3, "x")]  # fmt: skip


def contents(engine: Any, schema: str) -> dict[str, list[Any]]:
    return {name: sorted(map(str, engine.query(f"SELECT * FROM {schema}.{name}").to_pylist())) for name in TABLES}


def test_rolling_users_by_hand() -> None:
    with table(LOG) as events:
        answer = active_users(events, windows=(1, 3, 28))
        assert [(r["active_1d"], r["active_3d"], r["active_28d"]) for r in answer.rows] == [
            (1, 1, 1), (2, 2, 2), (1, 2, 2), (0, 2, 2), (0, 1, 2), (2, 2, 3)
        ]  # fmt: skip
        assert answer.rows[2]["stickiness"] == 0.5
        assert answer.incomplete == (day(5),)
        assert active_users(events, as_of=day(5)).incomplete == ()
        assert len(active_users(events, as_of=day(1))) == 2
        with pytest.raises(UsageError, match="days from 1"):
            active_users(events, windows=(0,))
        assert answer.chart().to_dict()
        assert active_users(events, by="plan").chart().to_dict()


def test_lifecycle_by_hand() -> None:
    with table(LOG) as events:
        rows = lifecycle(events).rows
        names = ("active", "new", "retained", "resurrected", "churned", "dormant")
        assert [tuple(row[n] for n in names) for row in rows] == [
            (1, 1, 0, 0, 0, 0), (2, 1, 1, 0, 0, 0), (1, 0, 1, 0, 1, 1), (0, 0, 0, 0, 1, 2), (0, 0, 0, 0, 0, 2),
            (2, 1, 0, 1, 0, 1),
        ]  # fmt: skip
        months = lifecycle(events, grain="month")
        # February holds days 0 to 3, March 4 and 5.
        assert [(r["period"], *(r[n] for n in names)) for r in months.rows] == [
            (date(2024, 2, 1), 2, 2, 0, 0, 0, 0), (date(2024, 3, 1), 2, 1, 1, 0, 1, 1)
        ]  # fmt: skip
        assert months.incomplete == (date(2024, 3, 1),)
        assert lifecycle(events, grain="month", as_of="2024-03-31").incomplete == ()
        plans = lifecycle(events, by="plan", grain="year")
        assert [(r["plan"], r["new"]) for r in plans.rows] == [("(none)", 1), ("x", 2), ("y", 1)]
        with pytest.raises(UsageError, match="no lifecycle of grain"):
            lifecycle(events, grain="all")
        with pytest.raises(UsageError, match="name the event column"):
            lifecycle(events, event="open")
        assert months.chart().to_dict()
        assert plans.chart().to_dict()


def test_answers_of_the_model_by_hand() -> None:
    with table(LOG) as events:
        model = Activity.build(events, "act")
        assert [(r["days"], r["users"]) for r in model.active_days(6).rows if r["users"]] == [(1, 1), (2, 1), (3, 1)]
        assert [r["at_least"] for r in model.active_days(6).rows][:4] == [1, 2 / 3, 1 / 3, 0]
        assert {r["days"]: r["users"] for r in model.active_days(2, on=day(2)).rows} == {1: 1, 2: 1}
        tiers = {"some": 1, "most": 3}
        assert [(r["tier"], r["users"]) for r in model.tiers(6, bounds=tiers).rows] == [("some", 2), ("most", 1)]
        moves = model.transitions(day(1), day(5), window=2, bounds={"one": 1, "two": 2})
        # a: two days to day 1, one to day 5; b: one, then none; c had not been there.
        assert [(r["from"], r["to"], r["users"]) for r in moves.rows] == [
            ("not yet", "one", 1), ("one", "dormant", 1), ("two", "one", 1)
        ]  # fmt: skip
        assert [(r["away"], r["users"]) for r in model.resurrection().rows] == [(3, 1)]
        assert str(model.lifecycle("week"))
        for answer in (model.active_days(6), model.tiers(6, bounds=tiers), moves, model.resurrection()):
            assert answer.chart().to_dict()
        with pytest.raises(UsageError, match="tiers begin with 1 day"):
            model.tiers(bounds={"a": 2})
        with pytest.raises(UsageError, match="from an earlier day"):
            model.transitions(day(5), day(1))
        with pytest.raises(UsageError, match="rolling retention needs the events"):
            model.retention("rolling")
        assert Activity.open(events.engine, "act") == model
        with pytest.raises(NotBuiltError, match="no activity model in other"):
            Activity.open(events.engine, "other")


def test_only_qualifying_events_make_active() -> None:
    rows = [{"u": 1, "t": datetime(2024, 1, 1), "e": "open"}, {"u": 2, "t": datetime(2024, 1, 2), "e": "push"}]
    with EventTable.read(rows, "u", "t", "e") as events:
        model = Activity.build(events, event="open")
        assert [r["active_1d"] for r in model.active_users().rows] == [1, 0]
        assert model.update(events, since="2024-01-01").active_users().rows[1]["active_1d"] == 0


# --- against plain Python, and against a rebuild -------------------------------------------------

LOGS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 40), st.sampled_from(["x", "y", None])), min_size=1, max_size=40
)


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(log=LOGS, by=st.sampled_from(["", "plan"]), k=st.integers(1, 35), end=st.integers(0, 45))
def test_the_model_answers_as_the_definitions_read(log: list[Any], by: str, k: int, end: int) -> None:
    with table(log, ENGINE) as events:
        model = Activity.build(events, "naive", by=by)
        users: dict[str, dict[Any, set[int]]] = {}
        for user, n, plan in log:
            users.setdefault((plan or "(none)") if by else "", {}).setdefault(user, set()).add(n)
        last = max(n for _, n, _ in log)
        expected = {
            (day(d), name): sum(any(d - k < n <= d for n in days) for days in people.values())
            for name, people in users.items()
            for d in range(min(min(days) for days in people.values()), last + 1)
        }
        assert {(r["day"], r.get(by, "")): r[f"active_{k}d"] for r in model.active_users((k,)).rows} == expected
        counts: dict[Any, int] = {}
        for name, people in users.items():
            for days in people.values():
                active = sum(end - k < n <= end for n in days)
                counts[name, active] = counts.get((name, active), 0) + bool(active)
        got = {(r.get(by, ""), r["days"]): r["users"] for r in model.active_days(k, on=day(end)).rows if r["users"]}
        assert got == {at: n for at, n in counts.items() if n}
        for grain in ("day", "week", "month"):
            assert model.lifecycle(grain).rows == lifecycle(events, grain=grain, by=by).rows
            for row in model.lifecycle(grain).rows:
                assert row["active"] == row["new"] + row["retained"] + row["resurrected"]
        if not by:
            for options in ({"days": 9}, {"kind": "unbounded", "days": 9}, {"brackets": "0-2,1-8"}):
                assert model.retention(**options).rows == retention(events, **options).rows  # type: ignore[arg-type]


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(log=LOGS, late=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 40), st.just("x")), max_size=6),
       gone=st.integers(0, 3), cut=st.integers(1, 39), by=st.sampled_from(["", "plan"]))  # fmt: skip
def test_updates_give_what_a_rebuild_gives(
    log: list[Any], late: list[Any], gone: int, cut: int, by: str
) -> None:
    early = [row for row in log if row[1] < cut] or log[:1]
    with table(early, ENGINE) as events:
        model = Activity.build(events, "steps", by=by)
    with table(log, ENGINE) as events:  # append
        model = model.update(events, since=day(cut) if early[0][1] < cut else BASE)
        Activity.build(events, "whole", by=by)
        assert contents(ENGINE, "steps") == contents(ENGINE, "whole")
    final = log[gone:] + late or log  # late events come, some old ones are deleted
    changed = {day(row[1]) for row in [*log[:gone], *late]}
    # The newest event may be one of the deleted: the model keeps the moment it looked from.
    final.append((9, 41, "x"))
    with table(final, ENGINE) as events:
        model = model.update(events, days=[*changed, day(41)])
        Activity.build(events, "whole", by=by)
        assert contents(ENGINE, "steps") == contents(ENGINE, "whole")
        again = model.update(events)
        assert contents(ENGINE, "steps") == contents(ENGINE, "whole")
        assert again == model


def test_an_update_reads_the_newest_day_again_by_default() -> None:
    engine = DuckDBEngine()
    with table([("a", 0, "x"), ("b", 3, "x")], engine) as events:
        model = Activity.build(events, "m")
    with table([("a", 0, "x"), ("b", 3, "x"), ("a", 3, "x"), ("a", 4, "x"), ("c", 1, "x")], engine) as events:
        model = model.update(events)
        assert [r["active_1d"] for r in model.active_users().rows] == [1, 0, 0, 2, 1]  # day 1 was not read
        model = model.update(events, days=[day(1)])
        assert [r["active_1d"] for r in model.active_users().rows] == [1, 1, 0, 2, 1]


def test_days_are_of_the_zone() -> None:
    rows = [{"u": 1, "t": datetime(2024, 3, 30, 23, 30)}, {"u": 1, "t": datetime(2024, 3, 31, 21, 59)}]
    with EventTable.read(rows, "u", "t") as events:
        # Both on the 31st in Berlin, the day that has 23 hours.
        model = Activity.build(events, tz="Europe/Berlin")
        assert [(r["day"], r["active_1d"]) for r in model.active_users().rows] == [(date(2024, 3, 31), 1)]
        assert model.update(events, days=["2024-03-31"]).active_users().rows == model.active_users().rows
        assert [r["active_1d"] for r in active_users(events).rows] == [1, 1]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_all_sql_is_said_in_every_dialect(dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    engine = DuckDBEngine()
    monkeypatch.setattr(engine, "render", lambda sql: seen.append(sql) or render(sql, "duckdb"))
    with table(LOG, engine) as events:
        model = Activity.build(events, "m", by="plan").update(events, since=BASE, days=[day(1)])
        model.active_users(), model.active_days(40), model.tiers(), model.transitions(day(1), day(5))
        model.retention(), model.retention("unbounded"), model.retention(brackets="1-3"), model.lifecycle("week")
        lifecycle(events, by="plan", tz="Europe/Berlin")
    assert len(seen) > 20
    for sql in seen:
        assert render(sql, dialect)


def test_a_triangle_too_wide_for_arrays_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"u": u, "t": datetime(2024, 1, 1) + timedelta(days=d, hours=3), "c": "ab"[u % 2]}
        for u, d in [(1, 0), (1, 1), (1, 4), (2, 0), (2, 3), (3, 2), (3, 3), (4, 4)]
    ]
    with EventTable.read(rows, "u", "t") as events:
        for by in ("", "c"):
            model = Activity.build(events, "wide", by=by)
            for grain in ("day", "all"):
                found = model.retention(days=3, grain=grain)
                with monkeypatch.context() as patch:
                    patch.setattr(cells, "_MOST", 0)
                    other = model.retention(days=3, grain=grain)
                assert found.rows == other.rows and found.rows
                assert (found.extras, found.incomplete, found.notes) == (other.extras, other.incomplete, other.notes)
                assert found.arrow.schema == other.arrow.schema
