"""The project's own records in a warehouse: loads, files, quarantine, and the ledger of touched partitions.

All live in schema ``prodsense``. One counter numbers loads, ledger entries and builds alike, so that
"since the last build" is a comparison of two numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prodsense.engines.base import SYSTEM_SCHEMA

if TYPE_CHECKING:
    from prodsense.engines.base import Engine

LOADS = f"{SYSTEM_SCHEMA}.loads"
FILES = f"{SYSTEM_SCHEMA}.files"
QUARANTINE = f"{SYSTEM_SCHEMA}.quarantine"
PARTITIONS = f"{SYSTEM_SCHEMA}.partitions"
COUNTER = f"{SYSTEM_SCHEMA}.counter"

#: System table → column → type.
TABLES: dict[str, dict[str, str]] = {
    # One row a load and table; read = accepted + duplicate + quarantined.
    LOADS: {
        "load_id": "BIGINT", "relation": "VARCHAR", "source": "VARCHAR", "at": "TIMESTAMP",
        "read": "BIGINT", "accepted": "BIGINT", "updated": "BIGINT", "duplicate": "BIGINT",
        "quarantined": "BIGINT", "released": "BIGINT",
    },
    # The manifest: what was loaded, by content.
    FILES: {
        "load_id": "BIGINT", "relation": "VARCHAR", "path": "VARCHAR", "sha256": "VARCHAR",
        "bytes": "BIGINT", "rows": "BIGINT", "at": "TIMESTAMP",
    },
    # `original` is the row as it stood in its source; `cells` the same as a JSON object where it was not
    # one already (NULL when the row could not be taken apart). `released` is the load that accepted it later.
    QUARANTINE: {
        "id": "BIGINT", "load_id": "BIGINT", "relation": "VARCHAR", "file": "VARCHAR", "row_number": "BIGINT",
        "column_name": "VARCHAR", "rule": "VARCHAR", "reason": "VARCHAR", "todo": "VARCHAR",
        "original": "VARCHAR", "cells": "VARCHAR", "at": "TIMESTAMP", "released": "BIGINT",
    },
    # `partition` is the value as text; NULL stands for the whole relation.
    PARTITIONS: {
        "seq": "BIGINT", "relation": "VARCHAR", "partition": "VARCHAR", "load_id": "BIGINT", "at": "TIMESTAMP",
    },
    COUNTER: {"value": "BIGINT"},
}  # fmt: skip


def ensure_system_tables(engine: Engine) -> None:
    """Create the system tables that are missing."""
    existing = engine.relations(SYSTEM_SCHEMA)
    for relation, columns in TABLES.items():
        if relation not in existing:
            engine.create_table(relation, columns)


def has_ledger(engine: Engine) -> bool:
    """Whether anything was ever loaded here."""
    return PARTITIONS in engine.relations(SYSTEM_SCHEMA)


def current_seq(engine: Engine) -> int:
    """The last number given out; 0 in a new warehouse."""
    if COUNTER not in engine.relations(SYSTEM_SCHEMA):
        return 0
    value = engine.query(f"SELECT MAX(value) AS value FROM {COUNTER}")["value"][0].as_py()
    return int(value or 0)


def next_seq(engine: Engine, last: int | None = None) -> int:
    """The next number for a load, ledger entry or build; call it inside the transaction that uses it.

    `last` is the current number, where the caller has read it in the same transaction: it spares the look-up.
    """
    if last is None:
        ensure_system_tables(engine)
        last = current_seq(engine)
    value = last + 1
    set_counter(engine, value)
    return value


def set_counter(engine: Engine, value: int) -> None:
    """Take `value` as the last number given out."""
    import pyarrow as pa

    engine.overwrite(COUNTER, pa.table({"value": pa.array([value], pa.int64())}))


def touch(
    engine: Engine,
    relation: str,
    partitions: Iterable[str | None],
    load_id: int | None = None,
    *,
    last: int | None = None,
) -> int:
    """Record that rows of these partitions came, changed or went; return the ledger number.

    `partitions` are values as text, None for the whole relation (and for tables without partition).
    Nothing is recorded when there are none. `last` as in `next_seq`.
    """
    import pyarrow as pa

    values = list(dict.fromkeys(partitions))
    seq = next_seq(engine, last)
    if not values:
        return seq
    entries = pa.table({
        "seq": pa.array([seq] * len(values), pa.int64()),
        "relation": pa.array([relation] * len(values), pa.string()),
        "partition": pa.array(values, pa.string()),
        "load_id": pa.array([load_id] * len(values), pa.int64()),
        "at": pa.array([now()] * len(values), pa.timestamp("us")),
    })  # fmt: skip
    engine.append(PARTITIONS, entries)
    return seq


def touched_since(engine: Engine, relation: str, seq: int) -> set[str | None]:
    """Partitions of `relation` touched after ledger number `seq`; None in it stands for all."""
    if not has_ledger(engine):
        return set()
    rows = engine.query(
        f"SELECT DISTINCT partition FROM {PARTITIONS} WHERE relation = :relation AND seq > :seq",
        {"relation": relation, "seq": seq},
    )
    return set(rows["partition"].to_pylist())


def record_load(
    engine: Engine, load_id: int, relation: str, source: str, *, read: int = 0, accepted: int = 0, updated: int = 0,
    duplicate: int = 0, quarantined: int = 0, released: int = 0,
) -> None:
    """Write one line of the load book."""
    counts = {
        "read": read, "accepted": accepted, "updated": updated, "duplicate": duplicate, "quarantined": quarantined,
        "released": released,
    }  # fmt: skip
    values = {"load_id": load_id, "relation": relation, "source": source, "at": now(), **counts}
    picked = ", ".join(f":{name} AS {name}" for name in values)
    engine.insert(LOADS, f"SELECT {picked}", values)


def loaded_hashes(engine: Engine, relation: str) -> dict[str, int]:
    """SHA-256 of each file already loaded into `relation` → its load."""
    rows = engine.query(
        f"SELECT sha256, MIN(load_id) AS load_id FROM {FILES} WHERE relation = :relation AND sha256 IS NOT NULL"
        " GROUP BY sha256",
        {"relation": relation},
    )
    return dict(zip(rows["sha256"].to_pylist(), rows["load_id"].to_pylist(), strict=True))


def now() -> datetime:
    """The moment of recording, UTC without a zone, as all times in a warehouse."""
    return datetime.now(UTC).replace(tzinfo=None)
