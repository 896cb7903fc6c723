"""Each rule of a contract, in each text format: what goes in as which value, what is quarantined and why."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prodsense.errors import ContractError
from prodsense.ingest import ingest

#: (column, cell's text, value that is stored)
SOUND = [
    ("n", "3", 3),
    ("n", "3.0", 3),
    ("n", "1e3", 1000),
    ("n", "-2147483648", -2147483648),
    ("amount", "1.25", Decimal("1.25")),
    ("amount", "999999.99", Decimal("999999.99")),
    ("amount", "7", Decimal("7.00")),
    ("amount", "1.2500", Decimal("1.25")),
    ("score", "0.1", 0.1),
    ("score", "-1e300", -1e300),
    ("at", "2024-01-01 10:00:00", datetime(2024, 1, 1, 10)),
    ("at", "2024-01-01T10:00:00Z", datetime(2024, 1, 1, 10)),
    ("at", "2024-01-01T10:00:00+02:00", datetime(2024, 1, 1, 8)),
    ("at", "2024-01-01 10:00:00-05", datetime(2024, 1, 1, 15)),
    ("at", "2024-01-01T10:00:00.123456+00:00", datetime(2024, 1, 1, 10, 0, 0, 123456)),
    ("at", "2024-07-01 10:00:00 America/New_York", datetime(2024, 7, 1, 14)),
    ("at", "2024-01-01", datetime(2024, 1, 1)),
    ("day", "2024-02-29", date(2024, 2, 29)),
    ("day", "2024-02-29T00:00:00", date(2024, 2, 29)),
    ("ok", "true", True),
    ("ok", "false", False),
    ("note", "ünïcö", "ünïcö"),
    ("status", "done", "done"),
]

#: (column, cell's text, rule)
UNSOUND = [
    ("n", "3.7", "whole"),
    ("n", "15e-1", "whole"),
    ("n", "12abc", "type"),
    ("n", "2147483648", "range"),
    ("n", "9999999999999999999999", "range"),
    ("n", "1e400", "range"),
    ("amount", "1.239", "places"),
    ("amount", "1000000", "range"),
    ("amount", "-0.01", "check"),
    ("amount", "abc", "type"),
    ("score", "1e400", "finite"),
    ("score", "nan", "finite"),
    ("score", "-inf", "finite"),
    ("score", "x", "type"),
    ("at", "yesterday", "type"),
    ("at", "infinity", "finite"),
    ("at", "2024-01-01 25:00:00", "type"),
    ("day", "2023-02-29", "type"),
    ("day", "2024-02-29 10:00:00", "date"),
    ("ok", "2", "type"),
    ("ok", "perhaps", "type"),
    ("note", "longer", "length"),
    ("status", "lost", "check"),
    ("day", "", "required"),
    ("order_id", "", "required"),
]


def csv_row(column: str, text: str) -> str:
    cells = {"order_id": "1", "day": "2024-01-01"} | {column: text}
    return ",".join(cells) + "\n" + ",".join(cells.values()) + "\n"


def json_row(column: str, text: str) -> str:
    return json.dumps({"order_id": 1, "day": "2024-01-01"} | {column: text or None}) + "\n"


def json_number_row(column: str, text: str) -> str | None:
    """The cell as a bare JSON token, where it is one."""
    try:
        json.loads(text, parse_constant=lambda name: 1 / 0)
    except (ValueError, ZeroDivisionError):
        return None
    return f'{{"order_id": 1, "day": "2024-01-01", "{column}": {text}}}\n'


FORMATS = {"csv": csv_row, "ndjson": json_row, "bare.ndjson": json_number_row}


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_sound_cells_are_stored_exactly(kind: str, engine: Any, tables: Any, put: Any, rows: Any) -> None:
    for column, text, value in SOUND:
        content = FORMATS[kind](column, text)
        if content is None or (kind == "bare.ndjson" and column in {"note", "status", "day", "at"}):
            continue
        report = ingest(engine, tables, put(f"fact_orders.{kind}", content))
        assert (report.read, report.accepted + report.duplicate, report.quarantined) == (1, 1, 0), (column, text)
        assert rows("shop.fact_orders", column)[0][column] == value, (column, text)
        assert rows("shop.fact_orders", "status")[0]["status"] == ("done" if text == "done" else "new")
        engine.execute("DELETE FROM shop.fact_orders")
        engine.execute("DELETE FROM prodsense.files")


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_unsound_cells_are_quarantined_with_their_rule(
    kind: str, engine: Any, tables: Any, put: Any, rows: Any
) -> None:
    for column, text, rule in UNSOUND:
        content = FORMATS[kind](column, text)
        if content is None or (kind == "bare.ndjson" and column in {"ok", "note"}):
            continue
        # A sound row before it must not be lost with it.
        sound = FORMATS[kind]("order_id", "7")
        assert sound is not None
        if kind == "csv":
            head, body = content.splitlines()
            before = {"order_id": "7", "day": "2024-01-01"}
            content = f"{head}\n{','.join(before.get(name, '') for name in head.split(','))}\n{body}\n"
        else:
            content = sound + content
        path = put(f"fact_orders.{kind}", content)
        report = ingest(engine, tables, path)
        assert (report.read, report.accepted, report.quarantined) == (2, 1, 1), (column, text, str(report))
        held = rows("prodsense.quarantine")[0]
        assert (held["rule"], held["column_name"]) == (rule, column), (column, text, held["reason"])
        assert (held["relation"], held["file"], held["row_number"]) == ("shop.fact_orders", path, 2)
        assert held["original"] == content.splitlines()[-1]
        assert held["reason"] and held["todo"]
        for relation in ("shop.fact_orders", "prodsense.files", "prodsense.quarantine"):
            engine.execute(f"DELETE FROM {relation}")


def test_broken_lines_of_json(engine: Any, tables: Any, put: Any, rows: Any) -> None:
    lines = [
        b'{"at": "2024-01-01", "name": "a"}', b"{bad", b"", b"[1, 2]", b"12", b'"text"', b"null", b"{}",
        b'{"at": "2024-01-01", "name": "\xff"}', b'{"at": "2024-01-01"} {"at": "2024-01-02"}',
        b'{"at": "2024-01-01", "name": "\\ud800"}', b'{"at": "2024-01-02", "name": "b"}', b'{"at": "2024-',
    ]  # fmt: skip
    report = ingest(engine, tables, put("events.ndjson", b"\n".join(lines)))
    assert (report.read, report.accepted, report.quarantined) == (12, 2, 10)
    held = rows("prodsense.quarantine", "row_number, rule, original")
    assert [(h["row_number"], h["rule"]) for h in held] == [
        (2, "malformed"), (3, "malformed"), (4, "malformed"), (5, "malformed"), (6, "malformed"), (7, "empty"),
        (8, "encoding"), (9, "malformed"), (10, "malformed"), (12, "malformed"),
    ]  # fmt: skip
    assert held[0]["original"] == "{bad"
    assert held[6]["original"] == '{"at": "2024-01-01", "name": "\\xff"}'
    assert [r["name"] for r in rows("shop.events", "name")] == ["a", "b"]


def test_broken_records_of_csv(engine: Any, tables: Any, put: Any, rows: Any) -> None:
    content = (
        b"order_id,day,note\n1,2024-01-01,ok\n2,2024-01-01\n3,2024-01-01,x,y\n4,2024-01-01,\xff\n"
        b'5,2024-01-01,"a\nb"\n\n6,2024-01-01,"q"x\n7,2024-01-01,\n8,2024-01-01,"z\n'
    )
    report = ingest(engine, tables, put("fact_orders.csv", content))
    assert (report.read, report.accepted, report.quarantined) == (8, 3, 5)
    held = rows("prodsense.quarantine", "row_number, rule, original")
    assert [(h["row_number"], h["rule"], h["original"]) for h in held] == [
        (2, "fields", "2,2024-01-01"), (3, "fields", "3,2024-01-01,x,y"), (4, "encoding", "4,2024-01-01,\\xff"),
        (6, "malformed", '6,2024-01-01,"q"x'), (8, "malformed", '8,2024-01-01,"z'),
    ]  # fmt: skip
    stored = rows("shop.fact_orders", "order_id, note")
    assert stored == [{"order_id": 1, "note": "ok"}, {"order_id": 5, "note": "a\nb"}, {"order_id": 7, "note": None}]


def test_typed_columns_are_checked_too(engine: Any, tables: Any, tmp_path: Any, rows: Any) -> None:
    data = pa.table({
        "order_id": pa.array([1, 2, 3, 4, 5], pa.int32()),
        "day": pa.array([date(2024, 1, 1)] * 4 + [None], pa.date32()),
        "at": pa.array([datetime(2024, 1, 1, 10)] * 5, pa.timestamp("us", "Europe/Paris")),
        "score": [1.5, float("nan"), float("inf"), 2.5, 1.0],
        "n": [1.0, 2.0, 3.0, 3.5, 1.0],
        "amount": [1.1, 2.2, 3.3, 4.4, 5.5],
    })
    pq.write_table(data, tmp_path / "fact_orders.parquet")
    report = ingest(engine, tables, tmp_path / "fact_orders.parquet")
    assert (report.read, report.accepted, report.quarantined) == (5, 1, 4)
    held = rows("prodsense.quarantine", "row_number, rule, column_name, original")
    assert [(h["row_number"], h["rule"], h["column_name"]) for h in held] == [
        (2, "finite", "score"), (3, "finite", "score"), (4, "whole", "n"), (5, "required", "day"),
    ]  # fmt: skip
    assert json.loads(held[2]["original"])["n"] == "3.5"
    # Arrow keeps the instant in UTC: the zone is only how it is shown.
    assert rows("shop.fact_orders", "n, at, amount") == [
        {"n": 1, "at": datetime(2024, 1, 1, 10), "amount": Decimal("1.10")}
    ]


def test_integers_beyond_a_double_keep_every_digit(engine: Any, tables: Any, put: Any, rows: Any) -> None:
    path = put("fact_orders.ndjson", '{"order_id": 9007199254740993, "day": "2024-01-01"}\n')
    assert ingest(engine, tables, path).accepted == 1
    assert rows("shop.fact_orders", "order_id") == [{"order_id": 9007199254740993}]


def test_true_is_no_number(engine: Any, tables: Any, put: Any, rows: Any) -> None:
    path = put("fact_orders.ndjson", '{"order_id":1,"day":"2024-01-01","n":true}')
    assert ingest(engine, tables, path).quarantined == 1
    assert rows("prodsense.quarantine", "rule, column_name") == [{"rule": "type", "column_name": "n"}]


def test_a_missing_required_column_refuses_the_file(engine: Any, tables: Any, put: Any) -> None:
    files = {"fact_orders.csv": "order_id,n\n1,2\n", "fact_orders.ndjson": '{"order_id":1}\n{"order_id":2}\n'}
    for name, content in files.items():
        with pytest.raises(ContractError, match=r"needs day, which the file lacks; nothing was loaded"):
            ingest(engine, tables, put(name, content))
    assert engine.columns("shop.fact_orders") is None


def test_extra_columns_are_ignored_with_a_notice(engine: Any, tables: Any, put: Any) -> None:
    report = ingest(engine, tables, put("fact_orders.csv", "ORDER_ID;Day;colour\n1;2024-01-01;red\n"))
    assert report.accepted == 1
    assert report.loads[0].warnings == ("fact_orders.csv: ignored colour, not in the contract",)


def test_defaults(engine: Any, tables: Any, put: Any, rows: Any) -> None:
    ingest(engine, tables, put("fact_orders.csv", "order_id,day\n1,2024-01-01\n"))
    ingest(engine, tables, put("b/fact_orders.csv", "order_id,day,status,note\n2,2024-01-01,,\n"))
    # A missing column takes its default; an empty cell does only where NULL is not allowed.
    assert rows("shop.fact_orders", "status, note", "order_id") == [
        {"status": "new", "note": "none"}, {"status": "new", "note": None},
    ]  # fmt: skip
