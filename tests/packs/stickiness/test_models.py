"""Models by hand: sessions and their edges, the active rule, months as bits, the summary, cohorts, tiers."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pytest

import prodsense.warehouse
from prodsense.warehouse import Warehouse


def rows(warehouse: Warehouse, model: str, where: str = "", *columns: str) -> list[Any]:
    found = warehouse.show(f"stickiness.{model}", limit=None, where=where or None).rows
    return sorted(tuple(row[c] for c in columns) for row in found)


def test_sessions_of_events(platform: Warehouse) -> None:
    found = rows(platform, "session_facts", "user_id = 'u1' AND session_date <= '2024-01-05'", "started_at", "duration_seconds")
    day = lambda d, h, m=0: datetime(2024, 1, d, h, m)  # noqa: E731
    assert found == [
        (day(1, 9), 600.0),
        # Without a session of the client: 20 minutes apart is one, 30 minutes are two.
        (day(1, 20), 1200.0), (day(1, 20, 50), 0.0),
        # 3 January is known to `sessions`: k1 and k4, and no third of its own from k1's event.
        (day(3, 8), 1800.0), (day(3, 8, 20), 1200.0),
        # In the background for 4 minutes it goes on, for 5 minutes it is over.
        (day(5, 10), 420.0), (day(5, 10, 12), 0.0),
    ]  # fmt: skip


def test_a_session_crosses_midnight_and_belongs_to_its_start(platform: Warehouse) -> None:
    assert rows(platform, "session_facts", "session_id = 's2'", "session_date", "duration_seconds") == [
        (date(2024, 1, 1), 1200.0)
    ]


def test_a_fast_clock_is_put_right_by_the_server(platform: Warehouse) -> None:
    # u4's clock showed 00:03 of the 11th when the server had the event at 23:58 of the 10th; u1's like came two hours late
    # from a phone without network, and stays where it happened.
    assert rows(platform, "event_log", "user_id = 'u4' AND event_type = 'like'", "occurred_at", "event_date") == [
        (datetime(2024, 1, 10, 23, 58), date(2024, 1, 10))
    ]
    assert (datetime(2024, 1, 1, 9, 5),) in rows(platform, "event_log", "user_id = 'u1' AND event_type = 'like'", "occurred_at")


def test_who_is_active(platform: Warehouse) -> None:
    found = rows(platform, "active_days", "activity_date <= '2024-01-03'", "activity_date", "user_id", "device")
    day = lambda d: date(2024, 1, d)  # noqa: E731
    assert found == [
        # Not u3, who was only notified; u1 on two devices. Internal u9 is still inside.
        (day(1), "u1", "phone"), (day(1), "u1", "tablet"), (day(1), "u2", "desktop"), (day(1), "u5", "phone"),
        (day(1), "u9", "phone"),
        # The table knows the day: u5's row is without activity, u3 has an event and no row. u2's device is that of its event.
        (day(2), "u1", "phone"), (day(2), "u2", "desktop"), (day(2), "u9", "phone"),
        # Sessions of u1, u3, u9; an event of u2 without a device.
        (day(3), "u1", "phone"), (day(3), "u1", "tablet"), (day(3), "u2", None), (day(3), "u3", "phone"), (day(3), "u9", "phone"),
    ]  # fmt: skip
    # A prompt qualifies nobody: active_event_types says so.
    assert rows(platform, "active_days", "activity_date = '2024-02-29'", "user_id") == []


@pytest.mark.slow
def test_the_active_rule_can_be_changed_in_one_place(own_platform: Warehouse) -> None:
    rule = pa.table({"event_type": ["survey_prompt", "like"], "qualifies": [True, False]})
    own_platform.ingest(rule, table="stickiness.active_event_types")
    own_platform.build("stickiness")
    assert rows(own_platform, "active_days", "activity_date = '2024-02-29'", "user_id") == [("u4",)]
    assert rows(own_platform, "active_days", "activity_date = '2024-01-31'", "user_id") == []
    (month,) = own_platform.metric("stickiness.monthly_active_users", since="2024-02-01", until="2024-03-01").rows
    assert month["monthly_active_users"] == 4  # u2 u3 u4 u6, u4 also on the 29th


def test_month_bits(platform: Warehouse) -> None:
    found = rows(platform, "user_month_active_days", "user_id = 'u1'", "month", "active_days", "day_bits")
    bits = sum(1 << (day - 1) for day in (1, 2, 3, 5, 8, 25, 31))
    assert found == [(date(2024, 1, 1), 7, bits)]


def test_summary_of_a_user(platform: Warehouse) -> None:
    # As of 10 March: u5 viewed a video and a post in one session, in the feed; u2's last 30 days (10 February on) hold one
    # session on 28 February, with groups.
    columns = ("user_id", "as_of_date", "last_active_date", "active_days_last_7d", "active_days_last_28d",
               "avg_daily_sessions_last_30d", "features_used_last_7d")
    found = rows(platform, "user_activity_summary", "user_id IN ('u2', 'u5', 'u3')", *columns)
    newest = date(2024, 3, 10)
    assert found == [
        ("u2", newest, date(2024, 2, 28), 0, 1, pytest.approx(1 / 30), 0),
        ("u3", newest, date(2024, 2, 1), 0, 0, 0.0, 0),
        ("u5", newest, newest, 1, 1, pytest.approx(1 / 30), 1),
    ]
    everyone = rows(platform, "user_activity_summary", "", "user_id")
    assert everyone == [(f"u{n}",) for n in (1, 2, 3, 4, 5, 6, 7, 9)]


def test_cohort_store(platform: Warehouse) -> None:
    found = rows(platform, "cohort_daily", "signup_date = '2024-01-01'", "acquisition_source", "day_n", "cohort_users", "active_users")
    assert found == [
        *[("organic", n, 1, 1) for n in (0, 1, 2, 4, 7, 24, 30)], *[("paid_search", n, 1, 1) for n in (0, 1, 2, 58)],
    ]
    # u5 signed up before all activity: of its day 0 nothing is known.
    assert rows(platform, "cohort_daily", "signup_date = '2023-11-01' AND day_n = 0", "cohort_users", "active_users") == [(1, None)]


def test_cohort_store_gives_the_retention_of_the_metric(platform: Warehouse) -> None:
    found = rows(platform, "cohort_daily", "day_n = 7", "active_users")
    (row,) = platform.metric("stickiness.d7_retention").rows
    assert sum(users for (users,) in found) == 2 == row["d7_retention"] * 5


def days_of(month: str, count: int) -> list[str]:
    return [f"2024-{month}-{n + 1:02}" for n in range(count)]


@pytest.mark.slow
def test_tiers_and_who_is_at_risk() -> None:
    """a: 20 days, then 10 (core, fallen to half); b: 8, then 7 (casual); c: 19 days (core), then none; d from February on."""
    active = {
        "a": days_of("01", 20) + days_of("02", 10), "b": days_of("01", 8) + days_of("02", 7), "c": days_of("01", 19),
        "d": days_of("02", 1), "z": ["2024-02-29"],
    }  # fmt: skip
    table = pa.table({
        "user_id": [user for user, days in active.items() for _ in days],
        "activity_date": [day for days in active.values() for day in days],
    })
    with prodsense.warehouse.open(":memory:") as warehouse:
        warehouse.ingest(table, table="stickiness.daily_user_activity")
        warehouse.build("stickiness")
        found = {(u, p[:7]): (tier, risk) for u, p, tier, risk in rows(warehouse, "user_tiers", "", "user_id", "period", "tier", "is_at_risk")}
        assert found == {
            ("a", "2024-01"): ("Power", False), ("a", "2024-02"): ("Core", True),
            ("b", "2024-01"): ("Core", False), ("b", "2024-02"): ("Casual", False),
            ("c", "2024-01"): ("Core", False), ("c", "2024-02"): ("Dormant", True),
            ("d", "2024-02"): ("Casual", False), ("z", "2024-02"): ("Casual", False),
        }  # fmt: skip
        # Thresholds are settings; a month that is not over has nobody at risk yet.
        warehouse.ingest(pa.table({"setting": ["tier_power_days", "tier_core_days"], "value": [10.0, 2.0]}), table="stickiness.settings")
        warehouse.ingest(pa.table({"user_id": ["a"], "activity_date": ["2024-03-01"]}), table="stickiness.daily_user_activity")
        warehouse.build("stickiness")
        found = {(u, p[:7]): (tier, risk) for u, p, tier, risk in rows(warehouse, "user_tiers", "", "user_id", "period", "tier", "is_at_risk")}
        assert found["a", "2024-02"] == ("Power", True)
        assert found["b", "2024-02"] == ("Core", False)
        assert found["a", "2024-03"] == ("Casual", None)
        assert found["c", "2024-03"] == ("Dormant", None)


@pytest.mark.slow
def test_depth_of_use_may_be_asked_of_power_users() -> None:
    """20 active days; with two sessions a day asked for, those with one are core."""
    days = [f"2024-01-{n + 1:02}" for n in range(20)]
    with prodsense.warehouse.open(":memory:") as warehouse:
        starts = [f"{day} {hour:02}:00:00" for day in days for hour in (8, 18)]
        data = pa.table({
            "user_id": ["a"] * 40 + ["b"] * 20, "session_id": [str(n) for n in range(60)],
            "started_at": starts + [f"{day} 08:00:00" for day in days],
        })  # fmt: skip
        warehouse.ingest(data, table="stickiness.sessions")
        warehouse.ingest(pa.table({"setting": ["tier_power_sessions"], "value": [2.0]}), table="stickiness.settings")
        warehouse.build("stickiness")
        assert rows(warehouse, "user_tiers", "", "user_id", "tier", "sessions_per_day") == [
            ("a", "Power", 2.0), ("b", "Core", 1.0)
        ]


def test_windows_of_rolling_retention_are_a_setting(own_platform: Warehouse) -> None:
    own_platform.ingest(pa.table({"setting": ["rolling_retention_days"], "value": [14.0]}), table="stickiness.settings")
    own_platform.build("stickiness")
    # Fortnights from 1 January 2024, a multiple of 14 days after 1 January 2001: u1 u2 u3 u4 u5, of whom u1 is in the next;
    # u1 u7, of whom u1; u1 u3 u4, of whom none; u6, who is not. The one up to 10 March has no next.
    (row,) = own_platform.metric("stickiness.rolling_retention").rows
    assert row["rolling_retention"] == pytest.approx((1 + 1 + 0 + 0) / (5 + 2 + 3 + 1))


def test_other_names_of_the_same_action() -> None:
    """Clients that were there before the contract: their words are read as the contract's."""
    kinds = ("Post", "create_post", "story_created", "comment_creation", "message_sent", "dm", "video_view", "view", "else")
    data = pa.table({
        "user_id": [str(n) for n in range(len(kinds))], "timestamp": [datetime(2024, 1, 1, 12)] * len(kinds),
        "event_type": list(kinds), "content_type": [None] * 7 + ["Stories", None],
    })  # fmt: skip
    with prodsense.warehouse.open(":memory:") as warehouse:
        warehouse.ingest(data, table="stickiness.user_events")
        warehouse.build("stickiness", only=["stickiness.event_log"])
        found = rows(warehouse, "event_log", "", "user_id", "creation_type", "interaction_type", "viewed")
    assert [row[1:] for row in found] == [
        ("post", None, None), ("post", None, None), ("story", None, None), ("comment", "comment", None),
        (None, "direct_message", None), (None, "direct_message", None), (None, None, "video"), (None, None, "story"),
        (None, None, None),
    ]  # fmt: skip
