"""Sessions from raw events by hand: gap, grace, midnight, platforms, internal users, late bursts, wrong clocks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

import prodsense.warehouse
from prodsense.errors import UsageError
from prodsense.warehouse import Warehouse

DAY = datetime(2024, 3, 1)


def at(hour: int, minute: float = 0, day: int = 1) -> datetime:
    return DAY + timedelta(days=day - 1, hours=hour, minutes=minute)


def load(rows: list[dict[str, Any]], **tables: Any) -> Warehouse:
    warehouse = prodsense.warehouse.open(":memory:")
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [row.get(name) for row in rows] for name in names}
    warehouse.ingest(pa.table(columns), table="stickiness.user_events")
    for name, table in tables.items():
        warehouse.ingest(pa.table(table), table=f"stickiness.{name}")
    return warehouse


def event(user: str, when: datetime, kind: str = "like", platform: str = "ios", received: datetime | None = None) -> dict[str, Any]:
    return {"user_id": user, "timestamp": when, "event_type": kind, "platform": platform, "received_at": received}


@pytest.fixture
def hand() -> Iterator[Warehouse]:
    rows = [
        # 29 minutes apart is one session, 30 minutes are two.
        event("a", at(9)), event("a", at(9, 29)), event("a", at(9, 59)),
        # Into the background: back after 4 minutes it goes on, after 5 it is another.
        event("a", at(12), "app_background"), event("a", at(12, 4)), event("a", at(12, 5), "app_background"),
        event("a", at(12, 10)),
        # Across midnight: one session, of the first of March.
        event("b", at(23, 50)), event("b", at(0, 10, day=2)),
        # Phone and web overlap: one session across platforms, two apart.
        event("c", at(10), platform="ios"), event("c", at(10, 10), platform="web"), event("c", at(10, 20), platform="ios"),
        event("staff", at(9)),
    ]  # fmt: skip
    users = {"user_id": ["a", "b", "c", "staff"], "is_internal": [None, False, None, True]}
    with load(rows, users=users) as warehouse:
        yield warehouse


def spans(answer: Any) -> list[tuple[str, datetime, datetime]]:
    return sorted((r["user_id"], r["session_start"], r["session_end"]) for r in answer.rows)


def test_sessions_by_hand(hand: Warehouse) -> None:
    answer = hand.analyze("sessionization")
    assert spans(answer) == [
        ("a", at(9), at(9, 29)), ("a", at(9, 59), at(9, 59)), ("a", at(12), at(12, 5)), ("a", at(12, 10), at(12, 10)),
        ("b", at(23, 50), at(0, 10, day=2)), ("c", at(10), at(10, 20)),
    ]  # fmt: skip
    facts = answer.extras
    assert (facts["sessions"], facts["users"], facts["user_days"]) == (6, 3, 3)
    assert facts["minutes"] == pytest.approx(29 + 5 + 20 + 20)
    # Within a: 9:29 to 9:59, 9:59 to 12:00, 12:05 to 12:10.
    assert facts["median_hours_between"] == pytest.approx(0.5)
    assert facts["mean_hours_between"] == pytest.approx((30 + 121 + 5) / 60 / 3)


def test_rules_are_parameters(hand: Warehouse) -> None:
    assert len(hand.analyze("sessionization", across="apart").rows) == 7
    longer = hand.analyze("sessionization", gap=31)
    assert ("a", at(9), at(9, 59)) in spans(longer)
    assert ("a", at(12), at(12, 10)) in spans(hand.analyze("sessionization", grace=6))
    # A zone in which both of b's events are of one day.
    days = {r["user_id"]: str(r["session_day"]) for r in hand.analyze("sessionization", tz="Asia/Tokyo").rows}
    assert days["b"] == "2024-03-02"


def test_cut_offs_of_settings_are_the_defaults() -> None:
    rows = [event("a", at(9)), event("a", at(9, 40))]
    with load(rows, settings={"setting": ["session_gap_minutes"], "value": [45.0]}) as warehouse:
        assert len(warehouse.analyze("sessionization").rows) == 1
        assert len(warehouse.analyze("sessionization", gap=30).rows) == 2


def test_only_the_columns_that_are_needed() -> None:
    rows = [{"user_id": "a", "timestamp": at(9), "event_type": "like", "platform": "ios"}]
    with load(rows) as warehouse:
        answer = warehouse.analyze("sessionization")
        assert len(answer.rows) == 1 and answer.extras["median_hours_between"] is None
        with pytest.raises(UsageError, match="received_at"):
            warehouse.analyze("sessionization_edge_cases")


def test_no_events_is_a_refusal() -> None:
    with prodsense.warehouse.open(":memory:") as warehouse, pytest.raises(UsageError, match="user_events holds nothing"):
        warehouse.analyze("sessionization")


def test_a_burst_after_a_time_without_network_changes_nothing() -> None:
    """The same events, once as they happened and once all received two hours later: the same sessions."""
    moments = [at(9), at(9, 5), at(9, 20), at(11), at(11, 3)]
    live = [event("a", m, received=m) for m in moments] + [event("b", at(14), received=at(14))]
    late = [event("a", m, received=at(13)) for m in moments] + [event("b", at(14), received=at(14))]
    with load(live) as one, load(late) as other:
        assert spans(one.analyze("sessionization")) == spans(other.analyze("sessionization"))
        answer = other.analyze("sessionization_edge_cases")
        assert (answer.extras["late_events"], answer.extras["bursts"]) == (5, 1)
        by_time = {row["times"]: row for row in answer.rows}
        assert by_time["set right by receipt"]["sessions"] == 3
        # By the time of receipt alone a's day would be one moment.
        assert by_time["time of receipt alone"]["sessions"] == 2
        assert by_time["time of receipt alone"]["sessions_as_counted"] == 1


def test_a_fast_clock_is_set_right() -> None:
    """Ten minutes fast: client time says that the session is in the future; the receipt says by how much."""
    right = [event("a", at(9, m), received=at(9, m)) for m in range(0, 30, 3)]
    fast = [event("b", at(9, m + 10), received=at(9, m)) for m in range(0, 30, 3)]
    with load(right + fast) as warehouse:
        found = {r["user_id"]: (r["session_start"], r["session_end"]) for r in warehouse.analyze("sessionization").rows}
        assert found["b"] == found["a"] == (at(9), at(9, 27))
        answer = warehouse.analyze("sessionization_edge_cases")
        assert answer.extras["clocks_off"] == 1
        by_time = {row["times"]: row for row in answer.rows}
        assert by_time["client time as it is"]["sessions_as_counted"] == 1
