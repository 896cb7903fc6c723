"""A load into another engine means the same as one into DuckDB.

The other engine is a DuckDB under another name here, so that this runs without Java; on Spark itself the
parity tests load whole packs.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodsense.contracts.tables import read_schema
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.ingest import ingest

SCHEMA = """
-- Shops.
CREATE TABLE shops (
    shop_id BIGINT PRIMARY KEY, -- The shop.
    name VARCHAR(10) -- Its name.
);
-- Sales; tickets without a number never collide.
-- partition: day
CREATE TABLE sales (
    sale_id BIGINT PRIMARY KEY, -- The sale.
    shop_id BIGINT REFERENCES shops, -- Where.
    parent_id BIGINT REFERENCES sales, -- The sale that it corrects.
    ticket BIGINT UNIQUE, -- The ticket.
    day DATE NOT NULL, -- When.
    amount INT CHECK (amount >= 0) -- How much. [cents]
);
-- Notes without a key.
CREATE TABLE notes (
    text VARCHAR -- What was noted.
);
"""
TABLES = {t.relation: t for t in read_schema(SCHEMA, "shop").values()}


class Elsewhere(DuckDBEngine):
    """Another engine, as far as the loader can tell."""

    name = "elsewhere"

    def raw(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("the loader must not speak DuckDB to another engine")


def contents(engine: Any) -> dict[str, list[Any]]:
    found = {}
    for relation in (*TABLES, "prodsense.partitions", "prodsense.quarantine", "prodsense.loads"):
        if engine.columns(relation):
            rows = engine.query(f"SELECT * FROM {relation}").to_pylist()
            for row in rows:
                row.pop("at", None)
            found[relation] = sorted(map(repr, rows))
    return found


def counts(report: Any) -> list[Any]:
    return [(t.table, t.read, t.accepted, t.updated, t.duplicate, t.quarantined, t.released) for t in report.loads]


ids = st.integers(1, 4)
sale = st.fixed_dictionaries({
    "sale_id": ids, "shop_id": st.none() | ids, "parent_id": st.none() | ids, "ticket": st.none() | ids,
    "day": st.sampled_from(["2024-01-01", "2024-01-02"]), "amount": st.sampled_from([-1, 0, 1, 2]),
})  # fmt: skip
load = st.one_of(
    st.tuples(st.just("shop.shops"), st.lists(st.fixed_dictionaries({"shop_id": ids, "name": st.sampled_from("ab")}),
                                              min_size=1, max_size=3)),
    st.tuples(st.just("shop.sales"), st.lists(sale, min_size=1, max_size=4)),
    st.tuples(st.just("shop.notes"), st.lists(st.fixed_dictionaries({"text": st.sampled_from("xy")}), min_size=1,
                                              max_size=2)),
)


@pytest.mark.slow
@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.lists(load, min_size=1, max_size=5))
def test_any_sequence_of_loads_leaves_what_it_leaves_in_duckdb(loads: list[tuple[str, list[dict[str, Any]]]]) -> None:
    here, there = DuckDBEngine(), Elsewhere()
    try:
        for relation, rows in loads:
            data = pa.Table.from_pylist(rows)
            assert counts(ingest(there, TABLES, data, relation)) == counts(ingest(here, TABLES, data, relation))
        # Tables that nothing was loaded into may or may not be there.
        assert {r: c for r, c in contents(there).items() if c} == {r: c for r, c in contents(here).items() if c}
    finally:
        here.close()
        there.close()


@pytest.mark.slow
def test_an_orphan_meets_the_row_that_took_its_number_meanwhile() -> None:
    sale = {"sale_id": 1, "shop_id": 2, "parent_id": None, "ticket": 4, "day": "2024-01-01", "amount": 1}
    loads = [
        ("shop.shops", {"shop_id": 1, "name": "a"}), ("shop.sales", sale),
        ("shop.sales", {**sale, "sale_id": 2, "shop_id": None}), ("shop.shops", {"shop_id": 2, "name": "b"}),
    ]  # fmt: skip
    here, there = DuckDBEngine(), Elsewhere()
    for relation, row in loads:
        data = pa.Table.from_pylist([row])
        assert counts(ingest(there, TABLES, data, relation)) == counts(ingest(here, TABLES, data, relation))
    assert contents(there)["shop.sales"] == contents(here)["shop.sales"]
    assert len(contents(there)["shop.sales"]) == 1
    here.close()
    there.close()


def test_a_failed_handing_over_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Elsewhere()
    ingest(engine, TABLES, pa.table({"shop_id": [1], "name": ["a"]}), "shop.shops")
    before = contents(engine)
    monkeypatch.setattr(engine, "overwrite", lambda *args, **kwargs: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        ingest(engine, TABLES, pa.table({"shop_id": [2], "name": ["b"]}), "shop.shops")
    assert contents(engine) == before
    engine.close()
