"""Which orders go together, and by which route: batches that keep every constraint of their algorithm.

Routes are worked out for all batches at once, in arrays of shape (batches, 4): column j is a batch's
j-th order by pickup. Missing orders are padded with index -1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prodsense.simulate import Streams
from prodsense.simulate.geography import miles_between

from .simulate_orders import STREET, Orders
from .simulate_world import World

#: Orders of one zone that are ready within this time of each other may share a driver.
WINDOW_SECONDS = 15 * 60
LARGEST = 4
#: Probability of a target size of 2, 3 and 4 orders.
SIZES = (0.52, 0.32, 0.16)
MAX_RESTAURANTS = 3
MAX_PREP_SPREAD_MINUTES = 15
MAX_BATCH_MINUTES = 60
#: City traffic: a car, a scooter and a bike are equally fast.
MILES_PER_SECOND = 13.0 / 3600
#: Miles from a driver to the first restaurant, before it is known who drives: what a batch saves per order.
APPROACH = 1.0
PICKUP_SERVICE, DROP_SERVICE = 90.0, 120.0


def group(world: World, orders: Orders, streams: Streams) -> NDArray:
    """Batch number per order, or -1: neighbours in space among those ready at about the same time."""
    rng = streams("batches")
    chosen = np.flatnonzero(orders.poolable & (orders.cancelled < 0))
    if chosen.size == 0:
        return np.full(len(orders), -1, np.int64)
    ready = orders.placed[chosen] + 60 * orders.prep_stated[chosen]
    # A zone's day keeps one algorithm, so orders of two days never meet.
    window = (orders.day[chosen] * 1000 + ready.astype(np.int64) // WINDOW_SECONDS) * len(world.centres)
    window = window + orders.zone[chosen]
    block = np.floor(world.restaurants.at[orders.restaurant[chosen]] / 0.5).astype(np.int64)
    towards = orders.at[chosen] - world.centres[orders.zone[chosen]]
    angle = np.arctan2(towards[:, 1], towards[:, 0])
    order = np.lexsort((block[:, 1], block[:, 0], angle, window))
    window = window[order]
    fresh = np.r_[True, window[1:] != window[:-1]]
    run = np.cumsum(fresh) - 1
    rank = np.arange(run.size) - np.flatnonzero(fresh)[run]
    size = (2 + rng.choice(3, size=run[-1] + 1, p=SIZES))[run]
    number = run * 100_000 + rank // size
    out = np.full(len(orders), -1, np.int64)
    out[chosen[order]] = number
    return renumber(out)


def renumber(batch: NDArray) -> NDArray:
    """Batch numbers 0, 1, ... with batches of a single order dissolved to -1."""
    inside = np.flatnonzero(batch >= 0)
    _, dense, count = np.unique(batch[inside], return_inverse=True, return_counts=True)
    dense = np.where(count[dense] > 1, dense, -1)
    out = np.full(batch.size, -1, np.int64)
    _, again = np.unique(dense, return_inverse=True)
    out[inside] = again - 1 if np.any(dense < 0) else again
    return out


@dataclass(frozen=True)
class Routes:
    """Routes of all batches; arrays of shape (batches, 4) unless said otherwise.

    `order`: order index or -1. `rides`: is delivered (a cancelled member keeps its place behind those).
    `stop`: pickup stop of the order, from 1. `opens`: first order of its stop. `pickup_leg`: straight
    miles from the stop before (0 for the first stop, and where nothing is opened). `drop`: per position of
    the drop-off sequence the column delivered there. `drop_leg`: miles into that drop-off.
    """

    order: NDArray
    rides: NDArray
    stop: NDArray
    opens: NDArray
    pickup_leg: NDArray
    drop: NDArray
    drop_leg: NDArray

    @property
    def size(self) -> NDArray:
        """Orders per batch, cancelled ones included; shape (batches,)."""
        return (self.order >= 0).sum(axis=1)

    @property
    def riding(self) -> NDArray:
        """Delivered orders per batch; shape (batches,)."""
        return self.rides.sum(axis=1)


def route(world: World, orders: Orders, batch: NDArray, cancelled: NDArray) -> Routes:
    """Pickups by readiness, one stop per restaurant; drop-offs each to the nearest customer left."""
    member = np.flatnonzero(batch >= 0)
    number = batch[member]
    batches = int(number.max()) + 1 if member.size else 0
    out = ~cancelled[member]
    ready = orders.placed[member] + 60.0 * orders.prep_stated[member]
    restaurant = orders.restaurant[member]
    # Earliest readiness of the same restaurant in the same batch puts its orders side by side.
    first_ready = _earliest(number * np.int64(1 << 32) + restaurant + (~out).astype(np.int64) * (1 << 31), ready)
    member = member[np.lexsort((ready, restaurant, first_ready, ~out, number))]
    number = batch[member]
    column = np.arange(member.size) - np.searchsorted(number, number, side="left")
    order = np.full((batches, LARGEST), -1, np.int64)
    order[number, column] = member
    rides = (order >= 0) & ~cancelled[order]

    place = world.restaurants.at[orders.restaurant[order]]
    opens = np.ones_like(rides)
    opens[:, 1:] = (orders.restaurant[order[:, 1:]] != orders.restaurant[order[:, :-1]]) | (
        rides[:, 1:] != rides[:, :-1]
    )
    opens &= order >= 0
    stop = np.where(order >= 0, np.cumsum(opens, axis=1), 0)
    pickup_leg = np.zeros(order.shape)
    pickup_leg[:, 1:] = STREET * miles_between(place[:, 1:], place[:, :-1]) * (opens & rides)[:, 1:]

    home = orders.at[order]
    here = place[np.arange(batches), np.maximum(rides.sum(axis=1) - 1, 0)]
    left = rides.copy()
    drop = np.full(order.shape, -1, np.int64)
    drop_leg = np.zeros(order.shape)
    rows = np.arange(batches)
    for k in range(LARGEST):
        miles = np.where(left, STREET * miles_between(home, here[:, None, :]), np.inf)
        nearest = np.argmin(miles, axis=1)
        some = left[rows, nearest]
        drop[some, k] = nearest[some]
        drop_leg[some, k] = np.maximum(0.05, miles[some, nearest[some]])
        here = np.where(some[:, None], home[rows, nearest], here)
        left[rows, nearest] = False
    return Routes(order, rides, stop, opens, pickup_leg, drop, drop_leg)


def _earliest(key: NDArray, value: NDArray) -> NDArray:
    """Per entry the least `value` among entries of the same key."""
    order = np.lexsort((value, key))
    sorted_key = key[order]
    fresh = np.r_[True, sorted_key[1:] != sorted_key[:-1]] if key.size else np.zeros(0, bool)
    out = np.empty(value.size)
    out[order] = value[order][np.flatnonzero(fresh)][np.cumsum(fresh) - 1]
    return out


@dataclass(frozen=True)
class Chance:
    """What a trip meets by chance, drawn once per order so that regrouping orders changes nothing else.

    `lead`: seconds from the food's stated readiness to the driver's arrival (negative: the driver is early).
    `pace`: factor on the time of the drive into the order's stop, `detour` on its miles.
    `approach`: miles to the first restaurant. `react`: seconds from taking a job to driving off.
    """

    lead: NDArray
    pace: NDArray
    detour: NDArray
    approach: NDArray
    react: NDArray


def draw_chance(size: int, streams: Streams) -> Chance:
    rng = streams("trips")
    return Chance(
        lead=rng.normal(-120.0, 150.0, size),
        pace=np.clip(rng.normal(1.0, 0.10, size), 0.75, 1.3),
        detour=np.clip(rng.normal(1.0, 0.03, size), 0.94, 1.1),
        approach=np.clip(rng.gamma(2.0, APPROACH / 2.0, size), 0.1, 2.4),
        react=rng.uniform(30.0, 90.0, size),
    )


@dataclass(frozen=True)
class Timeline:
    """When and how far each batch goes; shape (batches, 4) by pickup column unless said otherwise.

    `start` and `end` (shape (batches,)): driving off, last drop-off. Miles are driven ones (or planned).
    """

    start: NDArray
    end: NDArray
    arrived: NDArray
    picked: NDArray
    reached: NDArray
    delivered: NDArray
    approach_miles: NDArray
    pickup_miles: NDArray
    drop_miles: NDArray

    @property
    def miles(self) -> NDArray:
        """Miles of the whole route; shape (batches,)."""
        return self.approach_miles + self.pickup_miles.sum(axis=1) + self.drop_miles.sum(axis=1)


def drive(
    routes: Routes, ready: NDArray, arrive_first: NDArray, approach: NDArray, pace: NDArray, detour: NDArray
) -> Timeline:
    """Work out the times of all routes.

    Args:
        routes: what to drive.
        ready: seconds at which each column's food is ready, shape (batches, 4).
        arrive_first: seconds of arrival at the first restaurant, shape (batches,).
        approach: miles to it, shape (batches,).
        pace, detour: factors on time and miles of the leg into each column's stops, shape (batches, 4).
    """
    batches, rows = len(routes.order), np.arange(len(routes.order))
    together = np.where(routes.rides, ready, -np.inf)
    for j in range(LARGEST - 2, -1, -1):  # a stop ends when the last of its orders is ready
        same = routes.rides[:, j + 1] & ~routes.opens[:, j + 1]
        together[:, j] = np.where(same, np.maximum(together[:, j], together[:, j + 1]), together[:, j])
    pickup_miles = routes.pickup_leg * detour
    arrived, picked = np.zeros(ready.shape), np.zeros(ready.shape)
    here = arrive_first
    for j in range(LARGEST):
        here = here + np.where(routes.opens[:, j], pickup_miles[:, j] / MILES_PER_SECOND * pace[:, j], 0.0)
        if j == 0:
            arrived[:, 0] = here
            leave = np.maximum(here, together[:, 0]) + PICKUP_SERVICE
        else:
            new = routes.opens[:, j] & routes.rides[:, j]
            arrived[:, j] = np.where(new, here, arrived[:, j - 1])
            leave = np.where(new, np.maximum(here, together[:, j]) + PICKUP_SERVICE, leave)
        picked[:, j] = leave
        here = leave
    reached, delivered, drop_miles = np.zeros(ready.shape), np.zeros(ready.shape), np.zeros(ready.shape)
    for k in range(LARGEST):
        column = routes.drop[:, k]
        some = column >= 0
        miles = routes.drop_leg[:, k] * detour[rows, column]
        drop_miles[:, k] = np.where(some, miles, 0.0)
        here = np.where(some, here + miles / MILES_PER_SECOND * pace[rows, column], here)
        reached[rows[some], column[some]] = here[some]
        here = np.where(some, here + DROP_SERVICE, here)
        delivered[rows[some], column[some]] = here[some]
    first_pace, first_detour = pace[:, 0], detour[:, 0]
    approach_miles = approach * first_detour
    return Timeline(
        start=arrive_first - approach_miles / MILES_PER_SECOND * first_pace,
        end=here if batches else arrive_first, arrived=arrived, picked=picked, reached=reached,
        delivered=delivered, approach_miles=approach_miles, pickup_miles=pickup_miles, drop_miles=drop_miles,
    )  # fmt: skip


def detours(world: World, algorithm: NDArray) -> NDArray:
    """Driven over planned miles of each algorithm's routes, elementwise; 1 where there is none (-1)."""
    excess = world.effects.route_excess
    factor = [1.0 + excess * (0.75 + 0.25 * a.weakness) for a in world.algorithms]
    return np.array([*factor, 1.0])[algorithm]


