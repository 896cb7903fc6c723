"""The roll-up by hand, against plain Python, and brought up to date against built anew."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodsense.behavior import EventTable
from prodsense.behavior.rollup import Rollup
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import NotBuiltError, UsageError

START = datetime(2024, 5, 1)
ENGINE = DuckDBEngine()

Rows = Sequence[tuple[Any, float, Any, Any, Any]]


def table(rows: Rows) -> EventTable:
    """Events (user, hours after the start, name, country, amount), by country."""
    data = pa.table({
        "u": pa.array([r[0] for r in rows], pa.string()),
        "t": pa.array([START + timedelta(hours=r[1]) for r in rows], pa.timestamp("us")),
        "e": pa.array([r[2] for r in rows], pa.string()), "country": pa.array([r[3] for r in rows], pa.string()),
        "amount": pa.array([r[4] for r in rows], pa.int64()),
    })
    with ENGINE.temporary(data) as fresh:
        ENGINE.replace("rollup_test.events", f"SELECT * FROM {fresh}")
    return EventTable.of(ENGINE, "rollup_test.events", "u", "t", "e", "country")


ROWS = [
    ("a", 1, "view", "de", None), ("a", 2, "pay", "de", 5), ("a", 3, "pay", "fr", 7),  # a is in two countries
    ("b", 4, "view", "de", None), ("b", 25, "pay", None, 2), (None, 5, "view", "de", 1), ("b", 23.99, "pay", "de", 0),
]  # fmt: skip


def test_by_hand() -> None:
    made = Rollup.build(table(ROWS), "rollup_test.slices", counts=["pay"], sums=["amount"])
    found = made.daily()
    one, two = date(2024, 5, 1), date(2024, 5, 2)
    names = ["day", "country", "events", "users", "events_pay", "users_pay", "sum_amount"]
    assert found.arrow.column_names == names
    assert [tuple(row.values()) for row in found.rows] == [
        (one, "de", 4, 2, 2, 2, 5), (one, "fr", 1, 1, 1, 1, 7), (two, None, 1, 1, 1, 1, 2)
    ]  # fmt: skip
    # Over both countries user a is one.
    assert [tuple(row.values()) for row in made.daily(by=[]).rows] == [(one, 5, 2, 3, 2, 12), (two, 1, 1, 1, 1, 2)]
    assert found.incomplete == (two,)
    assert made.daily(since=two).arrow.num_rows == 1 and made.daily(until=two).arrow.num_rows == 2
    assert "rollup_test" in found.sql[0] and found.arrow.schema.field("sum_amount").type == pa.int64()
    assert found.extras == {"by": ["country"]}
    assert Rollup.open(ENGINE, "rollup_test.slices") == made


def test_days_are_of_the_zone() -> None:
    made = Rollup.build(table(ROWS), "rollup_test.local", tz="Asia/Tokyo")
    assert [(str(row["day"]), row["events"]) for row in made.daily(by=[]).rows] == [("2024-05-01", 4), ("2024-05-02", 2)]


def test_what_cannot_be_rolled_up() -> None:
    events = table(ROWS)
    with pytest.raises(UsageError, match="takes each name once, not pay, pay"):
        Rollup.build(events, counts=["pay", "pay"])
    with pytest.raises(UsageError, match="has no column cost"):
        Rollup.build(events, sums=["cost"])
    bare = EventTable.of(ENGINE, "rollup_test.events", "u", "t")
    with pytest.raises(UsageError, match="name the event column"):
        Rollup.build(bare, counts=["pay"])
    ENGINE.replace("rollup_test.named", "SELECT *, country AS users FROM rollup_test.events")
    with pytest.raises(UsageError, match="has a column users of its own"):
        Rollup.build(EventTable.of(ENGINE, "rollup_test.named", "u", "t", "e", "users"))
    with pytest.raises(UsageError, match="has no dimension city; it has: country"):
        Rollup.build(events, "rollup_test.slices").daily(by=["city"])
    with pytest.raises(NotBuiltError, match=r"no roll-up at rollup_test\.none"):
        Rollup.open(ENGINE, "rollup_test.none")


EVENTS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from([0, 5, 23, 24, 30, 47.5, 72]), st.sampled_from(["view", "pay", None]),
              st.sampled_from(["de", "fr", None]), st.sampled_from([None, 0, 3])), max_size=15,
)  # fmt: skip


@settings(max_examples=12, deadline=None)
@given(before=EVENTS, late=EVENTS)
def test_updates_equal_a_rebuild_and_plain_python(before: Any, late: Any) -> None:
    first = [("a", 0, "view", "de", 1), *before]
    kept = {"counts": ["pay"], "sums": ["amount"]}
    made = Rollup.build(table(first), "rollup_test.kept", **kept)
    events = table([*first, *late])
    days = {(START + timedelta(hours=row[1])).date() for row in late}
    made = made.update(events, days=days) if days else made.update(events)
    again = Rollup.build(events, "rollup_test.again", **kept)
    for by in (None, []):
        assert made.daily(by=by).rows == again.daily(by=by).rows
    cells: dict[Any, list[Any]] = {}
    for row in [*first, *late]:
        cells.setdefault(((START + timedelta(hours=row[1])).date(), row[3]), []).append(row)
    expected = {
        cell: (len(rows), len({r[0] for r in rows}), sum(r[2] == "pay" for r in rows),
               len({r[0] for r in rows if r[2] == "pay"}),
               None if all(r[4] is None for r in rows) else sum(r[4] or 0 for r in rows))
        for cell, rows in cells.items()
    }  # fmt: skip
    assert {tuple(row.values())[:2]: tuple(row.values())[2:] for row in made.daily().rows} == expected
