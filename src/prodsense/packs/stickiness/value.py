"""Which use goes with value: engagement metrics ranked by later retention and LTV, and patterns of sessions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError
from prodsense.inference.causal_result import OBSERVATIONAL
from prodsense.packs.computed import floats

from .people import PACK, last_whole_day, span_of_activity

if TYPE_CHECKING:
    import pyarrow as pa

    from prodsense.metrics.result import Rows
    from prodsense.warehouse import Warehouse

#: Fewest users that a correlation or a mean is told of.
LEAST = 20
#: Engagement of a user over the window: name → SQL over the sums of it.
ENGAGEMENT = {
    "active_days": "days",
    "sessions": "sessions",
    "minutes": "minutes",
    "sessions_per_active_day": "ratio(sessions, days)",
    "minutes_per_active_day": "ratio(minutes, days)",
    "minutes_per_session": "ratio(minutes, sessions)",
    "views_per_active_day": "ratio(views, days)",
    "creations_per_active_day": "ratio(creations, days)",
    "interactions_per_active_day": "ratio(interactions, days)",
    "messages_per_active_day": "ratio(messages, days)",
    "features_used": "features",
}
#: What each user did on the days from :begin to :split, both inside; and whether they came back after it.
_WINDOW = """
WITH acts AS (
    SELECT a.user_id,
           COUNT(DISTINCT CASE WHEN a.activity_date <= CAST(:split AS DATE) THEN a.activity_date END) AS days,
           MAX(CASE WHEN a.activity_date > CAST(:split AS DATE) THEN 1.0 ELSE 0.0 END) AS is_retained,
           SUM(CASE WHEN a.activity_date <= CAST(:split AS DATE)
               THEN a.posts_viewed + a.videos_viewed + a.stories_viewed END) AS views,
           SUM(CASE WHEN a.activity_date <= CAST(:split AS DATE)
               THEN a.posts_created + a.comments_made + a.stories_created END) AS creations,
           SUM(CASE WHEN a.activity_date <= CAST(:split AS DATE)
               THEN a.likes + a.comments_made + a.shares + a.direct_messages END) AS interactions,
           SUM(CASE WHEN a.activity_date <= CAST(:split AS DATE) THEN a.direct_messages END) AS messages
    FROM stickiness.active_days AS a
    JOIN stickiness.members AS m ON m.user_id = a.user_id
    WHERE NOT m.is_internal AND a.activity_date BETWEEN CAST(:begin AS DATE) AND CAST(:last AS DATE)
    GROUP BY a.user_id
),
visits AS (
    SELECT user_id, COUNT(*) AS sessions, SUM(duration_seconds) / 60.0 AS minutes
    FROM stickiness.session_facts
    WHERE session_date BETWEEN CAST(:begin AS DATE) AND CAST(:split AS DATE)
    GROUP BY user_id
),
used AS (
    SELECT user_id, COUNT(DISTINCT feature_name) AS features
    FROM stickiness.feature_days
    WHERE activity_date BETWEEN CAST(:begin AS DATE) AND CAST(:split AS DATE)
    GROUP BY user_id
),
told AS (
    SELECT a.*, v.sessions, v.minutes, COALESCE(u.features, 0) AS features, l.ltv
    FROM acts AS a
    LEFT JOIN visits AS v ON v.user_id = a.user_id
    LEFT JOIN used AS u ON u.user_id = a.user_id
    LEFT JOIN stickiness.user_ltv AS l ON l.user_id = a.user_id
    WHERE a.days > 0
)
"""


def engagement_ltv_correlation(
    warehouse: Warehouse, days: int = 28, horizon: int = 28, confidence: float = 0.95, as_of: Any = None
) -> Rows:
    """Engagement metrics of `days` days, ranked by how well they tell who is active in the `horizon` days after, and
    LTV.

    ``ltv_correlation`` is Spearman's, with its interval (Bonett & Wright 2000) and p-value; ``retention_auc`` is how
    often a user who came back had more of the metric than one who did not (0.5: no better than chance; Mann and
    Whitney). p-values are adjusted over all metrics (Benjamini and Hochberg). Rows are in order of the mean of both
    ranks. A metric that all users have alike ranks nowhere.
    """
    import numpy as np
    from scipy import stats

    from prodsense.inference.multiplicity import adjust
    from prodsense.metrics.result import Rows

    if days < 1 or horizon < 1:
        raise UsageError("days and horizon are 1 or more")
    table, sql, params = _window(warehouse, days, horizon, as_of)
    ltv = floats(table, "ltv")
    back = floats(table, "is_retained")
    has_ltv, mixed = int(np.isfinite(ltv).sum()), min(back.sum(), (1 - back).sum())
    notes = [f"{OBSERVATIONAL}: what goes along with value need not cause it"]
    if has_ltv < LEAST:
        notes.append(f"LTV is known of {has_ltv} of these users, under {LEAST}: nothing is said of it (user_ltv)")
    if mixed < LEAST:
        notes.append(f"{int(back.sum())} of {len(back)} users came back: too few differ to tell retention by")
    if has_ltv < LEAST and mixed < LEAST:
        raise UsageError(
            f"of {table.num_rows} users, {has_ltv} have an LTV and {int(mixed)} differ in coming back;"
            f" {LEAST} are needed"
        )
    rows = []
    for name in ENGAGEMENT:
        x = floats(table, name)
        row: dict[str, Any] = {"metric": name, "users": int(np.isfinite(x).sum())}
        row |= _spearman(x, ltv, confidence) if has_ltv >= LEAST else dict.fromkeys(_SPEARMAN)
        known = np.isfinite(x)
        a, b = x[known & (back == 1)], x[known & (back == 0)]
        if mixed >= LEAST and min(len(a), len(b)) >= LEAST and np.ptp(x[known]) > 0:
            test = stats.mannwhitneyu(a, b, alternative="two-sided")
            row |= {"retention_auc": float(test.statistic) / (len(a) * len(b)), "retention_p": float(test.pvalue)}
        else:
            row |= {"retention_auc": None, "retention_p": None}
        rows.append(row)
    for key in ("ltv_p", "retention_p"):
        for row, p in zip(rows, adjust([row[key] for row in rows], "bh"), strict=True):
            row[f"{key}_adjusted"] = p
    _ranked(rows, "ltv_rank", lambda row: None if row["ltv_correlation"] is None else abs(row["ltv_correlation"]))
    _ranked(
        rows, "retention_rank", lambda row: None if row["retention_auc"] is None else abs(row["retention_auc"] - 0.5)
    )
    for row in rows:
        own = [row[key] for key in ("ltv_rank", "retention_rank") if row[key] is not None]
        row["score"] = sum(own) / len(own) if own else None
    rows.sort(key=lambda row: (row["score"] is None, row["score"], row["metric"]))
    for place, row in enumerate(rows, 1):
        row["rank"] = place if row.pop("score") is not None else None
    first = rows[0]["metric"].replace("_", " ")
    return Rows(
        arrow=Rows.from_rows(rows).arrow, title="Engagement that goes with value",
        notes=(f"{first} tells most, of {len(rows)} metrics of {table.num_rows:,} users", *notes),
        extras={"obtained": OBSERVATIONAL, "users": table.num_rows, "users_with_ltv": has_ltv,
                "retained": int(back.sum()), "days": days, "horizon": horizon, "split": params["split"]},
        statements=((sql, params),), dialect=warehouse.engine.dialect,
    )  # fmt: skip


_SPEARMAN = ("ltv_correlation", "ltv_low", "ltv_high", "ltv_p")


def _spearman(x: Any, y: Any, confidence: float) -> dict[str, Any]:
    """Spearman's correlation of the known pairs, its interval on Fisher's scale with Bonett and Wright's error, p."""
    import numpy as np
    from scipy import stats

    known = np.isfinite(x) & np.isfinite(y)
    n = int(known.sum())
    if n < LEAST or np.ptp(x[known]) == 0 or np.ptp(y[known]) == 0:
        return dict.fromkeys(_SPEARMAN)
    found = stats.spearmanr(x[known], y[known])
    r = float(found.statistic)
    middle = float(np.arctanh(np.clip(r, -0.999999, 0.999999)))
    reach = float(stats.norm.ppf(0.5 + confidence / 2)) * float(np.sqrt((1 + r * r / 2) / (n - 3)))
    return {
        "ltv_correlation": r, "ltv_low": float(np.tanh(middle - reach)), "ltv_high": float(np.tanh(middle + reach)),
        "ltv_p": float(found.pvalue),
    }


