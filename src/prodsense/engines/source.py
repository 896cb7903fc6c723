"""The dialect that the project's SQL is written in, as SQLGlot reads it: a subset of DuckDB's.

Import it only where SQL is parsed: it pulls in SQLGlot.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.parser import Parser


class Source(DuckDB):
    """DuckDB's dialect without prefix aliases: ``x: 1`` would make an alias of the SELECT in ``SELECT :as_of``."""

    class Parser(DuckDB.Parser):
        def _parse_expression(self) -> Any:
            return Parser._parse_expression(self)


class Contract(Source):
    """The same for DDL, with the lengths of text columns: DuckDB itself drops the 50 of ``VARCHAR(50)``."""

    class Parser(Source.Parser):
        TYPE_CONVERTERS: ClassVar[Any] = {
            kind: convert for kind, convert in DuckDB.Parser.TYPE_CONVERTERS.items() if kind is not exp.DType.TEXT
        }
