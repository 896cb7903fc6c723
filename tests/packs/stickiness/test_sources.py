"""Whichever tables a team has: each alone, with no more columns than a metric needs, and several together without double count."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

import prodsense.warehouse
from prodsense.warehouse import Warehouse

pytestmark = pytest.mark.slow


@pytest.fixture
def empty() -> Iterator[Warehouse]:
    with prodsense.warehouse.open(":memory:") as warehouse:
        yield warehouse


def load(warehouse: Warehouse, table: str, columns: str, *rows: str) -> None:
    """Rows written as text with commas; a dash is an empty cell."""
    cells = [[None if cell.strip() == "-" else cell.strip() for cell in row.split(",")] for row in rows]
    names = [name.strip() for name in columns.split(",")]
    data = pa.table({name: pa.array([row[i] for row in cells], pa.string()) for i, name in enumerate(names)})
    report = warehouse.ingest(data, table=f"stickiness.{table}")
    assert report.accepted == len(rows), str(report)


def ask(warehouse: Warehouse, name: str, **options: Any) -> list[Any]:
    by = options.get("by")
    rows = warehouse.metric(f"stickiness.{name}", **options).rows
    return [(row[by], row[name]) if by else row[name] for row in rows]


def test_daily_activity_alone(empty: Warehouse) -> None:
    load(empty, "users", "user_id, signup_date", "a, 2024-01-01", "b, 2024-01-01", "c, 2024-01-03")
    load(empty, "daily_user_activity", "user_id, activity_date",
         "a, 2024-01-01", "b, 2024-01-01", "a, 2024-01-02", "c, 2024-01-03", "a, 2024-01-08", "c, 2024-01-10")  # fmt: skip
    empty.build("stickiness")
    assert ask(empty, "daily_active_users", until="2024-01-04") == [2, 1, 1]
    assert ask(empty, "three_day_active_users", since="2024-01-03", until="2024-01-04") == [3]
    assert ask(empty, "monthly_active_users") == [3]
    assert ask(empty, "dau_mau_ratio") == [pytest.approx(6 / 5 / 3)]
    assert ask(empty, "l7_open_rate") == [2 / 4]
    assert ask(empty, "d1_retention") == [pytest.approx(1 / 3)]
    assert ask(empty, "d7_retention") == [pytest.approx(2 / 3)]
    assert ask(empty, "d7_retention", by="signup_month")[0][1] == pytest.approx(2 / 3)
    assert ask(empty, "d30_retention") == [None]
    assert ask(empty, "time_spent_per_active_user_per_day") == [None]


def test_sessions_alone_make_their_users_active(empty: Warehouse) -> None:
    load(empty, "sessions", "session_id, user_id, started_at", "1, a, 2024-01-01 10:00:00", "2, a, 2024-01-01 15:00:00",
         "3, b, 2024-01-01 10:00:00")  # fmt: skip
    empty.build("stickiness")
    assert ask(empty, "session_frequency_per_user") == [1.5]
    assert ask(empty, "session_frequency_per_user", grain="week") == [1.5]
    assert ask(empty, "daily_active_users") == [2]
    assert ask(empty, "time_spent_per_active_user_per_day") == [None]
    # The end of the first is not known, so neither is the time to the next.
    assert ask(empty, "inter_session_interval") == [None]


def test_durations_and_ends(empty: Warehouse) -> None:
    load(empty, "sessions", "session_id, user_id, started_at, ended_at, duration_seconds",
         "1, a, 2024-01-01 10:00:00, 2024-01-01 10:30:00, -", "2, a, 2024-01-01 12:30:00, -, 600",
         "3, b, 2024-01-01 10:00:00, 2024-01-01 11:00:00, 1200")  # fmt: skip
    empty.build("stickiness")
    assert ask(empty, "time_spent_per_active_user_per_day") == [(30 + 10 + 20) / 2]
    assert ask(empty, "inter_session_interval") == [2.0]


def test_events_alone(empty: Warehouse) -> None:
    load(empty, "user_events", "user_id, session_id, timestamp, event_type, content_type, feature_name",
         "a, 1, 2024-01-01 10:00:00, content_view, post, feed", "a, 1, 2024-01-01 10:20:00, content_view, post, feed",
         "a, 2, 2024-01-01 12:00:00, like, -, -", "b, 3, 2024-01-01 12:00:00, app_open, -, -")  # fmt: skip
    empty.build("stickiness")
    assert ask(empty, "average_posts_viewed_per_user") == [1.0]
    assert ask(empty, "average_posts_viewed_per_session") == [pytest.approx(2 / 3)]
    assert ask(empty, "session_frequency_per_user") == [1.5]
    assert ask(empty, "time_spent_per_active_user_per_day") == [10.0]
    assert ask(empty, "dau_social_interaction_pct") == [0.5]
    assert ask(empty, "dau_creating_content_pct") == [0.0]
    assert ask(empty, "mau_social_interaction_pct", by="interaction_type") == [
        ("comment", 0.0), ("direct_message", 0.0), ("like", 0.5), ("share", 0.0)
    ]
    assert ask(empty, "feed_adoption_pct", by="activity_base") == [("DAU", 0.5), ("MAU", 0.5)]
    assert ask(empty, "distinct_features_used_per_user") == [0.5]


def test_a_device_of_events_slices_activity_that_was_loaded(empty: Warehouse) -> None:
    load(empty, "daily_user_activity", "user_id, activity_date", "a, 2024-01-01", "b, 2024-01-01", "c, 2024-01-01")
    load(empty, "user_events", "user_id, timestamp, event_type, device", "a, 2024-01-01 10:00:00, app_open, phone",
         "a, 2024-01-01 11:00:00, like, desktop", "b, 2024-01-01 11:00:00, like, phone")  # fmt: skip
    empty.build("stickiness")
    assert ask(empty, "daily_active_users") == [3]
    assert ask(empty, "daily_active_users", by="device") == [("desktop", 1), ("phone", 2), (None, 1)]


def test_a_day_that_a_table_knows_is_not_counted_twice(empty: Warehouse) -> None:
    load(empty, "daily_user_activity", "user_id, activity_date", "a, 2024-01-01", "b, 2024-01-01")
    load(empty, "sessions", "session_id, user_id, started_at", "1, a, 2024-01-01 10:00:00", "2, b, 2024-01-01 10:00:00")
    load(empty, "user_events", "user_id, session_id, timestamp, event_type", "a, 1, 2024-01-01 10:05:00, like",
         "b, 9, 2024-01-01 18:00:00, like", "c, 8, 2024-01-01 10:05:00, like", "c, 7, 2024-01-02 10:05:00, like")  # fmt: skip
    empty.build("stickiness")
    # c's event of the first day is not in the tables that know that day; the second day comes from events.
    assert ask(empty, "daily_active_users") == [2, 1]
    assert ask(empty, "session_frequency_per_user") == [1.0, 1.0]
    assert ask(empty, "average_social_interactions_per_user_per_day") == [1.0]


def test_connections_alone(empty: Warehouse) -> None:
    load(empty, "connections", "user_id, connected_user_id", "a, b", "b, a", "b, c")
    empty.build("stickiness")
    assert ask(empty, "network_density") == [pytest.approx(2 / 3)]
    assert ask(empty, "network_density_directed") == [0.5]


def test_users_without_connections_have_no_density(empty: Warehouse) -> None:
    load(empty, "users", "user_id", "a", "b")
    empty.build("stickiness")
    assert ask(empty, "network_density") == [None]


def test_opinions_without_a_date(empty: Warehouse) -> None:
    load(empty, "survey_responses", "survey_type, score", "csat, 4", "csat, 5", "nps, 10", "nps, 0", "nps, 9")
    load(empty, "app_reviews", "text, sentiment", "Good., positive", "Bad., negative", "Good., positive", "Hm., neutral")
    load(empty, "social_mentions", "text, sentiment", "Good., 1", "Bad., -1", "Bad., -0.2")
    empty.build("stickiness")
    assert ask(empty, "survey_csat") == [4.5]
    assert ask(empty, "survey_nps") == [pytest.approx(100 / 3)]
    assert ask(empty, "app_review_sentiment") == [0.25]
    assert ask(empty, "social_media_sentiment") == [pytest.approx(-1 / 3)]


def test_nothing_at_all_is_null_and_no_error(empty: Warehouse) -> None:
    load(empty, "users", "user_id", "a")
    empty.build("stickiness")
    for metric in empty.pack("stickiness").metrics.values():
        if not metric.hidden:
            assert ask(empty, metric.name, grain="all") in ([None], []), metric.name


def test_tiers_of_a_table_go_before_computed_ones(empty: Warehouse) -> None:
    load(empty, "daily_user_activity", "user_id, activity_date", "a, 2024-01-01", "a, 2024-01-02", "b, 2024-01-02")
    empty.build("stickiness")
    computed = empty.show("stickiness.user_tiers").rows
    assert {(r["user_id"], r["period"], r["tier"]) for r in computed} == {
        ("a", "2024-01-01", "Casual"), ("b", "2024-01-01", "Casual")
    }
    load(empty, "user_engagement_tiers", "user_id, period, tier", "a, 2024-01, Power", "a, 2024-02, Core")
    empty.build("stickiness")
    given = empty.show("stickiness.user_tiers").rows
    assert {(r["user_id"], r["period"], r["tier"]) for r in given} == {("a", "2024-01", "Power"), ("a", "2024-02", "Core")}
