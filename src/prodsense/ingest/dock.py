"""Loading into an engine that is no DuckDB: a dock.

The rules of a load (types, keys, references, quarantine) are written once, for DuckDB. For another
engine the load runs on a DuckDB in this process, the dock, that is given just those stored rows that
the batch can meet: rows with the same keys, and parents that it refers to. What changed there is then
handed over in one transaction. So a load means the same on every engine; its speed is the driver's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from prodsense.engines.base import comma, quoted
from prodsense.ingest import forgotten, ledger

if TYPE_CHECKING:
    import pyarrow as pa

    from prodsense.contracts.tables import Table
    from prodsense.engines.base import Engine
    from prodsense.engines.duckdb import DuckDBEngine


class Dock:
    """A DuckDB that stands in for `engine` during one load; `duck` is what the loader works on."""

    def __init__(self, engine: Engine, tables: Mapping[str, Table], stack: ExitStack):
        from prodsense.engines.duckdb import DuckDBEngine

        self.engine = engine
        self.tables = tables
        self.duck: DuckDBEngine = DuckDBEngine(":memory:")
        stack.callback(self.duck.close)
        self._parents_known: set[str] = set()
        with engine.transaction():
            ledger.ensure_system_tables(engine)
            for table in tables.values():
                self._create(engine, table)
        ledger.ensure_system_tables(self.duck)
        for relation in (ledger.COUNTER, ledger.FILES, ledger.QUARANTINE):
            self._put(relation, engine.query(f"SELECT * FROM {relation}"))
        if engine.columns(forgotten.RELATION) is not None:
            self.duck.create_table(forgotten.RELATION, forgotten.COLUMNS)
            self._put(forgotten.RELATION, engine.query(f"SELECT * FROM {forgotten.RELATION}"))

    @staticmethod
    def _create(engine: Engine, table: Table) -> None:
        from prodsense.ingest.target import create

        create(engine, table)

    # -- stored rows that a batch can meet ---------------------------------------------------------

    def bring(self, table: Table, rows: str) -> None:
        """Bring what `rows`, a relation of the dock with the table's columns, can meet in the engine."""
        self._open(table)
        if table.key:
            self._bring_matching(table, table.key, self._distinct(rows, table.key))
        for unique in table.uniques:
            if unique != table.key:
                self._bring_matching(table, unique, self._distinct(rows, unique))
        for reference in table.references:
            parent = self.tables.get(reference.table)
            if parent is None:
                continue
            self._open(parent)
            wanted = self._distinct(rows, reference.columns).rename_columns(list(reference.target))
            self._bring_matching(parent, reference.target, wanted)
            self._bring_any(parent)
        for child in self.tables.values():
            if any(r.table == table.relation for r in child.references):
                self._bring_orphans(child)

    def _bring_orphans(self, child: Table) -> None:
        """Rows that quarantined children may meet when this load releases them."""
        waiting = self.duck.query(
            f"SELECT COALESCE(cells, original) AS cells FROM {ledger.QUARANTINE}"
            " WHERE relation = :relation AND released IS NULL AND rule = 'reference'", {"relation": child.relation},
        )["cells"].to_pylist()
        if not waiting:
            return
        self._open(child)
        cells = [{k.lower(): v for k, v in json.loads(text).items()} for text in waiting]
        for columns in filter(None, (child.key, *child.uniques, *(r.columns for r in child.references))):
            relation, target = child, columns
            for reference in child.references:
                if reference.columns == columns and reference.table in self.tables:
                    relation, target = self.tables[reference.table], reference.target
            values = {n: [row.get(c) for row in cells] for n, c in zip(target, columns, strict=True)}
            self._open(relation)
            self._bring_matching(relation, target, self._cast(relation, values))
            self._bring_any(relation)

    def _cast(self, table: Table, values: Mapping[str, Sequence[Any]]) -> pa.Table:
        import pyarrow as pa

        texts = {n: [None if v is None else str(v) for v in vs] for n, vs in values.items()}
        text = pa.table({n: pa.array(vs, pa.string()) for n, vs in texts.items()})
        with self.duck.temporary(text) as name:
            casts = ", ".join(f'TRY_CAST("{n}" AS {table.columns[n].type}) AS "{n}"' for n in values)
            return self.duck.raw(f"SELECT DISTINCT {casts} FROM {name}", fetch=True)

    def _bring_matching(self, table: Table, columns: Sequence[str], values: pa.Table) -> None:
        """Bring the stored rows whose `columns` are among `values` and that are not here yet."""
        values = values.drop_null() if values.num_rows else values
        if not values.num_rows or self.engine.is_empty(table.relation):
            return
        condition = " AND ".join(f'stored."{c}" = wanted."{c}"' for c in columns)
        bounds = ""
        params: dict[str, Any] = {}
        if len(columns) == 1:
            # The engine can skip folders and row groups outside the batch's range.
            with self.duck.temporary(values) as name:
                low, high = self.duck.raw(f'SELECT MIN("{columns[0]}"), MAX("{columns[0]}") FROM {name}').fetchall()[0]
            bounds = f' WHERE stored."{columns[0]}" BETWEEN :low AND :high'
            params = {"low": low, "high": high}
        with self.engine.temporary(values) as wanted:
            found = self.engine.query(
                f"SELECT stored.* FROM {quoted(table.relation)} AS stored"
                f" JOIN {wanted} AS wanted ON {condition}{bounds}",
                params,
            )
        self._add(table, found)

    def _bring_any(self, table: Table) -> None:
        """Make sure a table that holds rows is seen to do so."""
        if table.relation not in self._parents_known and not self.engine.is_empty(table.relation):
            self._parents_known.add(table.relation)
            self._add(table, self.engine.query(f"SELECT * FROM {quoted(table.relation)} LIMIT 1"))

    def _open(self, table: Table) -> None:
        if self.duck.columns(table.relation) is None:
            self._create(self.duck, table)
            self.duck.raw(f"CREATE TABLE {self._base(table.relation)} AS FROM {quoted(table.relation)}")

    def _add(self, table: Table, found: pa.Table) -> None:
        """Put stored rows into the dock, once each, there and into the base that changes are told by."""
        if not found.num_rows:
            return
        base = self._base(table.relation)
        with self.duck.temporary(found) as name:
            fresh = f"SELECT * FROM {name}"
            if table.key:
                match = " AND ".join(f'have."{c}" IS NOT DISTINCT FROM new."{c}"' for c in table.key)
                fresh = f"SELECT new.* FROM {name} AS new WHERE NOT EXISTS (FROM {base} AS have WHERE {match})"
            self.duck.raw(f"CREATE OR REPLACE TEMP TABLE fresh AS {fresh}")
            for target in (base, quoted(table.relation)):
                self.duck.raw(f"INSERT INTO {target} BY NAME FROM fresh")
            self.duck.raw("DROP TABLE fresh")

    def _put(self, relation: str, rows: pa.Table) -> None:
        with self.duck.temporary(rows) as name:
            self.duck.raw(f"INSERT INTO {quoted(relation)} BY NAME FROM {name}")
        self.duck.raw(f"CREATE TABLE {self._base(relation)} AS FROM {quoted(relation)}")

    def _distinct(self, rows: str, columns: Sequence[str]) -> pa.Table:
        return self.duck.raw(f"SELECT DISTINCT {comma(columns)} FROM {rows}", fetch=True)

    @staticmethod
    def _base(relation: str) -> str:
        return '"base_' + relation.replace('"', '""') + '"'

    # -- handing over ------------------------------------------------------------------------------

    def hand_over(self) -> None:
        """Write what the load changed in the dock to the engine, in one transaction."""
        with self.engine.transaction():
            for table in self.tables.values():
                if self.duck.columns(table.relation) is not None:
                    self._hand_over(table.relation, table.key)
            self._hand_over(ledger.QUARANTINE, ("id",))
            for relation in (ledger.FILES, ledger.LOADS, ledger.PARTITIONS):
                self._hand_over(relation, ())
            value = ledger.current_seq(self.duck)
            ledger.set_counter(self.engine, value)

    def _hand_over(self, relation: str, key: Iterable[str]) -> None:
        base = self._base(relation)
        has_base = self.duck.raw(
            "SELECT COUNT(*) FROM duckdb_tables() WHERE table_name = $name", {"name": base.strip('"')}
        ).fetchall()[0][0]
        without = f" EXCEPT ALL FROM {base}" if has_base else ""
        self.duck.raw(f"CREATE OR REPLACE TEMP TABLE changed AS (FROM {quoted(relation)}{without})")
        key = tuple(key)
        met = 0
        if key and has_base:
            match = " AND ".join(f'old."{c}" = new."{c}"' for c in key)
            met = self.duck.raw(
                f"SELECT COUNT(*) FROM changed AS new WHERE EXISTS (FROM {base} AS old WHERE {match})"
            ).fetchall()[0][0]
        changed = self.duck.raw("FROM changed", fetch=True)
        self.duck.raw("DROP TABLE changed")
        if not changed.num_rows:
            return
        if not met:
            self.engine.append(relation, changed)
            return
        with self.engine.temporary(changed) as name:
            known = " AND ".join(f'"{c}" IS NOT NULL' for c in key)
            self.engine.merge(relation, f"SELECT * FROM {name} WHERE {known}", key)
            if changed.select(list(key)).drop_null().num_rows < changed.num_rows:
                self.engine.insert(relation, f"SELECT * FROM {name} WHERE NOT ({known})")
