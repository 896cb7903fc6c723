"""What people do on the days they show up: sessions, and the events of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prodsense.simulate import Streams
from prodsense.simulate import columns as col
from prodsense.simulate.arrivals import DAY

from .simulate_people import DEVICES, FEATURES, PLATFORMS, WARNING_DAYS, People

#: Sessions start in these hours of the day, one in each of as many equal parts as there are sessions.
OPENS, CLOSES = 6.5 * 3600, 23.5 * 3600
MOST_SESSIONS = 10
#: A fast clock is ahead by so many seconds.
AHEAD = 300.0
#: Event types of which the numbers below are indices.
TYPES = (
    "session_start", "app_open", "content_view", "like", "comment", "share", "direct_message", "post_creation",
    "story_creation", "feature_usage", "session_end",
)  # fmt: skip
CONTENT = ("post", "video", "story")


@dataclass(frozen=True)
class Visits:
    """Sessions by index, in order of user and start; seconds after the first midnight."""

    user: NDArray
    day: NDArray
    start: NDArray
    seconds: NDArray
    device: NDArray


@dataclass(frozen=True)
class Days:
    """Active user-days: the user, the day, how many sessions, and the index of the first."""

    user: NDArray
    day: NDArray
    sessions: NDArray
    first: NDArray


def make_visits(people: People, streams: Streams) -> tuple[Days, Visits]:
    """Draw who is active when, how often, and for how long."""
    rng = streams("visits")
    user, day = np.nonzero(rng.random(people.chance.shape) < people.recorded)
    mean = np.where(people.short, 3.0, 1.3)[user]
    effects = people.effects
    treated = (people.notification[user] == 1) & (day >= people.test_from)
    mean = mean * np.where(treated, 1.0 + effects.notification_sessions, 1.0)
    mean = mean * np.where(warned(people, user, day), 1.0 - effects.churn_warning, 1.0)
    falls = people.dropper[user] == 1
    mean = np.where(falls, np.where(day < people.drop_day, 5.0, 1.0), mean)
    sessions = np.minimum(1 + rng.poisson(np.maximum(mean - 1.0, 0.0)), MOST_SESSIONS)

    first = np.cumsum(sessions) - sessions
    of = np.repeat(np.arange(user.size), sessions)
    part = (CLOSES - OPENS) / sessions[of]
    place = np.arange(of.size) - first[of]
    start = day[of] * DAY + OPENS + part * (place + 0.3 * rng.random(of.size))
    length = np.where(people.short[user[of]], 240.0, 900.0) * rng.lognormal(-0.18, 0.6, of.size)
    seconds = np.clip(length, 20.0, 0.35 * part)
    other = (people.second_device[user[of]] >= 0) & (rng.random(of.size) < 0.3)
    device = np.where(other, people.second_device[user[of]], people.device[user[of]])
    return Days(user, day, sessions, first), Visits(user[of], day[of], np.rint(start), np.rint(seconds), device)


def warned(people: People, user: NDArray, day: NDArray) -> NDArray:
    """Whether each user-day lies in the days before its user leaves."""
    leaves = people.leaves[user]
    return (leaves < people.days) & (day >= leaves - WARNING_DAYS) & (day < leaves)


def events_table(people: People, days: Days, visits: Visits, streams: Streams) -> pa.Table:
    """The rows of user_events, in order of time."""
    rng = streams("events")
    count = visits.user.size
    every = np.arange(count)
    session: list[NDArray] = []
    kind: list[NDArray] = []
    offset: list[NDArray] = []
    feature: list[NDArray] = []

    def add(name: str, at: NDArray, when: NDArray | None = None, what: NDArray | None = None) -> None:
        session.append(at)
        kind.append(np.full(at.size, TYPES.index(name)))
        offset.append(rng.random(at.size) * visits.seconds[at] if when is None else when)
        feature.append(np.full(at.size, -1) if what is None else what)

    def add_daily(name: str, mean: NDArray) -> None:
        """Events by user-day, each in one of the day's sessions."""
        of = np.repeat(np.arange(days.user.size), rng.poisson(mean))
        add(name, days.first[of] + (rng.random(of.size) * days.sessions[of]).astype(np.int64))

    add("session_start", every, np.zeros(count))
    add("app_open", every, np.zeros(count))
    add("content_view", np.repeat(every, 1 + rng.poisson(np.minimum(0.25 * visits.seconds / 60.0, 12.0))))
    add("session_end", every, visits.seconds)
    sociable, creator = people.sociable[days.user], people.creator[days.user]
    wary = np.where(warned(people, days.user, days.day), 0.3 if people.effects.churn_warning else 1.0, 1.0)
    stopped = (people.dropper[days.user] == 2) & (days.day >= people.drop_day)
    making = np.where(people.dropper[days.user] == 2, 3.0, 1.0) * wary * ~stopped
    add_daily("like", 1.0 * sociable)
    add_daily("share", 0.3 * sociable)
    add_daily("direct_message", 0.8 * sociable)
    add_daily("comment", np.where(creator, 0.6, 0.1) * making)
    add_daily("post_creation", np.where(creator, 0.5, 0.0) * making)
    add_daily("story_creation", np.where(creator, 0.25, 0.0) * making)
    # Whoever adopts a feature uses it on day 0, and on six days of ten.
    uses = people.adopts[days.user] & (
        (rng.random((days.user.size, len(FEATURES))) < 0.6) | (days.day == people.signup[days.user])[:, None]
    )
    of, which = np.nonzero(uses)
    add("feature_usage", days.first[of] + (rng.random(of.size) * days.sessions[of]).astype(np.int64), None, which)

    at, types = np.concatenate(session), np.concatenate(kind)
    moment = visits.start[at] + np.rint(np.concatenate(offset))
    features = np.concatenate(feature)
    order = np.lexsort((types, at, moment))
    at, types, moment, features = at[order], types[order], moment[order], features[order]
    user = visits.user[at]
    view = types == TYPES.index("content_view")
    content = np.where(view, np.searchsorted((0.55, 0.80), rng.random(at.size), side="right"), -1)
    scrolled = content == 0
    features = np.where(scrolled, 0, features)
    reach = 5.0 + rng.gamma(2.0, 6.0, count)[at]  # how far down the feed its session goes
    delay = rng.exponential(3.0, at.size) + np.where(rng.random(at.size) < 0.01, rng.exponential(7200.0, at.size), 0.0)
    shown = moment + np.where(people.fast_clock[user], AHEAD, 0.0)
    finished = rng.random(at.size) < np.where(content == 1, 0.6, 0.8)
    return pa.table({
        "event_id": col.codes("e", np.arange(at.size), 9),
        "user_id": user_ids(user),
        "session_id": col.codes("s", at, 8),
        "timestamp": col.timestamps(shown, people.start),
        "received_at": col.timestamps(np.rint((moment + delay) * 1000) / 1000, people.start),
        "event_type": col.labels(types, TYPES),
        "content_type": col.labels(np.maximum(content, 0), CONTENT, content < 0),
        "feature_name": col.labels(np.maximum(features, 0), FEATURES, features < 0),
        "platform": col.labels(people.platform[user], PLATFORMS),
        "device": col.labels(visits.device[at], DEVICES),
        "completed": col.booleans(finished, content < 1),
        "scroll_position": pa.array(np.floor(reach * rng.random(at.size)) + 1.0, mask=~scrolled),
        "event_date": col.dates((shown // DAY).astype(np.int64), people.start),
    })


def user_ids(user: NDArray) -> pa.Array:
    """User ids as text."""
    return col.codes("u", user, 6)
