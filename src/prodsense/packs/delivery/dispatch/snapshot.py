"""All open orders and couriers of one moment as one problem: a sequence of orders becomes a plan by cheapest insertion.

Each order of the sequence takes what adds least to the sum of drop-off times: a trip of its own behind the courier who
picks it up earliest, or a place in the last trip of a courier who goes to the same restaurant anyway. Searching over
sequences is what the genetic algorithm and the local search differ in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prodsense.packs.delivery.dispatch.bundles import Book, Bundle
from prodsense.packs.delivery.dispatch.engine import Job, Limits, View

#: Minutes that an order counts for beyond now if no courier can take it.
LOST = 240.0


@dataclass
class Planned:
    """A trip of a plan: `courier` by place in the snapshot, when its food is picked up, when the courier got free."""

    courier: int
    bundle: Bundle
    there: float
    pickup: float
    first: bool


class Snapshot:
    """The problem of one moment."""

    def __init__(
        self, view: View, book: Book, limits: Limits, orders: Sequence[int], couriers: NDArray
    ) -> None:
        world = view.world
        self.view, self.book, self.limits = view, book, limits
        self.orders, self.couriers = list(orders), couriers
        shops = sorted({int(world.shop[i]) for i in orders})
        self._row = {shop: k for k, shop in enumerate(shops)}
        self._reach = world.minutes(view.reach[couriers][:, shops]).T.copy() + world.pickup_service / 2
        self._after = {i: world.minutes(world.carry[shops, i]) + world.pickup_service / 2 for i in orders}
        self._free = np.maximum(view.free[couriers], view.minute).astype(float)
        self._off = world.off[couriers].astype(float)
        self._capacity = world.capacity[couriers]
        self._half = world.dropoff_service / 2
        self._latest = limits.max_total_time_minutes

    def plan(self, sequence: Sequence[int]) -> tuple[float, list[Planned]]:
        """Sum of drop-off minutes from now, and the trips, of a sequence of orders."""
        free, reach, off, now = self._free.copy(), self._reach.copy(), self._off, self.view.minute
        book, row = self.book, self._row
        total = 0.0
        trips: list[Planned] = []
        last: dict[int, Planned] = {}
        open_at: dict[int, list[Planned]] = {}
        before: dict[int, float] = {}
        for order in sequence:
            single = book.single(order)
            line = reach[row[single.shop]]
            there = free + line
            # Equal pickups: the courier who is on the way for the least time.
            pickup = np.maximum(there, single.ready) + 1e-3 * line
            pickup[there > off] = math.inf
            c = int(pickup.argmin())
            arrive = float(there[c])
            moment = max(arrive, single.ready)
            alone = moment + single.wait if moment <= off[c] else math.inf
            if moment + single.tail - float(free[c]) > self._latest:
                alone = math.inf
            best, joined = alone, None
            for trip in open_at.get(single.shop, ()):
                if last[trip.courier] is not trip:
                    continue
                made = book.of(tuple(sorted((*trip.bundle.orders, order))))
                if made is None or len(made.orders) > self._capacity[trip.courier]:
                    continue
                later = max(trip.there, made.ready)
                if later > off[trip.courier] or later + made.tail - before[trip.courier] > self._latest:
                    continue
                more = len(made.orders) * later + made.wait - len(trip.bundle.orders) * trip.pickup - trip.bundle.wait
                if more < best:
                    best, joined = more, (trip, made, later)
            if best == math.inf:
                total += LOST
                continue
            total += best - now
            if joined is not None:
                trip, trip.bundle, trip.pickup = joined
            else:
                trip = Planned(c, single, arrive, moment, c not in last)
                before[c] = float(free[c])
                trips.append(trip)
                last[c] = trip
                open_at.setdefault(single.shop, []).append(trip)
            free[trip.courier] = trip.pickup + trip.bundle.tail + self._half
            reach[:, trip.courier] = self._after[trip.bundle.stops[-1]]
        return total, trips

    def jobs(self, trips: Sequence[Planned]) -> list[Job]:
        """What of a plan has to start now: first trips of idle couriers who would be late a minute later."""
        from prodsense.packs.delivery.dispatch.engine import broken, timing

        view = self.view
        found = []
        for trip in trips:
            courier = int(self.couriers[trip.courier])
            if not trip.first or view.free[courier] > view.minute or trip.there < trip.bundle.ready:
                continue
            job = Job(courier, trip.bundle.stops)
            planned = timing(view.world, view.at[courier], view.minute, job.stops, view.ready)
            if broken(view.world, self.limits, job, planned, view.minute):
                # Too long a way for a batch: its most urgent order goes alone.
                single = min(trip.bundle.orders, key=lambda i: (view.ready[i], i))
                job = Job(courier, (-1 - trip.bundle.shop, single))
                planned = timing(view.world, view.at[courier], view.minute, job.stops, view.ready)
                if broken(view.world, self.limits, job, planned, view.minute):
                    continue
            found.append(job)
        return found


@dataclass
class Found:
    """The best sequence of a search: its cost, and that of the greedy one it began with."""

    sequence: list[int]
    cost: float
    greedy: float
    trips: list[Planned]
    evaluations: int


def by_ready(snapshot: Snapshot) -> list[int]:
    """The greedy sequence: as food gets ready."""
    ready = snapshot.view.ready
    return sorted(snapshot.orders, key=lambda i: (ready[i], i))
