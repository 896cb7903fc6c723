"""What goes with bingeing, and whether bingers stay: two observational comparisons."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError
from prodsense.inference.causal_result import OBSERVATIONAL
from prodsense.inference.like_users import LEAST, compared
from prodsense.packs.computed import floats

from .common import PACK, moment_of
from .habits import binges_sql

if TYPE_CHECKING:
    import pyarrow as pa

    from prodsense.metrics.result import Rows
    from prodsense.warehouse import Warehouse

# -- what goes with it -----------------------------------------------------------------------------------

#: Characteristics: of the series (S) and of the user (U), as text; NULL is a value of its own.
DRIVERS = {
    "genre": "series", "production_type": "series", "release": "series", "episodes": "series",
    "episode_length": "series", "age_group": "user", "region": "user", "subscription_tier": "user",
}  # fmt: skip
#: Fewest pairs of a value, and fewest users of it, for it to be told apart.
FEWEST = 20

#: One row a user and series that they viewed in the window: was it binged, and what both are like.
_PAIRS = """,
pairs AS (
    SELECT user_key, series_key, MIN(session_date) AS first_day, COUNT(DISTINCT content_key) AS seen
    FROM views
    WHERE session_date > add_days(date_of(:as_of), -:days)
    GROUP BY user_key, series_key
),
binged AS (
    SELECT DISTINCT user_key, series_key FROM binges WHERE binge_date > add_days(date_of(:as_of), -:days)
),
series AS (
    SELECT series_key, MIN(genre) AS genre, MIN(production_type) AS production_type, MIN(release_date) AS release_date,
        COUNT(*) AS episodes, mean(length_seconds) AS length
    FROM streaming.titles
    WHERE series_key IS NOT NULL AND trailer_of_content_key IS NULL
    GROUP BY series_key
)
SELECT p.user_key, p.series_key, CASE WHEN b.user_key IS NULL THEN 0.0 ELSE 1.0 END AS is_binged,
    s.genre, s.production_type,
    CASE WHEN s.release_date IS NULL THEN NULL WHEN days_between(s.release_date, p.first_day) < 90 THEN 'new release'
        ELSE 'library' END AS release,
    CASE WHEN s.episodes < 6 THEN 'short' WHEN s.episodes < 13 THEN 'one season' ELSE 'long' END AS episodes,
    CASE WHEN s.length < 2100 THEN 'under 35 min' WHEN s.length >= 2100 THEN '35 min and more' END AS episode_length,
    u.age_group, u.region, u.subscription_tier
