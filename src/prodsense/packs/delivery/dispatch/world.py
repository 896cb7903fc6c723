"""One day of a city as a dispatcher meets it: orders, restaurants, couriers, and how long ways take.

Travel and service follow the Meal Delivery Routing Problem (Reyes et al. 2018): straight lines at one speed, whole
minutes upwards, half of a service time before the pickup or drop-off it belongs to and half after. Rounding upwards
keeps the triangle inequality.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from prodsense.errors import UsageError
from prodsense.packs.delivery.mdrp import ORIGIN, Instance, whole_numbers
from prodsense.simulate.geography import METRES_PER_MILE, Projection

if TYPE_CHECKING:
    from prodsense.warehouse import Warehouse

#: Where a warehouse says nothing: the benchmark's own values.
SPEED, SERVICE, TARGET, PAY_PER_ORDER, PAY_PER_HOUR = 350.0, 4.0, 40.0, 10.0, 15.0


@dataclass(frozen=True, eq=False)
class World:
    """Places in metres, shape (n, 2); times in minutes of `day`; `shop` indexes the restaurants.

    `prep` is what the restaurant states at placement (NaN: nothing). Where `announced`, an order's ready time is known
    from its placement on; else a dispatcher has only an estimate of it.
    """

    name: str
    day: date
    order_id: NDArray
    home: NDArray
    placed: NDArray
    ready: NDArray
    prep: NDArray
    shop: NDArray
    zone: NDArray | None
    shop_id: NDArray
    shop_at: NDArray
    batchable: NDArray
    concurrent: NDArray
    courier_id: NDArray
    start: NDArray
    on: NDArray
    off: NDArray
    capacity: NDArray
    projection: Projection = ORIGIN
    announced: bool = True
    shops_per_trip: int = 1
    metres_per_minute: float = SPEED
    pickup_service: float = SERVICE
    dropoff_service: float = SERVICE
    target: float = TARGET
    pay_per_order: float = PAY_PER_ORDER
    pay_per_hour: float = PAY_PER_HOUR

    def __post_init__(self) -> None:
        if not len(self.placed):
            raise UsageError(f"{self.name} has no orders to dispatch")
        if not len(self.on):
            raise UsageError(f"{self.name} has no couriers on shift")

    @property
    def origin(self) -> str:
        """Name of the day itself, however many couriers are kept."""
        return self.name.split(" with ")[0]

    @property
    def orders(self) -> int:
        return len(self.placed)

    @property
    def hours(self) -> float:
        """Hours of all shifts together."""
        return float((self.off - self.on).sum()) / 60.0

    @cached_property
    def carry(self) -> NDArray:
        """Metres from restaurants (rows) to drop-offs (columns)."""
        return metres(self.shop_at[:, None, :], self.home[None, :, :])

    @cached_property
    def between_shops(self) -> NDArray:
        return metres(self.shop_at[:, None, :], self.shop_at[None, :, :])

    def minutes(self, far: Any) -> Any:
        """Whole minutes that metres take."""
        return np.ceil(far / self.metres_per_minute)

    @cached_property
    def stated(self) -> NDArray:
        """Preparation minutes as stated at placement, else as announced with the ready time, else 15."""
        return np.where(np.isnan(self.prep), self.ready - self.placed if self.announced else 15.0, self.prep)

    @cached_property
    def alone(self) -> NDArray:
        """Drop-off of each order if a courier stood ready for it alone: no schedule is earlier."""
        own = self.carry[self.shop, np.arange(self.orders)]
        return self.ready + self.pickup_service / 2 + self.minutes(own) + self.dropoff_service / 2

    def thinned(self, share: float, seed: int = 0) -> World:
        """The same orders with a random `share` of the couriers."""
        if not 0 < share <= 1:
            raise UsageError(f"the share of couriers kept should be above 0 and at most 1, not {share:g}")
        if share == 1:
            return self
        size = max(1, round(share * len(self.on)))
        kept = np.sort(np.random.default_rng(seed).permutation(len(self.on))[:size])
        return replace(
            self, name=f"{self.name} with {share:.0%} of couriers", courier_id=self.courier_id[kept],
            start=self.start[kept], on=self.on[kept], off=self.off[kept], capacity=self.capacity[kept],
        )

    def uncertain(self) -> World:
        """The same day with ready times that nobody announces."""
        return replace(self, announced=False)


def metres(a: NDArray, b: NDArray) -> NDArray:
    """Straight distances between points, shape (..., 2), broadcast."""
    return np.hypot(a[..., 0] - b[..., 0], a[..., 1] - b[..., 1])


def from_instance(instance: Instance, day: date = date(2018, 1, 1)) -> World:
    """A benchmark's day. Couriers carry any number; a trip visits one restaurant, as its rules say."""
    n, shops, couriers = len(instance.orders), len(instance.restaurants), len(instance.couriers)
    return World(
        name=instance.name, day=day, order_id=whole_numbers(instance.orders, "order"), home=instance.order_at,
        placed=instance.placed, ready=instance.ready, prep=np.full(n, np.nan), shop=instance.order_restaurant,
        zone=None, shop_id=whole_numbers(instance.restaurants, "restaurant"), shop_at=instance.restaurant_at,
        batchable=np.ones(shops, bool), concurrent=np.full(shops, 99),
        courier_id=whole_numbers(instance.couriers, "courier"), start=instance.courier_at, on=instance.on_time,
        off=instance.off_time, capacity=np.full(couriers, 99), metres_per_minute=instance.metres_per_minute,
        pickup_service=instance.pickup_service, dropoff_service=instance.dropoff_service,
        target=instance.target_click_to_door, pay_per_order=instance.pay_per_order,
        pay_per_hour=instance.guaranteed_pay_per_hour,
    )  # fmt: skip


