"""Values of the tiny platform worked out by hand, in the comments: they check the oracle as much as the package.

Who was active (external users): 1 January u1 u2 u5; 2nd, which daily_user_activity knows, u1 u2; 3rd u1 u3 (sessions) and u2
(an event); 5th u1; 8th u1 u5; 9th u3; 10th u4; 11th u4; 15th u7; 25th u1; 31st u1; 1 February u3; 2nd u4; 20th u6; 21st u6;
28th u2; 10 March u5. 23 user-days on 17 days.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from prodsense.warehouse import Warehouse

OVER_ALL = {
    "daily_active_users": 23 / 17,
    # January: u1 u2 u3 u4 u5 u7; February: u2 u3 u4 u6; March: u5.
    "monthly_active_users": 11 / 3,
    # Of 22 user-days whose day seven days on is over, u1 and u5 came back on 8 January. u2's return on 28 February is none: a
    # week before, u6 was there.
    "l7_open_rate": 2 / 22,
    # u1 u2 u3 u4 u6 each on their day 1; u5's was before the data.
    "d1_retention": 1.0,
    # u1 (8 January) and u3 (9th) of u1 u2 u3 u4 u6.
    "d7_retention": 2 / 5,
    # u1 (31 January) and u3 (1 February) of u1 u2 u3 u4; u6 is too young.
    "d30_retention": 2 / 4,
    # By week: 3 of 4 (u1 u3 u5, not u2), 0 of 4, 0 of 1 (u7), 1 of 1 (u1), 0 of 3, 0 of 1 (u6), 0 of 1 (u2). The last is open.
    "rolling_retention": 4 / 15,
    # 1 February: u2 was churned and came back; 1 March: u1 u3 u5 u7 were, u5 came back. u4 was away for 28 days only.
    "resurrection_rate": 2 / 5,
    # 1 January u1, 8th u1, 9th u3, 2 February u4, 21st u6.
    "dau_creating_content_pct": 5 / 23,
    # January u1 u3 of 6, February u4 u6 of 4, March none of 1.
    "mau_creating_content_pct": 4 / 11,
    # u1 2, u3 1, u4 1, u6 1.
    "average_creations_per_creating_user": 5 / 4,
    # Two messages; four likes, two comments, two shares.
    "private_to_public_interaction_ratio": 0.25,
    "average_social_interactions_per_user_per_day": 10 / 23,
    # Videos: yes, no, yes, and one of which it is not known.
    "video_completion_rate": 2 / 3,
    # Sessions s1 3, s2 7, s11 5, s18 20; position 12 has no session, 9 is internal.
    "feed_scroll_depth": 35 / 4,
    # u1, u2, u1's fifth, u1's 25th and u5's: five posts.
    "average_posts_viewed_per_user": 5 / 23,
    # u1 on the 1st and 25th, u2 on the 2nd, u5 on 8 January and 10 March; u3's was on a day that does not count.
    "feed_adoption_pct": 5 / 23,
    # Feed: u1 stayed, u2 did not; of the others u4 stayed, u3 did not: 0. Groups: nobody adopted. Messaging: u4 stayed, one of
    # three others did. Stories: nobody. Over user and feature: 2 of 3 adoptions stayed, 6 of 13 others.
    "feature_adopter_retention_lift": 2 / 3 - 6 / 13,
    # Of u1 to u8 (u8 is only connected): u1-u2 (once for both ways), u1-u3, u4-u5, u6-u8, u1-u6 of 28 pairs.
    "network_density": 5 / 28,
    "network_density_directed": 6 / 56,
    "survey_csat": 3.5,
    # 10, 9, 7, 6.
    "survey_nps": 25.0,
    "app_store_rating": 3.0,
    # +, -, + (0.8), 0, - (-0.5); one unknown.
    "app_review_sentiment": 0.0,
    # +, + (1), -, 0; one unknown.
    "social_media_sentiment": 0.25,
}


@pytest.mark.parametrize("name", OVER_ALL)
def test_value_worked_out_by_hand(platform: Warehouse, name: str) -> None:
    (row,) = platform.metric(f"stickiness.{name}", grain="all").rows
    assert row[name] == pytest.approx(OVER_ALL[name])


def by_period(warehouse: Warehouse, name: str, **options: Any) -> dict[date, float | None]:
    return {row["period"]: row[name] for row in warehouse.metric(f"stickiness.{name}", **options).rows}


def test_month_by_month(platform: Warehouse) -> None:
    january, february, march = date(2024, 1, 1), date(2024, 2, 1), date(2024, 3, 1)
    assert by_period(platform, "monthly_active_users") == {january: 6, february: 4, march: 1}
    ratios = by_period(platform, "dau_mau_ratio")
    assert ratios[january] == pytest.approx(17 / 11 / 6)
    assert ratios[february] == pytest.approx(1 / 4)
    growth = by_period(platform, "connection_growth_rate")
    # One at the start of the year; three in January, one in February, one in March.
    assert (growth[january], growth[february], growth[march]) == (3.0, 0.25, 0.2)


def test_a_day_stands_beside_the_28_that_end_with_it(platform: Warehouse) -> None:
    # 28 February: u2; from 1 February on u3 u4 u6 u2.
    day = by_period(platform, "dau_mau_ratio", grain="day", since="2024-02-28", until="2024-02-29")
    assert day == {date(2024, 2, 28): pytest.approx(1 / 4)}
    assert by_period(platform, "three_day_active_users", since="2024-01-03", until="2024-01-04") == {date(2024, 1, 3): 4}


def test_bases_of_adoption(platform: Warehouse) -> None:
    rows = platform.metric("stickiness.feed_adoption_pct", by="activity_base").rows
    # User-months: u1 u2 u5 in January and u5 in March, of 11.
    assert {r["activity_base"]: r["feed_adoption_pct"] for r in rows} == {
        "DAU": pytest.approx(5 / 23), "MAU": pytest.approx(4 / 11)
    }


def test_time_between_sessions(platform: Warehouse) -> None:
    first = platform.metric(
        "stickiness.inter_session_interval", "stickiness.inter_session_interval_mean", since="2024-01-01", until="2024-01-04",
    ).rows
    # u1: 9:10 to 20:00, 20:20 to 20:50, 20:50 to the 3rd 8:00, then one that begins within it (0); u3: 12:00 to the next 9:00.
    hours = [650 / 60, 0.5, 2110 / 60, 0.0, 21.0]
    assert first == [{
        "inter_session_interval": pytest.approx(650 / 60), "inter_session_interval_mean": pytest.approx(sum(hours) / 5),
    }]


def test_retention_lift_by_feature(platform: Warehouse) -> None:
    rows = platform.metric("stickiness.feature_adopter_retention_lift", by="feature_name").rows
    assert {r["feature_name"]: r["feature_adopter_retention_lift"] for r in rows} == {
        "feed": 0.0, "groups": None, "messaging": pytest.approx(2 / 3), "stories": None,
    }


def test_density_within_slices(platform: Warehouse) -> None:
    rows = platform.metric("stickiness.network_density", by="region").rows
    # North: u1 u2 u6 with u1-u2 and u1-u6; south: u3 u4 without; unknown: u5 u7 u8 without; three connections lie between.
    assert {r["region"]: r["network_density"] for r in rows} == {
        "north": pytest.approx(2 / 3), "south": 0.0, None: 0.0, "mixed": None,
    }


def test_the_literal_ratio_is_no_retention(platform: Warehouse) -> None:
    """Listed defect: DAU over users active seven days ago counts other people, and may exceed 1."""
    (row,) = platform.metric(
        "stickiness.l7_open_rate", "stickiness.l7_open_rate_literal", grain="day", since="2024-02-28", until="2024-02-29",
    ).rows
    # u6 was there on the 21st and is not; u2, who is, was not.
    assert (row["l7_open_rate"], row["l7_open_rate_literal"]) == (0.0, 1.0)
    (row,) = platform.metric("stickiness.l7_active_days", since="2024-01-08", until="2024-01-09").rows
    # Of 2 to 8 January: u1 on four days, u2 on two, u3 and u5 on one.
    assert row["l7_active_days"] == 2.0


def test_rolling_retention_is_period_over_period(platform: Warehouse) -> None:
    """Listed defect: active on day N or later is another thing; u2 returned on 28 February and counts in no window of January."""
    weeks = by_period(platform, "rolling_retention", grain="week")
    assert weeks[date(2024, 1, 1)] == 0.75
    assert weeks[date(2024, 1, 8)] == 0.0
    assert weeks[date(2024, 3, 4)] is None


def test_a_slice_is_not_larger_for_being_rare(platform: Warehouse) -> None:
    rows = platform.metric("stickiness.daily_active_users", "stickiness.dau_mau_ratio", by="device", grain="month",
                           since="2024-01-01", until="2024-02-01").rows
    found = {r["device"]: (r["daily_active_users"], r["dau_mau_ratio"]) for r in rows}
    # The desktop was there on 2 of 11 days, with u2: it is no daily user of whoever has it.
    assert found["desktop"] == (pytest.approx(2 / 11), pytest.approx(2 / 11))
    # Phones, 11 user-days: u1 u5, u1, u1 u3, u1, u1 u5, u3, u1, u1; users u1 u3 u5.
    assert found["phone"] == (pytest.approx(11 / 11), pytest.approx(11 / 11 / 3))


def test_growth_of_connections_from_a_day_on(platform: Warehouse) -> None:
    rows = platform.metric("stickiness.connection_growth_rate", grain="all", since="2024-02-01").rows
    # Two since, on four that were there.
    assert rows == [{"connection_growth_rate": 0.5}]


@pytest.mark.parametrize(
    ("name", "as_of", "value"),
    [
        # The week of 1 January is followed by one that ends on the 14th.
        ("rolling_retention", "2024-01-13", None), ("rolling_retention", "2024-01-14", 0.75),
        # u1 and u2 signed up on the 1st: their day 7 is over with the 8th; u3's, on which u3 was there, with the 9th.
        ("d7_retention", "2024-01-07", None), ("d7_retention", "2024-01-08", 0.5), ("d7_retention", "2024-01-09", 2 / 3),
        ("three_day_active_users", "2024-01-04", 3), ("monthly_active_users", "2024-01-02", 3),
    ],
)
def test_as_of_an_earlier_moment(platform: Warehouse, name: str, as_of: str, value: float | None) -> None:
    (row,) = platform.metric(f"stickiness.{name}", as_of=as_of, grain="all").rows
    assert row[name] == (None if value is None else pytest.approx(value))
