"""What surrounds viewing: features, watchlists, recommendations, searches, opinions, promotions, the registry."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from prodsense.simulate import Streams
from prodsense.simulate import columns as col
from prodsense.simulate.arrivals import DAY
from prodsense.simulate.users import scores

from .registry import registry_rows
from .simulate_viewing import Sessions
from .simulate_world import GENRES, MOVIES, PROMOTED, World, title_ids, user_ids

FEATURES = ("profiles", "downloads", "watchlist", "parental_controls")
PLACES = ("content_page", "browse", "search", "recommendation")
FEEDBACK = ("like", "dislike", "share")


def around_tables(world: World, sessions: Sessions, streams: Streams) -> dict[str, pa.Table]:
    """All of it; each part draws from its own stream."""
    return {
        "feature_usage": _features(world, sessions, streams),
        "watchlist_items": _watchlists(world, sessions, streams),
        "recommendation_events": _recommendations(world, sessions, streams),
        "search_events": _searches(world, sessions, streams),
        "survey_responses": _surveys(world, sessions, streams),
        **_opinions(world, sessions, streams),
        "promotions": pa.table({
            "promotion_id": pa.array(["promo-1", "promo-2"]), "content_id": title_ids(np.array(PROMOTED)),
            "start_date": col.dates(np.full(2, world.promoted[0]), world.start),
            "end_date": col.dates(np.full(2, max(world.promoted[1] - 1, world.promoted[0])), world.start),
        }),
        "metric_registry": _registry(),
    }


def _some(sessions: Sessions, rng: np.random.Generator, share: float) -> np.ndarray:
    return np.flatnonzero(rng.random(sessions.user.size) < share)


def _features(world: World, sessions: Sessions, streams: Streams) -> pa.Table:
    rng = streams("features")
    at = _some(sessions, rng, 0.15)
    user = sessions.user[at]
    feature = rng.integers(0, 4, at.size)
    feature = np.where((feature == 0) & (world.profiles[user] == 1), 1, feature)
    return pa.table({
        "event_id": col.codes("f", np.arange(at.size)), "user_id": user_ids(user),
        "feature_name": col.labels(feature, FEATURES),
        "event_timestamp": col.timestamps(sessions.start[at] - 60, world.start),
    })


def _watchlists(world: World, sessions: Sessions, streams: Streams) -> pa.Table:
    rng = streams("watchlists")
    at = _some(sessions, rng, 0.08)
    follows = rng.random(at.size) < 0.5  # added a day or more before it is watched
    title = np.where(follows, sessions.title[at], rng.integers(0, MOVIES, at.size))
    ahead = np.where(follows, rng.integers(1, 15, at.size) * DAY, 0)
    added = np.maximum(sessions.start[at] - ahead, 0) + rng.integers(0, 50, at.size)
    gone = added + rng.integers(1, 40, at.size) * DAY
    kept = (rng.random(at.size) < 0.6) | (gone >= world.days * DAY)
    return pa.table({
        "user_id": user_ids(sessions.user[at]), "content_id": title_ids(title),
        "added_at": col.timestamps(added, world.start), "removed_at": col.timestamps(gone, world.start, kept),
        "added_from": col.labels(rng.integers(0, 4, at.size), PLACES),
    })


def _recommendations(world: World, sessions: Sessions, streams: Streams) -> pa.Table:
    """Each view through a recommendation follows a click; beside it stand impressions that nobody clicked."""
    rng = streams("recommendations")
    chosen = np.flatnonzero(sessions.source == 2)
    # How often something is shown must not depend on how often it is clicked: once a user-day, three titles.
    days = np.unique(sessions.user * 100_000 + sessions.day)
    user, day = np.repeat(days // 100_000, 3), np.repeat(days % 100_000, 3)
    shown = np.concatenate([sessions.start[chosen] - 90, day * DAY + rng.integers(6, 23, day.size) * 3600.0])
    ignored = np.r_[np.zeros(chosen.size, bool), np.ones(day.size, bool)]
    return pa.table({
        "impression_id": col.codes("i", np.arange(shown.size), 8),
        "user_id": user_ids(np.r_[sessions.user[chosen], user]),
        "content_id": title_ids(np.r_[sessions.title[chosen], rng.integers(0, MOVIES, day.size)]),
        "shown_at": col.timestamps(np.maximum(shown, 0), world.start),
        "clicked_at": col.timestamps(np.maximum(shown, 0) + 60, world.start, ignored),
    })


def _searches(world: World, sessions: Sessions, streams: Streams) -> pa.Table:
    rng = streams("searches")
    at = _some(sessions, rng, 0.3)
    user = sessions.user[at]
    anime = rng.random(at.size) < world.effects.genre_gap
    genre = np.where(anime, 5, rng.integers(0, 5, at.size))
    chance = 0.5 + world.effects.search_lift * world.arms[user, 1]
    found = rng.random(at.size) < chance
    return pa.table({
        "search_id": col.codes("q", np.arange(at.size)), "user_id": user_ids(user),
        "query": col.labels(genre, GENRES), "results": col.integers(np.where(anime, 1, rng.integers(3, 12, at.size))),
        "clicked_content_id": pa.array(
            [f"c{t:04}" if f else None for t, f in zip(sessions.title[at], found, strict=True)], pa.string()),
        "searched_at": col.timestamps(np.maximum(sessions.start[at] - 120, 0), world.start),
    })


def _surveys(world: World, sessions: Sessions, streams: Streams) -> pa.Table:
    rng = streams("surveys")
    at = _some(sessions, rng, 0.04)
    user = sessions.user[at]
    recommended = np.bincount(sessions.user, sessions.source == 2, world.users)[user] > 0
    nps = rng.random(at.size) < 0.5
    csat = scores(rng, 3.4 + world.effects.recommended_csat * recommended, 1.0)
    promoters = scores(rng, np.full(at.size, 7.6), 2.0, 0, 10)
    return pa.table({
        "response_id": col.codes("r", np.arange(at.size)), "user_id": user_ids(user),
        "survey_type": col.labels(nps * 1, ("csat", "nps")),
        "score": pa.array(np.where(nps, promoters, csat).astype(float)),
        "responded_at": col.timestamps(sessions.start[at] + 7200, world.start),
    })


def _opinions(world: World, sessions: Sessions, streams: Streams) -> dict[str, pa.Table]:
    rng = streams("opinions")
    end = sessions.start + sessions.wall

    def of(share: float) -> tuple[np.ndarray, dict[str, pa.Array]]:
        at = np.flatnonzero((rng.random(sessions.user.size) < share) & (end < world.days * DAY - 60))
        return at, {"user_id": user_ids(sessions.user[at]), "content_id": title_ids(sessions.title[at])}

    rated, rating = of(0.08)
    stars = scores(rng, 1.2 + 4.0 * world.quality[sessions.title[rated]], 0.9)
    written, review = of(0.015)
    felt, feedback = of(0.06)
    mood = rng.choice(3, felt.size, p=[0.7, 0.2, 0.1])
    when = lambda at: col.timestamps(end[at] + 30, world.start)  # noqa: E731
    return {
        "title_ratings": pa.table({
            "rating_id": col.codes("t", np.arange(rated.size)), **rating, "rating": pa.array(stars.astype(float)),
            "rated_at": when(rated),
        }),
        "title_reviews": pa.table({
            "review_id": col.codes("w", np.arange(written.size)), **review,
            "review": pa.array(["Worth an evening."] * written.size, pa.string()), "created_at": when(written),
        }),
        "title_feedback": pa.table({
            "feedback_id": col.codes("b", np.arange(felt.size)), **feedback,
            "feedback_type": col.labels(mood, FEEDBACK), "given_at": when(felt),
        }),
    }


def _registry() -> pa.Table:
    """The pack's own registry."""
    return pa.Table.from_pylist(registry_rows(), pa.schema([
        ("metric_name", pa.string()), ("version", pa.int64()), ("definition", pa.string()),
        ("counter_metrics", pa.string()),
    ]))
