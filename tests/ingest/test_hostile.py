"""Hostile inputs: whatever a file holds, no row is lost, no foreign error escapes, the warehouse opens after."""

from __future__ import annotations

import json
import os
import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingest_shop import TABLES

from prodsense.engines import open_engine
from prodsense.errors import ProdsenseError
from prodsense.ingest import ingest

NASTY = st.sampled_from([
    "", " ", "1", "2", "3", "-1", "3.0", "3.7", "12abc", "1e400", "9999999999999999999999", "NaN", "inf", "NULL",
    "true", "2024-01-01", "2024-13-45", "2024-01-01T10:00:00+02:00", "infinity", "new", "done", "'; DROP TABLE x; --",
    '"', '""', 'a"b', "a,b", "a\nb", "a\r\nb", "\\", "\x00", "é", "🙂", "\ufeff", "0x1F", "1_000", "$low0", "{cell}",
    "x" * 300, "[1]", "{}", "%", "_", ";", "\t",
])  # fmt: skip
CELL = st.one_of(NASTY, NASTY, st.text(max_size=8))
COLUMNS = ["order_id", "person_id", "day", "at", "amount", "n", "score", "status", "ok", "note"]
VALUE = st.recursive(
    st.one_of(CELL, st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats()),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(CELL, inner, max_size=2)),
    max_leaves=3,
)
GARBAGE = st.binary(max_size=30)


@st.composite
def csv_file(draw: Any) -> bytes:
    header = draw(st.lists(st.sampled_from([*COLUMNS, "extra", "Order_ID", ""]), min_size=1, max_size=8))
    if draw(st.integers(0, 3)):
        header = list(dict.fromkeys(["order_id", "day", *header]))
    end = draw(st.sampled_from(["\n", "\r\n", "\n"]))
    separator = draw(st.sampled_from([",", ",", ";", "\t"]))
    lines = [separator.join(header)]
    for _ in range(draw(st.integers(0, 6))):
        cells = draw(st.lists(CELL, min_size=max(len(header) - 1, 1), max_size=len(header) + 1))
        quote = draw(st.booleans())
        lines.append(separator.join('"' + c.replace('"', '""') + '"' if quote else c for c in cells))
    raw = end.join(lines).encode(errors="surrogatepass")
    return raw + draw(st.one_of(st.just(b""), GARBAGE))


@st.composite
def json_file(draw: Any) -> bytes:
    lines: list[bytes] = []
    for _ in range(draw(st.integers(0, 6))):
        if draw(st.integers(0, 4)) == 0:
            lines.append(draw(GARBAGE))
            continue
        row = draw(st.dictionaries(st.sampled_from([*COLUMNS, "extra", "DAY"]), VALUE, max_size=6))
        if draw(st.integers(0, 2)):
            row |= {"order_id": draw(st.integers(1, 3)), "day": "2024-01-01"}
        lines.append(json.dumps(row, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass"))
    raw = b"\n".join(lines)
    return b"[" + b",".join(lines) + b"]" if draw(st.integers(0, 9)) == 0 else raw


def check(name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        engine = open_engine(Path(folder) / "wh.duckdb")
        try:
            for attempt in range(2):
                try:
                    report = ingest(engine, TABLES, path)
                except ProdsenseError as error:
                    assert error.message
                    # A damaged file may take the engine's instance down with it, never the warehouse.
                    engine.close()
                    engine = open_engine(Path(folder) / "wh.duckdb")
                    assert not engine.relations("shop"), "a refused file leaves nothing"
                    return
                if attempt:
                    assert report.skipped
                    break
                load = report.loads[0]
                assert load.accepted + load.duplicate + load.quarantined == load.read
                # What the report says is what the tables hold.
                stored = engine.query("SELECT COUNT(*) AS n, COUNT(DISTINCT order_id) AS keys FROM shop.fact_orders")
                assert stored.to_pylist() == [{"n": load.accepted, "keys": load.accepted}]
                held = engine.query("SELECT original, reason, todo FROM prodsense.quarantine").to_pylist()
                assert len(held) == load.quarantined
                assert all(row["original"] and row["reason"] and row["todo"] for row in held)
                if name.endswith("ndjson") and not content.lstrip().startswith(b"["):
                    ends = b"\n" if b"\n" in content else b"\r"
                    assert load.read == sum(1 for line in content.split(ends) if line.strip())
        finally:
            engine.close()
        opened = open_engine(Path(folder) / "wh.duckdb")
        assert opened.query("SELECT COUNT(*) AS n FROM prodsense.loads")["n"].to_pylist() == [1]
        opened.close()


COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None, "derandomize": True}


#: The long runs: 60 files each, or as many as PRODSENSE_FUZZ says, then of another kind each time.
FUZZ = int(os.environ.get("PRODSENSE_FUZZ", "0"))
AT_LENGTH = COMMON | {"derandomize": not FUZZ, "max_examples": FUZZ or 60}


@pytest.mark.parametrize("content", [b"\x00", b"1", b"{", b"x\n", b"\n1", b"11"])
def test_the_smallest_files(content: bytes) -> None:
    check("fact_orders.ndjson", content)


@pytest.mark.parametrize("content", [
    b'order_id,day,person_id\n,,a"b\n,,a"b', b'order_id,day,note\n1,2024-01-01, "a\n,b"\n2,x,"""\n"\n',
])  # fmt: skip
def test_quotes_inside_fields(content: bytes) -> None:
    """A quote opens a field only where the field begins; rows of the tolerant reader are those of the engine."""
    check("fact_orders.csv", content)


@pytest.mark.slow
@settings(**AT_LENGTH)
@given(csv_file())
def test_csv_at_length(content: bytes) -> None:
    check("fact_orders.csv", content)


@pytest.mark.slow
@settings(**AT_LENGTH)
@given(json_file())
def test_ndjson_at_length(content: bytes) -> None:
    check("fact_orders.ndjson", content)


@pytest.mark.slow
def test_flipped_bytes_of_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "fact_orders.parquet"
    pq.write_table(pa.table({"order_id": list(range(50)), "day": ["2024-01-01"] * 50, "note": ["é"] * 50}), path)
    sound = path.read_bytes()
    dice = random.Random(7)
    for _ in range(12):
        raw = bytearray(sound)
        for _ in range(dice.randint(1, 3)):
            raw[dice.randrange(len(raw))] = dice.randrange(256)
        check("fact_orders.parquet", bytes(raw[: dice.choice([len(raw), len(raw), dice.randrange(len(raw))])]))