def _ranked(rows: list[dict[str, Any]], name: str, of: Any) -> None:
    """Write ranks from the greatest down; equals share the better one, what has no value has no rank."""
    values = [of(row) for row in rows]
    for row, value in zip(rows, values, strict=True):
        row[name] = None if value is None else 1 + sum(other is not None and other > value for other in values)


def _window(
    warehouse: Warehouse, days: int, horizon: int, as_of: Any
) -> tuple[pa.Table, str, dict[str, Any]]:
    """One row a user active in the window before the last `horizon` days: its engagement, retention and LTV."""
    warehouse.ready(PACK, ["members", "active_days", "session_facts", "feature_days", "user_ltv"])
    first, newest = span_of_activity(warehouse)
    last = last_whole_day(as_of, newest)
    split = last - timedelta(days=horizon)
    begin = split - timedelta(days=days - 1)
    if begin < first:
        raise UsageError(
            f"activity from {first} to {last} is shorter than {days} days and {horizon} days after them; give fewer"
        )
    columns = ", ".join(f"CAST({sql} AS DOUBLE) AS {name}" for name, sql in ENGAGEMENT.items())
    sql = f"{_WINDOW} SELECT user_id, {columns}, is_retained, ltv FROM told ORDER BY user_id"
    params = {"begin": begin, "split": split, "last": last}
    table = warehouse.engine.query(sql, params)
    if table.num_rows < LEAST:
        raise UsageError(f"{table.num_rows} users were active from {begin} to {split}; {LEAST} are needed")
    return table, sql, params


