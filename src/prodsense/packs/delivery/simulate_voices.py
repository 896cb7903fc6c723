"""Tables around the deliveries: complaints, surveys, money, online time, algorithm runs, experiments."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from prodsense.simulate import Streams
from prodsense.simulate import columns as col
from prodsense.simulate.arrivals import DAY

from .simulate_frame import BATCH, CUSTOMER, DELIVERY, DRIVER, ORDER, RESTAURANT, Frame, ids, numbers
from .simulate_trips import Day
from .simulate_world import ZONE_NAMES, World

#: Base probabilities of a report about a delivered order.
COLD_FOOD, WRONG_ITEM, OTHER_ISSUE = 0.02, 0.015, 0.008
#: Probability that a restaurant reports a problem with a batched pickup, and at the slow restaurant.
PICKUP_ISSUE, SLOW_PICKUP_ISSUE = 0.02, 0.08
ISSUES = (
    "cold_food", "poor_condition", "wrong_item", "missing_item", "missing_order", "other",
    "drivers_waiting", "congestion",
)  # fmt: skip
#: Mean scores without any effect.
FOOD_QUALITY, OVERALL, BATCHED_PICKUP = 4.25, 4.10, 3.9
DRIVER_TOPICS = (
    ("batching_experience", 3.8), ("instruction_clarity", 4.0), ("pay_fairness", 3.5), ("multi_order_ease", 3.7),
)  # fmt: skip
PROMOTERS, DETRACTORS = 0.45, 0.18
ANSWERS, NPS_ANSWERS, DRIVER_ANSWERS, PICKUP_ANSWERS = 0.10, 0.04, 0.03, 0.03
#: Base pay of an engaged hour, cents; costs beside the driver, cents per order.
PAY_PER_HOUR, SUPPORT_COST, INSURANCE_COST, CANCELLED_COST = 2_000.0, 35, 45, 150
RUN_EVERY_SECONDS = 900
TOLD = ("control", "brief", "detailed")


def voice_tables(
    world: World, day: Day, frame: Frame, delivery_of: NDArray, batch_of: NDArray, streams: Streams
) -> dict[str, pa.Table]:
    """All tables that hang on deliveries, batches and drivers without being part of their way."""
    tickets, refunds = _complaints(world, day, frame, batch_of, streams("complaints"))
    earnings, costs = _money(world, day, frame, delivery_of, batch_of, streams("money"))
    return {
        "support_tickets": tickets,
        "refund_requests": refunds,
        "survey_responses": _surveys(world, day, frame, streams("surveys")),
        "driver_earnings": earnings,
        "driver_online_sessions": _sessions(day, frame),
        "delivery_costs": costs,
        "batching_algorithm_runs": _runs(world, day, frame, streams("runs")),
        "experiment_assignments": _assignments(world, day, frame),
    }


def _score(rng: np.random.Generator, mean: NDArray) -> NDArray:
    """Whole scores 1 to 5 with exactly that mean: 1 plus four tosses of a coin of weight (mean - 1) / 4."""
    return 1 + rng.binomial(4, np.clip((mean - 1.0) / 4.0, 0.0, 1.0))


def _batch_number(day: Day, order: NDArray, batch_of: NDArray) -> NDArray:
    batch = day.rides.batch[order]
    return np.where(batch >= 0, batch_of[np.maximum(batch, 0)], -1) if batch_of.size else np.full(order.size, -1)


def _complaints(
    world: World, day: Day, frame: Frame, batch_of: NDArray, rng: np.random.Generator
) -> tuple[pa.Table, pa.Table]:
    effects, rides, orders = world.effects, day.rides, day.orders
    done = np.flatnonzero(frame.seen(rides.delivered))
    batched = rides.batched[done]
    n = done.size
    cold = rng.random(n) < COLD_FOOD + effects.cold_food_uplift * batched
    wrong = rng.random(n) < WRONG_ITEM + effects.wrong_item_uplift * batched
    other = rng.random(n) < OTHER_ISSUE
    cause_cold = np.where(rng.random(n) < 0.65, 0, 1)
    cause_wrong = 2 + np.searchsorted((0.4, 0.9), rng.random(n))
    # A cold-food report is a ticket, a refund request or both; other reports are tickets, some with a refund.
    way = rng.random(n)
    ticket = np.concatenate([np.flatnonzero(cold & (way < 0.75)), np.flatnonzero(wrong), np.flatnonzero(other)])
    issue = np.concatenate([
        cause_cold[cold & (way < 0.75)], cause_wrong[wrong], np.full(int(other.sum()), 5)
    ])  # fmt: skip
    refund_cold, refund_wrong = cold & (way > 0.45), wrong & (way < 0.5)
    refund = np.concatenate([np.flatnonzero(refund_cold), np.flatnonzero(refund_wrong)])
    reason = np.concatenate([cause_cold[refund_cold], cause_wrong[refund_wrong]])

    picked = np.flatnonzero(frame.seen(rides.picked) & rides.batched)
    chance = np.where(
        (world.restaurants.delay[orders.restaurant[picked]] > 0), SLOW_PICKUP_ISSUE, PICKUP_ISSUE
    )
    by_place = picked[rng.random(picked.size) < chance]
    by_place_issue = 6 + (rng.random(by_place.size) < 0.4)

    order = np.concatenate([done[ticket], by_place])
    issue = np.concatenate([issue, by_place_issue])
    since = np.concatenate([rides.delivered[done[ticket]], rides.picked[by_place]])
    when = since + np.rint(rng.uniform(300, 7200, order.size))
    place = np.r_[np.zeros(ticket.size, bool), np.ones(by_place.size, bool)]
    keep = np.flatnonzero(frame.seen(when))
    keep = keep[np.argsort(when[keep], kind="stable")]
    order, issue, when, place = order[keep], issue[keep], when[keep], place[keep]
    tickets = pa.table({
        "ticket_id": numbers(1, keep.size),
        "order_id": ids(ORDER, order),
        "batch_id": ids(BATCH, np.where(place, _batch_number(day, order, batch_of), -1)),
        "restaurant_id": ids(RESTAURANT, np.where(place, orders.restaurant[order], -1)),
        "customer_id": ids(CUSTOMER, np.where(place, -1, orders.customer[order])),
        "issue_type": col.labels(issue, ISSUES),
        "created_at": frame.moment(when),
        "date_partition": frame.day(when),
    })  # fmt: skip

    order = done[refund]
    when = rides.delivered[order] + np.rint(rng.uniform(600, 86_400, order.size))
    amount = np.rint(orders.total_cents[order] * rng.choice((0.25, 0.5, 1.0), order.size))
    keep = np.flatnonzero(frame.seen(when))
    keep = keep[np.argsort(when[keep], kind="stable")]
    refunds = pa.table({
        "refund_request_id": numbers(1, keep.size),
        "order_id": ids(ORDER, order[keep]),
        "reason": col.labels(reason[keep], ISSUES),
        "amount_cents": col.integers(amount[keep], bits=32),
        "requested_at": frame.moment(when[keep]),
        "date_partition": frame.day(when[keep]),
    })  # fmt: skip
    return tickets, refunds


def _surveys(world: World, day: Day, frame: Frame, rng: np.random.Generator) -> pa.Table:
    effects, rides, orders, people = world.effects, day.rides, day.orders, world.customers
    done = np.flatnonzero(frame.seen(rides.delivered))
    asked = done[rng.random(done.size) < ANSWERS]
    batched, frequent = rides.batched[asked], rides.often_batched[asked]
    told = people.told[orders.customer[asked]] / 2.0
    food = _score(rng, FOOD_QUALITY + effects.food_quality_drop * batched)
    overall = _score(
        rng, OVERALL + effects.frequent_csat_drop * frequent + effects.transparency_csat * told * batched
    )

    polled = done[rng.random(done.size) < NPS_ANSWERS]
    shift = effects.frequent_promoter_drop * rides.often_batched[polled]
    u = rng.random(polled.size)
    likely = np.where(
        u < PROMOTERS + shift, rng.integers(9, 11, polled.size),
        np.where(u > 1.0 - DETRACTORS + shift / 2, rng.integers(0, 7, polled.size), rng.integers(7, 9, polled.size)),
    )  # fmt: skip

    sessions = np.flatnonzero(frame.seen(day.sessions.offline))
    sessions = sessions[rng.random(sessions.size) < DRIVER_ANSWERS]
    handed = np.flatnonzero(frame.seen(rides.picked) & rides.batched)
    handed = handed[rng.random(handed.size) < PICKUP_ANSWERS]
    slow = world.restaurants.delay[orders.restaurant[handed]] > 0
    pickup = _score(rng, BATCHED_PICKUP - 0.5 * slow)

    topics = ("food_quality", "overall", "nps", *(name for name, _ in DRIVER_TOPICS), "batched_pickup")
    later = np.rint(rng.uniform(600, 20_000, done.size if done.size else 1))

    def part(
        topic: int, who: str, number: NDArray, order: NDArray, score: NDArray, when: NDArray
    ) -> dict[str, NDArray]:
        none = np.full(number.size, -1)
        return {
            "topic": np.full(number.size, topic), "order": order, "score": score, "when": when,
            **{name: number if name == who else none for name in ("customer", "driver", "restaurant")},
        }  # fmt: skip

    after = rides.delivered[asked] + later[: asked.size]
    parts = [
        part(0, "customer", orders.customer[asked], asked, food, after),
        part(1, "customer", orders.customer[asked], asked, overall, after),
        part(2, "customer", orders.customer[polled], polled, likely, rides.delivered[polled] + 86_400 / 2),
        part(7, "restaurant", orders.restaurant[handed], handed, pickup, rides.picked[handed] + 3600),
    ]
    for i, (_, mean) in enumerate(DRIVER_TOPICS):
        score = _score(rng, np.full(sessions.size, mean))
        who = day.sessions.driver[sessions]
        after = day.sessions.offline[sessions] + 300
        parts.append(part(3 + i, "driver", who, np.full(sessions.size, -1), score, after))
    data = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    keep = np.flatnonzero(frame.seen(data["when"]))
    keep = keep[np.argsort(data["when"][keep], kind="stable")]
    data = {name: values[keep] for name, values in data.items()}
    nps = data["topic"] == 2
    return pa.table({
        "response_id": numbers(1, keep.size),
        "order_id": ids(ORDER, data["order"]),
        "customer_id": ids(CUSTOMER, data["customer"]),
        "driver_id": ids(DRIVER, data["driver"]),
        "restaurant_id": ids(RESTAURANT, data["restaurant"]),
        "question": col.labels(data["topic"], topics),
        "score": col.decimals(data["score"], 5, 2, nps),
        "nps_score": col.integers(data["score"], ~nps, bits=32),
        "responded_at": frame.moment(data["when"]),
        "date_partition": frame.day(data["when"]),
    })  # fmt: skip


def _money(
    world: World, day: Day, frame: Frame, delivery_of: NDArray, batch_of: NDArray, rng: np.random.Generator
) -> tuple[pa.Table, pa.Table]:
    """Earnings: base pay per trip and the tip of each order. Costs: base pay shared, support, insurance."""
    rides, orders, trips, b = day.rides, day.orders, day.trips, day.batches
    batches = b.created.size
    done = frame.seen(rides.delivered)
    last = np.full(trips.start.size, -np.inf)
    first = np.full(trips.start.size, np.inf)
    on_trip = np.flatnonzero(rides.trip >= 0)
    np.maximum.at(last, rides.trip[on_trip], rides.delivered[on_trip])
    np.minimum.at(first, rides.trip[on_trip], rides.assigned[on_trip])
    carried = np.bincount(rides.trip[on_trip], minlength=trips.start.size)
    shared = np.zeros(trips.start.size, bool)
    shared[rides.trip[on_trip]] = rides.batched[on_trip]
    pay = PAY_PER_HOUR * (last - first) / 3600 * (1.0 + world.effects.earnings_uplift * shared)
    pay = np.rint(pay * np.clip(rng.normal(1.0, 0.08, pay.size), 0.7, 1.3))
    only = np.full(trips.start.size, -1, np.int64)
    alone = on_trip[~rides.batched[on_trip]]
    only[rides.trip[alone]] = alone

    paid = np.flatnonzero(frame.seen(last))
    tipped = np.flatnonzero(done & (orders.tip_cents > 0))
    batch = np.full(trips.start.size, -1, np.int64)
    batch[:batches] = batch_of
    order = np.concatenate([only[paid], tipped])
    of_batch = np.concatenate([batch[paid], _batch_number(day, tipped, batch_of)])
    when = np.concatenate([last[paid], rides.delivered[tipped]])
    who = np.concatenate([trips.driver[paid], rides.driver[tipped]])
    amount = np.concatenate([pay[paid], orders.tip_cents[tipped]])
    by = np.argsort(when, kind="stable")
    earnings = pa.table({
        "earning_id": numbers(1, by.size),
        "driver_id": ids(DRIVER, who[by]),
        "delivery_id": ids(DELIVERY, np.where(order >= 0, delivery_of[order], -1)[by]),
        "batch_id": ids(BATCH, of_batch[by]),
        "amount_cents": col.integers(amount[by]),
        "earned_at": frame.moment(when[by]),
        "date_partition": frame.day(when[by]),
    })  # fmt: skip

    got = np.flatnonzero(done)
    share = np.rint(pay[rides.trip[got]] / carried[rides.trip[got]])
    lost = np.flatnonzero(rides.cancelled >= 0)
    parts = (
        (got, 0, share, rides.delivered[got]),
        (got, 1, np.full(got.size, SUPPORT_COST), rides.delivered[got]),
        (got, 2, np.full(got.size, INSURANCE_COST), rides.delivered[got]),
        (lost, 1, np.full(lost.size, CANCELLED_COST), orders.placed[lost].astype(float)),
    )
    order, amount, when = (np.concatenate([p[i] for p in parts]) for i in (0, 2, 3))
    kind = np.concatenate([np.full(p[0].size, p[1]) for p in parts])
    by = np.lexsort((kind, order))
    costs = pa.table({
        "cost_id": numbers(1, by.size),
        "order_id": ids(ORDER, order[by]),
        "cost_type": col.labels(kind[by], ("driver_pay", "support", "insurance")),
        "amount_cents": col.integers(amount[by]),
        "incurred_at": frame.moment(when[by]),
        "date_partition": frame.day(when[by]),
    })  # fmt: skip
    return earnings, costs


def _sessions(day: Day, frame: Frame) -> pa.Table:
    s = day.sessions
    # A shift that began before the window shows from its first moment on.
    online = np.maximum(s.online, 0.0)
    keep = np.flatnonzero(frame.seen(online) & (s.offline > online))
    keep = keep[np.lexsort((s.driver[keep], online[keep]))]
    return pa.table({
        "session_id": numbers(1, keep.size),
        "driver_id": ids(DRIVER, s.driver[keep]),
        "online_at": frame.moment(online[keep]),
        "offline_at": frame.moment(s.offline[keep]),
        "date_partition": frame.day(online[keep]),
    })  # fmt: skip


def _runs(world: World, day: Day, frame: Frame, rng: np.random.Generator) -> pa.Table:
    """One run per algorithm and quarter of an hour with open orders; its time grows with their number."""
    orders = day.orders
    slots = world.days * DAY // RUN_EVERY_SECONDS
    pooled = orders.algorithm >= 0
    cell = orders.algorithm[pooled] * slots + orders.placed[pooled] // RUN_EVERY_SECONDS
    load = np.bincount(cell, minlength=len(world.algorithms) * slots)
    cell = np.flatnonzero(load)
    load, algorithm = load[cell].astype(float), cell // slots
    cost = np.array([a.run_seconds for a in world.algorithms])
    cost = cost[0] + world.effects.run_time_growth * (cost - cost[0])
    seconds = (cost[algorithm] * np.column_stack([np.ones(load.size), load, load**2])).sum(axis=1)
    seconds *= rng.lognormal(-0.02, 0.2, load.size)  # mean 1
    started = (cell % slots + 1.0) * RUN_EVERY_SECONDS + rng.integers(0, 5, load.size)
    finished = started + seconds
    by = np.lexsort((algorithm, started))
    by = by[frame.seen(started[by])]
    start = started[by]
    return pa.table({
        "run_id": numbers(1, by.size),
        "batching_algorithm_key": pa.array(np.array([a.key for a in world.algorithms])[algorithm[by]]),
        "started_at": frame.moment(start),
        "finished_at": _exact(frame, finished[by]),
        "orders_considered": col.integers(load[by], bits=32),
        "date_partition": frame.day(start),
    })  # fmt: skip


def _exact(frame: Frame, seconds: NDArray) -> pa.Array:
    """Moments to the microsecond: runs take fractions of a second."""
    return col.timestamps(seconds, frame.start, ~frame.seen(seconds))


def _assignments(world: World, day: Day, frame: Frame) -> pa.Table:
    """Arms: orders by the algorithm of their zone and day (two of them in a test, all in the traffic split),
    customers by what they are told."""
    orders, people = day.orders, world.customers
    name = np.array([*(a.name for a in world.algorithms), ""])[orders.algorithm]
    new = name == "ml_optimized"
    inside = np.flatnonzero((new | (name == "nearest_neighbor")) & (orders.day >= world.test_from))
    who = np.flatnonzero(people.joined < world.days)
    routed = np.flatnonzero(orders.algorithm >= 0)
    placed = np.concatenate([inside, routed])
    when = np.concatenate([
        orders.placed[inside], np.maximum(people.joined[who], 0.0) * DAY, orders.placed[routed],
    ])  # fmt: skip
    text = pa.concat_arrays([
        pa.array(ORDER + inside).cast(pa.string()), pa.array(CUSTOMER + who).cast(pa.string()),
        pa.array(ORDER + routed).cast(pa.string()),
    ])  # fmt: skip
    algorithms = [f"{a.name} {a.version}" for a in world.algorithms]
    arm = np.concatenate([
        np.where(new[inside], 1, 0), np.where(people.told[who] > 0, 1 + people.told[who], 0),
        4 + orders.algorithm[routed],
    ])  # fmt: skip
    test = np.repeat([0, 1, 2], [inside.size, who.size, routed.size])
    blocks = pc.binary_join_element_wise(
        pa.array(np.array(ZONE_NAMES)[orders.zone[placed]]), pa.array(orders.day[placed]).cast(pa.string()), " "
    )
    tests = ("batching_algorithm_ab_test", "batching_transparency_test", "algorithm_traffic_split")
    return pa.table({
        "assignment_id": numbers(1, when.size),
        "experiment": col.labels(test, tests),
        "unit_type": col.labels(test, ("order", "customer", "order")),
        "unit_id": text,
        "variant": col.labels(arm, ("control", "treatment", "brief", "detailed", *algorithms)),
        "assigned_at": frame.moment(when),
        "block": pa.concat_arrays([
            blocks.slice(0, inside.size), pa.nulls(who.size, pa.string()), blocks.slice(inside.size)
        ]),
    })  # fmt: skip
