"""The running total of each user: whatever is run twice, skipped, late or corrected, the total is that of the sessions."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from typing import Any

from prodsense.warehouse import Warehouse

from .little import at, load, made_of, session

UPSERT, MERGE = "streaming.user_cumulative_snapshot_daily_upsert", "streaming.user_cumulative_snapshot_merge"
MODELS = ("agg_user_daily", "user_watch_totals")
ROWS = [
    session(1, 1, 10, at("01 20:00"), 600, total_pause_duration_seconds=100),
    session(2, 1, 10, at("01 23:50"), 1200),  # ends on the 2nd, belongs to the 1st
    session(3, 2, 10, at("02 10:00"), 300),
    session(4, 1, 11, at("03 10:00"), None),  # open: nothing known of its length
    session(5, 3, 10, at("03 11:00"), 50, total_pause_duration_seconds=80),  # paused for longer than it lasted: 0
    session(6, 2, 10, at("05 10:00"), 100),
]


def totals(warehouse: Warehouse, day: str | None, query: str = UPSERT) -> dict[str, tuple[int, date]]:
    rows = warehouse.query(query, **({"process_date": day} if day else {})).rows
    return {row["user_id"]: (row["total_view_time_seconds"], row["last_updated_date"]) for row in rows}


def by_loop(rows: list[dict[str, Any]], until: int, opening: dict[str, tuple[int, date]]) -> dict[str, tuple[int, date]]:
    """The same worked out session by session."""
    found: dict[str, tuple[int, date]] = dict(opening)
    sums: dict[tuple[str, date], int] = defaultdict(int)
    for row in rows:
        day = row["session_start_timestamp"].date()
        if day <= date(2024, 1, until):
            length = row["session_duration_seconds"]
            sums[str(row["user_key"]), day] += max((length or 0) - (row["total_pause_duration_seconds"] or 0), 0)
    for (user, day), seconds in sorted(sums.items()):
        total, newest = found.get(user, (0, date.min))
        if user in opening and day <= opening[user][1]:
            continue
        found[user] = total + seconds, max(newest, day)
    return found


def test_totals_by_hand() -> None:
    with made_of({"fact_viewing_sessions": ROWS}, *MODELS) as warehouse:
        first = {"1": (1700, date(2024, 1, 1))}
        second = first | {"2": (300, date(2024, 1, 2))}
        assert totals(warehouse, "2024-01-01") == first
        # Users without sessions that day keep their row, with its date.
        assert totals(warehouse, "2024-01-02") == second == totals(warehouse, "2024-01-02")
        # An open session and one that was paused throughout add nothing and wipe nothing.
        third = totals(warehouse, "2024-01-03")
        assert third == second | {"1": (1700, date(2024, 1, 3)), "3": (0, date(2024, 1, 3))}
        # The 4th has no session: a day skipped, a day gone back to.
        assert totals(warehouse, "2024-01-04") == third
        assert totals(warehouse, None) == third | {"2": (400, date(2024, 1, 5))}
        assert totals(warehouse, "2024-01-01") == first
        assert {
            row["user_id"]: (row["total_view_time_seconds"], row["last_updated_date"])
            for row in warehouse.show("streaming.user_cumulative_snapshot").rows
        } == totals(warehouse, None)


def test_late_and_corrected_sessions_restate() -> None:
    with made_of({"fact_viewing_sessions": ROWS}, *MODELS) as warehouse:
        before = totals(warehouse, None)
        late = session(7, 3, 10, at("01 09:00"), 90)
        corrected = session(6, 2, 10, at("05 10:00"), 140)
        load(warehouse, {"fact_viewing_sessions": [late, corrected]}, *MODELS)
        assert totals(warehouse, None) == before | {"2": (440, date(2024, 1, 5)), "3": (90, date(2024, 1, 3))}
        assert totals(warehouse, "2024-01-01")["3"] == (90, date(2024, 1, 1))


def test_upsert_merge_and_loop_agree_with_an_opening() -> None:
    """A snapshot kept elsewhere until some day goes on from there; its date never moves back."""
    opening = {"1": (5000, date(2024, 1, 2)), "9": (70, date(2023, 12, 31))}
    rows = [
        {"user_id": user, "total_view_time_seconds": total, "last_updated_date": last}
        for user, (total, last) in opening.items()
    ]
    with made_of({"fact_viewing_sessions": ROWS, "user_cumulative_snapshot": rows}, *MODELS) as warehouse:
        for day in range(1, 7):
            wanted = by_loop(ROWS, day, opening)
            assert wanted["1"][0] == 5000 and wanted["9"] == (70, date(2023, 12, 31))
            assert totals(warehouse, f"2024-01-0{day}") == wanted == totals(warehouse, f"2024-01-0{day}", MERGE)
        assert totals(warehouse, None) == totals(warehouse, None, MERGE)


def test_users_are_named_by_their_id_and_internal_ones_left_out() -> None:
    users = [{"user_key": 1, "user_id": "ann"}, {"user_key": 2, "user_id": "bot", "is_internal": True}, {"user_key": 3}]
    with made_of({"dim_users": users, "fact_viewing_sessions": ROWS}, *MODELS) as warehouse:
        assert set(totals(warehouse, None)) == {"ann", "3"}


def test_nothing_watched_is_no_row() -> None:
    with made_of({"fact_viewing_sessions": ROWS[:1]}, *MODELS) as warehouse:
        assert totals(warehouse, "2023-12-31") == {} == totals(warehouse, "2023-12-31", MERGE)
