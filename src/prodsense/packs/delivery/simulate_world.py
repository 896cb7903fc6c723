"""The simulated city before its first order: zones, restaurants, customers, algorithms, planted effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from prodsense.packs.planted import PlantedEffects
from prodsense.simulate import Streams, geography, users

#: Zones of the city; 0 is the centre.
ZONE_NAMES = ("centre", "harbour", "north", "university", "west", "old_town")
#: Share of customers and restaurants that live in each zone.
ZONE_SHARES = (0.28, 0.18, 0.16, 0.14, 0.13, 0.11)
CITY = geography.Projection(lat=37.775, lng=-122.418)
ZONE_RADIUS_MILES = 2.6

#: Cuisine: (share of restaurants, typical preparation minutes, sd of it, popularity).
CUISINES: Mapping[str, tuple[float, int, int, float]] = {
    "burgers": (0.16, 15, 3, 1.4),
    "pizza": (0.16, 19, 4, 1.3),
    "mexican": (0.12, 16, 3, 1.1),
    "chinese": (0.12, 18, 4, 1.0),
    "thai": (0.10, 20, 4, 0.9),
    "indian": (0.10, 22, 4, 0.9),
    "sushi": (0.10, 23, 4, 0.8),
    "salads": (0.08, 13, 3, 0.7),
    "bakery": (0.06, 12, 3, 0.6),
}


@dataclass(frozen=True)
class Effects(PlantedEffects):
    """What is planted, with its size. `Effects.none()` is a city without any of it.

    Minutes are minutes of delivery time; shares and rates are additions to a probability.
    """

    NEUTRAL: ClassVar[Mapping[str, float]] = {"batched_eta_spread": 1.0}

    #: Minutes a batched order takes longer than the same order delivered alone.
    batched_extra_minutes: float = 7.0
    #: nearest_neighbor's batched orders take that much longer, ml_optimized's shorter, than genetic's.
    algorithm_minutes: float = 1.5
    #: Mean of actual minus estimated minutes of batched orders, individual ones being at 0.
    batched_eta_bias_minutes: float = 4.0
    #: sd of that error for batched orders over the sd for individual ones (4 minutes).
    batched_eta_spread: float = 1.6
    #: Driven over planned miles of nearest_neighbor; ml_optimized drives half that excess.
    route_excess: float = 0.12
    #: Share of nearest_neighbor's batches that are cancelled, above genetic's 0.06; ml_optimized's below.
    batch_cancellation_spread: float = 0.02
    #: How far each algorithm's run time grows away from nearest_neighbor's: 1 as stated, 0 not at all.
    run_time_growth: float = 1.0
    #: Probability of a complaint or refund for cold or poor food, added for batched orders.
    cold_food_uplift: float = 0.04
    #: Probability of a report of wrong or missing items, added for batched orders.
    wrong_item_uplift: float = 0.015
    #: Probability of a cancellation for a long ETA, added for orders in a batch.
    long_eta_uplift: float = 0.012
    #: Food-quality score of batched orders minus that of individual ones (scale 1 to 5).
    food_quality_drop: float = -0.40
    #: Overall score and promoter share of customers with two or more batched orders in the last 28 days.
    frequent_csat_drop: float = -0.25
    frequent_promoter_drop: float = -0.08
    #: Probability to leave for good right after the second and each later batched order.
    churn_uplift: float = 0.04
    #: Base pay per hour on a batch over that on an individual delivery, minus 1.
    earnings_uplift: float = 0.12
    #: Minutes that one popular restaurant needs beyond its own estimate.
    slow_restaurant_minutes: float = 12.0
    #: Probability of a cancellation on the outage day, added for all its orders.
    outage_cancellations: float = 0.25
    #: Overall score of customers told in detail that an order is batched, minus those told nothing.
    transparency_csat: float = 0.30


@dataclass(frozen=True)
class Algorithm:
    """One batching algorithm: its row, and how it behaves. Days count from the first simulated day."""

    key: int
    name: str
    version: str
    says: str
    objectives: str
    max_size: int
    max_miles: float
    share: float
    deployed: int
    deprecated: int | None
    #: -1 to 1: multiplies the planted difference between algorithms (1 is the worst).
    weakness: float
    #: Run time in seconds: a constant, per order considered, per order squared.
    run_seconds: tuple[float, float, float]

    def live(self, day: NDArray) -> NDArray:
        """Whether it takes traffic on `day`, elementwise."""
        alive = day >= self.deployed
        return alive if self.deprecated is None else alive & (day < self.deprecated)


def algorithms(days: int) -> tuple[Algorithm, ...]:
    """The algorithms of a run of `days` days; live traffic shares never sum to more than 1."""
    change = days // 3
    launch = days // 4
    return (
        Algorithm(1, "nearest_neighbor", "v1.0", "Joins the order whose stops are nearest to the route.",
                  '["minimize_drive_time"]', 4, 10.0, 0.35, -90, None, 1.0, (0.05, 0.002, 0.0)),
        Algorithm(2, "genetic_algorithm", "v2.1", "Evolves groupings and stop sequences together.",
                  '["minimize_drive_time", "maximize_orders_per_batch"]', 5, 12.0, 0.15, change, None, 0.0,
                  (0.8, 0.02, 0.0006)),
        Algorithm(3, "ml_optimized", "v1.5", "Predicts readiness and travel, then matches batches to drivers.",
                  '["minimize_lateness", "maximize_orders_per_batch"]', 4, 10.0, 0.35, launch, None, -1.0,
                  (0.3, 0.006, 0.0001)),
        Algorithm(4, "no_batching", "v1.0", "Every order alone: the holdout.",
                  '["minimize_delivery_time"]', 1, 99.0, 0.10, -90, None, 0.0, (0.05, 0.002, 0.0)),
        Algorithm(5, "genetic_algorithm", "v2.0", "Evolves groupings; sequences by nearest neighbour.",
                  '["minimize_drive_time"]', 5, 12.0, 0.15, -60, change, 0.0, (1.0, 0.03, 0.0008)),
    )  # fmt: skip


@dataclass(frozen=True)
class Restaurants:
    zone: NDArray
    at: NDArray
    cuisine: NDArray
    prep: NDArray
    prep_sd: NDArray
    batchable: NDArray
    weight: NDArray
    rating: NDArray
    partner: NDArray
    #: Minutes beyond its own estimate, 0 for all but the slow one.
    delay: NDArray
    slow: int


@dataclass(frozen=True)
class Customers:
    zone: NDArray
    at: NDArray
    rate: NDArray
    #: Days after the start (negative: before it) of the first and of the last possible order.
    joined: NDArray
    left: NDArray
    internal: NDArray
    #: Arm of the transparency test: 0 told nothing, 1 briefly, 2 in detail.
    told: NDArray


@dataclass(frozen=True)
class World:
    start: date
    days: int
    scale: float
    centres: NDArray
    restaurants: Restaurants
    customers: Customers
    algorithms: tuple[Algorithm, ...]
    #: Index into `algorithms` per zone and day, -1 where no algorithm has the traffic.
    algorithm_of: NDArray
    #: First day of the test of ml_optimized against nearest_neighbor.
    test_from: int
    outage_day: int
    effects: Effects


def make_world(start: date, days: int, scale: float, streams: Streams, effects: Effects) -> World:
    """Draw the city; sizes grow with `scale`, orders a day about 1,500 times it."""
    centres = geography.ring(len(ZONE_NAMES), ZONE_RADIUS_MILES)
    algos = algorithms(days)
    return World(
        start=start,
        days=days,
        scale=scale,
        centres=centres,
        restaurants=_restaurants(scale, streams("restaurants"), centres, effects),
        customers=_customers(days, scale, streams("customers"), centres),
        algorithms=algos,
        algorithm_of=_traffic(days, streams("traffic"), algos),
        test_from=max(0, algos[2].deployed),
        outage_day=int(days * 0.6),
        effects=effects,
    )


def _zones(rng: np.random.Generator, size: int) -> NDArray:
    """Zones of `size` places; every zone gets at least one."""
    zone = users.choose(rng, np.asarray(ZONE_SHARES), size)
    zone[: len(ZONE_NAMES)] = np.arange(len(ZONE_NAMES))
    return zone


def _restaurants(scale: float, rng: np.random.Generator, centres: NDArray, effects: Effects) -> Restaurants:
    size = max(2 * len(ZONE_NAMES), round(120 * scale))
    zone = _zones(rng, size)
    table = np.array(list(CUISINES.values()))
    cuisine = users.choose(rng, table[:, 0], size)
    batchable = rng.random(size) < 0.9
    batchable[: len(ZONE_NAMES)] = True
    weight = table[cuisine, 3] * rng.lognormal(0.0, 0.6, size)
    slow = int(np.argmax(np.where(batchable, weight, 0.0)))
    delay = np.zeros(size)
    delay[slow] = effects.slow_restaurant_minutes
    return Restaurants(
        zone=zone,
        at=geography.scatter(rng, centres, zone, 0.25),
        cuisine=cuisine,
        prep=np.maximum(10, np.rint(table[cuisine, 1] + rng.normal(0, 1.5, size))).astype(np.int64),
        prep_sd=table[cuisine, 2].astype(np.int64),
        batchable=batchable,
        weight=weight,
        rating=np.clip(rng.normal(4.3, 0.3, size), 2.5, 5.0),
        partner=rng.random(size) < 0.4,
        delay=delay,
        slow=slow,
    )


def _customers(days: int, scale: float, rng: np.random.Generator, centres: NDArray) -> Customers:
    size = max(60, round(9_000 * scale))
    zone = _zones(rng, size)
    # Three in four were there before; the others come as time goes on, and everyone may leave some day.
    joined = np.where(rng.random(size) < 0.75, -rng.random(size) * 700, rng.random(size) * days)
    left = np.maximum(joined, 0.0) + rng.exponential(250.0, size)
    return Customers(
        zone=zone,
        at=geography.scatter(rng, centres, zone, 0.7),
        rate=users.propensities(rng, size),
        joined=joined,
        left=left,
        internal=rng.random(size) < 0.005,
        told=rng.integers(0, 3, size),
    )


def _traffic(days: int, rng: np.random.Generator, algos: tuple[Algorithm, ...]) -> NDArray:
    """Draw the algorithm of each zone and day by the traffic shares of those live that day.

    The unit is a whole zone for a whole day because orders of one zone compete for the same drivers:
    a split by order would let one arm's queues leak into the other.
    """
    day = np.arange(days)
    shares = np.array([np.where(a.live(day), a.share, 0.0) for a in algos])  # (algorithm, day)
    edges = np.cumsum(shares, axis=0)
    u = rng.random((len(ZONE_NAMES), days))
    chosen = (u[None] >= edges[:, None, :]).sum(axis=0)
    return np.where(chosen == len(algos), -1, chosen)
