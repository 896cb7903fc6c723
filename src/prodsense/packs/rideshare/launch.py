"""What Carpool added where it was launched: zones that got it, before and after, against those that had not yet.

Zones got Carpool at their own dates, not by lot: quasi-experimental. The estimator is that of adoption at several dates
(Callaway & Sant'Anna 2021, `inference.causal_staggered`), on the logarithm of weekly bookings, so that an effect is a
fraction more.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError

if TYPE_CHECKING:
    from prodsense.inference.causal_result import Estimate
    from prodsense.warehouse import Warehouse

#: Bookings of each zone by whole week, and the first week that Carpool ran in the whole of it.
_PANEL = """
WITH placed AS (
    SELECT city || ', ' || zone AS place, period_start(requested_at, 'week') AS week, requested_at, is_carpool
    FROM rideshare.bookings
    WHERE city IS NOT NULL AND zone IS NOT NULL AND requested_at >= CAST(:since AS TIMESTAMP)
        AND requested_at < CAST(:until AS TIMESTAMP)
),
launches AS (
    SELECT place, MIN(date_of(requested_at)) AS launched
    FROM placed
    WHERE is_carpool
    GROUP BY place
),
weeks AS (
    SELECT place, week, COUNT(*) AS bookings
    FROM placed
    GROUP BY place, week
)
SELECT w.place, w.week, w.bookings, l.launched,
    CASE WHEN l.launched = period_start(l.launched, 'week') THEN l.launched
        ELSE add_days(period_start(l.launched, 'week'), 7) END AS first_week
FROM weeks AS w
LEFT JOIN launches AS l ON l.place = w.place
ORDER BY w.place, w.week
"""

_SPAN = "SELECT MIN(requested_at) AS first_at, MAX(requested_at) AS last_at FROM rideshare.bookings"


def carpool_launch_effect(
    warehouse: Warehouse, as_of: Any = None, confidence: float = 0.95, aggregate: str = "dynamic"
) -> Estimate:
    """By how much Carpool raised the bookings of a zone (all ride types), in whole weeks.

    A zone's launch is its first Carpool booking; zones that have it from the first week on are left out. The week
    before the first whole one may be half a week of Carpool: it is never the one that is compared with. Extras:
    ``effect``, ``low`` and ``high`` as fractions more, next to `staggered_did`'s own. Raises UsageError without zones
    to compare.
    """
    import pyarrow as pa

    from prodsense.inference.causal_staggered import staggered_did
    from prodsense.metrics import periods

    warehouse.ready("rideshare", ["bookings"])
    (span,) = warehouse.engine.query(_SPAN).to_pylist()
    if span["last_at"] is None:
        raise UsageError("no booking has been loaded")
    newest = periods.read_moment(as_of, "UTC") if as_of is not None else span["last_at"]
    week = timedelta(days=7)
    first = periods.start_of(span["first_at"].date(), "week")
    since = first if span["first_at"].date() == first else first + week
    # A week is whole once its last hour has begun.
    end = periods.start_of(newest.date(), "week")
    until = end + week if newest.date() == end + timedelta(days=6) and newest.hour >= 23 else end
    params = {"since": since, "until": until}
    rows = warehouse.engine.query(_PANEL, params).to_pylist() if until > since else []
    always = {row["place"] for row in rows if row["launched"] and row["launched"] < since + week}
    kept = [row for row in rows if row["place"] not in always]
    if not any(row["launched"] for row in kept):
        raise UsageError(
            f"no zone got Carpool between {since + week} and {until}, with whole weeks before and after:"
            " nothing to compare"
        )
    weeks = {row["week"]: n for n, row in enumerate(sorted(kept, key=lambda row: row["week"]))}
    weeks = {week: n + 1 for n, week in enumerate(sorted(weeks))}
    panel = pa.table({
        "zone": [row["place"] for row in kept],
        "week": [weeks[row["week"]] for row in kept],
        "log_bookings": [math.log(row["bookings"]) for row in kept],
        "first_week": pa.array([_place(row["first_week"], weeks) for row in kept], pa.int64()),
    })  # fmt: skip
    found = staggered_did(
        panel, "log_bookings", unit="zone", time="week", cohort="first_week", control="not_yet", anticipation=1,
        aggregate=aggregate, confidence=confidence,
    )  # fmt: skip
    overall = found.extras["aggregates"]["simple"]
    share = {name: math.expm1(overall[name]) for name in ("low", "high")}
    effect = math.expm1(overall["estimate"])
    said = (
        f"Carpool changed the bookings of a zone by {effect:+.1%} ({share['low']:+.1%} to {share['high']:+.1%});"
        f" weeks count from {since}"
    )
    return replace(
        found, title="What the launch of Carpool added",
        extras={
            **found.extras, "effect": effect, **share, "zones_left_out": sorted(always), "since": since, "until": until,
        },
        notes=(said, *found.notes), statements=((_PANEL, params),), dialect=warehouse.engine.dialect,
    )  # fmt: skip


def _place(week: Any, weeks: dict[Any, int]) -> int | None:
    """Number of a week; one after the last is a launch not seen yet."""
    if week is None:
        return None
    return weeks.get(week, max(weeks.values()) + 1)
