"""A clickstream for benchmarks: the same rows for the same number of events, whatever the machine.

Users are as uneven as users are, sessions last some minutes, some are broken by a long pause; one event in thousands
shares neither its user nor its moment with another, so that no answer hangs on the order of ties.
"""

from __future__ import annotations

from pathlib import Path

DAYS = 365
#: Event, and the share of events up to it; the rest are `e05` to `e40`.
_NAMES = (("view", 0.35), ("search", 0.5), ("cart", 0.6), ("checkout", 0.66), ("pay", 0.7))


def _u(number: str, salt: int) -> str:
    """SQL of a number in [0, 1) that only `number` and `salt` decide."""
    return f"(CAST(HASH({number} * 32 + {salt}) >> 11 AS DOUBLE) / 9007199254740992)"


def generate(path: Path, events: int, users: int = 0) -> int:
    """Write about `events` rows ``ts, user_id, event, country, platform, amount`` to `path`; return how many.

    Ordered by day, then user and time, as a daily export would be.
    """
    import duckdb

    users = users or max(events // 50, 20)
    sessions = max(round(events / 8.06), 1)
    names = " ".join(f"WHEN v < {share} THEN '{name}'" for name, share in _NAMES)
    con = duckdb.connect()
    con.execute(f"SET temp_directory = '{path.parent}'; SET memory_limit = '8GB'")
    con.execute(
        f"""
        CREATE TABLE s AS SELECT range AS i, CAST(FLOOR(POWER({_u('range', 1)}, 2.5) * {users}) AS BIGINT) AS u,
            CAST(FLOOR({_u('range', 2)} * {DAYS}) AS INT) AS d, CAST({_u('range', 3)} * 80000000000 AS BIGINT) AS began,
            CAST(1 + LEAST(FLOOR(-LN(1 - {_u('range', 4)}) * 7.6), 80) AS INT) AS n,
            CAST(5000000 + {_u('range', 5)} * 115000000 AS BIGINT) AS pace,
            CASE WHEN {_u('range', 6)} < 0.1 THEN CAST({_u('range', 7)} * 10 AS INT) ELSE 1000 END AS pause
        FROM RANGE({sessions})
        """
    )
    con.execute(
        f"""
        COPY (
            WITH e AS (SELECT s.*, k, i * 128 + k AS id FROM (SELECT *, UNNEST(RANGE(n)) AS k FROM s) AS s),
            v AS (SELECT *, {_u('id', 8)} AS v FROM e)
            SELECT TIMESTAMP '2023-01-01' + TO_MICROSECONDS(CAST(d AS BIGINT) * 86400000000 + began + k * pace
                       + CAST({_u('id', 9)} * pace AS BIGINT) + CASE WHEN k >= pause THEN 2400000000 ELSE 0 END) AS ts,
                u * 7 + 1000000 AS user_id,
                CASE {names} ELSE 'e' || LPAD(CAST(5 + CAST(FLOOR(POWER((v - 0.7) / 0.3, 2) * 36) AS INT) AS VARCHAR),
                    2, '0') END AS event,
                'c' || LPAD(CAST(HASH(u) % 30 AS VARCHAR), 2, '0') AS country,
                CASE HASH(i) % 3 WHEN 0 THEN 'ios' WHEN 1 THEN 'android' ELSE 'web' END AS platform,
                CASE WHEN v >= 0.66 AND v < 0.7 THEN CAST(1 + FLOOR({_u('id', 10)} * 9999) AS INT) END AS amount
            FROM v ORDER BY CAST(ts AS DATE), u, ts
        ) TO '{path}' (FORMAT PARQUET, COMPRESSION ZSTD, ROW_GROUP_SIZE 250000)
        """
    )
    found = con.sql(f"SELECT COUNT(*) FROM '{path}'").fetchall()[0][0]
    con.close()
    return int(found)
