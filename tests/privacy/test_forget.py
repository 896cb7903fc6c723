"""Forgetting a person: what goes, what stays, what later loads leave out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from prodsense.errors import UsageError
from prodsense.ingest import forgotten
from prodsense.warehouse import Warehouse
from prodsense.warehouse import open as open_warehouse

Tables = Callable[[str], list[dict[str, Any]]]


def counted(rows: Any) -> dict[str, int]:
    return {row["table"].removeprefix("delivery."): row["deleted"] for row in rows.rows if row["deleted"]}


def everything(wh: Warehouse) -> dict[str, Any]:
    """Contents of all tables and records, but for the ledger's own counter."""
    return {
        name: Counter(repr(row) for row in wh.engine.query(f"SELECT * FROM {name}").to_pylist())
        for name, kind in wh.engine.relations().items() if kind == "table"
    }


@pytest.fixture(scope="module")
def customer(rows_of: Tables) -> int:
    """Somebody with a batched order and a support ticket or refund."""
    complained = {r["order_id"] for r in rows_of("support_tickets")} | {r["order_id"] for r in rows_of("refund_requests")}
    batched = {r["delivery_id"] for r in rows_of("fact_batch_deliveries")}
    orders = {r["order_id"]: r["customer_id"] for r in rows_of("fact_orders")}
    carried = {orders[r["order_id"]] for r in rows_of("fact_deliveries") if r["delivery_id"] in batched}
    found = [orders[order] for order in sorted(complained & orders.keys()) if orders[order] in carried]
    return int(found[0])


@pytest.mark.slow
def test_the_rows_of_a_customer_go_with_all_that_refers_to_them(copied: Path, rows_of: Tables, customer: int) -> None:
    orders = {r["order_id"] for r in rows_of("fact_orders") if r["customer_id"] == customer}
    deliveries = {r["delivery_id"] for r in rows_of("fact_deliveries") if r["order_id"] in orders}
    places = {r["batch_delivery_id"] for r in rows_of("fact_batch_deliveries") if r["delivery_id"] in deliveries}
    expected = {
        "dim_customers": 1, "fact_orders": len(orders), "fact_deliveries": len(deliveries),
        "fact_batch_deliveries": len(places),
        "fact_batch_waypoints": sum(r["delivery_id"] in deliveries for r in rows_of("fact_batch_waypoints")),
        "fact_batch_state_changes": sum(
            r["affected_delivery_id"] in deliveries for r in rows_of("fact_batch_state_changes")
        ),
        "fact_batch_delivery_events": sum(
            r["batch_delivery_id"] in places for r in rows_of("fact_batch_delivery_events")
        ),
        **{
            name: sum(r["order_id"] in orders or r.get("customer_id") == customer for r in rows_of(name))
            for name in ("support_tickets", "refund_requests", "survey_responses", "delivery_costs")
        },
        "experiment_assignments": sum(
            r["unit_type"] == "customer" and r["unit_id"] == str(customer) for r in rows_of("experiment_assignments")
        ),
    }
    paid = [r["earning_id"] for r in rows_of("driver_earnings") if r["delivery_id"] in deliveries]
    assert orders and places and paid
    with open_warehouse(copied) as wh:
        before = everything(wh)
        dry = wh.forget(customer, dry_run=True)
        assert everything(wh) == before
        done = wh.forget(str(customer))
        assert dry.rows == done.rows
        assert counted(done) == {name: number for name, number in expected.items() if number}
        assert [r["emptied"] for r in done.rows if r["table"] == "delivery.driver_earnings"] == [len(paid)]
        kept = wh.engine.query("SELECT earning_id, delivery_id, amount_cents FROM delivery.driver_earnings").to_pylist()
        assert sum(r["amount_cents"] for r in kept) == sum(r["amount_cents"] for r in rows_of("driver_earnings"))
        assert {r["delivery_id"] for r in kept if r["earning_id"] in paid} == {None}
        # Nothing else went.
        for name in ("fact_orders", "fact_deliveries", "support_tickets"):
            left = wh.engine.query(f"SELECT COUNT(*) AS n FROM delivery.{name}")["n"][0].as_py()
            assert left == len(rows_of(name)) - expected[name]
        report = wh.build("delivery")
        assert report.ok
        assert any(m.model == "delivery.order_facts" and m.mode == "incremental" for m in report.models)
        for relation in wh.engine.relations("delivery"):
            columns = wh.engine.columns(relation) or {}
            for column, gone in (("customer_id", {customer}), ("order_id", orders), ("delivery_id", deliveries)):
                if column in columns:
                    held = set(wh.engine.query(f"SELECT DISTINCT {column} AS v FROM {relation}")["v"].to_pylist())
                    assert not held & gone, (relation, column)
        remembered = wh.engine.query(f"SELECT * FROM {forgotten.RELATION}").to_pylist()
        assert remembered
        assert not any(str(customer) == row["digest"] for row in remembered)
        assert wh.forget(customer).rows == []


