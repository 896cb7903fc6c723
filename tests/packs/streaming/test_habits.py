"""Variety and binges: by hand, by a plain loop over every run, and what goes with bingeing where that is planted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from prodsense.errors import UsageError
from prodsense.warehouse import Warehouse

from .little import at, made_of, session


def titles(series: int = 0, episodes: int = 0, movies: int = 0) -> list[dict[str, Any]]:
    """Series 100, 200, ... with their episodes 101, 102, ...; movies 1, 2, ... of genres g1, g2, g3, g1, ..."""
    rows = [
        {"content_key": 100 * s + e, "content_type": "episode", "series_key": 100 * s, "episode_number": e,
         "genre": f"s{s}", "length_seconds": 1800, "content_name": f"S{s}E{e}"}
        for s in range(1, series + 1) for e in range(1, episodes + 1)
    ]  # fmt: skip
    return rows + [
        {"content_key": m, "content_type": "movie", "genre": f"g{m % 3 + 1}", "content_name": f"M{m}", "series_key": None,
         "length_seconds": 5400}
        for m in range(1, movies + 1)
    ]  # fmt: skip


@pytest.mark.slow
def test_variety_by_hand() -> None:
    watched = {
        1: [1, 2, 3, 4, 101, 102],  # 3 + 1 genres, 4 movies and a show: exploring
        2: [1, 4, 7, 10, 13],  # many movies of one genre: narrow
        3: [1, 2, 3],  # 3 genres and 3 titles: too few titles
        4: [1, 2],  # too few views to tell
    }
    rows = [
        session(10 * user + n, user, title, at(f"10 {n + 8:02d}:00"), 600)
        for user, keys in watched.items() for n, title in enumerate(keys)
    ]
    rows += [session(1, 4, 3, at("10 09:30"), 20), session(2, 4, 3, at("10 10:30"), None)]  # no views
    with made_of({"dim_content": titles(1, 3, 15), "fact_viewing_sessions": rows}, "session_facts", "viewers") as wh:
        answer = wh.analyze("streaming.viewing_breadth_classification")
        told = {
            r["user_key"]: (r["unique_shows"], r["unique_movies"], r["unique_genres"], r["breadth"]) for r in answer.rows
        }
        assert told == {
            1: (1, 4, 4, "exploring"), 2: (0, 5, 1, "narrow"), 3: (0, 3, 3, "narrow"), 4: (0, 2, 2, "light"),
        }  # fmt: skip
        assert [c["users"] for c in answer.extras["classes"]] == [1, 2, 1]
        cut = wh.analyze("streaming.viewing_breadth_classification", genres=1, titles=5, min_views=1).rows
        assert [r["breadth"] for r in cut] == ["exploring", "exploring", "narrow", "narrow"]
        with pytest.raises(UsageError, match="nobody viewed anything"):
            wh.analyze("streaming.viewing_breadth_classification", as_of="2024-03-01")


# -- binges ----------------------------------------------------------------------------------------------


def by_loop(views: list[tuple[int, int, int, datetime]], episodes: int, hours: float) -> list[tuple[Any, ...]]:
    """Binges of (user, series, episode, start): every run of `episodes` in a row within `hours`, joined where they share."""
    span = timedelta(hours=hours)
    found = []
    for user, series in sorted({v[:2] for v in views}):
        seen: dict[int, datetime] = {}
        fresh = []
        for _, _, episode, start in sorted((v for v in views if v[:2] == (user, series)), key=lambda v: v[3]):
            if episode not in seen or start - seen[episode] > span:
                fresh.append((start, episode))
            seen[episode] = start
        runs = [set(range(i, i + episodes)) for i in range(len(fresh) - episodes + 1)
                if fresh[i + episodes - 1][0] - fresh[i][0] <= span]  # fmt: skip
        joined: list[set[int]] = []
        for run in runs:
            if joined and joined[-1] & run:
                joined[-1] |= run
            else:
                joined.append(set(run))
        for run in joined:
            inside = [fresh[i] for i in sorted(run)]
            found.append((user, series, inside[0][0], inside[-1][0], len({episode for _, episode in inside})))
    return sorted(found, key=lambda b: (b[2], b[0], b[1]))


@pytest.fixture(scope="module")
def marathon() -> Iterator[tuple[Warehouse, list[tuple[int, int, int, datetime]]]]:
    """Views at random, thick enough for binges of all lengths, and the edges by hand (users 90 and 91)."""
    rng = np.random.default_rng(5)
    views = [
        (int(rng.integers(1, 9)), 100 * int(rng.integers(1, 4)), int(rng.integers(1, 9)),
         datetime(2024, 1, 1) + timedelta(minutes=int(rng.integers(0, 60 * 24 * 20))))
        for _ in range(900)
    ]
    views += [(90, 100, e, at(start)) for e, start in ((1, "01 20:00"), (2, "01 21:00"), (3, "02 20:00"))]  # just 24 h
    views += [(91, 100, e, at(start)) for e, start in ((1, "01 20:00"), (2, "01 21:00"), (3, "02 20:01"), (1, "02 20:30"))]
    rows = [session(n, u, s + e, start, 1200) for n, (u, s, e, start) in enumerate(views, 1)]
    tables = {"dim_content": titles(3, 8), "fact_viewing_sessions": rows}
    with made_of(tables, "session_facts", "viewers", "binges") as warehouse:
        yield warehouse, views


@pytest.mark.parametrize(("episodes", "hours"), [(3, 24.0), (2, 3.0), (5, 48.0)])
def test_binges_equal_a_loop(marathon: tuple[Warehouse, list[Any]], episodes: int, hours: float) -> None:
    warehouse, views = marathon
    rows = warehouse.analyze("streaming.binge_session_identification", episodes=episodes, hours=hours).rows
    told = [(r["user_key"], r["series_key"], r["started_at"], r["last_started_at"], r["episodes"]) for r in rows]
    assert told == by_loop(views, episodes, hours) and len(told) > 20
    assert any(a[:2] == b[:2] for a, b in pairwise(sorted(told)))


def test_edges_and_the_model_of_the_metrics(marathon: tuple[Warehouse, list[Any]]) -> None:
    warehouse, _ = marathon
    rows = warehouse.analyze("streaming.binge_session_identification").rows
    assert [r["episodes"] for r in rows if r["user_key"] == 90] == [3]  # 24 hours are within 24 hours
    # Episodes 2, 3 and 1 again within 24 hours of the 2nd: a view of an episode seen in these hours is none of its own.
    assert [r["episodes"] for r in rows if r["user_key"] == 91] == [3]
    model = warehouse.show("streaming.binges", limit=None).rows
    columns = ("user_key", "series_key", "started_at", "last_started_at", "episodes")
    assert sorted(tuple(r[c] for c in columns) for r in model) == sorted(tuple(r[c] for c in columns) for r in rows)
    one = warehouse.analyze("streaming.binge_session_identification", start_date="2024-01-05", end_date="2024-01-05").rows
    assert one and {r["started_at"].date().isoformat() for r in one} == {"2024-01-05"}
    with pytest.raises(UsageError, match="episodes is from 2 to 20"):
        warehouse.analyze("streaming.binge_session_identification", episodes=1)


# -- what goes with it, and what comes of it -------------------------------------------------------------


def crowd(seed: int, thriller: float, stays: float, users: int = 400) -> dict[str, list[dict[str, Any]]]:
    """Users who watch one series each, binged with probability 0.25 (and `thriller` more for series 2); heavy watchers
    binge more and stay more anyway. Bingers stay `stays` more."""
    rng = np.random.default_rng(seed)
    sessions: list[dict[str, Any]] = []
    subscriptions = []
    people = []
    number = 0
    for user in range(1, users + 1):
        series = 1 + user % 2
        is_heavy = rng.random() < 0.5
        is_binger = rng.random() < 0.15 + 0.3 * is_heavy + thriller * (series == 2)
        people.append({"user_key": user, "region": ("north", "south")[int(rng.integers(0, 2))], "age_group": "25-34"})
        start = datetime(2024, 2, 1) + timedelta(days=int(rng.integers(0, 20)), hours=18)
        for e in range(1, 4):
            number += 1
            pause = timedelta(hours=e) if is_binger else timedelta(days=2 * e)
            sessions.append(session(number, user, 100 * series + e, start + pause, 1500))
        for _ in range(int(rng.poisson(12 if is_heavy else 3))):
            number += 1
            moment = datetime(2024, 1, 5) + timedelta(days=float(rng.uniform(0, 26)))
            sessions.append(session(number, user, int(rng.integers(1, 6)), moment, 3600))
        leaves = rng.random() < 0.45 - 0.2 * is_heavy - stays * is_binger
        subscriptions.append({
            "user_id": str(user), "tier": "basic", "started_at": datetime(2023, 6, 1),
            "ended_at": datetime(2024, 3, 5) + timedelta(days=float(rng.uniform(0, 20))) if leaves else None,
        })
    number += 1
    sessions.append(session(number, users, 1, datetime(2024, 3, 28, 12), 600))
    return {"dim_users": people, "dim_content": titles(2, 3, 6), "fact_viewing_sessions": sessions,
            "subscriptions": subscriptions}  # fmt: skip


_MODELS = ("session_facts", "viewers", "titles", "subscription_log", "sessions")


@pytest.mark.slow
def test_drivers_and_staying_where_they_are_planted() -> None:
    with made_of(crowd(1, thriller=0.25, stays=0.25), *_MODELS) as warehouse:
        rows = warehouse.analyze("streaming.binge_driver_analysis").rows
        leading = [r for r in rows if r["goes_with_bingeing"]]
        assert {r["value"] for r in leading if r["characteristic"] == "genre"} == {"s1", "s2"}
        top = next(r for r in rows if r["value"] == "s2")
        assert top["effect"] == pytest.approx(0.25, abs=0.12) and top["lift"] > 1.3
        assert not [r for r in leading if r["of"] == "user"]
        (row,) = warehouse.analyze("streaming.binge_retention_impact", horizon=28).rows
        assert row["low"] > 0 and row["effect"] == pytest.approx(0.25, abs=0.13) and row["e_value"] > 1.2
        assert row["finding"].startswith("bingers stay more")


@pytest.mark.slow
def test_selection_alone_is_not_taken_for_an_effect() -> None:
    with made_of(crowd(2, thriller=0.0, stays=0.0), *_MODELS) as warehouse:
        assert not [r for r in warehouse.analyze("streaming.binge_driver_analysis").rows if r["goes_with_bingeing"]]
        (row,) = warehouse.analyze("streaming.binge_retention_impact").rows
        assert row["low"] < 0 < row["high"] and row["difference"] > row["effect"] and row["e_value"] == 1
        with pytest.raises(UsageError, match="are needed"):
            warehouse.analyze("streaming.binge_retention_impact", as_of="2024-02-10")
