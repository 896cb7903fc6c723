"""What to look into: points of titles at which viewers leave."""

from __future__ import annotations

from typing import Any

from prodsense.contracts.vocabulary import Detector, Param


def _dropoffs(warehouse: Any, **given: Any) -> Any:
    from .audience import retention_dropoffs

    return retention_dropoffs(warehouse, **given)


DETECTORS = (
    Detector(
        "retention_dropoff_detector",
        "Far more of those still watching a title leave at a point of it than around it: where, and how many.",
        run=_dropoffs,
        params=(
            Param("as_of", "timestamp", None, "The moment to look back from (default: the newest session)."),
            Param("days", "integer", 90, "Sessions of so many days."),
            Param("step_seconds", "number", 60.0, "Length of the stretches that are compared."),
            Param("min_drop", "number", 0.03, "Smallest share that leaves beyond what is usual around it."),
            Param("alpha", "number", 0.01, "Chance of any false finding, over all titles and points."),
            Param("min_viewers", "integer", 50, "Fewest viewers of a title."),
        ),
        metric="audience retention", cooldown=28,
        action="Watch the scene, and look at the player's errors there.",
    ),
)
