"""Roles and forgetting mean the same on Spark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from parity_rows import Pair

from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import ForbiddenError
from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

pytestmark = [pytest.mark.spark, pytest.mark.slow]


def test_a_role_sees_the_same_on_both(pair: Pair) -> None:
    if pair.pack.name != "delivery":
        return  # one pack tells
    shops = pair.duckdb.engine.query("SELECT restaurant_id FROM delivery.dim_restaurants ORDER BY 1")
    shop = shops["restaurant_id"].to_pylist()[:2]
    for role, attributes in (("partner", {"restaurant_id": shop}), ("executive", {})):
        left, right = (wh.as_role(role, **attributes) for wh in (pair.duckdb, pair.spark))
        request: dict[str, Any] = {"by": "restaurant_type", "grain": "day"}
        assert left.metric("total_order_volume", **request).rows == right.metric("total_order_volume", **request).rows
        for seen in (left, right):
            with pytest.raises(ForbiddenError):
                seen.show("fact_orders")
    left, right = (wh.as_role("analyst") for wh in (pair.duckdb, pair.spark))
    assert left.show("fact_orders", 1).arrow.column_names == right.show("fact_orders", 1).arrow.column_names
    with pytest.raises(ForbiddenError, match="may not see special_instructions"):
        right.engine.query("SELECT special_instructions FROM delivery.fact_orders")


def test_a_person_is_forgotten_on_both(spark_session: Any, tmp_path: Path) -> None:
    from prodsense.engines.spark import SparkEngine

    tables = load_pack("delivery").simulate(days=2, scale=0.02, seed=5).tables
    wanted = {name: tables[name] for name in ("dim_customers", "dim_restaurants", "fact_orders")}
    who = wanted["fact_orders"]["customer_id"][0].as_py()
    done = []
    for engine in (DuckDBEngine(), SparkEngine(tmp_path / "lake", session=spark_session)):
        with Warehouse(engine) as wh:
            wh.ingest(wanted, pack="delivery")
            done.append(wh.forget(who).rows)
            again = wh.ingest(pa.table(wanted["fact_orders"])[:1], table="delivery.fact_orders")
            assert (again.accepted, again.quarantined) == (0, 1)
            held = wh.engine.query("SELECT rule, original FROM prodsense.quarantine").to_pylist()
            assert held == [{"rule": "forgotten", "original": None}]
            left = wh.engine.query("SELECT COUNT(*) AS n FROM delivery.fact_orders WHERE customer_id = :who", {"who": who})
            assert left["n"].to_pylist() == [0]
    assert done[0] == done[1]
    assert {row["table"] for row in done[0]} == {"delivery.dim_customers", "delivery.fact_orders"}
