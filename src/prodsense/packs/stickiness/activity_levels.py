"""How active users are: days active in a month, tiers, and how users move between tiers."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError

from .people import (
    PACK,
    month_before,
    month_end,
    month_of,
    people_sql,
    slice_columns,
    slices_of,
    span_of_activity,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from prodsense.behavior.result import Answer
    from prodsense.metrics.result import Rows
    from prodsense.warehouse import Warehouse

#: Tiers by least active days a month, best first; below the last is Dormant.
TIERS = "Power: 20, Core: 8, Casual: 1"
DORMANT = "Dormant"
NEW, LOST, UNKNOWN = "New", "Lost", "Unknown"
_RELATIONS = ("user_month_active_days", "members", "active_days")


# -- distribution --------------------------------------------------------------------------------------


def active_days_distribution(warehouse: Warehouse, month: str | None = None, by: str | None = None) -> Answer:
    """Of the users active in a month, how many were so on exactly 1, 2, ... days; shares sum to 1 in each slice.

    `month` is the newest with activity unless given. Slices are those of the user (device: that of the first day that
    knows one; tenure: at the end of the month), so that each user counts once.
    """
    from prodsense.behavior.result import Answer
    from prodsense.metrics.result import Rows

    slices = slices_of(by)
    warehouse.ready(PACK, _RELATIONS)
    _, newest = span_of_activity(warehouse)
    start = month_of(month) if month is not None else newest.replace(day=1)
    end = min(month_end(start), max(newest, start))
    columns = slice_columns(slices)
    sql = (
        f"WITH people AS ({people_sql(slices)})"
        f" SELECT d.active_days{columns}, COUNT(*) AS users FROM stickiness.user_month_active_days AS d"
        " JOIN people AS p ON p.user_id = d.user_id WHERE d.month = CAST(:month AS DATE)"
        f" GROUP BY d.active_days{columns}"
    )
    params = {"month": start, "tenure_day": end}
    found = warehouse.engine.query(sql, params).to_pylist()
    if not found:
        raise UsageError(f"nobody was active in {start:%Y-%m}; the newest activity is of {newest}")
    counts: dict[tuple[Any, ...], dict[int, int]] = defaultdict(dict)
    for row in found:
        key = tuple(row[f"by_{n}"] for n, _ in enumerate(slices, 1))
        counts[key][row["active_days"]] = row["users"]
    length = month_end(start).day
    rows = []
    for key in sorted(counts, key=lambda k: tuple((v is None, str(v)) for v in k)):
        total = sum(counts[key].values())
        for days in range(1, length + 1):
            users = counts[key].get(days, 0)
            rows.append({
                "month": start, **dict(zip(slices, key, strict=True)), "active_days": days, "users": users,
                "share": users / total,
            })
    total = sum(row["users"] for row in rows)
    over = newest >= month_end(start)
    mean = sum(row["active_days"] * row["users"] for row in rows) / total
    notes = [f"{total:,} users active in {start:%Y-%m}, on {mean:.1f} days each in the mean"]
    if not over:
        notes.append(f"{start:%Y-%m} is not over: activity is known up to {newest}")
    return Answer(
        arrow=Rows.from_rows(rows).arrow, method="active_days_distribution", title="Active days in a month",
        units={"active_days": "days", "users": "count", "share": "share"}, notes=tuple(notes),
        extras={"month": start, "active_users": total, "mean_active_days": mean, "is_over": over, "by": list(slices)},
        incomplete=() if over else (start,), statements=((sql, params),), dialect=warehouse.engine.dialect,
        picture=_distribution_picture,
    )  # fmt: skip


def _distribution_picture(answer: Answer, **options: Any) -> Any:
    """A histogram; of slices, a line each."""
    from prodsense.charts.builders import histogram, line

    by = list(answer.extras["by"])
    rows = [{**row, "slice": ", ".join(str(row[name]) for name in by)} for row in answer.rows]
    settings: dict[str, Any] = {"title": answer.title, "notes": answer.notes, "x_title": "days active", **options}
    if not by:
        return histogram(rows, "active_days", "share", count_unit="share", **settings)
    return line(rows, "active_days", "share", series="slice", unit="share", **settings)


# -- tiers ---------------------------------------------------------------------------------------------


def read_tiers(text: str) -> list[tuple[str, float]]:
    """Tiers and their least active days, best first, of a text like ``Power: 20, Core: 8, Casual: 1``."""
    found: list[tuple[str, float]] = []
    for part in text.split(","):
        name, colon, least = part.partition(":")
        try:
            found.append((name.strip(), float(least)))
        except ValueError:
            colon = ""
        if not colon or not name.strip():
            raise UsageError(f"tiers should read like {TIERS!r}, not {part.strip()!r}")
    days = [least for _, least in found]
    if min(days) <= 0 or any(b >= a for a, b in pairwise(days)):
        raise UsageError("tiers go from the most active days down to the fewest, all above 0")
    if len({name for name, _ in found} | {DORMANT}) <= len(found):
        raise UsageError(f"two tiers have one name, or one is called {DORMANT}, which is below all of them")
    return found


def engagement_tiers(
    warehouse: Warehouse, period: str | None = None, tiers: str | None = None, power_sessions: float | None = None,
    power_interactions: float | None = None, at_risk_fall: float = 0.5,
) -> Rows:
    """The tier of each user in a month, one row a user; extras count them.

    Without any threshold it is as the model `user_tiers` has it: the rows of user_engagement_tiers where there are
    any, else by the table `settings`. With one, tiers are computed from activity: `tiers` by least active days, the
    best of them only with `power_sessions` and `power_interactions` a day active, as far as these are known.
    `at_risk_fall` is the share of the last month's active days whose loss makes a user at risk; it is known once the
    month is over.
    """
    from prodsense.metrics.result import Rows

    if not 0 < at_risk_fall <= 1:
        raise UsageError(f"at_risk_fall is a share above 0 and at most 1, not {at_risk_fall:g}")
    warehouse.ready(PACK, [*_RELATIONS, "session_facts", "user_tiers", "user_engagement_tiers"])
    own = (tiers, power_sessions, power_interactions) != (None, None, None) or at_risk_fall != 0.5
    if own:
        table, chosen, levels, sql, params = _computed(
            warehouse, period, read_tiers(tiers or TIERS), power_sessions or 0.0, power_interactions or 0.0,
            at_risk_fall,
        )
    else:
        chosen, levels = _period(warehouse, period), []
        sql = (
            "SELECT user_id, period, COALESCE(tier, 'Unknown') AS tier, active_days, sessions_per_day,"
            " interactions_per_day, is_at_risk FROM stickiness.user_tiers WHERE period = :period ORDER BY user_id"
        )
        params = {"period": chosen}
        table = warehouse.engine.query(sql, params)
    if not table.num_rows:
        raise UsageError(f"there are no users in {chosen}")
    found = _counted(table, [name for name, _ in levels])
    notes = [", ".join(f"{row['tier']} {row['users']:,} ({row['share']:.0%})" for row in found)]
    return Rows(
        arrow=table, title="Engagement tiers", notes=tuple(notes),
        units={"active_days": "days", "sessions_per_day": "count", "interactions_per_day": "count"},
        extras={"period": chosen, "tiers": found}, statements=((sql, params),), dialect=warehouse.engine.dialect,
    )


def _period(warehouse: Warehouse, given: str | None) -> str:
    """A period of `user_tiers`: as given (a month by its day, if it is one), or the newest."""
    known = _periods(warehouse)
    if given is None:
        return known[-1]
    if given in known:
        return given
    same = [period for period in known if period[:7] == given[:7]] if len(given) in (7, 10) else []
    if len(same) == 1:
        return same[0]
    raise UsageError(f"no tiers of period {given}; there are {known[0]} to {known[-1]}")


def _periods(warehouse: Warehouse) -> list[str]:
    found = warehouse.engine.query("SELECT DISTINCT period FROM stickiness.user_tiers ORDER BY period")
    if not found.num_rows:
        raise UsageError("nobody has a tier: load activity or user_engagement_tiers, then prodsense build")
    return found["period"].to_pylist()


#: What tiers of a month are made of, by user; everyone from the month of their signup or first activity on.
_LEVELS = """
WITH days AS (
    SELECT user_id, month, active_days
    FROM stickiness.user_month_active_days
    WHERE month IN (CAST(:month AS DATE), CAST(:before AS DATE))
),
visits AS (
    SELECT user_id, COUNT(*) AS sessions
    FROM stickiness.session_facts
    WHERE period_start(session_date, 'month') = CAST(:month AS DATE)
    GROUP BY user_id
),
talk AS (
    SELECT user_id, SUM(likes + comments_made + shares + direct_messages) AS interactions
    FROM stickiness.active_days
    WHERE period_start(activity_date, 'month') = CAST(:month AS DATE)
    GROUP BY user_id
)
SELECT
    m.user_id,
    COALESCE(d.active_days, 0) AS active_days,
    COALESCE(b.active_days, 0) AS days_before,
    ratio(v.sessions, d.active_days) AS sessions_per_day,
    ratio(t.interactions, d.active_days) AS interactions_per_day
