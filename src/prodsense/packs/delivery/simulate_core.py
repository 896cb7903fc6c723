"""Tables of the simulated city: dimensions, orders, deliveries."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prodsense.simulate import Streams, slots
from prodsense.simulate import columns as col

from .simulate_frame import CUSTOMER, DELIVERY, DRIVER, ORDER, RESTAURANT, Frame, ids, numbers
from .simulate_orders import REASONS
from .simulate_staff import VEHICLES
from .simulate_trips import Day
from .simulate_world import CITY, CUISINES, World

ORDER_STATUS = ("placed", "confirmed", "preparing", "ready", "picked_up", "delivered", "cancelled")
DELIVERY_STATUS = (
    "created", "en_route_to_restaurant", "at_restaurant", "en_route_to_customer", "delivered", "cancelled",
)  # fmt: skip
#: Share of cancelled orders (outside batches) that never got a delivery.
NO_DELIVERY = 0.3
#: Share of delivered orders whose first driver gave up: an extra, cancelled delivery.
FAILED_FIRST = 0.005


def core_tables(world: World, day: Day, frame: Frame, streams: Streams) -> tuple[dict[str, pa.Table], NDArray]:
    """Dimensions, orders and deliveries; also the delivery number of each order (-1: none)."""
    deliveries, delivery_of = _deliveries(world, day, frame, streams("deliveries"))
    return {
        "dim_customers": _customers(world, frame),
        "dim_drivers": _drivers(day, frame, streams("drivers")),
        "dim_restaurants": _restaurants(world, day, streams("restaurant details")),
        "fact_orders": _orders(world, day, frame, streams("order details")),
        "fact_deliveries": deliveries,
    }, delivery_of


def degrees(xy: NDArray, missing: NDArray | None = None) -> tuple[pa.Array, pa.Array]:
    """Latitude and longitude columns of points in miles."""
    lat, lng = CITY.degrees(xy[:, 0], xy[:, 1])
    return col.decimals(lat, 10, 8, missing), col.decimals(lng, 11, 8, missing)


def _customers(world: World, frame: Frame) -> pa.Table:
    people = world.customers
    return pa.table({
        "customer_id": numbers(CUSTOMER, people.zone.size),
        "customer_since_date": col.dates(np.floor(people.joined).astype(np.int64), frame.start),
        "is_internal": col.booleans(people.internal),
    })  # fmt: skip


def _drivers(day: Day, frame: Frame, rng: np.random.Generator) -> pa.Table:
    drivers, rides = day.drivers, day.rides
    size = drivers.zone.size
    done = (rides.driver >= 0) & frame.seen(rides.delivered)
    delivered = np.bincount(rides.driver[done], minlength=size)
    in_time = np.bincount(
        rides.driver[done], weights=(rides.minutes <= rides.eta_minutes + 10)[done], minlength=size
    )
    before = np.rint(np.maximum(0.0, -drivers.joined) * rng.uniform(0, 4, size)).astype(np.int64)
    last = np.full(size, -np.inf)
    np.maximum.at(last, rides.driver[done], rides.delivered[done])
    last_order = np.full(size, -1, np.int64)
    order = np.flatnonzero(done)[np.argsort(rides.delivered[done], kind="stable")]
    last_order[rides.driver[order]] = order  # the latest assignment wins
    idle = last_order < 0
    lat, lng = degrees(day.orders.at[np.maximum(last_order, 0)], idle)
    tier = np.where(drivers.joined > -60, 0, np.where(before + delivered > 1500, 2, 1))
    gone = drivers.left < frame.days
    suspended = idle & ~gone & (rng.random(size) < 0.3)
    return pa.table({
        "driver_id": numbers(DRIVER, size),
        "driver_external_id": col.codes("DRV", DRIVER + np.arange(size)),
        "driver_since_date": col.dates(np.floor(drivers.joined).astype(np.int64), frame.start),
        "driver_status": col.labels(np.where(gone, 1, np.where(suspended, 2, 0)), ("active", "inactive", "suspended")),
        "vehicle_type": col.labels(drivers.vehicle, VEHICLES),
        "has_insulated_bag": col.booleans(rng.random(size) < 0.9),
        "max_batch_capacity": col.integers(drivers.capacity, bits=32),
        "driver_tier": col.labels(tier, ("new", "standard", "premium")),
        "lifetime_deliveries": col.integers(before + delivered, bits=32),
        "avg_delivery_rating": col.decimals(np.clip(rng.normal(4.7, 0.2, size), 1, 5), 3, 2),
        "on_time_delivery_rate": col.decimals(in_time / np.maximum(delivered, 1), 5, 4, delivered == 0),
        "acceptance_rate": col.decimals(np.clip(rng.normal(0.82, 0.08, size), 0, 1), 5, 4),
        "current_lat": lat,
        "current_lng": lng,
        "last_location_update": frame.moment(last, ~idle),
    })  # fmt: skip


def _restaurants(world: World, day: Day, rng: np.random.Generator) -> pa.Table:
    places, orders, rides = world.restaurants, day.orders, day.rides
    size = places.zone.size
    going = rides.cancelled < 0
    busiest = slots.concurrency(orders.placed[going], rides.picked[going], orders.restaurant[going], size)
    held = (orders.prep <= orders.prep_stated + 5)[going]
    served = np.bincount(orders.restaurant[going], minlength=size)
    kept = np.bincount(orders.restaurant[going], weights=held, minlength=size)
    lat, lng = degrees(places.at)
    names = [c.title() for c in CUISINES]
    label = col.labels(places.cuisine, [f"{name} House" for name in names])
    return pa.table({
        "restaurant_id": numbers(RESTAURANT, size),
        "restaurant_external_id": col.codes("RST", RESTAURANT + np.arange(size)),
        "restaurant_name": pa.array([f"{a} {i + 1}" for i, a in enumerate(label.to_pylist())]),
        "cuisine_type": col.labels(places.cuisine, tuple(CUISINES)),
        "restaurant_lat": lat,
        "restaurant_lng": lng,
        "phone_number": col.codes("+1555", rng.integers(0, 10_000_000, size), 7),
        "avg_prep_time_minutes": col.integers(places.prep, bits=32),
        "prep_time_std_dev_minutes": col.integers(places.prep_sd, bits=32),
        "can_handle_batch_pickups": col.booleans(places.batchable),
        "max_concurrent_orders": col.integers(np.maximum(10, busiest + 2), bits=32),
        "on_time_prep_rate": col.decimals(kept / np.maximum(served, 1), 5, 4, served == 0),
        "avg_rating": col.decimals(places.rating, 3, 2),
        "is_partner_restaurant": col.booleans(places.partner),
    })  # fmt: skip


def _orders(world: World, day: Day, frame: Frame, rng: np.random.Generator) -> pa.Table:
    orders, rides = day.orders, day.rides
    n = len(orders)
    status = np.full(n, 0)
    for code, since in (
        (1, orders.placed + 30.0), (2, orders.placed + 90.0), (3, orders.placed + 60.0 * orders.prep),
        (4, rides.picked), (5, rides.delivered),
    ):  # fmt: skip
        status[frame.seen(since)] = code
    status[rides.cancelled >= 0] = 6
    lat, lng = degrees(orders.at)
    cold = (orders.restaurant % 5 == 0) | (rng.random(n) < 0.1)
    alcohol = rng.random(n) < 0.03
    wishes = ("No onions, please", "Extra napkins", "Sauce on the side")
    ways = ("Leave at the door", "Ring the bell", "Call on arrival", "Gate code 1234")
    return pa.table({
        "order_id": numbers(ORDER, n),
        "customer_id": ids(CUSTOMER, orders.customer),
        "restaurant_id": ids(RESTAURANT, orders.restaurant),
        "order_timestamp": frame.moment(orders.placed.astype(float)),
        "order_total_cents": col.integers(orders.total_cents, bits=32),
        "item_count": col.integers(orders.items, bits=32),
        "special_instructions": col.labels(rng.integers(0, 3, n), wishes, rng.random(n) > 0.06),
        "order_status": col.labels(status, ORDER_STATUS),
        "estimated_prep_time_minutes": col.integers(orders.prep_stated, bits=32),
        "has_hot_items": col.booleans(rng.random(n) < 0.95),
        "has_cold_items": col.booleans(cold),
        "has_alcohol": col.booleans(alcohol),
        "requires_id_check": col.booleans(alcohol),
        "delivery_fee_cents": col.integers(orders.fee_cents, bits=32),
        "tip_amount_cents": col.integers(orders.tip_cents, bits=32),
        "delivery_address_lat": lat,
        "delivery_address_lng": lng,
        "delivery_instructions": col.labels(rng.integers(0, 4, n), ways, rng.random(n) > 0.25),
        "date_partition": frame.day(orders.placed),
    })  # fmt: skip


def _deliveries(world: World, day: Day, frame: Frame, rng: np.random.Generator) -> tuple[pa.Table, NDArray]:
    orders, rides = day.orders, day.rides
    n = len(orders)
    grouped = rides.batch >= 0
    grouped[day.withdrawn.order[day.withdrawn.order >= 0]] = True
    skipped = (rides.cancelled >= 0) & ~grouped & (rng.random(n) < NO_DELIVERY)
    main = np.flatnonzero(frame.seen(rides.created) & ~skipped)
    solo = (rides.cancelled < 0) & (rides.batch < 0) & frame.seen(rides.created)
    failed = np.flatnonzero(solo & (rng.random(n) < FAILED_FIRST))
    # Deliveries are numbered as they come; a failed first attempt comes just before the one that succeeds.
    order = np.concatenate([main, failed])
    first_try = np.r_[np.zeros(main.size, bool), np.ones(failed.size, bool)]
    created = rides.created[order] - 2.0 * first_try
    by_time = np.lexsort((~first_try, created))
    order, first_try, created = order[by_time], first_try[by_time], created[by_time]
    delivery_of = np.full(n, -1, np.int64)
    delivery_of[order[~first_try]] = np.flatnonzero(~first_try)

    status = np.zeros(order.size, np.int64)
    for code, since in enumerate((rides.assigned, rides.arrived, rides.picked, rides.delivered), start=1):
        status[frame.seen(since[order])] = code
    over = first_try | (rides.cancelled[order] >= 0)
    status[over] = 5
    assigned = frame.seen(rides.assigned[order]) & ~over
    done = frame.seen(rides.delivered[order]) & ~over
    approach = np.round(rides.approach_miles[order], 2)
    miles = np.round(orders.miles[order], 2)
    reason = np.where(first_try, len(REASONS), rides.cancelled[order])
    table = pa.table({
        "delivery_id": numbers(DELIVERY, order.size),
        "order_id": ids(ORDER, order),
        "driver_id": ids(DRIVER, np.where(assigned, rides.driver[order], -1)),
        "delivery_created_at": frame.moment(created),
        "assigned_to_driver_at": frame.moment(rides.assigned[order], ~over),
        "driver_arrived_at_restaurant_at": frame.moment(rides.arrived[order], ~over),
        "picked_up_at": frame.moment(rides.picked[order], ~over),
        "delivered_at": frame.moment(rides.delivered[order], ~over),
        "estimated_delivery_time_minutes": col.integers(rides.eta_minutes[order], bits=32),
        "actual_delivery_time_minutes": col.integers(rides.minutes[order], ~done, bits=32),
        "delivery_distance_miles": col.decimals(approach + miles, 6, 2, ~assigned),
        "driver_to_restaurant_distance_miles": col.decimals(approach, 6, 2, ~assigned),
        "restaurant_to_customer_distance_miles": col.decimals(miles, 6, 2),
        "delivery_status": col.labels(status, DELIVERY_STATUS),
        "cancellation_reason": col.labels(np.maximum(reason, 0), (*REASONS, "driver_cancelled"), reason < 0),
        "date_partition": frame.day(created),
    })  # fmt: skip
    return table, delivery_of


