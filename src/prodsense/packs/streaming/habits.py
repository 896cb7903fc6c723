"""How people watch: how widely, and in binges."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError

from .common import PACK, moment_of

if TYPE_CHECKING:
    from prodsense.metrics.result import Rows
    from prodsense.warehouse import Warehouse

# -- variety ---------------------------------------------------------------------------------------------

_BREADTH = """
SELECT
    s.user_key,
    MIN(u.user_id) AS user_id,
    COUNT(*) AS views,
    COUNT(DISTINCT CASE WHEN NOT s.is_movie THEN s.show_name END) AS unique_shows,
    COUNT(DISTINCT CASE WHEN s.is_movie THEN s.content_key END) AS unique_movies,
    COUNT(DISTINCT s.genre) AS unique_genres
FROM streaming.sessions AS s
LEFT JOIN streaming.viewers AS u ON u.user_key = s.user_key
WHERE s.is_view AND s.user_key IS NOT NULL AND s.trailer_of_content_key IS NULL
    AND s.started_at <= :as_of AND s.session_date > add_days(date_of(:as_of), -:days)
GROUP BY s.user_key
ORDER BY s.user_key
"""


def viewing_breadth_classification(
    warehouse: Warehouse, days: int = 28, genres: int = 3, titles: int = 5, min_views: int = 3,
    as_of: datetime | None = None,
) -> Rows:
    """Users with a view in the last `days` days, as exploring, narrow or light.

    Exploring: at least `genres` genres, and at least `titles` shows and movies together. Narrow: the others with
    `min_views` views or more. Who has fewer could not show any variety, and is ``light``. Rows by user: views, unique
    shows, movies and genres, ``breadth``. Extras: ``classes`` (users and share of each).
    """
    import numpy as np

    from prodsense.metrics.result import Rows

    if min(days, genres, titles, min_views) < 1:
        raise UsageError("days, genres, titles and min_views are 1 or more")
    warehouse.ready(PACK, ["sessions", "viewers"])
    params = {"as_of": moment_of(warehouse, as_of), "days": days}
    table = warehouse.engine.query(_BREADTH, params)
    if not table.num_rows:
        raise UsageError(f"nobody viewed anything in the {days} days up to {params['as_of']}")
    columns = ("views", "unique_shows", "unique_movies", "unique_genres")
    views, shows, movies, kinds = (table[name].to_numpy(zero_copy_only=False) for name in columns)
    is_wide = (kinds >= genres) & (shows + movies >= titles)
    told = np.where(is_wide, "exploring", np.where(views >= min_views, "narrow", "light"))
    counted = {name: int((told == name).sum()) for name in ("exploring", "narrow", "light")}
    return Rows(
        arrow=table.append_column("breadth", [told.tolist()]), title="Variety of viewing",
        notes=(", ".join(f"{n:,} {name}" for name, n in counted.items()),),
        extras={"classes": [{"breadth": k, "users": n, "share": n / len(told)} for k, n in counted.items()]},
        statements=((_BREADTH, params),), dialect=warehouse.engine.dialect,
    )  # fmt: skip


# -- binges ----------------------------------------------------------------------------------------------


def binges_sql(episodes: int, hours: float) -> str:
    """CTEs that end in ``binges``: as the model of that name has it, for other numbers of episodes and hours.

    Reads ``:as_of``. A view belongs to a binge where it lies in a run of `episodes` different episodes in a row that
    begin within `hours`; such runs that share an episode are one binge.
    """
    if not 2 <= episodes <= 20:
        raise UsageError(f"episodes is from 2 to 20, not {episodes}")
    if not 0 < hours <= 24 * 366:
        raise UsageError(f"hours is above 0 and at most a year, not {hours}")
    span = float(hours)

    def within(before: int) -> str:
        """Whether a run that begins `before` views earlier fits."""
        first = f"LAG(started_at, {before}) OVER in_series" if before else "started_at"
        after = episodes - 1 - before
        last = f"LEAD(started_at, {after}) OVER in_series" if after else "started_at"
        return f"COALESCE(hours_between({first}, {last}) <= {span}, FALSE)"

    joined = " OR ".join(within(before) for before in range(1, episodes))
    return f"""
WITH views AS (
    SELECT user_key, series_key, content_key, session_id, session_date, started_at,
        LAG(started_at) OVER (
            PARTITION BY user_key, series_key, content_key ORDER BY started_at, session_id
        ) AS seen_at
    FROM streaming.sessions
    WHERE is_view AND user_key IS NOT NULL AND series_key IS NOT NULL AND trailer_of_content_key IS NULL
        AND started_at <= :as_of
),
marked AS (
    SELECT *, {joined} AS is_joined, {within(0)} AS opens
    FROM views
    WHERE seen_at IS NULL OR hours_between(seen_at, started_at) > {span}
    WINDOW in_series AS (PARTITION BY user_key, series_key ORDER BY started_at, session_id)
),
runs AS (
    SELECT *, SUM(CASE WHEN is_joined THEN 0 ELSE 1 END) OVER (
            PARTITION BY user_key, series_key ORDER BY started_at, session_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS run
    FROM marked
    WHERE is_joined OR opens
),
binges AS (
    SELECT user_key, series_key, MIN(started_at) AS started_at, MAX(started_at) AS last_started_at,
        MIN(session_date) AS binge_date, COUNT(DISTINCT content_key) AS episodes
    FROM runs
    GROUP BY user_key, series_key, run
)"""


_FOUND = """
SELECT b.user_key, u.user_id, b.series_key, b.started_at, b.last_started_at, b.episodes,
    hours_between(b.started_at, b.last_started_at) AS hours
FROM binges AS b
LEFT JOIN streaming.viewers AS u ON u.user_key = b.user_key
WHERE (CAST(:start_date AS DATE) IS NULL OR b.binge_date >= CAST(:start_date AS DATE))
    AND (CAST(:end_date AS DATE) IS NULL OR b.binge_date <= CAST(:end_date AS DATE))
ORDER BY b.started_at, b.user_key, b.series_key
"""


def binge_session_identification(
    warehouse: Warehouse, episodes: int = 3, hours: float = 24.0, start_date: Any = None, end_date: Any = None,
    as_of: datetime | None = None,
) -> Rows:
    """Binges that began from `start_date` to `end_date` (both inside): who, of which series, when, how many episodes.

    `episodes` different episodes of one series viewed by one user within `hours` (from the start of the first to that
    of the last) make one; runs that share an episode are one binge, so that a weekend is not counted twice. An episode
    viewed again within these hours counts once. Extras: binges, bingers, mean episodes.
    """
    from prodsense.metrics.result import Rows

    text = binges_sql(episodes, hours) + _FOUND
    warehouse.ready(PACK, ["sessions", "viewers"])
    params = {"as_of": moment_of(warehouse, as_of), "start_date": start_date, "end_date": end_date}
    table = warehouse.engine.query(text, params)
    users = set(table["user_key"].to_pylist())
    total = sum(table["episodes"].to_pylist())
    return Rows(
        arrow=table, title=f"Binges of {episodes} episodes within {hours:g} hours",
        notes=(f"{table.num_rows:,} binges of {len(users):,} users",),
        extras={"binges": table.num_rows, "bingers": len(users),
                "average_length": total / table.num_rows if table.num_rows else None},
        statements=((text, params),), dialect=warehouse.engine.dialect,
    )  # fmt: skip
