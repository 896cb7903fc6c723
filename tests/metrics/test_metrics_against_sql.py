"""Requests beside SQL written by hand: both must give the same rows.

The SQL is DuckDB's own, written for the question and not for the compiler: it never sees our macros, CTEs or
filters. Column names are not compared, positions are.
"""

from __future__ import annotations

from typing import Any

import pytest
from metrics_shop import Ask

from prodsense.engines.duckdb import DuckDBEngine

CUSTOMER = "LEFT JOIN shop.customers c ON c.customer_id = o.customer_id"

#: (metrics, options, SQL)
CASES: dict[str, tuple[list[str], dict[str, Any], str]] = {
    "count": (["orders"], {}, "SELECT count(*) FROM shop.orders"),
    "many metrics of one source": (
        ["orders", "done_orders", "revenue", "buyers", "delivery_minutes", "p90_minutes", "done_rate", "basket",
         "big_orders"],
        {"grain": "all"},
        """SELECT count(*), count(CASE WHEN status = 'done' THEN 1 END),
                  sum(CASE WHEN status = 'done' THEN amount::double END), count(DISTINCT customer_id), avg(minutes),
                  (SELECT quantile_cont(minutes, 0.9) FROM shop.orders WHERE status = 'done'),
                  sum(CASE WHEN status = 'done' THEN 1 ELSE 0 END) / count(*),
                  sum(amount::double) / count(*),
                  count(CASE WHEN status = 'done' AND amount > 50 THEN 1 END)
           FROM shop.orders""",
    ),
    "by week": (
        ["orders", "revenue"], {"grain": "week", "since": "2024-02-05", "until": "2024-02-26"},
        """SELECT date_trunc('week', ordered_at)::date, count(*), sum(amount::double) FILTER (WHERE status = 'done')
           FROM shop.orders WHERE day >= '2024-02-05' AND day < '2024-02-26' GROUP BY 1 ORDER BY 1""",
    ),
    "by quarter": (
        ["orders"], {"grain": "quarter"},
        "SELECT date_trunc('quarter', day)::date, count(*) FROM shop.orders GROUP BY 1 ORDER BY 1",
    ),
    "by year": (
        ["orders"], {"grain": "year"}, "SELECT DATE '2024-01-01', count(*) FROM shop.orders",
    ),
    "slice one hop away, null and orphan keys in one group": (
        ["orders"], {"by": "tier"},
        f"SELECT c.tier, count(*) FROM shop.orders o {CUSTOMER} GROUP BY 1 ORDER BY 1 NULLS LAST",
    ),
    "the key itself needs no join and keeps orphans": (
        ["orders"], {"by": "customer"},
        "SELECT customer_id, count(*) FROM shop.orders GROUP BY 1 ORDER BY 1 NULLS LAST",
    ),
    "two hops": (
        ["pieces"], {"by": "tier"},
        f"""SELECT c.tier, sum(l.quantity) FROM shop.lines l LEFT JOIN shop.orders o ON o.order_id = l.order_id
            {CUSTOMER} GROUP BY 1 ORDER BY 1 NULLS LAST""",
    ),
    "foreign key of the parent stands for the grandparent": (
        ["pieces"], {"by": "city"},
        f"""SELECT c.city_id, sum(l.quantity) FROM shop.lines l LEFT JOIN shop.orders o ON o.order_id = l.order_id
            {CUSTOMER} GROUP BY 1 ORDER BY 1 NULLS LAST""",
    ),
    "slices of time": (
        ["orders"], {"by": ["weekday", "hour"]},
        """SELECT isodow(ordered_at), hour(ordered_at), count(*) FROM shop.orders GROUP BY 1, 2 ORDER BY 1, 2""",
    ),
    "a true or false slice": (
        ["orders"], {"by": "big"},
        "SELECT amount > 50, count(*) FROM shop.orders GROUP BY 1 ORDER BY 1 NULLS LAST",
    ),
    "chasm: two facts of different grain share a dimension": (
        ["orders", "tickets", "tickets_per_order"], {"by": "tier"},
        f"""WITH o AS (SELECT c.tier, count(*) AS n FROM shop.orders o {CUSTOMER} GROUP BY 1),
                 t AS (SELECT c.tier, count(*) AS n FROM shop.tickets o {CUSTOMER} GROUP BY 1)
            SELECT coalesce(o.tier, t.tier), o.n, t.n, coalesce(t.n, 0) / o.n
            FROM o FULL JOIN t ON o.tier IS NOT DISTINCT FROM t.tier ORDER BY 1 NULLS LAST""",
    ),
    "chasm by period": (
        ["pieces", "tickets", "orders"], {"grain": "month"},
        """SELECT m::date, (SELECT sum(quantity) FROM shop.lines WHERE date_trunc('month', day) = m),
                  (SELECT count(*) FROM shop.tickets WHERE date_trunc('month', opened_at) = m),
                  (SELECT count(*) FROM shop.orders WHERE date_trunc('month', day) = m)
           FROM (VALUES (DATE '2024-01-01'), ('2024-02-01'), ('2024-03-01'), ('2024-04-01')) AS v(m) ORDER BY 1""",
    ),
    "derived of a filtered metric": (
        ["pieces_per_order"], {"grain": "all"},
        """SELECT (SELECT sum(quantity) FROM shop.lines) / (SELECT count(*) FROM shop.orders WHERE status = 'done')""",
    ),
    "where on a dimension and a column": (
        ["orders", "revenue"], {"grain": "month", "where": "tier = 'gold' and (amount > 20 or minutes is null)"},
        f"""SELECT date_trunc('month', o.day)::date, count(*), sum(amount::double) FILTER (WHERE status = 'done')
            FROM shop.orders o {CUSTOMER} WHERE c.tier = 'gold' AND (o.amount > 20 OR o.minutes IS NULL)
            GROUP BY 1 ORDER BY 1""",
    ),
    "where that all sources can reach": (
        ["orders", "tickets"], {"grain": "all", "where": "tier in ('gold', 'silver') and customer <> 7"},
        f"""SELECT (SELECT count(*) FROM shop.orders o {CUSTOMER}
                    WHERE c.tier IN ('gold', 'silver') AND o.customer_id <> 7),
                   (SELECT count(*) FROM shop.tickets o {CUSTOMER}
                    WHERE c.tier IN ('gold', 'silver') AND o.customer_id <> 7)""",
    ),
    "where on a day": (
        ["orders"], {"where": "day between '2024-02-01' and '2024-02-10' and ordered_at < '2024-02-09 12:00'"},
        """SELECT count(*) FROM shop.orders WHERE day BETWEEN '2024-02-01' AND '2024-02-10'
           AND ordered_at < '2024-02-09 12:00'""",
    ),
    "as of an earlier moment": (
        ["orders", "recent_orders"], {"as_of": "2024-02-20T12:00:00"},
        """SELECT count(*), count(*) FILTER (WHERE day > DATE '2024-02-13') FROM shop.orders
           WHERE ordered_at <= '2024-02-20 12:00'""",
    ),
    "as of a day means its end": (
        ["orders"], {"as_of": "2024-02-20"}, "SELECT count(*) FROM shop.orders WHERE day <= '2024-02-20'",
    ),
    "daily distinct over months is the mean of days": (
        ["daily_buyers"], {"grain": "month"},
        """SELECT date_trunc('month', day)::date, avg(n) FROM
           (SELECT day, count(DISTINCT customer_id) n FROM shop.orders GROUP BY 1) GROUP BY 1 ORDER BY 1""",
    ),
    "daily distinct of a slice is a mean over all days with orders, not over the slice's own": (
        ["daily_buyers"], {"grain": "month", "by": "tier"},
        """SELECT m, tier, sum(k) / n FROM
           (SELECT date_trunc('month', day)::date m, day, tier, count(DISTINCT customer_id) k
            FROM shop.orders LEFT JOIN shop.customers USING (customer_id) GROUP BY 1, 2, 3)
           JOIN (SELECT date_trunc('month', day)::date m, count(DISTINCT day) n FROM shop.orders GROUP BY 1) USING (m)
           GROUP BY m, tier, n ORDER BY 1, 2 NULLS LAST""",
    ),
    "daily distinct under a condition is over all days with orders too": (
        ["daily_buyers"], {"grain": "all", "where": "status = 'cancelled'", "since": "2024-02-03"},
        """SELECT sum(n) / (SELECT count(DISTINCT day) FROM shop.orders WHERE day >= '2024-02-03') FROM
           (SELECT day, count(DISTINCT customer_id) n FROM shop.orders
           WHERE day >= '2024-02-03' AND status = 'cancelled' GROUP BY 1)""",
    ),
    "daily distinct by day": (
        ["daily_buyers"], {"since": "2024-02-05", "until": "2024-02-09"},
        """SELECT d.day, n FROM (VALUES (DATE '2024-02-05'), ('2024-02-06'), ('2024-02-07'), ('2024-02-08')) d(day)
           LEFT JOIN (SELECT day, count(DISTINCT customer_id) n FROM shop.orders GROUP BY 1) USING (day) ORDER BY 1""",
    ),
    "weekly distinct over the whole window, sliced": (
        ["weekly_buyers"], {"grain": "all", "by": "status"},
        """SELECT status, avg(n) FROM (SELECT date_trunc('week', day), status, count(DISTINCT customer_id) n
           FROM shop.orders GROUP BY 1, 2) GROUP BY 1 ORDER BY 1""",
    ),
    "semi-additive: last day with data of each month": (
        ["stock_pieces"], {"grain": "month"},
        """SELECT date_trunc('month', day)::date, sum(pieces) FROM shop.stock WHERE day IN
           (SELECT max(day) FROM shop.stock GROUP BY date_trunc('month', day)) GROUP BY 1 ORDER BY 1""",
    ),
    "semi-additive slices add up to the same day": (
        ["stock_pieces"], {"grain": "all", "by": "city_name"},
        """SELECT city_name, sum(pieces) FILTER (WHERE day = (SELECT max(day) FROM shop.stock))
           FROM shop.stock JOIN shop.cities USING (city_id) GROUP BY 1 ORDER BY 1""",
    ),
    "matured rows only": (
        ["matured_done_rate"], {"as_of": "2024-03-31"},
        """SELECT sum((status = 'done')::int) / count(*) FROM shop.orders
           WHERE ordered_at < TIMESTAMP '2024-04-01' - INTERVAL 7 DAY""",
    ),
    "share of the grand total": (
        ["order_share"], {"by": "status"},
        """SELECT status, count(*) / (SELECT count(*) FROM shop.orders) FROM shop.orders GROUP BY 1 ORDER BY 1""",
    ),
    "share within a dimension and a period": (
        ["order_share_in_country"], {"by": ["country", "status"], "grain": "month"},
        """WITH o AS (SELECT date_trunc('month', day)::date m, CASE WHEN ship_city_id IN (1, 2) THEN 'DE'
                      WHEN ship_city_id = 3 THEN 'FR' END country, status FROM shop.orders)
           SELECT m, country, status, count(*) / (SELECT count(*) FROM o p WHERE p.m = o.m
                  AND p.country IS NOT DISTINCT FROM o.country)
           FROM o GROUP BY 1, 2, 3 ORDER BY 1, 2 NULLS LAST, 3""",
    ),
    "share of distinct is over the distinct total": (
        ["buyer_share"], {"by": "status"},
        """SELECT status, count(DISTINCT customer_id) / (SELECT count(DISTINCT customer_id) FROM shop.orders)
           FROM shop.orders GROUP BY 1 ORDER BY 1""",
    ),
    "a model as source": (
        ["loyal_orders"], {"grain": "month", "by": "tier"},
        f"""SELECT date_trunc('month', o.day)::date, c.tier, count(*) FROM shop.orders o {CUSTOMER}
            WHERE o.customer_id IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2 NULLS LAST""",
    ),
    "a source without time": (["city_count"], {}, "SELECT count(*) FROM shop.cities"),
}


