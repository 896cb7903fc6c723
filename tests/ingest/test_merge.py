"""Duplicates, replaced rows, references, release of orphans, the ledger, and files seen before."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from ingest_shop import SCHEMA

from prodsense.contracts.tables import read_schema
from prodsense.errors import ContractError
from prodsense.ingest import ingest, ledger, retry_quarantine


def people(*ids: int, **columns: list[Any]) -> pa.Table:
    return pa.table({"person_id": list(ids), "name": [f"p{i}" for i in ids], **columns})


def test_the_same_file_twice_is_a_no_op_that_says_so(engine: Any, tables: Any, put: Any, rows: Any) -> None:
    content = "at,name\n2024-01-01,a\n2024-01-01,a\n"
    first = ingest(engine, tables, put("events.csv", content))
    assert (first.accepted, first.skipped) == (2, False), "a table without a key keeps equal rows"
    again = ingest(engine, tables, put("copy/events.csv", content))
    assert again.skipped and again.read == 0
    assert "events.csv was loaded before (load 1)" in str(again)
    assert len(rows("shop.events")) == 2
    assert len(rows("prodsense.loads")) == 1
    (file,) = rows("prodsense.files", "relation, bytes, rows, sha256")
    import hashlib

    assert file == {
        "relation": "shop.events", "bytes": len(content), "rows": 2,
        "sha256": hashlib.sha256(content.encode()).hexdigest(),
    }  # fmt: skip


def test_same_key_same_content_is_a_duplicate_other_content_replaces(
    engine: Any, tables: Any, put: Any, rows: Any
) -> None:
    ingest(engine, tables, put("fact_orders.csv", "order_id,day,n\n1,2024-01-01,1\n2,2024-01-02,2\n3,2024-01-03,3\n"))
    seq = ledger.current_seq(engine)
    report = ingest(
        engine, tables, put("b/fact_orders.csv", "order_id,day,n\n1,2024-01-01,1\n2,2024-01-05,2\n4,2024-01-04,4\n")
    )
    load = report["fact_orders"]
    assert (load.read, load.accepted, load.updated, load.duplicate, load.quarantined) == (3, 2, 1, 1, 0)
    assert [tuple(r.values()) for r in rows("shop.fact_orders", "order_id, CAST(day AS VARCHAR) AS day")] == [
        (1, "2024-01-01"), (2, "2024-01-05"), (3, "2024-01-03"), (4, "2024-01-04"),
    ]  # fmt: skip
    # Both the old and the new day of the moved row are touched; the duplicate's day is not.
    assert ledger.touched_since(engine, "shop.fact_orders", seq) == {"2024-01-02", "2024-01-05", "2024-01-04"}
    assert ledger.touched_since(engine, "shop.fact_orders", ledger.current_seq(engine)) == set()


def test_the_last_of_equal_keys_wins(engine: Any, tables: Any, put: Any, rows: Any) -> None:
    lines = [f'{{"order_id":{i % 3},"day":"2024-01-01","n":{i}}}\n' for i in range(9)]
    report = ingest(engine, tables, put("fact_orders.ndjson", "".join(lines)))
    assert (report.accepted, report.duplicate, report.loads[0].updated) == (3, 6, 0)
    assert [r["n"] for r in rows("shop.fact_orders", "n")] == [6, 7, 8]


def test_compound_keys(engine: Any, tables: Any, put: Any, rows: Any) -> None:
    ingest(engine, tables, put("fact_orders.csv", "order_id,day\n1,2024-01-01\n2,2024-01-01\n"))
    ingest(engine, tables, put("fact_order_lines.csv", "order_id,line,product\n1,1,a\n1,2,b\n2,1,c\n"))
    more = put("x/fact_order_lines.csv", "order_id,line,product\n1,2,B\n2,1,c\n2,2,d\n2,2,e\n")
    report = ingest(engine, tables, more)
    load = report.loads[0]
    assert (load.accepted, load.updated, load.duplicate) == (2, 1, 2)
    assert [r["product"] for r in rows("shop.fact_order_lines", "product", "order_id, line")] == ["a", "B", "c", "e"]


def test_null_in_a_unique_key_never_collides(engine: Any, tables: Any) -> None:
    report = ingest(engine, tables, people(1, 2, 3, email=["a@x", None, None]), "dim_people")
    assert report.accepted == 3


def test_a_taken_unique_value_is_quarantined(engine: Any, tables: Any, rows: Any) -> None:
    ingest(engine, tables, people(1, 2, email=["a@x", "b@x"]), "dim_people")
    report = ingest(engine, tables, people(3, 4, 5, email=["a@x", "c@x", "c@x"]), "dim_people")
    assert (report.accepted, report.quarantined) == (1, 2)
    assert {r["rule"] for r in rows("prodsense.quarantine", "rule")} == {"unique"}
    # A replaced row gives its value free.
    report = ingest(engine, tables, people(1, 6, email=["new@x", "a@x"]), "dim_people")
    assert (report.accepted, report.quarantined) == (2, 0)


def test_references_to_oneself_in_any_order(engine: Any, tables: Any, put: Any, rows: Any) -> None:
    content = "person_id,name,boss_id\n1,a,2\n2,b,3\n3,c,\n4,d,99\n5,e,4\n6,f,5\n"
    report = ingest(engine, tables, put("dim_people.csv", content))
    # 4's boss is nowhere; 5 stands on 4 and 6 on 5, so they wait with it.
    assert (report.accepted, report.quarantined) == (3, 3)
    assert [r["row_number"] for r in rows("prodsense.quarantine", "row_number", "1")] == [4, 5, 6]
    report = ingest(engine, tables, people(99), "dim_people")
    assert (report.accepted, report.released) == (1, 3)
    assert len(rows("shop.dim_people")) == 7


def test_orphans_wait_for_their_parent(engine: Any, tables: Any, put: Any, rows: Any) -> None:
    ingest(engine, tables, people(1), "dim_people")
    orders = put("fact_orders.csv", "order_id,person_id,day\n1,1,2024-01-01\n2,2,2024-01-02\n3,3,2024-01-03\n")
    report = ingest(engine, tables, orders)
    assert (report.accepted, report.quarantined) == (1, 2)
    assert "load the missing row of shop.dim_people: this one then goes in by itself" in str(report)
    seq = ledger.current_seq(engine)
    report = ingest(engine, tables, people(2), "dim_people")
    assert report["dim_people"].accepted == 1
    assert report["fact_orders"].released == 1
    assert [r["order_id"] for r in rows("shop.fact_orders", "order_id")] == [1, 2]
    assert ledger.touched_since(engine, "shop.fact_orders", seq) == {"2024-01-02"}
    held = rows("prodsense.quarantine", "row_number, released IS NOT NULL AS released", "id")
    assert held == [{"row_number": 2, "released": True}, {"row_number": 3, "released": False}]


def test_a_released_row_never_takes_the_place_of_a_newer_one(engine: Any, tables: Any, put: Any, rows: Any) -> None:
    ingest(engine, tables, people(1), "dim_people")
    ingest(engine, tables, put("fact_orders.csv", "order_id,person_id,day,n\n1,2,2024-01-01,10\n"))
    ingest(engine, tables, put("b/fact_orders.csv", "order_id,person_id,day,n\n1,1,2024-01-01,20\n"))
    assert ingest(engine, tables, people(2), "dim_people").released == 1
    assert rows("shop.fact_orders", "n") == [{"n": 20}]


def test_orphans_of_an_empty_parent_go_in_with_a_warning(engine: Any, tables: Any, put: Any) -> None:
    report = ingest(engine, tables, put("fact_orders.csv", "order_id,person_id,day\n1,1,2024-01-01\n2,,2024-01-01\n"))
    assert report.accepted == 2
    assert report.loads[0].warnings == ("person_id of 1 rows not checked against shop.dim_people, which is empty",)


def test_parents_load_before_children(engine: Any, tables: Any, put: Any) -> None:
    put("d/fact_order_lines.csv", "order_id,line,product\n1,1,a\n9,1,b\n")
    put("d/fact_orders.csv", "order_id,person_id,day\n1,1,2024-01-01\n")
    folder = put("d/dim_people.csv", "person_id,name\n1,a\n").rsplit("/", 1)[0]
    report = ingest(engine, tables, folder)
    assert [load.table for load in report] == ["shop.dim_people", "shop.fact_orders", "shop.fact_order_lines"]
    assert [load.quarantined for load in report] == [0, 0, 1]


def test_all_or_nothing_over_the_tables_of_a_call(engine: Any, tables: Any, put: Any, rows: Any) -> None:
    put("d/dim_people.csv", "person_id,name\n1,a\n")
    folder = put("d/fact_orders.csv", "order_id\n1\n").rsplit("/", 1)[0]
    with pytest.raises(ContractError):
        ingest(engine, tables, folder)
    assert engine.columns("shop.dim_people") is None


def test_retry_after_a_change_of_contract(engine: Any, tables: Any, put: Any, rows: Any) -> None:
    ingest(engine, tables, put("fact_orders.csv", 'order_id,day,note\n1,2024-01-01,"a, longer note"\n2,x,\n3\n'))
    wider = {t.relation: t for t in read_schema(SCHEMA.replace("VARCHAR(5)", "VARCHAR(50)"), "shop").values()}
    report = retry_quarantine(engine, wider)
    assert report["fact_orders"].released == 1
    assert rows("shop.fact_orders", "note") == [{"note": "a, longer note"}]
    held = rows("prodsense.quarantine", "rule, released", "row_number")
    assert [h["rule"] for h in held if h["released"] is None] == ["type", "fields"]


def test_the_report_adds_up_and_prints(engine: Any, tables: Any, put: Any) -> None:
    report = ingest(engine, tables, put("fact_orders.csv", "order_id,day\n1,2024-01-01\n1,2024-01-01\n2,x\n"))
    assert str(report).splitlines()[:2] == [
        "shop.fact_orders: 1 accepted + 1 duplicate + 1 quarantined = 3 read",
        "  1 quarantined: type (day)",
    ]
    assert "fact_orders.csv row 3: day is 'x', which is no DATE; write day as 2024-01-31" in str(report)


def test_no_system_number_comes_twice(engine: Any, tables: Any, rows: Any) -> None:
    for i in range(3):
        ingest(engine, tables, people(i), "dim_people")
    ledger.touch(engine, "shop.events", ["2024-01-01", None])
    numbers = [r["seq"] for r in rows("prodsense.partitions", "DISTINCT seq")] + [
        r["load_id"] for r in rows("prodsense.loads", "load_id")
    ]
    assert len(set(numbers)) == len(numbers) == 7


def test_column_names_of_a_contract_never_meet_those_of_the_loader(engine: Any, rows: Any) -> None:
    """A key called `id` once hid the staged row's number, and a corrected row was stored beside the old one."""
    schema = "-- T.\nCREATE TABLE t (id BIGINT PRIMARY KEY, last INT, place VARCHAR UNIQUE, why INT REFERENCES t(id));"
    tables = {t.relation: t for t in read_schema(schema, "shop").values()}
    columns = ("id", "last", "place", "why")

    def load(*values: tuple[Any, ...]) -> Any:
        return ingest(engine, tables, pa.table(dict(zip(columns, map(list, zip(*values, strict=True)), strict=True))), "shop.t")

    load((1, 10, "a", 1), (2, 20, "b", 1))
    report = load((2, 21, "b", 1), (1, 11, "c", 1), (1, 12, "a", 2), (5, 0, "b", 1), (6, 0, "d", 9))
    assert (report.accepted, report.duplicate, report.quarantined) == (2, 1, 2)
    assert sorted(tuple(row.values()) for row in rows("shop.t")) == [(1, 12, "a", 2), (2, 21, "b", 1)]
