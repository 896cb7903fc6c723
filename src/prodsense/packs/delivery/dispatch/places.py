"""The places of one batch by number, as routes count them: 0 where the courier is, then restaurants, then customers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prodsense.packs.delivery.dispatch.routes import exact_route
from prodsense.packs.delivery.dispatch.world import World, metres


def shops_of(world: World, orders: Sequence[int]) -> list[int]:
    """Restaurants of orders, each once, as they come."""
    return list(dict.fromkeys(world.shop[list(orders)].tolist()))


@dataclass(frozen=True)
class Places:
    """`far` are metres between places, `ready` the minutes at which all food of each of `shops` is ready."""

    world: World
    orders: Sequence[int]
    shops: list[int]
    far: NDArray
    ready: list[float]

    @classmethod
    def of(cls, world: World, start: NDArray, orders: Sequence[int], shops: list[int], ready: NDArray) -> Places:
        """Those of `orders` from `shops`, for a courier at `start`."""
        at = np.vstack([start[None], world.shop_at[shops], world.home[list(orders)]])
        latest = [max(float(ready[i]) for i in orders if world.shop[i] == shop) for shop in shops]
        return cls(world, orders, shops, metres(at[:, None], at[None]), latest)

    @property
    def first(self) -> int:
        """The first customer."""
        return 1 + len(self.shops)

    def route(self, travel: NDArray, minute: float) -> tuple[int, ...]:
        """Places in the order of the exact route, for a courier who sets out at `minute`; `travel` is in minutes."""
        world = self.world
        shop_of = [self.shops.index(int(world.shop[i])) for i in self.orders]
        return exact_route(
            travel.tolist(), self.ready, shop_of, minute, world.pickup_service, world.dropoff_service
        ).visits

    def stops(self, visits: Sequence[int]) -> tuple[int, ...]:
        """Places as the stops of a `Job`."""
        return tuple(-1 - self.shops[v - 1] if v < self.first else self.orders[v - self.first] for v in visits)
