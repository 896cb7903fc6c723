"""Filters from users: what they may say, and that nothing hostile reaches the engine or shows a traceback."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metrics_shop import Ask, scope

from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import UsageError
from prodsense.metrics import Request, Scope, compile, run_plan
from prodsense.metrics.queries import show

REFUSED = {
    "1 = 1; DROP TABLE shop.orders": "semicolon",
    "status = 'done' -- and more": "comments",
    "status = 'done' /* and more */": "comments",
    "status IN (SELECT status FROM shop.orders)": "may not use",
    "EXISTS (SELECT 1)": "may not use",
    "read_csv('/etc/passwd') = 'x'": "may not use READCSV",
    "getenv('HOME') = 'x'": "may not use",
    "current_user = 'x'": "may not use",
    "user = 'x'": "neither a dimension",
    "count(*) > 1": "may not use COUNT",
    "orders.status = 'done'": "bare",
    "status = $1": "may not use",
    "status = :as_of": "may not use",
    "status = ": "cannot be read",
    "'done'": "condition",
    "amount + 1": "condition",
    "statsu = 'done'": "Did you mean status",
    "quantity = 2": "cannot be sliced by quantity",
    "day = 'yesterday'": "write a date",
    "day > 20240101": "write a date",
    "amount > 'much'": "a number",
    "status = 5": "put it in quotes",
    "status IN ()": "empty list",
    "CAST(status AS STRUCT(a INT)) = 1": "may not cast",
    "status = 'a\x00b'": "NUL",
    "amount > 1e999": "too large",
    "CAST(status AS INT) = 1": "does not fit the data",
    "(" * 300 + "status = 'x'" + ")" * 300: "deeply",
    "status = 'x' OR " * 500 + "status = 'y'": "longer",
    "status COLLATE nocase = 'x'": "may not use",
    "[status] = ['x']": "may not use",
    "status = 'x' UNION SELECT 1": "may not use|cannot be read",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:30])
def test_refused_with_the_reason(ask: Ask, text: str) -> None:
    with pytest.raises(UsageError, match=REFUSED[text]):
        ask("orders", where=text)


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("amount > -1 and not status = 'done'", None),
        ("status like 'd%' or status ilike 'CANC%'", None),
        ("amount is not null and minutes between 10 and 20.5", None),
        ("abs(amount - 50) < 10 and lower(status) <> 'done'", None),
        ("coalesce(amount, 0) = 0", None),
        ("day >= DATE '2024-02-10'", None),
        ("ordered_at < TIMESTAMP '2024-02-10 13:00:00'", None),
        ("day::text = '2024-02-10'", None),
        ("amount % 2 < 1 and amount / 2 > 10", None),
        ("customer_id is not distinct from 7", None),
        ("iso_weekday(ordered_at) = 1", "isodow(ordered_at) = 1"),
        ("period_start(day, 'month') = '2024-02-01'", "date_trunc('month', day) = '2024-02-01'"),
        ("hour >= 12", "hour(ordered_at) >= 12"),
        ("big", "amount > 50"),
        ("country = 'DE'", "ship_city_id IN (1, 2)"),
        ("status = 'it''s -- fine; /* really */'", None),
    ],
)
def test_allowed(ask: Ask, engine: DuckDBEngine, text: str, sql: str | None) -> None:
    counted = engine.raw(f"SELECT count(*) AS n FROM shop.orders WHERE {sql or text}", fetch=True)
    expected = counted.column("n")[0].as_py()
    assert ask("orders", where=text).rows == [{"orders": expected or None}]


def test_values_are_bound_not_pasted(engine: DuckDBEngine, scope: Scope) -> None:
    plan = compile(Request("orders", where="status = 'o''ne' or amount > 12.5 or tier in ('gold', 'x')"), scope)
    rendered = engine.render(plan.tree)
    assert "12.5" not in rendered and "gold" not in rendered and "ne'" not in rendered
    assert {"o'ne", 12.5, "gold", "x"} <= set(plan.literals.values())


def engine_and_scope() -> tuple[DuckDBEngine, Scope]:
    engine = DuckDBEngine()
    import metrics_shop

    metrics_shop.load(engine, metrics_shop.data(days=5))
    return engine, scope(engine.columns)


HELD: list[tuple[DuckDBEngine, Scope]] = []

pieces = st.sampled_from(
    ["status", "amount", "day", "tier", "hour", "quantity", "'x'", "''", "'", '"', "1", "-1", "1e400", "0x1F", "NULL",
     "=", "<>", "<", ">=", "AND", "OR", "NOT", "IN", "(", ")", ",", "BETWEEN", "LIKE", "IS", "--", "/*", "*/", ";",
     "SELECT", "FROM", "shop.orders", "DROP TABLE", "$1", ":as_of", "?", "@", "#", "::", "CAST", "AS", "DATE",
     "INTERVAL", "lower", "*", "%", "||", "[", "]", "{", "}", "\\", "\n", "CASE", "WHEN", "END", "EXISTS", "COPY",
     "ATTACH", "PRAGMA", "values", "row", "any", "all", "x'00'", "e'\\n'", "$$a$$"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.lists(pieces, max_size=12).map(" ".join), st.text(max_size=60)))
def test_hostile_text_is_a_filter_or_a_usage_error(text: str) -> None:
    if not HELD:
        HELD.append(engine_and_scope())
    engine, shop = HELD[0]
    try:
        plan = compile(Request("orders", where=text), shop)
        run_plan(engine, plan)
    except UsageError as error:
        assert "\n" not in error.message and len(error.message) < 600
    assert engine.raw("SELECT count(*) > 0 AS there FROM shop.orders", fetch=True).column("there")[0].as_py()


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40).filter(lambda t: "\0" not in t))
def test_any_text_value_is_only_a_value(text: str) -> None:
    """A value that is quoted as SQL asks for matches itself and nothing else, whatever is in it."""
    if not HELD:
        HELD.append(engine_and_scope())
    engine, shop = HELD[0]
    quoted = text.replace("'", "''")
    try:
        plan = compile(Request("orders", where=f"status = '{quoted}'"), shop)
    except UsageError:
        assert any(0xD800 <= ord(c) <= 0xDFFF for c in text)
        return
    assert list(plan.literals.values()) == [text]
    assert run_plan(engine, plan).rows == [{"orders": None}]


def test_show_filters_alike(engine: DuckDBEngine, rows: dict[str, list[Any]]) -> None:
    found = show(engine, "shop.orders", None, "status = 'done' and amount > 50")
    assert len(found) == sum(o[6] == "done" and (o[7] or 0) > 50 for o in rows["orders"])
    assert len(show(engine, "shop.orders", 3)) == 3
    with pytest.raises(UsageError, match=r"has no column statsu\. Did you mean status"):
        show(engine, "shop.orders", 3, "statsu = 1")
    with pytest.raises(UsageError, match="limit"):
        show(engine, "shop.orders", -1)
