"""Retention and the change of engagement by cohort of signup, channel and campaign."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError

from .people import PACK, last_whole_day, people_sql, slice_columns, slices_of, span_of_activity

if TYPE_CHECKING:
    from prodsense.behavior.result import Answer
    from prodsense.warehouse import Warehouse

RETENTION_DAYS = (1, 7, 30)
GRAINS = ("day", "week", "month", "all")


def retention_cohort_analysis(
    warehouse: Warehouse,
    by: str | None = "acquisition_source,campaign",
    grain: str = "month",
    since: date | None = None,
    until: date | None = None,
    as_of: Any = None,
) -> Answer:
    """D1, D7 and D30 of cohorts of new users, and how their active days change from the first week to the fourth.

    A cohort is a period of signup (`grain`) and a value of each slice in `by`. A user counts for a day that has passed
    by `as_of` (d<N>_users says how many do), and for the change once 28 days have. ``active_days_week_1`` are days 0
    to 6 of a life, ``active_days_week_4`` days 21 to 27. Signups before the first activity of all are left out: nobody
    knows how they began.
    """
    from prodsense.behavior.result import Answer

    if grain not in GRAINS:
        raise UsageError(f"no cohorts of grain {grain!r}; choose one of {', '.join(GRAINS)}")
    slices = slices_of(by)
    if "tenure" in slices:
        raise UsageError("tenure passes by within a cohort; slice by another one")
    warehouse.ready(PACK, ["members", "active_days"])
    first, newest = span_of_activity(warehouse)
    last = last_whole_day(as_of, newest)
    start = f"period_start(signup_date, '{grain}')" if grain != "all" else "CAST(NULL AS DATE)"
    columns = slice_columns(slices)
    known = ", ".join(
        f"share(CASE WHEN age >= {n} THEN on_{n} = 1 END) AS d{n}, COUNT(*) FILTER (WHERE age >= {n}) AS d{n}_users"
        for n in RETENTION_DAYS
    )
    flags = ", ".join(f"MAX(CASE WHEN d.day_n = {n} THEN 1 ELSE 0 END) AS on_{n}" for n in RETENTION_DAYS)
    sql = (
        f"WITH people AS (SELECT *, {start} AS cohort FROM ({people_sql(slices)}) AS told"
        "  WHERE signup_date >= CAST(:first AS DATE) AND signup_date <= CAST(:last AS DATE)"
        "  AND (CAST(:since AS DATE) IS NULL OR signup_date >= CAST(:since AS DATE))"
        "  AND (CAST(:until AS DATE) IS NULL OR signup_date < CAST(:until AS DATE))),"
        " days AS (SELECT DISTINCT p.user_id, days_between(p.signup_date, a.activity_date) AS day_n FROM people AS p"
        "  JOIN stickiness.active_days AS a ON a.user_id = p.user_id"
        "  WHERE a.activity_date >= p.signup_date AND a.activity_date <= CAST(:last AS DATE)),"
        f" lives AS (SELECT d.user_id, {flags},"
        "  SUM(CASE WHEN d.day_n <= 6 THEN 1 ELSE 0 END) AS week_1,"
        "  SUM(CASE WHEN d.day_n BETWEEN 21 AND 27 THEN 1 ELSE 0 END) AS week_4 FROM days AS d GROUP BY d.user_id),"
        f" told AS (SELECT p.cohort{columns}, days_between(p.signup_date, CAST(:last AS DATE)) AS age,"
        + "".join(f" COALESCE(l.on_{n}, 0) AS on_{n}," for n in RETENTION_DAYS)
        + " COALESCE(l.week_1, 0) AS week_1, COALESCE(l.week_4, 0) AS week_4"
        "  FROM people AS p LEFT JOIN lives AS l ON l.user_id = p.user_id)"
        f" SELECT cohort{columns.replace('p.', '')}, COUNT(*) AS users, {known},"
        " COUNT(*) FILTER (WHERE age >= 27) AS four_week_users,"
        " mean(CASE WHEN age >= 27 THEN week_1 END) AS active_days_week_1,"
        " mean(CASE WHEN age >= 27 THEN week_4 END) AS active_days_week_4,"
        " mean(CASE WHEN age >= 27 THEN week_4 - week_1 END) AS change_in_active_days"
        f" FROM told GROUP BY cohort{columns.replace('p.', '')} ORDER BY cohort{columns.replace('p.', '')}"
    )
    params = {"first": first, "last": last, "since": since, "until": until, "tenure_day": last}
    table = warehouse.engine.query(sql, params)
    if not table.num_rows:
        raise UsageError(f"nobody signed up from {first} to {last} within the window asked for")
    table = table.rename_columns([
        list(slices)[int(name[3:]) - 1] if name.startswith("by_") else name for name in table.column_names
    ])
    young = sum(table["users"].to_pylist()) - sum(table["d30_users"].to_pylist())
    notes = [f"as seen at the end of {last}"]
    if young:
        notes.append(f"{young:,} users are too young for day 30 and are left out of d30")
    return Answer(
        arrow=table, method="retention_cohort_analysis", title="Retention by cohort", notes=tuple(notes),
        units={**{f"d{n}": "share" for n in RETENTION_DAYS}, **dict.fromkeys(
            ("active_days_week_1", "active_days_week_4", "change_in_active_days"), "days")},
        extras={"by": list(slices), "grain": grain, "last_day": last}, statements=((sql, params),),
        dialect=warehouse.engine.dialect, picture=_picture,
    )  # fmt: skip


def _picture(answer: Answer, **options: Any) -> Any:
    """Retention against the day, a line for each slice, cohorts pooled by their users."""
    from prodsense.charts.builders import chart_rows

    by = answer.extras["by"]
    pooled: dict[tuple[str, int], list[float]] = {}
    for row in answer.rows:
        for n in RETENTION_DAYS:
            if row[f"d{n}"] is not None:
                key = (", ".join(str(row[name] or "none") for name in by) or "all", n)
                total = pooled.setdefault(key, [0.0, 0.0])
                total[0] += row[f"d{n}"] * row[f"d{n}_users"]
                total[1] += row[f"d{n}_users"]
    rows = [{"day": n, "slice": name, "retention": a / b} for (name, n), (a, b) in pooled.items()]
    settings: dict[str, Any] = {
        "title": answer.title,
        "notes": answer.notes,
        "units": {"retention": "share"},
        **options,
    }
    return chart_rows(rows, "line", x="day", y="retention", by=("slice",) if by else (), **settings)