def repair(world: World, orders: Orders, batch: NDArray, cancelled: NDArray, chance: Chance) -> NDArray:
    """Split batches that break a rule in halves until none does; a lone order leaves its batch.

    Judged by the route as planned and as it will be driven: once with all orders, as the batch is formed,
    and once without those that are cancelled later.
    """
    nobody = np.zeros(len(orders), bool)
    settled, base = np.full(batch.size, -1, np.int64), 0
    while np.any((batch := renumber(batch)) >= 0):
        routes, bad = _judge(world, orders, batch, nobody, chance)
        prep, there = orders.prep_stated[routes.order], routes.order >= 0
        bad |= _range(prep, there) > MAX_PREP_SPREAD_MINUTES
        bad |= routes.stop.max(axis=1) > MAX_RESTAURANTS
        # A batch that drives farther than its orders one by one is none worth making.
        apart = np.where(there, orders.miles[routes.order], 0.0).sum(axis=1)
        bad |= routes.pickup_leg.sum(axis=1) + routes.drop_leg.sum(axis=1) > apart + APPROACH * (routes.size - 1)
        if (lost := np.unique(batch[cancelled & (batch >= 0)])).size:
            fewer = np.searchsorted(lost, batch)
            touched = (batch >= 0) & (lost[np.minimum(fewer, lost.size - 1)] == batch)
            bad[lost] |= _judge(world, orders, np.where(touched, fewer, -1), cancelled, chance)[1]
        good = (batch >= 0) & ~bad[batch]
        settled[good] = base + batch[good]
        base += bad.size
        half = (routes.size + 1) // 2
        late = bad[:, None] & (np.arange(LARGEST) >= half[:, None]) & there
        batch = np.where(good, -1, batch)
        batch[routes.order[late]] += bad.size
    return renumber(settled)


