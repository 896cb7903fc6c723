"""What people watch: sessions, and the playback events of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from prodsense.simulate import Streams
from prodsense.simulate import columns as col
from prodsense.simulate.arrivals import DAY, day_weights
from prodsense.simulate.users import choose

from .simulate_world import (
    DROP_MOVIE,
    DROP_SECONDS,
    EPISODES,
    MOVIES,
    PROMOTED,
    SERIES,
    TITLES,
    TRAILERS,
    WARNING_DAYS,
    WEAK_SERIES,
    World,
    title_ids,
    user_ids,
)

SOURCES = ("browse", "search", "recommendation", "external")
TYPES = (
    "playback_start", "playback_progress", "playback_pause", "playback_resume", "playback_seek", "playback_complete",
    "playback_stop", "playback_error",
)  # fmt: skip
#: A heartbeat every so many seconds played; so many seeks and pauses at most.
BEAT, SLOTS = 300.0, 3
QUALITIES = ("SD", "HD", "FHD", "4K")


@dataclass(frozen=True)
class Sessions:
    """Sessions by index: seconds after the first midnight, positions in the title."""

    user: NDArray
    title: NDArray
    source: NDArray
    start: NDArray
    begins: NDArray
    ends: NDArray
    finished: NDArray
    seek_at: NDArray
    seek_by: NDArray
    pause_at: NDArray
    pause_for: NDArray

    @property
    def played(self) -> NDArray:
        """Seconds of playing."""
        return np.maximum(self.ends - self.begins - self.seek_by.sum(axis=1), 5.0)

    @property
    def wall(self) -> NDArray:
        return self.played + self.pause_for.sum(axis=1)

    @property
    def day(self) -> NDArray:
        return (self.start // DAY).astype(int)


def make_sessions(world: World, streams: Streams) -> Sessions:
    """Draw who watches what, when and how far."""
    rng, effects = streams("sessions"), world.effects
    weights = day_weights(world.start, world.days)
    user, day = np.nonzero(np.ones((world.users, world.days), bool))
    chance = 0.38 * np.minimum(world.activity[user], 2.4) * weights[day]
    warned = (day >= world.leaves[user] - WARNING_DAYS) & (day < world.leaves[user])
    chance = chance * np.where(warned & world.converted[user], 1.0 - effects.churn_warning, 1.0)
    there = (rng.random(user.size) < chance) & world.subscribed(user, day)
    user, day = user[there], day[there]
    binge = world.binger[user] & (rng.random(user.size) < 0.3)
    count = np.where(binge, rng.integers(3, 6, user.size), 1 + rng.poisson(0.4, user.size))
    more = np.ones(user.size)
    arm = world.arms[user]
    more += 0.4 * effects.layout_lift * arm[:, 0] + 0.25 * effects.display_lift * arm[:, 2]
    count = np.maximum(count, 1) + (rng.random(user.size) < (more - 1.0) * count)

    of = np.repeat(np.arange(user.size), count)
    nth = np.arange(of.size) - np.repeat(np.cumsum(count) - count, count)
    who, on, together = user[of], day[of], binge[of]
    sources = np.column_stack([
        0.40 * (1 + effects.layout_lift * world.arms[who, 0]), np.full(of.size, 0.22),
        0.25 * (1 + effects.display_lift * world.arms[who, 2]), np.full(of.size, 0.13),
    ])
    edge = np.cumsum(sources, axis=1) / sources.sum(axis=1, keepdims=True)
    source = (rng.random(of.size)[:, None] > edge).sum(axis=1)

    # Of a series the user goes on where they stand; a binge is one series all evening.
    own = rng.integers(0, 3, user.size)[of]
    other = rng.integers(0, 3, of.size)
    shelf = (who * 7 + np.where(together, own, other)) % SERIES
    kind = np.where(together | (rng.random(of.size) < 0.55), 1, 0)
    kind = np.where(~together & (rng.random(of.size) < 0.04), 2, kind)
    title = np.where(kind == 2, TITLES - TRAILERS + rng.integers(0, TRAILERS, of.size), _movies(world, who, on, rng))

    finish = rng.random(of.size)
    quality = np.where(kind == 1, world.quality[MOVIES + shelf * EPISODES] + 0.15, world.quality[title])
    first = kind == 1
    order = np.lexsort((nth, on, shelf, who))
    key = (who * SERIES + shelf)[order]
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    done = np.where(first, finish < quality, False)[order]
    before = np.cumsum(done) - done
    before = before - np.repeat(before[starts], np.diff(np.r_[starts, key.size]))
    stands = np.empty(of.size, int)
    stands[order] = before % EPISODES
    title = np.where(first, MOVIES + shelf * EPISODES + stands, title)
    weak = first & (shelf == WEAK_SERIES) & (stands == 0)
    quality = quality - np.where(weak, effects.weak_pilot, 0.0)
    finished = finish < quality

    length = world.length[title].astype(float)
    begins = np.where((kind == 0) & (rng.random(of.size) < 0.08), np.rint(length * rng.uniform(0.1, 0.6, of.size)), 0.0)
    part = rng.beta(0.8, 1.6, of.size)
    recommended = np.where(source == 2, 1.0 + effects.recommended_time, 1.0)
    ends = begins + np.minimum(part * recommended, 0.94) * (length - begins)
    leaves = (title == DROP_MOVIE) & (begins < DROP_SECONDS) & (rng.random(of.size) < effects.drop_off)
    ends = np.where(leaves, DROP_SECONDS + rng.integers(0, 15, of.size), ends)
    finished &= ~leaves
    credits = rng.random(of.size) < 0.15
    full = np.where(credits | (kind == 2), length, world.credits[title] + 3.0)
    ends = np.rint(np.where(finished, full, np.maximum(ends, begins + 8.0)))

    seeks, pauses = rng.poisson(0.35, of.size), rng.poisson(0.5, of.size)
    span = ends - begins
    roomy = span > 900.0
    slot = np.arange(SLOTS)
    seek_by = np.where(
        (slot[None, 1:] <= seeks[:, None]) & roomy[:, None],
        np.where(rng.random((of.size, SLOTS - 1)) < 0.5, -30.0, 60.0), 0.0)
    skips = (kind == 1) & roomy & (rng.random(of.size) < 0.6)
    seek_by = np.column_stack([np.where(skips, 58.0, 0.0), seek_by])
    seek_at = np.column_stack([np.full(of.size, 62.0), np.rint(span[:, None] * rng.uniform(0.25, 0.8, (of.size, 2)))])
    pause_at = np.rint(span[:, None] * rng.uniform(0.2, 0.8, (of.size, SLOTS)))
    pause_for = np.where(
        (slot[None, :] < pauses[:, None]) & roomy[:, None], np.rint(120 * rng.lognormal(0, 1, (of.size, SLOTS))), 0.0)
    pause_for = np.minimum(pause_for, 5400.0)

    taken = np.maximum(span - seek_by.sum(axis=1), 5.0) + pause_for.sum(axis=1)
    taken += np.where(together, 20.0, np.rint(1800 * rng.lognormal(0, 0.7, of.size)))
    ahead = np.cumsum(taken) - taken
    ahead = ahead - np.repeat(ahead[np.cumsum(count) - count], count)
    evening = np.rint(np.clip(rng.normal(19.5, 2.5, user.size), 6.0, 23.4) * 3600)
    start = on * DAY + evening[of] + ahead
    kept = start < world.days * DAY - 60.0
    return Sessions(*(array[kept] for array in (
        who, title, source, start, begins, ends, finished, seek_at, seek_by, pause_at, pause_for)))


def _movies(world: World, user: NDArray, day: NDArray, rng: np.random.Generator) -> NDArray:
    """A movie for each session: more popular ones more often, promoted ones most."""
    popular = 1.0 / np.arange(2, MOVIES + 2) ** 0.6
    popular[MOVIES - 4:] = 0.0  # nobody watches these
    title = choose(rng, popular, user.size)
    first, last = world.promoted
    share = popular[list(PROMOTED)] / popular.sum()
    for n, movie in enumerate(PROMOTED):
        running = (day >= first) & (day < last)
        extra = np.where(running, world.effects.promotion, 0.0)
        extra += np.where((day >= last) & (n == 0), world.effects.sustained, 0.0)
        title = np.where(rng.random(user.size) < extra * share[n] / (1 + extra * share[n]), movie, title)
    gone = (world.available_to[title] >= 0) & (day > world.available_to[title])
    return np.where(gone, DROP_MOVIE, title)


def playback_table(world: World, sessions: Sessions, streams: Streams) -> pa.Table:
    """The events, as they come in: some late, some twice, out of order."""
    rng = streams("beacons")
    n = sessions.user.size
    every = np.arange(n)
    played = sessions.played
    beats = np.floor(played / BEAT).astype(int)
    beat_of = np.repeat(every, beats)
    beat_no = np.arange(beat_of.size) - np.repeat(np.cumsum(beats) - beats, beats) + 1
    parts: list[tuple[NDArray, int | NDArray, NDArray, NDArray, NDArray]] = []

    def add(
        of: NDArray, kind: int | NDArray, at: NDArray, wait: NDArray | float = 0.0, by: NDArray | float = np.nan
    ) -> None:
        zeros = np.zeros(of.size)
        parts.append((of, kind, at, zeros + wait, zeros + by))

    add(every, 0, np.zeros(n))
    add(beat_of, 1, beat_no * BEAT)
    for slot in range(SLOTS):
        of = every[(sessions.pause_for[:, slot] > 0) & (sessions.pause_at[:, slot] < played)]
        add(of, 2, sessions.pause_at[of, slot])
        add(of, 3, sessions.pause_at[of, slot], sessions.pause_for[of, slot])
        of = every[(sessions.seek_by[:, slot] != 0) & (sessions.seek_at[:, slot] < played)]
        add(of, 4, sessions.seek_at[of, slot], 0.0, sessions.seek_by[of, slot])
    whole = sessions.finished & (sessions.ends >= world.length[sessions.title])
    add(every[whole], 5, played[whole])
    stops = every[~whole & (rng.random(n) < np.where(sessions.finished, 1.0, 0.75))]
    add(stops, 6, played[stops])
    fails = every[rng.random(n) < 0.01]
    add(fails, 7, played[fails] * 0.5)

    of, kind, at, wait, by = (np.concatenate([np.broadcast_to(p[i], p[0].shape) for p in parts]) for i in range(5))
    paused = sum(sessions.pause_for[of, s] * (sessions.pause_at[of, s] < at) for s in range(SLOTS))
    moved = sum(sessions.seek_by[of, s] * (sessions.seek_at[of, s] < at) for s in range(SLOTS))
    position = np.clip(sessions.begins[of] + at + moved, 0, world.length[sessions.title[of]])
    moment = np.rint(sessions.start[of] + at + paused + wait)
    target = np.clip(position + np.nan_to_num(by), 0, world.length[sessions.title[of]])

    offline = rng.random(n) < 0.02
    delay = np.where(offline[of], DAY * rng.uniform(0.3, 1.8, n)[of], rng.uniform(0.2, 3.0, of.size))
    received = moment + delay
    user, title = sessions.user[of], sessions.title[of]
    profile = rng.integers(0, world.profiles[sessions.user])[of]
    dub = (rng.random(n) < 0.3)[of] & (title < MOVIES) & (title % 5 == 0)
    names = pc.if_else(pa.array(dub), pc.binary_join_element_wise(title_ids(title), "dub", "-"), title_ids(title))
    device = (2 * sessions.user + (rng.random(n) < 0.25))[of]
    table = pa.table({
        "event_id": col.codes("e", np.arange(of.size), 9),
        "user_id": user_ids(user),
        "profile_id": pc.binary_join_element_wise(col.codes("p", user), pc.cast(pa.array(profile), pa.string()), "-"),
        "content_id": names,
        "session_id": col.codes("v", of, 8),
        "device_id": col.codes("d", device),
        "timestamp": col.timestamps(moment, world.start),
        "received_at": col.timestamps(received, world.start),
        "event_type": col.labels(kind, TYPES),
        "current_playback_position": pa.array(np.rint(position)),
        "seek_to_position": pa.array(np.rint(target), mask=np.isnan(by)),
        "discovery_source": col.labels(sessions.source[of], SOURCES, kind != 0),
        "playback_quality": col.labels(rng.integers(0, 4, n)[of], QUALITIES, kind != 0),
        "autoplay_enabled": col.booleans((rng.random(n) < 0.7)[of], kind != 0),
        "event_date": col.dates(moment // DAY, world.start),
    })
    # Nothing is known beyond the end: sessions that go on then are open.
    order = np.argsort(received, kind="stable")
    order = order[moment[order] < world.days * DAY]
    # A hundredth arrives twice: under its id, which the contract sees, or, sent anew, without one, which the fold sees.
    twice = order[rng.random(order.size) < 0.01]
    rows = table.take(pa.array(order))
    again = table.take(pa.array(twice))
    nameless = pa.array(rng.random(twice.size) < 0.2)
    again = again.set_column(0, "event_id", pc.if_else(nameless, pa.scalar(None, pa.string()), again["event_id"]))
    return pa.concat_tables([rows, again])
