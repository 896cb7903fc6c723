"""The view of events that all methods share: names, types, nulls, zones, files."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from prodsense.behavior.events import EventTable
from prodsense.engines.dialect import DIALECTS, render
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import UsageError

ROWS = [
    {"who": 1, "at": datetime(2024, 3, 1, 23, 30), "what": "open", "country": "de"},
    {"who": 1, "at": datetime(2024, 3, 2, 0, 10), "what": "view", "country": None},
    {"who": None, "at": datetime(2024, 3, 2), "what": "view", "country": "de"},
    {"who": 2, "at": None, "what": "view", "country": "fr"},
    {"who": 2, "at": datetime(2024, 3, 5, 12), "what": "pay", "country": "fr"},
]


def test_rows_come_under_fixed_names_and_nulls_are_counted() -> None:
    with EventTable.read(ROWS, "who", "at", "what", "country") as events:
        rows = events.engine.query(events.select() + " ORDER BY event_time").to_pylist()
        assert rows[0] == {
            "user_id": 1, "event_time": datetime(2024, 3, 1, 23, 30), "event_name": "open", "dim_1": "de"
        }
        assert len(rows) == 3
        assert events.left_out == 2
        assert events.notes() == ("2 rows without who or at left out",)
        assert events.span == (datetime(2024, 3, 1, 23, 30), datetime(2024, 3, 5, 12))
        assert events.as_of() == datetime(2024, 3, 5, 12)
        assert events.as_of("2024-03-03", "Europe/Berlin") == datetime(2024, 3, 3, 22, 59, 59, 999999)


def test_a_relation_of_a_warehouse_with_a_condition() -> None:
    engine = DuckDBEngine()
    engine.execute("CREATE TABLE Clicks AS SELECT 7 AS \"User Id\", TIMESTAMP '2024-01-01 10:00:00' AS ts, 'x' AS e")
    events = EventTable.of(engine, "Clicks", "user id", "TS", "e", where="e = 'x'")
    assert events.user == "User Id"
    assert engine.query(events.select()).num_rows == 1
    none = EventTable.of(engine, "Clicks", "User Id", "ts", where="e <> 'x'")
    assert none.span is None
    with pytest.raises(UsageError, match="holds no events"):
        none.as_of()


def test_names_that_are_not_there_are_named() -> None:
    engine = DuckDBEngine()
    engine.execute("CREATE TABLE clicks AS SELECT 7 AS user_id, TIMESTAMP '2024-01-01' AS ts, 17 AS number_ts")
    with pytest.raises(UsageError, match=r"no table, view or model named klicks\. Did you mean .*clicks"):
        EventTable.of(engine, "klicks", "user_id", "ts")
    with pytest.raises(UsageError, match=r"clicks has no column usr_id \(asked for as user\)\. Did you mean user_id"):
        EventTable.of(engine, "clicks", "usr_id", "ts")
    with pytest.raises(UsageError, match="asked for as dimension"):
        EventTable.of(engine, "clicks", "user_id", "ts", dimensions="country")
    with pytest.raises(UsageError, match="number_ts holds int32, not times"):
        EventTable.of(engine, "clicks", "user_id", "number_ts")


def test_days_are_of_the_report_zone() -> None:
    with EventTable.read(ROWS, "who", "at") as events:
        def days(tz: str) -> list[date]:
            sql = f"WITH e AS ({events.select()}) SELECT {events.day(tz)} AS d FROM e ORDER BY event_time"
            return engine_days(events, sql)

        assert days("UTC") == [date(2024, 3, 1), date(2024, 3, 2), date(2024, 3, 5)]
        assert days("Europe/Berlin") == [date(2024, 3, 2), date(2024, 3, 2), date(2024, 3, 5)]
        assert days("America/New_York") == [date(2024, 3, 1), date(2024, 3, 1), date(2024, 3, 5)]
        with pytest.raises(UsageError, match="no time zone named"):
            events.day("Europe/Nowhere'")


def engine_days(events: EventTable, sql: str) -> list[date]:
    return events.engine.query(sql)["d"].to_pylist()


def test_dates_and_zoned_times_are_times() -> None:
    zoned = pa.table({"u": [1], "t": pa.array([datetime(2024, 3, 1, 12, tzinfo=UTC)], pa.timestamp("us", tz="UTC"))})
    with EventTable.read(zoned, "u", "t") as events:
        assert events.span == (datetime(2024, 3, 1, 12),) * 2
    with EventTable.read({"u": [1], "t": [date(2024, 3, 1)]}, "u", "t") as events:
        assert events.span == (datetime(2024, 3, 1),) * 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("e.csv", "u,t\n1,2024-03-01 10:00:00\n2,2024-03-02T11:00:00\n"),
        ("[e]*.ndjson", '{"u":1,"t":"2024-03-01T10:00:00"}\n{"u":2,"t":"2024-03-02T11:00:00"}\n'),
    ],
)
def test_files(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with EventTable.read(path, "u", "t") as events:
        assert events.span == (datetime(2024, 3, 1, 10), datetime(2024, 3, 2, 11))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        EventTable.read(tmp_path / "no.csv", "u", "t")
    with pytest.raises(UsageError, match=r"the ending should be one of \.csv"):
        EventTable.read(tmp_path / "no.xlsx", "u", "t")
    (tmp_path / "bad.parquet").write_text("not parquet")
    with pytest.raises(UsageError, match=r"bad\.parquet cannot be read"):
        EventTable.read(tmp_path / "bad.parquet", "u", "t")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_select_is_said_in_every_dialect(dialect: str) -> None:
    with EventTable.read(ROWS, "who", "at", "what", "country", where="country = 'de'") as events:
        sql = f"WITH events AS ({events.select()}) SELECT user_id, {events.day('Europe/Berlin')} AS day FROM events"
        assert "who" in render(sql, dialect)


def test_text_that_reads_as_times_is_taken_for_times() -> None:
    rows = [{"who": 1, "at": "2024-01-31 12:00:00.5"}, {"who": 2, "at": "2024-02-01"}, {"who": 3, "at": None}]
    with EventTable.read(rows, "who", "at") as events:
        assert events.span == (datetime(2024, 1, 31, 12, 0, 0, 500_000), datetime(2024, 2, 1))


@pytest.mark.parametrize("text", ["soon", "2024-01-31 12:00:00+02:00", "2024-01-31T12:00:00Z"])
def test_text_that_is_no_time_in_utc_is_named(text: str) -> None:
    with pytest.raises(UsageError, match=r"at is text and .* cast it"):
        EventTable.read([{"who": 1, "at": "2024-01-31 12:00:00"}, {"who": 2, "at": text}], "who", "at")