FROM pairs AS p
LEFT JOIN binged AS b ON b.user_key = p.user_key AND b.series_key = p.series_key
LEFT JOIN series AS s ON s.series_key = p.series_key
LEFT JOIN streaming.viewers AS u ON u.user_key = p.user_key
-- A series of fewer episodes cannot be binged.
WHERE COALESCE(s.episodes, 0) >= :episodes
ORDER BY p.user_key, p.series_key
"""


def binge_driver_analysis(
    warehouse: Warehouse, episodes: int = 3, hours: float = 24.0, days: int = 56, confidence: float = 0.95,
    as_of: datetime | None = None,
) -> Rows:
    """Which characteristics of series and of users go with bingeing.

    Units are pairs of a user and a series that the user viewed in the last `days` days (series with enough episodes to
    binge at all). Each value of a characteristic is set beside all others: ``binge_share``, ``others_share`` and
    ``lift`` (their ratio), and ``effect``, the difference adjusted for all other characteristics (a linear probability
    model, errors clustered by user) with interval and p-value (Benjamini and Hochberg). Strongest first.
    """
    import numpy as np

    from prodsense.inference.multiplicity import adjust
    from prodsense.metrics.result import Rows

    if days < 1:
        raise UsageError("days is 1 or more")
    warehouse.ready(PACK, ["sessions", "viewers", "titles"])
    text = binges_sql(episodes, hours) + _PAIRS
    params = {"as_of": moment_of(warehouse, as_of), "days": days, "episodes": episodes}
    table = warehouse.engine.query(text, params)
    y = floats(table, "is_binged") if table.num_rows else np.empty(0)
    if min(y.sum(), len(y) - y.sum()) < LEAST:
        raise UsageError(
            f"{int(y.sum())} of {len(y)} users' series of {episodes} or more episodes were binged in {days} days;"
            f" {LEAST} binged and {LEAST} others are needed"
        )
    users = np.unique(table["user_key"].to_numpy(zero_copy_only=False), return_inverse=True)[1]
    levels = {
        name: np.array([v if v is not None else "(unknown)" for v in table[name].to_pylist()]) for name in DRIVERS
    }
    rows = []
    for name, kind in DRIVERS.items():
        values, counts = np.unique(levels[name], return_counts=True)
        for value, count in zip(values, counts, strict=True):
            mine = levels[name] == value
            if min(count, len(y) - count) < FEWEST or min(len(set(users[mine])), len(set(users[~mine]))) < FEWEST:
                continue
            row: dict[str, Any] = {
                "of": kind, "characteristic": name, "value": str(value), "pairs": int(count),
                "binged": int(y[mine].sum()), "binge_share": float(y[mine].mean()),
                "others_share": float(y[~mine].mean()),
            }
            row["lift"] = row["binge_share"] / row["others_share"] if row["others_share"] else None
            rows.append(row | _adjusted(y, mine, levels, name, users, confidence))
    for row, p in zip(rows, adjust([row["p_value"] for row in rows], "bh"), strict=True):
        row["p_adjusted"] = p
        row["goes_with_bingeing"] = None if p is None else bool(p < 1 - confidence)
    if not rows:
        raise UsageError(f"no characteristic has two values of {FEWEST} users' series each")
    rows.sort(key=lambda r: (r["p_value"] is None, -abs(r["effect"] or 0), r["characteristic"], r["value"]))
    found = [f"{r['characteristic']} {r['value']} ({r['effect']:+.1%})" for r in rows if r["goes_with_bingeing"]]
    return Rows(
        arrow=Rows.from_rows(rows).arrow, title="What goes with bingeing",
        units=dict.fromkeys(("binge_share", "others_share", "effect", "low", "high"), "share"),
        notes=(f"{OBSERVATIONAL}: " + ("; ".join(found) if found else "nothing goes with bingeing beyond chance"),),
        extras={"obtained": OBSERVATIONAL, "pairs": len(y), "binged": int(y.sum()), "users": int(users.max()) + 1,
                "correction": "bh", "confidence": confidence},
        statements=((text, params),), dialect=warehouse.engine.dialect,
    )  # fmt: skip


def _adjusted(y: Any, mine: Any, levels: dict[str, Any], own: str, users: Any, confidence: float) -> dict[str, Any]:
    """The share of `mine` less that of the others, at equal other characteristics."""
    import numpy as np

    from prodsense.inference.ols import ols, p_value, quantile_of

    columns, names = [np.ones(len(y)), mine.astype(float)], ["constant", "mine"]
    for name, values in levels.items():
        if name == own:
            continue
        kinds, sizes = np.unique(values, return_counts=True)
        for kind in np.delete(kinds, sizes.argmax()):
            column = (values == kind).astype(float)
            if column.sum() >= FEWEST:
                columns.append(column)
                names.append(f"{name}={kind}")
    x = np.column_stack(columns)
    # Few series may make characteristics add up to each other: those that say nothing new are left out.
    kept = np.abs(np.diag(np.linalg.qr(x, mode="r"))) > 1e-8 * np.sqrt((x**2).sum(axis=0))
    if not kept[1]:
        return dict.fromkeys(("effect", "low", "high", "p_value"))
    names = [name for name, keep in zip(names, kept, strict=True) if keep]
    found = ols(y, x[:, kept], names, errors="cluster", clusters=(users,))
    place = found.place("mine")
    effect, error = float(found.coefficients[place]), float(found.std_errors[place])
    reach = quantile_of(confidence, found.degrees) * error
    p = p_value(effect, error, found.degrees)
    return {"effect": effect, "low": effect - reach, "high": effect + reach, "p_value": p}


# -- do they stay ----------------------------------------------------------------------------------------

#: Subscribers at the end of the window who watched an episode in it: did they binge, what came before, do they stay.
_STAYERS = """,
cut AS (
    SELECT CAST(:until AS DATE) AS day
),
subscribers AS (
    SELECT s.user_key, MAX(s.tier) AS tier, MIN(s.started_at) AS started_at,
        MAX(CASE WHEN s.ended_at IS NULL OR s.ended_at >= CAST(:outcome AS TIMESTAMP) THEN 1.0 ELSE 0.0 END) AS stays
    FROM streaming.subscription_log AS s
    CROSS JOIN cut AS c
    WHERE s.started_at < add_days(c.day, 1) AND (s.ended_at IS NULL OR s.ended_at >= add_days(c.day, 1))
    GROUP BY s.user_key
),
exposed AS (
    SELECT user_key, COUNT(DISTINCT content_key) AS episodes
    FROM views
    WHERE session_date > CAST(:since AS DATE) AND session_date <= CAST(:until AS DATE)
    GROUP BY user_key
),
bingers AS (
    SELECT DISTINCT user_key FROM binges WHERE binge_date > CAST(:since AS DATE) AND binge_date <= CAST(:until AS DATE)
),
before AS (
    SELECT user_key, SUM(COALESCE(watched_seconds, 0)) / 3600.0 AS hours, COUNT(DISTINCT session_date) AS days,
        COUNT(DISTINCT genre) AS genres
    FROM streaming.sessions
    WHERE session_date > CAST(:begin AS DATE) AND session_date <= CAST(:since AS DATE)
    GROUP BY user_key
)
SELECT
    s.user_key, s.stays, CASE WHEN b.user_key IS NULL THEN 0.0 ELSE 1.0 END AS is_binger,
    CAST(COALESCE(p.hours, 0) AS DOUBLE) AS hours_before, CAST(COALESCE(p.days, 0) AS DOUBLE) AS days_before,
    CAST(COALESCE(p.genres, 0) AS DOUBLE) AS genres_before,
    CAST(LEAST(days_between(date_of(s.started_at), CAST(:until AS DATE)), 365) AS DOUBLE) AS tenure_days,
    s.tier, u.region, u.age_group
