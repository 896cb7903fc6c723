"""What dispatched days were like for customers, couriers and the platform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from prodsense.simulate.geography import METRES_PER_MILE

if TYPE_CHECKING:
    from prodsense.packs.delivery.dispatch.engine import Run

#: Minutes that an order counts for at most, and if it is never delivered: else the worst orders would leave the mean.
CENSORED = 120.0

UNITS = {
    "undelivered": "share", "click_to_door_censored": "minutes", "click_to_door": "minutes",
    "click_to_door_p90": "minutes", "on_time": "share", "on_time_ceiling": "share",
    "delay": "minutes", "ready_to_pickup": "minutes",
    "batched": "share", "miles_per_delivery": "miles", "utilisation": "share", "pay_per_hour": "currency",
    "cost_per_order": "currency", "seconds": "seconds", "slowest_decision_seconds": "seconds",
}  # fmt: skip


def censored_minutes(run: Run) -> NDArray:
    """Click to door of every order, at most `CENSORED`, which undelivered ones count."""
    return np.minimum(np.where(np.isnan(run.dropped), CENSORED, run.dropped - run.world.placed), CENSORED)


def measures(*runs: Run) -> dict[str, float | None]:
    """Figures of one day or several together; None where there is nothing to divide by.

    Undelivered orders are in `undelivered`, `click_to_door_censored` and `on_time`; the other times are of delivered
    ones. `delay` is against the same order delivered alone by a courier who stands ready; `on_time_ceiling` is the
    share of orders that would be on time even so, and no algorithm can pass it. Utilisation is driving and
    service over shift, its mean over couriers, as the benchmark has it; pay is at least the guaranteed one.
    """
    count = sum(run.world.orders for run in runs)
    took = np.concatenate([_delivered(run, run.dropped - run.world.placed) for run in runs])
    delay = np.concatenate([_delivered(run, run.dropped - run.world.alone) for run in runs])
    waited = np.concatenate([_delivered(run, run.picked - run.world.ready) for run in runs])
    quick = np.concatenate([_delivered(run, run.dropped - run.world.placed <= run.world.target) for run in runs])
    soonest = np.concatenate([run.world.alone - run.world.placed <= run.world.target for run in runs])
    sizes = np.array([len(trip.orders) for run in runs for trip in run.trips])
    driven = sum(float(trip.legs.sum()) for run in runs for trip in run.trips)
    busy, pay = zip(*(_couriers(run) for run in runs), strict=True)
    hours = sum(run.world.hours for run in runs)
    seconds = np.concatenate([run.decisions[:, 1] for run in runs])
    return {
        "orders": float(count),
        "undelivered": 1.0 - len(took) / count,
        "click_to_door_censored": _mean(np.concatenate([censored_minutes(run) for run in runs])),
        "click_to_door": _mean(took),
        "click_to_door_p90": float(np.percentile(took, 90)) if took.size else None,
        "on_time": float(quick.sum()) / count,
        "on_time_ceiling": float(soonest.sum()) / count,
        "delay": _mean(delay),
        "ready_to_pickup": _mean(waited),
        "orders_per_batch": _mean(sizes),
        "batched": float(sizes[sizes > 1].sum()) / len(took) if took.size else None,
        "miles_per_delivery": driven / METRES_PER_MILE / len(took) if took.size else None,
        "utilisation": _mean(np.concatenate(busy)),
        "pay_per_hour": float(sum(p.sum() for p in pay)) / hours if hours else None,
        "cost_per_order": float(sum(p.sum() for p in pay)) / len(took) if took.size else None,
        "seconds": float(seconds.sum()),
        "slowest_decision_seconds": float(seconds.max(initial=0.0)),
    }


def _delivered(run: Run, values: NDArray) -> NDArray:
    return values[run.courier >= 0]


def _couriers(run: Run) -> tuple[NDArray, NDArray]:
    """Busy share of each courier with a shift, and pay of each."""
    world = run.world
    busy = np.zeros(len(world.on))
    for trip in run.trips:
        visits = sum(stop < 0 for stop in trip.stops)
        service = visits * world.pickup_service + (len(trip.stops) - visits) * world.dropoff_service
        busy[trip.courier] += world.minutes(trip.legs).sum() + service
    shift = world.off - world.on
    return busy[shift > 0] / shift[shift > 0], pay_of(run)


def pay_of(run: Run) -> NDArray:
    """Pay of each courier: by order, at least the guaranteed one for the shift."""
    world = run.world
    carried = np.bincount(run.courier[run.courier >= 0], minlength=len(world.on))
    return np.maximum(world.pay_per_order * carried, world.pay_per_hour * (world.off - world.on) / 60.0)


def _mean(values: Sequence[float] | NDArray) -> float | None:
    return float(np.mean(values)) if len(values) else None
