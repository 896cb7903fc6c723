"""Shapes of metrics that packs share, as SQL of the project's dialect."""

from __future__ import annotations


def rate_by_kind(total: str, kind: str) -> str:
    """What `total` counts over the subjects, of a source with one row a subject and kind of happening.

    Each subject (an order, a booking, a ride) stands beside each `kind` (an issue, a cause, a category: numbered), so
    that a slice by kind is still out of all subjects: these are the rows over the kinds in them. Rows whose total is
    NULL are not known and count in neither.
    """
    return f"ratio(SUM({total}) * COUNT(DISTINCT {kind}), COUNT({total}))"