# -- patterns of sessions -----------------------------------------------------------------------------

PATTERNS = ("many short", "many long", "few short", "few long")

_PATTERNS = """
WITH visits AS (
    SELECT s.user_id, COUNT(*) AS sessions, COUNT(s.duration_seconds) AS timed,
           SUM(s.duration_seconds) / 60.0 AS minutes,
           COUNT(DISTINCT s.session_date) AS days
    FROM stickiness.session_facts AS s
    JOIN stickiness.members AS m ON m.user_id = s.user_id
    WHERE NOT m.is_internal AND (CAST(:last AS DATE) IS NULL OR s.session_date <= CAST(:last AS DATE))
    GROUP BY s.user_id
),
said AS (
    SELECT user_id, mean(score) AS score FROM stickiness.survey_responses
    WHERE LOWER(survey_type) = :survey AND score IS NOT NULL AND user_id IS NOT NULL
      AND (CAST(:last AS DATE) IS NULL OR responded_at IS NULL OR date_of(responded_at) <= CAST(:last AS DATE))
    GROUP BY user_id
)
SELECT v.user_id, ratio(v.sessions, v.days) AS per_day, ratio(v.minutes, v.timed) AS length,
       ratio(v.minutes, v.timed) * ratio(v.sessions, v.days) AS minutes_per_day, CAST(v.days AS DOUBLE) AS days,
       l.ltv, s.score AS satisfaction
FROM visits AS v
LEFT JOIN stickiness.user_ltv AS l ON l.user_id = v.user_id
LEFT JOIN said AS s ON s.user_id = v.user_id
WHERE v.timed >= :least
ORDER BY v.user_id
"""


