"""Headline numbers of the tiny platform by hand, shares, and the cases that a naive version gets wrong."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

import prodsense.warehouse
from prodsense.errors import UsageError
from prodsense.warehouse import Warehouse


def ask(platform: Warehouse, name: str, by: str = "", **request: Any) -> Any:
    """The value over all, or by the values of one slice."""
    rows = platform.metric(f"streaming.{name}", by=by or (), **{"grain": "all", **request}).rows
    return {row[by]: row[name] for row in rows} if by else rows[0][name]


def test_days_with_viewing(platform: Warehouse) -> None:
    rows = platform.metric("streaming.daily_active_users", grain="day").rows
    days = {row["period"]: row["daily_active_users"] for row in rows}
    # u1 and u3 on the 14th: a session of 30 s and an open one count; on the 13th the internal u4 does not.
    assert (days[date(2024, 1, 14)], days[date(2024, 1, 13)]) == (2, 1)
    # 23:50 belongs to the 2nd, although it ended on the 3rd; the 5th is known by its key alone.
    assert (days[date(2024, 1, 2)], days[date(2024, 1, 3)], days[date(2024, 1, 5)]) == (1, None, 1)


def test_watched_time_is_not_elapsed_time(platform: Warehouse) -> None:
    # On the 2nd: 1500 + (1440 - 60) + (1800 - 300) seconds watched, 1500 + 1440 + 1800 elapsed.
    day = {"since": "2024-01-02", "until": "2024-01-03"}
    assert ask(platform, "total_streaming_hours", **day) == pytest.approx(4380 / 3600)
    assert ask(platform, "average_session_duration", **day) == pytest.approx((1500 + 1440 + 1800) / 3 / 60)
    # Longer paused than there: watched for 0 s, not less.
    assert ask(platform, "total_streaming_hours", since="2024-01-05", until="2024-01-06") == 0


def test_a_view_is_more_than_thirty_seconds_and_of_a_short_title_half(platform: Warehouse) -> None:
    # Exactly 30 s of a movie is none (1013), 15 s of a trailer of 20 s is one (1009), 10 s of it is none (1011).
    assert ask(platform, "total_views", since="2024-01-14", until="2024-01-15") == 0
    assert ask(platform, "total_views", "content_key", since="2024-01-12", until="2024-01-14") == {40: 1, 11: 1}


def test_a_rule_by_type_of_content(own_platform: Warehouse, tmp_path: Path) -> None:
    file = tmp_path / "view_rules.csv"
    file.write_text("content_type,min_seconds\nTrailer,5\n")
    own_platform.ingest(file, table="streaming.view_rules")
    own_platform.build("streaming", only=["streaming.sessions"])
    assert ask(own_platform, "total_views", "content_key", since="2024-01-13", until="2024-01-14") == {40: 1}


def test_binges(platform: Warehouse) -> None:
    rows = platform.show("streaming.binges", limit=None).rows
    # u1 saw three episodes on the evening of the 2nd; u2 four from the 10th to the 11th, of which the third begins
    # exactly 24 hours after the first and the fourth 23.5 hours after the second.
    assert sorted((row["user_key"], row["episodes"]) for row in rows) == [(1, 3), (2, 4)]
    assert ask(platform, "average_binge_length") == 3.5


def test_a_binge_of_one_episode_again_and_again_is_none(tmp_path: Path) -> None:
    titles = "content_key,content_type,series_key,episode_number\n1,episode,9,1\n2,episode,9,2\n3,episode,9,3\n"
    # User 1: episodes 1, 2, 1, 2 in an evening. User 2: 1, 2, 3 in 25 hours. User 3: 1 at 0 h, 2, 3 and again 1 at 20 h.
    plan = {1: [(1, 0), (2, 1), (1, 2), (2, 3)], 2: [(1, 0), (2, 1), (3, 25)], 3: [(1, 0), (2, 1), (3, 2), (1, 20)]}
    lines = ["session_id,user_key,content_key,session_start_timestamp,session_duration_seconds"]
    for user, views in plan.items():
        for episode, hour in views:
            at = f"2024-01-{1 + hour // 24:02} {hour % 24:02}:00:00"
            lines.append(f"{len(lines)},{user},{episode},{at},600")
    (tmp_path / "dim_content.csv").write_text(titles)
    (tmp_path / "fact_viewing_sessions.csv").write_text("\n".join(lines) + "\n")
    with prodsense.warehouse.open(tmp_path / "w.duckdb") as wh:
        wh.ingest([tmp_path / "dim_content.csv", tmp_path / "fact_viewing_sessions.csv"], pack="streaming")
        wh.build("streaming", only=["streaming.binges"])
        found = [(row["user_key"], row["episodes"]) for row in wh.show("streaming.binges").rows]
        assert found == [(3, 3)]
        assert ask(wh, "binge_session_frequency") == pytest.approx(1 / 3)


def test_hook_and_rewatch(platform: Warehouse) -> None:
    # Pilot of series 1: u1, u2 and 5 completed it. Of series 2, u2, u3 and 5 started it and did not.
    assert ask(platform, "hook_rate") == pytest.approx(3 / 6)
    assert ask(platform, "hook_rate", "series_key") == {1: 1.0, 2: 0.0}
    # Alpha: u1 saw it again after having completed it; u3 never more than once, u9 neither. u2's has no watched time.
    assert ask(platform, "rewatch_rate", "content_key")[10] == pytest.approx(1 / 3)
    # The pilot: u2 completed it on the 10th and saw it again on the 22nd; 5 went on after half an hour, and completed
    # it only then; u1 saw it once.
    assert ask(platform, "rewatch_rate", "content_key")[21] == pytest.approx(1 / 3)


def test_titles_of_one_name_stay_apart(platform: Warehouse) -> None:
    assert ask(platform, "total_views", "content_key").keys() >= {10, 12}


def test_a_title_of_two_genres_counts_once(platform: Warehouse) -> None:
    by = ask(platform, "total_views", "genre")
    assert sum(by.values()) == ask(platform, "total_views")
    assert set(by) == {"drama", "comedy", "kids"}


def test_library(platform: Warehouse) -> None:
    # In February c10, c12, c21, c22, c31 and c32 can be watched; somebody watched c12 and c31.
    assert ask(platform, "content_library_utilization_rate", since="2024-02-01") == pytest.approx(2 / 6)
    # c11 was gone when u2 watched it on the 15th; on the 12th it was there.
    assert ask(platform, "content_library_utilization_rate", since="2024-01-15", until="2024-01-16") == pytest.approx(1 / 5)


def test_subscribers(platform: Warehouse) -> None:
    rows = platform.metric("streaming.new_subscribers", "streaming.churned_subscribers",
                           "streaming.subscription_growth_rate", "streaming.subscriber_churn_rate",
                           grain="month", since="2024-01-01", until="2024-02-01").rows
    # Two at the start of January (u1, u2; u4 is internal). Four begin, four end; the one begun at 23:59:59 of
    # December is there at the start.
    assert rows == [{"period": date(2024, 1, 1), "new_subscribers": 4, "churned_subscribers": 4,
                     "subscription_growth_rate": 0.0, "subscriber_churn_rate": 2.0}]


def test_reasons_are_shares_and_the_unknown_is_kept(platform: Warehouse) -> None:
    assert ask(platform, "churn_reason_breakdown", "churn_reason") == {"price": 0.5, "content": 0.25, "unknown": 0.25}
    rows = platform.metric("streaming.churn_reason_breakdown", by=["region", "churn_reason"]).rows
    # Within the south: 5 for the price, u2 for none that is known.
    assert {r["churn_reason"]: r["churn_reason_breakdown"] for r in rows if r["region"] == "south"} == {
        "price": 0.5, "unknown": 0.5}


def test_trials_that_have_ended(platform: Warehouse) -> None:
    # u2's became paid, u3's did not; u8's ends on 8 February, after all that is known.
    assert ask(platform, "trial_to_paid_conversion_rate") == 0.5
    assert ask(platform, "trial_to_paid_conversion_rate", as_of="2024-02-09") == pytest.approx(2 / 3)


def test_sources_of_views(platform: Warehouse) -> None:
    mix = ask(platform, "view_source_mix", "view_source")
    assert sum(mix.values()) == pytest.approx(1)
    # Of 18 views: sA and 5's second are found by search, sB's first and 2001 recommended, sH and sE come from outside,
    # sC, sK and 5's first are browsed; nothing is known of the others.
    known = {k: v for k, v in mix.items() if k}
    views = ask(platform, "total_views")
    assert {k: round(v * views) for k, v in known.items()} == {
        "search": 2, "recommendation": 2, "external": 2, "browse": 3}
    assert ask(platform, "content_discovery_mix", "view_source") == {
        "search": pytest.approx(2 / 7), "recommendation": pytest.approx(2 / 7), "browse": pytest.approx(3 / 7)}
    rows = platform.metric("streaming.content_discovery_mix", by=["user_key", "view_source"]).rows
    assert {r["view_source"]: r["content_discovery_mix"] for r in rows if r["user_key"] == 5} == {
        "browse": 0.5, "search": 0.5}


def test_primary_device(platform: Warehouse) -> None:
    rows = platform.metric("streaming.primary_streaming_device", grain="month").rows
    # January: u1 and u2 (4320 s against 3890 s on the phone) on the TV; u3, 5 and u9 on the phone. February: u1 and 5 on
    # the TV, u2 on the phone.
    assert [row["primary_streaming_device"] for row in rows] == ["phone", "tv"]
    shares = platform.metric("streaming.primary_device_share", by="device_type", grain="month").rows
    assert sum(row["primary_device_share"] for row in shares if row["period"] == date(2024, 1, 1)) == pytest.approx(1)


def test_concurrent_viewers_at_a_moment(platform: Warehouse) -> None:
    # At 21:20 of the newest evening u1 is still watching; u3 has a session that never ended.
    assert ask(platform, "concurrent_viewers") == 2
    # At 20:10 of 10 January u2 was watching; one session ends where nothing else begins.
    assert ask(platform, "concurrent_viewers", as_of="2024-01-10T20:10:00") == 1
    assert ask(platform, "concurrent_viewers", as_of="2024-01-10T20:24:00") == 0


def test_promotion(platform: Warehouse) -> None:
    # Alpha: one view in two days (u1 on the 15th), then three in the 19 days to the newest; c31's has no day after it.
    assert ask(platform, "promotion_sustained_engagement_ratio") == pytest.approx((3 / 19) / (1 / 2))
    assert set(ask(platform, "promotion_sustained_engagement_ratio", "promoted")) == {True, False}


def test_engagement_score_with_and_without_ratings(platform: Warehouse) -> None:
    scores = ask(platform, "content_engagement_score", "content_key")
    # Alpha: of u1's two, u3's and u9's views two complete; one of three viewers again; one rating of 5.
    assert scores[10] == pytest.approx(100 * (2 / 4 + 1 / 3 + 5 / 5) / 3)
    assert scores[31] == pytest.approx(0)  # no rating: of the other two


def test_weights_are_settings(own_platform: Warehouse, tmp_path: Path) -> None:
    file = tmp_path / "settings.csv"
    file.write_text("setting,value\nscore_weight_rewatch,0\nscore_weight_rating,3\n")
    own_platform.ingest(file, table="streaming.settings")
    assert ask(own_platform, "content_engagement_score", "content_key")[10] == pytest.approx(100 * (2 / 4 + 3 * 1) / 4)


def test_what_cannot_be_reached_is_refused(platform: Warehouse) -> None:
    for name, by in (("new_subscribers", "genre"), ("content_library_utilization_rate", "region")):
        with pytest.raises(UsageError, match="cannot be sliced"):
            platform.metric(f"streaming.{name}", by=by)


@pytest.mark.slow
def test_only_what_is_needed_has_to_be_there(tmp_path: Path) -> None:
    (tmp_path / "fact_viewing_sessions.csv").write_text(
        "session_id,user_key,content_key,date_key,session_duration_seconds,total_pause_duration_seconds\n"
        "1,1,1,20240131,600,60\n2,1,1,20240201,20,\n3,2,1,20240201,,\n")
    (tmp_path / "subscriptions.csv").write_text("user_id,started_at,ended_at,tier\n1,2024-01-01,,basic\n2,2024-01-01,2024-02-02,basic\n")
    with prodsense.warehouse.open(tmp_path / "w.duckdb") as wh:
        wh.ingest([tmp_path / "fact_viewing_sessions.csv", tmp_path / "subscriptions.csv"], pack="streaming")
        wh.build("streaming", only=["streaming.sessions"])
        rows = wh.metric("streaming.daily_active_users", "streaming.total_views", "streaming.total_streaming_hours",
                         grain="day").rows
        assert [tuple(row.values()) for row in rows] == [
            (date(2024, 1, 31), 1, 1, pytest.approx(540 / 3600)), (date(2024, 2, 1), 2, 0, pytest.approx(20 / 3600))]
        assert ask(wh, "subscriber_churn_rate", since="2024-02-01") == 0.5
        # Who is known by another id in dim_users is one viewer all the same: by the key.
        (tmp_path / "dim_users.csv").write_text("user_key,user_id,region\n1,u1,north\n")
        wh.ingest(tmp_path / "dim_users.csv", pack="streaming")
        wh.build("streaming", only=["streaming.viewers"])
        assert len(wh.show("streaming.viewers")) == 2
        assert ask(wh, "new_subscribers", "region") == {"north": 1, None: 1}
