"""Checks of the data behind the core engagement metrics, to pass before these are published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .people import PACK

if TYPE_CHECKING:
    from prodsense.warehouse import Warehouse

#: Check → (what a number above 0 means, whether it stops publication, SELECT of one number ``found``).
CHECKS: dict[str, tuple[str, bool, str]] = {
    "days_without_events": (
        "days between the first and the newest event on which nobody sent any", True, """
SELECT CASE WHEN COUNT(*) = 0 THEN 0
    ELSE days_between(MIN(event_date), MAX(event_date)) + 1 - COUNT(DISTINCT event_date) END AS found
FROM stickiness.event_log
"""),
    "repeated_events": (
        "events that repeat another one of the same user, moment, type, content and session, if over 1% do so", True,
        """
SELECT CASE WHEN SUM(n - 1) * 100 > SUM(n) THEN SUM(n - 1) ELSE 0 END AS found
FROM (
    SELECT COUNT(*) AS n FROM stickiness.user_events
    GROUP BY user_id, timestamp, event_type, content_type, feature_name, session_id, platform
) AS same
"""),
    "clocks_far_ahead": (
        "events whose client time is over a day after the server had them", False, """
SELECT COUNT(*) AS found FROM stickiness.user_events WHERE hours_between(received_at, timestamp) > 24
"""),
    "events_received_late": (
        "events received over three days after they happened", False, """
SELECT COUNT(*) AS found FROM stickiness.user_events WHERE hours_between(timestamp, received_at) > 72
"""),
    "events_of_unknown_users": (
        "users with events that the table users does not have, while it has others", False, """
SELECT COUNT(DISTINCT e.user_id) AS found
FROM stickiness.user_events AS e
WHERE EXISTS (SELECT 1 FROM stickiness.users)
    AND NOT EXISTS (SELECT 1 FROM stickiness.users AS u WHERE u.user_id = e.user_id)
"""),
    "activity_before_signup": (
        "users active before the day of their signup", False, """
SELECT COUNT(DISTINCT a.user_id) AS found
FROM stickiness.active_days AS a
JOIN stickiness.users AS u ON u.user_id = a.user_id
WHERE a.activity_date < u.signup_date
"""),
    "daily_activity_without_events": (
        "rows of daily_user_activity of whom no event is known, on days that have events", True, """
SELECT COUNT(*) AS found
FROM stickiness.daily_user_activity AS d
WHERE COALESCE(d.is_active, TRUE)
    AND EXISTS (SELECT 1 FROM stickiness.event_log AS e WHERE e.event_date = d.activity_date)
    AND NOT EXISTS (
        SELECT 1 FROM stickiness.event_log AS e WHERE e.event_date = d.activity_date AND e.user_id = d.user_id
    )
"""),
    "events_missing_from_daily_activity": (
        "users and days with a qualifying event that daily_user_activity lacks, on days that it knows", True, """
SELECT COUNT(*) AS found
FROM (SELECT DISTINCT user_id, event_date FROM stickiness.event_log WHERE is_qualifying) AS e
WHERE EXISTS (SELECT 1 FROM stickiness.daily_user_activity AS d WHERE d.activity_date = e.event_date)
    AND NOT EXISTS (
        SELECT 1 FROM stickiness.daily_user_activity AS d
        WHERE d.activity_date = e.event_date AND d.user_id = e.user_id AND COALESCE(d.is_active, TRUE)
    )
"""),
    "sessions_over_a_day_long": (
        "sessions longer than a day", False, """
SELECT COUNT(*) AS found FROM stickiness.session_facts WHERE duration_seconds > 86400
"""),
    "platform_days_gone_quiet": (
        "platforms and days with less than a third of the platform's usual users (median of its days), while all others"
        " together keep two thirds of theirs", True, """
WITH counts AS (
    SELECT platform, event_date AS day, COUNT(DISTINCT user_id) AS users
    FROM stickiness.event_log
    WHERE platform IS NOT NULL
    GROUP BY platform, event_date
),
days AS (
    SELECT day, SUM(users) AS users FROM counts GROUP BY day
),
names AS (
    SELECT platform, quantile(users, 0.5) AS usual, MIN(day) AS first_day FROM counts GROUP BY platform
),
grid AS (
    SELECT n.platform, n.usual, d.day, COALESCE(c.users, 0) AS users, d.users - COALESCE(c.users, 0) AS others
    FROM names AS n
    CROSS JOIN days AS d
    LEFT JOIN counts AS c ON c.platform = n.platform AND c.day = d.day
    WHERE d.day >= n.first_day
),
rest AS (
    SELECT platform, quantile(others, 0.5) AS usual_others FROM grid GROUP BY platform
)
SELECT COUNT(*) AS found
FROM grid AS g
JOIN rest AS r ON r.platform = g.platform
WHERE g.usual >= 20 AND g.users * 3 < g.usual AND r.usual_others > 0 AND g.others * 3 >= r.usual_others * 2
"""),
}  # fmt: skip


def validate(warehouse: Warehouse) -> list[dict[str, Any]]:
    """One row a check: what was looked for, how many were found, and its state: ok, look or stop.

    The last row says whether to publish. Rows that ingest refused count as one check more.
    """
    warehouse.ready(PACK, ["user_events", "users", "daily_user_activity", "event_log", "active_days", "session_facts"])
    rows = []
    for name, (says, stops, sql) in CHECKS.items():
        found = int(warehouse.engine.query(sql)["found"][0].as_py() or 0)
        rows.append(
            {"check": name, "state": "ok" if not found else "stop" if stops else "look", "found": found, "says": says}
        )
    refused = _refused(warehouse)
    rows.append({"check": "quarantined_rows", "state": "look" if refused else "ok", "found": refused,
                 "says": "rows of this pack that wait in quarantine"})
    stopping = sum(row["state"] == "stop" for row in rows)
    rows.append({"check": "publication", "state": "stop" if stopping else "ok", "found": stopping,
                 "says": "checks that stop the publication of core metrics"})
    return rows


def _refused(warehouse: Warehouse) -> int:
    if warehouse.engine.columns("prodsense.quarantine") is None:
        return 0
    found = warehouse.engine.query(
        "SELECT COUNT(*) AS n FROM prodsense.quarantine WHERE released IS NULL AND relation LIKE 'stickiness.%'"
    )
    return int(found["n"][0].as_py())
