"""What surrounds the events: users, connections, answers and opinions, lifetime value, tests and the registry."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prodsense.simulate import Streams
from prodsense.simulate import columns as col
from prodsense.simulate.arrivals import DAY
from prodsense.simulate.users import scores

from .registry import registry_rows
from .simulate_events import user_ids
from .simulate_people import AGES, CAMPAIGNS, DEVICES, GENDERS, REGIONS, SOURCES, People

ARMS = ("control", "treatment")
SENTIMENTS = ("negative", "neutral", "positive")
CSAT = 3.4
RATING = 4.1


def users_table(people: People) -> pa.Table:
    everyone = np.arange(people.size)
    return pa.table({
        "user_id": user_ids(everyone),
        "signup_date": col.dates(people.signup, people.start),
        "age_group": col.labels(people.age, AGES),
        "gender": col.labels(people.gender, GENDERS),
        "region": col.labels(people.region, REGIONS),
        "acquisition_source": col.labels(people.source, SOURCES),
        "campaign": col.labels(np.maximum(people.campaign, 0), CAMPAIGNS, people.campaign < 0),
        "is_internal": col.booleans(people.internal),
    })


def connections_table(people: People, streams: Streams) -> pa.Table:
    """Friendships: more of those who are sociable, four of ten within the region; made once both are there."""
    rng = streams("connections")
    weight = people.sociable / people.sociable.sum()
    tries = people.size * 5
    one = rng.choice(people.size, tries, p=weight)
    other = rng.choice(people.size, tries, p=weight)
    near = rng.permutation(people.size)
    near = near[np.argsort(people.region[near], kind="stable")]
    edge = np.concatenate([[0], np.cumsum(np.bincount(people.region, minlength=len(REGIONS)))])
    low, high = edge[people.region[one]], edge[people.region[one] + 1]
    local = near[low + (rng.random(tries) * (high - low)).astype(np.int64)]
    other = np.where(rng.random(tries) < 0.4, local, other)
    a, b = np.minimum(one, other), np.maximum(one, other)
    both_from = np.maximum(people.signup[a], people.signup[b])
    made = both_from + rng.exponential(25.0, tries)
    keep = np.flatnonzero((a != b) & (made < people.days))
    _, unique = np.unique(a[keep] * people.size + b[keep], return_index=True)
    keep = keep[np.sort(unique)]
    return pa.table({
        "user_id": user_ids(a[keep]),
        "connected_user_id": user_ids(b[keep]),
        "connection_type": pa.array(["friend"] * keep.size, pa.string()),
        "created_at": col.timestamps(np.floor(made[keep] * DAY), people.start),
    })


def survey_table(people: People, streams: Streams) -> pa.Table:
    rng = streams("survey")
    asked = rng.permutation(people.size)[: people.size // 3]
    asked = np.sort(asked[people.signup[asked] < people.days - 1])
    short = people.short[asked]
    effect = people.effects.short_sessions_csat
    csat = scores(rng, CSAT + effect * short, 0.8)
    nps = scores(rng, 7.2 + effect * short, 2.0, 0, 10)
    day = np.maximum(people.signup[asked], 0)
    moment = np.floor((day + rng.random(asked.size) * (people.days - day)) * DAY)
    both = np.concatenate([asked, asked])
    return pa.table({
        "response_id": col.codes("r", np.arange(both.size)),
        "user_id": user_ids(both),
        "survey_type": col.labels(np.repeat([0, 1], asked.size), ("csat", "nps")),
        "score": pa.array(np.concatenate([csat, nps]).astype(float)),
        "responded_at": col.timestamps(np.concatenate([moment, moment]), people.start),
    })


def reviews_table(people: People, streams: Streams) -> pa.Table:
    rng = streams("reviews")
    size = max(people.size // 10, 10)
    rating = scores(rng, np.full(size, RATING), 1.0)
    sentiment = np.where(rating >= 4, 2, np.where(rating == 3, 1, 0))
    return pa.table({
        "review_id": col.codes("a", np.arange(size)),
        "rating": pa.array(rating.astype(float)),
        "created_at": col.timestamps(np.floor(rng.random(size) * people.days * DAY), people.start),
        "text": col.labels(sentiment, ("Keeps crashing.", "It is okay.", "Love it.")),
        "sentiment": col.labels(sentiment, SENTIMENTS),
        "device": col.labels(rng.integers(0, 2, size), DEVICES),
        "platform": col.labels(rng.integers(0, 2, size), ("ios", "android")),
    })


def mentions_table(people: People, streams: Streams) -> pa.Table:
    rng = streams("mentions")
    size = max(people.size // 8, 10)
    sentiment = np.searchsorted((0.2, 0.5), rng.random(size), side="right")
    return pa.table({
        "mention_id": col.codes("m", np.arange(size)),
        "text": col.labels(sentiment, ("Feed is a mess again.", "Trying the new app.", "My group is great fun.")),
        "sentiment": col.labels(sentiment, SENTIMENTS),
        "mentioned_at": col.timestamps(np.floor(rng.random(size) * people.days * DAY), people.start),
    })


def ltv_table(people: People, streams: Streams) -> pa.Table:
    rng = streams("ltv")
    effects = people.effects
    value = 15.0 + effects.sociable_ltv * people.sociable + effects.short_sessions_ltv * people.short
    value = np.maximum(value + rng.normal(0.0, 4.0, people.size), 0.0)
    return pa.table({"user_id": user_ids(np.arange(people.size)), "ltv": pa.array(np.rint(value * 100) / 100)})


def assignments_table(people: People) -> pa.Table:
    """New users take part in the onboarding test from their signup on, the others in the notification test."""
    new, old = np.flatnonzero(people.onboarding >= 0), np.flatnonzero(people.notification >= 0)
    day = np.concatenate([people.signup[new], np.full(old.size, people.test_from)])
    arm: NDArray = np.concatenate([people.onboarding[new], people.notification[old]])
    return pa.table({
        "experiment": col.labels(
            np.repeat([0, 1], [new.size, old.size]), ("onboarding_flow_test", "notification_strategy_test")
        ),
        "user_id": user_ids(np.concatenate([new, old])),
        "variant": col.labels(arm, ARMS),
        "assigned_at": col.timestamps(day * DAY, people.start),
    })


def registry_table(people: People) -> pa.Table:
    rows = registry_rows()
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return pa.table({
        name: pa.array(values, pa.bool_() if name == "is_vanity" else pa.int32() if name == "version" else pa.string())
        for name, values in columns.items()
    } | {"valid_from": col.dates(np.full(len(rows), -400), people.start)})
