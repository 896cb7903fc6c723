"""What recommendations are fed with: tastes by batch, and what was just watched near real time, in one table.

`recommendation_features` has a row a user, profile, kind and item: kind ``genre`` (from the batch path: share of
watched time in four weeks, where a fortnight ago counts half) or ``title`` (from the near-real-time path: how far it
was played).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from .common import PACK, moment_of

if TYPE_CHECKING:
    from prodsense.warehouse import Warehouse

FEATURES = "streaming.recommendation_features"
PLACE = "streaming.recommendation_feed_place"
KEY = ("user_id", "profile_id", "kind", "item")
_COLUMNS = {
    "user_id": "VARCHAR", "profile_id": "VARCHAR", "kind": "VARCHAR", "item": "VARCHAR", "score": "DOUBLE",
    "seen_at": "TIMESTAMP", "path": "VARCHAR",
}  # fmt: skip

_TASTES = """
WITH weighed AS (
    SELECT
        COALESCE(u.user_id, text_of(s.user_key)) AS user_id, COALESCE(s.profile_id, '') AS profile_id, s.genre,
        s.watched_seconds * POWER(0.5, days_between(s.session_date, date_of(:as_of)) / 14.0) AS weight, s.started_at
    FROM streaming.sessions AS s
    LEFT JOIN streaming.viewers AS u ON u.user_key = s.user_key
    WHERE s.user_key IS NOT NULL AND s.genre IS NOT NULL AND s.watched_seconds > 0
        AND s.started_at <= :as_of AND s.session_date > add_days(date_of(:as_of), -28)
)
SELECT
    user_id, profile_id, 'genre' AS kind, genre AS item,
    SUM(weight) / SUM(SUM(weight)) OVER (PARTITION BY user_id, profile_id) AS score,
    MAX(started_at) AS seen_at, 'batch' AS path
FROM weighed
GROUP BY user_id, profile_id, genre
"""
#: The newest place of each title that had an event since the last run.
_SEEN = """
WITH fresh AS (
    SELECT
        e.user_id, COALESCE(e.profile_id, '') AS profile_id, COALESCE(v.content_id, e.content_id) AS content_id,
        e.current_playback_position AS position, t.length_seconds AS length, e.timestamp
    FROM streaming.playback_events AS e
    LEFT JOIN streaming.content_versions AS v ON v.version_id = e.content_id
    LEFT JOIN streaming.titles AS t ON t.content_id = COALESCE(v.content_id, e.content_id)
    LEFT JOIN streaming.viewers AS u ON u.user_id = e.user_id
    WHERE e.user_id IS NOT NULL AND e.content_id IS NOT NULL AND NOT COALESCE(u.is_internal, FALSE)
        AND (CAST(:since AS TIMESTAMP) IS NULL OR COALESCE(e.received_at, e.timestamp) > CAST(:since AS TIMESTAMP))
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY e.user_id, COALESCE(e.profile_id, ''), COALESCE(v.content_id, e.content_id)
        ORDER BY e.timestamp DESC, e.current_playback_position DESC, e.event_id
    ) = 1
)
SELECT
    f.user_id, f.profile_id, 'title' AS kind, f.content_id AS item, ratio(LEAST(f.position, f.length), f.length) AS
    score, f.timestamp AS seen_at, 'near_real_time' AS path
FROM fresh AS f
LEFT JOIN streaming.recommendation_features AS k
    ON k.user_id = f.user_id AND k.profile_id = f.profile_id AND k.kind = 'title' AND k.item = f.content_id
WHERE k.seen_at IS NULL OR k.seen_at <= f.timestamp
"""


def _tables(warehouse: Warehouse) -> None:
    warehouse.engine.create_table(FEATURES, _COLUMNS)
    warehouse.engine.create_table(PLACE, {"received_at": "TIMESTAMP"})


def batch_feed(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Pipeline batch_recommendation_feed: tastes of all users anew, in place of those of the last run."""
    warehouse.ready(PACK, ["sessions", "viewers"])
    _tables(warehouse)
    moment = moment_of(warehouse)
    engine = warehouse.engine
    with engine.transaction():
        engine.delete(FEATURES, "path = 'batch'")
        rows = engine.insert(FEATURES, _TASTES, {"as_of": moment})
    return [_told(warehouse, "batch", rows, moment)]


def near_real_time_feed(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Pipeline near_real_time_recommendation_feed: what was received since the last run, merged; nothing is built.

    An event that comes late never takes the place of a newer one.
    """
    warehouse.ready(PACK, ["playback_events", "content_versions", "titles", "viewers"])
    _tables(warehouse)
    engine = warehouse.engine
    since: datetime | None = engine.query(f"SELECT MAX(received_at) AS at FROM {PLACE}")["at"][0].as_py()
    newest = engine.query(
        "SELECT MAX(COALESCE(received_at, timestamp)) AS at FROM streaming.playback_events"
    )["at"][0].as_py()
    if newest is None or (since is not None and newest <= since):
        return [_told(warehouse, "near_real_time", 0, since)]
    import pyarrow as pa

    fresh = engine.query(_SEEN, {"since": since})
    with engine.transaction():
        with engine.temporary(fresh) as relation:
            engine.merge(FEATURES, f"SELECT * FROM {relation}", KEY)
        engine.overwrite(PLACE, pa.table({"received_at": pa.array([newest], pa.timestamp("us"))}))
    return [_told(warehouse, "near_real_time", fresh.num_rows, newest)]


def _told(warehouse: Warehouse, path: str, rows: int, moment: datetime | None) -> dict[str, Any]:
    """What a run did, and how far this path is behind the newest event."""
    newest = warehouse.engine.query(
        f"SELECT MAX(seen_at) AS at, COUNT(*) AS features FROM {FEATURES} WHERE path = :path", {"path": path}
    ).to_pylist()[0]
    return {"path": path, "rows_written": rows, "features": newest["features"], "newest_viewing": newest["at"],
            "up_to": moment}
