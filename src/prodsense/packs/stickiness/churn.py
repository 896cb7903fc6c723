"""Which falls in use come before churn: churners' last weeks beside those of users who stayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError
from prodsense.inference.causal_result import OBSERVATIONAL

from .people import PACK, last_whole_day, span_of_activity

if TYPE_CHECKING:
    import pyarrow as pa

    from prodsense.behavior.result import Answer
    from prodsense.warehouse import Warehouse

#: Fewest churners and fewest stayers with a value.
LEAST = 15
#: Indicator → (what falls, over what); over None it is the sum over the weeks.
INDICATORS = {
    "active_days": ("days", None),
    "sessions_per_active_day": ("sessions", "days"),
    "minutes_per_session": ("minutes", "sessions"),
    "views_per_active_day": ("views", "days"),
    "interactions_per_active_day": ("interactions", "days"),
    "creations_per_active_day": ("creations", "days"),
    "features_per_active_day": ("features", "days"),
}
_SUMS = ("days", "sessions", "minutes", "views", "interactions", "creations", "features")

_PEOPLE = """
WITH cuts AS (
    SELECT COALESCE(CAST(:churn_days AS DOUBLE), MAX(value), 28) AS churn_days FROM stickiness.settings
    WHERE setting = 'churn_days'
),
user_days AS (
    SELECT DISTINCT a.user_id, a.activity_date AS day
    FROM stickiness.active_days AS a JOIN stickiness.members AS m ON m.user_id = a.user_id
    WHERE NOT m.is_internal AND a.activity_date <= CAST(:last AS DATE)
),
spells AS (
    SELECT user_id, day, LEAD(day) OVER (PARTITION BY user_id ORDER BY day) AS next_day,
           MIN(day) OVER (PARTITION BY user_id) AS first_day
    FROM user_days
),
ends AS (
    SELECT s.user_id, s.first_day, MIN(s.day) AS last_day
    FROM spells AS s CROSS JOIN cuts AS c
    WHERE days_between(s.day, COALESCE(s.next_day, CAST(:last AS DATE)))
        >= c.churn_days + CASE WHEN s.next_day IS NULL THEN 0 ELSE 1 END
    GROUP BY s.user_id, s.first_day
),
churners AS (
    SELECT user_id, last_day FROM ends
    WHERE days_between(first_day, last_day) >= :weeks * 7 - 1
        AND days_between(CAST(:first AS DATE), last_day) >= :weeks * 7 - 1
),
places AS (
    SELECT last_day, ROW_NUMBER() OVER (ORDER BY last_day, user_id) - 1 AS place FROM churners
),
drawn AS (
    SELECT s.user_id, s.day, s.first_day, CAST(FLOOR(hash_share(s.user_id) * n.churners) AS BIGINT) AS place
    FROM spells AS s CROSS JOIN (SELECT COUNT(*) AS churners FROM churners) AS n
    WHERE NOT EXISTS (SELECT 1 FROM ends AS e WHERE e.user_id = s.user_id)
),
stayers AS (
    SELECT d.user_id, MAX(d.day) AS last_day
    FROM drawn AS d JOIN places AS p ON p.place = d.place AND d.day <= p.last_day
    GROUP BY d.user_id, d.first_day
    HAVING days_between(d.first_day, MAX(d.day)) >= :weeks * 7 - 1
),
people AS (
    SELECT user_id, last_day, 1 AS has_churned FROM churners
    UNION ALL
    SELECT user_id, last_day, 0 FROM stayers
)
"""
_WEEKS = """
, acts AS (
    SELECT p.user_id, CAST(FLOOR(ratio(days_between(a.activity_date, p.last_day), 7)) AS INT) AS week,
           COUNT(DISTINCT a.activity_date) AS days, SUM(a.posts_viewed + a.videos_viewed + a.stories_viewed) AS views,
           SUM(a.likes + a.comments_made + a.shares + a.direct_messages) AS interactions,
           SUM(a.posts_created + a.comments_made + a.stories_created) AS creations
    FROM people AS p JOIN stickiness.active_days AS a ON a.user_id = p.user_id
    WHERE a.activity_date <= p.last_day AND a.activity_date > add_days(p.last_day, -7 * :weeks)
    GROUP BY 1, 2
),
visits AS (
    SELECT p.user_id, CAST(FLOOR(ratio(days_between(s.session_date, p.last_day), 7)) AS INT) AS week,
           COUNT(*) AS sessions, SUM(s.duration_seconds) / 60.0 AS minutes
    FROM people AS p JOIN stickiness.session_facts AS s ON s.user_id = p.user_id
    WHERE s.session_date <= p.last_day AND s.session_date > add_days(p.last_day, -7 * :weeks)
    GROUP BY 1, 2
),
used AS (
    SELECT p.user_id, CAST(FLOOR(ratio(days_between(f.activity_date, p.last_day), 7)) AS INT) AS week,
           COUNT(DISTINCT f.feature_name || ' ' || text_of(f.activity_date)) AS features
    FROM people AS p JOIN stickiness.feature_days AS f ON f.user_id = p.user_id
    WHERE f.activity_date <= p.last_day AND f.activity_date > add_days(p.last_day, -7 * :weeks)
    GROUP BY 1, 2
)
SELECT p.user_id, p.has_churned, a.week, CAST(a.days AS DOUBLE) AS days,
       CAST(COALESCE(v.sessions, 0) AS DOUBLE) AS sessions,
       CAST(COALESCE(v.minutes, 0) AS DOUBLE) AS minutes, CAST(a.views AS DOUBLE) AS views,
       CAST(a.interactions AS DOUBLE) AS interactions, CAST(a.creations AS DOUBLE) AS creations,
       CAST(COALESCE(u.features, 0) AS DOUBLE) AS features
