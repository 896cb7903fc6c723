"""The project's own records in a lake, read and written in this process.

Ledger, states and quarantine are small tables asked often. A cluster would answer each question in
a second; their Parquet is read here instead, once a version, and asked by DuckDB.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from prodsense.engines.base import SYSTEM_SCHEMA, Params

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlglot import exp

    from prodsense.engines.duckdb import DuckDBEngine
    from prodsense.engines.lake import Lake


def is_record(relation: str, partition: str = "") -> bool:
    """Whether a table that is created under this name is one of the records."""
    return relation.startswith(SYSTEM_SCHEMA + ".") and not partition


class Records:
    """Those tables of `lake` that its manifest marks as records."""

    def __init__(self, lake: Lake):
        self._lake = lake
        self._cache: dict[str, tuple[tuple[str, ...], pa.Table]] = {}
        self._duck: DuckDBEngine | None = None

    def holds(self, relation: str) -> bool:
        """Whether `relation` is a record table of the current manifest."""
        return bool(self._lake.manifest["tables"].get(relation, {}).get("record"))

    def read(self, relation: str) -> pa.Table:
        """All rows of a record table, times without zone."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        from prodsense.engines.lake import conformed, without_zone

        table: Mapping[str, Any] = self._lake.manifest["tables"][relation]
        stamp = (*table["columns"], *(part["dir"] for part in table["parts"]))
        if self._cache.get(relation, ((), None))[0] != stamp:
            parts = [
                conformed(pq.read_table(self._lake.root / part["dir"]), table["columns"], relation)
                for part in table["parts"]
            ]
            empty = conformed(pa.table({}), table["columns"], relation)
            self._cache[relation] = (stamp, without_zone(pa.concat_tables([empty, *parts]).combine_chunks()))
        return self._cache[relation][1]

    def only(self, tree: exp.Expression) -> bool:
        """Whether `tree` is a SELECT that reads records and nothing else."""
        from sqlglot import exp

        named = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
        read = [t for t in tree.find_all(exp.Table) if t.db or t.name.lower() not in named]
        return bool(read) and all(self.holds(f"{t.db}.{t.name}".lower()) for t in read)

    def query(self, tree: exp.Expression, params: Params | None) -> pa.Table:
        """Rows of a SELECT for which `only` holds."""
        from sqlglot import exp

        from prodsense.engines.duckdb import DuckDBEngine

        if self._duck is None:
            self._duck = DuckDBEngine(":memory:", threads=1)
        duck = self._duck
        tree = tree.copy()
        with ExitStack() as stack:
            for table in list(tree.find_all(exp.Table)):
                if not table.db:
                    continue
                name = stack.enter_context(duck.temporary(self.read(f"{table.db}.{table.name}".lower())))
                if not table.alias:
                    table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name)))
                table.set("this", exp.to_identifier(name))
                table.set("db", None)
            for column in tree.find_all(exp.Column):
                if column.args.get("db"):
                    column.set("db", None)
            return duck.query(tree, params)

    def close(self) -> None:
        """Release the process's memory."""
        if self._duck is not None:
            self._duck.close()
            self._duck = None
        self._cache.clear()
