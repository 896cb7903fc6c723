"""Dispatched days as tables of the delivery pack, so that its metrics, queries and policies apply to them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prodsense.packs.delivery.dispatch.algorithms import ALGORITHMS
from prodsense.packs.delivery.dispatch.engine import Algorithm, Run
from prodsense.packs.delivery.dispatch.measures import pay_of
from prodsense.packs.delivery.dispatch.world import World, metres
from prodsense.simulate import columns as col
from prodsense.simulate.geography import METRES_PER_MILE

#: Distance of the ids of one day from those of the next, where several are recorded together.
STEP = 100_000_000
#: Keys of the algorithms that ship, beyond those of the simulated city and of the demonstration script.
FIRST_KEY = 101
_DEPLOYED = date(2018, 1, 1)


def to_tables(*runs: Run) -> dict[str, pa.Table]:
    """Tables of one day, or of several with ids `STEP` apart (the same day under two algorithms is two sets of orders).

    What a world does not hold is not made up: goods cost 0 cents, an order is one item and, as drop-offs have no names,
    a customer of its own. An order never delivered is cancelled for ``no_driver_available``. The promise is the target
    click-to-door time. Plan and deed drive the same miles; their times differ where kitchens are late.
    """
    parts = [_day(run, STEP * k) for k, run in enumerate(runs)]
    tables = {name: pa.concat_tables([part[name] for part in parts]) for name in parts[0]}
    tables["dim_batching_algorithms"] = algorithm_rows([run.algorithm for run in runs])
    return tables


def key_of(algorithm: Algorithm) -> int:
    """The key under which an algorithm is recorded; one of your own follows those that ship."""
    names = list(ALGORITHMS)
    return FIRST_KEY + (names.index(algorithm.name) if algorithm.name in names else len(names))


def algorithm_rows(algorithms: Sequence[Algorithm]) -> pa.Table:
    """`dim_batching_algorithms` of these algorithms, with the limits that they work under."""
    listed = sorted({key_of(a): a for a in algorithms}.items())

    def whole(name: str) -> pa.Array:
        return pa.array([getattr(a.limits, name) for _, a in listed], pa.int32())

    return pa.table({
        "batching_algorithm_key": pa.array([key for key, _ in listed], pa.int64()),
        "algorithm_name": pa.array([a.name for _, a in listed]),
        "algorithm_version": pa.array([a.version for _, a in listed]),
        "algorithm_description": pa.array([a.says for _, a in listed]),
        "optimization_objectives": pa.array([json.dumps(list(a.objectives)) for _, a in listed]),
        "max_batch_size": whole("max_batch_size"),
        "max_total_distance_miles": col.decimals(
            np.array([a.limits.max_total_distance_miles for _, a in listed]), 6, 2
        ),
        "max_total_time_minutes": whole("max_total_time_minutes"),
        "max_prep_time_variance_minutes": whole("max_prep_time_variance_minutes"),
        "max_restaurants_per_batch": whole("max_restaurants_per_batch"),
        "allow_cross_zone_batching": pa.array([a.limits.allow_cross_zone_batching for _, a in listed]),
        "deployed_at": col.timestamps(np.zeros(len(listed)), _DEPLOYED),
    })  # fmt: skip


class _Day:
    """Columns of one day."""

    def __init__(self, world: World):
        self.world = world

    def moment(self, minutes: NDArray) -> pa.Array:
        given = np.asarray(minutes, float)
        return col.timestamps(np.nan_to_num(given) * 60.0, self.world.day, np.isnan(given))

    def date(self, minutes: NDArray) -> pa.Array:
        return col.dates(np.floor(np.asarray(minutes, float) / 1440).astype(np.int64), self.world.day)

    def place(self, at: NDArray) -> tuple[pa.Array, pa.Array]:
        lat, lng = self.world.projection.degrees(at[:, 0] / METRES_PER_MILE, at[:, 1] / METRES_PER_MILE)
        return col.decimals(lat, 10, 8), col.decimals(lng, 11, 8)


def _day(run: Run, shift: int) -> dict[str, pa.Table]:
    day = _Day(run.world)
    return {**_places(run, day, shift), **_orders(run, day, shift), **_batches(run, day, shift),
            **_stops(run, day, shift), **_log(run, day, shift), **_money(run, day, shift)}


def _whole(values: NDArray, missing: NDArray | None = None) -> pa.Array:
    return col.integers(np.nan_to_num(np.asarray(values, float)), missing, bits=32)


def _same(value: str, size: int) -> pa.Array:
    return pa.array([value] * size, pa.string())


def _places(run: Run, day: _Day, shift: int) -> dict[str, pa.Table]:
    world = run.world
    lat, lng = day.place(world.shop_at)
    # A driver may come online several times a day: a person once, a courier of the day each time.
    drivers, first = np.unique(world.courier_id, return_index=True)
    d_lat, d_lng = day.place(world.start[first])
    many = world.concurrent < 99
    bounded = world.capacity[first] < 99
    return {
        "dim_customers": pa.table({"customer_id": pa.array(shift + world.order_id)}),
        "dim_drivers": pa.table({
            "driver_id": pa.array(shift + drivers),
            "driver_external_id": pa.array([f"courier {shift + i}" for i in drivers.tolist()]),
            "driver_since_date": col.dates(np.zeros(len(drivers), np.int64), world.day),
            "driver_status": _same("active", len(drivers)),
            "max_batch_capacity": _whole(np.where(bounded, world.capacity[first], 99)),
            "current_lat": d_lat,
            "current_lng": d_lng,
            "last_location_update": day.moment(world.on[first]),
        }),
        "dim_restaurants": pa.table({
            "restaurant_id": pa.array(shift + world.shop_id),
            "restaurant_external_id": pa.array([f"restaurant {shift + i}" for i in world.shop_id.tolist()]),
            "restaurant_name": pa.array([f"Restaurant {i}" for i in world.shop_id.tolist()]),
            "restaurant_lat": lat,
            "restaurant_lng": lng,
            "can_handle_batch_pickups": pa.array(world.batchable),
            "max_concurrent_orders": _whole(np.where(many, world.concurrent, 99)),
        }),
        "driver_online_sessions": pa.table({
            "session_id": pa.array(shift + 1 + np.arange(len(world.on))),
            "driver_id": pa.array(shift + world.courier_id),
            "online_at": day.moment(world.on),
            "offline_at": day.moment(world.off),
            "date_partition": day.date(world.on),
        }),
    }  # fmt: skip


def _orders(run: Run, day: _Day, shift: int) -> dict[str, pa.Table]:
    world = run.world
    n, done = world.orders, run.courier >= 0
    lat, lng = day.place(world.home)
    assigned, arrived, approach = (np.full(n, np.nan) for _ in range(3))
    shared = np.full(n, np.nan)
    for trip in run.trips:
        mine = list(trip.orders)
        assigned[mine] = trip.assigned
        shared[mine] = trip.legs.sum() / len(mine)
        for k, stop in enumerate(trip.stops):
            if stop < 0:
                here = [i for i in mine if world.shop[i] == -1 - stop]
                arrived[here] = trip.arrive[k]
                approach[here] = metres(trip.origin, world.shop_at[-1 - stop])
    driver = np.where(done, world.courier_id[run.courier], 0)
    direct = metres(world.shop_at[world.shop], world.home)
    return {
        "fact_orders": pa.table({
            "order_id": pa.array(shift + world.order_id),
            "customer_id": pa.array(shift + world.order_id),
            "restaurant_id": pa.array(shift + world.shop_id[world.shop]),
            "order_timestamp": day.moment(world.placed),
            "order_total_cents": _whole(np.zeros(n)),
            "item_count": _whole(np.ones(n)),
            "order_status": col.labels(done, ("cancelled", "delivered")),
            "estimated_prep_time_minutes": _whole(np.rint(world.stated)),
            "delivery_address_lat": lat,
            "delivery_address_lng": lng,
            "date_partition": day.date(world.placed),
        }),
        "fact_deliveries": pa.table({
            "delivery_id": pa.array(shift + world.order_id),
            "order_id": pa.array(shift + world.order_id),
            "driver_id": pa.array(shift + driver, mask=~done),
            "delivery_created_at": day.moment(world.placed),
            "assigned_to_driver_at": day.moment(assigned),
            "driver_arrived_at_restaurant_at": day.moment(arrived),
            "picked_up_at": day.moment(run.picked),
            "delivered_at": day.moment(run.dropped),
            "estimated_delivery_time_minutes": _whole(np.full(n, world.target)),
            "actual_delivery_time_minutes": _whole(run.dropped - world.placed, ~done),
            "delivery_distance_miles": col.decimals(np.nan_to_num(shared) / METRES_PER_MILE, 6, 2, ~done),
            "driver_to_restaurant_distance_miles": col.decimals(
                np.nan_to_num(approach) / METRES_PER_MILE, 6, 2, ~done
            ),
            "restaurant_to_customer_distance_miles": col.decimals(direct / METRES_PER_MILE, 6, 2),
            "delivery_status": col.labels(done, ("cancelled", "delivered")),
            "cancellation_reason": col.labels(np.zeros(n), ("no_driver_available",), done),
            "date_partition": day.date(world.placed),
        }),
    }  # fmt: skip


def _batches(run: Run, day: _Day, shift: int) -> dict[str, pa.Table]:
    """Every trip is a batch, of one order too: that is how a delivery knows its algorithm."""
    world, trips = run.world, run.trips
    number = shift + 1 + np.arange(len(trips))
    sizes = np.array([len(t.orders) for t in trips], np.int64)
    miles = np.array([t.legs.sum() for t in trips]) / METRES_PER_MILE
    assigned, ended = np.array([t.assigned for t in trips]), np.array([t.done[-1] for t in trips])
    # Score: share of the miles saved against driving each order alone from where the courier stood.
    alone = np.array([
        sum(float(metres(t.origin, world.shop_at[s])) + float(world.carry[s, i])
            for i in t.orders for s in (int(world.shop[i]),))
        for t in trips
    ]) / METRES_PER_MILE  # fmt: skip
    score = np.clip(1.0 - miles / np.maximum(alone, 1e-9), 0.0, 1.0)
    batches = pa.table({
        "batch_id": pa.array(number),
        "driver_id": pa.array(shift + world.courier_id[[t.courier for t in trips]].astype(np.int64)),
        "batching_algorithm_key": pa.array(np.full(len(trips), key_of(run.algorithm))),
        "batch_created_at": day.moment(assigned),
        "batch_assigned_at": day.moment(assigned),
        "batch_started_at": day.moment(np.array([t.arrive[0] for t in trips])),
        "batch_completed_at": day.moment(ended),
        "total_deliveries": _whole(sizes),
        "total_orders": _whole(sizes),
        "planned_total_distance_miles": col.decimals(miles, 8, 2),
        "actual_total_distance_miles": col.decimals(miles, 8, 2),
        "planned_total_time_minutes": _whole(np.array([t.planned_done[-1] for t in trips]) - assigned),
        "actual_total_time_minutes": _whole(ended - assigned),
        "batch_efficiency_score": col.decimals(score, 5, 4, sizes < 2),
        "batch_status": _same("completed", len(trips)),
        "date_partition": day.date(assigned),
    })  # fmt: skip
    rows = [
        (number[k], i, visit, drop, t, world.shop[i])
        for k, t in enumerate(trips)
        for drop, i in enumerate(t.orders, 1)
        for visit in (_visit(t.stops, int(world.shop[i])),)
    ]
    order = np.array([r[1] for r in rows], np.int64)
    at_shop = [r[4].stops.index(-1 - int(r[5])) for r in rows]
    at_door = [r[4].stops.index(int(r[1])) for r in rows]
    when = {
        name: np.array([getattr(r[4], name)[k] for r, k in zip(rows, at_shop, strict=True)])
        for name in ("planned_done", "done", "arrive")
    }
    door = {
        name: np.array([getattr(r[4], name)[k] for r, k in zip(rows, at_door, strict=True)])
        for name in ("planned_done", "done")
    }
    junction = pa.table({
        "batch_delivery_id": pa.array(shift + world.order_id[order]),
        "batch_id": pa.array(np.array([r[0] for r in rows], np.int64)),
        "delivery_id": pa.array(shift + world.order_id[order]),
        "pickup_sequence": _whole(np.array([r[2] for r in rows])),
        "dropoff_sequence": _whole(np.array([r[3] for r in rows])),
        "estimated_pickup_time": day.moment(when["planned_done"]),
        "actual_pickup_time": day.moment(when["done"]),
        "estimated_dropoff_time": day.moment(door["planned_done"]),
        "actual_dropoff_time": day.moment(door["done"]),
        "pickup_wait_time_minutes": _whole(when["done"] - when["arrive"]),
        "delivery_delay_minutes": _whole(np.rint(run.dropped[order] - world.alone[order])),
        "date_partition": day.date(np.array([r[4].assigned for r in rows])),
    })  # fmt: skip
    return {"fact_delivery_batches": batches, "fact_batch_deliveries": junction}


def _visit(stops: tuple[int, ...], shop: int) -> int:
    """Place of a restaurant among the restaurants visited, from 1."""
    return 1 + [stop for stop in stops if stop < 0].index(-1 - shop)


def _stops(run: Run, day: _Day, shift: int) -> dict[str, pa.Table]:
    """Stops in their sequence, the start first; a stop that serves several deliveries has a row for each."""
    world = run.world
    rows: list[tuple[float, ...]] = []
    nan = float("nan")
    for k, t in enumerate(run.trips):
        for place in range(len(t.stops) + 1):
            after = float(t.legs[place]) if place < len(t.stops) else nan
            drive = float(np.ceil(after / world.metres_per_minute))
            if place == 0:
                rows.append((k, -1, 0, 1, *t.origin, nan, nan, t.assigned, t.assigned, after, drive, t.assigned))
                continue
            stop = t.stops[place - 1]
            at = world.home[stop] if stop >= 0 else world.shop_at[-1 - stop]
            served = [stop] if stop >= 0 else [i for i in t.orders if world.shop[i] == -1 - stop]
            p = place - 1
            rows += [
                (k, i, 2 if stop >= 0 else 1, place + 1, *at, t.planned_arrive[p], t.arrive[p], t.planned_leave[p],
                 t.leave[p], after, drive, t.assigned)
                for i in served
            ]
    v = np.array(rows, float).reshape(-1, 13)
    order = v[:, 1].astype(np.int64)
    lat, lng = day.place(v[:, 4:6])
    gone = np.isnan(v[:, 10])
    return {
        "fact_batch_waypoints": pa.table({
            "waypoint_id": pa.array(shift + 1 + np.arange(len(v))),
            "batch_id": pa.array(shift + 1 + v[:, 0].astype(np.int64)),
            "delivery_id": pa.array(shift + world.order_id[order], mask=order < 0),
            "waypoint_type": col.labels(v[:, 2].astype(np.int64), ("driver_start", "restaurant", "customer")),
            "sequence_order": _whole(v[:, 3]),
            "waypoint_lat": lat,
            "waypoint_lng": lng,
            "estimated_arrival_time": day.moment(v[:, 6]),
            "actual_arrival_time": day.moment(v[:, 7]),
            "estimated_departure_time": day.moment(v[:, 8]),
            "actual_departure_time": day.moment(v[:, 9]),
            "distance_to_next_miles": col.decimals(np.nan_to_num(v[:, 10]) / METRES_PER_MILE, 6, 2, gone),
            "drive_time_to_next_minutes": _whole(v[:, 11], gone),
            "date_partition": day.date(v[:, 12]),
        })
    }  # fmt: skip


_STATES = ("created", "assigned", "in_progress", "completed")
_EVENTS = ("arrived_at_restaurant", "picked_up", "handed_over")


def _log(run: Run, day: _Day, shift: int) -> dict[str, pa.Table]:
    """State changes of batches, events of their deliveries, and runs of the algorithm."""
    world, trips = run.world, run.trips
    when = np.array([[t.assigned, t.assigned, t.arrive[0], t.done[-1]] for t in trips]).reshape(-1, 4)
    at = np.array([[t.origin, t.origin, world.shop_at[-1 - t.stops[0]], world.home[t.stops[-1]]] for t in trips])
    batch = np.repeat(np.arange(len(trips)), 4)
    state = np.tile(np.arange(4), len(trips))
    lat, lng = day.place(at.reshape(-1, 2))
    changes = pa.table({
        "state_change_id": pa.array(shift + 1 + np.arange(batch.size)),
        "batch_id": pa.array(shift + 1 + batch),
        "timestamp": day.moment(when.reshape(-1)),
        "previous_state": col.labels(np.maximum(state - 1, 0), _STATES, state == 0),
        "new_state": col.labels(state, _STATES),
        "change_trigger": col.labels(np.zeros(state.size, np.int64), ("driver_action",), state < 2),
        "driver_lat": lat,
        "driver_lng": lng,
        "date_partition": day.date(when.reshape(-1)),
    })  # fmt: skip
    moments = np.array([
        [t.arrive[t.stops.index(-1 - int(world.shop[i]))], run.picked[i], run.dropped[i]]
        for t in trips for i in t.orders
    ]).reshape(-1, 3)  # fmt: skip
    order = np.array([i for t in trips for i in t.orders], np.int64)
    events = pa.table({
        "event_id": pa.array(shift + 1 + np.arange(moments.size)),
        "batch_delivery_id": pa.array(shift + np.repeat(world.order_id[order], 3)),
        "event_type": col.labels(np.tile(np.arange(3), order.size), _EVENTS),
        "event_timestamp": day.moment(moments.reshape(-1)),
        "date_partition": day.date(moments.reshape(-1)),
    })  # fmt: skip
    minute, seconds, considered = run.decisions.reshape(-1, 3).T
    runs = pa.table({
        "run_id": pa.array(shift + 1 + np.arange(minute.size)),
        "batching_algorithm_key": pa.array(np.full(minute.size, key_of(run.algorithm))),
        "started_at": day.moment(minute),
        # Seconds of computing are measured, so they alone differ from run to run.
        "finished_at": day.moment(minute + seconds / 60.0),
        "orders_considered": _whole(considered),
        "date_partition": day.date(minute),
    })  # fmt: skip
    return {"fact_batch_state_changes": changes, "fact_batch_delivery_events": events,
            "batching_algorithm_runs": runs}


def _money(run: Run, day: _Day, shift: int) -> dict[str, pa.Table]:
    """Pay per delivered order, and what lacks to the guaranteed pay at the end of the shift."""
    world = run.world
    done = np.flatnonzero(run.courier >= 0)
    carried = np.bincount(run.courier[done], minlength=len(world.on))
    rest = np.rint(100 * (pay_of(run) - world.pay_per_order * carried))
    short = np.flatnonzero(rest > 0)
    when = np.concatenate([run.dropped[done], world.off[short]])
    order = np.concatenate([world.order_id[done], np.zeros(short.size, np.int64)])
    batch = np.concatenate([run.trip[done], np.zeros(short.size, np.int64)])
    none = np.arange(when.size) >= done.size
    cents = np.concatenate([np.full(done.size, 100 * world.pay_per_order), rest[short]])
    return {
        "driver_earnings": pa.table({
            "earning_id": pa.array(shift + 1 + np.arange(when.size)),
            "driver_id": pa.array(
                shift + np.concatenate([world.courier_id[run.courier[done]], world.courier_id[short]])
            ),
            "delivery_id": pa.array(shift + order, mask=none),
            "batch_id": pa.array(shift + 1 + batch, mask=none),
            "amount_cents": col.integers(cents),
            "earned_at": day.moment(when),
            "date_partition": day.date(when),
        }),
        "delivery_costs": pa.table({
            "cost_id": pa.array(shift + 1 + np.arange(done.size)),
            "order_id": pa.array(shift + world.order_id[done]),
            "cost_type": _same("driver pay", done.size),
            "amount_cents": col.integers(np.full(done.size, 100 * world.pay_per_order)),
            "incurred_at": day.moment(run.dropped[done]),
            "date_partition": day.date(run.dropped[done]),
        }),
    }  # fmt: skip