def session_pattern_quality_analysis(
    warehouse: Warehouse, many: float | None = None, long_minutes: float | None = None, min_sessions: int = 3,
    survey: str = "csat", confidence: float = 0.95, as_of: Any = None,
) -> Rows:
    """Value and satisfaction by pattern of sessions: many or few a day, short or long.

    `many` is from how many sessions a day with any, `long_minutes` from what mean length; the medians of users unless
    given. Users with at least `min_sessions` of known length count. `survey` is csat or nps (its mean score).

    Rows: the four patterns. Extras: many short against few long sessions, as means (Welch) and at equal time a day and
    days (least squares, robust errors); observational.
    """
    import numpy as np

    from prodsense.inference.causal_result import numbers
    from prodsense.metrics.result import Rows

    if min_sessions < 1:
        raise UsageError("min_sessions is 1 or more")
    if survey.lower() not in ("csat", "nps"):
        raise UsageError(f"survey is csat or nps, not {survey!r}")
    warehouse.ready(PACK, ["members", "session_facts", "user_ltv", "survey_responses"])
    last = None
    if as_of is not None:
        _, newest = span_of_activity(warehouse)
        last = last_whole_day(as_of, newest)
    params = {"last": last, "survey": survey.lower(), "least": min_sessions}
    table = warehouse.engine.query(_PATTERNS, params)
    if table.num_rows < LEAST:
        raise UsageError(f"{table.num_rows} users have {min_sessions} sessions of known length; {LEAST} are needed")
    per_day, length = floats(table, "per_day"), floats(table, "length")
    cut = float(np.median(per_day)) if many is None else many
    reach = float(np.median(length)) if long_minutes is None else long_minutes
    pattern = np.where(per_day >= cut, 0, 2) + np.where(length >= reach, 1, 0)
    outcomes = {"ltv": floats(table, "ltv"), "satisfaction": floats(table, "satisfaction")}
    rows = []
    for place, name in enumerate(PATTERNS):
        mine = pattern == place
        row: dict[str, Any] = {"pattern": name, "users": int(mine.sum())}
        for label, values in (("sessions_per_day", per_day), ("minutes_per_session", length),
                              ("minutes_per_day", floats(table, "minutes_per_day"))):
            row[label] = float(values[mine].mean()) if mine.any() else None
        for label, values in outcomes.items():
            known = values[mine & np.isfinite(values)]
            error = float(known.std(ddof=1) / np.sqrt(len(known))) if len(known) > 1 else None
            told = numbers(float(known.mean()), error, max(len(known) - 1, 1), confidence) if len(known) else {}
            row |= {f"{label}_users": len(known), label: told.get("estimate"), f"{label}_low": told.get("low"),
                    f"{label}_high": told.get("high")}
        rows.append(row)
    comparison = {
        label: _many_short_less_few_long(
            pattern, values, floats(table, "minutes_per_day"), floats(table, "days"), confidence
        )
        for label, values in outcomes.items()
    }
    notes = [f"{OBSERVATIONAL}: many is from {cut:.3g} sessions a day, long from {reach:.3g} minutes"]
    for label, found in comparison.items():
        if found["reason"]:
            notes.append(f"{label}: {found['reason']}")
        else:
            told = found["at_equal_time"] or found["difference"]
            notes.append(f"many short less few long, {label}{' at equal time' if found['at_equal_time'] else ''}:"
                         f" {told['estimate']:.3g} ({told['low']:.3g} to {told['high']:.3g})")  # fmt: skip
    return Rows(
        arrow=Rows.from_rows(rows).arrow, title="Patterns of sessions", notes=tuple(notes),
        units={"minutes_per_session": "minutes", "minutes_per_day": "minutes", "ltv": "currency",
               "satisfaction": "score"},
        extras={"obtained": OBSERVATIONAL, "users": table.num_rows, "many": cut, "long_minutes": reach,
                "survey": survey.lower(),
                "comparison": comparison},
        statements=((_PATTERNS, params),), dialect=warehouse.engine.dialect,
    )  # fmt: skip


def _many_short_less_few_long(pattern: Any, y: Any, minutes: Any, days: Any, confidence: float) -> dict[str, Any]:
    """Difference of means with Welch's interval; and that of least squares given time a day and days there."""
    import numpy as np

    from prodsense.inference.causal_result import numbers, welch
    from prodsense.inference.ols import ols

    empty: dict[str, Any] = {"difference": None, "at_equal_time": None}
    known = np.isfinite(y) & ((pattern == 0) | (pattern == 3))
    d, y = (pattern[known] == 0).astype(float), y[known]
    a, b = y[d == 1], y[d == 0]
    if min(len(a), len(b)) < LEAST:
        return {
            **empty,
            "reason": f"known of {len(a)} users with many short and {len(b)} with few long sessions;"
            f" {LEAST} of each are needed",
        }
    difference = welch(a, b, confidence)
    if difference["std_error"] is None:
        return {**empty, "reason": "all users have the same value"}
    beside = [
        column - column.mean()
        for column in (np.log(np.maximum(minutes[known], 1e-3)), days[known])
        if np.ptp(column) > 0
    ]
    adjusted = None
    try:
        fit = ols(
            y,
            np.column_stack([d, np.ones(len(d)), *beside]),
            ["pattern", "constant", "time", "days"][: 2 + len(beside)],
        )
        adjusted = numbers(float(fit.coefficients[0]), float(fit.std_errors[0]), fit.degrees, confidence)
    except UsageError:
        pass  # The pattern and the time say the same: only the plain difference can be told
    return {"difference": difference, "at_equal_time": adjusted, "reason": "", "many_short": len(a), "few_long": len(b)}

