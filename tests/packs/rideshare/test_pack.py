"""The pack as a whole, beside what holds of every pack: what answers a question, day by day, without data."""

from __future__ import annotations

from pathlib import Path

import pytest
from pack_kit import by_days, check_steps, tiny_rows

from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

PACK = load_pack("rideshare")
#: What dates the rows of a table that comes in by day, and the column of that day.
MOMENTS = {
    "fact_rides": ("start_timestamp", "ride_date"), "fact_ride_segments": ("segment_pickup_timestamp", "segment_date"),
    "fact_ride_requests": ("request_timestamp", "request_date"),
    "fact_driver_sessions": ("session_start_timestamp", "session_date"),
    "fact_driver_earnings": ("earned_at", "earned_date"),
}  # fmt: skip


def test_what_is_named_exists_and_answers_a_question() -> None:
    entries = PACK.catalogue()
    names = {entry["name"] for entry in entries}
    asked = {name for q in PACK.questions.values() for name in (*q.answers, *q.headline)}
    assert asked <= names
    kinds = {"metric", "slice", "query", "detector", "policy", "experiment", "analysis", "dashboard"}
    silent = {e["name"] for e in entries if e["kind"] in kinds} - asked
    assert silent == {
        "carpool_drivers", "carpool_share_of_journeys", "complaints_detour_too_long_rate",
        "complaints_co_passenger_discomfort_rate", "complaints_safety_concern_rate",
    }  # fmt: skip
    charts = [c for d in PACK.dashboards.values() for s in d.sections for c in s.charts if isinstance(c, str)]
    assert sorted(charts) == sorted(PACK.charts)


@pytest.mark.slow
def test_step_by_step_equals_at_once(fleet: Warehouse, tmp_path: Path) -> None:
    rows = tiny_rows("rideshare")
    for table, (moment, day) in MOMENTS.items():
        for row in rows[table]:
            # A ride without a start belongs to the day of its end.
            row[day] = (row[moment] or row.get("end_timestamp") or row.get("segment_dropoff_timestamp") or "")[:10]
    check_steps(PACK, by_days(rows, {table: day for table, (_, day) in MOMENTS.items()}), fleet, tmp_path)
