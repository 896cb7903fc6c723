"""Rides out of requests: who shares a car, how long it takes, who drives, what it costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prodsense.simulate import Streams, slots
from prodsense.simulate.arrivals import DAY

from .simulate_city import CARPOOL, CITIES, SECONDS_A_MILE, SUMMIT, City, Requests

#: Riders of one city who ask for Carpool within so many seconds of each other share a car, at most so many.
TOGETHER, MOST = 600.0, 4
#: Minutes that each further rider adds to a journey, and miles for each such minute.
DETOUR_MINUTES, DETOUR_MILES = 3.0, 0.3
BASE_FARE, FARE_A_MILE = 2.0, 2.2
TAKE = {True: 0.22, False: 0.25}
#: Drivers by when they opt in to Carpool: before the first day, at a quarter, at half of the time, or never.
CLASSES = 4
NEVER_OPTS = 3
#: Sessions end where the next ride is more than so long away, or after so long.
BREAK, LONGEST = 2 * 3600.0, 10 * 3600.0


@dataclass(frozen=True)
class Rides:
    """Rides (start, end ...) and the journeys in them (`of`: ride of each, `request`: what was asked)."""

    of: NDArray
    request: NDArray
    picked: NDArray
    dropped: NDArray
    miles: NDArray
    fare: NDArray
    detour: NDArray
    pickup_place: NDArray
    dropoff_place: NDArray
    start: NDArray
    end: NDArray
    pooled: NDArray
    city: NDArray
    distance: NDArray
    total_fare: NDArray
    revenue: NDArray
    cost: NDArray
    driver: NDArray
    driver_class: NDArray
    #: The driver whose sequences are wrong; -1 for none.
    bad_driver: int

    @property
    def riders(self) -> NDArray:
        return np.bincount(self.of, minlength=self.start.size)


def opt_in_days(days: int) -> NDArray:
    """First day on which drivers of each class take Carpool."""
    return np.array([-1, days // 4, days // 2, 10**6])


def make_rides(city: City, asked: Requests, streams: Streams) -> Rides:
    rng, effects = streams("rides"), city.effects
    going = np.flatnonzero(asked.matched & (asked.cancelled == 0))
    pooled = asked.kind[going] == CARPOOL
    # Carpool requests of a city by time: a car is full, or the next is too late, and another begins.
    order = np.lexsort((asked.at[going], asked.city[going], ~pooled))
    going, pooled = going[order], pooled[order]
    apart = np.ones(going.size, bool)
    apart[1:] = (
        ~pooled[1:] | (asked.city[going][1:] != asked.city[going][:-1])
        | (asked.at[going][1:] - asked.at[going][:-1] > TOGETHER)
    )  # fmt: skip
    run = np.cumsum(apart) - 1
    first_of_run = np.flatnonzero(apart)
    of = np.cumsum(apart | ((np.arange(going.size) - first_of_run[run]) % MOST == 0)) - 1
    riders = np.bincount(of)
    others = riders[of] - 1.0

    day = asked.at[going] // DAY
    minutes = np.full(going.size, DETOUR_MINUTES)
    minutes += np.where(asked.city[going] == SUMMIT, effects.summit_detour, 0.0)
    minutes += np.where((asked.city[going] == SUMMIT) & (day >= city.surge_from), effects.detour_surge, 0.0)
    detour = others * minutes * rng.gamma(4.0, 0.25, going.size)
    direct = asked.miles[going]
    picked = asked.at[going] + asked.wait[going]
    dropped = np.round(picked + direct * SECONDS_A_MILE + detour * 60)
    miles = np.round(direct + detour * DETOUR_MILES, 2)
    size = riders.size
    start, end, longest = np.full(size, np.inf), np.zeros(size), np.zeros(size)
    np.minimum.at(start, of, picked)
    np.maximum.at(end, of, dropped)
    np.maximum.at(longest, of, miles)
    summed = np.bincount(of, weights=miles)
    distance = np.round(longest + 0.25 * (summed - longest), 2)
    fare = np.round((BASE_FARE + FARE_A_MILE * direct) * np.where(pooled, 1.0 - effects.fare_discount, 1.0)
                    * rng.normal(1.0, 0.03, going.size), 2)  # fmt: skip
    first = np.flatnonzero(np.r_[True, of[1:] != of[:-1]])
    ride_pooled, ride_city = pooled[first], asked.city[going][first]
    total = np.round(np.bincount(of, weights=fare), 2)
    revenue = np.round(total * np.where(ride_pooled, TAKE[True], TAKE[False]), 2)
    cost = np.round(0.5 + 0.07 * distance + 0.1 * riders, 2)
    driver, of_class = _drivers(city, rng, start, end, ride_pooled, ride_city)
    shared = np.bincount(driver[(riders >= 2) & ride_pooled], minlength=int(driver.max(initial=0)) + 1)
    bad = int(shared.argmax()) if effects.bad_sequences > 0 and shared.any() else -1
    return Rides(
        of, going, picked, dropped, miles, fare, detour, asked.origin[going], asked.target[going], start, end,
        ride_pooled, ride_city, distance, total, revenue, cost, driver, of_class, bad,
    )  # fmt: skip


def _drivers(
    city: City, rng: np.random.Generator, start: NDArray, end: NDArray, pooled: NDArray, where: NDArray
) -> tuple[NDArray, NDArray]:
    """A driver for each ride, never two rides at once; Carpool only with those who have opted in. Class by driver."""
    opens = opt_in_days(city.days)
    allowed = np.where(pooled, np.searchsorted(opens, start // DAY, side="right"), CLASSES)
    chosen = np.minimum((rng.random(start.size) * allowed).astype(np.int64), CLASSES - 1)
    group = where * CLASSES + chosen
    filled = slots.fill(start, end + 60.0, group, len(CITIES) * CLASSES, spare=0.35, extra=1)
    first = np.concatenate([[0], np.cumsum(filled.workers)])
    return first[group] + filled.worker, np.repeat(np.tile(np.arange(CLASSES), len(CITIES)), filled.workers)


def sessions(rides: Rides) -> tuple[NDArray, NDArray, NDArray]:
    """Driver, start and end of sessions: rides that follow each other within two hours, and some time around them."""
    order = np.lexsort((rides.start, rides.driver))
    driver, start, end = rides.driver[order], rides.start[order], rides.end[order]
    gap = np.r_[np.inf, start[1:] - end[:-1]]
    new = np.r_[True, driver[1:] != driver[:-1]] | (gap > BREAK)
    # Long runs are cut where they would last too long.
    begun = start[np.maximum.accumulate(np.where(new, np.arange(start.size), 0))]
    slot = np.floor((start - begun) / LONGEST)
    new |= np.r_[False, slot[1:] != slot[:-1]]
    first = np.flatnonzero(new)
    last = np.r_[first[1:] - 1, start.size - 1]
    same = np.r_[False, driver[first][1:] == driver[first][:-1]]
    room = np.where(same, (start[first] - np.r_[0.0, end[last][:-1]]) / 2, np.inf)
    opens = start[first] - np.minimum(room, 900.0)
    follows = np.r_[np.where(same[1:], room[1:], np.inf), np.inf]
    return driver[first], np.ceil(opens), np.floor(end[last] + np.minimum(follows, 900.0))
