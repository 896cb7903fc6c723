"""Replays dispatched days stop by stop with its own arithmetic, from raw numbers. Shares no code with the dispatcher."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Point = tuple[float, float]


@dataclass
class Raw:
    """A day as plain lists. An order: (point, placed, ready, restaurant); a courier: (point, on, off, capacity)."""

    orders: Sequence[tuple[Point, float, float, int]]
    restaurants: Sequence[Point]
    couriers: Sequence[tuple[Point, float, float, int]]
    speed: float
    pickup_service: float = 4.0
    dropoff_service: float = 4.0

    def minutes(self, a: Point, b: Point) -> int:
        return math.ceil(math.dist(a, b) / self.speed)


def raw_of(world: Any) -> Raw:
    """The lists of a world."""
    return Raw(
        [((float(x), float(y)), float(p), float(r), int(s))
         for (x, y), p, r, s in zip(world.home, world.placed, world.ready, world.shop, strict=True)],
        [(float(x), float(y)) for x, y in world.shop_at],
        [((float(x), float(y)), float(a), float(b), int(c))
         for (x, y), a, b, c in zip(world.start, world.on, world.off, world.capacity, strict=True)],
        float(world.metres_per_minute), float(world.pickup_service), float(world.dropoff_service),
    )


def replay(
    raw: Raw, trips: Iterable[Any], *, limits: Any, largest: int | None = None, shift_ends: bool = True
) -> dict[int, tuple[int, float, float]]:
    """Order → (courier, pickup, drop-off), each time worked out again; asserts every rule and every time claimed.

    `largest` bounds the orders of a trip beyond the limits; without `shift_ends` a late kitchen may outlast a shift.
    """
    done: dict[int, tuple[int, float, float]] = {}
    by_courier: dict[int, list[Any]] = {}
    for trip in trips:
        by_courier.setdefault(int(trip.courier), []).append(trip)
    for c, mine in by_courier.items():
        here, free, off, capacity = raw.couriers[c]
        for trip in sorted(mine, key=lambda t: t.assigned):
            now = float(trip.assigned)
            assert now >= free, "sent while busy or before the shift"
            assert now < off, "sent after the shift"
            orders = [s for s in trip.stops if s >= 0]
            shops = {raw.orders[i][3] for i in orders}
            assert orders and sorted(-1 - s for s in trip.stops if s < 0) == sorted(shops), "a restaurant once each"
            assert not set(orders) & done.keys() and len(set(orders)) == len(orders), "an order delivered twice"
            for i in orders:
                assert raw.orders[i][1] <= now, "an order not yet placed"
            if len(orders) > 1:
                assert len(orders) <= min(limits.max_batch_size, capacity, largest or 99)
                assert len(shops) <= limits.max_restaurants_per_batch
            on_board: dict[int, float] = {}
            miles = 0.0
            for k, stop in enumerate(trip.stops):
                there = raw.orders[stop][0] if stop >= 0 else raw.restaurants[-1 - stop]
                now += raw.minutes(here, there)
                miles += math.dist(here, there) / 1609.344
                assert float(trip.arrive[k]) == now
                if stop >= 0:
                    assert stop in on_board, "dropped off before its pickup"
                    now += raw.dropoff_service / 2
                    done[stop] = (c, on_board.pop(stop), now)
                    assert float(trip.done[k]) == now
                    now += raw.dropoff_service / 2
                else:
                    food = [i for i in orders if raw.orders[i][3] == -1 - stop]
                    now = max(now + raw.pickup_service / 2, *(raw.orders[i][2] for i in food))
                    assert not shift_ends or now <= off, "picked up after the shift"
                    on_board |= dict.fromkeys(food, now)
                    assert float(trip.done[k]) == now
                    now += raw.pickup_service / 2
                here = there
            assert not on_board, "food left on board"
            if len(orders) > 1:
                assert miles <= limits.max_total_distance_miles + 1e-9
            free = now
    return done


def best_by_force(
    travel: Sequence[Sequence[float]], ready: Sequence[float], shop_of: Sequence[int], leave: float
) -> tuple[float, float]:
    """Least sum of drop-off times, and the earliest end that comes with it, over every sequence of stops by trying
    them all; services of 4 minutes."""
    shops, orders = len(ready), len(shop_of)
    best = (math.inf, math.inf)

    def go(here: int, now: float, total: float, left: frozenset[int]) -> None:
        nonlocal best
        if not left:
            best = min(best, (total, now - 2))
        for node in left:
            there = now + travel[here][node] + 2
            if node <= shops:
                go(node, max(there, ready[node - 1]) + 2, total, left - {node})
            elif 1 + shop_of[node - 1 - shops] not in left:
                go(node, there + 2, total + there, left - {node})

    go(0, leave, 0.0, frozenset(range(1, 1 + shops + orders)))
    return best
