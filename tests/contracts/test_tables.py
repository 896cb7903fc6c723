"""Contracts read from DDL: what each clause means, and what a contract cannot hold."""

from __future__ import annotations

import pytest

from prodsense.contracts.tables import Check, Column, Reference, read_schema, scan_schema
from prodsense.errors import ContractError

SHOP = """
-- People who buy.
-- They come back.
CREATE TABLE customers (
    customer_id BIGINT PRIMARY KEY,                 -- The customer.
    email VARCHAR(80) UNIQUE,                       -- Where to write.
    country TEXT DEFAULT 'DE' CHECK (country IN ('DE', 'FR')) -- Home.
);

-- One row per order.
-- partition: day
-- time: placed_at
CREATE TABLE orders (
    shop INT,
    number INT,
    customer_id BIGINT NOT NULL REFERENCES customers (customer_id), -- Who ordered.
    rival BIGINT REFERENCES market.people (id),
    parent_shop INT,
    parent_number INT,
    price DECIMAL(8, 2) DEFAULT 0 NOT NULL,         -- What it cost. [EUR]
    day DATE NOT NULL,
    placed_at TIMESTAMP,
    tags VARCHAR[],
    PRIMARY KEY (shop, number),
    UNIQUE (customer_id, placed_at),
    FOREIGN KEY (parent_shop, parent_number) REFERENCES orders (shop, number),
    CONSTRAINT paid CHECK (price >= 0 OR tags IS NOT NULL)
);
"""


def test_columns_carry_type_length_default_meaning_and_unit() -> None:
    tables = read_schema(SHOP, "shop")
    customers, orders = tables["customers"], tables["orders"]
    assert list(tables) == ["customers", "orders"]
    assert customers.columns == {
        "customer_id": Column("customer_id", "BIGINT", nullable=False, says="The customer."),
        "email": Column("email", "VARCHAR", length=80, says="Where to write."),
        "country": Column("country", "VARCHAR", default="'DE'", says="Home."),
    }
    assert orders.columns["price"] == Column("price", "DECIMAL(8,2)", False, "0", None, "What it cost.", "EUR")
    assert orders.columns["tags"].type == "VARCHAR[]"
    assert orders.columns["shop"].type == "INTEGER"
    spelled = read_schema("CREATE TABLE t (a INT[], b HUGEINT, c CHAR(3), d VARCHAR(5)[], e REAL)", "shop")["t"]
    assert [c.type for c in spelled.columns.values()] == ["INTEGER[]", "HUGEINT", "VARCHAR", "VARCHAR[]", "FLOAT"]


def test_the_comment_above_describes_the_table_and_carries_directives() -> None:
    tables = read_schema(SHOP, "shop")
    assert tables["customers"].says == "People who buy. They come back."
    assert (tables["customers"].partition, tables["customers"].time) == ("", "")
    assert tables["orders"].says == "One row per order."
    assert (tables["orders"].partition, tables["orders"].time) == ("day", "placed_at")
    assert scan_schema(SHOP) == [("customers", "People who buy. They come back."), ("orders", "One row per order.")]


def test_the_partition_dates_a_row_where_no_time_is_named() -> None:
    table = read_schema("-- partition: day\nCREATE TABLE t (day DATE)", "shop")["t"]
    assert table.time == "day"


def test_keys_references_and_checks() -> None:
    tables = read_schema(SHOP, "shop")
    customers, orders = tables["customers"], tables["orders"]
    assert customers.key == ("customer_id",)
    assert customers.uniques == (("email",),)
    assert customers.checks == (Check("country IN ('DE', 'FR')", ("country",)),)
    assert orders.key == ("shop", "number")
    assert not orders.columns["shop"].nullable, "a column of the primary key is never null"
    assert orders.uniques == (("customer_id", "placed_at"),)
    assert orders.references == (
        Reference(("customer_id",), "shop.customers", ("customer_id",)),
        Reference(("rival",), "market.people", ("id",)),
        Reference(("parent_shop", "parent_number"), "shop.orders", ("shop", "number")),
    )
    assert orders.checks[0].columns == ("price", "tags")
    assert orders.relation == "shop.orders"


def test_the_first_unique_key_identifies_rows_without_a_primary_key() -> None:
    table = read_schema("CREATE TABLE t (a INT, b INT UNIQUE, c INT UNIQUE)", "shop")["t"]
    assert table.key == ("b",)
    assert read_schema("CREATE TABLE t (a INT)", "shop")["t"].key == ()


def test_a_file_must_bring_columns_that_are_neither_nullable_nor_defaulted() -> None:
    orders = read_schema(SHOP, "shop")["orders"]
    assert [c.name for c in orders.columns.values() if c.required] == ["shop", "number", "customer_id", "day"]


def test_a_reference_without_columns_means_the_primary_key() -> None:
    tables = read_schema("CREATE TABLE p (id INT PRIMARY KEY); CREATE TABLE c (p INT REFERENCES p)", "shop")
    assert tables["c"].references == (Reference(("p",), "shop.p", ("id",)),)


def test_the_line_of_a_table_is_known() -> None:
    tables = read_schema("CREATE TABLE a (x INT);\n\nCREATE TABLE b (y INT);\n", "shop")
    assert (tables["a"].line, tables["b"].line) == (1, 3)


@pytest.mark.parametrize(
    ("ddl", "message"),
    [
        ("CREATE TABLE t (a INT, a TEXT)", r"s\.sql:1: t\.a is declared twice"),
        ("CREATE TABLE t (a INT); CREATE TABLE t (b INT)", "table t is declared twice"),
        ("SELECT 1", "only CREATE TABLE belongs in a schema, not SELECT"),
        ("CREATE VIEW v AS SELECT 1", "only CREATE TABLE"),
        ("CREATE TABLE t (a INT REFERENCES nowhere (id))", "t references nowhere, which is no table here"),
        (
            "CREATE TABLE p (id INT PRIMARY KEY, x INT); CREATE TABLE c (x INT REFERENCES p (x))",
            r"c references p\(x\), which is not a key",
        ),
        ("CREATE TABLE t (a INT, PRIMARY KEY (b))", "primary key names b, which is no column"),
        ("CREATE TABLE t (a INT, UNIQUE (b))", "unique key names b, which is no column"),
        ("-- partition: day\nCREATE TABLE t (a INT)", "partition names day, which is no column"),
        ("CREATE TABLE t (a INT, CHECK (b > 0))", "check names b, which is no column"),
        ("CREATE TABLE a (x INT);\nCREATE TABLE t (a INT", r"s\.sql:2: "),
    ],
)
def test_what_a_contract_cannot_hold_is_refused_with_its_place(ddl: str, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        read_schema(ddl, "shop", "s.sql")
