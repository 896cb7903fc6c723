"""A day of dispatch, minute by minute: an algorithm decides, couriers drive, kitchens are late.

A decision sends an idle courier on a trip at once; trips are never changed on the way. What an algorithm sees is what a
dispatcher would: orders placed so far, ready times as announced or estimated, couriers' places and when each should be
free. What happens follows the true ready times. The same world, algorithm and seed give the same day.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from prodsense.errors import ProdsenseError
from prodsense.packs.delivery.dispatch.world import World, metres
from prodsense.simulate.geography import METRES_PER_MILE


@dataclass(frozen=True)
class Limits:
    """What an algorithm keeps to, as the columns of `dim_batching_algorithms` of the same names.

    The distance binds batches of two or more: a single order is as far as it is.
    """

    max_batch_size: int = 4
    max_total_distance_miles: float = 15.0
    max_total_time_minutes: int = 120
    max_prep_time_variance_minutes: int = 30
    max_restaurants_per_batch: int = 1
    allow_cross_zone_batching: bool = True


@dataclass(frozen=True)
class Job:
    """A trip to send `courier` on now. A stop below 0 is a visit to restaurant ``-1 - stop``, else a drop-off."""

    courier: int
    stops: tuple[int, ...]

    @property
    def orders(self) -> tuple[int, ...]:
        return tuple(stop for stop in self.stops if stop >= 0)


@dataclass(eq=False)
class View:
    """What is known at `minute`. `open` are orders not on a trip; `ready` holds a believed moment for every order.

    `free` is when each courier can leave, `reach` metres from there (couriers x restaurants), `at` the place.
    """

    world: World
    minute: float
    open: NDArray
    ready: NDArray
    free: NDArray
    reach: NDArray
    at: NDArray
    rng: np.random.Generator

    def idle(self) -> NDArray:
        """Couriers on shift with nothing to do."""
        return np.flatnonzero((self.free <= self.minute) & (self.world.off > self.minute))

    def only(self, orders: NDArray, busy: Sequence[int] = ()) -> View:
        """The same with some of the open orders, and without some couriers."""
        free = self.free
        if busy:
            free = free.copy()
            free[list(busy)] = math.inf
        return View(self.world, self.minute, orders, self.ready, free, self.reach, self.at, self.rng)


class Algorithm(Protocol):
    """A way to batch and dispatch; `decide` is called every minute with open orders."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def says(self) -> str: ...
    @property
    def objectives(self) -> tuple[str, ...]: ...
    @property
    def limits(self) -> Limits: ...

    def begin(self, world: World) -> None:
        """Forget any other day."""

    def believe(self, world: World) -> NDArray | None:
        """Own estimates of ready times; None for those of the world."""

    def decide(self, view: View) -> list[Job]: ...


@dataclass(frozen=True, eq=False)
class Trip:
    """A trip as planned and as driven. Arrays have one entry a stop; `legs` are metres to each stop."""

    courier: int
    assigned: float
    origin: NDArray
    stops: tuple[int, ...]
    arrive: NDArray
    done: NDArray
    leave: NDArray
    planned_arrive: NDArray
    planned_done: NDArray
    planned_leave: NDArray
    legs: NDArray

    @property
    def orders(self) -> tuple[int, ...]:
        return tuple(stop for stop in self.stops if stop >= 0)


@dataclass(frozen=True, eq=False)
class Run:
    """A dispatched day. Per order: `courier` (-1: never delivered), `picked` and `dropped` (NaN then), `trip`."""

    world: World
    algorithm: Algorithm
    seed: int
    trips: tuple[Trip, ...]
    courier: NDArray
    picked: NDArray
    dropped: NDArray
    trip: NDArray
    #: Minute, seconds of computing and open orders of each decision.
    decisions: NDArray = field(default_factory=lambda: np.zeros((0, 3)))

    def measures(self) -> dict[str, float | None]:
        """See `measures.measures`."""
        from prodsense.packs.delivery.dispatch.measures import measures

        return measures(self)


def believed(world: World) -> NDArray:
    """Ready times as a dispatcher takes them: announced ones, else by what the restaurant states."""
    return world.ready if world.announced else world.placed + world.stated


