"""What the build remembers of each model: the table `prodsense.builds`, one row a model."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from prodsense.ingest.ledger import COUNTER, PARTITIONS, touch

if TYPE_CHECKING:
    from prodsense.engines.base import Engine

BUILDS = "prodsense.builds"

_COLUMNS = {
    "model": "VARCHAR", "sql_hash": "VARCHAR", "seq": "BIGINT", "built_at": "TIMESTAMP", "rows": "BIGINT",
    "status": "VARCHAR", "error": "VARCHAR", "pending": "VARCHAR", "narrowable": "BOOLEAN",
    "partition_type": "VARCHAR",
}


@dataclass(frozen=True)
class State:
    """The last good version of a model, and how the last attempt went.

    `sql_hash` is empty while there is no good version. `seq` is the last entry of the partition ledger
    that it has taken in. `pending` are partitions that a windowed build left for later. `narrowable` is
    False when the data showed that some days cannot be computed apart (`spread` too small).
    `partition_type` is that of the model's partition column: DATE, BIGINT, VARCHAR or empty.
    `status` is built, failed or skipped; `error` says why it is not built.
    """

    model: str
    sql_hash: str = ""
    seq: int = 0
    built_at: datetime | None = None
    rows: int = 0
    status: str = ""
    error: str = ""
    pending: tuple[str, ...] = ()
    narrowable: bool = True
    partition_type: str = ""


def ensure_state(engine: Engine) -> None:
    """Create `prodsense.builds` if it is not there."""
    if BUILDS not in engine.relations():
        engine.create_table(BUILDS, _COLUMNS)


def read_states(engine: Engine) -> dict[str, State]:
    """All states by model; empty when nothing was ever built."""
    if engine.columns(BUILDS) is None:
        return {}
    rows = engine.query(f"SELECT {', '.join(_COLUMNS)} FROM {BUILDS}").to_pylist()
    return {
        row["model"]: State(
            row["model"], row["sql_hash"] or "", row["seq"] or 0, row["built_at"], row["rows"] or 0,
            row["status"] or "", row["error"] or "", tuple(json.loads(row["pending"] or "[]")),
            row["narrowable"] is not False, row["partition_type"] or "",
        )
        for row in rows
    }


def write_state(engine: Engine, state: State) -> None:
    """Put `state` in place of the model's earlier row; call it inside the model's transaction."""
    values = {
        "model": state.model, "sql_hash": state.sql_hash, "seq": state.seq, "built_at": state.built_at,
        "rows": state.rows, "status": state.status, "error": state.error,
        "pending": json.dumps(list(state.pending)), "narrowable": state.narrowable,
        "partition_type": state.partition_type,
    }
    import pyarrow as pa

    with engine.transaction():
        others = engine.query(f"SELECT {', '.join(_COLUMNS)} FROM {BUILDS} WHERE model <> :model", values)
        own = pa.Table.from_pylist([values], schema=others.schema)
        engine.overwrite(BUILDS, pa.concat_tables([others, own]))


class Ledger:
    """The partition ledger from number `start` on, read once and kept up with what this session touches.

    Other sessions of the same engine may add to it meanwhile: `refresh`, called inside a transaction, looks
    at the counter and reads again what it does not know.
    """

    def __init__(self, engine: Engine, start: int):
        self._engine = engine
        self._entries: list[tuple[int, str, str | None]] = []
        self.seq = start

    def refresh(self) -> None:
        """Take in what was added since."""
        last = self._engine.query(f"SELECT MAX(value) AS last FROM {COUNTER}").column("last")[0].as_py() or 0
        if last == self.seq:
            return
        rows = self._engine.query(
            f"SELECT seq, relation, partition FROM {PARTITIONS} WHERE seq > :seq", {"seq": self.seq}
        )
        self._entries += zip(*(column.to_pylist() for column in rows.columns), strict=True)
        self.seq = last

    def touch(self, relation: str, partitions: Iterable[str | None]) -> None:
        """Record that `partitions` (None: all) of `relation` changed; after `refresh`, in its transaction."""
        values = list(partitions)
        self.seq = touch(self._engine, relation, values, last=self.seq)
        self._entries += [(self.seq, relation, value) for value in values]

    def since(self, relations: Collection[str], seq: int) -> dict[str, set[str | None]]:
        """Partitions of `relations` touched after number `seq`; relations without news are left out."""
        found: dict[str, set[str | None]] = {}
        for number, relation, partition in self._entries:
            if number > seq and relation in relations:
                found.setdefault(relation, set()).add(partition)
        return found


class Catalog:
    """What exists in the engine, asked once: catalogue look-ups cost more than a small model's rows."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._kinds = engine.relations()
        self._columns: dict[str, dict[str, str]] = {}

    def kind(self, relation: str) -> str | None:
        """``table``, ``view`` or None."""
        return self._kinds.get(relation)

    def columns(self, relation: str) -> dict[str, str]:
        """Column → type; empty where there is no such relation."""
        if relation not in self._columns:
            self._columns[relation] = self._engine.columns(relation) or {}
        return self._columns[relation]

    def changed(self, relation: str, kind: str | None) -> None:
        """`relation` was made anew as `kind`, or dropped (None)."""
        self._columns.pop(relation, None)
        self._kinds.pop(relation, None)
        if kind is not None:
            self._kinds[relation] = kind


def forget_states(engine: Engine, models: Iterable[str]) -> None:
    """Drop what is remembered of `models`: the next build makes them anew."""
    for model in models:
        engine.delete(BUILDS, "model = :model", {"model": model})
