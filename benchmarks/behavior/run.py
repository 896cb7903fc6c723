"""Activity, retention and sessions: DuckDB SQL written by hand on raw events against this project.

    python benchmarks/behavior/run.py --events 2000000

Prints CPU seconds (median of the rounds, both sides interleaved) and their ratio, after checking that the answers
are equal.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from prodsense.behavior import Activity, EventTable, sessions
from prodsense.engines.duckdb import DuckDBEngine

DAYS = 365
GENERATE = """
CREATE TABLE events AS SELECT user_id, TIMESTAMP '2023-01-01' + TO_SECONDS(CAST(day * 86400 + second AS BIGINT)) AS ts
FROM (SELECT CAST(FLOOR(POWER(RANDOM(), 3) * {users}) AS INT) AS user_id, FLOOR(RANDOM() * {days}) AS day,
      FLOOR(POWER(RANDOM(), 2) * 86400) AS second FROM RANGE({events})) ORDER BY day, user_id, second
"""
UD = "SELECT DISTINCT user_id, CAST(ts AS DATE) AS d FROM events"
ROLLING = f"""
WITH g AS (SELECT d, LEAST(LEAD(d) OVER (PARTITION BY user_id ORDER BY d) - d, 28) AS gap FROM ({UD})),
s AS (SELECT d, COALESCE(gap, 28) AS gap, COUNT(*) AS n FROM g GROUP BY 1, 2),
e AS (SELECT d, n AS a, n AS b, n AS c FROM s
      UNION ALL SELECT d + CAST(LEAST(gap, 1) AS INT), -n, 0, 0 FROM s
      UNION ALL SELECT d + CAST(LEAST(gap, 7) AS INT), 0, -n, 0 FROM s
      UNION ALL SELECT d + CAST(LEAST(gap, 28) AS INT), 0, 0, -n FROM s),
r AS (SELECT d, SUM(a) AS a, SUM(b) AS b, SUM(c) AS c FROM e GROUP BY d)
SELECT d, SUM(a) OVER w, SUM(b) OVER w, SUM(c) OVER w FROM r WINDOW w AS (ORDER BY d)
QUALIFY d <= (SELECT MAX(CAST(ts AS DATE)) FROM events) ORDER BY d
"""
RETENTION = f"""
WITH ud AS ({UD}), f AS (SELECT user_id, MIN(d) AS f FROM ud GROUP BY 1)
SELECT f, d - f AS n, COUNT(*) FROM ud JOIN f USING (user_id) WHERE d - f <= 30 GROUP BY 1, 2
"""
L28 = f"""
SELECT days, COUNT(*) FROM (SELECT user_id, COUNT(*) AS days FROM ({UD})
WHERE d > (SELECT MAX(CAST(ts AS DATE)) FROM events) - 28 GROUP BY 1) GROUP BY 1 ORDER BY 1
"""
SESSIONS = """
WITH a AS (SELECT user_id, ts, CASE WHEN ts - LAG(ts) OVER w < INTERVAL 30 MINUTE THEN 0 ELSE 1 END AS s FROM events
           WINDOW w AS (PARTITION BY user_id ORDER BY ts)),
b AS (SELECT user_id, ts, SUM(s) OVER (PARTITION BY user_id ORDER BY ts ROWS UNBOUNDED PRECEDING) AS n FROM a)
SELECT user_id, MIN(ts), MAX(ts), COUNT(*) FROM b GROUP BY user_id, n
"""


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    answer = work()
    return time.process_time() - start, answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    engine = DuckDBEngine()
    engine.raw("SELECT SETSEED(0.5)")
    engine.raw(GENERATE.format(users=max(options.events // 25, 10), days=DAYS, events=options.events))
    events = EventTable.of(engine, "main.events", "user_id", "ts")
    last = events.as_of().date()
    built, model = cpu(lambda: Activity.build(events, "activity"))
    added, model = cpu(lambda: model.update(events))
    print(f"{options.events:,} events; model built in {built:.2f} CPU s; one day of {DAYS} updated in {added:.2f}")

    def hand(sql: str) -> Callable[[], Any]:
        return lambda: engine.raw(sql, fetch=True)

    def rows(table: Any) -> list[tuple[Any, ...]]:
        return list(zip(*table.to_pydict().values(), strict=True))

    def retained(answer: Any) -> set[tuple[Any, ...]]:
        return {(r["cohort"], r["day"], r["retained"]) for r in answer.rows if r["retained"]}

    whole = f"{last} 23:59:59.999999"
    questions: dict[str, tuple[Callable[[], Any], Callable[[], Any], Callable[[Any, Any], bool]]] = {
        "DAU, WAU, MAU": (hand(ROLLING), model.active_users, lambda a, b: [tuple(map(int, r[1:])) for r in rows(a)] == [
            (r["active_1d"], r["active_7d"], r["active_28d"]) for r in b.rows]),
        # Ours leaves out the windows that are not over.
        "retention triangle": (hand(RETENTION), model.retention, lambda a, b: retained(b) == {
            r for r in rows(a) if (r[0], r[1]) in {(x["cohort"], x["day"]) for x in b.rows}}),
        "L28": (hand(L28), model.active_days, lambda a, b: rows(a) == [
            (r["days"], r["users"]) for r in b.rows if r["users"]]),
        "sessions, SQL": (hand(SESSIONS), lambda: sessions(events, as_of=whole), same_sessions),
        "sessions, kernel": (hand(SESSIONS), lambda: sessions(events, as_of=whole, kernel=True), same_sessions),
    }  # fmt: skip
    print(f"{'question':20} {'by hand':>9} {'ours':>9} {'ratio':>7}")
    for name, (theirs, ours, same) in questions.items():
        pairs = [(cpu(theirs), cpu(ours)) for _ in range(options.rounds)]
        if not same(pairs[0][0][1], pairs[0][1][1]):
            raise SystemExit(f"{name}: the answers differ")
        left, right = median(a[0] for a, _ in pairs), median(b[0] for _, b in pairs)
        print(f"{name:20} {left:9.3f} {right:9.3f} {left / right:6.1f}x")


def same_sessions(by_hand: Any, ours: Any) -> bool:
    keys = [("user_id", "ascending"), ("session_start", "ascending")]
    names = ["user_id", "session_start", "session_end", "events"]
    left, right = by_hand.rename_columns(names).sort_by(keys), ours.arrow.select(names).sort_by(keys)
    return bool(left.to_pydict() == right.to_pydict())


if __name__ == "__main__":
    main()
