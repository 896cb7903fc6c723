"""What titles bring and what the library lacks: return on investment, and gaps between demand and supply."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from prodsense.errors import UsageError
from prodsense.inference.causal_result import OBSERVATIONAL

from .common import PACK, moment_of

if TYPE_CHECKING:
    from prodsense.metrics.result import Rows
    from prodsense.warehouse import Warehouse

# -- return on investment --------------------------------------------------------------------------------

#: A month of a subscription is worth its price times the days that it ran; it is shared among the titles that its user
#: watched in that month, by watched time. Episodes add up to their series where costs are those of the series.
_ROI = """
WITH months AS (
    SELECT DISTINCT period_start(session_date, 'month') AS month FROM streaming.sessions WHERE started_at <= :as_of
),
terms AS (
    SELECT
        user_id, monthly_price, COALESCE(date_of(ended_at), add_days(date_of(:as_of), 1)) AS until,
        date_of(CASE WHEN trial_started_at IS NULL THEN started_at ELSE converted_to_paid_at END) AS since
    FROM streaming.subscriptions
),
paid AS (
    SELECT
        s.user_id,
        m.month,
        SUM(COALESCE(s.monthly_price, CAST(:monthly_price AS DOUBLE)) * ratio(
            GREATEST(days_between(
                GREATEST(m.month, s.since),
                LEAST(period_start(add_days(m.month, 31), 'month'), s.until, add_days(date_of(:as_of), 1))
            ), 0),
            days_between(m.month, period_start(add_days(m.month, 31), 'month'))
        )) AS revenue
    FROM terms AS s
    JOIN months AS m ON s.since < period_start(add_days(m.month, 31), 'month') AND s.until > m.month
    GROUP BY s.user_id, m.month
),
watched AS (
    SELECT
        s.user_key, COALESCE(u.user_id, text_of(s.user_key)) AS user_id, s.content_key, s.series_key,
        period_start(s.session_date, 'month') AS month, s.session_id, s.is_view, s.is_completed, s.is_open,
        s.started_at, COALESCE(s.watched_seconds, 0) AS seconds
    FROM streaming.sessions AS s
    LEFT JOIN streaming.viewers AS u ON u.user_key = s.user_key
    WHERE s.started_at <= :as_of AND s.content_key IS NOT NULL
),
costs AS (
    SELECT c.content_id, c.cost, COALESCE(t.content_key, key_of(c.content_id)) AS content_key, t.content_name,
        LOWER(t.content_type) IN ('series', 'show', 'tv show', 'tv_show') AS is_series
    FROM streaming.content_costs AS c
    LEFT JOIN streaming.dim_content AS t ON COALESCE(t.content_id, text_of(t.content_key)) = c.content_id
    WHERE c.cost IS NOT NULL
),
-- What a title's costs are for: itself, or the episodes of which it is the series.
owners AS (
    SELECT w.*, COALESCE(own.content_key, s.content_key) AS owner_key
    FROM watched AS w
    LEFT JOIN costs AS own ON own.content_key = w.content_key
    LEFT JOIN costs AS s ON s.content_key = w.series_key AND s.is_series
),
attention AS (
    SELECT user_id, month, SUM(seconds) AS seconds FROM watched GROUP BY user_id, month
),
earned AS (
    SELECT o.owner_key, SUM(p.revenue * ratio(o.seconds, a.seconds)) AS revenue
    FROM owners AS o
    JOIN attention AS a ON a.user_id = o.user_id AND a.month = o.month
    JOIN paid AS p ON p.user_id = o.user_id AND p.month = o.month
    WHERE a.seconds > 0
    GROUP BY o.owner_key
),
firsts AS (
    SELECT o.owner_key, COUNT(DISTINCT o.user_id) AS users
    FROM (
        SELECT owner_key, user_id, started_at FROM owners WHERE is_view
        QUALIFY ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY started_at, session_id) = 1
    ) AS o
    JOIN streaming.subscriptions AS s ON s.user_id = o.user_id
        AND o.started_at >= COALESCE(s.trial_started_at, s.started_at)
        AND o.started_at < add_minutes(COALESCE(s.trial_started_at, s.started_at), 10080)
    GROUP BY o.owner_key
),
used AS (
    SELECT
        owner_key, COUNT(DISTINCT user_key) AS viewers, COUNT(CASE WHEN is_view THEN 1 END) AS views,
        SUM(seconds) / 3600.0 AS hours, share(is_completed) FILTER (WHERE NOT is_open) AS completion_rate
    FROM owners
    GROUP BY owner_key
)
SELECT
    c.content_key, c.content_name, c.cost, COALESCE(u.viewers, 0) AS viewers, COALESCE(u.views, 0) AS views,
    COALESCE(u.hours, 0) AS hours, u.completion_rate, COALESCE(f.users, 0) AS subscribers_begun,
    COALESCE(e.revenue, 0) AS revenue, ratio(c.cost, u.hours) AS cost_per_hour,
    COALESCE(e.revenue, 0) - c.cost AS profit, ratio(COALESCE(e.revenue, 0) - c.cost, c.cost) AS roi
