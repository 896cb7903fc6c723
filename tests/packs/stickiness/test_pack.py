"""The pack as a whole, beside what holds of every pack: what may be absent, events, the registry, day by day."""

from __future__ import annotations

from pathlib import Path

import pytest
from pack_kit import by_days, check_steps, required_columns, tiny_rows

from prodsense.packs import load_pack
from prodsense.packs.stickiness.registry import COUNTER, NEAR_REAL_TIME, VANITY, registry_rows
from prodsense.warehouse import Warehouse

PACK = load_pack("stickiness")
#: What dates the rows of a table that comes in by day.
MOMENTS = {"user_events": "timestamp", "sessions": "started_at", "daily_user_activity": "activity_date"}


def test_columns_that_a_team_may_lack_are_nullable() -> None:
    required = required_columns(PACK)
    assert required["users"] == {"user_id"}
    assert required["user_events"] == {"user_id", "timestamp", "event_type"}
    assert required["sessions"] == {"user_id", "session_id", "started_at"}
    assert required["daily_user_activity"] == {"user_id", "activity_date"}
    assert required["connections"] == {"user_id", "connected_user_id"}


def test_events_fit_the_table_that_takes_them() -> None:
    columns = set(PACK.tables["user_events"].columns)
    for event in PACK.events.values():
        names = [field.name for field in event.fields]
        assert set(names) <= columns, event.name
        assert {"user_id", "session_id", "timestamp", "attributes"} <= set(names), event.name


def test_registry_knows_every_metric() -> None:
    rows = registry_rows()
    visible = {m.name for m in PACK.metrics.values() if not m.hidden}
    assert {row["metric_name"] for row in rows} == visible
    assert len({row["active_definition"] for row in rows}) == 1
    counters = {name for text in COUNTER.values() for name in text.split(",")}
    assert {*VANITY, *NEAR_REAL_TIME, *COUNTER, *counters} <= visible


@pytest.mark.slow
def test_step_by_step_equals_at_once(platform: Warehouse, tmp_path: Path) -> None:
    rows = tiny_rows("stickiness")
    for found in (rows["user_events"], rows["sessions"]):
        for row in found:
            moment = row.get("timestamp") or row["started_at"]
            row["event_date" if "timestamp" in row else "session_date"] = moment[:10]
    check_steps(PACK, by_days(rows, MOMENTS), platform, tmp_path)