def _judge(
    world: World, orders: Orders, batch: NDArray, cancelled: NDArray, chance: Chance
) -> tuple[Routes, NDArray]:
    """Routes, and whether each is too long or too slow for its algorithm (or has nobody to deliver to)."""
    limit = np.array([a.max_miles for a in world.algorithms])
    routes = route(world, orders, batch, cancelled)
    first = routes.order[:, 0]
    algorithm = orders.algorithm[first]
    ready = (orders.placed + 60.0 * orders.prep)[routes.order]
    stated = (orders.placed + 60.0 * orders.prep_stated)[routes.order]
    driven = drive(
        routes, ready, stated[:, 0] + chance.lead[first], chance.approach[first], chance.pace[routes.order],
        detours(world, algorithm)[:, None] * chance.detour[routes.order],
    )  # fmt: skip
    plan = drive(
        routes, stated, driven.start + chance.approach[first] / MILES_PER_SECOND, chance.approach[first],
        np.ones(ready.shape), np.ones(ready.shape),
    )  # fmt: skip
    bad = routes.riding == 0
    for t in (driven, plan):
        bad |= (t.miles > limit[algorithm] - 0.05) | (t.end - t.start > 60 * MAX_BATCH_MINUTES - 60)
    return routes, bad


def _range(values: NDArray, there: NDArray) -> NDArray:
    return np.where(there, values, -np.inf).max(axis=1) - np.where(there, values, np.inf).min(axis=1)
