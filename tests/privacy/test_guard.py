"""The guard: whatever is asked through it is answered from what the role may see, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodsense.contracts.vocabulary import ALL, Role
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import EngineError, ForbiddenError, ProdsenseError
from prodsense.privacy.guard import Guard
from prodsense.privacy.roles import Grants, PackRole

OPEN = {"orders": "shop_id = :shop_id", "shops": "", "lines": "order_id IN (SELECT order_id FROM orders WHERE"
        " shop_id = :shop_id)"}  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckDBEngine]:
    """Three shops; order 10s + shop; one secret each in rows and columns that are not to be seen."""
    made = DuckDBEngine(":memory:")
    made.raw("CREATE SCHEMA shop; CREATE SCHEMA other; CREATE SCHEMA prodsense")
    made.raw("CREATE TABLE shop.orders (order_id INT, shop_id INT, amount INT, city VARCHAR, email VARCHAR)")
    made.raw(
        "INSERT INTO shop.orders VALUES (11, 1, 5, 'Rome', 'secret-a@x'), (12, 2, 7, 'secret-city', 'secret-b@x'),"
        " (13, 3, 9, 'Bonn', 'secret-c@x'), (21, 1, 6, 'Bonn', NULL), (31, 1, NULL, NULL, 'secret-d@x')"
    )
    made.raw("CREATE TABLE shop.lines AS SELECT order_id, n FROM shop.orders, RANGE(2) AS r(n)")
    made.raw("CREATE TABLE shop.shops (shop_id INT, kind VARCHAR)")
    made.raw("INSERT INTO shop.shops VALUES (1, 'small'), (2, 'small'), (3, 'large')")
    made.raw("CREATE TABLE shop.staff AS SELECT 'secret-staff' AS who")
    made.raw("CREATE TABLE other.things AS SELECT 'secret-thing' AS thing")
    made.raw("CREATE TABLE prodsense.quarantine AS SELECT 'secret-row' AS original, 'r' AS rule")
    made.raw("CREATE VIEW shop.summary AS SELECT shop_id, SUM(amount) AS amount FROM shop.orders GROUP BY shop_id")
    yield made
    made.close()


def guard(engine: Any, shop: Any = 1, rows: dict[str, str] | None = None, **role: Any) -> Guard:
    declared = Role("partner", rows=OPEN if rows is None else rows, may={"rows": ALL}, **role)
    return Guard(engine, Grants("partner", {"shop": PackRole("shop", declared)}, {"shop_id": shop}))


def rows(engine: Any, sql: str, **params: Any) -> list[tuple[Any, ...]]:
    table = engine.query(sql, params)
    return sorted((tuple(row.values()) for row in table.to_pylist()), key=repr)


MINE = [11, 21, 31]

#: Ways to name a relation; each lists order_id of `shop.orders`.
PLACES = (
    "SELECT order_id FROM shop.orders",
    "FROM shop.orders SELECT order_id",
    "SELECT o.order_id FROM shop.orders AS o",
    "SELECT shop.orders.order_id FROM shop.orders",
    'SELECT order_id FROM "shop"."ORDERS"',
    "SELECT order_id FROM (SELECT * FROM shop.orders) AS t",
    "WITH t AS (SELECT * FROM shop.orders) SELECT order_id FROM t",
    "WITH orders AS (SELECT * FROM shop.orders) SELECT order_id FROM orders",
    "WITH RECURSIVE t AS (SELECT order_id FROM shop.orders UNION SELECT order_id FROM t) SELECT order_id FROM t",
    "SELECT order_id FROM shop.orders UNION SELECT order_id FROM shop.orders",
    "SELECT order_id FROM shop.orders EXCEPT SELECT order_id FROM shop.orders WHERE FALSE",
    "SELECT o.order_id FROM shop.shops AS s JOIN shop.orders AS o ON o.shop_id = s.shop_id",
    "SELECT o.order_id FROM shop.shops AS s LEFT JOIN shop.orders AS o USING (shop_id) WHERE o.order_id IS NOT NULL",
    "SELECT order_id FROM (shop.shops JOIN shop.orders USING (shop_id))",
    "SELECT l.order_id FROM shop.shops AS s, LATERAL (SELECT order_id FROM shop.orders AS o"
    " WHERE o.shop_id = s.shop_id) AS l",
    "SELECT UNNEST((SELECT LIST(order_id) FROM shop.orders)) AS order_id",
    "SELECT DISTINCT order_id FROM shop.lines WHERE EXISTS (SELECT 1 FROM shop.orders AS o"
    " WHERE o.order_id = lines.order_id)",
    "SELECT (t).order_id FROM (SELECT t FROM shop.orders AS t) AS u",
    "SELECT order_id FROM shop.orders WHERE TRUE OR shop_id = 2",
    "SELECT order_id FROM shop.orders QUALIFY ROW_NUMBER() OVER (PARTITION BY order_id ORDER BY shop_id) = 1",
)


@pytest.mark.parametrize("sql", PLACES)
def test_rows_of_others_are_out_of_sight_wherever_a_relation_is_named(engine: DuckDBEngine, sql: str) -> None:
    everything = {row[0] for row in rows(engine, sql)}
    assert everything == {11, 12, 13, 21, 31}
    assert [row[0] for row in rows(guard(engine), sql)] == MINE


def test_a_condition_follows_to_what_is_reached_many_to_one(engine: DuckDBEngine) -> None:
    assert rows(guard(engine), "SELECT order_id, n FROM shop.lines") == [(o, n) for o in MINE for n in (0, 1)]


def test_hidden_columns_are_not_there(engine: DuckDBEngine) -> None:
    seen = guard(engine)
    assert seen.query("SELECT * FROM shop.orders").column_names == ["order_id", "shop_id", "amount", "city"]
    assert list(seen.columns("shop.orders") or {}) == ["order_id", "shop_id", "amount", "city"]
    whole = seen.query("SELECT t FROM shop.orders AS t")["t"].to_pylist()
    assert all(set(row) == {"order_id", "shop_id", "amount", "city"} for row in whole)
    for sql in ("SELECT email FROM shop.orders", "SELECT order_id FROM shop.orders WHERE EMAIL LIKE 'secret-a%'",
                "SELECT o.email FROM shop.orders AS o", "SELECT order_id FROM shop.orders ORDER BY email"):
        with pytest.raises(ForbiddenError, match="may not see email"):
            seen.query(sql)
    # A name of the statement's own is no column of the relation.
    assert seen.query("SELECT 'x' AS email FROM shop.orders")["email"].to_pylist() == ["x"] * 3


REFUSED = (
    "SELECT * FROM shop.staff", "SELECT * FROM shop.summary", "SELECT * FROM other.things",
    "SELECT * FROM prodsense.quarantine",
    "SELECT order_id FROM shop.orders WHERE EXISTS (SELECT 1 FROM shop.staff)",
    "SELECT (SELECT who FROM shop.staff) AS who", "SELECT order_id FROM shop.orders UNION SELECT 1 FROM shop.staff",
    "WITH staff AS (SELECT * FROM shop.staff) SELECT * FROM staff", "SELECT * FROM staff", "SELECT * FROM orders",
    "WITH orders AS (SELECT * FROM orders) SELECT * FROM orders",
    "WITH a AS (SELECT * FROM b), b AS (SELECT 1 AS x) SELECT * FROM a",
    "SELECT * FROM (WITH z AS (SELECT 1 AS x) SELECT * FROM z) AS t, z",
    "SELECT * FROM warehouse.shop.orders", "SELECT * FROM 'file.csv'", "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')", "SELECT * FROM glob('*')", "SELECT * FROM duckdb_tables()",
    "SELECT * FROM pg_catalog.pg_tables", "SELECT * FROM information_schema.tables", "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('shop.staff')", "SELECT * FROM pragma_table_info('shop.staff')", "DESCRIBE shop.staff",
    "SUMMARIZE shop.orders", "SELECT * FROM (SUMMARIZE shop.orders)", "SHOW TABLES", "SELECT getenv('HOME')",
    "SELECT current_setting('secret_directory')", "INSERT INTO shop.orders SELECT * FROM shop.orders",
    "DELETE FROM shop.orders", "UPDATE shop.orders SET amount = 0", "DROP TABLE shop.orders",
    "CREATE TABLE shop.copy AS SELECT * FROM shop.orders", "COPY shop.orders TO 'x.csv'", "ATTACH 'x.db'",
    "SET threads = 1", "CALL pragma_version()", "SELECT * INTO shop.copy FROM shop.orders", "PIVOT shop.orders ON city",
    "SELECT * FROM shop.orders, LATERAL arrow_scan(1, 2, 3) AS t", "SELECT * FROM shop.orders, LATERAL glob('*') AS t",
    "SELECT * FROM shop.orders, storage_info('staff')", "SELECT * FROM (DESCRIBE shop.staff)",
    "SELECT * FROM shop.orders WHERE order_id IN (SELECT order_id FROM shop.summary)", "FROM shop.staff",
    "TABLE shop.staff", "SELECT COUNT(*) FROM shop.orders, shop.staff", "SELECT * FROM shop.orders JOIN shop.staff ON TRUE",
    "SELECT LIST(s) FROM (SELECT * FROM shop.staff) AS s", "WITH RECURSIVE r AS (SELECT * FROM shop.staff) SELECT * FROM r",
    "SELECT * FROM SHOP.STAFF", 'SELECT * FROM "shop"."staff"', "SELECT * FROM main.x", "SELECT * FROM temp.x",
    "SELECT * FROM shop.orders AT (VERSION => 1)", "EXPLAIN SELECT * FROM shop.staff", "LOAD httpfs",
)  # fmt: skip


@pytest.mark.parametrize("sql", REFUSED)
def test_all_else_is_refused(engine: DuckDBEngine, sql: str) -> None:
    with pytest.raises(ProdsenseError) as refused:
        guard(engine).query(sql)
    assert "secret" not in str(refused.value).replace("secret_directory", "")


def test_it_writes_nothing(engine: DuckDBEngine) -> None:
    import pyarrow as pa

    seen, some = guard(engine), pa.table({"order_id": [1]})
    for write in (
        lambda: seen.execute("DELETE FROM shop.orders"), lambda: seen.append("shop.orders", some),
        lambda: seen.overwrite("shop.orders", some), lambda: seen.drop("shop.orders"),
        lambda: seen.delete("shop.orders", "TRUE"), lambda: seen.replace("shop.orders", "SELECT 1 AS x"),
        lambda: seen.merge("shop.orders", "SELECT 1 AS order_id", ["order_id"]),
        lambda: seen.insert("shop.orders", "SELECT 1 AS order_id"), lambda: seen.create_table("shop.x", {"a": "INT"}),
        lambda: seen.create_view("shop.x", "SELECT 1 AS a"),
        lambda: seen.replace_partitions("shop.orders", "SELECT 1 AS x", "x", [1]),
    ):  # fmt: skip
        with pytest.raises(ForbiddenError, match="may only read"):
            write()
    assert len(rows(engine, "SELECT * FROM shop.orders")) == 5


def test_a_parameter_of_the_caller_never_takes_the_place_of_an_attribute(engine: DuckDBEngine) -> None:
    seen = guard(engine)
    assert len(rows(seen, "SELECT order_id FROM shop.orders", shop_id=2)) == 3
    assert rows(seen, "SELECT order_id FROM shop.orders WHERE shop_id = :shop_id", shop_id=2) == []
    _, bound = seen.guarded("SELECT order_id FROM shop.orders")
    own = next(name for name in bound if name.endswith("shop_id"))
    assert len(rows(seen, "SELECT order_id FROM shop.orders", **{own: 2})) == 3


def test_several_values_and_hostile_ones_are_bound(engine: DuckDBEngine) -> None:
    assert [r[0] for r in rows(guard(engine, (1, 3)), "SELECT order_id FROM shop.orders")] == [11, 13, 21, 31]
    by_city = {"orders": "city = :shop_id"}
    assert [r[0] for r in rows(guard(engine, "Bonn", by_city), "SELECT order_id FROM shop.orders")] == [13, 21]
    for hostile in ("x' OR '1' = '1", "'; DROP TABLE shop.orders; --", ":shop_id", "$1", "\\", '"', "Bonn\0"):
        assert rows(guard(engine, hostile, by_city), "SELECT order_id FROM shop.orders") == []


def test_an_error_of_the_engine_tells_no_value(engine: DuckDBEngine) -> None:
    with pytest.raises(EngineError) as failed:
        guard(engine).query("SELECT CAST(city AS INT) AS n FROM shop.orders")
    assert "Rome" not in str(failed.value)
    assert "secret" not in str(failed.value)


def test_data_offered_for_a_while_can_be_joined(engine: DuckDBEngine) -> None:
    import pyarrow as pa

    seen = guard(engine)
    with seen.temporary(pa.table({"order_id": [11, 12]})) as wanted:
        sql = f"SELECT order_id FROM shop.orders JOIN {wanted} USING (order_id)"
        assert rows(seen, sql) == [(11,)]
        with pytest.raises(ForbiddenError):
            guard(engine).query(sql)
    with pytest.raises(ForbiddenError):
        seen.query(sql)


def test_only_open_relations_are_listed(engine: DuckDBEngine) -> None:
    assert sorted(guard(engine).relations()) == ["shop.lines", "shop.orders", "shop.shops"]
    with pytest.raises(ForbiddenError):
        guard(engine).columns("shop.staff")
    assert guard(engine).columns("shop.shops") == {"shop_id": "INTEGER", "kind": "VARCHAR"}
    assert not guard(engine).is_empty("shop.orders")
    assert guard(engine, 99).is_empty("shop.orders")


def test_all_columns_of_open_rows_leave_the_statement_as_it_is(engine: DuckDBEngine) -> None:
    tree, bound = guard(engine).guarded("SELECT kind FROM shop.shops WHERE shop_id = :shop_id", {"shop_id": 1})
    assert tree.sql("duckdb") == "SELECT kind FROM shop.shops WHERE shop_id = $shop_id"
    assert bound == {"shop_id": 1}


# -- laws --------------------------------------------------------------------------------------------

CONDITIONS = st.recursive(
    st.sampled_from(["amount > 5", "amount IS NULL", "city = 'Bonn'", "shop_id = 1", "shop_id <> 1", "order_id < 20",
                     "order_id IN (SELECT order_id FROM shop.lines)", "FALSE"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: f"({p[0]} AND {p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]} OR {p[1]})"), inner.map(lambda c: f"(NOT {c})"),
    ), max_leaves=5,
)  # fmt: skip
SHAPES = st.sampled_from([
    "SELECT order_id, shop_id, amount, city FROM shop.orders WHERE {0}",
    "WITH t AS (SELECT * FROM shop.orders WHERE {0}) SELECT order_id, shop_id, amount, city FROM t",
    "SELECT o.order_id, s.shop_id, amount, city FROM shop.orders AS o JOIN shop.shops AS s ON s.shop_id = o.shop_id"
    " WHERE o.order_id IN (SELECT order_id FROM shop.orders WHERE {0})",
])
SHOPS = st.one_of(st.sampled_from([1, 2, 3, 4]), st.sampled_from([(1, 2), (1, 3), (2, 3, 4)]))


@pytest.fixture(scope="module")
def owned(engine: DuckDBEngine) -> Iterator[Any]:
    """Copies of the tables that hold only what belongs to some shops."""
    made: dict[Any, DuckDBEngine] = {}

    def of(shop: Any) -> DuckDBEngine:
        if shop not in made:
            own = made[shop] = DuckDBEngine(":memory:")
            own.raw("CREATE SCHEMA shop")
            for table in ("orders", "shops", "lines"):
                with own.temporary(engine.query(f"SELECT * FROM shop.{table}")) as held:
                    own.raw(f"CREATE TABLE shop.{table} AS SELECT * FROM {held}")
            shops = ", ".join(map(str, shop if isinstance(shop, tuple) else (shop,)))
            own.raw(f"DELETE FROM shop.orders WHERE shop_id NOT IN ({shops})")
            own.raw("DELETE FROM shop.lines WHERE order_id NOT IN (SELECT order_id FROM shop.orders)")
        return made[shop]

    yield of
    for own in made.values():
        own.close()


PROPERTY = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@PROPERTY
@given(shape=SHAPES, condition=CONDITIONS, shop=SHOPS)
def test_an_answer_is_that_over_the_role_s_own_rows(
    engine: DuckDBEngine, owned: Any, shape: str, condition: str, shop: Any
) -> None:
    """As if the tables held only what the role may see, worked out on copies that do."""
    sql = shape.format(condition)
    assert rows(guard(engine, shop), sql) == rows(owned(shop), sql)


@PROPERTY
@given(shape=SHAPES, condition=CONDITIONS, shop=SHOPS)
def test_guarded_twice_is_guarded_once(engine: DuckDBEngine, shape: str, condition: str, shop: Any) -> None:
    once = guard(engine, shop)
    twice = guard(once, shop)
    sql = shape.format(condition)
    assert rows(twice, sql) == rows(once, sql)
    assert twice.relations() == once.relations()
    assert twice.columns("shop.orders") == once.columns("shop.orders")


@PROPERTY
@given(condition=CONDITIONS, one=SHOPS, other=SHOPS)
def test_a_role_in_a_role_sees_what_both_may(engine: DuckDBEngine, condition: str, one: Any, other: Any) -> None:
    sql = "SELECT order_id FROM shop.orders WHERE amount IS NULL OR amount > 0"
    both = set(rows(guard(engine, one), sql)) & set(rows(guard(engine, other), sql))
    assert set(rows(guard(guard(engine, one), other), sql)) == both


@PROPERTY
@given(tighter=CONDITIONS, shop=SHOPS)
def test_a_tighter_role_sees_a_part(engine: DuckDBEngine, tighter: str, shop: Any) -> None:
    sql = "SELECT order_id, shop_id, amount, city FROM shop.orders"
    narrow = {**OPEN, "orders": f"shop_id = :shop_id AND ({tighter.replace('shop.lines', 'lines')})"}
    assert set(rows(guard(engine, shop, narrow), sql)) <= set(rows(guard(engine, shop), sql))
    hidden = guard(engine, shop, hide=("city",)).query("SELECT * FROM shop.orders").column_names
    assert hidden == ["order_id", "shop_id", "amount"]