FROM costs AS c
LEFT JOIN used AS u ON u.owner_key = c.content_key
LEFT JOIN earned AS e ON e.owner_key = c.content_key
LEFT JOIN firsts AS f ON f.owner_key = c.content_key
ORDER BY roi DESC, c.content_key
"""
_PRICED = """
SELECT COUNT(*) AS rows_told, COUNT(monthly_price) AS priced FROM streaming.subscriptions
"""


def content_roi_model(
    warehouse: Warehouse, monthly_price: float | None = None, as_of: datetime | None = None
) -> Rows:
    """What titles with a known cost have brought in so far: their users' payments, shared by watched time.

    Each paid month of a subscriber (days that it ran, at its `monthly_price`, or at the one given where the row has
    none) is shared among the titles watched in it by watched time. Months without viewing are shared with nobody. The
    cost of a series stands for those of its episodes without a cost of their own. ``subscribers_begun`` are users
    whose first view came within a week of the start of their subscription or trial and was of the title. Attribution,
    not effect: nobody knows who would have stayed without it.

    Rows, best first: ``cost``, ``revenue``, ``profit``, ``roi`` (profit over cost), ``viewers``, ``views``, ``hours``,
    ``completion_rate``, ``cost_per_hour``, ``subscribers_begun``.
    """
    from prodsense.metrics.result import Rows

    warehouse.ready(PACK, ["sessions", "viewers", "dim_content", "content_costs", "subscriptions"])
    params = {"as_of": moment_of(warehouse, as_of), "monthly_price": monthly_price}
    told = warehouse.engine.query(_PRICED).to_pylist()[0]
    if monthly_price is not None and monthly_price < 0:
        raise UsageError("monthly_price is not below 0")
    if told["rows_told"] and not told["priced"] and monthly_price is None:
        raise UsageError("no subscription has a monthly_price: load it, or give one for all (monthly_price=9.99)")
    table = warehouse.engine.query(_ROI, params)
    if not table.num_rows:
        raise UsageError("no title has a cost: load content_costs")
    notes = [f"{OBSERVATIONAL}: payments are shared by watched time, which tells use, not who would have left"]
    if told["rows_told"] > told["priced"]:
        given = "left out" if monthly_price is None else f"taken at {monthly_price:g}"
        notes.append(f"{told['rows_told'] - told['priced']:,} subscriptions without a price are {given}")
    return Rows(
        arrow=table, title="Return on titles", notes=tuple(notes), extras={"obtained": OBSERVATIONAL},
        units={"roi": "share", "completion_rate": "share", "hours": "hours"}, statements=((_ROI, params),),
        dialect=warehouse.engine.dialect,
    )  # fmt: skip


# -- gaps of the library ---------------------------------------------------------------------------------

_GAPS = """
WITH genres AS (
    SELECT content_key, content_id, LOWER(content_name) AS content_name, genre
    FROM streaming.titles
    WHERE genre IS NOT NULL AND COALESCE(content_type, '') NOT IN ('trailer', 'preview')
),
supply AS (
    SELECT g.genre, COUNT(DISTINCT g.content_key) AS titles
    FROM genres AS g
    LEFT JOIN streaming.content_availability AS a ON a.content_id = g.content_id
    WHERE (a.content_id IS NULL AND NOT EXISTS (SELECT 1 FROM streaming.content_availability))
        OR (a.content_id IS NOT NULL AND COALESCE(a.available_from, date_of(:as_of)) <= date_of(:as_of)
            AND COALESCE(a.available_to, date_of(:as_of)) >= date_of(:as_of))
    GROUP BY g.genre
),
views AS (
    SELECT g.genre, COUNT(*) AS views
    FROM streaming.sessions AS s
    JOIN genres AS g ON g.content_key = s.content_key
    WHERE s.is_view AND s.started_at <= :as_of AND s.session_date > add_days(date_of(:as_of), -:days)
    GROUP BY g.genre
),
asked AS (
    SELECT LOWER(TRIM(e.query)) AS words, e.clicked_content_id, e.results, e.user_id
    FROM streaming.search_events AS e
    LEFT JOIN streaming.viewers AS u ON u.user_id = e.user_id
    WHERE e.query IS NOT NULL AND NOT COALESCE(u.is_internal, FALSE)
        AND COALESCE(e.searched_at <= :as_of AND date_of(e.searched_at) > add_days(date_of(:as_of), -:days), TRUE)
),
named AS (
    SELECT a.*, COALESCE(c.genre, t.genre, n.genre) AS genre
    FROM asked AS a
    LEFT JOIN genres AS c ON c.content_id = a.clicked_content_id
    LEFT JOIN (SELECT content_name, MIN(genre) AS genre FROM genres GROUP BY content_name) AS t
        ON t.content_name = a.words
    LEFT JOIN (SELECT DISTINCT genre FROM genres) AS n ON n.genre = a.words
),
searches AS (
    SELECT genre, COUNT(*) AS searches, COUNT(CASE WHEN clicked_content_id IS NULL THEN 1 END) AS unmet
    FROM named
    WHERE genre IS NOT NULL
    GROUP BY genre
),
known AS (
    SELECT genre FROM supply UNION SELECT genre FROM views UNION SELECT genre FROM searches
)
SELECT 'genre' AS kind, k.genre AS subject, COALESCE(s.titles, 0) AS titles, COALESCE(v.views, 0) AS views,
    COALESCE(q.searches, 0) AS searches, COALESCE(q.unmet, 0) AS unmet