FROM stickiness.members AS m
LEFT JOIN days AS d ON d.user_id = m.user_id AND d.month = CAST(:month AS DATE)
LEFT JOIN days AS b ON b.user_id = m.user_id AND b.month = CAST(:before AS DATE)
LEFT JOIN visits AS v ON v.user_id = m.user_id
LEFT JOIN talk AS t ON t.user_id = m.user_id
WHERE NOT m.is_internal
    AND period_start(LEAST(m.signup_date, m.first_active_date), 'month') <= CAST(:month AS DATE)
ORDER BY m.user_id
"""


def _computed(
    warehouse: Warehouse, period: str | None, levels: list[tuple[str, float]], power_sessions: float,
    power_interactions: float, at_risk_fall: float,
) -> tuple[pa.Table, str, list[tuple[str, float]], str, dict[str, Any]]:
    """Tiers of one month from activity: table, period, levels, and the statement with its parameters."""
    import numpy as np
    import pyarrow as pa

    _, newest = span_of_activity(warehouse)
    month = month_of(period) if period is not None else newest.replace(day=1)
    params = {"month": month, "before": month_before(month)}
    found = warehouse.engine.query(_LEVELS, params)

    def numbers(name: str) -> Any:
        return found[name].to_numpy(zero_copy_only=False).astype(float)

    days, before = numbers("active_days"), numbers("days_before")
    rank = np.array([(days < least) for _, least in levels]).sum(axis=0)  # 0 is the best
    sessions, talk = numbers("sessions_per_day"), numbers("interactions_per_day")
    weak = (np.nan_to_num(sessions, nan=np.inf) < power_sessions) | (
        np.nan_to_num(talk, nan=np.inf) < power_interactions
    )
    rank = np.where((rank == 0) & weak, 1, rank)
    names = [name for name, _ in levels] + [DORMANT]
    over = newest >= month_end(month)
    risk = (before > 0) & (days <= (1 - at_risk_fall) * before)
    table = pa.table({
        "user_id": found["user_id"],
        "period": pa.array([month.isoformat()] * found.num_rows, pa.string()),
        "tier": pa.DictionaryArray.from_arrays(pa.array(rank), pa.array(names)).cast(pa.string()),
        "active_days": found["active_days"], "sessions_per_day": found["sessions_per_day"],
        "interactions_per_day": found["interactions_per_day"],
        "is_at_risk": pa.array(risk) if over else pa.nulls(found.num_rows, pa.bool_()),
    })
    return table, month.isoformat(), levels, _LEVELS, params


def _counted(table: pa.Table, order: list[str]) -> list[dict[str, Any]]:
    """Users by tier, best first, with their share and how many of them are at risk."""
    import pyarrow.compute as pc

    found = {row["tier"]: row for row in table.group_by("tier").aggregate([
        ("user_id", "count"), ("is_at_risk", "count"), ("is_at_risk", "sum"),
    ]).to_pylist()}
    names = tier_order(found, order)
    total = pc.count(table["user_id"]).as_py()
    return [
        {
            "tier": name, "users": (users := found[name]["user_id_count"] if name in found else 0),
            "share": users / total,
            "at_risk": found[name]["is_at_risk_sum"] if name in found and found[name]["is_at_risk_count"] else None,
        }
        for name in names
    ]


def tier_order(found: Any, order: list[str] | None = None) -> list[str]:
    """Tiers best first: the known ones, then others by name."""
    known = [*(order or [name for name, _ in read_tiers(TIERS)]), DORMANT]
    return known + sorted(name for name in found if name not in known)


# -- moves between tiers ------------------------------------------------------------------------------


def engagement_tier_transitions(warehouse: Warehouse, period: str | None = None) -> Answer:
    """Users by tier in one period and in the next: counts, and shares of each row.

    `period` is the later of the two; by default the newest that is over. Who is in the later one only is New before;
    who is in the earlier one only is Lost after.
    """
    from prodsense.behavior.result import Answer, spread
    from prodsense.metrics.result import Rows

    warehouse.ready(PACK, [*_RELATIONS, "session_facts", "user_tiers", "user_engagement_tiers"])
    known = _periods(warehouse)
    later = _period(warehouse, period) if period is not None else _newest_over(warehouse, known)
    place = known.index(later)
    if not place:
        raise UsageError(
            f"{later} is the first period with tiers, so that nobody can have moved; give a later period"
            if len(known) > 1 else f"{later} is the only period with tiers: a move needs two"
        )
    earlier = known[place - 1]
    sql = (
        "WITH moves AS (SELECT user_id,"
        " COALESCE(MAX(CASE WHEN period = :earlier THEN COALESCE(tier, 'Unknown') END), 'New') AS from_tier,"
        " COALESCE(MAX(CASE WHEN period = :later THEN COALESCE(tier, 'Unknown') END), 'Lost') AS to_tier"
        " FROM stickiness.user_tiers WHERE period IN (:earlier, :later) GROUP BY user_id)"
        " SELECT from_tier, to_tier, COUNT(*) AS users FROM moves GROUP BY from_tier, to_tier"
    )
    params = {"earlier": earlier, "later": later}
    counts = {
        (row["from_tier"], row["to_tier"]): row["users"] for row in warehouse.engine.query(sql, params).to_pylist()
    }
    tiers = tier_order({name for pair in counts for name in pair} - {NEW, LOST})
    rows = []
    for before in (*tiers, NEW):
        total = sum(counts.get((before, after), 0) for after in (*tiers, LOST))
        for after in (*tiers, LOST):
            users = counts.get((before, after), 0)
            if (before, after) != (NEW, LOST):
                rows.append({
                    "from_period": earlier, "to_period": later, "from_tier": before, "to_tier": after,
                    "users": users, "share": users / total if total else None,
                })
    place_of = {name: n for n, name in enumerate(tiers)}
    stayed = [(a, b, n) for (a, b), n in counts.items() if a in place_of and b in place_of]
    extras = {
        "from_period": earlier, "to_period": later,
        "risen": sum(n for a, b, n in stayed if place_of[b] < place_of[a]),
        "fallen": sum(n for a, b, n in stayed if place_of[b] > place_of[a]),
        "same": sum(n for a, b, n in stayed if a == b),
        "new": sum(n for (a, _), n in counts.items() if a == NEW),
        "lost": sum(n for (_, b), n in counts.items() if b == LOST),
    }
    notes = [
        f"{earlier} to {later}: " + ", ".join(f"{extras[k]:,} {k}" for k in ("risen", "fallen", "same", "new", "lost"))
    ]
    return Answer(
        arrow=Rows.from_rows(rows).arrow, method="engagement_tier_transitions", title="Moves between tiers",
        units={"users": "count", "share": "share"}, extras=extras, notes=tuple(notes), statements=((sql, params),),
        dialect=warehouse.engine.dialect, picture=_transitions_picture,
        wide=lambda answer: spread(answer, ("from_tier",), "to_tier", "users"),
    )  # fmt: skip


def _newest_over(warehouse: Warehouse, known: list[str]) -> str:
    """The newest period that is over, where periods are months of the model; else the newest."""
    found = warehouse.engine.query("SELECT COUNT(*) AS given FROM stickiness.user_engagement_tiers")["given"][0].as_py()
    if found:
        return known[-1]
    _, newest = span_of_activity(warehouse)
    over = [period for period in known if month_end(date.fromisoformat(period)) <= newest]
    return over[-1] if len(over) > 1 else known[-1]


def _transitions_picture(answer: Answer, **options: Any) -> Any:
    from prodsense.charts.builders import heatmap

    settings: dict[str, Any] = {
        "unit": "share",
        "title": answer.title,
        "notes": answer.notes,
        "x_title": f"tier in {answer.extras['to_period']}",
        "y_title": f"in {answer.extras['from_period']}",
        **options,
    }
    rows = [row for row in answer.rows if row["share"] is not None]
    return heatmap(rows, "to_tier", "from_tier", "share", **settings)
