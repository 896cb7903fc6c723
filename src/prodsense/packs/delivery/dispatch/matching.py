"""Rolling horizon by assignment: every minute all bundles against all couriers, sending only who must leave now.

The matching follows Reyes, Erera, Savelsbergh, Sahasrabudhe and O'Neil (2018); what is left open until the last moment
can be decided better a minute later, so that a pair is kept only when waiting would delay the pickup. Two things go
beyond it. A courier near many restaurants is worth more for the orders to come than one at the edge of the city, and
is spared where another is in time as well. And once couriers are found, bundles join whose joining then delays less
than the trip that it saves.
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

#: Cost of a pair that cannot be, and what an order's claim on a courier is at least.
NEVER, CLAIM = 1e7, 200.0
#: Minutes that a bundle without a courier is thought to wait for one.
LATER = 30.0


@dataclass(frozen=True, eq=False)
class Pairs:
    """Every courier (rows) with every bundle (columns): when the courier can leave and could be there, the pickup,
    and whether the pair may be."""

    bundles: Sequence[Bundle]
    couriers: NDArray
    leave: NDArray
    there: NDArray
    pickup: NDArray
    possible: NDArray
    #: Row and column of each pair that is matched.
    rows: NDArray
    columns: NDArray


@dataclass
class Matching:
    """Bundles matched to couriers each minute; with `limits.max_batch_size` 1 the same without bundles."""

    name: str = "matching_rolling_horizon"
    version: str = "v2.0"
    says: str = (
        "Bundles orders while couriers are short, matches bundles to couriers every minute, spares couriers near many"
        " restaurants, and sends only who must leave now."
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
    #: What weighs against a minute of food waiting: one of driving to the restaurant, one that a courier is nearer to
    #: the mean restaurant than another, one from the first pickup to the last drop-off, so that where couriers lack the
    #: short trips go first, and one of a courier's time that joining saves.
    drive: float = 0.1
    spare: float = 0.2
    short: float = 2.0
    save: float = 1.5

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
        pairs = self.match(view, bundles, couriers)
        if self.limits.max_batch_size > 1 and (fewer := self.joined(self._book, pairs, now)):
            pairs = self.match(view, fewer, couriers)
        return leaving(pairs, now)

    def match(self, view: View, bundles: Sequence[Bundle], couriers: NDArray) -> Pairs:
        """The cheapest assignment.

        A pair costs the minutes that its orders wait at the restaurant; where couriers lack, each order has a claim
        that grows with its age, so that nobody is left for good.
        """
        world, now, limits = view.world, view.minute, self.limits
        shop = np.array([b.shop for b in bundles])
        ready = np.array([b.ready for b in bundles])
        size = np.array([float(len(b.orders)) for b in bundles])
        picked = np.array([b.picked for b in bundles])
        tail = np.array([b.tail for b in bundles])
        length = np.array([b.metres for b in bundles])
        leave = np.maximum(view.free[couriers], now)[:, None]
        reach = view.reach[couriers]
        far = reach[:, shop]
        there = leave + world.minutes(far) + world.pickup_service / 2
        pickup = np.maximum(there, ready)
        possible = pickup + picked <= world.off[couriers][:, None]
        possible &= pickup + tail - leave <= limits.max_total_time_minutes
        several = size > 1
        if several.any():
            possible &= ~several | (far + length <= limits.max_total_distance_miles * METRES_PER_MILE)
            possible &= size <= np.maximum(world.capacity[couriers], 1)[:, None]
        claim = size * (CLAIM + self.age * np.maximum(now - ready, 0.0))
        central = reach.mean(axis=1, keepdims=True) / world.metres_per_minute
        cost = size * (pickup - ready) + self.drive * (there - leave) - self.spare * central + self.short * tail - claim
        rows, columns = assigned(np.where(possible, cost, NEVER))
        kept = possible[rows, columns]
        return Pairs(bundles, couriers, leave[:, 0], there, pickup, possible, rows[kept], columns[kept])

    def joined(self, book: Book, pairs: Pairs, now: float) -> list[Bundle]:
        """The bundles after joinings that gain now that couriers are known; empty if there are none.

        Joining into a bundle that has a courier delays both and saves the time of the other's courier.
        """
        bundles = pairs.bundles
        row = np.full(len(bundles), -1)
        row[pairs.columns] = pairs.rows
        at: dict[int, list[int]] = {}
        for k, one in enumerate(bundles):
            if one.ready <= now + self.ready_within:
                at.setdefault(one.shop if book.restaurants == 1 else 0, []).append(k)
        found: list[tuple[float, int, int, Bundle]] = []
        for group in at.values():
            for into in group if len(group) > 1 else ():
                r = row[into]
                if r < 0:
                    continue
                stays, pickup = bundles[into], float(pairs.pickup[r, into])
                for k in group:
                    both = book.joined(stays, bundles[k]) if k != into else None
                    if both is None:
                        continue
                    goes, made = bundles[k], both[1]
                    later = max(float(pairs.there[r, into]), made.ready)
                    busy = made.tail + later - stays.tail - pickup
                    if row[k] < 0:
                        other, spent = max(now, goes.ready) + LATER, goes.tail
                    else:
                        other = float(pairs.pickup[row[k], k])
                        spent = goes.tail + other - float(pairs.leave[row[k]])
                    size = len(goes.orders), len(stays.orders)
                    gain = size[0] * other + goes.wait + size[1] * pickup + stays.wait - sum(size) * later - made.wait
                    gain += self.save * (spent - busy)
                    if gain > 0:
                        found.append((-gain, into, k, made))
        taken: set[int] = set()
        made_now: list[Bundle] = []
        for _, into, k, made in sorted(found, key=lambda pair: pair[:3]):
            if into not in taken and k not in taken:
                taken |= {into, k}
                made_now.append(made)
        return [b for k, b in enumerate(bundles) if k not in taken] + made_now if taken else []


def assigned(cost: NDArray) -> tuple[NDArray, NDArray]:
    """Rows and columns of the cheapest assignment.

    What all of a row or column costs at least is taken off first, where all of them are assigned anyhow: no choice
    changes by it, and the search for it takes half of the time.
    """
    from scipy.optimize import linear_sum_assignment

    rows, columns = cost.shape
    if rows <= columns:
        cost = cost - cost.min(axis=1, keepdims=True)
    if columns <= rows:
        cost = cost - cost.min(axis=0)
    return linear_sum_assignment(cost)


def leaving(pairs: Pairs, now: float) -> list[Job]:
    """Jobs of the matched pairs that cannot wait."""
    rows, columns = pairs.rows, pairs.columns
    ready = np.array([b.ready for b in pairs.bundles])
    keep = (pairs.leave[rows] <= now) & (pairs.there[rows, columns] >= ready[columns])
    return [
        Job(int(pairs.couriers[r]), pairs.bundles[c].stops)
        for r, c in zip(rows[keep].tolist(), columns[keep].tolist(), strict=True)
    ]