def timing(
    world: World, origin: NDArray, leave: float, stops: Sequence[int], ready: NDArray
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Arrival, moment of the pickup or drop-off, departure, and metres to it, of each stop."""
    half_pickup, half_drop, speed = world.pickup_service / 2, world.dropoff_service / 2, world.metres_per_minute
    orders = [stop for stop in stops if stop >= 0]
    found = np.empty((4, len(stops)))
    here_x, here_y = float(origin[0]), float(origin[1])
    now = leave
    for k, stop in enumerate(stops):
        there = world.home[stop] if stop >= 0 else world.shop_at[-1 - stop]
        x, y = float(there[0]), float(there[1])
        far = math.hypot(x - here_x, y - here_y)
        arrive = now + math.ceil(far / speed)
        if stop >= 0:
            done = arrive + half_drop
            now = done + half_drop
        else:
            latest = max(float(ready[i]) for i in orders if world.shop[i] == -1 - stop)
            done = max(latest, arrive + half_pickup)
            now = done + half_pickup
        found[:, k] = arrive, done, now, far
        here_x, here_y = x, y
    return found[0], found[1], found[2], found[3]


def simulate(world: World, algorithm: Algorithm, seed: int = 0) -> Run:
    """Dispatch the day.

    Raises:
        ProdsenseError: the algorithm sent a courier who is not idle, an order twice or too early, or broke a limit.
    """
    algorithm.begin(world)
    rng = np.random.default_rng(seed)
    own = algorithm.believe(world)
    ready = believed(world) if own is None else own
    certain = ready is world.ready
    n = world.orders
    courier, trip_of = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    picked, dropped = np.full(n, np.nan), np.full(n, np.nan)
    at = world.start.astype(float).copy()
    free, expected = world.on.astype(float).copy(), world.on.astype(float).copy()
    reach = metres(at[:, None, :], world.shop_at[None, :, :])
    queue = np.lexsort((np.arange(n), world.placed))
    arrivals = world.placed[queue]
    pending = np.zeros(n, bool)
    trips: list[Trip] = []
    decisions: list[tuple[float, float, int]] = []
    minute, known, end = math.ceil(float(arrivals[0])), 0, float(world.off.max())
    while minute <= end:
        until = int(np.searchsorted(arrivals, minute, side="right"))
        pending[queue[known:until]] = True
        known = until
        waiting = np.flatnonzero(pending)
        if not waiting.size:
            if known == n:
                break
            minute = max(minute + 1, math.ceil(float(arrivals[known])))
            continue
        # A courier who is late is expected any minute.
        seen = free if certain else np.where(free <= minute, free, np.maximum(expected, minute + 1))
        view = View(world, float(minute), waiting, ready, seen, reach, at, rng)
        begun = time.perf_counter()
        jobs = algorithm.decide(view)
        decisions.append((float(minute), time.perf_counter() - begun, waiting.size))
        for job in jobs:
            trip = _send(view, algorithm, job, pending, free)
            c = trip.courier
            for k, stop in enumerate(trip.stops):
                if stop >= 0:
                    dropped[stop], courier[stop], trip_of[stop], pending[stop] = trip.done[k], c, len(trips), False
                else:
                    mine = [i for i in trip.orders if world.shop[i] == -1 - stop]
                    picked[mine] = trip.done[k]
            last = trip.stops[-1]
            at[c], free[c], expected[c] = world.home[last], trip.leave[-1], trip.planned_leave[-1]
            reach[c] = world.carry[:, last]
            trips.append(trip)
        minute += 1
    return Run(world, algorithm, seed, tuple(trips), courier, picked, dropped, trip_of, np.array(decisions))


def _send(view: View, algorithm: Algorithm, job: Job, pending: NDArray, free: NDArray) -> Trip:
    """The trip of a job, after all that it has to keep."""
    world, c, minute = view.world, job.courier, view.minute
    orders = job.orders

    def refuse(what: str) -> ProdsenseError:
        return ProdsenseError(f"{algorithm.name} at minute {minute:g} sent courier {c}: {what}")

    if not orders or len(set(orders)) < len(orders) or not all(pending[i] for i in orders):
        raise refuse("an order that is not open")
    if not free[c] <= minute < world.off[c]:
        raise refuse("who is not idle on shift")
    seen: set[int] = set()
    for stop in job.stops:
        if stop < 0:
            seen.add(-1 - stop)
        elif int(world.shop[stop]) not in seen:
            raise refuse("a drop-off before its pickup")
    if len([stop for stop in job.stops if stop < 0]) != len(seen) or seen != {int(world.shop[i]) for i in orders}:
        raise refuse("a restaurant that is not visited exactly once")
    planned = timing(world, view.at[c], minute, job.stops, view.ready)
    if problem := broken(world, algorithm.limits, job, planned, minute):
        raise refuse(problem)
    actual = planned if view.ready is world.ready else timing(world, view.at[c], minute, job.stops, world.ready)
    return Trip(c, minute, view.at[c].copy(), job.stops, *actual[:3], *planned[:3], actual[3])


def broken(world: World, limits: Limits, job: Job, planned: Sequence[NDArray], minute: float) -> str:
    """The first limit that a planned trip breaks, in words; empty if it keeps all."""
    orders = list(job.orders)
    shops = [-1 - stop for stop in job.stops if stop < 0]
    visits = [k for k, stop in enumerate(job.stops) if stop < 0]
    if max(planned[1][k] for k in visits) > world.off[job.courier]:
        return "a pickup after the shift"
    if planned[1][-1] - minute > limits.max_total_time_minutes:
        return "a trip over max_total_time_minutes"
    if len(orders) == 1:
        return ""
    if len(orders) > min(limits.max_batch_size, int(world.capacity[job.courier])):
        return "more orders than the batch or the courier may hold"
    if len(shops) > min(limits.max_restaurants_per_batch, world.shops_per_trip):
        return "more restaurants than a batch may visit"
    if float(planned[3].sum()) > limits.max_total_distance_miles * METRES_PER_MILE:
        return "a trip over max_total_distance_miles"
    return apart(world, limits, orders)


def apart(world: World, limits: Limits, orders: Sequence[int]) -> str:
    """Why these orders may not share a trip, whoever drives; empty if they may."""
    if spread_of_prep(world, orders) > limits.max_prep_time_variance_minutes:
        return "preparation times too far apart"
    counts: dict[int, int] = {}
    for i in orders:
        counts[int(world.shop[i])] = counts.get(int(world.shop[i]), 0) + 1
    for shop, size in counts.items():
        if size > 1 and (not world.batchable[shop] or size > world.concurrent[shop]):
            return "more orders than the restaurant hands over at once"
    if limits.allow_cross_zone_batching or world.zone is None or len({int(world.zone[i]) for i in orders}) == 1:
        return ""
    return "drop-offs of several zones"


def spread_of_prep(world: World, orders: Sequence[int]) -> float:
    """Minutes between the shortest and the longest stated (else announced) preparation."""
    known = [float(world.stated[i]) for i in orders]
    return max(known) - min(known)
