"""From staged rows to the table: references, duplicates, replaced rows, insertion.

A stage is a temporary table of typed rows whose row ids keep the file order. Rows that do not go in are
noted in a side table, so that the stage is written once and never updated; in the clean case that table
stays empty and is not even read. Stored rows are looked up only within the key range of the batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prodsense.engines.base import comma, quoted

if TYPE_CHECKING:
    from prodsense.contracts.tables import Reference, Table
    from prodsense.engines.duckdb import DuckDBEngine

_counter = itertools.count(1)

#: Number in the side table for rows that are duplicates; unkept references and uniques count down from -2.
DUPLICATE = -1


@dataclass
class Outcome:
    """What became of the sound rows of a stage."""

    accepted: int = 0
    updated: int = 0
    duplicate: int = 0
    partitions: set[str | None] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class KeyRange:
    """Smallest and largest value of each key column in a batch, as bound parameters."""

    where: str
    params: dict[str, Any]


class Batch:
    """The rows of one load of one table on their way in.

    `rows` has the contract's columns; when `staged` it is a temporary table with ``_rule`` and row ids,
    else a SELECT all of whose rows are sound.
    """

    def __init__(self, engine: DuckDBEngine, table: Table, rows: str, staged: bool):
        self.engine = engine
        self.table = table
        self.rows = rows
        self.staged = staged
        self.out = f"temp.main.out_{next(_counter)}"
        self.noted = 0
        self.key = list(table.key)
        self.relation = quoted(table.relation)
        self.failures: dict[int, Reference | tuple[str, ...]] = {}
        self._range: KeyRange | None = None

    # -- small helpers -----------------------------------------------------------------------------

    def _scalar(self, sql: str, params: dict[str, Any] | None = None) -> Any:
        return self.engine.raw(sql, params).fetchall()[0][0]

    def live(self, columns: str = "*", where: str = "") -> str:
        """SELECT of the rows that are still on their way in, as ``s``."""
        conditions = ["s._rule = 0"] if self.staged else []
        if self.noted:
            conditions.append(f"s.rowid NOT IN (SELECT id FROM {self.out})")
        if where:
            conditions.append(where)
        return f"SELECT {columns} FROM {self.rows} AS s WHERE {' AND '.join(conditions) or 'TRUE'}"

    def _note(self, ids: str, why: int, params: dict[str, Any] | None = None) -> int:
        """Take the rows that `ids` selects (row ids of the stage) out of the way; return their number."""
        if not self.noted:
            self.engine.raw(f"CREATE TEMP TABLE IF NOT EXISTS {self.out} (id BIGINT, why SMALLINT)")
        count = int(self._scalar(f"INSERT INTO {self.out} SELECT found.*, {why} FROM ({ids}) AS found", params))
        self.noted += count
        return count

    def close(self) -> None:
        self.engine.raw(f"DROP TABLE IF EXISTS {self.out}")

    # -- references --------------------------------------------------------------------------------

    def references(self, outcome: Outcome) -> int:
        """Find rows whose parent is missing: noted when staged, else only counted. Returns their number."""
        found = 0
        for number, reference in enumerate(self.table.references):
            why = -2 - number
            self.failures[why] = reference
            own = reference.table == self.table.relation
            if not own and not self._has_rows(reference.table):
                self._warn_unchecked(reference, outcome)
                continue
            found += self._orphans(reference, why, own)
        if found and self.staged and any(r.table == self.table.relation for r in self.table.references):
            # A row that falls takes those below it with it, until all that stay have their parents.
            again = True
            while again:
                again = False
                for why, kept in self.failures.items():
                    if not isinstance(kept, tuple) and kept.table == self.table.relation:
                        fallen = self._orphans(kept, why, True)
                        found, again = found + fallen, again or bool(fallen)
        return found

    def _has_rows(self, relation: str) -> bool:
        if self.engine.columns(relation) is None:
            return False
        return bool(self._scalar(f"SELECT COUNT(*) FROM (SELECT 1 FROM {quoted(relation)} LIMIT 1) AS one"))

    def _warn_unchecked(self, reference: Reference, outcome: Outcome) -> None:
        named = " AND ".join(f'"{c}" IS NOT NULL' for c in reference.columns)
        count = self._scalar(f"SELECT COUNT(*) FROM ({self.live(comma(reference.columns))}) AS live WHERE {named}")
        if count:
            outcome.warnings.append(
                f"{', '.join(reference.columns)} of {count:,} rows not checked against {reference.table},"
                " which is empty"
            )

    def _orphans(self, reference: Reference, why: int, own: bool) -> int:
        pairs = list(zip(reference.columns, reference.target, strict=True))
        named = " AND ".join(f'"{c}" IS NOT NULL' for c, _ in pairs)
        match = " AND ".join(f'p."{t}" = live."{c}"' for c, t in pairs)
        live = self.live(comma(reference.columns) + (", s.rowid AS _id" if self.staged else ""))
        # An anti join each; NOT EXISTS costs several times that in DuckDB.
        orphans = f"SELECT * FROM ({live}) AS live ANTI JOIN {quoted(reference.table)} AS p ON {match} WHERE {named}"
        if own:
            parents = self.live(comma(reference.target))
            orphans = f"SELECT * FROM ({orphans}) AS live ANTI JOIN ({parents}) AS p ON {match}"
        if not self.staged:
            return int(self._scalar(f"SELECT COUNT(*) FROM ({orphans}) AS orphans"))
        return self._note(f"SELECT _id FROM ({orphans}) AS orphans", why)

    # -- keys --------------------------------------------------------------------------------------

    def _keyed(self, key: Sequence[str], alias: str = "s") -> str:
        return " AND ".join(f'{alias}."{c}" IS NOT NULL' for c in key)

    def rises(self) -> bool:
        """Whether the key rises from row to row, so that none can come twice: far cheaper than counting."""
        if len(self.key) != 1:
            return False
        key = comma(self.key)
        live = self.live(key, self._keyed(self.key))
        stepped = f"SELECT {key} AS k, LAG({key}) OVER () AS before FROM ({live}) AS live"
        fallen = f"SELECT 1 FROM ({stepped}) AS steps WHERE k <= before LIMIT 1"
        return not self._scalar(f"SELECT COUNT(*) FROM ({fallen}) AS fallen")

    def repeats(self) -> bool:
        """Whether a key comes more than once among the live rows."""
        if not self.key or self.rises():
            return False
        key = comma(self.key)
        live = self.live(key, self._keyed(self.key))
        return bool(self._scalar(
            f"SELECT COUNT(*) FROM (SELECT 1 FROM ({live}) AS live GROUP BY {key} HAVING COUNT(*) > 1 LIMIT 1) AS twice"
        ))  # fmt: skip

    def key_range(self) -> KeyRange | None:
        """The batch's range of keys as a condition on stored rows ``t``; None when no row has a key."""
        if self._range is None and self.key:
            bounds = ", ".join(f'MIN("{c}"), MAX("{c}")' for c in self.key)
            row = self.engine.raw(f"SELECT {bounds} FROM ({self.live(comma(self.key))}) AS live").fetchall()[0]
            if row[0] is None:
                return None
            params: dict[str, Any] = {}
            parts = []
            for number, column in enumerate(self.key):
                params[f"low{number}"], params[f"high{number}"] = row[2 * number], row[2 * number + 1]
                parts.append(f't."{column}" BETWEEN $low{number} AND $high{number}')
            self._range = KeyRange(" AND ".join(parts), params)
        return self._range

    def overlaps(self) -> bool:
        """Whether stored rows lie in the batch's range of keys."""
        if not self.key:
            return False
        within = self.key_range()
        if within is None:
            return False
        inner = f"SELECT 1 FROM {self.relation} AS t WHERE {within.where} LIMIT 1"
        return bool(self._scalar(f"SELECT COUNT(*) FROM ({inner}) AS stored", within.params))

    def unique_clashes(self) -> bool:
        """Whether a unique key beyond the merge key may clash (among the rows, or with stored ones)."""
        for unique in self.table.uniques:
            if list(unique) == self.key:
                continue
            live = self.live(comma(unique), self._keyed(unique))
            if self._scalar(
                f"SELECT COUNT(*) FROM (SELECT 1 FROM ({live}) AS live GROUP BY {comma(unique)}"
                " HAVING COUNT(*) > 1 LIMIT 1) AS twice"
            ):
                return True
            match = " AND ".join(f't."{c}" = s."{c}"' for c in unique)
            stored = f"EXISTS (SELECT 1 FROM {self.relation} AS t WHERE {match})"
            if self._scalar(f"SELECT COUNT(*) FROM ({self.live('1 AS one', stored)} LIMIT 1) AS clash"):
                return True
        return False

    # -- routing of staged rows ----------------------------------------------------------------------

    def drop_repeats(self) -> int:
        """Keep the last of rows with the same key; the others are duplicates."""
        key = comma(self.key)
        live = self.live(f"s.rowid AS _id, {key}", self._keyed(self.key))
        last = f"SELECT {key}, MAX(_id) AS last FROM ({live}) AS live GROUP BY {key} HAVING COUNT(*) > 1"
        match = " AND ".join(f'live."{c}" = twice."{c}"' for c in self.key)
        return self._note(
            f"SELECT live._id FROM ({live}) AS live JOIN ({last}) AS twice ON {match} WHERE live._id < twice.last",
            DUPLICATE,
        )

    def meet_stored(self, outcome: Outcome, replace: bool = True) -> None:
        """Rows with a stored key: the same content is a duplicate, other content takes the stored row's place.

        With `replace` off the stored row stays in any case.
        """
        within = self.key_range()
        if within is None:
            return
        columns = self.table.columns
        same = " AND ".join(f's."{c}" IS NOT DISTINCT FROM t."{c}"' for c in columns if c not in self.key) or "TRUE"
        match = " AND ".join(f's."{c}" = t."{c}"' for c in self.key)
        partition = f't."{self.table.partition}"' if self.table.partition else "NULL"
        met = f"{self.out}_met"
        live = self.live("s.rowid AS _id, *")
        self.engine.raw(
            f"CREATE TEMP TABLE {met} AS SELECT s._id, t.rowid AS old, {same} AS same,"
            f" {partition} AS partition FROM ({live}) AS s"
            f" JOIN (SELECT t.rowid, t.* FROM {self.relation} AS t WHERE {within.where}) AS t ON {match}",
            within.params,
        )
        stays = "same" if replace else "TRUE"
        outcome.duplicate += self._note(f"SELECT _id FROM {met} WHERE {stays}", DUPLICATE)
        if replace:
            rows = self.engine.raw(f"SELECT DISTINCT CAST(partition AS VARCHAR) FROM {met} WHERE NOT same").fetchall()
            outcome.partitions |= {row[0] for row in rows}
            outcome.updated = int(self._scalar(
                f"DELETE FROM {self.relation} WHERE rowid IN (SELECT old FROM {met} WHERE NOT same)"
            ))  # fmt: skip
        self.engine.raw(f"DROP TABLE {met}")

    def refuse_clashes(self) -> int:
        """Quarantine rows whose unique key (beyond the merge key) is taken by another row.

        Among rows of the batch the first keeps it. Runs after replaced rows are gone from the table.
        """
        found = 0
        for number, unique in enumerate(self.table.uniques):
            if list(unique) == self.key:
                continue
            why = -2 - len(self.table.references) - number
            self.failures[why] = unique
            live = self.live(f"s.rowid AS _id, {comma(unique)}", self._keyed(unique))
            match = " AND ".join(f't."{c}" = live."{c}"' for c in unique)
            found += self._note(
                f"SELECT _id FROM ({live}) AS live WHERE EXISTS (SELECT 1 FROM {self.relation} AS t WHERE {match})",
                why,
            )
            live = self.live(f"s.rowid AS _id, {comma(unique)}", self._keyed(unique))
            place = f"ROW_NUMBER() OVER (PARTITION BY {comma(unique)} ORDER BY _id)"
            ranked = f"SELECT _id, {place} AS place FROM ({live}) AS live"
            found += self._note(f"SELECT _id FROM ({ranked}) AS ranked WHERE place > 1", why)
        return found

    def insert(self, outcome: Outcome) -> None:
        """Append the live rows and note their partitions."""
        if self.table.partition:
            column = f'"{self.table.partition}"'
            rows = self.engine.raw(
                f"SELECT CAST(p AS VARCHAR) FROM (SELECT DISTINCT {column} AS p FROM ({self.live(column)}) AS live)"
                " AS days"
            ).fetchall()
            outcome.partitions |= {row[0] for row in rows}
        outcome.accepted = int(self._scalar(
            f"INSERT INTO {self.relation} BY NAME {self.live(comma(self.table.columns))}"
        ))  # fmt: skip
        if outcome.accepted and not self.table.partition:
            outcome.partitions.add(None)


def route(batch: Batch, outcome: Outcome, replace: bool = True) -> None:
    """Take the sound rows of a stage to the table."""
    batch.references(outcome)
    if batch.table.key and not batch.rises():
        outcome.duplicate += batch.drop_repeats()
    if batch.overlaps():
        batch.meet_stored(outcome, replace)
    if len(batch.table.uniques) > (0 if batch.table.primary_key else 1) and batch.unique_clashes():
        batch.refuse_clashes()
    batch.insert(outcome)