FROM subscribers AS s
JOIN exposed AS e ON e.user_key = s.user_key
LEFT JOIN bingers AS b ON b.user_key = s.user_key
LEFT JOIN before AS p ON p.user_key = s.user_key
LEFT JOIN streaming.viewers AS u ON u.user_key = s.user_key
ORDER BY s.user_key
"""


def binge_retention_impact(
    warehouse: Warehouse, episodes: int = 3, hours: float = 24.0, days: int = 28, horizon: int = 28,
    confidence: float = 0.95, as_of: datetime | None = None,
) -> Rows:
    """Do users who binge stay subscribed longer than like users who watch series and do not binge?

    Three stretches end `horizon` days before `as_of`: in the first of `days` days users are told apart by what they
    watched, in the second they binge or not; those subscribed at its end count, and stay when the subscription lasts
    `horizon` more days. Who never watched an episode in the second stretch could not binge and is left out. Selection
    is taken into account by hours, days and genres watched before, tenure, tier, region and age (doubly robust), and
    by the E-value: how strong an unknown reason would have to be.

    One row: users of both kinds, their retention, the plain and the adjusted difference with interval, p-value,
    E-value, and the finding.
    """
    from prodsense.metrics.result import Rows

    if days < 7 or horizon < 1:
        raise UsageError("days is 7 or more, horizon 1 or more")
    warehouse.ready(PACK, ["sessions", "viewers", "titles", "subscription_log"])
    moment = moment_of(warehouse, as_of)
    until = moment.date() - timedelta(days=horizon)
    params = {
        "as_of": moment, "until": until, "since": until - timedelta(days=days),
        "begin": until - timedelta(days=2 * days), "outcome": datetime.combine(until, datetime.min.time())
        + timedelta(days=horizon + 1),
    }  # fmt: skip
    text = binges_sql(episodes, hours) + _STAYERS
    people: pa.Table = warehouse.engine.query(text, params)
    covariates = ["hours_before", "days_before", "genres_before", "tenure_days", "tier", "region", "age_group"]
    binged = floats(people, "is_binger") == 1
    if people.num_rows < 2 * LEAST:
        raise UsageError(
            f"{people.num_rows} subscribers of {until} watched a series in the {days} days before;"
            f" {2 * LEAST} are needed"
        )
    row, balance = compared(people, binged, "stays", covariates, confidence, sides=("bingers", "others"), share=True)
    row = {"outcome": f"still subscribed {horizon} days later", **row}
    row["finding"] = row.pop("reason") or _finding(row)
    return Rows(
        arrow=Rows.from_rows([row]).arrow, title="Bingeing and staying",
        units=dict.fromkeys(
            ("bingers_mean", "others_mean", "difference", "difference_low", "difference_high", "effect", "low", "high"),
            "share",
        ),
        notes=(f"{OBSERVATIONAL}: nobody was told to binge", row["finding"]),
        extras={"obtained": OBSERVATIONAL, "window_end": until, "covariates": covariates, "balance": balance,
                "confidence": confidence},
        statements=((text, params),), dialect=warehouse.engine.dialect,
    )  # fmt: skip


def _finding(row: dict[str, Any]) -> str:
    size = f"{row['effect']:+.1%} ({row['low']:+.1%} to {row['high']:+.1%})"
    if row["low"] > 0 or row["high"] < 0:
        return f"bingers stay {'more' if row['effect'] > 0 else 'less'} than like users: {size}"
    return f"no difference to like users beyond chance: {size}"
