"""Bundles of open orders: which go together when couriers are short.

Bundles begin as single orders. The pair whose joining delays its orders least is joined, again and again, until there
are no more bundles than couriers or every further joining costs too much. Orders of one restaurant may always join;
those of several where the limits and the day allow it and both restaurants and customers are neighbours. What a
bundle's best trip is, and what it costs, depends neither on the courier nor on the moment, so it is found once and kept
for the day.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from prodsense.packs.delivery.dispatch.engine import Limits, apart
from prodsense.packs.delivery.dispatch.places import Places, shops_of
from prodsense.packs.delivery.dispatch.routes import LARGEST
from prodsense.packs.delivery.dispatch.world import World, metres

#: Orders of two restaurants are neighbours where the ways between these and between the customers are together at most
#: this share of the shorter of the ways from restaurant to customer: beyond it little is saved.
NEIGHBOURS = 0.5


@dataclass(frozen=True)
class Bundle:
    """Orders that share a trip. `stops` are those of a `Job`; minutes and metres count from the first pickup.

    `ready` is the first pickup from which no food on the way is waited for, `wait` the sum of minutes from there to
    the drop-offs, `picked` those to the last pickup, `tail` those to the last drop-off.
    """

    orders: tuple[int, ...]
    stops: tuple[int, ...]
    ready: float
    wait: float
    picked: float
    tail: float
    metres: float

    @property
    def shop(self) -> int:
        """The restaurant that is visited first."""
        return -1 - self.stops[0]

    @property
    def shops(self) -> tuple[int, ...]:
        return tuple(-1 - stop for stop in self.stops if stop < 0)

    @property
    def drops(self) -> tuple[int, ...]:
        """The orders as they are dropped off."""
        return tuple(stop for stop in self.stops if stop >= 0)

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
    _kin: dict[int, NDArray] = field(default_factory=dict)

    @property
    def restaurants(self) -> int:
        """Most restaurants of a trip."""
        return min(self.limits.max_restaurants_per_batch, self.world.shops_per_trip)

    def single(self, order: int) -> Bundle:
        found = self.of((order,))
        assert found is not None
        return found

    def of(self, orders: tuple[int, ...]) -> Bundle | None:
        """The bundle of orders given in ascending order."""
        if orders not in self.known:
            self.known[orders] = self._make(orders)
        return self.known[orders]

    def _make(self, orders: tuple[int, ...]) -> Bundle | None:
        world = self.world
        shops = shops_of(world, orders)
        if len(orders) > 1 and (
            len(orders) > min(self.limits.max_batch_size, LARGEST) or len(shops) > self.restaurants
            or apart(world, self.limits, orders)
        ):
            return None
        places = Places.of(world, world.shop_at[shops[0]], orders, shops, self.ready)
        travel = world.minutes(places.far)
        visits: tuple[int, ...] = (1, 2)
        if len(orders) > 1:
            # Whichever restaurant is first, the courier stands there, as early as any food is ready.
            travel[0, : places.first] = 0.0
            visits = places.route(travel, min(places.ready) - world.pickup_service / 2)
        return self._timed(places, visits, travel)

    def _timed(self, places: Places, visits: tuple[int, ...], travel: NDArray) -> Bundle:
        """The bundle when driven without any waiting after the first pickup."""
        half_pickup, half_drop = self.world.pickup_service / 2, self.world.dropoff_service / 2
        ready, here, now = places.ready, visits[0], half_pickup
        begin, wait, picked, tail, length = ready[here - 1], 0.0, 0.0, 0.0, 0.0
        for node in visits[1:]:
            now += float(travel[here, node])
            length += float(places.far[here, node])
            here = node
            if node < places.first:
                picked = now + half_pickup
                begin, now = max(begin, ready[node - 1] - picked), picked + half_pickup
            else:
                tail = now + half_drop
                wait, now = wait + tail, tail + half_drop
        return Bundle(tuple(places.orders), places.stops(visits), begin, wait, picked, tail, length)

    def joined(self, a: Bundle, b: Bundle) -> tuple[float, Bundle] | None:
        """Minutes that joining costs the orders of both in sum, and the bundle; None where it may not be."""
        if a.shops != b.shops and not all(self._neighbours(i)[j] for i in a.orders for j in b.orders):
            return None
        made = self.of(tuple(sorted(a.orders + b.orders)))
        return None if made is None else (made.cost - a.cost - b.cost, made)

    def _neighbours(self, order: int) -> NDArray:
        """Which orders of the day are neighbours of one, or of its own restaurant."""
        if order not in self._kin:
            world = self.world
            shop = world.shop[order]
            own = world.carry[world.shop, np.arange(world.orders)]
            between = world.between_shops[shop, world.shop] + metres(world.home[order], world.home)
            self._kin[order] = (between <= NEIGHBOURS * np.minimum(own, own[order])) | (world.shop == shop)
        return self._kin[order]


def bundle(book: Book, orders: Sequence[int], couriers: int, dear: float) -> list[Bundle]:
    """Bundle open orders for so many couriers; no joining costs more than `dear` minutes an order that it moves."""
    live = {k: book.single(order) for k, order in enumerate(orders)}
    if len(live) <= couriers or book.limits.max_batch_size == 1:
        return list(live.values())
    at: dict[int, list[int]] = {}
    for k, one in live.items():
        at.setdefault(one.shop, []).append(k)

    def others(k: int) -> Iterable[int]:
        """Bundles that might join it."""
        return live if book.restaurants > 1 else at[live[k].shop]

    def cheapest(k: int, partners: Iterable[int]) -> _Pair | None:
        """The cheapest joining of a bundle with a later one of these."""
        found: _Pair | None = None
        for j in partners:
            joined = book.joined(live[k], live[j]) if j > k else None
            if joined is not None and (found is None or joined[0] < found[0]):
                found = (joined[0], k, j, joined[1])
        return found

    best = {k: pair for k in live if (pair := cheapest(k, others(k)))}
    new = len(live)
    while len(live) > couriers and best:
        cost, i, j, made = min(best.values(), key=lambda pair: pair[:2])
        if cost > dear * min(len(live[i].orders), len(live[j].orders)):
            break
        for k in (i, j):
            best.pop(k, None)
            for shop in live.pop(k).shops:
                at[shop].remove(k)
        live[new] = made
        for shop in made.shops:
            at[shop].append(new)
        for k in others(new):
            kept = best.pop(k, None)
            # Whoever lost the partner looks around again; the others look at the new bundle only.
            pairs = [kept, cheapest(k, [new])] if kept and kept[2] in live else [cheapest(k, others(k))]
            if found := [pair for pair in pairs if pair]:
                best[k] = min(found, key=lambda pair: pair[:2])
        new += 1
    return list(live.values())


#: Minutes that joining costs, the two bundles by number, and what they make.
_Pair = tuple[float, int, int, Bundle]
