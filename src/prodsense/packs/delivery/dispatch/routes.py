"""The best route of one batch: who is visited in which order, so that drop-offs come earliest in sum.

Batches are small, so the answer is exact. Once nothing has to be waited for, what remains is a shortest way in which a
minute counts once for every order that is still to be dropped off; a table, filled from the end, holds it for every
place and every set of stops left. Only what happens before, while kitchens are still cooking, is searched, and the
table, which knows no waiting, bounds that search from below.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

#: Most orders in one batch that are routed exactly.
LARGEST = 6
#: What a minute of the trip counts beside one of an order: enough to choose the shorter of equal routes, no more.
TIE = 1e-9


@dataclass(frozen=True)
class Route:
    """`visits` are nodes in their order; `cost` is the sum of drop-off times; `end` the last drop-off."""

    visits: tuple[int, ...]
    cost: float
    end: float


@dataclass(frozen=True)
class _Stages:
    """What can be left to visit, for one pattern of orders and restaurants, whatever the places.

    A set of stops left is a row; `after` (sets, nodes) is the row without that stop, the last row where it can't be
    next; `left` counts the orders to drop off. `stages` are rows by number of stops left, from 1 upwards.
    """

    after: NDArray
    left: NDArray
    stages: tuple[NDArray, ...]
    steps: tuple[tuple[tuple[int, int], ...], ...]


@lru_cache(maxsize=1024)
def _stages(shops: int, shop_of: tuple[int, ...]) -> _Stages:
    nodes = 1 + shops + len(shop_of)
    # An order cannot be dropped off while its restaurant is still to be visited: then both are left.
    own = [1 << s for s in range(shops)]
    drops = [1 << (shops + i) for i in range(len(shop_of))]
    need = [sum(drop for drop, s in zip(drops, shop_of, strict=True) if s == j) for j in range(shops)]
    sets = [
        code for code in range(1 << (nodes - 1))
        if all(not code & own[j] or code & need[j] == need[j] for j in range(shops))
    ]  # fmt: skip
    row = {code: k for k, code in enumerate(sets)}
    after = np.full((len(sets), nodes), len(sets), np.int64)
    steps = []
    for k, code in enumerate(sets):
        possible = [(1 + j, row[code ^ own[j]]) for j in range(shops) if code & own[j]]
        possible += [
            (1 + shops + i, row[code ^ drop])
            for i, drop in enumerate(drops) if code & drop and not code & own[shop_of[i]]
        ]
        for node, then in possible:
            after[k, node] = then
        steps.append(tuple(possible))
    count = np.array([code.bit_count() for code in sets])
    left = np.array([(code >> shops).bit_count() for code in sets], float)
    return _Stages(
        after, left, tuple(np.flatnonzero(count == stage) for stage in range(1, nodes)), tuple(steps)
    )


def exact_route(
    travel: Sequence[Sequence[float]], ready: Sequence[float], shop_of: Sequence[int], leave: float,
    pickup_service: float, dropoff_service: float,
) -> Route:
    """The route with the least sum of drop-off times, of equal ones that which is over first.

    Nodes of `travel` (minutes): 0 is the courier, then one for each of the `ready` restaurants (the moment from which
    all of its orders can be picked up), then one for each order; `shop_of` says an order's restaurant, counted from 0.
    Travel has to keep the triangle inequality (`World.minutes` does). Half of a service lies before a pickup or
    drop-off and half after it.
    """
    shops, orders = len(ready), len(shop_of)
    if not 1 <= orders <= LARGEST:
        raise ValueError(f"a batch of {orders} orders; from 1 to {LARGEST} are routed")
    stages = _stages(shops, tuple(shop_of))
    rest = _without_waiting(np.asarray(travel, float), stages, shops, pickup_service, dropoff_service)
    visits = _search(travel, ready, leave, pickup_service, dropoff_service, stages, rest)
    return _timed(travel, ready, leave, pickup_service, dropoff_service, visits)


def _without_waiting(travel: NDArray, stages: _Stages, shops: int, pickup: float, dropoff: float) -> NDArray:
    """Sum of minutes to all drop-offs left, by (set of stops left, node left now), if no food were waited for."""
    sets, nodes = stages.after.shape
    rest = np.full((sets + 1, nodes), math.inf)
    rest[:-1][stages.left == 0] = 0.0
    service = np.full(nodes, dropoff)
    service[1 : 1 + shops] = pickup
    # The order dropped off at a stop does not pay for the half of its service that comes after.
    own = np.zeros(nodes)
    own[1 + shops :] = dropoff / 2
    every = np.arange(nodes)
    weight = stages.left + TIE
    for rows in stages.stages:
        each = weight[rows][:, None]
        onward = each * service - own + rest[stages.after[rows], every]
        rest[rows] = (each[:, :, None] * travel + onward[:, None, :]).min(axis=2)
    return rest


def _search(
    travel: Sequence[Sequence[float]], ready: Sequence[float], leave: float, pickup: float, dropoff: float,
    stages: _Stages, rest: NDArray,
) -> tuple[int, ...]:
    """Branch and bound until no restaurant left can be reached before its food is ready; the table does the rest."""
    shops = len(ready)
    before, half = pickup / 2, dropoff / 2
    table, steps, left = rest.tolist(), stages.steps, stages.left.tolist()
    best, best_end = math.inf, (0, 0)
    best_visits: tuple[int, ...] = ()
    seen: dict[tuple[int, int], list[tuple[float, float]]] = {}

    def go(here: int, now: float, row: int, cost: float, visits: tuple[int, ...]) -> None:
        nonlocal best, best_end, best_visits
        way = travel[here]
        if all(node > shops or now + way[node] + before >= ready[node - 1] for node, _ in steps[row]):
            best, best_end, best_visits = cost + left[row] * now + table[row][here], (row, here), visits
            return
        # Whoever was here with the same stops left, as early and as cheaply, does all that follows no worse.
        reached = seen.setdefault((here, row), [])
        if any(earlier <= now and less <= cost for earlier, less in reached):
            return
        reached.append((now, cost))
        tried = []
        for node, then in steps[row]:
            if node > shops:
                drop = now + way[node] + half
                gone, paid = drop + half, cost + drop
            else:
                gone, paid = max(ready[node - 1], now + way[node] + before) + before, cost
            paid += TIE * (gone - now)
            tried.append((paid + left[then] * gone + table[then][node], node, gone, then, paid))
        tried.sort()
        for bound, node, gone, then, paid in tried:
            if bound >= best:
                return
            go(node, gone, then, paid, (*visits, node))

    go(0, leave, len(steps) - 1, 0.0, ())
    row, here = best_end
    service = [0.0, *[pickup] * shops, *[dropoff] * (len(travel) - 1 - shops)]
    while steps[row]:
        each = left[row] + TIE
        _, here, row = min(
            (each * (travel[here][node] + service[node]) - (half if node > shops else 0.0) + table[then][node], node,
             then)
            for node, then in steps[row]
        )  # fmt: skip
        best_visits = (*best_visits, here)
    return best_visits


def _timed(
    travel: Sequence[Sequence[float]], ready: Sequence[float], leave: float, pickup: float, dropoff: float,
    visits: tuple[int, ...],
) -> Route:
    """The route as it is driven."""
    now, cost, end = leave, 0.0, leave
    for here, node in itertools.pairwise((0, *visits)):
        now += travel[here][node]
        if node > len(ready):
            end = now + dropoff / 2
            cost, now = cost + end, now + dropoff
        else:
            now = max(ready[node - 1], now + pickup / 2) + pickup / 2
    return Route(visits, cost, end)
