"""Who is about to leave, and whom to turn to."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError

from .common import PACK, moment_of

if TYPE_CHECKING:
    from prodsense.inference.predict import Prediction
    from prodsense.metrics.result import Rows
    from prodsense.warehouse import Warehouse

#: What is known of a subscriber at a moment; recent is the last 14 days, before the 14 days before these.
FEATURES = (
    "hours_recent", "hours_change", "active_days_recent", "active_days_change", "days_since_last_session",
    "series_unfinished", "genres_recent", "completed_share", "tenure_days", "in_trial", "tier",
)  # fmt: skip

#: Subscribers at the end of the day :day, what they did until then, and whether they left in the horizon after it.
_AT = """
WITH subscribers AS (
    SELECT user_key, MAX(tier) AS tier, MIN(started_at) AS started_at,
        MAX(CASE WHEN ended_at < CAST(:outcome AS TIMESTAMP) THEN 1 ELSE 0 END) AS leaves,
        MAX(CASE WHEN trial_started_at IS NOT NULL
            AND (converted_to_paid_at IS NULL OR converted_to_paid_at >= add_days(CAST(:day AS DATE), 1))
            THEN 1.0 ELSE 0.0 END) AS in_trial
    FROM streaming.subscription_log
    WHERE started_at < add_days(CAST(:day AS DATE), 1)
        AND (ended_at IS NULL OR ended_at >= add_days(CAST(:day AS DATE), 1))
    GROUP BY user_key
),
told AS (
    SELECT s.*, days_between(s.session_date, CAST(:day AS DATE)) AS age
    FROM streaming.sessions AS s
    WHERE s.session_date <= CAST(:day AS DATE) AND s.user_key IS NOT NULL
),
watched AS (
    SELECT
        user_key,
        SUM(CASE WHEN age < 14 THEN watched_seconds ELSE 0 END) / 3600.0 AS hours_recent,
        SUM(CASE WHEN age BETWEEN 14 AND 27 THEN watched_seconds ELSE 0 END) / 3600.0 AS hours_before,
        COUNT(DISTINCT CASE WHEN age < 14 THEN session_date END) AS days_recent,
        COUNT(DISTINCT CASE WHEN age BETWEEN 14 AND 27 THEN session_date END) AS days_before,
        COUNT(DISTINCT CASE WHEN age < 14 THEN genre END) AS genres_recent,
        share(is_completed) FILTER (WHERE age < 28 AND NOT is_open) AS completed_share,
        MIN(age) AS days_since
    FROM told
    GROUP BY user_key
),
parts AS (
    SELECT series_key, COUNT(*) AS parts FROM streaming.titles
    WHERE series_key IS NOT NULL AND trailer_of_content_key IS NULL GROUP BY series_key
),
shows AS (
    SELECT user_key, series_key, MIN(age) AS age,
        COUNT(DISTINCT CASE WHEN is_completed THEN content_key END) AS completed
    FROM told
    WHERE series_key IS NOT NULL AND is_view
    GROUP BY user_key, series_key
),
left_off AS (
    SELECT s.user_key, COUNT(*) AS series
    FROM shows AS s
    LEFT JOIN parts AS p ON p.series_key = s.series_key
    WHERE s.age >= 7 AND s.completed < COALESCE(p.parts, 1)
    GROUP BY s.user_key
)
SELECT
    COALESCE(u.user_id, text_of(s.user_key)) AS user_id,
    CAST(:day AS DATE) AS day,
    CASE WHEN CAST(:is_known AS BOOLEAN) THEN s.leaves END AS leaves,
    COALESCE(w.hours_recent, 0) AS hours_recent,
    COALESCE(w.hours_recent, 0) - COALESCE(w.hours_before, 0) AS hours_change,
    COALESCE(w.days_recent, 0) AS active_days_recent,
    COALESCE(w.days_recent, 0) - COALESCE(w.days_before, 0) AS active_days_change,
    LEAST(COALESCE(w.days_since, 60), 60) AS days_since_last_session,
    COALESCE(l.series, 0) AS series_unfinished,
    COALESCE(w.genres_recent, 0) AS genres_recent,
    w.completed_share,
    LEAST(days_between(date_of(s.started_at), CAST(:day AS DATE)), 730) AS tenure_days,
    s.in_trial,
    s.tier
