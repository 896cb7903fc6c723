"""Tables of the simulated batches: algorithms, batches, junction, waypoints, states, events, offers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from prodsense.simulate import Streams
from prodsense.simulate import columns as col
from prodsense.simulate.arrivals import DAY

from . import simulate_batches as sb
from .simulate_core import degrees
from .simulate_frame import BATCH, DELIVERY, DRIVER, Frame, ids, numbers
from .simulate_trips import Day
from .simulate_world import World

JUNCTION, WAYPOINT, CHANGE, EVENT, OFFER = 40_000_001, 50_000_001, 60_000_001, 70_000_001, 80_000_001
BATCH_STATUS = ("created", "assigned", "in_progress", "completed", "cancelled")
WITHDRAWN = ("no driver accepted in time", "restaurant behind schedule", "customer asked for a change")
TRIGGERS = ("system_timeout", "restaurant_delay", "customer_request", "driver_action")
#: Degrees Celsius at pickup and lost per minute on the way.
FOOD_TEMPERATURE, COOLING = 68.0, 0.45
#: A driver who has waited this long reports it.
LONG_WAIT_SECONDS = 600.0
DECLINED, EXPIRED = 0.18, 0.06


def batch_tables(
    world: World, day: Day, frame: Frame, delivery_of: NDArray, streams: Streams
) -> tuple[dict[str, pa.Table], NDArray]:
    """All tables about batches; also the batch number of each driven batch (-1: not seen yet)."""
    batches, gone = day.batches, day.withdrawn
    seen, over = frame.seen(batches.created), frame.seen(gone.cancelled)
    # Driven and withdrawn batches are numbered together in the order they came to be.
    born = np.concatenate([batches.created, gone.created])
    there = np.concatenate([seen, over])
    number = np.full(born.size, -1, np.int64)
    by_time = np.lexsort((born, ~there))[: int(there.sum())]
    number[by_time] = np.arange(by_time.size)
    driven, withdrawn = number[: seen.size], number[seen.size :]
    junction, events = _junction(day, frame, delivery_of, driven, withdrawn, streams("junction"))
    changes, reason = _state_changes(world, day, frame, delivery_of, driven, withdrawn, streams("states"))
    return {
        "dim_batching_algorithms": _algorithms(world, frame),
        "fact_delivery_batches": _batches(world, day, frame, driven, withdrawn, reason),
        "fact_batch_deliveries": junction,
        "fact_batch_waypoints": _waypoints(world, day, frame, delivery_of, driven),
        "fact_batch_state_changes": changes,
        "fact_batch_delivery_events": events,
        "batch_offers": _offers(day, frame, driven, streams("offers")),
    }, driven


def in_order(table: pa.Table, *keys: str) -> pa.Table:
    """The table sorted by columns, for natural numbering."""
    return table.take(pc.sort_indices(table, sort_keys=[(key, "ascending") for key in keys]))


def _algorithms(world: World, frame: Frame) -> pa.Table:
    algos = sorted(world.algorithms, key=lambda a: a.key)
    deployed = np.array([a.deployed * DAY for a in algos], float)
    deprecated = np.array([np.nan if a.deprecated is None else a.deprecated * DAY for a in algos])
    n = len(algos)

    def same(value: float) -> pa.Array:
        return col.integers(np.full(n, value), bits=32)

    return pa.table({
        "batching_algorithm_key": pa.array([a.key for a in algos]),
        "algorithm_name": pa.array([a.name for a in algos]),
        "algorithm_version": pa.array([a.version for a in algos]),
        "algorithm_description": pa.array([a.says for a in algos]),
        "optimization_objectives": pa.array([a.objectives for a in algos]),
        "max_batch_size": pa.array([a.max_size for a in algos], pa.int32()),
        "max_total_distance_miles": col.decimals(np.array([a.max_miles for a in algos]), 6, 2),
        "max_total_time_minutes": same(sb.MAX_BATCH_MINUTES),
        "max_prep_time_variance_minutes": same(sb.MAX_PREP_SPREAD_MINUTES),
        "max_restaurants_per_batch": same(sb.MAX_RESTAURANTS),
        "allow_cross_zone_batching": col.booleans(np.zeros(n)),
        "deployed_at": frame.moment(deployed),
        "deprecated_at": frame.moment(deprecated),
        "traffic_percentage": col.decimals(np.array([a.share for a in algos]), 5, 4),
    })  # fmt: skip


def _batches(
    world: World, day: Day, frame: Frame, driven: NDArray, withdrawn: NDArray, reason: NDArray
) -> pa.Table:
    b, gone, orders = day.batches, day.withdrawn, day.orders
    here, over = driven >= 0, withdrawn >= 0
    order = np.concatenate([b.routes.order[here], gone.order[over]])
    there = order >= 0
    size = there.sum(axis=1)
    k = int(here.sum())

    def either(values: NDArray, missing: float = np.nan) -> NDArray:
        return np.concatenate([np.asarray(values, float)[here], np.full(int(over.sum()), missing)])

    created = np.concatenate([b.created[here], gone.created[over]])
    assigned, started, completed = either(b.assigned), either(b.started), either(b.completed)
    status = np.zeros(size.size, np.int64)
    for code, since in ((1, assigned), (2, started), (3, completed)):
        status[frame.seen(since)] = code
    status[k:] = 4
    done = frame.seen(completed)
    # Score: share of the miles saved against driving each order alone.
    alone = np.where(b.routes.rides, (day.rides.approach_miles + orders.miles)[b.routes.order], 0.0).sum(axis=1)
    score = either(np.clip(1.0 - b.driven.miles / np.maximum(alone, 0.01), 0.0, 1.0))
    unscored = ~done | (size < 2)
    key = np.array([a.key for a in world.algorithms])[np.concatenate([b.algorithm[here], gone.algorithm[over]])]
    planned = either(b.planned.miles)
    table = pa.table({
        "batch_id": ids(BATCH, np.concatenate([driven[here], withdrawn[over]])),
        "driver_id": ids(DRIVER, np.where(frame.seen(assigned), either(b.driver, -1), -1).astype(np.int64)),
        "batching_algorithm_key": pa.array(key),
        "batch_created_at": frame.moment(created),
        "batch_assigned_at": frame.moment(assigned),
        "batch_started_at": frame.moment(started),
        "batch_completed_at": frame.moment(completed),
        "total_deliveries": col.integers(size, bits=32),
        "total_orders": col.integers(size, bits=32),
        "planned_total_distance_miles": col.decimals(planned, 8, 2, np.isnan(planned)),
        "actual_total_distance_miles": col.decimals(either(b.driven.miles), 8, 2, ~done),
        "planned_total_time_minutes": col.integers(
            either((b.planned.end - b.planned.start) / 60), np.isnan(planned), bits=32
        ),
        "actual_total_time_minutes": col.integers((completed - started) / 60, ~done, bits=32),
        "total_delivery_fees_cents": col.integers(np.where(there, orders.fee_cents[order], 0).sum(axis=1)),
        "total_tips_cents": col.integers(np.where(there, orders.tip_cents[order], 0).sum(axis=1)),
        "batch_efficiency_score": col.decimals(score, 5, 4, unscored),
        "batch_status": col.labels(status, BATCH_STATUS),
        "cancellation_reason": col.labels(
            np.concatenate([np.zeros(k, np.int64), reason[over]]), WITHDRAWN, np.arange(size.size) < k
        ),
        "date_partition": frame.day(created),
    })  # fmt: skip
    return in_order(table, "batch_id")


def _junction(
    day: Day, frame: Frame, delivery_of: NDArray, driven: NDArray, withdrawn: NDArray, rng: np.random.Generator
) -> tuple[pa.Table, pa.Table]:
    """Junction rows and the events of those that are driven."""
    b, gone, rides = day.batches, day.withdrawn, day.rides
    routes, riding = b.routes, b.routes.riding
    place = np.cumsum(~routes.rides & (routes.order >= 0), axis=1) + riding[:, None]  # of those cancelled
    rows, steps = np.nonzero(routes.drop >= 0)
    place[rows, routes.drop[rows, steps]] = steps + 1

    r1, c1 = np.nonzero((routes.order >= 0) & (driven >= 0)[:, None])
    r2, c2 = np.nonzero((gone.order >= 0) & (withdrawn >= 0)[:, None])
    order = np.concatenate([routes.order[r1, c1], gone.order[r2, c2]])
    rides_here = np.concatenate([routes.rides[r1, c1], np.zeros(r2.size, bool)])

    def either(values: NDArray) -> NDArray:
        return np.concatenate([values[r1, c1], np.full(r2.size, np.nan)])

    created = np.concatenate([b.created[r1], gone.created[r2]])
    picked, dropped, arrived = rides.picked[order], rides.delivered[order], rides.arrived[order]
    got = rides_here & frame.seen(picked)
    done = rides_here & frame.seen(dropped)
    score = 1 + rng.binomial(4, 0.775, order.size)
    quiet = ~done | (rng.random(order.size) > 0.3)
    table = pa.table({
        "batch_delivery_id": numbers(JUNCTION, order.size),
        "batch_id": ids(BATCH, np.concatenate([driven[r1], withdrawn[r2]])),
        "delivery_id": ids(DELIVERY, delivery_of[order]),
        "pickup_sequence": col.integers(np.concatenate([routes.stop[r1, c1], c2 + 1]), bits=32),
        "dropoff_sequence": col.integers(np.concatenate([place[r1, c1], c2 + 1]), bits=32),
        "estimated_pickup_time": _planned(frame, either(b.planned.picked), rides_here),
        "actual_pickup_time": frame.moment(picked, rides_here),
        "estimated_dropoff_time": _planned(frame, either(b.planned.delivered), rides_here),
        "actual_dropoff_time": frame.moment(dropped, rides_here),
        "pickup_wait_time_minutes": col.integers((picked - arrived) / 60, ~got, bits=32),
        "delivery_delay_minutes": col.integers(rides.minutes[order] - rides.eta_minutes[order], ~done, bits=32),
        "estimated_food_temp_at_delivery": col.decimals(
            FOOD_TEMPERATURE - COOLING * (dropped - picked) / 60, 5, 2, ~done
        ),
        "customer_satisfaction_score": col.integers(score, quiet, bits=32),
        "date_partition": frame.day(created),
    })  # fmt: skip
    by = np.lexsort((np.concatenate([place[r1, c1], c2]), np.concatenate([driven[r1], withdrawn[r2]])))
    table = table.take(by).set_column(0, "batch_delivery_id", numbers(JUNCTION, order.size))

    moments = np.stack([arrived, picked, dropped], axis=1)[by]
    moments[~rides_here[by]] = np.nan
    row, kind = np.nonzero(frame.seen(moments))
    when = moments[row, kind]
    events = pa.table({
        "event_id": numbers(EVENT, row.size),
        "batch_delivery_id": ids(JUNCTION, row),
        "event_type": col.labels(kind, ("arrived_at_restaurant", "picked_up", "handed_over")),
        "event_timestamp": frame.moment(when),
        "date_partition": frame.day(when),
    })  # fmt: skip
    return table, events


def _planned(frame: Frame, seconds: NDArray, there: NDArray) -> pa.Array:
    """A plan is known beforehand, so it may lie past the end of the window."""
    return col.timestamps(np.where(there, np.rint(seconds), 0.0), frame.start, ~there)


def _waypoints(world: World, day: Day, frame: Frame, delivery_of: NDArray, driven: NDArray) -> pa.Table:
    """Stops: the start, a row per order picked up, one per customer, the end where the last customer is."""
    b, orders = day.batches, day.orders
    routes, n = b.routes, len(b.routes.order)
    rows = np.arange(n)
    stops = np.where(routes.rides, routes.stop, 0).max(axis=1, initial=0)

    def legs(t: sb.Timeline, origin: NDArray) -> list[tuple[NDArray, ...]]:
        """Per waypoint column: (arrival, departure, miles to next, arrival at next)."""
        first = routes.drop[:, 0]
        ahead = (t.drop_miles[:, 0], t.reached[rows, first])
        out: list[tuple[NDArray, ...]] = []
        for j in range(sb.LARGEST - 1, -1, -1):
            if j + 1 < sb.LARGEST:
                rides, opens = routes.rides[:, j + 1], routes.opens[:, j + 1]
                miles = np.where(rides & opens, t.pickup_miles[:, j + 1], ahead[0])
                reach = np.where(rides & opens, t.arrived[:, j + 1], ahead[1])
                ahead = (np.where(rides, miles, ahead[0]), np.where(rides, reach, ahead[1]))
            out.insert(0, (t.arrived[:, j], t.picked[:, j], *ahead))
        for k in range(sb.LARGEST):
            column = routes.drop[:, k]
            last = routes.riding == k + 1
            after = routes.drop[:, k + 1] if k + 1 < sb.LARGEST else column
            miles = np.where(last, 0.0, t.drop_miles[:, k + 1] if k + 1 < sb.LARGEST else 0.0)
            leave = t.delivered[rows, column]
            reach = np.where(last, leave, t.reached[rows, after])
            out.append((t.reached[rows, column], leave, miles, reach))
        nowhere = np.full(n, np.nan)
        return [(origin, t.start, t.approach_miles, t.arrived[:, 0]), *out, (t.end, nowhere, nowhere, nowhere)]

    actual = legs(b.driven, b.assigned)
    plan = legs(b.planned, b.assigned)
    home, place = orders.at, world.restaurants.at[orders.restaurant]
    here = driven >= 0
    parts: dict[str, list[NDArray]] = {name: [] for name in ("batch", "seq", "kind", "order", "at")}
    picked_rows: list[NDArray] = []
    last_customer = home[routes.order[rows, routes.drop[rows, np.maximum(routes.riding - 1, 0)]]]
    for w in range(2 * sb.LARGEST + 2):
        if w == 0:
            mask, seq, kind, order, at = here, np.ones(n), 0, np.full(n, -1), b.start_at
        elif w <= sb.LARGEST:
            order = routes.order[:, w - 1]
            mask, seq, kind, at = here & routes.rides[:, w - 1], 1 + routes.stop[:, w - 1], 1, place[order]
        elif w <= 2 * sb.LARGEST:
            k = w - sb.LARGEST
            order = routes.order[rows, routes.drop[:, k - 1]]
            mask, seq, kind, at = here & (routes.drop[:, k - 1] >= 0), 1 + stops + k, 2, home[order]
        else:
            mask, seq, kind, order, at = here, 2 + stops + routes.riding, 3, np.full(n, -1), last_customer
        chosen = np.flatnonzero(mask)
        picked_rows.append(chosen)
        parts["batch"].append(driven[chosen])
        parts["seq"].append(np.asarray(seq)[chosen])
        parts["kind"].append(np.full(chosen.size, kind))
        parts["order"].append(order[chosen])
        parts["at"].append(at[chosen])
    data = {k: np.concatenate(v) for k, v in parts.items()}

    def column(which: list[tuple[NDArray, ...]], i: int) -> NDArray:
        return np.concatenate([which[w][i][chosen] for w, chosen in enumerate(picked_rows)])

    order = data["order"].astype(np.int64)
    by = np.lexsort((order, data["seq"], data["batch"]))
    data = {k: v[by] for k, v in data.items()}
    order = order[by]
    arrival, departure, miles, reach = (column(actual, i)[by] for i in range(4))
    planned_arrival, planned_departure = column(plan, 0)[by], column(plan, 1)[by]
    lat, lng = degrees(data["at"])
    on = frame.seen(np.rint(reach))
    created = np.concatenate([b.created[chosen] for chosen in picked_rows])[by]
    minutes = (np.where(on, reach, 0.0) - np.where(on, departure, 0.0)) / 60
    return pa.table({
        "waypoint_id": numbers(WAYPOINT, by.size),
        "batch_id": ids(BATCH, data["batch"]),
        "delivery_id": ids(DELIVERY, np.where(order >= 0, delivery_of[order], -1)),
        "waypoint_type": col.labels(data["kind"], ("driver_start", "restaurant", "customer", "driver_end")),
        "sequence_order": col.integers(data["seq"], bits=32),
        "waypoint_lat": lat,
        "waypoint_lng": lng,
        "estimated_arrival_time": _planned(frame, planned_arrival, ~np.isnan(planned_arrival)),
        "actual_arrival_time": frame.moment(arrival),
        "estimated_departure_time": _planned(frame, planned_departure, ~np.isnan(planned_departure)),
        "actual_departure_time": frame.moment(departure),
        "distance_to_next_miles": col.decimals(np.where(on, miles, 0.0), 6, 2, ~on),
        "drive_time_to_next_minutes": col.integers(minutes, ~on, bits=32),
        "date_partition": frame.day(created),
    })  # fmt: skip


def _state_changes(
    world: World, day: Day, frame: Frame, delivery_of: NDArray, driven: NDArray, withdrawn: NDArray,
    rng: np.random.Generator,
) -> tuple[pa.Table, NDArray]:  # fmt: skip
    """The state log; also why each withdrawn batch was cancelled (index into WITHDRAWN and TRIGGERS)."""
    b, gone, orders = day.batches, day.withdrawn, day.orders
    reason = rng.choice(3, size=withdrawn.size, p=(0.6, 0.25, 0.15))
    n, rows = driven.size, np.arange(driven.size)
    last = orders.at[b.routes.order[rows, b.routes.drop[rows, np.maximum(b.routes.riding - 1, 0)]]]
    unknown = np.full((n, 2), np.nan)
    waits, column = np.nonzero(
        b.routes.rides & b.routes.opens & (b.driven.picked - b.driven.arrived > LONG_WAIT_SECONDS)
    )
    stuck = b.routes.order[waits, column]
    none = np.full(n, -1)
    lost = np.full(withdrawn.size, -1)
    nowhere = np.full((withdrawn.size, 2), np.nan)
    # (batch, moment, state before (-1: none), state after, trigger (-1: none), place, order)
    parts = [
        (driven, b.created, -1, 0, none, unknown, none),
        (driven, b.assigned, 0, 1, none + 4, b.start_at, none),
        (driven, b.started, 1, 2, none + 4, b.start_at, none),
        (driven[waits], np.rint(b.driven.arrived[waits, column] + LONG_WAIT_SECONDS), 2, 2,
         np.full(waits.size, 1), world.restaurants.at[orders.restaurant[stuck]], stuck),
        (driven, b.completed, 2, 3, none + 4, last, none),
        (withdrawn, gone.created, -1, 0, lost, nowhere, lost),
        (withdrawn, gone.cancelled, 0, 4, reason, nowhere, lost),
    ]  # fmt: skip
    batch, when = (np.concatenate([p[i] for p in parts]) for i in (0, 1))
    before, after = (np.concatenate([np.full(p[0].size, p[i]) for p in parts]) for i in (2, 3))
    trigger, at, order = (np.concatenate([p[i] for p in parts]) for i in (4, 5, 6))
    keep = np.flatnonzero(frame.seen(when) & (batch >= 0))
    keep = keep[np.lexsort((after[keep], batch[keep], when[keep]))]
    batch, when, before, after = batch[keep], when[keep], before[keep], after[keep]
    trigger, at, order = trigger[keep], at[keep], order[keep].astype(np.int64)
    unplaced = np.isnan(at[:, 0])
    lat, lng = degrees(np.where(unplaced[:, None], 0.0, at), unplaced)
    table = pa.table({
        "state_change_id": numbers(CHANGE, keep.size),
        "batch_id": ids(BATCH, batch),
        "timestamp": frame.moment(when),
        "previous_state": col.labels(np.maximum(before, 0), BATCH_STATUS, before < 0),
        "new_state": col.labels(after, BATCH_STATUS),
        "change_trigger": col.labels(np.maximum(trigger, 0), TRIGGERS, trigger < 0),
        "driver_lat": lat,
        "driver_lng": lng,
        "affected_delivery_id": ids(DELIVERY, np.where(order >= 0, delivery_of[order], -1)),
        "date_partition": frame.day(when),
    })  # fmt: skip
    return table, reason


def _offers(day: Day, frame: Frame, driven: NDArray, rng: np.random.Generator) -> pa.Table:
    """One accepted offer a batch; before it some go to the next idle driver, who lets them pass."""
    b, n = day.batches, driven.size
    passed = day.trips.following[:n]
    u = rng.random(n)
    refused = np.flatnonzero((u < DECLINED + EXPIRED) & (passed >= 0))
    expired = (u[refused] >= DECLINED).astype(np.int64)
    asked = b.assigned - np.rint(rng.uniform(5, 40, n))
    early = (b.assigned - np.rint(rng.uniform(100, 130, n)))[refused]
    answered = early + np.where(expired, 60.0, np.rint(rng.uniform(5, 50, refused.size)))
    batch = np.concatenate([driven, driven[refused]])
    driver = np.concatenate([b.driver, passed[refused]])
    offered = np.concatenate([asked, early])
    decided = np.concatenate([b.assigned, answered])
    decision = np.concatenate([np.zeros(n, np.int64), 1 + expired])
    keep = np.flatnonzero(frame.seen(offered) & (batch >= 0))
    keep = keep[np.lexsort((batch[keep], offered[keep]))]
    open_ = ~frame.seen(decided[keep])
    return pa.table({
        "offer_id": numbers(OFFER, keep.size),
        "batch_id": ids(BATCH, batch[keep]),
        "driver_id": ids(DRIVER, driver[keep]),
        "offered_at": frame.moment(offered[keep]),
        "decision": col.labels(decision[keep], ("accepted", "declined", "expired"), open_),
        "decided_at": frame.moment(decided[keep]),
        "date_partition": frame.day(offered[keep]),
    })  # fmt: skip
