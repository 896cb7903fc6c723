"""What surrounds the rides: drivers' sessions and pay, complaints, surveys, the price test."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prodsense.simulate import Streams, users
from prodsense.simulate import columns as col
from prodsense.simulate.arrivals import DAY

from .simulate_city import City, Requests
from .simulate_rides import Rides, opt_in_days, sessions

CATEGORIES = ("detour_too_long", "co_passenger_discomfort", "safety_concern", "other")
RIDER_TOPICS = ("price", "travel_time", "co_passenger")
DRIVER_TOPICS = ("earnings", "multi_stop_ease", "instruction_clarity")
CSAT, SHARES_TIP = 4.3, 0.25


def voice_tables(
    city: City, asked: Requests, rides: Rides, streams: Streams, first: tuple[int, int, int]
) -> dict[str, pa.Table]:
    """Tables about rides that have ended; `first` are the first numbers of riders, drivers and rides."""
    rider, driver, ride = first
    ended = np.flatnonzero(rides.end < city.days * DAY)
    return {
        "fact_driver_sessions": _sessions(city, rides, streams, driver),
        "fact_driver_earnings": _earnings(city, rides, ended, streams, driver, ride),
        "support_tickets": _tickets(city, asked, rides, streams, rider, ride),
        "survey_responses": _surveys(city, asked, rides, ended, streams, first),
        "experiment_assignments": _assignments(city, rider),
    }


def _sessions(city: City, rides: Rides, streams: Streams, first: int) -> pa.Table:
    rng = streams("sessions")
    driver, start, end = sessions(rides)
    inside = end < city.days * DAY
    driver, start, end = driver[inside], np.maximum(start[inside], 0.0), end[inside]
    opens = opt_in_days(city.days)[rides.driver_class[driver]]
    # One in eight drivers who have opted in leaves Carpool off now and then.
    opted = (start // DAY >= opens) & ~((driver % 8 == 0) & (rng.random(driver.size) < 0.3))
    return pa.table({
        "driver_session_id": 1 + np.arange(driver.size),
        "driver_user_key": first + driver,
        "session_start_timestamp": col.timestamps(start, city.start),
        "session_end_timestamp": col.timestamps(end, city.start),
        "online_seconds": end - start,
        "carpool_opt_in": col.booleans(opted),
        "session_date": col.dates((start // DAY).astype(np.int64), city.start),
    })  # fmt: skip


def _earnings(city: City, rides: Rides, ended: NDArray, streams: Streams, driver: int, ride: int) -> pa.Table:
    """Pay of each ride, and a tip for some."""
    rng = streams("earnings")
    opens = opt_in_days(city.days)[rides.driver_class[rides.driver[ended]]]
    after = (rides.start[ended] // DAY >= opens) & (opens >= 0)
    lift = 1.0 + city.effects.opt_in_lift * after
    pay = np.round((rides.total_fare - rides.revenue)[ended] * lift * rng.normal(1.0, 0.02, ended.size), 2)
    tipped = rng.random(ended.size) < SHARES_TIP
    which = np.concatenate([ended, ended[tipped]])
    amount = np.concatenate([pay, np.round(rng.gamma(2.0, 1.0, int(tipped.sum())), 2)])
    at = np.minimum(rides.end[which] + np.r_[np.zeros(ended.size), np.full(int(tipped.sum()), 600.0)],
                    city.days * DAY - 1.0)  # fmt: skip
    return pa.table({
        "earning_id": 1 + np.arange(which.size),
        "driver_user_key": driver + rides.driver[which],
        "ride_id": ride + which,
        "earnings_amount": col.decimals(amount, 14, 4),
        "earned_at": col.timestamps(at, city.start),
        "earned_date": col.dates((at // DAY).astype(np.int64), city.start),
    })  # fmt: skip


def _tickets(city: City, asked: Requests, rides: Rides, streams: Streams, rider: int, ride: int) -> pa.Table:
    """Longer detours bring more complaints about them; only shared rides bring any about others."""
    rng = streams("tickets")
    n = rides.of.size
    shared = (rides.riders[rides.of] >= 2).astype(float)
    chance = np.column_stack([
        0.0015 * rides.detour, 0.008 * shared, np.full(n, 0.003), np.full(n, 0.006),
    ])  # fmt: skip
    segment, category = np.nonzero((rng.random((n, 4)) < chance) & (rides.end[rides.of] < city.days * DAY)[:, None])
    at = np.minimum(rides.dropped[segment] + rng.uniform(60, 40_000, segment.size), city.days * DAY - 1.0)
    return pa.table({
        "ticket_id": 1 + np.arange(segment.size),
        "ride_id": ride + rides.of[segment],
        "user_key": rider + asked.rider[rides.request[segment]],
        "category": col.labels(category, CATEGORIES),
        "created_at": col.timestamps(at, city.start),
        "created_date": col.dates((at // DAY).astype(np.int64), city.start),
    })  # fmt: skip


def _surveys(
    city: City, asked: Requests, rides: Rides, ended: NDArray, streams: Streams, first: tuple[int, int, int]
) -> pa.Table:
    """Riders tell how satisfied they are, less so after detours; some also recommend, or answer by topic."""
    rng = streams("surveys")
    rider, driver, ride = first
    parts: list[tuple[NDArray, NDArray, str, str, str | None, NDArray]] = []
    journeys = np.flatnonzero(rides.end[rides.of] < city.days * DAY)
    mood = city.effects.csat_per_detour_minute * rides.detour

    def ask_riders(share: float, kind: str, topic: str | None, mean: float, sd: float, top: int, pooled: bool) -> None:
        some = journeys[rng.random(journeys.size) < share]
        if pooled:
            some = some[rides.pooled[rides.of[some]]]
        people = rider + asked.rider[rides.request[some]]
        scale = 1.0 if top == 5 else 2.0
        scores = users.scores(rng, mean + scale * mood[some], sd, 1 if top == 5 else 0, top)
        parts.append((rides.of[some], people, "rider", kind, topic, scores))

    ask_riders(0.15, "csat", None, CSAT, 0.8, 5, False)
    ask_riders(0.08, "nps", None, 8.4, 1.8, 10, False)
    for topic in RIDER_TOPICS:
        ask_riders(0.06, "csat", topic, 4.0, 0.9, 5, True)
    pooled = ended[rides.pooled[ended]]
    asked_drivers: list[tuple[float, str, str | None, float, float, int]] = [
        (0.12, "dsat", None, 4.1, 0.8, 5), (0.06, "nps", None, 7.9, 1.9, 10),
        *((0.06, "dsat", topic, 3.9, 0.9, 5) for topic in DRIVER_TOPICS),
    ]  # fmt: skip
    for share, kind, about, mean, sd, top in asked_drivers:
        some = pooled[rng.random(pooled.size) < share]
        scores = users.scores(rng, np.full(some.size, mean), sd, 1 if top == 5 else 0, top)
        parts.append((some, driver + rides.driver[some], "driver", kind, about, scores))
    which = np.concatenate([p[0] for p in parts])
    sizes = [p[0].size for p in parts]
    at = np.minimum(rides.end[which] + rng.uniform(30, 7200, which.size), city.days * DAY - 1.0)
    text = lambda place: pa.array([p[place] for p, n in zip(parts, sizes, strict=True) for _ in range(n)], pa.string())  # noqa: E731
    return pa.table({
        "response_id": 1 + np.arange(which.size),
        "user_key": np.concatenate([p[1] for p in parts]),
        "role": text(2), "survey_type": text(3), "question_code": text(4),
        "score": np.concatenate([p[5] for p in parts]).astype(float),
        "ride_id": ride + which,
        "responded_at": col.timestamps(at, city.start),
        "responded_date": col.dates((at // DAY).astype(np.int64), city.start),
    })  # fmt: skip


def _assignments(city: City, rider: int) -> pa.Table:
    inside = np.flatnonzero(city.arm >= 0)
    return pa.table({
        "experiment": pa.array(["carpool_price_test"] * inside.size, pa.string()),
        "user_key": rider + inside,
        "variant": col.labels(city.arm[inside], ("control", "treatment")),
        "assigned_at": col.timestamps(np.full(inside.size, float(city.test_from * DAY)), city.start),
    })  # fmt: skip
