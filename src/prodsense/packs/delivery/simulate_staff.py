"""Drivers: who works which shift, and which trips each one does without two at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prodsense.simulate import slots
from prodsense.simulate.arrivals import DAY

from .simulate_world import World

#: A driver is taken up by a job from this long before saying yes: time for others to say no first.
OFFER_SECONDS = 135.0
#: Shifts of a day, in seconds after 02:00. Even and odd ones have different drivers, so that a late end
#: of one shift never meets the next shift of the same driver.
SHIFTS = (0, 8 * 3600, int(13.5 * 3600), int(18.5 * 3600))
SHIFT_OFFSET = 2 * 3600
#: A trip that begins this soon after another may find that one's offer declined by its own driver.
NEAR_SECONDS = 900.0
#: A driver without a job for longer goes offline in between.
BREAK_SECONDS = 2400.0

VEHICLES = ("car", "scooter", "bike", "walking")
VEHICLE_SHARES = (0.60, 0.25, 0.15)
BIKE, BIKE_CAPACITY = 2, 2


@dataclass(frozen=True)
class Trips:
    """What one driver does in one go: a batch or a single delivery. Drivers are indices, -1 for none."""

    start: NDArray
    end: NDArray
    driver: NDArray
    #: Driver of the next trip of the same zone and shift where that begins soon, else -1: online and idle
    #: when this trip begins.
    following: NDArray


@dataclass(frozen=True)
class Sessions:
    """Times online, seconds after the start of the first day."""

    driver: NDArray
    online: NDArray
    offline: NDArray


@dataclass(frozen=True)
class Drivers:
    zone: NDArray
    #: Index into VEHICLES.
    vehicle: NDArray
    capacity: NDArray
    #: Days after the start (negative: before) of the first and the last possible shift.
    joined: NDArray
    left: NDArray


def staff(
    world: World, start: NDArray, end: NDArray, zone: NDArray, size: NDArray, rng: np.random.Generator
) -> tuple[Trips, Sessions, Drivers]:
    """Give every trip a driver with room for its `size` orders.

    Trips of one zone and shift fill as few places as overlap demands, and a few more; then drivers take
    the places, those with little room the places that never carry much.
    """
    days = world.days + 2  # a shift that began the day before the first, and one past the last midnight
    clock = start - SHIFT_OFFSET
    day = np.floor(clock / DAY).astype(np.int64) + 1
    shift = np.searchsorted(SHIFTS, clock - (day - 1) * DAY, side="right") - 1
    group = (zone * days + day) * len(SHIFTS) + shift
    groups = len(world.centres) * days * len(SHIFTS)
    filled = slots.fill(start, end, group, groups, extra=1)

    used = np.minimum(filled.workers, np.bincount(group, minlength=groups))
    offset = np.concatenate([[0], np.cumsum(used)])
    place = offset[group] + filled.worker
    places = int(offset[-1])
    load = np.zeros(places, np.int64)
    np.maximum.at(load, place, size)
    place_group = np.repeat(np.arange(groups), used)

    drivers, who = _take_places(world, days, used, place_group, load, rng)
    driver = who[place]
    order = np.lexsort((start, group))
    later, earlier = order[1:], order[:-1]
    near = (group[later] == group[earlier]) & (start[later] - start[earlier] < NEAR_SECONDS)
    following = np.full(start.size, -1, np.int64)
    following[earlier[near]] = driver[later[near]]
    ready_from = start.copy()  # online in time for the offer that went to this driver first
    ready_from[later[near]] = start[earlier[near]]
    trips = Trips(start, end, driver, following)

    by_place = np.lexsort((start, place))
    fresh = np.ones(start.size, bool)
    after, before = by_place[1:], by_place[:-1]
    fresh[1:] = (place[after] != place[before]) | (start[after] - end[before] > BREAK_SECONDS)
    first = np.flatnonzero(fresh)
    last = np.append(first[1:] - 1, start.size - 1)
    online = np.rint(ready_from[by_place[first]] - rng.uniform(60, 600, first.size))
    offline = np.rint(end[by_place[last]] + rng.uniform(60, 600, first.size))
    return trips, Sessions(driver[by_place[first]], online, offline), drivers


def _take_places(
    world: World, days: int, used: NDArray, place_group: NDArray, load: NDArray, rng: np.random.Generator
) -> tuple[Drivers, NDArray]:
    """Make drivers, and name one per place. `used` counts places by group, `load` the most carried."""
    shape = (len(world.centres), days, len(SHIFTS))
    used = used.reshape(shape)
    light = np.bincount(place_group[load <= BIKE_CAPACITY], minlength=used.size).reshape(shape)
    # Within a group the places that carry most come first.
    heavy_first = np.lexsort((-load, place_group))
    starts = np.concatenate([[0], np.cumsum(used.ravel())])
    rank = np.empty(load.size, np.int64)
    rank[heavy_first] = np.arange(load.size) - starts[place_group[heavy_first]]
    most = int(used.max(initial=1))
    chosen = np.full((*shape, most), -1, np.int64)

    made: list[Drivers] = []
    total = 0
    for zone in range(shape[0]):
        for odd in (0, 1):
            need, lean = used[zone, :, odd::2].reshape(-1), light[zone, :, odd::2].reshape(-1)
            pool = _make_pool(world, zone, int(need.max(initial=1)), rng)
            made.append(pool)
            day = np.repeat(np.arange(days) - 1, len(SHIFTS) // 2)
            picked = _pick(pool, need, lean, day, rng)
            width = picked.shape[1]
            chosen[zone, :, odd::2, :width] = np.where(picked >= 0, picked + total, -1).reshape(
                days, len(SHIFTS) // 2, width
            )
            total += pool.zone.size
    drivers = Drivers(*(np.concatenate([getattr(p, f) for p in made]) for f in Drivers.__dataclass_fields__))
    return drivers, chosen.reshape(-1, most)[place_group, rank]


def _make_pool(world: World, zone: int, least: int, rng: np.random.Generator) -> Drivers:
    """Drivers of one zone: `least` who can always step in with any batch, and half as many again."""
    size = int(np.ceil(1.6 * least)) + 3
    core = np.arange(size) < least
    vehicle = np.searchsorted(np.cumsum(VEHICLE_SHARES), rng.random(size), side="right").clip(0, 2)
    vehicle = np.where(core & (vehicle == BIKE), 0, vehicle)
    roomy = np.where(vehicle == 0, 4 + (rng.random(size) < 0.3), 4)
    joined = np.where(rng.random(size) < 0.8, -rng.random(size) * 900 - 1, rng.random(size) * world.days)
    left = np.maximum(joined, 0) + rng.exponential(220.0, size)
    return Drivers(
        zone=np.full(size, zone),
        vehicle=vehicle,
        capacity=np.where(vehicle == BIKE, BIKE_CAPACITY, roomy),
        joined=np.where(core, -rng.random(size) * 900 - 1, joined),
        left=np.where(core, np.inf, left),
    )


def _pick(pool: Drivers, need: NDArray, lean: NDArray, day: NDArray, rng: np.random.Generator) -> NDArray:
    """Who works: shape (shifts, most needed), pool index by place rank, -1 beyond `need`.

    `lean` places of a shift suit a bike; they have the last ranks, and so have the bikes chosen.
    """
    size = pool.zone.size
    keen = rng.lognormal(0.0, 0.7, size)
    key = rng.exponential(size=(need.size, size)) / keen
    there = (pool.joined[None] <= day[:, None]) & (day[:, None] < pool.left[None])
    key = np.where(there, key, np.inf)
    bike = pool.vehicle == BIKE
    if bike.any():
        place = np.argsort(np.argsort(key[:, bike], axis=1), axis=1)
        key[:, bike] = np.where(place < lean[:, None], key[:, bike], np.inf)
    width = int(need.max(initial=1))
    first = np.argsort(key, axis=1)[:, :width]
    works = np.arange(width) < need[:, None]
    # Bikes to the end of those who work; idle columns stay behind everyone.
    ordered = np.argsort(np.where(works, bike[first].astype(np.int64), 2), axis=1, kind="stable")
    out = np.take_along_axis(first, ordered, axis=1)
    return np.where(works, out, -1)
