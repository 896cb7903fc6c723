"""Bottlenecks and friction: what to look into, with the step and the segment it is about."""

from __future__ import annotations

from typing import Any

from prodsense.contracts.vocabulary import Detector, Param
from prodsense.packs.computed import PackFunction, back_from

_SEGMENTS = "network_type, device, region, file_size_band"


def _rule(name: str, says: str, function: str, *params: Param, by: str | None = "", **more: Any) -> Detector:
    """A rule of `friction`; `by` are the segments it looks at beside all uploads, None where it has none."""
    sliced = () if by is None else (Param("by", "text", by or None, "Segments to look at, parted by commas."),)
    common = (back_from("the newest upload"), Param("days", "integer", 28, "So many days are looked at."))
    run = PackFunction(__package__, "friction", function)
    return Detector(name, says, run=run, params=(*common, *sliced, *params), cooldown=14, **more)


def _least(number: int, of: str = "uploads") -> Param:
    return Param(f"min_{of}", "integer", number, f"Fewest {of} to judge by.")


DETECTORS = (
    _rule(
        "upload_bottleneck_detector",
        "One step takes most of the time of uploads that is measured, over all or in a segment: slow filters or a slow"
        " network.",
        "bottlenecks",
        Param("share", "number", 0.5, "Smallest share of the time."),
        Param("min_seconds", "number", 3.0, "Fewest seconds an upload, so that somebody waits."),
        _least(5),
        by=_SEGMENTS, metric="step_time",
    ),
    _rule(
        "funnel_dropoff_friction",
        "A stage of the funnel loses far more uploads than the others.",
        "steep_stages",
        Param("drop", "number", 0.2, "Smallest share lost."),
        Param("times", "number", 2.0, "Times what the other stages lose (median)."),
        _least(10),
        metric="funnel_abandonment_rate",
    ),
    _rule(
        "step_error_friction", "A step has many errors an upload.", "failing_steps",
        Param("limit", "number", 0.1, "Errors an upload that reached the step."),
        _least(10),
        metric="error_rate_per_step",
    ),
    _rule(
        "step_duration_friction", "A step takes long, over all or in a segment.", "slow_steps",
        Param("max_seconds", "number", 5.0, "Median seconds that are too long."),
        _least(5),
        by="network_type, device", metric="step_time_median",
    ),
    _rule(
        "low_feature_adoption_friction",
        "A useful feature (filter, crop, adjustment, caption, tags) is hardly used: hard to find, hard to use, or of"
        " little value.",
        "unused_features",
        Param("limit", "number", 0.1, "Smallest share of uploads."),
        _least(20),
        by=None, severity="info",
    ),
    _rule(
        "draft_abandonment_detector",
        "Many uploads are saved as drafts and few of them are posted: trouble in the last steps, or indecision.",
        "hoarded_drafts",
        Param("save_rate", "number", 0.2, "Smallest share of uploads saved."),
        Param("conversion", "number", 0.3, "Largest share of drafts posted."),
        _least(5, "drafts"),
        by=None, metric="draft_to_post_conversion_rate",
    ),
    _rule(
        "segment_friction_correlation",
        "In a segment, or in two crossed such as an old device on a poor network, more uploads fail than elsewhere."
        " Observational.",
        "suffering_segments",
        Param("q", "number", 0.01, "Largest share of false findings."),
        Param("lift", "number", 1.25, "Times the rate elsewhere."),
        _least(5),
        by=_SEGMENTS, metric="upload_success_rate",
    ),
)
