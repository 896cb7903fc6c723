"""ClickHouse in this process (chDB) on Parquet, with the functions that it has for such questions."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

MISSING = "" if importlib.util.find_spec("chdb") else "chdb is not installed (dependency group bench)"
TITLE = "ClickHouse (chDB)"

_UD = "SELECT user_id, groupUniqArray(toDate(ts)) AS days FROM events GROUP BY user_id"


def questions(last: date) -> dict[str, str]:
    end = f"toDate('{last}')"
    return {
        # Bitmaps of the users of each day, joined to the 28 days that they count for.
        "rolling": f"""
            WITH d AS (SELECT toDate(ts) AS d, groupBitmapState(toUInt32(user_id)) AS b FROM events GROUP BY d),
            x AS (SELECT arrayJoin(range(28)) AS i, d + i AS day, b FROM d)
            SELECT day, groupBitmapMergeIf(b, i < 1), groupBitmapMergeIf(b, i < 7), groupBitmapMerge(b) FROM x
            WHERE day <= {end} GROUP BY day""",
        "l28": f"""
            SELECT days, count() FROM (SELECT user_id, uniqExact(toDate(ts)) AS days FROM events
            WHERE ts >= toDateTime64('{last - timedelta(days=27)}', 6, 'UTC') GROUP BY user_id) GROUP BY days""",
        "retention": f"""
            SELECT f, n, count() FROM (SELECT arrayMin(days) AS f, arrayJoin(arrayMap(x -> x - f,
                arrayFilter(x -> x - f <= 30 AND x < {end}, days))) AS n FROM ({_UD})) GROUP BY f, n""",
        "lifecycle": f"""
            WITH g AS (SELECT arraySort(days) AS s, arrayJoin(arrayZip(s, arrayDifference(arrayMap(x -> toInt32(x), s)),
                arrayEnumerate(s))) AS p FROM ({_UD})),
            n AS (SELECT p.1 AS d, count() AS active, countIf(p.3 = 1) AS new, countIf(p.3 > 1 AND p.2 = 1) AS retained,
                countIf(p.2 > 1) AS resurrected FROM g GROUP BY d)
            SELECT d, new, retained, resurrected,
                toInt64(lagInFrame(active, 1, 0) OVER (ORDER BY d ROWS BETWEEN UNBOUNDED PRECEDING AND
                UNBOUNDED FOLLOWING)) - toInt64(retained), toInt64(sum(new) OVER (ORDER BY d)) - toInt64(active)
            FROM n""",
        "funnel": """
            SELECT countIf(l >= 1), countIf(l >= 2), countIf(l >= 3), countIf(l >= 4) FROM (
                SELECT user_id, windowFunnel(604800000000)(toUInt64(toUnixTimestamp64Micro(ts)), event = 'view',
                    event = 'cart', event = 'checkout', event = 'pay') AS l FROM events
                WHERE event IN ('view', 'cart', 'checkout', 'pay') GROUP BY user_id)""",
        "sessions": """
            SELECT user_id, s[1] AS began, s[-1] AS ended, length(s) AS events FROM (
                SELECT user_id, arrayJoin(arraySplit((t, d) -> d >= 1800000000, t, arrayDifference(t))) AS s FROM (
                    SELECT user_id, arraySort(groupArray(toUnixTimestamp64Micro(ts))) AS t FROM events
                    GROUP BY user_id))""",
        "transitions": """
            SELECT before, event, count() FROM (
                SELECT event, t - lagInFrame(t, 1, -4000000000000000) OVER w AS away, lagInFrame(event) OVER w AS before
                FROM (SELECT user_id, event, toUnixTimestamp64Micro(ts) AS t FROM events)
                WINDOW w AS (PARTITION BY user_id ORDER BY t ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW))
            WHERE away < 1800000000 GROUP BY before, event""",
        "metrics": """
            SELECT toDate(ts) AS d, country, platform, count() AS events, uniqExact(user_id) AS users,
                countIf(event = 'view'), countIf(event = 'search'), countIf(event = 'cart'),
                countIf(event = 'checkout'), countIf(event = 'pay'), uniqExactIf(user_id, event = 'pay'),
                toInt64(ifNull(sum(amount), 0)) AS revenue, intDiv(revenue * 1000, users)
            FROM events GROUP BY d, country, platform""",
    }


def open_(folder: Path, question: str, last: date) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    from chdb import session

    opened = session.Session()
    source = f"file('{folder / 'events.parquet'}', Parquet)"
    opened.query("SET join_use_nulls = 1")
    sql = questions(last)[question].replace("FROM events", f"FROM {source}")
    if question == "sessions":
        opened.query("CREATE DATABASE IF NOT EXISTS b")

        def work() -> Any:
            opened.query("DROP TABLE IF EXISTS b.told")
            opened.query(f"CREATE TABLE b.told ENGINE = Memory AS {sql}")

        # 128-bit sums, as the other sides have them.
        told = (
            "SELECT count(), sum(events), sum(ended - began), sum(toInt128((user_id % 10007) * (began % 1000003)"
            " + events * (ended % 10007))) FROM b.told"
        )
        return work, lambda _: _rows(opened.query(told, "ArrowTable"))
    return (lambda: opened.query(sql, "ArrowTable")), _rows


def _rows(found: Any) -> list[tuple[Any, ...]]:
    return list(zip(*(_plain(column) for column in found.columns), strict=True))


def _plain(column: Any) -> list[Any]:
    import pyarrow as pa

    if pa.types.is_fixed_size_binary(column.type):  # 128-bit integers
        return [int.from_bytes(value, "little", signed=True) for value in column.to_pylist()]
    if pa.types.is_uint16(column.type):  # days
        return [date(1970, 1, 1) + timedelta(days=value) for value in column.to_pylist()]
    return [value.decode() if isinstance(value, bytes) else value for value in column.to_pylist()]