FROM people AS p
JOIN acts AS a ON a.user_id = p.user_id
LEFT JOIN visits AS v ON v.user_id = p.user_id AND v.week = a.week
LEFT JOIN used AS u ON u.user_id = p.user_id AND u.week = a.week
ORDER BY p.user_id, a.week
"""
_TIERS = """
, levels AS (
    SELECT user_id, SUBSTR(period, 1, 7) AS month,
           MAX(CASE tier WHEN 'Power' THEN 3.0 WHEN 'Core' THEN 2.0 WHEN 'Casual' THEN 1.0
               WHEN 'Dormant' THEN 0.0 END) AS level
    FROM stickiness.user_tiers GROUP BY user_id, SUBSTR(period, 1, 7)
)
SELECT p.user_id, p.has_churned, b.level AS before, r.level AS recent
FROM people AS p
JOIN levels AS r ON r.user_id = p.user_id
    AND r.month = SUBSTR(text_of(add_days(period_start(p.last_day, 'month'), -1)), 1, 7)
JOIN levels AS b ON b.user_id = p.user_id
    AND b.month = SUBSTR(
        text_of(add_days(period_start(add_days(period_start(p.last_day, 'month'), -1), 'month'), -1)), 1, 7)
ORDER BY p.user_id
"""


def churn_leading_indicators(
    warehouse: Warehouse,
    recent_weeks: int = 2,
    baseline_weeks: int = 2,
    churn_days: int | None = None,
    fall: float = 0.3,
    min_days: int = 3,
    confidence: float = 0.95,
    as_of: Any = None,
) -> Answer:
    """Engagement metrics that fall before users churn more than they do among users who stay, strongest first.

    A churner has no active day in the `churn_days` (setting churn_days, else 28) after one; its weeks are counted back
    from that last day. Everyone who never did so stays, and is looked at from their newest active day before the last
    day of some churner (drawn by a hash of the user). A change is that of the last `recent_weeks` against the
    `baseline_weeks` before, relative to them; users have at least `min_days` active days in these. ``auc`` is how
    often a churner's change is lower than a stayer's (0.5: no sign); ``lift`` how many times as often churners fell by
    `fall` or more. p-values (Mann and Whitney) are adjusted over all (Benjamini and Hochberg). Extras: the course by
    week.
    """
    import numpy as np
    from scipy import stats

    from prodsense.behavior.result import Answer
    from prodsense.inference.multiplicity import adjust
    from prodsense.metrics.result import Rows

    if recent_weeks < 1 or baseline_weeks < 1 or min_days < 1:
        raise UsageError("recent_weeks, baseline_weeks and min_days are 1 or more")
    if not 0 < fall < 1:
        raise UsageError(f"fall is a share between 0 and 1, not {fall:g}")
    warehouse.ready(PACK, ["members", "active_days", "session_facts", "feature_days", "user_tiers", "settings"])
    first, newest = span_of_activity(warehouse)
    last = last_whole_day(as_of, newest)
    weeks = recent_weeks + baseline_weeks
    params = {"first": first, "last": last, "weeks": weeks, "churn_days": churn_days}
    table = warehouse.engine.query(_PEOPLE + _WEEKS, params)
    sums, has_churned = _by_week(table, weeks)
    eligible = sums["days"][:, recent_weeks:].sum(axis=1) >= min_days
    sums = {name: values[eligible] for name, values in sums.items()}
    churned = has_churned[eligible] == 1
    counts = int(churned.sum()), int((~churned).sum())
    if min(counts) < LEAST:
        raise UsageError(
            f"{counts[0]} churners and {counts[1]} stayers have {weeks} weeks of history up to {last}; {LEAST} of"
            " both are needed"
        )
    changes = {}
    for name, (part, over) in INDICATORS.items():
        recent, before = (
            _rate(sums, part, over, half) for half in (slice(0, recent_weeks), slice(recent_weeks, weeks))
        )
        scale = 1.0 if over else baseline_weeks / recent_weeks
        with np.errstate(divide="ignore", invalid="ignore"):
            changes[name] = (churned, np.where(before > 0, recent * scale / before - 1, np.nan))
    tiers = warehouse.engine.query(_PEOPLE + _TIERS, params)
    if tiers.num_rows:
        level, earlier = (tiers[c].to_numpy(zero_copy_only=False).astype(float) for c in ("recent", "before"))
        moved = np.where(earlier > 0, (level - earlier) / np.where(earlier > 0, earlier, 1), np.nan)
        changes["tier_by_month"] = (tiers["has_churned"].to_numpy() == 1, moved)
    rows = []
    for name, (who, values) in changes.items():
        known = np.isfinite(values)
        a, b = values[known & who], values[known & ~who]
        row: dict[str, Any] = {"indicator": name, "churners": len(a), "stayers": len(b)}
        if min(len(a), len(b)) < LEAST or np.ptp(values[known]) == 0:
            rows.append(row | dict.fromkeys(_NUMBERS))
            continue
        test = stats.mannwhitneyu(b, a, alternative="two-sided")
        shares = float((a <= -fall).mean()), float((b <= -fall).mean())
        rows.append(row | {
            "churners_change": float(np.median(a)), "stayers_change": float(np.median(b)),
            "auc": float(test.statistic) / (len(a) * len(b)), "p_value": float(test.pvalue),
            "churners_fell": shares[0], "stayers_fell": shares[1], "lift": shares[0] / shares[1] if shares[1] else None,
        })
    for row, p in zip(rows, adjust([row["p_value"] for row in rows], "bh"), strict=True):
        row["p_adjusted"] = p
        row["leads"] = None if p is None else bool(p < 1 - confidence and row["auc"] > 0.5)
    rows.sort(key=lambda row: (row["auc"] is None, -(row["auc"] or 0), row["indicator"]))
    leading = [row["indicator"] for row in rows if row["leads"]]
    notes = [
        f"{OBSERVATIONAL}: {counts[0]:,} churners beside {counts[1]:,} users who stayed",
        "before churn falls: " + (", ".join(leading) if leading else "nothing more than among those who stay"),
    ]
    return Answer(
        arrow=Rows.from_rows(rows).arrow, method="churn_leading_indicators", title="What falls before churn",
        units=dict.fromkeys(("churners_change", "stayers_change", "churners_fell", "stayers_fell"), "share"),
        extras={"obtained": OBSERVATIONAL, "churners": counts[0], "stayers": counts[1], "leading": leading,
                "course": _course(sums, churned, weeks), "last_day": last},
        notes=tuple(notes), statements=((_PEOPLE + _WEEKS, params),), dialect=warehouse.engine.dialect,
        picture=_picture,
    )  # fmt: skip


_NUMBERS = ("churners_change", "stayers_change", "auc", "p_value", "churners_fell", "stayers_fell", "lift")


def _by_week(table: pa.Table, weeks: int) -> tuple[dict[str, Any], Any]:
    """Sums of each user by week before the last day (users, weeks), 0 where there is no row; and who churned."""
    import numpy as np

    codes = table["user_id"].combine_chunks().dictionary_encode()
    who = codes.indices.to_numpy(zero_copy_only=False)
    week = table["week"].to_numpy(zero_copy_only=False).astype(int)
    size = len(codes.dictionary)
    has_churned = np.zeros(size, int)
    has_churned[who] = table["has_churned"].to_numpy(zero_copy_only=False)
    sums = {}
    for name in _SUMS:
        sums[name] = np.zeros((size, weeks))
        sums[name][who, week] = table[name].to_numpy(zero_copy_only=False)
    return sums, has_churned


def _rate(sums: dict[str, Any], part: str, over: str | None, half: slice) -> Any:
    import numpy as np

    total = sums[part][:, half].sum(axis=1)
    if over is None:
        return total
    below = sums[over][:, half].sum(axis=1)
    return np.where(below > 0, total / np.where(below > 0, below, 1), np.nan)


def _course(sums: dict[str, Any], churned: Any, weeks: int) -> list[dict[str, Any]]:
    """Each indicator by week before the last day, of churners and of stayers together (ratios of sums)."""
    rows = []
    for name, (part, over) in INDICATORS.items():
        for week in range(weeks - 1, -1, -1):
            row: dict[str, Any] = {"indicator": name, "weeks_before": week}
            for label, who in (("churners", churned), ("stayers", ~churned)):
                below = float(sums[over][who, week].sum()) if over else float(who.sum())
                row[label] = float(sums[part][who, week].sum()) / below if below else None
            rows.append(row)
    return rows


def _picture(answer: Answer, **options: Any) -> Any:
    """How much more often churners' numbers fall, by indicator."""
    from prodsense.charts.builders import chart_rows

    rows = [
        {"indicator": row["indicator"], "group": label, "fell": row[f"{label}_fell"]}
        for row in answer.rows if row["auc"] is not None for label in ("churners", "stayers")
    ]
    settings: dict[str, Any] = {"title": answer.title, "notes": answer.notes, "units": {"fell": "share"}, **options}
    return chart_rows(rows, "bar", x="indicator", y="fell", by=("group",), **settings)

