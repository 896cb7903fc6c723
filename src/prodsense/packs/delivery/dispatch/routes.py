"""The best route of one batch: who is visited in which order, so that drop-offs come earliest in sum.

Batches are small, so the answer is exact: branch and bound over the sequences in which each restaurant is visited
once, before any of its customers. Travel has to keep the triangle inequality (`World.minutes` does).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: Most orders in one batch that are routed exactly.
LARGEST = 6


@dataclass(frozen=True)
class Route:
    """`visits` are nodes in their order; `cost` is the sum of drop-off times; `end` the last drop-off."""

    visits: tuple[int, ...]
    cost: float
    end: float


def exact_route(
    travel: Sequence[Sequence[float]], ready: Sequence[float], shop_of: Sequence[int], leave: float,
    pickup_service: float, dropoff_service: float,
) -> Route:
    """The route with the least sum of drop-off times.

    Nodes of `travel` (minutes): 0 is the courier, then one for each of the `ready` restaurants (the moment from which
    all of its orders can be picked up), then one for each order; `shop_of` says an order's restaurant, counted from 0.
    """
    shops, orders = len(ready), len(shop_of)
    if not 1 <= orders <= LARGEST:
        raise ValueError(f"a batch of {orders} orders; from 1 to {LARGEST} are routed")
    before_pickup, before_drop = pickup_service / 2, dropoff_service / 2
    gap = dropoff_service
    best_cost, best_end = math.inf, math.inf
    best_visits: tuple[int, ...] = ()
    first = 1 + shops
    own = [sum(1 << i for i, s in enumerate(shop_of) if s == j) for j in range(shops)]

    labels: dict[tuple[int, int, int], list[tuple[float, float]]] = {}

    def go(
        here: int, now: float, waiting: int, carried: int, cost: float, visits: tuple[int, ...], end: float
    ) -> None:
        """Extend the route: `waiting` is the set of restaurants to visit, `carried` that of orders on board."""
        nonlocal best_cost, best_visits, best_end
        if not waiting and not carried:
            # Of equal routes the one that is over first, then the one found first.
            if cost < best_cost or (cost == best_cost and end < best_end):
                best_cost, best_visits, best_end = cost, visits, end
            return
        # Whoever was here with as much done, as early and as cheaply, does all that follows no worse.
        reached = labels.setdefault((here, waiting, carried), [])
        for before, less in reached:
            if before <= now and less <= cost:
                return
        reached.append((now, cost))
        row = travel[here]
        steps: list[tuple[float, int, float]] = []
        least: list[float] = []
        for i in range(orders):
            if carried >> i & 1:
                drop = now + row[first + i] + before_drop
                least.append(drop)
                steps.append((drop, first + i, drop + before_drop))
        for j in range(shops):
            if waiting >> j & 1:
                pickup = max(ready[j], now + row[1 + j] + before_pickup)
                off = pickup + before_pickup
                way = travel[1 + j]
                earliest = math.inf
                for i in range(orders):
                    if own[j] >> i & 1:
                        drop = off + way[first + i] + before_drop
                        least.append(drop)
                        earliest = min(earliest, drop)
                steps.append((earliest, 1 + j, off))
        # No drop-off is earlier than straight there, and one service lies between two of them.
        least.sort()
        bound, last = cost, -math.inf
        for drop in least:
            last = max(drop, last + gap)
            bound += last
        if bound > best_cost or (bound == best_cost and last >= best_end):
            return
        steps.sort()
        for drop, node, off in steps:
            if node < first:
                j = node - 1
                go(node, off, waiting & ~(1 << j), carried | own[j], cost, (*visits, node), end)
            else:
                go(node, off, waiting, carried & ~(1 << (node - first)), cost + drop, (*visits, node), drop)

    go(0, leave, (1 << shops) - 1, 0, 0.0, (), leave)
    return Route(best_visits, best_cost, best_end)
