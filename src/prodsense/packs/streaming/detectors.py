"""What to look into: points of titles at which viewers leave."""

from __future__ import annotations

from prodsense.contracts.vocabulary import Detector, Param
from prodsense.packs.computed import PackFunction, back_from

DETECTORS = (
    Detector(
        "retention_dropoff_detector",
        "Far more of those still watching a title leave at a point of it than around it: where, and how many.",
        run=PackFunction(__package__, "audience", "retention_dropoffs"),
        params=(
            back_from("the newest session"),
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
