"""Where rows may come from: formats, compression, globs, folders, frames, readers, mappings; and their names."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from prodsense.errors import ContractError, SqlError, UsageError
from prodsense.ingest import ensure_tables, ingest, load_mapped, write_source_template
from prodsense.ingest.discover import table_for

CSV = "order_id,day,n\n1,2024-01-01,5\n2,2024-01-02,\n"
NDJSON = '{"order_id":1,"day":"2024-01-01","n":5}\n{"order_id":2,"day":"2024-01-02"}\n'
FRAME = {"order_id": [1, 2], "day": ["2024-01-01", "2024-01-02"], "n": [5, None]}
STORED = [{"order_id": 1, "day": "2024-01-01", "n": 5}, {"order_id": 2, "day": "2024-01-02", "n": None}]


def zstd(content: str) -> bytes:
    return pa.Codec("zstd").compress(content.encode(), asbytes=True)


TEXTS = {
    "fact_orders.csv": CSV.encode(),
    "FACT_ORDERS.CSV": CSV.encode(),
    "fact_orders_2024-01.csv": CSV.encode(),
    "fact_orders.tsv": CSV.replace(",", "\t").encode(),
    "fact_orders.csv.gz": gzip.compress(CSV.encode(), mtime=0),
    "fact_orders.csv.zst": zstd(CSV),
    "crlf/fact_orders.csv": CSV.replace("\n", "\r\n").encode(),
    "cr/fact_orders.csv": CSV.replace("\n", "\r").encode(),
    "mixed/fact_orders.csv": CSV.replace("\n", "\r\n", 2).encode(),
    "bom/fact_orders.csv": b"\xef\xbb\xbf" + CSV.encode(),
    "fact_orders.ndjson": NDJSON.encode(),
    "fact_orders.jsonl": NDJSON.encode(),
    "fact_orders.json": NDJSON.encode(),
    "fact_orders.ndjson.gz": gzip.compress(NDJSON.encode(), mtime=0),
    "fact_orders.ndjson.zst": zstd(NDJSON),
    "bom/fact_orders.ndjson": b"\xef\xbb\xbf" + NDJSON.encode(),
    "keys/fact_orders.ndjson": NDJSON.replace("order_id", "Order_ID").encode(),
    "array/fact_orders.json": json.dumps([json.loads(line) for line in NDJSON.splitlines()], indent=1).encode(),
    "fact_orders/part-0.csv": CSV.encode(),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_files(name: str, engine: Any, tables: Any, put: Any, rows: Any) -> None:
    report = ingest(engine, tables, put(name, TEXTS[name]))
    assert (report.read, report.accepted) == (2, 2), str(report)
    assert rows("shop.fact_orders", "order_id, CAST(day AS VARCHAR) AS day, n") == STORED


def data(kind: str) -> Any:
    table = pa.table(FRAME)
    return {
        "arrow": table,
        "batch": table.to_batches()[0],
        "reader": pa.RecordBatchReader.from_batches(table.schema, table.to_batches()),
        "pandas": pd.DataFrame(FRAME),
        "polars": pl.DataFrame(FRAME),
        "lazy": pl.LazyFrame(FRAME),
    }[kind]


@pytest.mark.parametrize("kind", ["arrow", "batch", "reader", "pandas", "polars", "lazy"])
def test_frames(kind: str, engine: Any, tables: Any, rows: Any) -> None:
    report = ingest(engine, tables, data(kind), "fact_orders")
    assert (report.read, report.accepted) == (2, 2), str(report)
    assert rows("shop.fact_orders", "order_id, CAST(day AS VARCHAR) AS day, n") == STORED
    assert ingest(engine, tables, data(kind), "fact_orders").duplicate == 2


def test_a_frame_needs_a_table(engine: Any, tables: Any) -> None:
    with pytest.raises(UsageError, match="say table="):
        ingest(engine, tables, pa.table(FRAME))


def test_parquet_files_of_different_shape(engine: Any, tables: Any, tmp_path: Any, rows: Any) -> None:
    folder = tmp_path / "fact_orders"
    folder.mkdir()
    pq.write_table(pa.table({"order_id": [1], "day": ["2024-01-01"]}), folder / "a.parquet")
    pq.write_table(pa.table({"day": ["2024-01-02", "x"], "order_id": [2, 3], "n": [7, 8]}), folder / "b.parquet")
    report = ingest(engine, tables, folder)
    assert (report.accepted, report.quarantined) == (2, 1)
    assert rows("shop.fact_orders", "order_id, n") == [{"order_id": 1, "n": None}, {"order_id": 2, "n": 7}]
    held = rows("prodsense.quarantine", "file, row_number, original")
    assert held == [{
        "file": str(folder / "b.parquet"), "row_number": 2, "original": '{"day":"x","order_id":"3","n":"8"}',
    }]  # fmt: skip
    assert [r["rows"] for r in rows("prodsense.files", "rows, path", "path")] == [1, 2]


def test_many_files_by_glob_keep_their_row_numbers(engine: Any, tables: Any, put: Any, rows: Any) -> None:
    paths = [put(f"g/events_{i}.csv", f"at,name\n2024-01-0{i},a\nbad,{i}\n") for i in range(1, 4)]
    put("g/other.csv", "x\n1\n")
    report = ingest(engine, tables, paths[0].replace("events_1", "events_*"))
    assert (report.read, report.accepted, report.quarantined) == (6, 3, 3)
    held = rows("prodsense.quarantine", "file, row_number, original", "id")
    assert [tuple(h.values()) for h in held] == [(p, 2, f"bad,{i}") for i, p in enumerate(paths, 1)]


def test_one_broken_file_among_sound_ones(engine: Any, tables: Any, put: Any, rows: Any) -> None:
    put("g/events_1.csv", "at,name\n2024-01-01,a\n")
    put("g/events_2.csv", "at,name\n2024-01-02\n2024-01-02,b\nbad,c\n")
    path = put("g/events_3.ndjson", '{"at":"2024-01-03","name":"c"}\nnope\n')
    report = ingest(engine, tables, path.replace("events_3.ndjson", "*"))
    assert (report.read, report.accepted, report.quarantined) == (6, 3, 3)
    held = rows("prodsense.quarantine", "file, row_number, rule, original", "file, row_number")
    assert [(h["file"][-15:], h["row_number"], h["rule"], h["original"]) for h in held] == [
        ("/g/events_2.csv", 1, "fields", "2024-01-02"), ("/g/events_2.csv", 3, "type", "bad,c"),
        ("events_3.ndjson", 2, "malformed", "nope"),
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "content"), [
    ("fact_orders.parquet", b"PAR1 this is none"), ("fact_orders.parquet", b""),
    ("fact_orders.csv.gz", b"\x1f\x8b\x08broken"), ("fact_orders.ndjson.gz", gzip.compress(NDJSON.encode(), mtime=0)[:-12]),
    ("fact_orders.json", b'[{"order_id": 1}, {'), ("fact_orders.csv", b"\xff\xfe,b\n1,2\n"),
    ("fact_orders.csv", b"a,b\n1,2\n"), ("fact_orders.csv", b"order_id,day,order_id\n1,2024-01-01,2\n"),
])  # fmt: skip
def test_files_that_cannot_be_read_are_refused_whole(
    name: str, content: bytes, engine: Any, tables: Any, put: Any
) -> None:
    with pytest.raises(ContractError) as refused:
        ingest(engine, tables, put(name, content))
    assert name in refused.value.message
    assert not engine.relations("shop")


def test_empty_text_files_hold_no_rows(engine: Any, tables: Any, put: Any) -> None:
    for name in ("fact_orders.csv", "fact_orders.ndjson"):
        assert ingest(engine, tables, put(name, "")).read == 0
    assert ingest(engine, tables, put("h/fact_orders.csv", "order_id,day\n")).read == 0


def test_names_of_files(tables: Any, tmp_path: Any) -> None:
    for name, table in {
        "fact_orders.csv": "fact_orders", "Fact_Orders-3.parquet": "fact_orders",
        "fact_order_lines_1.csv": "fact_order_lines",
        "events.2024.jsonl": "events", "dim_people/2024/part.csv": "dim_people",
    }.items():  # fmt: skip
        assert table_for(tables, tmp_path / name).name == table, name
    with pytest.raises(UsageError, match="Did you mean fact_orders"):
        table_for(tables, tmp_path / "fact_ordrs.csv")


def test_names_that_are_wrong(engine: Any, tables: Any, put: Any, tmp_path: Any) -> None:
    path = put("fact_orders.csv", CSV)
    with pytest.raises(UsageError, match=r"no table named fact_order\. Did you mean fact_orders"):
        ingest(engine, tables, path, "fact_order")
    with pytest.raises(UsageError, match=r"no such file or folder\. Did you mean fact_orders\.csv"):
        ingest(engine, tables, path.replace("orders", "ordes"))
    with pytest.raises(UsageError, match="no file matches"):
        ingest(engine, tables, str(tmp_path / "no*.csv"))
    with pytest.raises(UsageError, match="cannot tell its format"):
        ingest(engine, tables, put("fact_orders.xlsx", "x"))


def test_hostile_file_names(engine: Any, tables: Any, put: Any) -> None:
    names = (
        "it's/fact_orders.csv", "a[1]*?/fact_orders_x.csv", "spa ce/fact_orders;drop.csv", "päth/fact_orders.ndjson",
    )  # fmt: skip
    for name in names:
        content = NDJSON if name.endswith("ndjson") else CSV
        assert ingest(engine, tables, put(name, content + "\n" * len(name))).read == 2, name


def test_tables_exist_before_any_load(engine: Any, tables: Any) -> None:
    ensure_tables(engine, tables)
    assert engine.columns("shop.events") == {"at": "TIMESTAMP", "name": "VARCHAR"}
    assert "prodsense.quarantine" in engine.relations()


# -- mappings ----------------------------------------------------------------------------------------


def project(tmp_path: Any, sql: str) -> Any:
    (tmp_path / "p" / "sources").mkdir(parents=True, exist_ok=True)
    (tmp_path / "p" / "raw").mkdir(exist_ok=True)
    (tmp_path / "p" / "sources" / "fact_orders.sql").write_text(sql)
    return tmp_path / "p"


MAPPING = """-- Ours.
SELECT id AS order_id, CAST(placed AS DATE) AS day, qty AS n
FROM read_csv('raw/orders*.csv', all_varchar = true)
"""


def test_a_mapping_is_loaded_like_a_file(engine: Any, tables: Any, tmp_path: Any, rows: Any) -> None:
    folder = project(tmp_path, MAPPING)
    (folder / "raw" / "orders1.csv").write_text("id,placed,qty\n1,2024-01-01,5\n2,2024-01-02,x\n")
    report = load_mapped(engine, tables, folder)
    assert (report.read, report.accepted, report.quarantined) == (2, 1, 1)
    held = rows("prodsense.quarantine", "file, row_number, rule, original")
    assert held == [{
        "file": "sources/fact_orders.sql", "row_number": 2, "rule": "type",
        "original": '{"order_id":"2","day":"2024-01-02","n":"x"}',
    }]  # fmt: skip
    assert load_mapped(engine, tables, folder).skipped
    (folder / "raw" / "orders2.csv").write_text("id,placed,qty\n3,2024-01-01,5\n")
    report = load_mapped(engine, tables, folder, "fact_orders")
    assert (report.read, report.accepted, report.duplicate, report.quarantined) == (3, 1, 1, 1)


@pytest.mark.parametrize("sql", ["DROP TABLE x", "SELECT 1; SELECT 2", "SELEC", "SELECT * FROM read_csv('no.csv')"])
def test_a_mapping_is_one_select_that_runs(sql: str, engine: Any, tables: Any, tmp_path: Any) -> None:
    with pytest.raises(SqlError, match=r"sources/fact_orders\.sql"):
        load_mapped(engine, tables, project(tmp_path, sql))


def test_the_template_names_every_column_and_is_skipped_until_filled_in(
    engine: Any, tables: Any, tmp_path: Any
) -> None:
    table = tables["shop.fact_orders"]
    text = write_source_template(table)
    for column in table.columns:
        assert f'    "{column}" AS {column}' in text
    assert "DECIMAL(8,2), optional" in text and "DATE, required" in text and "VARCHAR(5), default 'none'" in text
    folder = project(tmp_path, text)
    assert "fill it in" in str(load_mapped(engine, tables, folder))
    # Filled in (here: a file that has it all), it runs.
    pacsv.write_csv(pa.table({name: pa.array([None], pa.string()) for name in table.columns}), folder / "raw" / "o.csv")
    (folder / "sources" / "fact_orders.sql").write_text(text.replace("raw/fact_orders.csv", "raw/o.csv"))
    assert load_mapped(engine, tables, folder).quarantined == 1
