"""Sessions carried on by SQL, against the micro-batch path; rules and their oracle are tested there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodsense.engines import open_engine
from prodsense.errors import ProdsenseError, UsageError
from prodsense.realtime.checkpoint import STREAMS, Stream
from prodsense.realtime.microbatch import FIELDS, MicroBatch
from prodsense.realtime.tablestream import TableStream

NOON = datetime(2024, 5, 1, 12)
LENGTHS = {"timeout": timedelta(minutes=8), "lateness": timedelta(minutes=4)}


def event(minute: int, session: Any, user: Any, kind: Any, identity: Any) -> dict[str, Any]:
    moment = None if minute < 0 else NOON + timedelta(minutes=minute)
    return dict(zip(FIELDS, (session, user, kind, moment, identity), strict=True))


def table(events: list[dict[str, Any]]) -> pa.Table:
    types = [pa.string(), pa.string(), pa.string(), pa.timestamp("us"), pa.string()]
    return pa.table({name: pa.array([e[name] for e in events], kind) for name, kind in zip(FIELDS, types, strict=True)})


EVENTS = st.lists(
    st.builds(
        event,
        st.integers(-1, 60),
        st.sampled_from(["s", "t", "x", None, ""]),
        st.sampled_from(["u", "v", "tester", None]),
        st.sampled_from(["view", "like", "session_end"]),
        st.one_of(st.none(), st.integers(0, 12).map(str)),
    ),
    max_size=40,
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    yield open_engine(":memory:", threads=1)


def stored(engine: Any, output: str) -> Counter[tuple[Any, ...]]:
    rows = engine.query(f"SELECT session_id, started_at, ended_at, closed_by, event_type, events FROM {output}")
    return Counter(tuple(row.values()) for row in rows.to_pylist())


def push(engine: Any, stream: TableStream, events: list[dict[str, Any]], position: Any = None) -> None:
    with engine.temporary(table(events)) as relation:
        stream.push(relation, position)


number = iter(range(10**9))


@pytest.mark.slow
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EVENTS, st.data())
def test_any_split_equals_micro_batches_late_and_repeated_events_included(engine: Any, events: list[dict[str, Any]], data: st.DataObject) -> None:
    name = f"n{next(number)}"
    batched, rows = MicroBatch({"tester"}, **LENGTHS), Counter[tuple[Any, ...]]()
    rest = list(events)
    while rest:
        batch, rest = rest[: (n := data.draw(st.integers(min(9, len(rest)), len(rest))))], rest[n:]
        push(engine, TableStream(engine, name, f"shop.{name}", {"tester"}, **LENGTHS), batch, len(rest))
        # In order of time, so that lateness is judged by the batches before alone.
        in_order = sorted(batch, key=lambda e: e["timestamp"] or NOON)
        rows += Counter(tuple(row.values()) for row in batched.add(table(in_order)).to_pylist())
        assert stored(engine, f"shop.{name}") == rows
    stream = TableStream(engine, name, f"shop.{name}", {"tester"}, **LENGTHS)
    stream.flush()
    rows += Counter(tuple(row.values()) for row in batched.flush().to_pylist())
    assert stored(engine, f"shop.{name}") == rows
    again = TableStream(engine, name, f"shop.{name}", {"tester"}, **LENGTHS)
    assert again.totals == stream.totals == batched.totals
    assert again.counts == stream.counts == batched.counts
    assert again.position == (0 if events else None)
    assert again.closed == len({row[:2] for row in rows})


class Crash(BaseException):
    pass


class Fragile:
    """An engine that fails after its n-th statement."""

    def __init__(self, engine: Any, step: int):
        self._engine, self._left = engine, step

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._engine, name)

        def call(*args: Any, **options: Any) -> Any:
            found = method(*args, **options)
            self._left -= 1
            if not self._left:
                raise Crash
            return found

        return call if name in ("query", "replace", "insert", "delete", "append", "create_table") else method


@pytest.mark.slow
def test_a_crash_at_any_statement_neither_loses_nor_doubles(engine: Any) -> None:
    events = [event(n, f"s{n % 3}", ("u", "tester")[n % 5 == 0], ("view", "like", "session_end")[n % 7 % 3], str(n)) for n in range(40)]
    whole = MicroBatch({"tester"}, **LENGTHS)
    wanted = Counter(tuple(r.values()) for r in whole.add(table(events)).to_pylist() + whole.flush().to_pylist())
    for step in range(1, 22, 3):
        name = f"crash{step}"
        broken = Fragile(engine, step)
        with pytest.raises(Crash):
            stream = TableStream(broken, name, f"shop.{name}", {"tester"}, **LENGTHS)
            for at in (0, 20):
                push(engine, stream, events[at : at + 20], at + 20)
        stream = TableStream(engine, name, f"shop.{name}", {"tester"}, **LENGTHS)
        for at in range(stream.position or 0, 40, 20):
            push(engine, stream, events[at : at + 20], at + 20)
        stream.flush()
        assert stored(engine, f"shop.{name}") == wanted, f"crash at step {step}"


def test_other_settings_owners_and_kinds_are_refused(engine: Any) -> None:
    first, second = (TableStream(engine, "a", "shop.a") for _ in range(2))
    push(engine, first, [event(0, "s", "u", "view", "1")], 1)
    with pytest.raises(ProdsenseError, match="moved on by someone else"):
        push(engine, second, [event(0, "s", "u", "view", "1")], 1)
    assert second.position == 1
    with pytest.raises(UsageError, match="begun with timeout 0:30:00 and lateness 0:05:00"):
        TableStream(engine, "a", "shop.a", timeout=timedelta(hours=1))
    with pytest.raises(UsageError, match=r"writes to shop\.a, not shop\.b"):
        TableStream(engine, "a", "shop.b")
    with pytest.raises(UsageError, match=r"shop\.a is the output of stream a"):
        TableStream(engine, "b", "shop.a")
    with pytest.raises(UsageError, match="with its state in tables"):
        Stream(engine, "a", "shop.a")
    Stream(engine, "c", "shop.c").push([], 1)
    with pytest.raises(UsageError, match="keeps its state in a record"):
        TableStream(engine, "c", "shop.c")
    with pytest.raises(UsageError, match="timeout should be above 0"):
        TableStream(engine, "d", "shop.d", timeout=timedelta(0))
    assert "d" not in [row["stream"] for row in engine.query(f"SELECT stream FROM {STREAMS}").to_pylist()]


def test_the_first_and_last_moments_there_are(engine: Any) -> None:
    stream, whole = TableStream(engine, "ages", "shop.ages"), MicroBatch()
    ages = [{**event(0, "s", "u", "view", None), "timestamp": moment} for moment in (datetime.min, datetime(9999, 12, 31, 23))]
    push(engine, stream, ages)
    stream.flush()
    rows = whole.add(table(ages)).to_pylist() + whole.flush().to_pylist()
    assert stored(engine, "shop.ages") == Counter(tuple(row.values()) for row in rows)
    assert len(rows) == 2


def test_the_sql_renders_for_every_engine() -> None:
    from prodsense.engines.dialect import render
    from prodsense.realtime import tablestream as t

    held = f"SELECT {t._FIELDS} FROM shop.a_pending UNION ALL {t._arrived('shop.b')}"
    kept = t._KEPT.format(held=held, ids="shop.a_ids")
    for sql in (t._CLOSED.format(open="shop.a_open"), f"{kept} {t._COUNTED}", f"{kept} {t._ALIVE}", f"{kept} {t._SESSIONS.format(open='shop.a_open')}"):
        for dialect in ("duckdb", "spark", "postgres"):
            assert "seconds_between" not in render(sql, dialect)
