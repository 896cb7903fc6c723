"""The questions in SQL as one writes it by hand, with the few words in which DuckDB and Spark differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

DUCKDB: Mapping[str, Callable[..., str]] = {
    "us": lambda t: f"epoch_us({t})", "days": lambda a, b: f"({b} - {a})", "plus": lambda d, n: f"({d} + {n})",
}
SPARK: Mapping[str, Callable[..., str]] = {
    "us": lambda t: f"unix_micros({t})", "days": lambda a, b: f"datediff({b}, {a})",
    "plus": lambda d, n: f"date_add({d}, {n})",
}  # fmt: skip


def questions(words: Mapping[str, Callable[..., str]], last: date) -> dict[str, str]:
    """Question → SELECT over ``events``; `last` is the newest day."""
    us, days, plus = words["us"], words["days"], words["plus"]
    end = f"CAST('{last}' AS DATE)"
    ud = "SELECT DISTINCT user_id, CAST(ts AS DATE) AS d FROM events"
    gap = f"LEAST({days('d', 'LEAD(d) OVER (PARTITION BY user_id ORDER BY d)')}, 28)"
    leave = " ".join(
        f"UNION ALL SELECT {plus('d', f'CAST(LEAST(gap, {k}) AS INT)')},"
        f" {', '.join('-n' if k == other else '0' for other in (1, 7, 28))} FROM s"
        for k in (1, 7, 28)
    )
    carried = [
        "c1 AS (SELECT user_id, t, event, MAX(CASE WHEN event = 'view' THEN t END)"
        " OVER (PARTITION BY user_id ORDER BY t ROWS UNBOUNDED PRECEDING) AS c1 FROM e)"
    ]
    for i, name in enumerate(("cart", "checkout", "pay"), 2):
        kept = ", ".join(f"c{k}" for k in range(1, i))
        carried.append(
            f"c{i} AS (SELECT user_id, t, event, {kept},"
            f" MAX(CASE WHEN event = '{name}' AND t - c{i - 1} <= 604800000000 THEN c{i - 1} END)"
            f" OVER (PARTITION BY user_id ORDER BY t ROWS UNBOUNDED PRECEDING) AS c{i}"
            f" FROM c{i - 1})"
        )
    split = (
        f"SELECT user_id, event, t, CASE WHEN t - LAG(t) OVER w < 1800000000 THEN 0 ELSE 1 END AS s FROM"
        f" (SELECT user_id, event, {us('ts')} AS t FROM events) AS x WINDOW w AS (PARTITION BY user_id ORDER BY t)"
    )
    counted = ", ".join(f"COUNT(*) FILTER (WHERE event = '{name}') AS {name}"
                        for name in ("view", "search", "cart", "checkout", "pay"))
    return {
        "rolling": f"""
            WITH g AS (SELECT d, {gap} AS gap FROM ({ud})),
            s AS (SELECT d, COALESCE(gap, 28) AS gap, COUNT(*) AS n FROM g GROUP BY 1, 2),
            e AS (SELECT d, n AS a, n AS b, n AS c FROM s {leave}),
            r AS (SELECT d, SUM(a) AS a, SUM(b) AS b, SUM(c) AS c FROM e GROUP BY d)
            SELECT * FROM (SELECT d, SUM(a) OVER (ORDER BY d) AS a, SUM(b) OVER (ORDER BY d) AS b,
                SUM(c) OVER (ORDER BY d) AS c FROM r) WHERE d <= {end}""",
        "l28": f"""
            SELECT days, COUNT(*) FROM (SELECT user_id, COUNT(DISTINCT CAST(ts AS DATE)) AS days FROM events
            WHERE ts >= {plus(end, -27)} GROUP BY 1) GROUP BY 1""",
        "retention": f"""
            WITH ud AS ({ud}), f AS (SELECT user_id, MIN(d) AS f FROM ud GROUP BY 1)
            SELECT f, {days('f', 'd')} AS n, COUNT(*) FROM ud JOIN f USING (user_id)
            WHERE {days('f', 'd')} <= 30 AND d < {end} GROUP BY 1, 2""",
        "lifecycle": f"""
            WITH g AS (SELECT d, LAG(d) OVER w AS p, LEAD(d) OVER w AS q FROM ({ud}) AS ud
                WINDOW w AS (PARTITION BY user_id ORDER BY d)),
            n AS (SELECT d, COUNT(*) AS active, COUNT(*) FILTER (WHERE p IS NULL) AS new,
                COUNT(*) FILTER (WHERE {days('p', 'd')} = 1) AS retained,
                COUNT(*) FILTER (WHERE {days('p', 'd')} > 1) AS resurrected FROM g GROUP BY 1)
            SELECT d, new, retained, resurrected, COALESCE(LAG(active) OVER (ORDER BY d), 0) - retained AS churned,
                SUM(new) OVER (ORDER BY d) - active AS dormant FROM n""",
        "funnel": f"""
            WITH e AS (SELECT user_id, {us('ts')} AS t, event FROM events
                WHERE event IN ('view', 'cart', 'checkout', 'pay')), {', '.join(carried)},
            u AS (SELECT user_id, MAX(c1) AS c1, MAX(c2) AS c2, MAX(c3) AS c3, MAX(c4) AS c4 FROM c4 GROUP BY 1)
            SELECT COUNT(c1), COUNT(c2), COUNT(c3), COUNT(c4) FROM u""",
        "sessions": f"""
            WITH a AS ({split}), b AS (SELECT user_id, t, SUM(s) OVER (PARTITION BY user_id ORDER BY t
                ROWS UNBOUNDED PRECEDING) AS n FROM a)
            SELECT user_id, MIN(t) AS began, MAX(t) AS ended, COUNT(*) AS events FROM b GROUP BY user_id, n""",
        "transitions": f"""
            SELECT before, event, COUNT(*) FROM (SELECT event, LAG(event) OVER w AS before,
                t - LAG(t) OVER w AS away FROM (SELECT user_id, event, {us('ts')} AS t FROM events) AS x
                WINDOW w AS (PARTITION BY user_id ORDER BY t)) WHERE away < 1800000000 GROUP BY 1, 2""",
        "metrics": f"""
            SELECT d, country, platform, events, users, view, search, cart, checkout, pay, payers, revenue,
                CAST(FLOOR(revenue * 1000 / users) AS BIGINT)
            FROM (SELECT CAST(ts AS DATE) AS d, country, platform, COUNT(*) AS events,
                COUNT(DISTINCT user_id) AS users, {counted},
                COUNT(DISTINCT CASE WHEN event = 'pay' THEN user_id END) AS payers,
                CAST(COALESCE(SUM(amount), 0) AS BIGINT) AS revenue FROM events GROUP BY 1, 2, 3)""",
    }


#: Sums that tell a table of sessions, over ``user_id, began, ended, events`` in microseconds.
TOLD = (
    "SELECT COUNT(*), SUM(events), SUM(CAST(ended - began AS DECIMAL(38, 0))),"
    " SUM((user_id % 10007) * (began % 1000003) + events * (ended % 10007)) FROM {table}"
)