_ORDERS = """
SELECT o.order_id, o.restaurant_id, o.order_timestamp, o.estimated_prep_time_minutes AS prep,
    CAST(o.delivery_address_lat AS DOUBLE) AS lat, CAST(o.delivery_address_lng AS DOUBLE) AS lng,
    MAX(d.driver_arrived_at_restaurant_at) AS arrived, MAX(d.picked_up_at) AS picked
FROM delivery.fact_orders AS o
LEFT JOIN delivery.fact_deliveries AS d ON d.order_id = o.order_id AND d.delivery_status <> 'cancelled'
WHERE o.date_partition = date_of(:day) AND o.delivery_address_lat IS NOT NULL AND o.delivery_address_lng IS NOT NULL
    AND (o.order_status <> 'cancelled' OR d.picked_up_at IS NOT NULL)
GROUP BY o.order_id, o.restaurant_id, o.order_timestamp, o.estimated_prep_time_minutes, o.delivery_address_lat,
    o.delivery_address_lng
ORDER BY o.order_id
"""
_RESTAURANTS = """
SELECT restaurant_id, CAST(restaurant_lat AS DOUBLE) AS lat, CAST(restaurant_lng AS DOUBLE) AS lng,
    COALESCE(can_handle_batch_pickups, TRUE) AS batchable, COALESCE(max_concurrent_orders, 10) AS concurrent,
    COALESCE(avg_prep_time_minutes, 15) AS prep
FROM delivery.dim_restaurants
ORDER BY restaurant_id
"""
_COURIERS = """
SELECT s.driver_id, s.online_at, s.offline_at, COALESCE(d.max_batch_capacity, 4) AS capacity,
    CAST(d.current_lat AS DOUBLE) AS lat, CAST(d.current_lng AS DOUBLE) AS lng
FROM delivery.driver_online_sessions AS s
JOIN delivery.dim_drivers AS d ON d.driver_id = s.driver_id
WHERE s.offline_at IS NOT NULL AND date_of(s.online_at) = date_of(:day)
ORDER BY s.online_at, s.driver_id
"""


def from_warehouse(warehouse: Warehouse, day: date) -> World:
    """A day of the warehouse's own orders, restaurants and online sessions, to be dispatched anew.

    When food was ready is not recorded: where the courier waited it is the pickup; else the restaurant's estimate,
    but no later than the pickup. A courier starts at the last known position, or in the middle of the restaurants.
    Orders cancelled before pickup are left out; each online session is a courier.
    """
    engine = warehouse.engine
    orders = engine.query(_ORDERS, {"day": day})
    shops = engine.query(_RESTAURANTS, {})
    couriers = engine.query(_COURIERS, {"day": day})
    if not orders.num_rows or not couriers.num_rows:
        raise UsageError(
            f"{day} has {orders.num_rows} orders with an address and {couriers.num_rows} finished online sessions: "
            "choose a day that has both"
        )
    at = Projection(
        lat=float(np.mean(shops["lat"].to_numpy())), lng=float(np.mean(shops["lng"].to_numpy()))
    )
    midnight = np.datetime64(datetime(day.year, day.month, day.day), "us")

    def minute(table: Any, column: str) -> NDArray:
        moments = table[column].to_numpy(zero_copy_only=False).astype("datetime64[us]")
        found = (moments - midnight).astype(np.float64) / 60e6
        return np.where(np.isnat(moments), np.nan, found)

    def place(table: Any) -> NDArray:
        x, y = at.miles(table["lat"].to_numpy(zero_copy_only=False), table["lng"].to_numpy(zero_copy_only=False))
        return np.column_stack([x, y]).astype(float) * METRES_PER_MILE

    index = {int(key): i for i, key in enumerate(shops["restaurant_id"].to_pylist())}
    shop = np.array([index[int(key)] for key in orders["restaurant_id"].to_pylist()], np.int64)
    placed = np.floor(minute(orders, "order_timestamp"))
    prep = orders["prep"].to_numpy(zero_copy_only=False).astype(float)
    stated = np.where(np.isnan(prep), shops["prep"].to_numpy().astype(float)[shop], prep)
    arrived, picked = minute(orders, "arrived"), minute(orders, "picked")
    waited = picked - arrived > SERVICE / 2
    ready = np.where(waited, picked, np.fmin(placed + stated, picked))
    home, start = place(orders), place(couriers)
    start = np.where(np.isnan(start), place(shops).mean(axis=0), start)
    return World(
        name=f"{day:%Y-%m-%d}", day=day, order_id=orders["order_id"].to_numpy(), home=home, placed=placed,
        ready=np.maximum(np.rint(ready), placed), prep=stated, shop=shop, zone=_squares(home),
        shop_id=shops["restaurant_id"].to_numpy(), shop_at=place(shops),
        batchable=shops["batchable"].to_numpy(zero_copy_only=False).astype(bool),
        concurrent=shops["concurrent"].to_numpy().astype(np.int64),
        courier_id=couriers["driver_id"].to_numpy(), start=start, on=np.ceil(minute(couriers, "online_at")),
        off=np.floor(minute(couriers, "offline_at")), capacity=couriers["capacity"].to_numpy().astype(np.int64),
        projection=at, announced=False, shops_per_trip=3,
    )  # fmt: skip


#: Side of the squares that serve as zones where none are recorded.
ZONE_METRES = 3 * METRES_PER_MILE


def _squares(home: NDArray) -> NDArray:
    """The square of the map that each drop-off lies in."""
    cell = np.floor(home / ZONE_METRES).astype(np.int64)
    return np.unique(cell, axis=0, return_inverse=True)[1].reshape(-1)