@pytest.mark.slow
def test_a_driver_goes_and_the_orders_of_others_stay(copied: Path, rows_of: Tables) -> None:
    driver = Counter(r["driver_id"] for r in rows_of("fact_delivery_batches") if r["driver_id"]).most_common(1)[0][0]
    driven = [r["delivery_id"] for r in rows_of("fact_deliveries") if r["driver_id"] == driver]
    with open_warehouse(copied) as wh:
        done = wh.forget(driver, "delivery", "driver")
        emptied = {r["table"].removeprefix("delivery."): r["emptied"] for r in done.rows if r["emptied"]}
        assert emptied["fact_deliveries"] == len(driven)
        assert set(emptied) == {"fact_deliveries", "fact_delivery_batches"}
        left = wh.engine.query("SELECT delivery_id, driver_id FROM delivery.fact_deliveries").to_pylist()
        assert len(left) == len(rows_of("fact_deliveries"))
        assert {r["driver_id"] for r in left if r["delivery_id"] in driven} == {None}
        assert counted(done)["driver_earnings"] == sum(r["driver_id"] == driver for r in rows_of("driver_earnings"))
        assert wh.build("delivery").ok
        assert not wh.engine.query("SELECT 1 AS x FROM delivery.deliveries WHERE driver_id = :d", {"d": driver}).num_rows


def test_later_loads_leave_them_out_and_keep_nothing_of_them(
    copied: Path, city: Path, rows_of: Tables, customer: int
) -> None:
    orders = [r for r in rows_of("fact_orders") if r["customer_id"] == customer]
    deliveries = [r for r in rows_of("fact_deliveries") if r["order_id"] in {o["order_id"] for o in orders}]
    with open_warehouse(copied) as wh:
        wh.forget(customer)
        # The same file is known; another one with the same rows and a new order is not.
        assert wh.ingest(str(city / "fact_orders.parquet"), table="delivery.fact_orders").skipped
        new = {**orders[0], "order_id": 999_999_999, "special_instructions": "ring at secret door"}
        report = wh.ingest(pa.Table.from_pylist([*orders, new]), table="delivery.fact_orders")
        assert (report.accepted, report.duplicate, report.quarantined) == (0, 0, len(orders) + 1)
        assert dict(report["fact_orders"].reasons) == {"forgotten (customer_id)": len(orders) + 1}
        # Rows that refer to theirs by other keys are theirs as well; a row without them goes in.
        report = wh.ingest(pa.Table.from_pylist(deliveries), table="delivery.fact_deliveries")
        assert (report.accepted, report.quarantined) == (0, len(deliveries))
        other = next(r for r in rows_of("fact_orders") if r["customer_id"] != customer)
        report = wh.ingest(pa.Table.from_pylist([{**other, "order_id": 888_888_888}]), table="delivery.fact_orders")
        assert report.accepted == 1
        held = wh.engine.query("SELECT * FROM prodsense.quarantine WHERE rule <> 'required'").to_pylist()
        assert {r["rule"] for r in held} == {"forgotten"}
        assert {(r["original"], r["cells"]) for r in held} == {(None, None)}
        assert "secret door" not in repr(held)
        # The same number means another thing in another column: a driver of that id is loaded.
        drivers = [{**rows_of("dim_drivers")[0], "driver_id": customer, "driver_external_id": "new"}]
        assert wh.ingest(pa.Table.from_pylist(drivers), table="delivery.dim_drivers").accepted == 1


def test_what_lay_in_quarantine_goes_too(copied: Path, rows_of: Tables, customer: int) -> None:
    order = next(r for r in rows_of("fact_orders") if r["customer_id"] == customer)
    bad = {**order, "order_id": 777, "order_status": "no such state", "special_instructions": "theirs"}
    other = {**bad, "order_id": 778, "customer_id": next(
        r["customer_id"] for r in rows_of("fact_orders") if r["customer_id"] != customer
    ), "special_instructions": "not theirs"}
    with open_warehouse(copied) as wh:
        assert wh.ingest(pa.Table.from_pylist([bad, other]), table="delivery.fact_orders").quarantined == 2
        done = wh.forget(customer)
        already = sum(r["customer_id"] == customer for r in rows_of("fact_orders")[:1])
        assert {r["table"]: r["deleted"] for r in done.rows}["prodsense.quarantine"] == 1 + already
        held = wh.engine.query("SELECT original, cells FROM prodsense.quarantine WHERE rule <> 'required'").to_pylist()
        assert len(held) == 1
        assert '"not theirs"' in repr(held)


