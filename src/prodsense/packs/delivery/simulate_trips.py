"""From orders to driven trips: who is batched, when everything happens, which driver does it.

Times are seconds after the start of the first day; NaN where a thing never happens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prodsense.simulate import Streams
from prodsense.simulate.geography import around

from . import simulate_batches as sb
from .simulate_orders import BASE_CANCELLED, LONG_ETA, Orders, leave_after, often_batched
from .simulate_staff import OFFER_SECONDS, Drivers, Sessions, Trips, staff
from .simulate_world import World

#: sd in minutes of the promise's error for an individual delivery.
ETA_SD = 4.0
#: Share of batches that are given up and delivered one by one.
DISSOLVED = 0.02
#: Share of batches that are cancelled once and then formed again.
BATCHES_CANCELLED = 0.06

@dataclass(frozen=True)
class Batches:
    """Batches that drive, one entry each; `routes` and times by their index."""

    routes: sb.Routes
    planned: sb.Timeline
    driven: sb.Timeline
    algorithm: NDArray
    created: NDArray
    assigned: NDArray
    started: NDArray
    completed: NDArray
    driver: NDArray
    #: Where the driver sets off, shape (batches, 2) in miles.
    start_at: NDArray


@dataclass(frozen=True)
class Withdrawn:
    """Batches cancelled before they started. `order` has shape (batches, 4), -1 where empty."""

    order: NDArray
    algorithm: NDArray
    created: NDArray
    cancelled: NDArray


@dataclass(frozen=True)
class Rides:
    """One entry per order. `trip` and `batch` are -1 without one; `batch` indexes `Batches`."""

    created: NDArray
    assigned: NDArray
    arrived: NDArray
    picked: NDArray
    delivered: NDArray
    cancelled: NDArray
    approach_miles: NDArray
    eta_minutes: NDArray
    minutes: NDArray
    batch: NDArray
    trip: NDArray
    driver: NDArray
    #: In a batch of two or more.
    batched: NDArray
    #: Its customer has had two or more batched orders in the 28 days up to it, this one included.
    often_batched: NDArray


@dataclass(frozen=True)
class Day:
    """All that was driven, and the realised means that were planted."""

    orders: Orders
    rides: Rides
    batches: Batches
    withdrawn: Withdrawn
    trips: Trips
    sessions: Sessions
    drivers: Drivers
    truth: dict[str, dict[str, float]]


def make_trips(world: World, orders: Orders, streams: Streams) -> Day:
    """Batch, time and staff all orders; orders of customers who leave fall away."""
    rng = streams("rides")
    chance = sb.draw_chance(len(orders), streams)
    impatience, dissolve = rng.random(len(orders)), rng.random(len(orders))
    created = orders.placed + np.rint(rng.uniform(5, 30, len(orders)))

    candidate = sb.group(world, orders, streams)
    waits = _impatient(world, orders, candidate, impatience)
    candidate = sb.repair(world, orders, candidate, waits, chance)
    batched = (candidate >= 0) & ~waits & (orders.cancelled < 0)
    stay = leave_after(world, orders, batched, streams)
    orders, candidate, created = orders.take(stay), candidate[stay], created[stay]
    impatience, dissolve = impatience[stay], dissolve[stay]
    chance = sb.Chance(**{name: values[stay] for name, values in vars(chance).items()})

    waits = _impatient(world, orders, candidate, impatience)
    candidate = sb.repair(world, orders, candidate, waits, chance)
    # One draw per batch: that of its first order.
    given_up = np.zeros(candidate.max() + 2, bool)
    heads = _heads(candidate)
    given_up[candidate[heads]] = dissolve[heads] < DISSOLVED
    given_up[-1] = False
    dissolved = np.where(given_up[candidate], candidate, -1)
    batch = sb.renumber(np.where(given_up[candidate], -1, candidate))
    cancelled = np.where(_impatient(world, orders, batch, impatience), LONG_ETA, orders.cancelled)
    return _drive(world, orders, batch, sb.renumber(dissolved), cancelled, created, chance, streams)


def _heads(batch: NDArray) -> NDArray:
    """Index of the first order of each batch."""
    inside = np.flatnonzero(batch >= 0)
    _, first = np.unique(batch[inside], return_index=True)
    return inside[first]


def _impatient(world: World, orders: Orders, batch: NDArray, u: NDArray) -> NDArray:
    """Orders cancelled for a long ETA: more of those in a batch."""
    chance = BASE_CANCELLED[LONG_ETA] + world.effects.long_eta_uplift * (batch >= 0)
    return (u < chance) & (orders.cancelled < 0)


def _drive(
    world: World, orders: Orders, batch: NDArray, dissolved: NDArray, cancelled: NDArray, created: NDArray,
    chance: sb.Chance, streams: Streams,
) -> Day:  # fmt: skip
    """Time and staff given batches."""
    n, rng = len(orders), streams("driving")
    going = cancelled < 0
    ready, stated = orders.placed + 60.0 * orders.prep, orders.placed + 60.0 * orders.prep_stated
    several = int(batch.max()) + 1  # batches below this number have two or more orders
    # The holdout algorithm makes a batch of each order alone.
    holdout = np.array([a.max_size == 1 for a in world.algorithms] + [False])[orders.algorithm]
    alone = np.flatnonzero(holdout & going & (batch < 0))
    batch = batch.copy()
    batch[alone] = several + np.arange(alone.size)
    routes = sb.route(world, orders, batch, ~going)
    first = routes.order[:, 0]
    algorithm = orders.algorithm[first]
    there = routes.order >= 0

    complete = np.where(there, created[routes.order], -np.inf).max(axis=1, initial=-np.inf) + 15.0
    weakness = np.array([a.weakness for a in world.algorithms])[algorithm]
    failing = BATCHES_CANCELLED + world.effects.batch_cancellation_spread * weakness
    retried = (rng.random(first.size) < failing) & (np.arange(first.size) < several)
    withdrawn, released = _withdrawn(orders, routes, retried, complete, dissolved, created, rng)
    formed = complete + 90.0 * retried

    # Everything once alone: the yardstick of the batched, and the fate of the others.
    hurry = chance.approach * chance.detour / sb.MILES_PER_SECOND * chance.pace + chance.react
    soonest = OFFER_SECONDS + 15.0 + hurry
    carry = orders.miles * chance.detour / sb.MILES_PER_SECOND * chance.pace + sb.DROP_SERVICE
    arrived = np.maximum(stated + chance.lead, created + soonest)
    undisturbed = np.maximum(arrived, ready)
    arrived = np.maximum(arrived, released + soonest)
    picked = np.maximum(arrived, ready) + sb.PICKUP_SERVICE
    delivered = picked + carry
    single = going & (batch < 0)
    # Some individual orders lost time in a batch that was given up; the batched are measured against all.
    lost = float((picked - sb.PICKUP_SERVICE - undisturbed)[single].mean()) if single.any() else 0.0

    detour = sb.detours(world, algorithm)[:, None] * chance.detour[routes.order]
    arrive = np.maximum(stated[first] + chance.lead[first], formed + soonest[first] * 1.2)
    driven = sb.drive(routes, ready[routes.order], arrive, chance.approach[first], chance.pace[routes.order], detour)
    natural = driven.delivered - delivered[routes.order] - lost
    wait, shifts, planted = _calibrate(world, natural, routes.rides, algorithm, several)
    arrived, picked, delivered = arrived + wait, picked + wait, delivered + wait
    driven = _later(driven, shifts)
    assigned_batch = driven.start - chance.react[first]
    planned = sb.drive(
        routes, stated[routes.order],
        driven.start + chance.approach[first] / sb.MILES_PER_SECOND, chance.approach[first],
        np.ones(routes.order.shape), np.ones(routes.order.shape),
    )  # fmt: skip

    assigned = arrived - hurry
    rows, columns = np.nonzero(routes.rides)
    rider = routes.order[rows, columns]
    assigned[rider] = assigned_batch[rows]
    arrived[rider] = driven.arrived[rows, columns]
    picked[rider] = driven.picked[rows, columns]
    delivered[rider] = driven.delivered[rows, columns]
    for values in (assigned, arrived, picked, delivered):
        np.rint(values, out=values)
        values[~going] = np.nan

    solo = np.flatnonzero(single)
    trip = np.full(n, -1, np.int64)
    trip[rider] = rows
    trip[solo] = first.size + np.arange(solo.size)
    completed = np.rint(driven.end)
    trips, sessions, drivers = staff(
        world,
        start=np.concatenate([np.rint(assigned_batch), assigned[solo]]) - OFFER_SECONDS,
        end=np.concatenate([completed, delivered[solo]]) + 60.0,
        zone=orders.zone[np.concatenate([first, solo])],
        size=np.concatenate([routes.size, np.ones(solo.size, np.int64)]),
        rng=streams("staff"),
    )
    batched = (batch >= 0) & (batch < several)
    minutes = np.rint((delivered - created) / 60.0)
    eta, eta_truth = _promise(world, orders, batched, minutes, cancelled, created, ready, rng)
    rides = Rides(
        created=created, assigned=assigned, arrived=arrived, picked=picked, delivered=delivered,
        cancelled=cancelled, approach_miles=chance.approach * chance.detour, eta_minutes=eta, minutes=minutes,
        batch=batch, trip=trip, driver=np.where(trip >= 0, trips.driver[trip], -1), batched=batched,
        often_batched=often_batched(orders, batched & going),
    )  # fmt: skip
    start_at = around(rng, world.restaurants.at[orders.restaurant[first]], driven.approach_miles / 1.25)
    batches = Batches(
        routes=routes, planned=planned, driven=driven, algorithm=algorithm, created=formed,
        assigned=np.rint(assigned_batch), started=np.rint(driven.start), completed=completed,
        driver=trips.driver[: first.size], start_at=start_at,
    )  # fmt: skip
    truth = {"minutes": planted, "eta": eta_truth}
    return Day(orders, rides, batches, withdrawn, trips, sessions, drivers, truth)


def _withdrawn(
    orders: Orders, routes: sb.Routes, retried: NDArray, complete: NDArray, dissolved: NDArray,
    created: NDArray, rng: np.random.Generator,
) -> tuple[Withdrawn, NDArray]:  # fmt: skip
    """Batches cancelled before they start, and from when on their orders are free (else -inf)."""
    again = np.flatnonzero(retried)
    given_up = int(dissolved.max()) + 1
    order = np.full((given_up, sb.LARGEST), -1, np.int64)
    member = np.flatnonzero(dissolved >= 0)
    member = member[np.argsort(dissolved[member], kind="stable")]
    number = dissolved[member]
    order[number, np.arange(member.size) - np.searchsorted(number, number)] = member
    last = np.where(order >= 0, created[order], -np.inf).max(axis=1, initial=-np.inf) + 15.0
    formed = np.concatenate([complete[again], last])
    ended = formed + np.rint(rng.uniform(45, 75, formed.size))
    released = np.full(len(orders), -np.inf)
    released[member] = ended[again.size + number] + 10.0
    order = np.concatenate([routes.order[again], order])
    return Withdrawn(order, orders.algorithm[order[:, 0]], formed, ended), released


def _later(timeline: sb.Timeline, seconds: NDArray) -> sb.Timeline:
    """The same trips, each started `seconds` later; shape (batches,)."""
    moved = {name: getattr(timeline, name) + seconds for name in ("start", "end")}
    for name in ("arrived", "picked", "reached", "delivered"):
        moved[name] = getattr(timeline, name) + seconds[:, None]
    return sb.Timeline(
        **moved, approach_miles=timeline.approach_miles, pickup_miles=timeline.pickup_miles,
        drop_miles=timeline.drop_miles,
    )  # fmt: skip


def _calibrate(
    world: World, natural: NDArray, rides: NDArray, algorithm: NDArray, several: int
) -> tuple[float, NDArray, dict[str, float]]:
    """How much later individual deliveries and batches set off, so that the planted minutes hold.

    `natural` is the seconds that each batched order takes longer than it would alone. Setting off later
    by a constant moves that mean to any value without touching the routes: individual deliveries wait
    for their driver where batches would else be too slow, and the other way round.

    Returns seconds for individual deliveries, seconds per batch, and planted minutes by algorithm.
    """
    shared = np.arange(algorithm.size) < several
    effects = world.effects
    want: dict[int, float] = {}
    have: dict[int, float] = {}
    weight: dict[int, int] = {}
    for i, a in enumerate(world.algorithms):
        mine = rides & (shared & (algorithm == i))[:, None]
        if mine.any():
            want[i] = 60.0 * (effects.batched_extra_minutes + effects.algorithm_minutes * a.weakness)
            have[i], weight[i] = float(natural[mine].mean()), int(mine.sum())
    wait = max([0.0, *(have[i] - want[i] for i in want)])
    shifts = np.full(algorithm.size, wait)
    for i, seconds in want.items():
        shifts[shared & (algorithm == i)] = seconds - have[i] + wait
    planted = {f"{world.algorithms[i].name} {world.algorithms[i].version}": s / 60 for i, s in want.items()}
    total = sum(weight.values())
    planted["all"] = sum(want[i] * weight[i] for i in want) / total / 60 if total else 0.0
    return wait, shifts, planted


def _promise(
    world: World, orders: Orders, batched: NDArray, minutes: NDArray, cancelled: NDArray, created: NDArray,
    ready: NDArray, rng: np.random.Generator,
) -> tuple[NDArray, dict[str, float]]:  # fmt: skip
    """Promised minutes: what it took less an error whose mean and spread are planted."""
    effects = world.effects
    weakness = np.array([a.weakness for a in world.algorithms] + [0.0])[orders.algorithm]
    bias = np.where(batched, effects.batched_eta_bias_minutes + effects.algorithm_minutes * weakness, 0.0)
    spread = np.where(batched, ETA_SD * effects.batched_eta_spread, ETA_SD)
    error = np.rint(rng.normal(bias, spread))
    # An order that never arrived was promised what its preparation and distance suggest.
    guess = (ready - created) / 60 + orders.miles / sb.MILES_PER_SECOND / 60 + 8.0 + 12.0 * (cancelled == LONG_ETA)
    eta = np.maximum(5.0, np.where(cancelled < 0, minutes - error, np.rint(guess)))
    truth = {"individual": 0.0}
    for i, a in enumerate(world.algorithms):
        mine = batched & (cancelled < 0) & (orders.algorithm == i)
        if mine.any():
            truth[f"{a.name} {a.version}"] = float(bias[mine].mean())
    some = batched & (cancelled < 0)
    truth["batched"] = float(bias[some].mean()) if some.any() else 0.0
    return eta, truth
