"""The algorithms that ship, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from prodsense.errors import UsageError, did_you_mean
from prodsense.packs.delivery.dispatch.engine import Algorithm, Limits
from prodsense.packs.delivery.dispatch.first_come import FirstCome
from prodsense.packs.delivery.dispatch.learn import MLOptimized, RunningMean
from prodsense.packs.delivery.dispatch.matching import Matching
from prodsense.packs.delivery.dispatch.nearest import NearestNeighbor
from prodsense.packs.delivery.dispatch.search import Searching, genetic, local_search


def _matching_alone(**options: Any) -> Algorithm:
    return Matching(
        name="matching_without_batches", says="The same matching, one order a trip: what batching itself is worth.",
        limits=Limits(max_batch_size=1), **options,
    )


#: Name → how to make it; options are those of its class.
ALGORITHMS: Mapping[str, Callable[..., Algorithm]] = {
    "no_batching": FirstCome,
    "nearest_neighbor": NearestNeighbor,
    "genetic_algorithm": partial(
        Searching, genetic, "genetic_algorithm", "v3.0",
        "Evolves the sequence in which orders take couriers and bundles, anew every minute.",
    ),
    "local_search": partial(
        Searching, local_search, "local_search", "v1.0",
        "Moves single orders in that sequence, with the genetic algorithm's budget: what evolution has to beat.",
    ),
    "matching_running_mean": RunningMean,
    "ml_optimized": MLOptimized,
    "matching_without_batches": _matching_alone,
    "matching_rolling_horizon": Matching,
}
#: Algorithms that estimate ready times themselves, and so have no place where those are announced.
ESTIMATING = ("matching_running_mean", "ml_optimized")


def algorithm(name: str, **options: Any) -> Algorithm:
    """A new algorithm of that name."""
    if name not in ALGORITHMS:
        raise UsageError(
            f"no dispatch algorithm {name}; choose from {', '.join(ALGORITHMS)}.{did_you_mean(name, list(ALGORITHMS))}"
        )
    return ALGORITHMS[name](**options)
