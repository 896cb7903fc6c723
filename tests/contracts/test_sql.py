"""Reading SQL: sources, parameters, clock reads, names resolved against relations."""

from __future__ import annotations

import pytest

from prodsense.contracts.sql import (
    bind_columns,
    parse,
    parse_select,
    placeholders,
    qualify_tables,
    refuse_clock,
    sources,
    split_header,
)
from prodsense.errors import SqlError

RELATIONS = {
    "shop.orders": {"id": "BIGINT", "customer_id": "BIGINT", "price": "DOUBLE"},
    "shop.customers": {"id": "BIGINT", "country": "VARCHAR"},
}


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT * FROM orders", {"shop.orders"}),
        ("SELECT * FROM Orders o JOIN other.people p ON o.id = p.id", {"shop.orders", "other.people"}),
        ("WITH a AS (SELECT * FROM orders), b AS (SELECT * FROM a) SELECT * FROM b", {"shop.orders"}),
        ("SELECT (SELECT MAX(id) FROM customers) AS m FROM orders", {"shop.orders", "shop.customers"}),
        ("SELECT * FROM orders UNION ALL SELECT * FROM refunds", {"shop.orders", "shop.refunds"}),
        # The name of a CTE hides a table only where the CTE can be seen.
        ("SELECT * FROM (WITH orders AS (SELECT 1 AS x) SELECT * FROM orders) AS t, orders AS o", {"shop.orders"}),
        ("WITH orders AS (SELECT * FROM other.orders) SELECT * FROM orders", {"other.orders"}),
        ("SELECT 1", set()),
    ],
)
def test_sources(sql: str, found: set[str]) -> None:
    assert sources(parse(sql), "shop") == found


def test_qualified_tables_keep_their_bare_name_for_columns() -> None:
    tree = parse("WITH c AS (SELECT 1 AS x) SELECT Orders.id, x FROM Orders CROSS JOIN c WHERE id IN (SELECT id FROM t AS u)")
    assert qualify_tables(tree, "shop").sql("duckdb") == (
        "WITH c AS (SELECT 1 AS x) SELECT Orders.id, x FROM shop.orders AS orders CROSS JOIN c"
        " WHERE id IN (SELECT id FROM shop.t AS u)"
    )


def test_placeholders() -> None:
    assert placeholders(parse("SELECT :a + :b, ':c' FROM t WHERE x > :a")) == {"a", "b"}


@pytest.mark.parametrize(
    "clock", ["CURRENT_DATE", "current_timestamp", "NOW()", "today()", "get_current_timestamp()", "CURRENT_TIME"]
)
def test_the_clock_is_never_read(clock: str) -> None:
    with pytest.raises(SqlError, match=r"q\.sql: .* reads the clock; take :as_of instead"):
        parse_select(f"SELECT * FROM orders WHERE day < {clock}", "q.sql")
    with pytest.raises(SqlError, match="reads the clock"):
        refuse_clock(parse(f"day < {clock}"), "where")


def test_a_column_called_like_a_clock_is_no_clock() -> None:
    assert parse_select("SELECT o.today FROM orders AS o")


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("DELETE FROM orders", "expected a SELECT, found DELETE"),
        ("SELECT 1; SELECT 2", "expected one statement, found 2"),
        ("", "expected one statement, found 0"),
        ("SELECT FROM WHERE", r"q\.sql:1: "),
        ("SELECT 1,\n  ((2", r"q\.sql:2: "),
        ("SELECT 'open", r"q\.sql: "),
    ],
)
def test_what_is_no_select_is_refused_with_its_place(sql: str, message: str) -> None:
    with pytest.raises(SqlError, match=message):
        parse_select(sql, "q.sql")


def test_bound_columns_name_their_source_and_stars_are_written_out() -> None:
    tree = parse("SELECT o.*, country FROM shop.orders AS o JOIN shop.customers AS c ON o.customer_id = c.id")
    assert bind_columns(tree, RELATIONS).sql("duckdb") == (
        "SELECT o.id AS id, o.customer_id AS customer_id, o.price AS price, c.country AS country FROM shop.orders AS o"
        " JOIN shop.customers AS c ON o.customer_id = c.id"
    )
    assert "o.*" in tree.sql("duckdb"), "the tree that was handed in stays as it was"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT prise FROM shop.orders", r"q\.sql:1: .*prise.* Did you mean price\?"),
        ("SELECT price\nFROM shop.orders\nWHERE contry = 'DE'", r"q\.sql:3: .*contry"),
        ("SELECT o.country FROM shop.orders AS o", r"q\.sql:1: .*country"),
        ("SELECT 1 FROM shop.order", r"no relation named shop\.order\. Did you mean shop\.orders"),
        ("SELECT id FROM shop.orders JOIN shop.customers ON TRUE", r"id.* is a column of shop\.customers and shop\.orders: say which"),
    ],
)
def test_unknown_names_are_refused_with_line_and_neighbours(sql: str, message: str) -> None:
    with pytest.raises(SqlError, match=message):
        bind_columns(parse(sql), RELATIONS, "q.sql")


def test_headers_part_the_description_from_directives() -> None:
    says, directives = split_header(
        "-- One row per session,\n-- folded from events.\n-- key: session_id    partition: day    late: 3 days\n"
        "-- column: a = First. [s]\n-- column: b = Second.\n\nSELECT 1 -- key: not_me\n-- time: nor_me\n"
    )
    assert says == ["One row per session,", "folded from events."]
    assert directives == {
        "key": ["session_id"], "partition": ["day"], "late": ["3 days"],
        "column": ["a = First. [s]", "b = Second."],
    }


def test_a_sentence_with_a_colon_is_no_directive() -> None:
    assert split_header("-- Two kinds: big and small.\nSELECT 1") == (["Two kinds: big and small."], {})
