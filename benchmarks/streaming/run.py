"""Folding playback events into viewing sessions, against window functions by hand on the same DuckDB.

    python benchmarks/streaming/run.py [--events 50000000] [--days 365] [--rounds 3]

Events of a made-up platform (pauses, seeks both ways, sessions without an end, events told twice and arriving late) are
stored by arrival, once. In turn: this project builds its model of folded sessions in full, and SQL by hand, which knows
that every event names its session and says only what this data needs, folds them by the same rules into a table of its
own. The answers are compared first and must be equal. Then, a day at a time, one more day is stored and built. The
numbers are CPU seconds (user and system), median of the rounds.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

from prodsense.build import build, verify
from prodsense.engines import open_engine
from prodsense.engines.base import Engine
from prodsense.ingest.ledger import touch
from prodsense.packs import load_pack

#: What we ask of ourselves: the fold over SQL by hand, and one day over all of them.
FOLD_BAR, DAY_BAR = 1.3, 1 / 30
START = date(2024, 1, 1)
EVENTS = "streaming.playback_events"
MODEL = "streaming.session_folds"


def _u(number: str, salt: int) -> str:
    """SQL of a number in [0, 1) that only `number` and `salt` decide."""
    return f"(CAST(HASH({number} * 32 + {salt}) >> 11 AS DOUBLE) / 9007199254740992)"


def generate(path: Path, events: int, days: int) -> None:
    """Write about `events` playback events to `path`, in the order of their arrival."""
    import duckdb

    sessions = max(events // 15, 1)
    con = duckdb.connect()
    con.execute(f"SET temp_directory = '{path.parent}'; SET memory_limit = '8GB'")
    users = sessions // 30 + 1
    con.execute(f"""
        CREATE TABLE s AS SELECT range AS i, CAST(FLOOR(POWER({_u('range', 1)}, 2) * {users}) AS BIGINT) AS u,
            CAST({_u('range', 2)} * 3000 AS INT) AS c, range * {days} // {sessions} AS d,
            CAST({_u('range', 3)} * 80000 AS INT) AS began, CAST(6 + {_u('range', 4)} * 18 AS INT) AS n,
            CAST(60 + {_u('range', 5)} * 240 AS INT) AS pace, {_u('range', 6)} < 0.92 AS has_end,
            CASE WHEN {_u('range', 7)} < 0.01 THEN 100000 ELSE 2 END AS delay
        FROM RANGE({sessions})
    """)
    # A pause stands at an even place and is followed by a resume; other odd places may be seeks.
    con.execute(f"""
        COPY (
            WITH e AS (SELECT s.*, k, i * 32 + k AS id FROM (SELECT *, UNNEST(RANGE(n)) AS k FROM s) AS s),
            kinds AS (
                SELECT *,
                    k > 0 AND k < n - 2 AND k % 2 = 0 AND {_u('id', 8)} < 0.25 AS is_pause,
                    k > 1 AND k < n - 1 AND k % 2 = 1 AND {_u('(id - 1)', 8)} < 0.25 AS is_resume,
                    {_u('id', 9)} AS v
                FROM e
            ),
            told AS (
                SELECT *, CASE WHEN k = 0 THEN 'playback_start' WHEN is_pause THEN 'playback_pause'
                    WHEN is_resume THEN 'playback_resume'
                    WHEN k = n - 1 AND has_end THEN CASE WHEN v < 0.4 THEN 'playback_complete' ELSE 'playback_stop' END
                    WHEN k % 2 = 1 AND v < 0.15 THEN 'playback_seek' WHEN v < 0.16 THEN 'playback_error'
                    ELSE 'playback_progress' END AS kind
                FROM kinds
            ),
            twice AS (
                SELECT *, UNNEST(RANGE(CASE WHEN {_u('id', 10)} < 0.01 THEN 2 ELSE 1 END)) AS copy FROM told
            ),
            rows AS (
                SELECT 'e' || id AS event_id, copy, 'u' || u AS user_id, 'p' || u || '-' || (i % 2) AS profile_id,
                    'c' || c AS content_id, 'v' || i AS session_id, 'd' || (u * 2 + i % 2) AS device_id,
                    TIMESTAMP '{START}' + TO_SECONDS(d * 86400 + began + k * pace) AS timestamp,
                    kind AS event_type, CAST(k * pace AS DOUBLE) AS current_playback_position,
                    CASE WHEN kind = 'playback_seek'
                        THEN GREATEST(k * pace + CASE WHEN v < 0.07 THEN -30.0 ELSE 90.0 END, 0) END
                        AS seek_to_position,
                    CASE WHEN k = 0 THEN ['search', 'browse', 'recommendation', 'external'][CAST(i % 4 + 1 AS INT)] END
                        AS discovery_source,
                    CASE WHEN k = 0 THEN ['SD', 'HD', 'FHD', '4K'][CAST(i % 4 + 1 AS INT)] END AS playback_quality,
                    CASE WHEN k = 0 THEN i % 3 < 2 END AS autoplay_enabled, delay, id
                FROM twice
            )
            SELECT CASE WHEN copy = 0 THEN event_id END AS event_id, user_id, profile_id, content_id, session_id,
                device_id,
                timestamp, timestamp + TO_SECONDS(delay + copy) AS received_at, event_type, current_playback_position,
                seek_to_position, discovery_source, playback_quality, autoplay_enabled,
                CAST(timestamp AS DATE) AS event_date
            FROM rows ORDER BY received_at, id, copy
        ) TO '{path}' (FORMAT PARQUET, COMPRESSION ZSTD)
    """)
    con.close()


#: The same rules by hand, for events that all name their session.
BY_HAND = """
WITH steps AS (
    SELECT session_id, content_id, user_id, profile_id, device_id, timestamp AS moment,
        CASE event_type WHEN 'playback_start' THEN 1 WHEN 'playback_progress' THEN 2 WHEN 'playback_seek' THEN 3
            WHEN 'playback_error' THEN 6 WHEN 'playback_pause' THEN 7 WHEN 'playback_resume' THEN 8
            WHEN 'playback_complete' THEN 9 WHEN 'playback_stop' THEN 10 ELSE 4 END AS step,
        current_playback_position AS position, seek_to_position AS seek_to, discovery_source, playback_quality,
        autoplay_enabled
    FROM streaming.playback_events
),
ordered AS (
    SELECT *,
        LAG(moment) OVER w AS before_at, LEAD(moment) OVER w AS after_at, LAG(position) OVER w AS before_position,
        LAG(seek_to) OVER w AS jumped_to,
        MAX(CASE WHEN step = 7 THEN moment END) OVER before AS paused_at,
        MAX(CASE WHEN step IN (1, 2) THEN moment WHEN step > 7 THEN moment + INTERVAL 1 MICROSECOND END) OVER before
            AS played_at
    FROM steps
    WINDOW w AS (PARTITION BY session_id, content_id ORDER BY moment, step, position),
        before AS (PARTITION BY session_id, content_id ORDER BY moment, step, position
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT session_id AS session_key, content_id, MIN(user_id) AS user_id, MIN(profile_id) AS profile_id,
    MIN(device_id) AS device_id, MIN(discovery_source) AS discovery_source, CAST(MIN(moment) AS DATE) AS session_date,
    MIN(moment) AS started_at, MAX(moment) AS last_event_at, BOOL_OR(after_at IS NULL AND step >= 9) AS has_end,
    BOOL_OR(step = 9 AND (jumped_to IS NULL OR position > jumped_to)) AS is_played_out,
    CAST(ROUND(COALESCE(SUM(CASE WHEN paused_at >= COALESCE(played_at, paused_at)
        THEN EPOCH_US(moment - before_at) / 1000000.0 END), 0)) AS BIGINT) AS paused_seconds,
    COUNT(*) FILTER (WHERE step = 7 AND (paused_at IS NULL OR paused_at < played_at)) AS pauses,
    COUNT(*) FILTER (WHERE seek_to < position AND (jumped_to IS NULL OR seek_to <> jumped_to OR moment > before_at))
        AS rewinds,
    COUNT(*) FILTER (WHERE seek_to > position AND (jumped_to IS NULL OR seek_to <> jumped_to OR moment > before_at))
        AS forwards,
    MIN(position) FILTER (WHERE before_at IS NULL) AS start_position,
    MAX(COALESCE(seek_to, position)) FILTER (WHERE after_at IS NULL) AS stop_position,
    MAX(position) FILTER (WHERE before_at IS NOT NULL AND position > COALESCE(jumped_to, before_position))
        AS furthest_position,
    MAX(CASE playback_quality WHEN 'SD' THEN 480 WHEN 'HD' THEN 720 WHEN 'FHD' THEN 1080 WHEN '4K' THEN 2160 END)
        AS max_quality,
    BOOL_OR(autoplay_enabled) AS autoplay, COUNT(*) FILTER (WHERE step = 6) AS errors, COUNT(*) AS events
FROM ordered
GROUP BY session_id, content_id
"""


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def store(engine: Engine, path: Path, low: date, high: date) -> int:
    """Append the events of the days from `low` until before `high` and touch their partitions, as a load does."""
    with engine.transaction():
        engine.connection.execute(  # type: ignore[attr-defined]
            f"INSERT INTO {EVENTS} BY NAME SELECT * FROM '{path}' WHERE event_date >= DATE '{low}'"
            f" AND event_date < DATE '{high}'"
        )
        days = engine.query(
            f"SELECT DISTINCT event_date AS day FROM {EVENTS} WHERE event_date >= CAST(:low AS DATE)"
            " AND event_date < CAST(:high AS DATE) ORDER BY day", {"low": low, "high": high},
        )["day"].to_pylist()
        touch(engine, EVENTS, [str(day) for day in days])
    return len(days)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=50_000_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    pack = load_pack("streaming")
    models = {f"streaming.{name}": model for name, model in pack.models.items()}
    tables = {table.relation: table for table in pack.tables.values()}
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.parquet"
        generate(path, given.events, given.days)
        engine = open_engine(Path(folder) / "streaming.duckdb")
        connection = engine.connection  # type: ignore[attr-defined]
        for relation, table in tables.items():
            columns = {column.name: column.type for column in table.columns.values()}
            engine.create_table(relation, columns, table.partition)
        # Sessions that begin on the last of these days go on into the day after.
        first = START + timedelta(given.days - given.rounds)
        store(engine, path, date.min, first)

        def timed(*, full: bool) -> float:
            started = cpu()
            report = build(engine, models, tables, full=full, only=[MODEL])
            spent = cpu() - started
            if not report.ok:
                sys.exit(str(report))
            return spent

        begun = timed(full=False)
        ours, theirs = [], []
        for _ in range(given.rounds):
            started = cpu()
            connection.execute(f"CREATE OR REPLACE TABLE by_hand AS {BY_HAND}")
            theirs.append(cpu() - started)
            ours.append(timed(full=True))
        # The quotient of two numbers may differ in its last digit, and nothing here divides: rows are equal or not.
        differ = connection.execute(
            f"SELECT COUNT(*) FROM ((SELECT * FROM by_hand EXCEPT SELECT * EXCLUDE (session_id) FROM {MODEL})"
            f" UNION ALL (SELECT * EXCLUDE (session_id) FROM {MODEL} EXCEPT SELECT * FROM by_hand))"
        ).fetchone()[0]
        if differ:
            sys.exit(f"{differ:,} sessions differ between the model and the SQL by hand")
        rows = connection.execute(f"SELECT COUNT(*) FROM {EVENTS}").fetchone()[0]
        sessions = connection.execute("SELECT COUNT(*) FROM by_hand").fetchone()[0]
        connection.execute("DROP TABLE by_hand")
        days = []
        for turn in range(given.rounds):
            store(engine, path, first + timedelta(turn), first + timedelta(turn + 1))
            days.append(timed(full=False))
        if given.events <= 10_000_000 and (wrong := verify(engine, models, tables, only=[MODEL])):
            sys.exit(f"incremental differs from full: {wrong}")
        engine.close()
    full, hand, day = (statistics.median(values) for values in (ours, theirs, days))
    told = f"{rows:,} events, {sessions:,} sessions, {given.days} days"
    print(f"{told}, {os.cpu_count()} cores, median of {given.rounds}\n")
    print("| folding | CPU s | ratio | bar |\n|---|---:|---:|---:|")
    print(f"| windows by hand | {hand:.2f} | | |")
    print(f"| full build | {full:.2f} | {full / hand:.2f} | {FOLD_BAR} |")
    print(f"| first build, which also proves its spread | {begun:.2f} | {begun / hand:.2f} | |")
    print(f"| one new day | {day:.3f} | {day / full:.4f} of the full build | {DAY_BAR:.4f} |")
    failed = full / hand > FOLD_BAR or day / full > DAY_BAR
    if failed:
        sys.exit("\na bar is missed")


if __name__ == "__main__":
    main()