def close(a: Any, b: Any) -> bool:
    if isinstance(a, float) or isinstance(b, float):
        return a is not None and b is not None and abs(float(a) - float(b)) <= 1e-9 * max(1.0, abs(float(b)))
    return a == b


@pytest.mark.parametrize("name", CASES)
def test_equals_hand_written_sql(ask: Ask, engine: DuckDBEngine, name: str) -> None:
    metrics, options, sql = CASES[name]
    ours = [tuple(row.values()) for row in ask(*metrics, **options).rows]
    columns = engine.raw(sql, fetch=True).columns
    theirs = list(zip(*(column.to_pylist() for column in columns), strict=True))
    # A slice and period without rows is in ours as a row of nulls; SQL has no row there.
    keys = len(ours[0]) - len(metrics) if ours else 0
    ours = [row for row in ours if any(v is not None for v in row[keys:])]
    theirs = [row for row in theirs if any(v is not None for v in row[keys:])]
    assert len(ours) == len(theirs) > 0
    for mine, other in zip(ours, theirs, strict=True):
        assert len(mine) == len(other)
        assert all(close(a, b) for a, b in zip(mine, other, strict=True)), (mine, other)


def test_the_oracle_has_the_traps_in_it(engine: DuckDBEngine) -> None:
    """Without these the cases above would prove little."""
    (facts,) = engine.raw(
        """SELECT (SELECT count(*) FROM shop.orders WHERE customer_id = 99) AS orphans,
                  (SELECT count(*) FROM shop.orders WHERE customer_id IS NULL) AS nulls,
                  (SELECT count(*) FROM shop.orders WHERE amount IS NULL) AS unpriced,
                  (SELECT count(DISTINCT day) FROM shop.orders) AS busy_days""",
        fetch=True,
    ).to_pylist()
    assert facts["orphans"] > 0 and facts["nulls"] > 0 and facts["unpriced"] > 0 and facts["busy_days"] < 75