FROM known AS k
LEFT JOIN supply AS s ON s.genre = k.genre
LEFT JOIN views AS v ON v.genre = k.genre
LEFT JOIN searches AS q ON q.genre = k.genre
UNION ALL
SELECT 'search', words, 0, 0, COUNT(*), COUNT(CASE WHEN clicked_content_id IS NULL THEN 1 END)
FROM named
WHERE genre IS NULL AND clicked_content_id IS NULL
GROUP BY words
HAVING COUNT(DISTINCT user_id) >= :min_users
ORDER BY kind, subject
"""


def content_gap_analysis(
    warehouse: Warehouse, days: int = 28, min_gap: float = 1.5, min_users: int = 2, as_of: datetime | None = None
) -> Rows:
    """Where demand is high against the titles that can be watched: by genre, and searches that the library lacks.

    Demand of a genre is the mean of its share of views and its share of searches (of one alone where there is nothing
    of the other) in the last `days` days; supply its share of the titles available at `as_of`. A search is of the genre
    of the title chosen, or else of that which it names. ``gap`` is demand over supply; a genre is a gap from `min_gap`
    on while chance alone would not make it one (binomial test, Benjamini and Hochberg at 5%). Searches that name no
    title and no genre and choose nothing are gaps of their own from `min_users` users on, most asked first.
    """
    from scipy import stats

    from prodsense.inference.multiplicity import adjust
    from prodsense.metrics.result import Rows

    if days < 1 or min_gap <= 0 or min_users < 1:
        raise UsageError("days, min_gap and min_users are above 0")
    warehouse.ready(PACK, ["sessions", "viewers", "titles", "content_availability", "search_events"])
    params = {"as_of": moment_of(warehouse, as_of), "days": days, "min_users": min_users}
    rows = warehouse.engine.query(_GAPS, params).to_pylist()
    genres = [row for row in rows if row["kind"] == "genre"]
    if not rows:
        raise UsageError("no title has a genre and nobody searched in vain: load dim_content, search_events")
    totals = {name: sum(row[name] for row in genres) for name in ("titles", "views", "searches")}
    for row in genres:
        shares = {name: row[name] / total if total else None for name, total in totals.items()}
        asked = [share for name, share in shares.items() if name != "titles" and share is not None]
        row |= {"title_share": shares["titles"], "view_share": shares["views"], "search_share": shares["searches"]}
        row["demand"] = sum(asked) / len(asked) if asked else None
        known = row["demand"] is not None and shares["titles"] is not None
        row["gap"] = row["demand"] / shares["titles"] if known and shares["titles"] else None
        n = totals["views"] + totals["searches"]
        count = row["views"] + row["searches"]
        row["p_value"] = float(stats.binom.sf(count - 1, n, shares["titles"])) if n and known else None
    for row, p in zip(genres, adjust([row["p_value"] for row in genres], "bh"), strict=True):
        wanted = row["demand"] and (row["gap"] is None or row["gap"] >= min_gap)
        row["is_gap"] = bool(wanted and p is not None and p < 0.05)
        row["p_adjusted"] = p
    genres.sort(key=lambda row: (not row["is_gap"], row["gap"] is not None, -(row["gap"] or 0), row["subject"]))
    terms = sorted((row for row in rows if row["kind"] == "search"), key=lambda row: (-row["searches"], row["subject"]))
    for row in terms:
        row["is_gap"] = True
    found = [row["subject"] for row in genres if row["is_gap"]]
    return Rows(
        arrow=Rows.from_rows([*genres, *terms]).arrow, title="Gaps of the library",
        units=dict.fromkeys(("title_share", "view_share", "search_share", "demand"), "share"),
        notes=(
            "wanted more than the library has: " + (", ".join(found) if found else "no genre"),
            *([f"searched for and not found: {', '.join(row['subject'] for row in terms[:5])}"] if terms else []),
        ),
        extras={"gaps": found, "missing": [row["subject"] for row in terms], "titles": totals["titles"]},
        statements=((_GAPS, params),), dialect=warehouse.engine.dialect,
    )  # fmt: skip
