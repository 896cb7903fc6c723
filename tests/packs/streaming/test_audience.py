"""How far viewers get: curves by hand, falls that are planted and none that are not, viewers counted once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from pack_kit import clean_products

from prodsense.errors import UsageError
from prodsense.packs.streaming.retention_curve import curve, unusual
from prodsense.warehouse import Warehouse

from .little import at, made_of, session


@pytest.fixture(scope="module")
def cinema() -> Iterator[Warehouse]:
    """Title 1 of 100 s: five viewers get to 100, 80 (in two sittings), 50, 0 and (by a milestone) 25 percent."""
    titles = [
        {"content_key": 1, "content_name": "One", "content_type": "movie", "length_seconds": 100},
        {"content_key": 20, "content_name": "Show", "content_type": "series"},
        *(
            {"content_key": 20 + n, "content_name": f"E{n}", "content_type": "episode", "series_key": 20,
             "episode_number": n}
            for n in (1, 2)
        ),
    ]  # fmt: skip
    users = [{"user_key": n, "region": "north" if n < 3 else "south", "account_id": f"a{min(n, 2)}"} for n in range(1, 6)]
    reached = [(1, 100), (2, 40), (2, 80), (3, 50), (4, 0), (5, None)]
    rows = [
        session(n, user, 1, at(f"0{n} 10:00"), 60, completion_percentage=share)
        for n, (user, share) in enumerate(reached, 1)
    ]
    # Users 2 to 5 are of one account, and two of them watch with two profiles.
    episodes = [(1, 21, None), (1, 22, None), (2, 21, 7), (3, 21, 8), (3, 22, 7), (3, 22, 7)]
    rows += [
        session(10 + n, user, title, at(f"1{n} 10:00"), 600, series_key=20, profile_key=profile)
        for n, (user, title, profile) in enumerate(episodes)
    ]
    marks = [{"session_id": 6, "milestone_pct": share} for share in (1, 5, 25)]
    tables = {
        "dim_users": users, "dim_content": titles, "fact_viewing_sessions": rows, "playback_milestones_reached": marks,
    }
    with made_of(tables, "session_facts", "viewers") as warehouse:
        yield warehouse


def told(warehouse: Warehouse, **given: Any) -> dict[Any, list[int]]:
    found: dict[Any, list[int]] = {}
    for row in warehouse.analyze("streaming.audience_retention_curve", content_key=1, **given).rows:
        found.setdefault(row.get("region"), []).append(row["viewers"])
    return found


def test_milestones_by_hand(cinema: Warehouse) -> None:
    # At 0, 1, 5, 25, 50, 75, 90 and 100 percent: nobody is lost between two sittings.
    assert told(cinema, points="milestones") == {None: [5, 4, 4, 4, 3, 2, 1, 1]}
    assert told(cinema, points="milestones", by="region") == {
        "north": [2, 2, 2, 2, 2, 2, 1, 1], "south": [3, 2, 2, 2, 1, 0, 0, 0],
    }  # fmt: skip
    assert told(cinema, points="milestones", where="region = 'south'")[None][4] == 1


def test_every_second_starts_at_all_and_never_rises(cinema: Warehouse) -> None:
    answer = cinema.analyze("streaming.audience_retention_curve", content_key=1, points="seconds")
    rows = answer.rows
    assert [row["position_seconds"] for row in rows] == list(range(101))
    assert rows[0]["retention"] == 1 and rows[50]["viewers"] == 3 and rows[51]["viewers"] == 2
    assert all(a["viewers"] >= b["viewers"] for a, b in pairwise(rows))
    assert sum(row["lost"] for row in rows) == pytest.approx(1 - rows[-1]["retention"])
    assert answer.chart() is not None


def test_the_query_of_the_chart_tells_the_same(cinema: Warehouse) -> None:
    rows = cinema.query("streaming.audience_retention", content_key=1).rows
    shares = {row["percent_of_title"]: row["percent_watching"] for row in rows if row["line"] == "still watching"}
    assert len(shares) == 101 and {p: shares[p] for p in (0, 1, 25, 50, 80, 81, 100)} == {
        0: 100, 1: 80, 25: 80, 50: 60, 80: 40, 81: 20, 100: 20,
    }  # fmt: skip


def test_refusals(cinema: Warehouse) -> None:
    for given, says in (
        ({"points": "frames"}, "points is percent"), ({"step_seconds": 5}, "goes with points"),
        ({"by": "colour"}, "no dimension named colour"), ({"content_key": 99}, "nobody is known"),
    ):
        with pytest.raises(UsageError, match=says):
            cinema.analyze("streaming.audience_retention_curve", **{"content_key": 1, **given})


def test_viewers_of_a_show_count_once(cinema: Warehouse) -> None:
    (row,) = cinema.analyze("streaming.show_unique_viewers_dedup").rows
    # Accounts a1 and a2; profiles: user 1's own, 7 and 8. Episodes: E1 has 2 accounts, E2 has 2; E1 3 profiles, E2 2.
    assert (row["series_name"], row["unique_accounts"], row["unique_profiles"]) == ("Show", 2, 3)
    assert (row["sum_of_episode_accounts"], row["sum_of_episode_profiles"], row["overcount"]) == (4, 5, 1.0)
    early = cinema.analyze("streaming.show_unique_viewers_dedup", end_date="2024-01-11").rows
    assert [(r["unique_accounts"], r["views"]) for r in early] == [(1, 2)]
    (shown,) = cinema.query("streaming.shows_by_unique_viewers").rows
    assert (shown["unique_accounts"], shown["unique_profiles"], shown["sum_over_episodes"]) == (2, 3, 4)


# -- falls -----------------------------------------------------------------------------------------------


def leaving(seed: int, fall_at: int | None = None, share: float = 0.3, viewers: int = 1000) -> list[int]:
    """Viewers at each of 100 minutes: half a percent leave in each, more at the beginning, all in the credits."""
    rng = np.random.default_rng(seed)
    chance = np.full(100, 0.005)
    chance[:4] = (0.1, 0.05, 0.03, 0.02)
    chance[95:] = 0.4
    if fall_at is not None:
        chance[fall_at] += share
    there = [viewers]
    for p in chance:
        there.append(int(there[-1] - rng.binomial(there[-1], p)))
    return there


def falls(curves: dict[int, list[int]]) -> dict[int, list[float]]:
    points = [float(60 * i) for i in range(101)]
    found = unusual(
        {k: (points, v) for k, v in curves.items()}, opening=0.05, end=dict.fromkeys(curves, 5400.0), min_drop=0.03,
        alpha=0.01,
    )
    return {title: [fall.start for fall in own] for title, own in found.items()}


def test_a_planted_fall_is_found_at_its_minute_and_nothing_else() -> None:
    found = falls({seed: leaving(seed, fall_at=10 if seed % 2 else None) for seed in range(40)})
    assert found == {seed: [600.0] for seed in range(1, 40, 2)}


def test_two_falls_beside_each_other_do_not_hide_one_another() -> None:
    there = leaving(3, fall_at=10)
    again = [n if i <= 12 else int(n * 0.7) for i, n in enumerate(there)]
    assert falls({0: again})[0] == [600.0, 720.0]


def test_curve_counts_who_got_there() -> None:
    assert curve(np.array([0.0, 10, 10, 30]), np.array([0.0, 5, 10, 11, 30, 31])).tolist() == [4, 3, 3, 1, 1, 0]


def milestones(falls: dict[int, float]) -> dict[str, list[dict[str, Any]]]:
    """Title → share of the viewers who leave between 25 and 50 percent; of all titles a tenth leave in each other part."""
    sessions, marks = [], []
    number = 0
    for title, share in falls.items():
        for viewer in range(200):
            number += 1
            sessions.append(session(number, viewer, title, at("05 10:00"), 600))
            place = (viewer * 37 % 200) / 200
            stops = [(25, 0.1), (50, 0.1 + share), (75, 0.2 + share), (90, 0.3 + share), (101, 1.1)]
            reached = next(stop for stop, until in stops if place < until)
            marks += [{"session_id": number, "milestone_pct": m} for m in (1, 5, 25, 50, 75, 90, 100) if m < reached]
    return {"fact_viewing_sessions": sessions, "playback_milestones_reached": marks}


def test_a_fall_between_milestones_is_found_where_nothing_else_is_known() -> None:
    with made_of(milestones({1: 0.1, 2: 0.45}), "session_facts", "viewers") as warehouse:
        (finding,) = warehouse.detect("streaming.retention_dropoff_detector").rows
    assert finding["content_key"] == 2 and finding["viewers_lost"] == 90 and "from 25% to 50%" in finding["reason"]


@pytest.mark.slow
def test_planted_fall_of_the_platform(planted: tuple[Warehouse, dict[str, Any]]) -> None:
    warehouse, truth = planted
    (finding,) = warehouse.detect("streaming.retention_dropoff_detector").rows
    assert finding["content_key"] == truth["drop_off"]["content_key"]
    assert finding["position_seconds"] <= truth["drop_off"]["seconds"] < finding["until_seconds"] + 1
    assert finding["value"] == pytest.approx(truth["drop_off"]["effect"], abs=0.12)
    answer = warehouse.analyze("streaming.audience_retention_curve", content_key=finding["content_key"])
    (drop,) = answer.extras["drop_offs"]
    assert drop["from_seconds"] <= truth["drop_off"]["seconds"] <= drop["to_seconds"] + 90
    # Before anybody watched enough there is nothing to say, which is told.
    early = warehouse.detect("streaming.retention_dropoff_detector", as_of="2024-01-02")
    assert early.extras["checked"][0]["state"] == "refused"


@pytest.mark.slow
def test_silent_on_clean_platforms() -> None:
    found = []
    tables, models = ("dim_users", "dim_content", "content_versions", "playback_events"), ("session_facts", "viewers")
    for seed, warehouse in clean_products("streaming", 900, tables=tables, models=models, days=28, scale=0.15):
        answer = warehouse.detect("streaming.retention_dropoff_detector", min_viewers=20)
        assert answer.extras["checked"][0]["state"] != "refused"
        found += [(seed, row["subject"], row["reason"]) for row in answer.rows]
    assert found == []
