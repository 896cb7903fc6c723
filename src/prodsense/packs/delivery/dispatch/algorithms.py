"""The algorithms that ship, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from prodsense.errors import UsageError, did_you_mean
from prodsense.packs.delivery.dispatch.engine import Algorithm, Limits
from prodsense.packs.delivery.dispatch.first_come import FirstCome
from prodsense.packs.delivery.dispatch.matching import Matching


def _matching_alone(**options: Any) -> Algorithm:
    return Matching(
        name="matching_without_batches", says="The same matching, one order a trip: what batching itself is worth.",
        limits=Limits(max_batch_size=1), **options,
    )


#: Name → how to make it; options are those of its class.
ALGORITHMS: Mapping[str, Callable[..., Algorithm]] = {
    "no_batching": FirstCome,
    "matching_without_batches": _matching_alone,
    "matching_rolling_horizon": Matching,
}


def algorithm(name: str, **options: Any) -> Algorithm:
    """A new algorithm of that name."""
    if name not in ALGORITHMS:
        raise UsageError(
            f"no dispatch algorithm {name}; choose from {', '.join(ALGORITHMS)}.{did_you_mean(name, list(ALGORITHMS))}"
        )
    return ALGORITHMS[name](**options)
