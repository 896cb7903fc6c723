"""Shapes of metrics that packs share, as SQL of the project's dialect."""

from __future__ import annotations


def rate_by_kind(total: str, kind: str) -> str:
    """What `total` counts over the subjects, of a source with one row a subject and kind of happening.

    Each subject (an order, a booking, a ride) stands beside each `kind` (an issue, a cause, a category: numbered), so
    that a slice by kind is still out of all subjects: these are the rows over the kinds in them. Rows whose total is
    NULL are not known and count in neither.
    """
    return f"ratio(SUM({total}) * COUNT(DISTINCT {kind}), COUNT({total}))"


def share_of_any_kind(flag: str, subject: str, kind: str) -> str:
    """The share of subjects of which `flag` holds for any kind, of such a source; by kind, for that one.

    Rows whose flag is NULL are not known and count in neither.
    """
    return f"ratio(COUNT(DISTINCT CASE WHEN {flag} THEN {subject} END) * COUNT(DISTINCT {kind}), COUNT({flag}))"


def ratio_where_known(part: str, whole: str) -> str:
    """A ratio of sums over the rows that know the whole: what has none must not raise the part."""
    return f"ratio(SUM(CASE WHEN {whole} IS NOT NULL THEN {part} END), SUM({whole}))"


def net_promoter_score(score: str = "score") -> str:
    """Percent who answered 9 or 10 less percent who answered 0 to 6, -100 to 100 (Reichheld 2003)."""
    return f"100 * (share({score} >= 9) - share({score} <= 6))"
