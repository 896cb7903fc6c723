"""Meal Delivery Routing Problem instances: read them, dispatch first come first served, map to the pack.

The format and the rules are those of Reyes, Erera, Savelsbergh, Sahasrabudhe and O'Neil, "The Meal
Delivery Routing Problem" (2018): positions in metres, times in whole minutes from the start of the day,
``travel(a, b) = ceil(euclid(a, b) / metres_per_minute)``, half of each service time before the pickup or
drop-off it belongs to and half after, no pickup after a courier's shift, drop-offs whenever they end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prodsense.errors import ContractError
from prodsense.simulate import columns as col
from prodsense.simulate.geography import METRES_PER_MILE, Projection

#: Where the instance's metre (0, 0) is put: its positions are anonymous, so any origin does.
ORIGIN = Projection(lat=40.0, lng=-75.0)

_FILES = {
    "orders": ("order", "x", "y", "placement_time", "restaurant", "ready_time"),
    "restaurants": ("restaurant", "x", "y"),
    "couriers": ("courier", "x", "y", "on_time", "off_time"),
    "instance_parameters": (
        "meters_per_minute", "pickup service minutes", "dropoff service minutes", "target click-to-door",
        "maximum click-to-door", "pay per order", "guaranteed pay per hour",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Instance:
    """One day of one city. Positions in metres, shape (n, 2); times in minutes of the day.

    `orders`, `restaurants`, `couriers` are names in file order; `order_restaurant` indexes the second.
    """

    name: str
    orders: tuple[str, ...]
    order_at: NDArray
    placed: NDArray
    ready: NDArray
    order_restaurant: NDArray
    restaurants: tuple[str, ...]
    restaurant_at: NDArray
    couriers: tuple[str, ...]
    courier_at: NDArray
    on_time: NDArray
    off_time: NDArray
    metres_per_minute: float
    pickup_service: float
    dropoff_service: float
    target_click_to_door: float
    pay_per_order: float
    guaranteed_pay_per_hour: float

    def travel(self, a: NDArray, b: NDArray) -> NDArray:
        """Whole minutes from points `a` to points `b`, shape (..., 2) each, broadcast."""
        return np.ceil(_metres(a, b) / self.metres_per_minute)


@dataclass(frozen=True)
class Schedule:
    """Who delivers which order when; one entry per order of the instance, in its order.

    `courier` is an index, -1 for an order that is never delivered; the times are minutes of the day, NaN
    then. `arrived` is the courier at the restaurant, before service; `approach` and `carry` are metres to
    the restaurant and from there to the customer.
    """

    courier: NDArray
    assigned: NDArray
    arrived: NDArray
    picked_up: NDArray
    dropped_off: NDArray
    approach: NDArray
    carry: NDArray

    @property
    def delivered(self) -> NDArray:
        """Whether each order is delivered."""
        return self.courier >= 0


def read_instance(folder: str | Path) -> Instance:
    """Read the four tab-separated files of an instance.

    Raises:
        ContractError: a file or column is missing, a number is none, or an order names no restaurant.
    """
    place = Path(folder)
    orders, restaurants, couriers, parameters = (_read(place / f"{name}.txt", _FILES[name]) for name in _FILES)
    index = {name: i for i, name in enumerate(restaurants["restaurant"])}
    if lost := [name for name in orders["restaurant"] if name not in index]:
        raise ContractError(f"{place / 'orders.txt'}: restaurant {lost[0]} is not in restaurants.txt")

    def at(table: dict[str, list[str]], path: str) -> NDArray:
        return np.column_stack([_numbers(table[c], place / path, c) for c in ("x", "y")])

    def moments(table: dict[str, list[str]], path: str, column: str) -> NDArray:
        return _numbers(table[column], place / path, column)

    (mpm, pickup, dropoff, target, _, pay, pay_hour) = (
        float(moments(parameters, "instance_parameters.txt", c)[0]) for c in _FILES["instance_parameters"]
    )
    return Instance(
        name=place.name,
        orders=tuple(orders["order"]),
        order_at=at(orders, "orders.txt"),
        placed=moments(orders, "orders.txt", "placement_time"),
        ready=moments(orders, "orders.txt", "ready_time"),
        order_restaurant=np.array([index[name] for name in orders["restaurant"]], np.int64),
        restaurants=tuple(restaurants["restaurant"]),
        restaurant_at=at(restaurants, "restaurants.txt"),
        couriers=tuple(couriers["courier"]),
        courier_at=at(couriers, "couriers.txt"),
        on_time=moments(couriers, "couriers.txt", "on_time"),
        off_time=moments(couriers, "couriers.txt", "off_time"),
        metres_per_minute=mpm,
        pickup_service=pickup,
        dropoff_service=dropoff,
        target_click_to_door=target,
        pay_per_order=pay,
        guaranteed_pay_per_hour=pay_hour,
    )


def dispatch_first_come(instance: Instance) -> Schedule:
    """Deliver every order alone: each minute, the oldest first, by the idle courier who picks up earliest.

    An order is known from its placement on, with its ready time. A courier is idle on shift and done with
    the last drop-off, and waits where that was. Ties: orders by name as text; couriers by least travel,
    then by place in the file. An order that no courier can pick up by the end of the shift waits on, and
    stays undelivered if that lasts.
    """
    n = len(instance.orders)
    courier = np.full(n, -1, np.int64)
    assigned, arrived, picked, dropped, approach, carry = (np.full(n, np.nan) for _ in range(6))
    before_pickup, before_drop = instance.pickup_service / 2, instance.dropoff_service / 2
    at, free = instance.courier_at.astype(float).copy(), instance.on_time.astype(float).copy()
    queue = sorted(range(n), key=lambda i: (instance.placed[i], instance.orders[i]))
    waiting: list[int] = []
    next_order = 0
    last_shift = float(instance.off_time.max(initial=0.0))
    minute = float(instance.placed.min(initial=0.0))
    while minute <= last_shift and (waiting or next_order < n):
        while next_order < n and instance.placed[queue[next_order]] <= minute:
            waiting.append(queue[next_order])
            next_order += 1
        still: list[int] = []
        for place, order in enumerate(waiting):
            idle = np.flatnonzero((free <= minute) & (instance.off_time > minute))
            if not idle.size:
                still += waiting[place:]
                break
            shop = instance.restaurant_at[instance.order_restaurant[order]]
            travel = instance.travel(at[idle], shop)
            pickup = np.maximum(instance.ready[order], minute + travel + before_pickup)
            possible = pickup <= instance.off_time[idle]
            if not possible.any():
                still.append(order)
                continue
            idle, travel, pickup = idle[possible], travel[possible], pickup[possible]
            best = np.lexsort((idle, travel, pickup))[0]
            who, home = idle[best], instance.order_at[order]
            drop = pickup[best] + before_pickup + instance.travel(shop, home) + before_drop
            courier[order], assigned[order], arrived[order] = who, minute, minute + travel[best]
            picked[order], dropped[order] = pickup[best], drop
            approach[order], carry[order] = _metres(at[who], shop), _metres(shop, home)
            at[who], free[who] = home, drop + before_drop
        waiting = still
        minute += 1
    return Schedule(courier, assigned, arrived, picked, dropped, approach, carry)


def measures(instance: Instance, schedule: Schedule) -> dict[str, float]:
    """The benchmark's own figures: shares in percent, times in minutes, money per delivered order.

    `utilisation` is the mean over couriers of driving plus service time over shift; `on_time_pct` counts
    orders within the target click-to-door among all orders; `pay_per_order` is the couriers' pay, at least
    the guaranteed one, by delivered order.
    """
    done = schedule.delivered
    click_to_door = (schedule.dropped_off - instance.placed)[done]
    who = schedule.courier[done]
    size = len(instance.couriers)
    carried = np.bincount(who, minlength=size)
    minutes = (
        np.ceil(schedule.approach[done] / instance.metres_per_minute)
        + np.ceil(schedule.carry[done] / instance.metres_per_minute)
        + instance.pickup_service + instance.dropoff_service
    )  # fmt: skip
    shift = instance.off_time - instance.on_time
    busy = np.bincount(who, weights=minutes, minlength=size)
    orders, delivered = len(instance.orders), int(done.sum())
    some = max(delivered, 1)
    return {
        "undelivered_pct": 100.0 * (orders - delivered) / max(orders, 1),
        "click_to_door": float(click_to_door.mean()) if delivered else float("nan"),
        "click_to_door_p90": float(np.percentile(click_to_door, 90)) if delivered else float("nan"),
        "on_time_pct": 100.0 * float((click_to_door <= instance.target_click_to_door).sum()) / max(orders, 1),
        "ready_to_pickup": float((schedule.picked_up - instance.ready)[done].mean()) if delivered else float("nan"),
        "utilisation": float((busy / shift).mean()),
        "pay_per_order": float(_pay(instance, carried).sum()) / some,
        "km_per_order": float((schedule.approach + schedule.carry)[done].sum()) / 1000.0 / some,
    }


def to_tables(instance: Instance, schedule: Schedule, day: date = date(2018, 1, 1)) -> dict[str, pa.Table]:
    """The instance and its schedule as tables of the delivery pack.

    Numbers in names become ids (order ``o17`` is 17). What an instance does not hold is not made up: goods
    cost 0 cents, an order is one item, and as drop-offs have no names each order is a customer of its own.
    Metres become miles, and positions degrees around `ORIGIN`. The promised time is the instance's target.
    An order never delivered is cancelled for ``no_driver_available``. Couriers are online for their shift
    and paid per order, plus what lacks to the guaranteed pay at its end.
    """
    order_id = whole_numbers(instance.orders, "order")
    restaurant_id = whole_numbers(instance.restaurants, "restaurant")
    courier_id = whole_numbers(instance.couriers, "courier")
    done, n = schedule.delivered, len(instance.orders)
    shop = instance.order_restaurant

    def moment(minutes: NDArray) -> pa.Array:
        return col.timestamps(np.nan_to_num(minutes) * 60.0, day, np.isnan(minutes))

    def days(minutes: NDArray) -> pa.Array:
        return col.dates(np.floor(minutes / 1440).astype(np.int64), day)

    def text(value: str, size: int) -> pa.Array:
        return pa.array([value] * size, pa.string())

    def whole(values: NDArray, missing: NDArray | None = None) -> pa.Array:
        return col.integers(values, missing, bits=32)

    lat, lng = _degrees(instance.order_at)
    orders = pa.table({
        "order_id": pa.array(order_id),
        "customer_id": pa.array(order_id),
        "restaurant_id": pa.array(restaurant_id[shop]),
        "order_timestamp": moment(instance.placed),
        "order_total_cents": whole(np.zeros(n)),
        "item_count": whole(np.ones(n)),
        "order_status": col.labels(done, ("cancelled", "delivered")),
        "estimated_prep_time_minutes": whole(instance.ready - instance.placed),
        "delivery_address_lat": lat,
        "delivery_address_lng": lng,
        "date_partition": days(instance.placed),
    })  # fmt: skip
    driver = np.where(done, courier_id[schedule.courier], 0)
    approach, carry = (np.round(np.nan_to_num(m) / METRES_PER_MILE, 2) for m in (schedule.approach, schedule.carry))
    took = np.nan_to_num(schedule.dropped_off - instance.placed)
    deliveries = pa.table({
        "delivery_id": pa.array(order_id),
        "order_id": pa.array(order_id),
        "driver_id": pa.array(driver, mask=~done),
        "delivery_created_at": moment(instance.placed),
        "assigned_to_driver_at": moment(schedule.assigned),
        "driver_arrived_at_restaurant_at": moment(schedule.arrived),
        "picked_up_at": moment(schedule.picked_up),
        "delivered_at": moment(schedule.dropped_off),
        "estimated_delivery_time_minutes": whole(np.full(n, instance.target_click_to_door)),
        "actual_delivery_time_minutes": whole(took, ~done),
        "delivery_distance_miles": col.decimals(approach + carry, 6, 2, ~done),
        "driver_to_restaurant_distance_miles": col.decimals(approach, 6, 2, ~done),
        "restaurant_to_customer_distance_miles": col.decimals(
            _metres(instance.restaurant_at[shop], instance.order_at) / METRES_PER_MILE, 6, 2
        ),
        "delivery_status": col.labels(done, ("cancelled", "delivered")),
        "cancellation_reason": col.labels(np.zeros(n), ("no_driver_available",), done),
        "date_partition": days(instance.placed),
    })  # fmt: skip
    lat, lng = _degrees(instance.restaurant_at)
    restaurants = pa.table({
        "restaurant_id": pa.array(restaurant_id),
        "restaurant_external_id": pa.array(instance.restaurants),
        "restaurant_name": pa.array([f"Restaurant {name}" for name in instance.restaurants]),
        "restaurant_lat": lat,
        "restaurant_lng": lng,
    })  # fmt: skip
    size = len(instance.couriers)
    lat, lng = _degrees(instance.courier_at)
    drivers = pa.table({
        "driver_id": pa.array(courier_id),
        "driver_external_id": pa.array(instance.couriers),
        "driver_since_date": col.dates(np.zeros(size, np.int64), day),
        "driver_status": text("active", size),
        "current_lat": lat,
        "current_lng": lng,
        "last_location_update": moment(instance.on_time),
    })  # fmt: skip
    sessions = pa.table({
        "session_id": pa.array(courier_id),
        "driver_id": pa.array(courier_id),
        "online_at": moment(instance.on_time),
        "offline_at": moment(instance.off_time),
        "date_partition": days(instance.on_time),
    })  # fmt: skip
    return {
        "dim_customers": pa.table({"customer_id": pa.array(order_id)}),
        "dim_drivers": drivers,
        "dim_restaurants": restaurants,
        "fact_orders": orders,
        "fact_deliveries": deliveries,
        "driver_online_sessions": sessions,
        "driver_earnings": _earnings(instance, schedule, order_id, courier_id, moment, days),
    }


def _earnings(
    instance: Instance, schedule: Schedule, order_id: NDArray, courier_id: NDArray, moment: Any, days: Any
) -> pa.Table:
    """One row per delivered order, then one per courier whose orders pay less than is guaranteed."""
    done = np.flatnonzero(schedule.delivered)
    carried = np.bincount(schedule.courier[done], minlength=len(instance.couriers))
    rest = np.rint(100 * (_pay(instance, carried) - instance.pay_per_order * carried))
    short = np.flatnonzero(rest > 0)
    when = np.concatenate([schedule.dropped_off[done], instance.off_time[short]])
    none = np.zeros(short.size, np.int64)
    return pa.table({
        "earning_id": pa.array(1 + np.arange(when.size)),
        "driver_id": pa.array(np.concatenate([courier_id[schedule.courier[done]], courier_id[short]])),
        "delivery_id": pa.array(np.concatenate([order_id[done], none]), mask=np.arange(when.size) >= done.size),
        "amount_cents": col.integers(
            np.concatenate([np.full(done.size, 100 * instance.pay_per_order), rest[short]])
        ),
        "earned_at": moment(when),
        "date_partition": days(when),
    })  # fmt: skip


def _pay(instance: Instance, carried: NDArray) -> NDArray:
    """Pay of each courier: by order, but at least the guaranteed pay for the shift."""
    hours = (instance.off_time - instance.on_time) / 60.0
    return np.maximum(instance.pay_per_order * carried, instance.guaranteed_pay_per_hour * hours)


def _metres(a: NDArray, b: NDArray) -> NDArray:
    return np.hypot(a[..., 0] - b[..., 0], a[..., 1] - b[..., 1])


def _degrees(metres: NDArray) -> tuple[pa.Array, pa.Array]:
    lat, lng = ORIGIN.degrees(metres[:, 0] / METRES_PER_MILE, metres[:, 1] / METRES_PER_MILE)
    return col.decimals(lat, 10, 8), col.decimals(lng, 11, 8)


def whole_numbers(names: tuple[str, ...], what: str) -> NDArray:
    """The numbers in names such as ``o17``; they must be there and unlike each other."""
    found = [re.fullmatch(r"\D*(\d+)", name) for name in names]
    numbers = [int(match.group(1)) for match in found if match]
    if len(numbers) < len(names) or len(set(numbers)) < len(numbers):
        raise ContractError(f"each {what} needs a name that ends in a number of its own, such as {what[0]}1")
    return np.array(numbers, np.int64)


def _read(path: Path, columns: tuple[str, ...]) -> dict[str, list[str]]:
    if not path.is_file():
        raise ContractError(f"{path} is missing: an instance is a folder with {', '.join(f'{f}.txt' for f in _FILES)}")
    lines = [line.split("\t") for line in path.read_text().splitlines() if line.strip()]
    header = [name.strip() for name in lines[0]] if lines else []
    if lost := [name for name in columns if name not in header]:
        raise ContractError(f"{path} has no column {', '.join(lost)}; its header must name {', '.join(columns)}")
    if len(lines) < 2:
        raise ContractError(f"{path} holds no row below its header")
    if ragged := next((i for i, line in enumerate(lines, 1) if len(line) < len(header)), 0):
        raise ContractError(f"{path}:{ragged}: fewer cells than the header has")
    return {name: [line[header.index(name)].strip() for line in lines[1:]] for name in columns}


def _numbers(cells: list[str], path: Path, column: str) -> NDArray:
    try:
        return np.array([float(cell) for cell in cells])
    except ValueError as error:
        raise ContractError(f"{path}: column {column} holds something that is no number ({error})") from None


__all__ = ["Instance", "Schedule", "dispatch_first_come", "measures", "read_instance", "to_tables", "whole_numbers"]
