"""The one place where SQL engines differ.

Sources are written in a subset of DuckDB's dialect (docs/sql.md) plus the macros below, which look
like plain function calls. `render` expands the macros for an engine and lets SQLGlot write the rest.
What SQLGlot cannot say in the target raises; it is never dropped silently.

SQLGlot is a renderer, not a type checker: differences that depend on types (timestamp arithmetic,
averages of decimals, integer division) must go through a macro.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from prodsense.errors import SqlError

if TYPE_CHECKING:
    from sqlglot import exp

#: Dialects that every text of the project must render to.
DIALECTS = ("duckdb", "spark", "postgres")

#: macro → (number of arguments, template by dialect; "*" for all that are not named).
#: In a template ``{0}`` is the first argument's SQL in that dialect.
MACROS: dict[str, tuple[int, dict[str, str]]] = {
    "seconds_between": (2, {
        "duckdb": "(CAST(EPOCH_US(CAST({1} AS TIMESTAMP)) - EPOCH_US(CAST({0} AS TIMESTAMP)) AS DOUBLE) / 1000000)",
        "spark": "((UNIX_MICROS(CAST({1} AS TIMESTAMP)) - UNIX_MICROS(CAST({0} AS TIMESTAMP))) / 1000000D)",
        "postgres": "CAST(EXTRACT(EPOCH FROM (CAST({1} AS TIMESTAMP) - CAST({0} AS TIMESTAMP))) AS DOUBLE PRECISION)",
    }),
    "minutes_between": (2, {
        "duckdb": "(CAST(EPOCH_US(CAST({1} AS TIMESTAMP)) - EPOCH_US(CAST({0} AS TIMESTAMP)) AS DOUBLE) / 60000000)",
        "spark": "((UNIX_MICROS(CAST({1} AS TIMESTAMP)) - UNIX_MICROS(CAST({0} AS TIMESTAMP))) / 60000000D)",
        "postgres":
            "(CAST(EXTRACT(EPOCH FROM (CAST({1} AS TIMESTAMP) - CAST({0} AS TIMESTAMP))) AS DOUBLE PRECISION) / 60)",
    }),
    "hours_between": (2, {
        "duckdb": "(CAST(EPOCH_US(CAST({1} AS TIMESTAMP)) - EPOCH_US(CAST({0} AS TIMESTAMP)) AS DOUBLE) / 3600000000)",
        "spark": "((UNIX_MICROS(CAST({1} AS TIMESTAMP)) - UNIX_MICROS(CAST({0} AS TIMESTAMP))) / 3600000000D)",
        "postgres":
            "(CAST(EXTRACT(EPOCH FROM (CAST({1} AS TIMESTAMP) - CAST({0} AS TIMESTAMP))) AS DOUBLE PRECISION) / 3600)",
    }),
    "days_between": (2, {
        "duckdb": "CAST(DATE_DIFF('DAY', CAST({0} AS DATE), CAST({1} AS DATE)) AS BIGINT)",
        "spark": "CAST(DATEDIFF(CAST({1} AS DATE), CAST({0} AS DATE)) AS BIGINT)",
        "postgres": "CAST(CAST({1} AS DATE) - CAST({0} AS DATE) AS BIGINT)",
    }),
    "add_days": (2, {
        "duckdb": "(CAST({0} AS DATE) + CAST({1} AS INT))",
        "spark": "DATE_ADD(CAST({0} AS DATE), CAST({1} AS INT))",
        "postgres": "(CAST({0} AS DATE) + CAST({1} AS INT))",
    }),
    "add_minutes": (2, {
        "duckdb": "(CAST({0} AS TIMESTAMP) + TO_MICROSECONDS(CAST(ROUND(CAST({1} AS DOUBLE) * 60000000) AS BIGINT)))",
        "spark": "TIMESTAMP_MICROS(UNIX_MICROS(CAST({0} AS TIMESTAMP))"
                 " + CAST(ROUND(CAST({1} AS DOUBLE) * 60000000) AS BIGINT))",
        "postgres": "(CAST({0} AS TIMESTAMP) + {1} * INTERVAL '1 minute')",
    }),
    "ratio": (2, {
        "*": "(CAST({0} AS DOUBLE) / NULLIF(CAST({1} AS DOUBLE), 0))",
        "postgres": "(CAST({0} AS DOUBLE PRECISION) / NULLIF(CAST({1} AS DOUBLE PRECISION), 0))",
    }),
    "mean": (1, {"*": "AVG(CAST({0} AS DOUBLE))", "postgres": "AVG(CAST({0} AS DOUBLE PRECISION))"}),
    # A CASE rather than a cast: engines disagree on casts of booleans.
    "share": (1, {
        "*": "AVG(CASE WHEN {0} THEN CAST(1 AS DOUBLE) WHEN NOT ({0}) THEN CAST(0 AS DOUBLE) END)",
        "postgres": "AVG(CASE WHEN {0} THEN CAST(1 AS DOUBLE PRECISION)"
                    " WHEN NOT ({0}) THEN CAST(0 AS DOUBLE PRECISION) END)",
    }),
    "quantile": (2, {
        "duckdb": "QUANTILE_CONT(CAST({0} AS DOUBLE), {1})",
        "spark": "PERCENTILE(CAST({0} AS DOUBLE), {1})",
        "postgres": "PERCENTILE_CONT({1}) WITHIN GROUP (ORDER BY CAST({0} AS DOUBLE PRECISION))",
    }),
    "hour_of": (1, {
        "*": "CAST(EXTRACT(HOUR FROM CAST({0} AS TIMESTAMP)) AS INT)",
    }),
    "iso_weekday": (1, {
        "duckdb": "CAST(ISODOW(CAST({0} AS DATE)) AS INT)",
        "spark": "(WEEKDAY(CAST({0} AS DATE)) + 1)",
        "postgres": "CAST(EXTRACT(ISODOW FROM CAST({0} AS DATE)) AS INT)",
    }),
    "date_of": (1, {"*": "CAST({0} AS DATE)"}),
    "period_start": (2, {"*": "CAST(DATE_TRUNC({1}, CAST({0} AS TIMESTAMP)) AS DATE)"}),
    "text_of": (1, {"*": "CAST({0} AS STRING)", "duckdb": "CAST({0} AS VARCHAR)", "postgres": "CAST({0} AS TEXT)"}),
    "local_time": (2, {
        "duckdb": "(CAST({0} AS TIMESTAMP) AT TIME ZONE 'UTC' AT TIME ZONE {1})",
        "spark": "FROM_UTC_TIMESTAMP(CAST({0} AS TIMESTAMP), {1})",
        "postgres": "(CAST({0} AS TIMESTAMP) AT TIME ZONE 'UTC' AT TIME ZONE {1})",
    }),
    # A number for a whole row of relation alias {0}, the only one its SELECT reads; to sum up and compare.
    "row_hash": (1, {
        "duckdb": "CAST(HASH({0}) AS DECIMAL(38, 0))",
        "spark": "CAST(XXHASH64(*) AS DECIMAL(38, 0))",
        "postgres": "CAST(HASHTEXTEXTENDED(CAST({0} AS TEXT), 0) AS DECIMAL(38, 0))",
    }),
    # The place of a text on [0, 1): the first 52 bits of its MD5, the same on every engine.
    "hash_share": (1, {
        "duckdb": "(CAST(CAST('0x' || SUBSTR(MD5(CAST({0} AS VARCHAR)), 1, 13) AS BIGINT) AS DOUBLE)"
                  " / 4503599627370496)",
        "spark": "(CAST(CONV(SUBSTR(MD5(CAST({0} AS STRING)), 1, 13), 16, 10) AS DOUBLE) / 4503599627370496D)",
        "postgres": "(CAST(CAST(CAST('x' || SUBSTR(MD5(CAST({0} AS TEXT)), 1, 13) AS BIT(52)) AS BIGINT)"
                    " AS DOUBLE PRECISION) / 4503599627370496)",
    }),
    # A number for the text x: itself where x is up to 18 digits, else the first 52 bits of its MD5.
    "key_of": (1, {
        "duckdb": "(CASE WHEN REGEXP_MATCHES(CAST({0} AS VARCHAR), '^[0-9]{{1,18}}$') THEN CAST({0} AS BIGINT)"
                  " ELSE CAST('0x' || SUBSTR(MD5(CAST({0} AS VARCHAR)), 1, 13) AS BIGINT) END)",
        "spark": "(CASE WHEN CAST({0} AS STRING) RLIKE '^[0-9]{{1,18}}$' THEN CAST({0} AS BIGINT)"
                 " ELSE CAST(CONV(SUBSTR(MD5(CAST({0} AS STRING)), 1, 13), 16, 10) AS BIGINT) END)",
        "postgres": "(CASE WHEN CAST({0} AS TEXT) ~ '^[0-9]{{1,18}}$' THEN CAST({0} AS BIGINT)"
                    " ELSE CAST(CAST('x' || SUBSTR(MD5(CAST({0} AS TEXT)), 1, 13) AS BIT(52)) AS BIGINT) END)",
    }),
    # The most frequent value; of several, the smallest.
    "most_common": (1, {
        "duckdb": "MODE({0} ORDER BY {0})",
        "spark": "MODE({0}, TRUE)",
        "postgres": "MODE() WITHIN GROUP (ORDER BY {0})",
    }),
    # Gini coefficient of values that are not negative: 2 * sum(rank * x) / (n * sum(x)) - (n + 1) / n, x in order.
    "gini": (1, {
        "duckdb": "(2 * LIST_DOT_PRODUCT(LIST(CAST({0} AS DOUBLE) ORDER BY {0}) FILTER (WHERE {0} IS NOT NULL),"
                  " CAST(RANGE(1, COUNT({0}) + 1) AS DOUBLE[]))"
                  " / NULLIF(COUNT({0}) * SUM(CAST({0} AS DOUBLE)), 0)"
                  " - (COUNT({0}) + 1) / CAST(COUNT({0}) AS DOUBLE))",
        "spark": "(2 * AGGREGATE(TRANSFORM(SORT_ARRAY(COLLECT_LIST(CAST({0} AS DOUBLE))), (v, i) -> v * (i + 1)),"
                 " CAST(0 AS DOUBLE), (a, b) -> a + b)"
                 " / NULLIF(COUNT({0}) * SUM(CAST({0} AS DOUBLE)), 0) - (COUNT({0}) + 1) / CAST(COUNT({0}) AS DOUBLE))",
        "postgres": "(2 * (SELECT SUM(ranked.v * ranked.i) FROM UNNEST(ARRAY_AGG(CAST({0} AS DOUBLE PRECISION)"
                    " ORDER BY {0}) FILTER (WHERE {0} IS NOT NULL)) WITH ORDINALITY AS ranked(v, i))"
                    " / NULLIF(COUNT({0}) * SUM(CAST({0} AS DOUBLE PRECISION)), 0)"
                    " - (COUNT({0}) + 1) / CAST(COUNT({0}) AS DOUBLE PRECISION))",
    }),
    "popcount": (1, {
        "*": "CAST(BIT_COUNT(CAST({0} AS BIGINT)) AS BIGINT)",
        "postgres": "CAST(BIT_COUNT(CAST({0} AS BIT(64))) AS BIGINT)",
    }),
    # Rows, not a value: one day each, both ends inside; only as the sole item of a SELECT.
    "day_list": (2, {
        "duckdb": "UNNEST(RANGE(CAST({0} AS DATE), CAST({1} AS DATE) + 1, INTERVAL 1 DAY))",
        "spark": "EXPLODE(SEQUENCE(CAST({0} AS DATE), CAST({1} AS DATE), INTERVAL 1 DAY))",
        "postgres": "GENERATE_SERIES(CAST({0} AS DATE), CAST({1} AS DATE), INTERVAL '1 day')",
    }),
}


@lru_cache(maxsize=2048)
def _parse(sql: str, origin: str) -> exp.Expression:
    from sqlglot import exp, parse
    from sqlglot.errors import ParseError, TokenError

    from prodsense.engines.source import Source

    try:
        statements = [s for s in parse(sql, read=Source) if s is not None and not isinstance(s, exp.Semicolon)]
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        raise SqlError(
            f"{origin}:{first.get('line', '?')}: {first.get('description', error)} near {first.get('highlight')!r}"
        ) from None
    except TokenError as error:
        raise SqlError(f"{origin}: {error}") from None
    if len(statements) != 1:
        raise SqlError(f"{origin}: expected one statement, found {len(statements)}")
    return statements[0]


def parse(sql: str, origin: str = "sql") -> exp.Expression:
    """Parse one statement or expression; a fresh copy that the caller may change.

    Raises SqlError naming `origin` (a file, or what the text is for) and the line.
    """
    return _parse(sql, origin).copy()


def render(sql: str | exp.Expression, dialect: str = "duckdb", *, pretty: bool = False) -> str:
    """Write a text of the source dialect in an engine's dialect, macros expanded.

    Parameters ``:name`` come out in the engine's own form (``$name`` on DuckDB).
    Raises SqlError when the text does not parse or the target cannot say it.
    """
    if isinstance(sql, str):
        return _render_text(sql, dialect, pretty)
    return _render_tree(sql, dialect, pretty)


@lru_cache(maxsize=2048)
def _render_text(sql: str, dialect: str, pretty: bool) -> str:
    return _render_tree(parse(sql), dialect, pretty)


def _render_tree(tree: exp.Expression, dialect: str, pretty: bool) -> str:
    return write(expand_macros(tree, dialect), dialect, pretty=pretty)


def write(tree: exp.Expression, dialect: str, *, pretty: bool = False) -> str:
    """The text of a tree whose macros are expanded; SqlError when the dialect cannot say it."""
    from sqlglot import ErrorLevel
    from sqlglot.errors import UnsupportedError

    try:
        return tree.sql(
            _writer(dialect), pretty=pretty, unsupported_level=ErrorLevel.RAISE, comments=False, copy=False
        )
    except UnsupportedError as error:
        raise SqlError(f"cannot be written for {dialect}: {error}") from None


@cache
def _writer(dialect: str) -> Any:
    """The dialect as SQLGlot takes it. Spark reads nested CTEs, but SQLGlot would hoist them all to the
    top, where two of one name collide. DuckDB 1.5 reserves AT, which SQLGlot does not know."""
    if dialect == "duckdb":
        from sqlglot.dialects.duckdb import DuckDB

        class QuotingDuckDB(DuckDB):
            class Generator(DuckDB.Generator):
                RESERVED_KEYWORDS: ClassVar[set[str]] = {*DuckDB.Generator.RESERVED_KEYWORDS, "at"}

        return QuotingDuckDB
    if dialect != "spark":
        return dialect
    from sqlglot.dialects.spark import Spark

    class NestedSpark(Spark):
        class Generator(Spark.Generator):
            EXPRESSIONS_WITHOUT_NESTED_CTES: ClassVar[set[Any]] = set()

    return NestedSpark


def macro_name(node: exp.Expression) -> str | None:
    """The macro that `node` calls, if any."""
    from sqlglot import exp

    if isinstance(node, exp.Anonymous):
        name = node.name.lower()
    elif isinstance(node, exp.Quantile):
        name = "quantile"
    else:
        return None
    return name if name in MACROS else None


@lru_cache(maxsize=512)
def _written(text: str, dialect: str) -> exp.Expression:
    """A filled template, parsed once; it is copied before anything is put in place."""
    from sqlglot import parse_one

    return parse_one(text, read=dialect)


def expand_macros(tree: exp.Expression, dialect: str) -> exp.Expression:
    """Return a copy of `tree` in which each macro is written out for `dialect`."""
    tree = tree.copy()
    # Those inside others come last in this order, and are written out first.
    for node in reversed([node for node in tree.walk() if macro_name(node)]):
        written = _expanded(node, dialect)
        if node is tree:
            tree = written
        else:
            node.replace(written)
    return tree


def _expanded(node: exp.Expression, dialect: str) -> exp.Expression:
    """What a macro's call stands for; its arguments, expanded already, move into it."""
    from sqlglot import exp

    name = str(macro_name(node))
    count, templates = MACROS[name]
    given = [node.this, node.args["quantile"]] if isinstance(node, exp.Quantile) else list(node.expressions)
    if len(given) != count:
        raise SqlError(f"{name}() takes {count} argument(s), not {len(given)}: {node.sql('duckdb')}")
    # Arguments stand as unlikely column names while the template is read in the target's dialect,
    # then the trees themselves are put in their place.
    # Literals are written straight in: DATE_TRUNC and friends read theirs while parsing.
    names = [a.sql(dialect) if isinstance(a, exp.Literal) else f"__arg{i}__" for i, a in enumerate(given)]
    template = templates.get(dialect, templates.get("*", ""))
    if not template:
        raise SqlError(f"{name}() has no form for {dialect}")
    written = _written(template.format(*names), dialect).copy()
    used: set[str] = set()
    for part in [part for part in written.find_all(exp.Column) if part.name in names]:
        argument = given[names.index(part.name)]
        # Each tree has one place: the second time it is a copy that is put there.
        if part.name in used:
            argument = argument.copy()
        used.add(part.name)
        if isinstance(argument, exp.Binary | exp.Not | exp.Between | exp.In | exp.Is):
            argument = exp.Paren(this=argument)
        if part is written:
            written = argument
        else:
            part.replace(argument)
    return written


def unordered(select: str | exp.Expression) -> exp.Expression:
    """A SELECT without the ORDER BY at its end: folders keep no order, and a sort of all rows is dear."""
    tree = parse(select) if isinstance(select, str) else select
    if tree.args.get("order") and not tree.args.get("limit") and not tree.args.get("offset"):
        tree = tree.copy()
        tree.set("order", None)
    return tree
