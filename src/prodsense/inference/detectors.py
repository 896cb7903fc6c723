"""Ready detectors: each function gives a `Detector` to list in a pack's `detectors.py`.

::

    DETECTORS = [
        metric_anomaly("orders_anomaly", "Orders of a day are far from usual.", metric="orders", by=("city",)),
        drop_rule("on_time_drop", "A city's on-time rate fell by a tenth.", metric="on_time_rate", by=("city",),
                  drop=0.1, volume="orders", min_volume=50),
        share_drift("platform_drift", "The mix of platforms shifts.", metric="sessions", by="platform"),
        freshness("orders_fresh", "Orders lag behind the other tables.", tables=("fact_orders",), within_hours=6),
        volume("orders_volume", "Fewer or more rows than usual.", table="fact_orders"),
        own_history("quiet_restaurant", "A restaurant's orders fall against its own history.", table="fact_orders",
                    subject="restaurant_id"),
        novelty_decay("reels_novelty", "The lift of reels wears off.", metric="reels_minutes", launch="2024-03-01"),
        limit("crash_limit", "Too many crashes.", metric="crash_rate", above=0.01, by="app_version"),
        level_shift("revenue_shift", "Revenue fell for good.", metric="revenue", by="restaurant"),
        new_value("new_app_version", "An app version appears.", table="fact_events", column="app_version"),
    ]

Declaring one loads nothing heavy. Each takes its thresholds as parameters with the given defaults, so that
``prodsense detect NAME --param threshold=5`` and a back-test can try others. All take ``as_of``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from prodsense.contracts.vocabulary import REQUIRED, Detector, Param
from prodsense.inference.detect_levels import LevelShift, Limit
from prodsense.inference.detect_rules import DropRule, MetricAnomaly, NoveltyDecay, ShareDrift
from prodsense.inference.detect_tables import Freshness, NewValue, OwnHistory, Volume

Direction = Literal["bad", "fall", "rise", "both"]
Severity = Literal["info", "warning", "critical"]

_AS_OF = Param("as_of", "timestamp", None, "The moment to look back from (default: the newest in the data).")


def metric_anomaly(
    name: str, says: str, *, metric: str, grain: str = "day", by: str | Sequence[str] = (), threshold: float = 4.0,
    history: int = 0, min_change: float = 0.05, direction: Direction = "both", where: str = "",
    severity: Severity = "warning", action: str = "", cooldown: int = 7,
) -> Detector:
    """The last whole period of `metric` (and of each slice) lies far outside its seasonal baseline.

    Fires when the score is beyond `threshold` spreads and the value at least `min_change` (a share of what was
    expected) away. `direction` bad is the one against the metric's better-direction; a move in the good direction
    found with `both` is of severity info. `history` is in periods (default 10 seasons, at least 60).
    """
    return Detector(
        name, says, run=MetricAnomaly(metric, grain, _names(by), history, direction, where),
        params=(_AS_OF, Param("threshold", "number", threshold, "Spreads away from the baseline."),
                Param("min_change", "number", min_change, "Smallest change, as a share of what was expected.")),
        severity=severity, metric=metric, cooldown=cooldown, action=action,
    )  # fmt: skip


def drop_rule(
    name: str, says: str, *, metric: str, by: str | Sequence[str] = (), drop: float = 0.1, days: int = 7,
    windows: int = 4, threshold: float = 2.0, volume: str = "", min_volume: float = 0.0,
    direction: Direction = "bad", where: str = "", severity: Severity = "warning", action: str = "", cooldown: int = 7,
) -> Detector:
    """`metric` over the last `days` is `drop` (a share) or more worse than over the windows before, by segment.

    The value is set against the median of the `windows` earlier windows of the same length, which hold the same days
    of the week when `days` is 7. It fires only when the change is also `threshold` times what these windows vary by.
    Segments whose `volume` metric over the window is under `min_volume` are left out. `bad` falls for a metric that
    is better up, rises for one that is better down.
    """
    return Detector(
        name, says, run=DropRule(metric, _names(by), windows, volume, direction, where),
        params=(_AS_OF, Param("drop", "number", drop, "Smallest relative change, as a share."),
                Param("days", "integer", days, "Length of the window in days."),
                Param("threshold", "number", threshold, "Times the usual variation between windows."),
                Param("min_volume", "number", min_volume, "Smallest volume of a segment.")),
        severity=severity, metric=metric, cooldown=cooldown, action=action,
    )  # fmt: skip


def share_drift(
    name: str, says: str, *, metric: str, by: str, days: int = 7, windows: int = 4, min_shift: float = 0.05,
    threshold: float = 3.0, where: str = "", severity: Severity = "warning", action: str = "", cooldown: int = 7,
) -> Detector:
    """The shares of `by` in an additive `metric` shift, also while the total stays flat.

    The half sum of absolute differences of the shares (total variation, 0 to 1) between the last `days` and the
    windows before is at least `min_shift`, and `threshold` times what these differ by among themselves. One finding,
    about the value whose share moved most; column ``shares`` tells all.
    """
    return Detector(
        name, says, run=ShareDrift(metric, by, windows, where),
        params=(_AS_OF, Param("days", "integer", days, "Length of the window in days."),
                Param("min_shift", "number", min_shift, "Smallest shift, 0 to 1."),
                Param("threshold", "number", threshold, "Times the usual shift between windows.")),
        severity=severity, metric=metric, cooldown=cooldown, action=action,
    )  # fmt: skip


def freshness(
    name: str, says: str, *, tables: str | Sequence[str] = (), within_hours: float = 24.0,
    severity: Severity = "critical", action: str = "", cooldown: int = 1,
) -> Detector:
    """A table's newest row (each table with a partition, unless named) is over `within_hours` older than `as_of`.

    `as_of` defaults to the newest moment in any table of the pack: a table that lags behind the others. Give the
    present moment to find that all stand still. A table without rows is a finding.
    """
    return Detector(
        name, says, run=Freshness(_names(tables)),
        params=(_AS_OF, Param("within_hours", "number", within_hours, "Longest lag in hours.")),
        severity=severity, cooldown=cooldown, action=action or "Look at the pipeline that loads the table.",
    )  # fmt: skip


def volume(
    name: str, says: str, *, table: str, time: str = "", by: str | Sequence[str] = (), threshold: float = 4.0,
    min_change: float = 0.2, history: int = 70, direction: Direction = "both", where: str = "",
    severity: Severity = "critical", action: str = "", cooldown: int = 1,
) -> Detector:
    """The rows of the last whole day in `table` (and by columns of it) are far from the seasonal baseline.

    A slice that sends nothing counts as 0 rows: a tracking gap on one platform shows.
    """
    return Detector(
        name, says, run=Volume(table, time, _names(by), history, "both" if direction == "bad" else direction, where),
        params=(_AS_OF, Param("threshold", "number", threshold, "Spreads away from the baseline."),
                Param("min_change", "number", min_change, "Smallest change, as a share of what was expected.")),
        severity=severity, metric="rows", cooldown=cooldown, action=action,
    )  # fmt: skip


def own_history(
    name: str, says: str, *, table: str, subject: str, time: str = "", value: str = "",
    measure: Literal["count", "sum", "mean", "distinct", "days"] = "count", direction: Literal["fall", "rise"] = "fall",
    days: int = 7, windows: int = 4, drop: float = 0.5, threshold: float = 3.0, min_level: float = 0.0,
    where: str = "", severity: Severity = "warning", action: str = "", cooldown: int = 28,
) -> Detector:
    """A subject (user, restaurant, driver) whose own rate falls, or rises, against its own history.

    For each `subject` the rows (`count`), the `sum`, `mean` or number of `distinct` values of the SQL expression
    `value`, or the `days` with a row, of the last `days` days are set against the mean of the `windows` windows
    before. It fires when the change is `drop` (a share) or more and `threshold` standard errors; those are taken
    from the subject's own windows and are never less than chance gives (Poisson for counts, compound Poisson for
    sums, the values' own variance for means). A subject is judged once it was there before all windows but one, and
    its history is at least `min_level` a window.
    """
    return Detector(
        name, says, run=OwnHistory(table, subject, time, value, measure, direction, where),
        params=(_AS_OF, Param("days", "integer", days, "Length of a window in days."),
                Param("windows", "integer", windows, "Windows of history."),
                Param("drop", "number", drop, "Smallest relative change, as a share."),
                Param("threshold", "number", threshold, "Standard errors of the change."),
                Param("min_level", "number", min_level, "Smallest mean of the history in a window.")),
        severity=severity, metric=f"{measure} of {value}" if value else measure, cooldown=cooldown, action=action,
    )  # fmt: skip


def own_history_drop(name: str, says: str, *, table: str, subject: str, **options: Any) -> Detector:
    """`own_history` of a falling rate."""
    return own_history(name, says, table=table, subject=subject, direction="fall", **options)


def novelty_decay(
    name: str, says: str, *, metric: str, launch: str = "", by: str | Sequence[str] = (), days: int = 7,
    min_decay: float = 0.5, threshold: float = 2.0, where: str = "", severity: Severity = "warning",
    action: str = "", cooldown: int = 28,
) -> Detector:
    """The lift of `metric` after `launch` (a day; a parameter) wears off: a novelty effect.

    The lift is the mean of the first `days` days less that of the days before the launch. It fires when that is
    `threshold` standard errors above 0, `min_decay` (a share) of it is gone in the last `days` days, and the days since
    the launch fall (Mann-Kendall, one-sided 5%). Three times `days` must have passed.
    """
    return Detector(
        name, says, run=NoveltyDecay(metric, _names(by), where),
        params=(_AS_OF, Param("launch", "date", launch or REQUIRED, "First day of the new thing."),
                Param("days", "integer", days, "Length of the first and the last window."),
                Param("min_decay", "number", min_decay, "Smallest share of the lift that is gone."),
                Param("threshold", "number", threshold, "Standard errors of the first lift.")),
        severity=severity, metric=metric, cooldown=cooldown, action=action,
    )  # fmt: skip


def limit(
    name: str, says: str, *, metric: str, below: float | None = None, above: float | None = None, grain: str = "day",
    by: str | Sequence[str] = (), where: str = "", severity: Severity = "critical", action: str = "", cooldown: int = 1,
) -> Detector:
    """The last whole period of `metric`, or of a slice, is `below` or `above` a stated value (both parameters)."""
    return Detector(
        name, says, run=Limit(metric, grain, _names(by), where),
        params=(_AS_OF, Param("below", "number", below, "The least value that is allowed."),
                Param("above", "number", above, "The greatest value that is allowed.")),
        severity=severity, metric=metric, cooldown=cooldown, action=action,
    )  # fmt: skip


def level_shift(
    name: str, says: str, *, metric: str, by: str | Sequence[str] = (), within: int = 14, history: int = 90,
    min_change: float = 0.1, threshold: float = 4.0, direction: Direction = "bad", where: str = "",
    severity: Severity = "warning", action: str = "", cooldown: int = 28,
) -> Detector:
    """The level of `metric` by day changed in the last `within` days and stayed: a change point, and since when.

    Weekday effects are taken off. It fires when the new level differs by `min_change` (a share of the old one) and by
    `threshold` standard errors. The finding's period is the onset.
    """
    return Detector(
        name, says, run=LevelShift(metric, _names(by), history, direction, where),
        params=(_AS_OF, Param("within", "integer", within, "How recent the change is, in days."),
                Param("min_change", "number", min_change, "Smallest change, as a share of the old level."),
                Param("threshold", "number", threshold, "Standard errors of the change.")),
        severity=severity, metric=metric, cooldown=cooldown, action=action,
    )  # fmt: skip


def new_value(
    name: str, says: str, *, table: str, column: str, time: str = "", days: int = 7, history: int = 90,
    min_rows: int = 20, where: str = "", severity: Severity = "info", action: str = "", cooldown: int = 28,
) -> Detector:
    """A value of `column` appears that no row of the `history` days before has (a new app version, a typo, a bot)."""
    return Detector(
        name, says, run=NewValue(table, column, time, where),
        params=(_AS_OF, Param("days", "integer", days, "How recent the first row is."),
                Param("min_rows", "integer", min_rows, "Fewest rows of the value."),
                Param("history", "integer", history, "Days before that are searched.")),
        severity=severity, metric="rows", cooldown=cooldown, action=action,
    )  # fmt: skip


def _names(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) and names else tuple(names)
