"""Rendering: macros written out, what an engine cannot say refused. Values on engines: test_protocol.py."""

from __future__ import annotations

import pytest

from prodsense.engines.dialect import DIALECTS, MACROS, expand_macros, macro_name, parse, render
from prodsense.errors import SqlError

#: Macro → a call with fitting arguments.
CALLS = {
    name: f"{name}({', '.join(['a', 'b'][:count])})" for name, (count, _) in MACROS.items()
} | {"quantile": "quantile(a, 0.9)", "period_start": "period_start(a, 'week')", "local_time": "local_time(a, 'Europe/Berlin')"}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", MACROS)
def test_every_macro_has_a_form_in_every_dialect_and_none_is_left(name: str, dialect: str) -> None:
    text = render(f"SELECT {CALLS[name]} AS x FROM t", dialect)
    assert f"{name.upper()}(" not in text.upper().replace("DATE_TRUNC", "")


@pytest.mark.parametrize(
    ("sql", "dialect", "written"),
    [
        ("ratio(a, b)", "duckdb", "(CAST(a AS DOUBLE) / NULLIF(CAST(b AS DOUBLE), 0))"),
        ("ratio(a, b)", "postgres", "(CAST(a AS DOUBLE PRECISION) / NULLIF(CAST(b AS DOUBLE PRECISION), 0))"),
        ("quantile(x, 0.5)", "duckdb", "QUANTILE_CONT(CAST(x AS DOUBLE), 0.5)"),
        ("quantile(x, 0.5)", "spark", "PERCENTILE(CAST(x AS DOUBLE), 0.5)"),
        (
            "quantile(x, 0.5)", "postgres",
            "PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY CAST(x AS DOUBLE PRECISION))",
        ),
        ("add_days(day, 2)", "spark", "DATE_ADD(CAST(day AS DATE), CAST(2 AS INT))"),
        ("iso_weekday(day)", "spark", "(WEEKDAY(CAST(day AS DATE)) + 1)"),
    ],
)
def test_macros_in_dialects(sql: str, dialect: str, written: str) -> None:
    assert render(sql, dialect) == written


def test_an_argument_keeps_its_precedence() -> None:
    assert render("ratio(a + 1, b)", "duckdb") == "(CAST((a + 1) AS DOUBLE) / NULLIF(CAST(b AS DOUBLE), 0))"
    assert "NOT ((a OR b))" in render("share(a OR b)", "duckdb")
    assert "CAST((n + 1) AS DOUBLE) * 60000000" in render("add_minutes(t, n + 1)", "duckdb")


def test_a_column_called_like_a_reserved_word_is_quoted() -> None:
    assert render("SELECT t.at, n FROM t", "duckdb") == 'SELECT t."at", n FROM t'


def test_macros_in_macros_are_all_expanded() -> None:
    text = render("ratio(seconds_between(a, b), mean(hour_of(c)))", "duckdb")
    for part in ("EPOCH_US", "AVG(", "EXTRACT(HOUR"):
        assert part in text
    assert not any(f"{name.upper()}(" in text.upper() for name in ("ratio", "seconds_between", "hour_of"))


def test_an_argument_called_like_a_column_of_the_template_is_left_alone() -> None:
    assert render("ratio(hour, day)", "duckdb") == "(CAST(hour AS DOUBLE) / NULLIF(CAST(day AS DOUBLE), 0))"


def test_expanding_returns_a_copy() -> None:
    tree = parse("SELECT ratio(a, b) FROM t")
    expand_macros(tree, "duckdb")
    assert tree.sql("duckdb") == "SELECT RATIO(a, b) FROM t"


def test_parsed_trees_may_be_changed_by_their_caller() -> None:
    first = parse("SELECT a FROM t")
    first.set("expressions", [])
    assert parse("SELECT a FROM t").sql() == "SELECT a FROM t"


def test_wrong_number_of_arguments() -> None:
    with pytest.raises(SqlError, match=r"ratio\(\) takes 2 argument\(s\), not 1"):
        render("SELECT ratio(a)", "duckdb")
    with pytest.raises(SqlError, match=r"mean\(\) takes 1 argument\(s\), not 2"):
        render("SELECT mean(a, b)", "duckdb")


def test_parameters_come_out_in_the_engines_form() -> None:
    assert render("SELECT :as_of AS x, :n + 1 AS y", "duckdb") == "SELECT $as_of AS x, $n + 1 AS y"
    assert render("SELECT :as_of AS x", "postgres") == "SELECT %(as_of)s AS x"


def test_what_a_dialect_cannot_say_is_refused() -> None:
    with pytest.raises(SqlError, match="cannot be written for postgres"):
        render("PIVOT t ON a USING SUM(b)", "postgres")


def test_macro_names() -> None:
    assert macro_name(parse("ratio(a, b)")) == "ratio"
    assert macro_name(parse("quantile(a, 0.5)")) == "quantile"
    assert macro_name(parse("abs(a)")) is None
    assert macro_name(parse("anything(a)")) is None