FROM subscribers AS s
LEFT JOIN streaming.viewers AS u ON u.user_key = s.user_key
LEFT JOIN watched AS w ON w.user_key = s.user_key
LEFT JOIN left_off AS l ON l.user_key = s.user_key
ORDER BY user_id
"""


def subscriber_churn_prediction(
    warehouse: Warehouse, horizon: int = 28, cutoffs: int = 3, learner: str = "logit", top: int | None = 20,
    as_of: datetime | None = None,
) -> Prediction:
    """Each subscriber's probability that the subscription ends within `horizon` days after `as_of`.

    Learned from `cutoffs` earlier moments, a horizon apart, of which the whole horizon has passed (as many as there is
    history for, four weeks at least before each), judged on the newest quarter of them, beside the base rate. Features
    are watch time and active days of the last 14 days and their change against the 14 before, days since the last
    session, series left unfinished, genres, the share completed, tenure, trial and tier. See `inference.predict`.
    """
    import pyarrow as pa

    from prodsense.inference.predict import predict

    if horizon < 1 or cutoffs < 1:
        raise UsageError("horizon and cutoffs are 1 or more")
    warehouse.ready(PACK, ["sessions", "viewers", "titles", "subscription_log"])
    moment = moment_of(warehouse, as_of)
    first = warehouse.engine.query(
        "SELECT MIN(session_date) AS day FROM streaming.sessions WHERE started_at <= :as_of", {"as_of": moment}
    )["day"][0].as_py()
    last = moment.date()
    days = [last - timedelta(days=horizon * n) for n in range(1, cutoffs + 1)]
    days = [day for day in days if first is not None and day >= first + timedelta(days=27)]
    if not days:
        raise UsageError(
            f"sessions from {first} to {last} hold no moment with four weeks before it and {horizon} days after: give"
            " a shorter horizon, or wait"
        )
    tables = [_subscribers(warehouse, day, horizon, True) for day in days]
    today = _subscribers(warehouse, last, horizon, False)
    if not today.num_rows:
        raise UsageError(f"nobody is subscribed on {last}")
    data = pa.concat_tables([*tables, today], promote_options="permissive")
    told = [name for name in FEATURES if len(data[name].drop_null().unique()) > 1]
    if not told:
        raise UsageError("all subscribers are alike in everything that could tell them apart")
    return predict(data, label="leaves", features=told, id="user_id", time="day", learner=learner, top=top, positive=1)


def _subscribers(warehouse: Warehouse, day: Any, horizon: int, is_known: bool) -> Any:
    """The subscribers of a day with their features."""
    outcome = datetime.combine(day, datetime.min.time()) + timedelta(days=horizon + 1)
    return warehouse.engine.query(_AT, {"day": day, "outcome": outcome, "is_known": is_known})


# -- whom to turn to -------------------------------------------------------------------------------------

#: Of the users listed: their favourite genre of four weeks, and the series that they left off last.
_REASONS = """
WITH told AS (
    SELECT s.*, COALESCE(u.user_id, text_of(s.user_key)) AS user_id
    FROM streaming.sessions AS s
    LEFT JOIN streaming.viewers AS u ON u.user_key = s.user_key
    WHERE s.started_at <= :as_of
),
asked AS (
    SELECT user_id FROM {listed}
),
seen AS (
    SELECT t.user_id, MAX(t.started_at) AS last_session,
        days_between(MAX(t.session_date), date_of(:as_of)) AS days_since_last_session
    FROM told AS t JOIN asked AS a ON a.user_id = t.user_id
    GROUP BY t.user_id
),
genres AS (
    SELECT t.user_id, t.genre
    FROM told AS t JOIN asked AS a ON a.user_id = t.user_id
    WHERE t.genre IS NOT NULL
    GROUP BY t.user_id, t.genre
    QUALIFY ROW_NUMBER() OVER (PARTITION BY t.user_id ORDER BY SUM(t.watched_seconds) DESC, t.genre) = 1
),
parts AS (
    SELECT series_key, COUNT(*) AS parts FROM streaming.titles
    WHERE series_key IS NOT NULL AND trailer_of_content_key IS NULL GROUP BY series_key
),
shows AS (
    SELECT t.user_id, t.series_key, MAX(t.started_at) AS last_at,
        COUNT(DISTINCT CASE WHEN t.is_completed THEN t.content_key END) AS completed
    FROM told AS t JOIN asked AS a ON a.user_id = t.user_id
    WHERE t.series_key IS NOT NULL AND t.is_view
    GROUP BY t.user_id, t.series_key
),
left_off AS (
    SELECT s.user_id, s.series_key
    FROM shows AS s LEFT JOIN parts AS p ON p.series_key = s.series_key
    WHERE s.completed < COALESCE(p.parts, 1)
    QUALIFY ROW_NUMBER() OVER (PARTITION BY s.user_id ORDER BY s.last_at DESC, s.series_key) = 1
)
SELECT a.user_id, s.days_since_last_session, g.genre AS favourite_genre, l.series_key AS unfinished_series,
    hash_share(CAST(:campaign AS VARCHAR) || ' ' || a.user_id) AS place
