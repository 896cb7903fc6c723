"""No batching: each order alone, first come first served. The holdout of every comparison."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from prodsense.packs.delivery.dispatch.engine import Job, Limits, View
from prodsense.packs.delivery.dispatch.world import World


@dataclass
class FirstCome:
    """The oldest order first, by the idle courier who picks it up earliest; of equals the nearest."""

    name: str = "no_batching"
    version: str = "v1.0"
    says: str = "Every order alone, the oldest first, to the idle courier who picks it up earliest: the holdout."
    objectives: tuple[str, ...] = ("minimize_delivery_time",)
    limits: Limits = field(default_factory=lambda: Limits(max_batch_size=1, max_total_time_minutes=240))

    def begin(self, world: World) -> None:
        pass

    def believe(self, world: World) -> NDArray | None:
        return None

    def decide(self, view: View) -> list[Job]:
        world, now = view.world, view.minute
        idle = view.idle()
        jobs: list[Job] = []
        for order in sorted(view.open.tolist(), key=lambda i: (world.placed[i], str(world.order_id[i]))):
            if not idle.size:
                break
            shop = int(world.shop[order])
            travel = world.minutes(view.reach[idle, shop])
            pickup = np.maximum(view.ready[order], now + travel + world.pickup_service / 2)
            possible = np.flatnonzero(pickup <= world.off[idle])
            if not possible.size:
                continue
            best = int(possible[np.lexsort((idle[possible], travel[possible], pickup[possible]))[0]])
            own = float(world.minutes(world.carry[shop, order])) + (world.pickup_service + world.dropoff_service) / 2
            if pickup[best] + own - now > self.limits.max_total_time_minutes:
                continue
            jobs.append(Job(int(idle[best]), (-1 - shop, order)))
            idle = np.delete(idle, best)
        return jobs
