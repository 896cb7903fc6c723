"""Who watches and what there is to watch: the catalogue, people, their accounts and subscriptions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prodsense.packs.planted import PlantedEffects
from prodsense.simulate import Streams
from prodsense.simulate import columns as col
from prodsense.simulate.arrivals import DAY
from prodsense.simulate.users import choose, propensities

GENRES = ("drama", "comedy", "thriller", "documentary", "kids", "anime")
REGIONS = ("north", "south", "east", "west")
AGES = ("18-24", "25-34", "35-44", "45-54", "55+")
TIERS = ("basic", "standard", "premium")
PRICES = (6.99, 10.99, 15.99)
DEVICES = ("tv", "phone", "tablet", "web")
REASONS = ("price", "content", "competitor", "technical")
EXPERIMENTS = ("browse_layout_test", "search_results_presentation_test", "recommendation_display_test")
#: Titles by their place in the catalogue: movies, then episodes, then trailers of the first movies.
MOVIES, SERIES, EPISODES, TRAILERS = 40, 12, 8, 8
TITLES = MOVIES + SERIES * EPISODES + TRAILERS
#: The movie that viewers leave at minute ten, the series whose pilot does not hook, the promoted movies (the first one
#: keeps its viewers), and the movie that cost too much.
DROP_MOVIE, WEAK_SERIES, PROMOTED, FLOP_MOVIE = 3, 2, (5, 6), 7
DROP_SECONDS = 600.0
#: So many days before they leave, people who will cancel watch less.
WARNING_DAYS = 21


@dataclass(frozen=True)
class Effects(PlantedEffects):
    """What is planted, each with its size. With `none`, all are 0."""

    drop_off: float = 0.35  # share of the viewers of one movie who leave at minute ten
    weak_pilot: float = 0.35  # the pilot's completion falls by this
    display_lift: float = 0.40  # more views through recommendations, relative
    search_lift: float = 0.15  # more searches that end in a click, share
    layout_lift: float = 0.30  # more views through browsing, relative
    binge_stay: float = 0.50  # bingers cancel less, relative
    churn_warning: float = 0.60  # fall in watching before a cancellation
    promotion: float = 5.0  # times as many views of a promoted movie while it runs, on top
    sustained: float = 2.5  # times as many afterwards of the one that lasts, on top
    recommended_time: float = 0.20  # more watched time of a recommended title, relative
    recommended_csat: float = 0.5  # points more from those who view recommended titles
    genre_gap: float = 0.30  # share of searches that go to the genre with one title
    flop: float = 50_000.0  # what one movie cost beyond the usual, in the currency
    heavy: float = 1.0  # unevenness of use: 0 is even


@dataclass(frozen=True)
class World:
    """Arrays by title and by user; days count from `start`."""

    start: date
    days: int
    effects: Effects
    genre: NDArray
    series: NDArray
    episode: NDArray
    length: NDArray
    credits: NDArray
    release: NDArray
    original: NDArray
    quality: NDArray
    available_to: NDArray
    region: NDArray
    age: NDArray
    tier: NDArray
    device: NDArray
    activity: NDArray
    taste: NDArray
    binger: NDArray
    profiles: NDArray
    internal: NDArray
    joined: NDArray
    leaves: NDArray
    reason: NDArray
    trial: NDArray
    converted: NDArray
    arms: NDArray
    promoted: tuple[int, int]

    @property
    def users(self) -> int:
        return self.region.size

    def subscribed(self, user: NDArray, day: NDArray) -> NDArray:
        return (day >= self.joined[user]) & (day < self.leaves[user])


def make_world(start: date, days: int, users: int, streams: Streams, effects: Effects) -> World:
    """Draw the catalogue and the people."""
    rng = streams("catalogue")
    place = np.arange(TITLES)
    is_episode = (place >= MOVIES) & (place < TITLES - TRAILERS)
    is_trailer = place >= TITLES - TRAILERS
    series = np.where(is_episode, (place - MOVIES) // EPISODES, -1)
    episode = np.where(is_episode, (place - MOVIES) % EPISODES + 1, 0)
    length = rng.integers(80, 140, TITLES) * 60
    length = np.where(is_episode, (rng.integers(24, 50, SERIES) * 60)[np.maximum(series, 0)], length)
    length = np.where(is_trailer, rng.integers(60, 120, TITLES), length)
    genre = rng.integers(0, 5, TITLES)
    genre = np.where(is_episode, rng.integers(0, 5, SERIES)[np.maximum(series, 0)], genre)
    genre = np.where(is_trailer, genre[np.maximum(place - (TITLES - TRAILERS), 0)], genre)
    genre[MOVIES - 1] = 5  # the only title of its genre
    release = np.where(rng.random(TITLES) < 0.7, -rng.integers(120, 2000, TITLES), -rng.integers(1, 60, TITLES))
    release = np.where(is_episode, release[np.maximum(series, 0)], release)
    quality = np.clip(rng.normal(0.62, 0.08, TITLES), 0.35, 0.85)
    available_to = np.where(rng.random(TITLES) < 0.05, days // 2, -1)
    available_to[[DROP_MOVIE, *PROMOTED, FLOP_MOVIE]] = -1

    who = streams("people")
    binger = who.random(users) < 0.25
    joined = np.where(who.random(users) < 0.8, -who.integers(1, 400, users), who.integers(0, max(days, 1), users))
    hazard = 0.006 * np.where(binger, 1.0 - effects.binge_stay, 1.0)
    stays = who.geometric(np.maximum(hazard, 1e-9)) + np.maximum(joined, 0)
    trial = who.random(users) < 0.35
    converted = ~trial | (who.random(users) < 0.6)
    leaves = np.where(converted, stays, np.where(joined + 14 > 0, joined + 14, stays))
    even = np.ones(users)
    activity = even + effects.heavy * (propensities(who, users, 1.2) - even)
    return World(
        start, days, effects, genre, series, episode, length, (length * 0.95).astype(int), release,
        who.random(TITLES) < 0.4, quality, available_to, who.integers(0, len(REGIONS), users),
        choose(who, np.array([0.25, 0.3, 0.2, 0.15, 0.1]), users), choose(who, np.array([0.4, 0.4, 0.2]), users),
        choose(who, np.array([0.5, 0.3, 0.1, 0.1]), users), activity, who.integers(0, 5, users), binger,
        1 + choose(who, np.array([0.5, 0.3, 0.2]), users), who.random(users) < 0.01, joined, leaves,
        who.integers(0, len(REASONS) + 1, users), trial, converted, who.integers(0, 2, (users, len(EXPERIMENTS))),
        (days // 3, min(days // 3 + 7, days)),
    )


def user_ids(user: NDArray) -> pa.Array:
    return col.codes("u", user)


def title_ids(title: NDArray) -> pa.Array:
    return col.codes("c", title, 4)


def catalogue_tables(world: World) -> dict[str, pa.Table]:
    """Users, titles, devices, and the small dimensions."""
    title, user = np.arange(TITLES), np.arange(world.users)
    kinds = np.where(title < MOVIES, 0, np.where(title < TITLES - TRAILERS, 1, 2))
    names = [
        f"Movie {t + 1}" if t < MOVIES
        else f"Series {world.series[t] + 1}, episode {world.episode[t]}" if t < TITLES - TRAILERS
        else f"Movie {t - (TITLES - TRAILERS) + 1}, trailer"
        for t in title
    ]
    episodic = world.series >= 0
    content = {
        "content_key": col.integers(title + 1), "content_id": title_ids(title), "content_name": pa.array(names),
        "content_type": col.labels(kinds, ("movie", "episode", "trailer")), "genre": col.labels(world.genre, GENRES),
        "series_key": col.integers(world.series + 1, ~episodic), "season_number": col.integers(episodic * 1, ~episodic),
        "episode_number": col.integers(world.episode, ~episodic), "release_date": col.dates(world.release, world.start),
        "release_year": col.integers(world.start.year + np.floor(world.release / 365)),
        "production_type": col.labels(world.original * 1, ("licensed", "original")),
        "actors": pa.array([f"Actor {t % 17 + 1}, Actor {t % 11 + 20}" for t in title]),
        "length_seconds": col.integers(world.length),
        "intro_start_seconds": col.integers(np.full(TITLES, 60), ~episodic),
        "intro_end_seconds": col.integers(np.full(TITLES, 120), ~episodic),
        "credits_start_seconds": col.integers(world.credits, kinds == 2),
        "trailer_of_content_key": col.integers(title - (TITLES - TRAILERS) + 1, kinds != 2),
    }
    day = np.arange(world.days + 2)
    calendar = col.dates(day, world.start)
    ends = world.available_to >= 0
    device = np.arange(2 * world.users)
    kind = np.where(device % 2 == 0, world.device[device // 2], 1)
    return {
        "dim_users": pa.table({
            "user_key": col.integers(user + 1), "user_id": user_ids(user), "account_id": col.codes("a", user),
            "age_group": col.labels(world.age, AGES), "region": col.labels(world.region, REGIONS),
            "is_internal": col.booleans(world.internal),
        }),
        "dim_content": pa.table(content),
        "dim_devices": pa.table({
            "device_key": col.integers(device + 1), "device_id": col.codes("d", device),
            "device_type": col.labels(kind, DEVICES),
        }),
        "dim_date": pa.table({
            "date_key": pa.array([int(d.strftime("%Y%m%d")) for d in calendar.to_pylist()]), "full_date": calendar,
        }),
        "dim_completion_status": pa.table({
            "completion_status_key": pa.array([1, 2]), "completion_status": pa.array(["completed", "abandoned"]),
        }),
        "dim_playback_quality": pa.table({
            "quality_level": pa.array([480, 720, 1080, 2160]), "quality_label": pa.array(["SD", "HD", "FHD", "4K"]),
        }),
        "content_versions": pa.table({
            "version_id": pa.array([f"c{t:04}-dub" for t in range(0, MOVIES, 5)]),
            "content_id": title_ids(np.arange(0, MOVIES, 5)), "version_type": pa.array(["dub"] * (MOVIES // 5)),
        }),
        "content_availability": pa.table({
            "content_id": title_ids(title), "available_from": col.dates(world.release, world.start),
            "available_to": col.dates(world.available_to, world.start, ~ends),
        }),
        "content_costs": pa.table({
            "content_id": title_ids(title[title < TITLES - TRAILERS]),
            "cost": pa.array((200.0 + 5.0 * (title % 40) + world.effects.flop * (title == FLOP_MOVIE))[
                title < TITLES - TRAILERS]),
        }),
    }


def account_tables(world: World, streams: Streams) -> dict[str, pa.Table]:
    """Subscriptions, profiles and experiment arms."""
    rng = streams("accounts")
    user = np.arange(world.users)
    known = world.joined < world.days
    ended = world.leaves < world.days
    at = lambda day: day * DAY + 12 * 3600.0  # noqa: E731
    of = np.repeat(user, world.profiles)
    nth = np.arange(of.size) - np.repeat(np.cumsum(world.profiles) - world.profiles, world.profiles)
    lost = world.reason >= len(REASONS)
    subs = pa.table({
        "subscription_id": col.codes("s", user), "user_id": user_ids(user), "tier": col.labels(world.tier, TIERS),
        "started_at": col.timestamps(at(world.joined), world.start),
        "ended_at": col.timestamps(at(world.leaves), world.start, ~ended),
        "churn_reason": col.labels(np.minimum(world.reason, len(REASONS) - 1), REASONS, ~ended | lost),
        "trial_started_at": col.timestamps(at(world.joined), world.start, ~world.trial),
        "trial_ends_at": col.timestamps(at(world.joined + 14), world.start, ~world.trial),
        "converted_to_paid_at": col.timestamps(
            at(world.joined + 14), world.start, ~(world.trial & world.converted & (world.joined + 14 < world.days))),
        "monthly_price": pa.array(np.array(PRICES)[world.tier]),
    }).filter(pa.array(known))
    assigned: dict[str, list[pa.Array]] = {"experiment_id": [], "user_id": [], "arm": [], "assigned_at": []}
    for n, name in enumerate(EXPERIMENTS):
        assigned["experiment_id"].append(pa.array([name] * world.users))
        assigned["user_id"].append(user_ids(user))
        assigned["arm"].append(col.labels(world.arms[:, n], ("control", "treatment")))
        moment = np.maximum(world.joined, 0) * DAY + n + rng.integers(0, 600, world.users)
        assigned["assigned_at"].append(col.timestamps(moment, world.start))
    arms = pa.table({name: pa.concat_arrays(parts) for name, parts in assigned.items()})
    inside = pa.array(np.tile(known, len(EXPERIMENTS)))
    return {
        "profiles": pa.table({
            "profile_id": pa.array([f"p{u:06}-{n}" for u, n in zip(of, nth, strict=True)]),
            "account_id": col.codes("a", of), "user_id": user_ids(of),
            "created_at": col.timestamps(at(world.joined[of]), world.start),
        }),
        "subscriptions": subs,
        "experiment_assignments": arms.filter(inside),
    }
