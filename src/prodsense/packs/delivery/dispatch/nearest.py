"""Nearest neighbour with pooling: the closest courier, and orders that save more than half of their own way.

Who joins follows Ma, Ma and Romero (arXiv 2502.16862): of the open orders the one with the largest saved distance less
half its own distance, as long as that is above 0; so an order that could save more with a later one is left for it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from prodsense.packs.delivery.dispatch.engine import Job, Limits, View, broken, timing
from prodsense.packs.delivery.dispatch.places import Places, shops_of
from prodsense.packs.delivery.dispatch.routes import LARGEST
from prodsense.packs.delivery.dispatch.world import World, metres

#: Partners tried, nearest first.
_TRIED = 8


@dataclass
class NearestNeighbor:
    """Orders by ready time, each with its nearest idle courier once that one has to leave, pooled with neighbours."""

    name: str = "nearest_neighbor"
    version: str = "v2.0"
    says: str = "Sends the nearest courier and joins the orders that save more than half of their own distance."
    objectives: tuple[str, ...] = ("minimize_drive_distance",)
    limits: Limits = field(default_factory=lambda: Limits(
        max_batch_size=4, max_total_distance_miles=10.0, max_prep_time_variance_minutes=15,
        max_restaurants_per_batch=3, allow_cross_zone_batching=False,
    ))
    #: An order joins when it is ready at most so many minutes later than the first.
    patience: float = 10.0

    def begin(self, world: World) -> None:
        pass

    def believe(self, world: World) -> NDArray | None:
        return None

    def decide(self, view: View) -> list[Job]:
        world, now = view.world, view.minute
        idle = view.idle()
        left = view.open[np.lexsort((view.open, view.ready[view.open]))].tolist()
        jobs: list[Job] = []
        while left and idle.size:
            order = left.pop(0)
            shop = int(world.shop[order])
            far = view.reach[idle, shop]
            pickup = np.maximum(now + world.minutes(far) + world.pickup_service / 2, view.ready[order])
            possible = np.flatnonzero(pickup <= world.off[idle])
            if not possible.size:
                continue
            best = int(possible[np.argmin(far[possible])])
            if now + world.minutes(far[best]) + world.pickup_service / 2 < view.ready[order]:
                continue  # it can wait, and may find company
            courier = int(idle[best])
            pooled, job = [order], self._job(view, courier, [order])
            if job is None:
                continue
            while len(pooled) < min(self.limits.max_batch_size, LARGEST, int(world.capacity[courier])):
                found = self._partner(view, courier, pooled, left)
                if found is None:
                    break
                partner, job = found
                pooled.append(partner)
                left.remove(partner)
            jobs.append(job)
            idle = np.delete(idle, best)
        return jobs

    def _partner(self, view: View, courier: int, pooled: list[int], left: list[int]) -> tuple[int, Job] | None:
        """The order that gains most by joining, with the trip that then is driven."""
        world = view.world
        late = float(view.ready[pooled[0]]) + self.patience
        near = [i for i in left if view.ready[i] <= late]
        if not near:
            return None
        base = _length(world, pooled)
        apart = metres(world.shop_at[world.shop[near]], world.shop_at[world.shop[pooled[0]]]) + metres(
            world.home[near], world.home[pooled[0]]
        )
        gains = []
        for k in np.argsort(apart, kind="stable")[:_TRIED].tolist():
            own = float(world.carry[world.shop[near[k]], near[k]])
            gain = base + own - _length(world, [*pooled, near[k]]) - own / 2
            if gain > 0:
                gains.append((-gain, near[k]))
        for _, partner in sorted(gains):
            job = self._job(view, courier, [*pooled, partner])
            if job is not None:
                return partner, job
        return None

    def _job(self, view: View, courier: int, orders: list[int]) -> Job | None:
        """The trip with the earliest drop-offs; None where it breaks a limit."""
        job = Job(courier, best_stops(view, courier, orders))
        planned = timing(view.world, view.at[courier], view.minute, job.stops, view.ready)
        return None if broken(view.world, self.limits, job, planned, view.minute) else job


def best_stops(view: View, courier: int, orders: Sequence[int]) -> tuple[int, ...]:
    """The exact route of a batch from where the courier is."""
    places = Places.of(view.world, view.at[courier], orders, shops_of(view.world, orders), view.ready)
    return places.stops(places.route(view.world.minutes(places.far), view.minute))


def _length(world: World, orders: Sequence[int]) -> float:
    """Metres of the shortest way from the first restaurant over all restaurants, then all customers."""
    shops = shops_of(world, orders)
    if len(orders) == 1:
        return float(world.carry[shops[0], orders[0]])
    at = world.home[list(orders)]
    between = metres(at[:, None], at[None])
    drops = {
        start: min(
            between[list(p[:-1]), list(p[1:])].sum()
            for p in itertools.permutations(range(len(orders))) if p[0] == start
        )
        for start in range(len(orders))
    }
    best = float("inf")
    for way in itertools.permutations(shops):
        head = float(sum(world.between_shops[a, b] for a, b in itertools.pairwise(way)))
        best = min(best, min(head + float(world.carry[way[-1], orders[k]]) + rest for k, rest in drops.items()))
    return float(best)
