"""Who rides and drives where, and what they ask for: cities, zones, riders, requests. Where launches are planted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from prodsense.packs.planted import PlantedEffects
from prodsense.simulate import Streams, geography, users
from prodsense.simulate.arrivals import DAY, day_weights, moments

CITIES = ("Northport", "Lakeside", "Summit", "Riverton")
LAKESIDE, SUMMIT = 1, 2
ZONES = ("Centre", "Airport", "Harbor", "University", "Uptown", "Mills", "Park", "Station")
PLACES_A_ZONE = 3
RADIUS_MILES, SPREAD_MILES = 3.5, 0.6
#: Streets are that much longer than the straight line; seconds a mile takes.
STREETS, SECONDS_A_MILE = 1.3, 180.0
#: Requests a zone and day at scale 1, and riders of a city for each of a day's requests in it.
REQUESTS, RIDERS_A_REQUEST = 40.0, 3.0
#: Relative demand of the hours 0 to 23: to work, home, and out at night.
HOURS = (
    0.6, 0.4, 0.3, 0.2, 0.2, 0.4, 0.9, 2.0, 2.6, 1.6, 1.1, 1.0,
    1.2, 1.2, 1.1, 1.2, 1.6, 2.3, 2.4, 1.8, 1.5, 1.5, 1.4, 1.0,
)  # fmt: skip
WEEKLY = (0.98, 0.96, 0.98, 1.02, 1.14, 1.06, 0.86)
SENSITIVITY = ("high", "medium", "low")
AGES = ("18-24", "25-34", "35-44", "45-54", "55+")
GENDERS = ("female", "male", "other")
#: Chance to ask for Carpool where it runs, by price sensitivity.
CARPOOL_CHANCE = np.array([0.60, 0.45, 0.30])
CARPOOL, REGULAR = 1, 2
#: Launch of a zone's Carpool: before the first day, at a third, at five ninths, or never.
BEFORE, NEVER = -1, 10**6


@dataclass(frozen=True)
class Effects(PlantedEffects):
    """What is planted, with its size. `Effects.none()` is a fleet without any of it."""

    #: Two zones in eight get Carpool after a third of the days, two after five ninths: 1; 0: all had it before.
    launches: float = 1.0
    #: Requests that Carpool adds in a zone from its launch there on, as a fraction.
    launch_volume: float = 0.25
    #: Carpool fare below the Regular fare of the same journey alone, as a fraction.
    fare_discount: float = 0.25
    #: Minutes that each further rider adds to a journey in Summit, above the usual ones.
    summit_detour: float = 2.0
    #: The same in Summit in the last seven days, on top.
    detour_surge: float = 6.0
    #: Chance that a rider cancels, for each minute of wait.
    cancel_per_minute: float = 0.015
    #: Waits of Carpool requests in Lakeside in the last seven days, as a fraction more.
    wait_surge: float = 2.0
    #: Share of one driver's shared rides whose pickup sequences contradict the times.
    bad_sequences: float = 1.0
    #: Chance to ask for Carpool, added for riders in the treatment of the price test.
    price_test: float = 0.12
    #: What a driver earns of a ride after opting in to Carpool, as a fraction more.
    opt_in_lift: float = 0.15
    #: Satisfaction (1 to 5) of riders, for each minute of detour.
    csat_per_detour_minute: float = -0.06


@dataclass(frozen=True)
class City:
    """Places and people. Zones are numbered across cities: city * 8 + zone; places likewise, three a zone."""

    start: date
    days: int
    effects: Effects
    #: Day on which each zone's Carpool was launched.
    launch: NDArray
    #: Miles east and north of each place, within its city.
    at: NDArray
    rider_city: NDArray
    rider_weight: NDArray
    #: Days from the first day to the account's making; negative before.
    rider_since: NDArray
    sensitivity: NDArray
    internal: NDArray
    #: Arm of the price test: 0 control, 1 treatment, -1 not in it.
    arm: NDArray

    @property
    def surge_from(self) -> int:
        """First of the last seven days."""
        return max(self.days - 7, 0)

    @property
    def test_from(self) -> int:
        return self.days // 2


@dataclass(frozen=True)
class Requests:
    """What riders ask for, by time. Times are seconds since the first midnight."""

    at: NDArray
    rider: NDArray
    origin: NDArray
    target: NDArray
    miles: NDArray
    kind: NDArray
    eta: NDArray
    wait: NDArray
    matched: NDArray
    #: 0 nobody, 1 the rider, 2 the driver; after so many seconds.
    cancelled: NDArray
    cancelled_after: NDArray

    @property
    def zone(self) -> NDArray:
        return self.origin // PLACES_A_ZONE

    @property
    def city(self) -> NDArray:
        return self.zone // len(ZONES)


def make_city(start: date, days: int, scale: float, streams: Streams, effects: Effects) -> City:
    rng = streams("city")
    zones = len(CITIES) * len(ZONES)
    centres = np.tile(geography.ring(len(ZONES), RADIUS_MILES), (len(CITIES), 1))
    at = geography.scatter(rng, centres, np.repeat(np.arange(zones), PLACES_A_ZONE), SPREAD_MILES)
    cohort = np.array([BEFORE, days // 3, days * 5 // 9, NEVER])
    if not effects.launches:
        cohort[1:3] = BEFORE
    # Two zones of each cohort in each city, drawn.
    launch = np.concatenate([cohort[rng.permutation(np.repeat(np.arange(4), 2))] for _ in CITIES])
    size = max(round(RIDERS_A_REQUEST * REQUESTS * len(ZONES) * scale), 20) * len(CITIES)
    old = rng.random(size) < 0.75
    since = np.where(old, -rng.uniform(1, 730, size), rng.uniform(0, days, size))
    return City(
        start, days, effects, launch, at,
        rider_city=np.arange(size) % len(CITIES), rider_weight=users.propensities(rng, size), rider_since=since,
        sensitivity=rng.choice(3, size, p=[0.35, 0.4, 0.25]), internal=rng.random(size) < 0.01,
        arm=np.where(since < days // 2, rng.integers(0, 2, size), -1),
    )  # fmt: skip


def make_requests(city: City, scale: float, streams: Streams) -> Requests:
    rng, effects = streams("requests"), city.effects
    weights = day_weights(city.start, city.days, WEEKLY)
    busy = rng.uniform(0.7, 1.3, city.launch.size)
    at, zone = [], []
    for z, launched in enumerate(city.launch):
        lifted = weights * np.where(np.arange(city.days) >= launched, 1.0 + effects.launch_volume, 1.0)
        n = rng.poisson(REQUESTS * scale * busy[z] * lifted.sum())
        at.append(moments(rng, n, lifted, HOURS))
        zone.append(np.full(n, z))
    moment, zones = np.concatenate(at), np.concatenate(zone)
    order = np.argsort(moment, kind="stable")
    moment, zones = moment[order], zones[order]
    n = moment.size
    where = zones // len(ZONES)
    rider = _riders(city, rng, where, moment)
    origin = zones * PLACES_A_ZONE + rng.integers(0, PLACES_A_ZONE, n)
    other = (zones % len(ZONES) + rng.integers(1, len(ZONES), n)) % len(ZONES)
    target = (where * len(ZONES) + other) * PLACES_A_ZONE + rng.integers(0, PLACES_A_ZONE, n)
    miles = np.round(np.maximum(geography.miles_between(city.at[origin], city.at[target]) * STREETS, 0.5), 2)
    day = moment // DAY
    treated = (city.arm[rider] == 1) & (day >= city.test_from)
    chance = CARPOOL_CHANCE[city.sensitivity[rider]] + effects.price_test * treated
    pooled = (rng.random(n) < chance) & (day >= city.launch[zones])
    eta = np.round(rng.gamma(6.0, 50.0, n) + 30)
    wait = eta * np.exp(rng.normal(0.0, 0.25, n))
    slow = pooled & (where == LAKESIDE) & (day >= city.surge_from)
    wait = np.round(wait * np.where(slow, 1.0 + effects.wait_surge, 1.0))
    matched = rng.random(n) < np.where(pooled, 0.92, 0.96)
    leaves = 0.06 + effects.cancel_per_minute * wait / 60
    u = rng.random(n)
    cancelled = np.where(u < leaves, 1, np.where(matched & (u > 1 - np.where(pooled, 0.035, 0.02)), 2, 0))
    after = np.round(wait * rng.uniform(0.3, 1.0, n))
    return Requests(moment.astype(float), rider, origin, target, miles, np.where(pooled, CARPOOL, REGULAR), eta, wait,
                    matched, cancelled, after)  # fmt: skip


def _riders(city: City, rng: np.random.Generator, where: NDArray, moment: NDArray) -> NDArray:
    """A rider of the city for each request, who has an account by then."""
    rider = users.choose_within(rng, city.rider_city, city.rider_weight, where)
    for _ in range(6):
        early = np.flatnonzero(city.rider_since[rider] * DAY > moment)
        if not early.size:
            return rider
        rider[early] = users.choose_within(rng, city.rider_city, city.rider_weight, where[early])
    early = np.flatnonzero(city.rider_since[rider] * DAY > moment)
    if early.size:
        old = city.rider_weight * (city.rider_since < 0)
        rider[early] = users.choose_within(rng, city.rider_city, old, where[early])
    return rider
