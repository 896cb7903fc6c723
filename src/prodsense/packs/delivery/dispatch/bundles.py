"""Bundles of open orders of one restaurant: which go together when couriers are short.

Bundles begin as single orders. The pair whose joining delays its orders least is joined, again and again, until there
are no more bundles than couriers or every further joining costs too much. What a bundle's best sequence of drop-offs
is, and what it costs, does not depend on the courier or the moment, so it is found once and kept for the day.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from prodsense.packs.delivery.dispatch.engine import Limits, apart
from prodsense.packs.delivery.dispatch.routes import LARGEST, exact_route
from prodsense.packs.delivery.dispatch.world import World


@dataclass(frozen=True)
class Bundle:
    """Orders of one restaurant. `drops` is their best sequence; minutes and metres count from the pickup.

    `wait` is the sum of minutes from pickup to drop-off, `tail` those to the last drop-off.
    """

    shop: int
    orders: tuple[int, ...]
    drops: tuple[int, ...]
    ready: float
    wait: float
    tail: float
    metres: float

    @property
    def cost(self) -> float:
        """Sum of drop-off times of a courier who stands ready."""
        return len(self.orders) * self.ready + self.wait


@dataclass
class Book:
    """All bundles looked at on one day, by their orders; None where they may not share a trip."""

    world: World
    limits: Limits
    ready: NDArray
    known: dict[tuple[int, ...], Bundle | None] = field(default_factory=dict)

    def single(self, order: int) -> Bundle:
        found = self.of((order,))
        assert found is not None
        return found

    def of(self, orders: tuple[int, ...]) -> Bundle | None:
        """The bundle of orders of one restaurant, given in ascending order."""
        if orders not in self.known:
            self.known[orders] = self._make(orders)
        return self.known[orders]

    def _make(self, orders: tuple[int, ...]) -> Bundle | None:
        world = self.world
        if len(orders) > 1 and (
            len(orders) > min(self.limits.max_batch_size, LARGEST) or apart(world, self.limits, orders)
        ):
            return None
        shop = int(world.shop[orders[0]])
        homes = world.home[list(orders)]
        at = np.vstack([world.shop_at[shop], world.shop_at[shop], homes])
        far = np.hypot(at[:, None, 0] - at[None, :, 0], at[:, None, 1] - at[None, :, 1])
        travel = world.minutes(far)
        half = world.pickup_service / 2
        sequence: tuple[int, ...]
        if len(orders) == 1:
            drop = half + float(travel[1, 2]) + world.dropoff_service / 2
            sequence, wait, tail = (0,), drop, drop
        else:
            # From a pickup at 0: the courier stands at the restaurant half a service before.
            route = exact_route(
                travel.tolist(), [0.0], [0] * len(orders), -half, world.pickup_service, world.dropoff_service
            )
            sequence, wait, tail = tuple(v - 2 for v in route.visits[1:]), route.cost, route.end
        nodes = [1, *(k + 2 for k in sequence)]
        length = float(far[nodes[:-1], nodes[1:]].sum())
        latest = float(self.ready[list(orders)].max())
        return Bundle(shop, orders, tuple(orders[k] for k in sequence), latest, wait, tail, length)

    def joined(self, a: Bundle, b: Bundle) -> tuple[float, Bundle] | None:
        """Minutes that joining costs the orders of both in sum, and the bundle; None where it may not be."""
        made = self.of(tuple(sorted(a.orders + b.orders)))
        return None if made is None else (made.cost - a.cost - b.cost, made)


def bundle(book: Book, orders: Sequence[int], couriers: int, dear: float) -> list[Bundle]:
    """Bundle open orders for so many couriers; no joining costs more than `dear` minutes an order that it moves."""
    shops: dict[int, list[Bundle]] = {}
    for order in orders:
        shops.setdefault(int(book.world.shop[order]), []).append(book.single(order))
    count = len(orders)
    if count <= couriers or book.limits.max_batch_size == 1:
        return [b for group in shops.values() for b in group]
    # The cheapest joining of each restaurant; the one of all is taken, and its restaurant looked through again.
    best = {shop: _cheapest(book, group) for shop, group in shops.items() if len(group) > 1}
    while count > couriers and best:
        shop = min(best, key=lambda s: (best[s][0], s))
        cost, a, b, made = best[shop]
        if cost == math.inf or cost > dear * min(len(a.orders), len(b.orders)) or made is None:
            break
        group = [x for x in shops[shop] if x is not a and x is not b] + [made]
        shops[shop] = group
        count -= 1
        if len(group) > 1:
            best[shop] = _cheapest(book, group)
        else:
            del best[shop]
    return [b for group in shops.values() for b in group]


def _cheapest(book: Book, group: list[Bundle]) -> tuple[float, Bundle, Bundle, Bundle | None]:
    found: tuple[float, Bundle, Bundle, Bundle | None] = (math.inf, group[0], group[0], None)
    for i, a in enumerate(group):
        for b in group[i + 1 :]:
            joined = book.joined(a, b)
            if joined is not None and joined[0] < found[0]:
                found = (joined[0], a, b, joined[1])
    return found
