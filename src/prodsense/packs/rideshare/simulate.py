"""A made-up ride service in four cities that launches Carpool zone by zone: every table, with planted truths.

Riders ask, wait, cancel or ride; Carpool riders of one zone and moment share a car; drivers opt in, drive and are paid.
What is planted is listed in :class:`Effects` and comes back in `truth`; everything else is chance. With ``clean=True``
nothing is planted.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prodsense.packs.planted import Made, Setting, simulator
from prodsense.simulate import Streams
from prodsense.simulate import columns as col
from prodsense.simulate.arrivals import DAY

from .simulate_city import (
    AGES,
    BEFORE,
    CARPOOL_CHANCE,
    CITIES,
    GENDERS,
    LAKESIDE,
    NEVER,
    PLACES_A_ZONE,
    SENSITIVITY,
    SUMMIT,
    ZONES,
    City,
    Effects,
    Requests,
    make_city,
    make_requests,
)  # fmt: skip
from .simulate_rides import SECONDS_A_MILE, Rides, make_rides, opt_in_days
from .simulate_voices import voice_tables

#: First number of each kind of thing.
RIDER, DRIVER, VEHICLE, LOCATION = 100_001, 500_001, 9_001, 1
RIDE, SEGMENT, REQUEST = 10_000_001, 20_000_001, 30_000_001
VEHICLES = (("sedan", 0.35), ("suv", 0.45), ("electric", 0.1))


@simulator(Effects, days=63, of="a ride service", size="about 1,400 requests a day")
def simulate(given: Setting[Effects]) -> Made:
    streams = given.streams
    city = make_city(given.start, given.days, given.scale, streams, given.effects)
    asked = make_requests(city, given.scale, streams)
    rides = make_rides(city, asked, streams)
    tables = {
        "dim_users": _users(city, rides, streams),
        "dim_location": _locations(),
        "dim_ride_type": pa.table({"ride_type_key": [1, 2], "ride_type_name": ["Carpool", "Regular"]}),
        "dim_vehicle": _vehicles(rides),
        "dim_date": _dates(city),
        "dim_time": _times(),
        **_rides(city, asked, rides, streams),
        **voice_tables(city, asked, rides, streams, (RIDER, DRIVER, RIDE)),
    }
    return tables, lambda: describe(city, asked, rides)


def _users(city: City, rides: Rides, streams: Streams) -> pa.Table:
    rng = streams("people")
    riders, drivers = city.rider_since.size, rides.driver_class.size
    opens = opt_in_days(city.days)[rides.driver_class]
    joined = np.where(opens > 0, -rng.uniform(1, 1500, drivers), -rng.uniform(30, 1500, drivers))
    opted = np.where(opens < 0, np.maximum(joined, -20.0), opens - rng.random(drivers))
    since = np.concatenate([city.rider_since, joined])
    none = np.concatenate([np.zeros(riders, bool), np.ones(drivers, bool)])
    return pa.table({
        "user_key": np.concatenate([RIDER + np.arange(riders), DRIVER + np.arange(drivers)]),
        "user_type": col.labels(none.astype(int), ("rider", "driver")),
        "created_at": col.timestamps(np.round(since * DAY), city.start),
        "age_band": col.labels(rng.choice(len(AGES), none.size, p=[0.2, 0.3, 0.22, 0.16, 0.12]), AGES, none),
        "gender": col.labels(rng.choice(3, none.size, p=[0.48, 0.48, 0.04]), GENDERS, none),
        "price_sensitivity_segment": col.labels(
            np.concatenate([city.sensitivity, np.zeros(drivers, int)]), SENSITIVITY, none
        ),
        "driver_rating": pa.array(np.round(np.clip(rng.normal(4.6, 0.25, none.size), 1, 5), 2), mask=~none),
        "carpool_opt_in_timestamp": col.timestamps(
            np.concatenate([np.zeros(riders), np.round(np.minimum(opted, city.days) * DAY)]), city.start,
            np.concatenate([np.ones(riders, bool), opens >= NEVER]),
        ),
        "is_internal": col.booleans(np.concatenate([city.internal, np.zeros(drivers, bool)])),
    })  # fmt: skip


def _locations() -> pa.Table:
    size = len(CITIES) * len(ZONES) * PLACES_A_ZONE
    zone = np.arange(size) // PLACES_A_ZONE
    return pa.table({
        "location_key": LOCATION + np.arange(size),
        "city": col.labels(zone // len(ZONES), CITIES),
        "zone": col.labels(zone % len(ZONES), ZONES),
    })  # fmt: skip


def _vehicles(rides: Rides) -> pa.Table:
    size = rides.driver_class.size
    kind = np.arange(size) % len(VEHICLES)
    return pa.table({
        "vehicle_key": VEHICLE + np.arange(size),
        "vehicle_type": col.labels(kind, [name for name, _ in VEHICLES]),
        "emission_factor": np.array([factor for _, factor in VEHICLES])[kind],
        "seats": col.integers(np.where(kind == 1, 6, 4), bits=32),
    })  # fmt: skip


def _dates(city: City) -> pa.Table:
    days = [city.start + timedelta(days=n) for n in range(city.days + 1)]
    return pa.table({
        "date_key": [int(day.strftime("%Y%m%d")) for day in days],
        "full_date": pa.array(days, pa.date32()),
        "day_of_week": [day.strftime("%A") for day in days],
        "is_weekend": [day.weekday() >= 5 for day in days],
    })  # fmt: skip


def _times() -> pa.Table:
    minute = np.arange(24 * 60)
    return pa.table({
        "time_key": minute // 60 * 100 + minute % 60,
        "hour": col.integers(minute // 60, bits=32),
        "minute": col.integers(minute % 60, bits=32),
    })  # fmt: skip


def _rank(of: NDArray, moment: NDArray) -> NDArray:
    """Place of each journey among those of its ride by time, from 1."""
    order = np.lexsort((np.arange(of.size), moment, of))
    first = np.flatnonzero(np.r_[True, of[order][1:] != of[order][:-1]])
    place = np.empty(of.size, np.int64)
    place[order] = np.arange(of.size) - np.repeat(first, np.diff(np.r_[first, of.size])) + 1
    return place


def _rides(city: City, asked: Requests, rides: Rides, streams: Streams) -> dict[str, pa.Table]:
    """Rides, journeys and requests. Rides that end after the last midnight, and a few no-shows, have no end."""
    rng = streams("details")
    done = (rides.end < city.days * DAY) & (rng.random(rides.start.size) > 0.004)
    ended = done[rides.of]
    picks, drops = _rank(rides.of, rides.picked), _rank(rides.of, rides.dropped)
    riders = rides.riders
    if rides.bad_driver >= 0:
        wrong = (rides.driver[rides.of] == rides.bad_driver) & rides.pooled[rides.of]
        wrong &= rng.random(rides.start.size)[rides.of] < city.effects.bad_sequences
        picks = np.where(wrong, riders[rides.of] + 1 - picks, picks)
    start = np.floor(rides.start)
    # Where the first rider gets in, and the last one out.
    first, last = np.zeros(start.size, np.int64), np.zeros(start.size, np.int64)
    earliest, latest = _rank(rides.of, rides.picked) == 1, drops == riders[rides.of]
    first[rides.of[earliest]] = rides.pickup_place[earliest]
    last[rides.of[latest]] = rides.dropoff_place[latest]
    day = (start // DAY).astype(np.int64)
    keys = np.array([int((city.start + timedelta(days=int(n))).strftime("%Y%m%d")) for n in range(city.days + 2)])
    dated = np.minimum(day, city.days + 1)
    known = day <= city.days
    clock = (start % DAY // 60).astype(np.int64)
    table = pa.table({
        "ride_id": RIDE + np.arange(start.size),
        "driver_user_key": DRIVER + rides.driver,
        "ride_type_key": np.where(rides.pooled, 1, 2),
        "vehicle_key": VEHICLE + rides.driver,
        "start_location_key": LOCATION + first,
        "end_location_key": LOCATION + last,
        "start_timestamp": col.timestamps(start, city.start),
        "end_timestamp": col.timestamps(rides.end, city.start, ~done),
        "total_fare": col.decimals(rides.total_fare, 14, 4, ~done),
        "total_distance": col.decimals(rides.distance, 14, 4, ~done),
        "total_duration": col.integers(rides.end - start, ~done, bits=32),
        "platform_revenue": col.decimals(rides.revenue, 14, 4, ~done),
        "platform_cost": col.decimals(rides.cost, 14, 4, ~done),
        "date_key": pa.array(keys[dated], mask=~known),
        "time_key": clock // 60 * 100 + clock % 60,
        "ride_date": col.dates(day, city.start),
    })  # fmt: skip
    seen = start < city.days * DAY
    miles = asked.miles[rides.request]
    segments = pa.table({
        "ride_segment_id": SEGMENT + np.arange(rides.of.size),
        "ride_id": RIDE + rides.of,
        "rider_user_key": RIDER + asked.rider[rides.request],
        "segment_pickup_timestamp": col.timestamps(rides.picked, city.start),
        "segment_dropoff_timestamp": col.timestamps(rides.dropped, city.start, ~ended),
        "segment_pickup_location_key": LOCATION + rides.pickup_place,
        "segment_dropoff_location_key": LOCATION + rides.dropoff_place,
        "segment_fare": col.decimals(rides.fare, 14, 4),
        "segment_distance": col.decimals(rides.miles, 14, 4, ~ended),
        "pickup_sequence_in_ride": col.integers(picks, bits=32),
        "dropoff_sequence_in_ride": col.integers(drops, ~ended, bits=32),
        "direct_duration_estimate": np.round(miles * SECONDS_A_MILE),
        "direct_distance_estimate": col.decimals(miles, 14, 4),
        "request_id": REQUEST + rides.request,
        "segment_date": col.dates((rides.picked // DAY).astype(np.int64), city.start),
    })  # fmt: skip
    return {
        "fact_rides": table.filter(pa.array(seen)),
        "fact_ride_segments": segments.filter(pa.array(seen[rides.of])),
        "fact_ride_requests": _requests(city, asked, rides, seen, rng),
    }


def _requests(city: City, asked: Requests, rides: Rides, seen: NDArray, rng: np.random.Generator) -> pa.Table:
    n = asked.at.size
    ride = np.full(n, -1)
    ride[rides.request] = np.where(seen[rides.of], rides.of, -1)
    weekday = (city.start.weekday() + asked.at // DAY) % 7 < 5
    hour = asked.at % DAY // 3600
    rush = weekday & (((hour >= 7) & (hour < 10)) | ((hour >= 16) & (hour < 19)))
    commute = rng.random(n) < np.where(rush, 0.8, 0.15)
    gone = asked.cancelled > 0
    late = asked.cancelled_after > asked.eta
    told = gone & (asked.cancelled == 1) & (rng.random(n) < 0.4)
    reason = np.where(~asked.matched, 2, np.where(late, 0, 1))
    return pa.table({
        "request_id": REQUEST + np.arange(n),
        "rider_user_key": RIDER + asked.rider,
        "requested_ride_type": col.labels(asked.kind - 1, ("Carpool", "Regular")),
        "request_timestamp": col.timestamps(asked.at, city.start),
        "match_status": col.labels(asked.matched.astype(int), ("unmatched", "matched")),
        "eta_seconds": asked.eta,
        "cancelled_by": col.labels(np.maximum(asked.cancelled - 1, 0), ("rider", "driver"), ~gone),
        "cancelled_timestamp": col.timestamps(asked.at + asked.cancelled_after, city.start, ~gone),
        "cancel_reason": col.labels(reason, ("poor_eta", "long_wait", "matching_problem"), ~told),
        "trip_purpose": col.labels(commute.astype(int), ("leisure", "commute")),
        "pickup_location_key": LOCATION + asked.origin,
        "dropoff_location_key": LOCATION + asked.target,
        "direct_distance_estimate": col.decimals(asked.miles, 14, 4),
        "ride_id": pa.array(RIDE + ride, mask=ride < 0),
        "request_date": col.dates((asked.at // DAY).astype(np.int64), city.start),
    })  # fmt: skip


def describe(city: City, asked: Requests, rides: Rides) -> dict[str, Any]:
    """What was planted, each with its size, unit and place. Sizes are those of the process, not of a sample."""
    effects = city.effects
    day = lambda n: (city.start + timedelta(days=int(n))).isoformat()  # noqa: E731
    names = [f"{CITIES[z // len(ZONES)]}, {ZONES[z % len(ZONES)]}" for z in range(city.launch.size)]
    opens = opt_in_days(city.days)[rides.driver_class]
    return {
        "carpool_launch": {
            "unit": "requests of a zone from its launch on, as a fraction more", "effect": effects.launch_volume,
            "launched": {
                name: day(n) if n != BEFORE else None
                for name, n in zip(names, city.launch, strict=True) if n != NEVER
            },
            "never": [name for name, n in zip(names, city.launch, strict=True) if n == NEVER],
        },
        "carpool_share": {
            "unit": "chance to ask for Carpool where it runs, outside the price test",
            **dict(zip(SENSITIVITY, map(float, CARPOOL_CHANCE), strict=True)),
        },
        "carpool_price_test": {
            "unit": "chance to ask for Carpool where it runs, treatment minus control", "effect": effects.price_test,
            "from": day(city.test_from),
        },
        "fare_discount": {"unit": "fraction of the Regular fare of the same journey", "effect": effects.fare_discount},
        "detour": {
            "unit": "minutes more for each further rider", "city": CITIES[SUMMIT], "effect": effects.summit_detour,
            "surge": effects.detour_surge, "surge_from": day(city.surge_from),
        },
        "cancellations": {
            "unit": "chance that a rider cancels, a minute of wait", "effect": effects.cancel_per_minute,
            "city": CITIES[LAKESIDE], "wait_surge": effects.wait_surge, "surge_from": day(city.surge_from),
        },
        "bad_sequences": {
            "unit": "share of the driver's shared rides", "effect": effects.bad_sequences,
            "driver_user_key": DRIVER + rides.bad_driver if rides.bad_driver >= 0 else None,
        },
        "opt_in": {
            "unit": "earnings of a ride after the opt-in, as a fraction more", "effect": effects.opt_in_lift,
            "drivers": int(((opens >= 0) & (opens < NEVER)).sum()),
        },
        "satisfaction": {"unit": "score 1-5 a minute of detour", "effect": effects.csat_per_detour_minute},
    }  # fmt: skip
