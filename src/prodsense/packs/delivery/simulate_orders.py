"""Demand of the simulated city: who orders what, where and when, what is cancelled, who leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prodsense.simulate import Streams, arrivals, geography, users

from .simulate_world import World

#: At scale 1, before anyone leaves because of batching: some 1,500 remain.
ORDERS_A_DAY = 1_650
#: Straight miles become street miles.
STREET = 1.25

#: Why an order is cancelled; the first is the customer's answer to a long ETA.
REASONS = ("long_eta", "customer_changed_mind", "restaurant_closed", "no_driver_available", "system_outage")
LONG_ETA, OUTAGE = 0, 4
#: Probability that any order is cancelled for each reason.
BASE_CANCELLED = (0.010, 0.012, 0.005, 0.006, 0.0)


@dataclass(frozen=True)
class Orders:
    """One entry per order, sorted by the moment it is placed; times in seconds after the start."""

    customer: NDArray
    restaurant: NDArray
    zone: NDArray
    placed: NDArray
    day: NDArray
    at: NDArray
    miles: NDArray
    items: NDArray
    total_cents: NDArray
    fee_cents: NDArray
    tip_cents: NDArray
    #: Minutes the restaurant states, and those it really needs.
    prep_stated: NDArray
    prep: NDArray
    #: Index into REASONS, or -1; long ETAs are added when the batches are known.
    cancelled: NDArray
    #: Algorithm index of its zone and day, or -1.
    algorithm: NDArray
    #: Whether that algorithm may put it with others.
    poolable: NDArray

    def take(self, keep: NDArray) -> Orders:
        return Orders(**{name: values[keep] for name, values in vars(self).items()})

    def __len__(self) -> int:
        return self.placed.size


def make_orders(world: World, streams: Streams) -> Orders:
    """Draw the orders of customers who are there; nobody has left for a planted reason yet."""
    rng = streams("orders")
    people, places = world.customers, world.restaurants
    horizon = float(world.days)
    present = np.clip(np.minimum(people.left, horizon) - np.maximum(people.joined, 0.0), 0.0, None)
    expected = ORDERS_A_DAY * world.scale * world.days
    rate = people.rate * expected / np.sum(people.rate * present)
    # Orders over the whole window; those outside a customer's stay fall away.
    count = rng.poisson(rate * horizon)
    customer = np.repeat(np.arange(count.size), count)
    placed = arrivals.moments(rng, customer.size, arrivals.day_weights(world.start, world.days))
    there = (placed >= people.joined[customer] * arrivals.DAY) & (placed < people.left[customer] * arrivals.DAY)
    customer, placed = customer[there], placed[there]
    order = np.argsort(placed, kind="stable")
    customer, placed = customer[order], placed[order]
    n = placed.size
    day = placed // arrivals.DAY

    home = people.zone[customer]
    elsewhere = np.where(home == 0, 1 + rng.integers(0, len(world.centres) - 1, n), 0)
    zone = np.where(rng.random(n) < 0.9, home, elsewhere)
    restaurant = users.choose_within(rng, places.zone, places.weight, zone)
    at = people.at[customer]
    away = rng.random(n) < 0.08  # at work or with friends, not at home
    at = np.where(away[:, None], geography.scatter(rng, world.centres, zone, 0.7), at)
    miles = np.maximum(0.05, STREET * geography.miles_between(at, places.at[restaurant]))

    items = 1 + rng.poisson(1.6, n)
    total = np.rint(items * 100 * rng.lognormal(2.45, 0.35, n))
    fee = 199 + 100 * np.rint(np.minimum(miles, 4.0))
    tip = np.where(rng.random(n) < 0.8, np.rint(total * np.clip(rng.normal(0.14, 0.05, n), 0.02, 0.4)), 0)

    stated = np.maximum(3, places.prep[restaurant] + np.rint(0.8 * (items - 2.6)))
    prep = np.maximum(2.0, stated + rng.normal(0.0, places.prep_sd[restaurant]) + places.delay[restaurant])

    algorithm = world.algorithm_of[zone, day]
    size = np.array([a.max_size for a in world.algorithms] + [1])[algorithm]
    poolable = (size > 1) & places.batchable[restaurant] & (rng.random(n) < 0.85)
    return Orders(
        customer=customer, restaurant=restaurant, zone=zone, placed=placed, day=day, at=at, miles=miles,
        items=items, total_cents=total, fee_cents=fee, tip_cents=tip, prep_stated=stated, prep=prep,
        cancelled=_cancellations(rng, world, day), algorithm=algorithm, poolable=poolable,
    )  # fmt: skip


def _cancellations(rng: np.random.Generator, world: World, day: NDArray) -> NDArray:
    """Reason index per order, or -1; a long ETA comes later, when it is known who is in a batch."""
    chance = np.tile(np.array(BASE_CANCELLED), (day.size, 1))
    chance[:, LONG_ETA] = 0.0
    chance[day == world.outage_day, OUTAGE] = world.effects.outage_cancellations
    edges = np.cumsum(chance, axis=1)
    reason = (rng.random(day.size)[:, None] >= edges).sum(axis=1)
    return np.where(reason == len(REASONS), -1, reason)


def leave_after(world: World, orders: Orders, batched: NDArray, streams: Streams) -> NDArray:
    """Which orders remain when each batched order from a customer's second on may be the last.

    `batched` is true for delivered orders that came in a batch. Returns a mask over `orders`.
    """
    index = np.flatnonzero(batched)
    who = orders.customer[index]
    by_customer = np.argsort(who, kind="stable")  # orders are by time, so within a customer they stay so
    who, index = who[by_customer], index[by_customer]
    repeated = np.r_[False, who[1:] == who[:-1]]
    enough = streams("leaving").random(len(orders))[index] < world.effects.churn_uplift
    last = np.full(world.customers.rate.size, np.iinfo(np.int64).max)
    final = repeated & enough
    np.minimum.at(last, who[final], orders.placed[index[final]])
    return orders.placed <= last[orders.customer]


def often_batched(orders: Orders, batched: NDArray, least: int = 2, window: int = 28) -> NDArray:
    """Whether each order's customer has had `least` batched orders in the last `window` days, it included."""
    index = np.flatnonzero(batched)
    index = index[np.argsort(orders.customer[index], kind="stable")]
    # Customer and time in one sortable number: batched orders become a line on which to look back.
    line = orders.customer[index] * np.int64(1 << 32) + orders.placed[index]
    here = orders.customer * np.int64(1 << 32)
    upto = np.searchsorted(line, here + orders.placed, side="right")
    since = np.searchsorted(line, here + np.maximum(0, (orders.day - window + 1) * arrivals.DAY), side="left")
    return upto - since >= least
