"""Rolling horizon by assignment: every minute all bundles against all couriers, sending only who must leave now.

The matching follows Reyes, Erera, Savelsbergh, Sahasrabudhe and O'Neil (2018); what is left open until the last moment
can be decided better a minute later, so that a pair is kept only when waiting would delay the pickup.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from prodsense.packs.delivery.dispatch.bundles import Book, Bundle, bundle
from prodsense.packs.delivery.dispatch.engine import Job, Limits, View
from prodsense.packs.delivery.dispatch.world import World
from prodsense.simulate.geography import METRES_PER_MILE

#: Cost of a pair that cannot be.
NEVER = 1e7


@dataclass
class Matching:
    """Bundles matched to couriers each minute; with `limits.max_batch_size` 1 the same without bundles."""

    name: str = "matching_rolling_horizon"
    version: str = "v1.0"
    says: str = (
        "Bundles orders of one restaurant while couriers are short, matches bundles to couriers every minute, and"
        " sends only who must leave now."
    )
    objectives: tuple[str, ...] = ("minimize_undelivered", "minimize_delivery_time")
    limits: Limits = field(default_factory=Limits)
    #: Orders ready within so many minutes are matched, to couriers free within as many.
    horizon: float = 30.0
    #: Bundles are made of orders ready within so many minutes, for couriers free within so many.
    ready_within: float = 15.0
    free_within: float = 5.0
    #: Minutes an order that joining may cost.
    dear: float = 60.0
    #: What a minute of waiting since ready adds to an order's claim on a courier.
    age: float = 1.5
    #: What a minute of driving to the restaurant weighs against one of food waiting.
    drive: float = 0.001

    def begin(self, world: World) -> None:
        import scipy.optimize  # noqa: F401  (loading it is no part of a decision)

        self._book: Book | None = None

    def believe(self, world: World) -> NDArray | None:
        return None

    def decide(self, view: View) -> list[Job]:
        world, now = view.world, view.minute
        if self._book is None:
            self._book = Book(world, self.limits, view.ready)
        orders = view.open[view.ready[view.open] <= now + self.horizon]
        couriers = np.flatnonzero((view.free <= now + self.horizon) & (world.off > now))
        if not orders.size or not couriers.size:
            return []
        soon = view.ready[orders] <= now + self.ready_within
        near = int((view.free[couriers] <= now + self.free_within).sum())
        bundles = bundle(self._book, orders[soon].tolist(), near, self.dear)
        bundles += [self._book.single(i) for i in orders[~soon].tolist()]
        return match(view, bundles, couriers, self.limits, self.age, self.drive)


def match(
    view: View, bundles: Sequence[Bundle], couriers: NDArray, limits: Limits, age: float, drive: float
) -> list[Job]:
    """Jobs of the cheapest assignment that cannot wait.

    A pair costs the minutes that its orders wait at the restaurant; where couriers lack, each order has a claim that
    grows with its age, so that nobody is left for good.
    """
    from scipy.optimize import linear_sum_assignment

    world, now = view.world, view.minute
    shop = np.array([b.shop for b in bundles])
    ready = np.array([b.ready for b in bundles])
    size = np.array([float(len(b.orders)) for b in bundles])
    tail = np.array([b.tail for b in bundles])
    picked = np.array([b.picked for b in bundles])
    length = np.array([b.metres for b in bundles])
    leave = np.maximum(view.free[couriers], now)[:, None]
    far = view.reach[couriers][:, shop]
    there = leave + world.minutes(far) + world.pickup_service / 2
    pickup = np.maximum(there, ready)
    possible = pickup + picked <= world.off[couriers][:, None]
    possible &= pickup + tail - leave <= limits.max_total_time_minutes
    several = size > 1
    if several.any():
        possible &= ~several | (far + length <= limits.max_total_distance_miles * METRES_PER_MILE)
        possible &= size <= np.maximum(world.capacity[couriers], 1)[:, None]
    claim = size * (200.0 + age * np.maximum(now - ready, 0.0))
    cost = np.where(possible, size * (pickup - ready) + drive * (there - leave) - claim, NEVER)
    rows, columns = linear_sum_assignment(cost)
    keep = possible[rows, columns] & (leave[rows, 0] <= now) & (there[rows, columns] >= ready[columns])
    return [
        Job(int(couriers[r]), bundles[c].stops)
        for r, c in zip(rows[keep].tolist(), columns[keep].tolist(), strict=True)
    ]