FROM asked AS a
LEFT JOIN seen AS s ON s.user_id = a.user_id
LEFT JOIN genres AS g ON g.user_id = a.user_id
LEFT JOIN left_off AS l ON l.user_id = a.user_id
"""
_SCORES = """
WITH scored AS (
    SELECT c.user_id, c.risk, COALESCE(u.user_key, key_of(c.user_id)) AS user_key
    FROM streaming.churn_scores AS c
    LEFT JOIN streaming.viewers AS u ON u.user_id = c.user_id
    WHERE c.risk IS NOT NULL AND NOT COALESCE(u.is_internal, FALSE)
),
terms AS (
    SELECT user_key, MAX(CASE WHEN started_at <= :as_of AND (ended_at IS NULL OR ended_at > :as_of) THEN 1 ELSE 0 END)
        AS is_subscribed
    FROM streaming.subscription_log
    GROUP BY user_key
)
SELECT s.user_id, s.risk
FROM scored AS s
LEFT JOIN terms AS t ON t.user_key = s.user_key
-- Of whom no subscription is known at all, the score is believed.
WHERE COALESCE(t.is_subscribed, 1) = 1
ORDER BY s.risk DESC, s.user_id
"""


def churn_prevention_targeting(
    warehouse: Warehouse, share: float = 0.1, min_risk: float = 0.0, holdout: float = 0.1, horizon: int = 28,
    campaign: str = "churn_prevention", as_of: datetime | None = None,
) -> Rows:
    """The users to turn to: the highest risks, at most `share` of all who have one, none below `min_risk`.

    Risks are those of churn_scores, or where that is empty of `subscriber_churn_prediction`. Who has left already is
    left out. A `holdout` drawn by the user's id and the `campaign` is left alone: without it nobody could tell whether
    turning to the others helped. Rows, highest risk first: ``user_id``, ``risk``, ``group`` (contact or holdout),
    ``offer`` and what it is drawn from.
    """
    import pyarrow as pa

    from prodsense.metrics.result import Rows

    if not 0 < share <= 1 or not 0 <= holdout < 1 or not 0 <= min_risk <= 1:
        raise UsageError("share is above 0 and at most 1, holdout and min_risk from 0 to 1")
    warehouse.ready(PACK, ["churn_scores", "sessions", "viewers", "titles", "subscription_log"])
    engine = warehouse.engine
    moment = _moment(warehouse, as_of)
    scores = engine.query(_SCORES, {"as_of": moment})
    source = "churn_scores"
    if not scores.num_rows:
        found = subscriber_churn_prediction(warehouse, horizon=horizon, top=None, as_of=moment)
        scores = pa.table({
            "user_id": [row["user_id"] for row in found.rows], "risk": [row["probability"] for row in found.rows],
        })
        source = "subscriber_churn_prediction"
    many = max(int(scores.num_rows * share + 1e-9), 1)
    chosen = [row for row in scores.slice(0, many).to_pylist() if row["risk"] >= min_risk]
    if not chosen:
        raise UsageError(f"no risk is {min_risk:g} or higher; the highest is {scores['risk'][0].as_py():.3f}")
    listed = pa.table({"user_id": pa.array([row["user_id"] for row in chosen], pa.string())})
    with engine.temporary(listed) as relation:
        told = engine.query(_REASONS.format(listed=relation), {"as_of": moment, "campaign": campaign}).to_pylist()
    known = {row["user_id"]: row for row in told}
    rows = []
    for place, row in enumerate(chosen, 1):
        own = known[row["user_id"]]
        rows.append({
            "rank": place, "user_id": row["user_id"], "risk": row["risk"],
            "group": "holdout" if own["place"] < holdout else "contact", "offer": _offer(own),
            **{name: own[name] for name in ("days_since_last_session", "favourite_genre", "unfinished_series")},
        })
    held = sum(row["group"] == "holdout" for row in rows)
    return Rows(
        arrow=Rows.from_rows(rows).arrow, title="Whom to turn to before they leave", units={"risk": "share"},
        notes=(
            f"{len(rows) - held:,} to contact, {held:,} to leave alone, of {scores.num_rows:,} with a risk ({source})",
            *(("nobody is held out: what the campaign does cannot be told",) if not held else ()),
        ),
        extras={"source": source, "contact": len(rows) - held, "holdout": held, "scored": scores.num_rows,
                "campaign": campaign},
        dialect=engine.dialect,
    )  # fmt: skip


def _moment(warehouse: Warehouse, as_of: datetime | None) -> datetime:
    """`as_of`; the newest session; the scores alone need neither."""
    try:
        return moment_of(warehouse, as_of)
    except UsageError:
        found = warehouse.engine.query(
            "SELECT MAX(COALESCE(scored_at, CAST('1970-01-01' AS TIMESTAMP))) AS newest FROM streaming.churn_scores"
        )["newest"][0].as_py()
        if found is None:
            raise
        return found


def _offer(user: dict[str, Any]) -> str:
    """What to turn to a user with: the nearest way back."""
    if user["unfinished_series"] is not None:
        return f"go on with series {user['unfinished_series']}"
    if user["favourite_genre"] is not None:
        return f"new in {user['favourite_genre']}"
    return "what others start with"
