"""What the build remembers of each model: the table `prodsense.builds`, one row a model."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from prodsense.ingest.ledger import PARTITIONS

if TYPE_CHECKING:
    from prodsense.engines.base import Engine

BUILDS = "prodsense.builds"

_COLUMNS = {
    "model": "VARCHAR", "sql_hash": "VARCHAR", "seq": "BIGINT", "built_at": "TIMESTAMP", "rows": "BIGINT",
    "status": "VARCHAR", "error": "VARCHAR", "pending": "VARCHAR", "narrowable": "BOOLEAN",
}


@dataclass(frozen=True)
class State:
    """The last good version of a model, and how the last attempt went.

    `sql_hash` is empty while there is no good version. `seq` is the last entry of the partition ledger
    that it has taken in. `pending` are partitions that a windowed build left for later. `narrowable` is
    False when the data showed that some days cannot be computed apart (`spread` too small).
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


def ensure_state(engine: Engine) -> None:
    """Create `prodsense.builds` if it is not there."""
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
            row["narrowable"] is not False,
        )
        for row in rows
    }


def write_state(engine: Engine, state: State) -> None:
    """Put `state` in place of the model's earlier row; call it inside the model's transaction."""
    values = {
        "model": state.model, "sql_hash": state.sql_hash, "seq": state.seq, "built_at": state.built_at,
        "rows": state.rows, "status": state.status, "error": state.error,
        "pending": json.dumps(list(state.pending)), "narrowable": state.narrowable,
    }
    select = ", ".join(f"CAST(:{name} AS {kind}) AS {name}" for name, kind in _COLUMNS.items())
    with engine.transaction():
        forget_states(engine, [state.model])
        engine.insert(BUILDS, f"SELECT {select}", values)


def touched_since(engine: Engine, relations: Iterable[str], seq: int) -> dict[str, set[str | None]]:
    """Partitions touched after ledger number `seq`, by relation; one query for all of `relations`.

    None in a set stands for the whole relation.
    """
    found: dict[str, set[str | None]] = {}
    wanted = set(relations)
    rows = engine.query(f"SELECT DISTINCT relation, partition FROM {PARTITIONS} WHERE seq > :seq", {"seq": seq})
    for relation, partition in zip(*(rows[c].to_pylist() for c in ("relation", "partition")), strict=True):
        if relation in wanted:
            found.setdefault(relation, set()).add(partition)
    return found


def forget_states(engine: Engine, models: Iterable[str]) -> None:
    """Drop what is remembered of `models`: the next build makes them anew."""
    for model in models:
        engine.delete(BUILDS, "model = :model", {"model": model})