@pytest.mark.slow
def test_restated_days_are_as_if_built_anew(copied: Path, customer: int) -> None:
    with open_warehouse(copied) as wh:
        tables = [m.name for m in wh.pack("delivery").models.values() if m.kind == "table"]

        def contents() -> dict[str, Any]:
            return {
                name: Counter(
                    repr({k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()})
                    for row in wh.engine.query(f"SELECT * FROM delivery.{name}").to_pylist()
                )
                for name in tables
            }

        wh.forget(customer)
        assert wh.build("delivery").ok
        restated = contents()
        assert wh.build("delivery", full=True).ok
        assert contents() == restated


@pytest.mark.slow
def test_all_or_nothing(copied: Path, customer: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("killed")

    with open_warehouse(copied) as wh:
        before = everything(wh)
        monkeypatch.setattr(forgotten, "record", fail)
        with pytest.raises(RuntimeError):
            wh.forget(customer)
        assert everything(wh) == before


def test_a_row_of_two_people_goes_with_the_one_and_is_emptied_of_the_other() -> None:
    """Somebody who drives and rides: their requests go, those that they drove for others stay without them."""
    from prodsense.contracts.tables import read_schema
    from prodsense.contracts.vocabulary import Subject
    from prodsense.ingest import ensure_tables, ingest
    from prodsense.privacy.forget import Forgetting

    tables = read_schema(
        """CREATE TABLE users (id INT PRIMARY KEY);
        CREATE TABLE rides (ride INT PRIMARY KEY, driver INT REFERENCES users (id));
        CREATE TABLE requests (request INT UNIQUE, rider INT REFERENCES users (id), driver INT REFERENCES users (id),
            ride INT REFERENCES rides (ride));
        CREATE TABLE notes (note INT, request INT REFERENCES requests (request))""", "cars",
    )  # fmt: skip
    subject = Subject("user", "", "users.id", blank={"rides": ("driver",), "requests": ("driver", "ride")})
    with open_warehouse(":memory:") as wh:
        contracts = {table.relation: table for table in tables.values()}
        ensure_tables(wh.engine, contracts)
        for name, rows in {
            "users": [{"id": 1}, {"id": 2}, {"id": 3}],
            "rides": [{"ride": 10, "driver": 1}, {"ride": 11, "driver": 2}],
            "requests": [{"request": 100, "rider": 2, "driver": 1, "ride": 10},
                         {"request": 101, "rider": 1, "driver": 2, "ride": 11},
                         {"request": 102, "rider": 3, "driver": 2, "ride": 11},
                         {"request": 103, "rider": 1, "driver": 1, "ride": None},
                         {"request": None, "rider": 3, "driver": 1, "ride": None}],
            "notes": [{"note": 1, "request": 100}, {"note": 2, "request": 101}, {"note": 3, "request": None}],
        }.items():  # fmt: skip
            ingest(wh.engine, contracts, pa.Table.from_pylist(rows), table=f"cars.{name}")
        done = Forgetting(wh.engine, tables, subject, 1)
        dry = done.run(dry=True).rows
        found = Forgetting(wh.engine, tables, subject, 1).run().rows
        assert dry == found
        assert {r["table"]: (r["deleted"], r["emptied"]) for r in found} == {
            "cars.users": (1, 0), "cars.rides": (0, 1), "cars.requests": (2, 2), "cars.notes": (1, 0),
        }

        def left(name: str) -> list[tuple[Any, ...]]:
            table = wh.engine.query(f"SELECT * FROM cars.{name}").to_pylist()
            return sorted((tuple(row.values()) for row in table), key=repr)

        assert left("users") == [(2,), (3,)]
        assert left("rides") == [(10, None), (11, 2)]
        assert left("requests") == [(100, 2, None, None), (102, 3, 2, 11), (None, 3, None, None)]
        assert left("notes") == [(1, 100), (3, None)]


def test_who_is_meant_must_be_clear(built: Path) -> None:
    with open_warehouse(built, read_only=True) as wh:
        for args, said in (
            (("",), "is empty"), (("Anna",), "integer"), (("1", "delivery", "rider"), "knows no rider"),
            (("1", "nowhere"), "no pack named"),
        ):  # fmt: skip
            with pytest.raises(UsageError, match=said):
                wh.forget(*args, dry_run=True)
    with open_warehouse(":memory:") as wh, pytest.raises(UsageError, match="which columns identify people"):
        wh.forget("1")


def test_a_digest_is_that_of_the_engine() -> None:
    with open_warehouse(":memory:") as wh:
        for value in (42, "Ünï'x", "-0", 2**62):
            literal = f"'{value.replace(chr(39), chr(39) * 2)}'" if isinstance(value, str) else str(value)
            sql = f"SELECT {forgotten.digest_sql(literal, 's')} AS d"
            assert wh.engine.raw(sql).fetchall()[0][0] == forgotten.digest(value, "s")
