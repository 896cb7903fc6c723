"""Dispatch of orders to couriers: a simulated day, batching algorithms by one protocol, and their comparison.

::

    from prodsense.packs.delivery.dispatch import algorithm, from_instance, simulate

    run = simulate(from_instance(read_instance("instances/0o50t100s1p100")), algorithm("matching_rolling_horizon"))
    run.measures()["click_to_door"]
"""

from __future__ import annotations

from prodsense.packs.delivery.dispatch.algorithms import ALGORITHMS, algorithm
from prodsense.packs.delivery.dispatch.engine import Algorithm, Job, Limits, Run, Trip, View, simulate
from prodsense.packs.delivery.dispatch.world import World, from_instance, from_warehouse

__all__ = [
    "ALGORITHMS", "Algorithm", "Job", "Limits", "Run", "Trip", "View", "World", "algorithm", "from_instance",
    "from_warehouse", "simulate",
]
