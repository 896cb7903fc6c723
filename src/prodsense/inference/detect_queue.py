"""The action queue: findings that somebody has to look at, one row each in `prodsense.findings`.

A finding is the same as another when detector, subject and metric are. While one is open or acknowledged, seeing it
again only renews it; once closed, it is raised again when it is seen more than the detector's cooldown after it was
last seen. Days are those of the data (`as_of`), never the clock's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from prodsense.errors import ProdsenseError, UnknownNameError, UsageError, did_you_mean
from prodsense.inference.detect import COLUMNS, Findings, findings

if TYPE_CHECKING:
    from prodsense.engines.base import Engine

QUEUE = "prodsense.findings"

STATES = ("open", "ack", "closed")

_TYPES = {
    "id": "VARCHAR", "state": "VARCHAR",
    **{name: "VARCHAR" if kind == "string" else "DOUBLE" for name, kind in COLUMNS.items()},
    "first_seen": "DATE", "last_seen": "DATE", "times": "BIGINT", "cooldown": "BIGINT", "note": "VARCHAR",
    "assignee": "VARCHAR", "snoozed_until": "DATE",
}


def record(engine: Engine, found: Findings, cooldowns: Mapping[str, int], day: date) -> Findings:
    """Put findings of `day` into the queue; returns them with their ``id`` and ``queue`` state.

    The state is ``new``, the state of the item that was renewed (open, ack), or ``quiet`` within the cooldown.
    """
    if engine.read_only:
        raise ProdsenseError("the warehouse is open for reading only; the queue cannot be written")
    with engine.transaction():
        return _record(engine, found, cooldowns, day)


def _record(engine: Engine, found: Findings, cooldowns: Mapping[str, int], day: date) -> Findings:
    engine.create_table(QUEUE, _TYPES)
    items = {row["id"]: row for row in _read(engine)}
    latest: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in sorted(items.values(), key=lambda item: (item["first_seen"], item["id"])):
        latest[_key(row)] = row
    told = []
    for row in found.rows:
        known = latest.get(_key(row))
        if known is not None and known["last_seen"] > day:
            told.append({**row, "id": known["id"], "queue": known["state"]})  # an older day looked at again
            continue
        if known is not None and known["state"] != "closed":
            items[known["id"]] = latest[_key(row)] = _renewed(known, row, day)
            told.append({**row, "id": known["id"], "queue": known["state"]})
            continue
        cooldown = cooldowns.get(row["detector"], 0)
        if known is not None and day <= known["last_seen"] + timedelta(days=cooldown):
            items[known["id"]] = latest[_key(row)] = _renewed(known, row, day)
            told.append({**row, "id": known["id"], "queue": "quiet"})
            continue
        item = {
            **{name: row[name] for name in COLUMNS}, "id": _id(row, day), "state": "open", "first_seen": day,
            "last_seen": day, "times": 1, "cooldown": cooldown, "note": None, "assignee": None, "snoozed_until": None,
        }
        items[item["id"]] = latest[_key(row)] = item
        told.append({**row, "id": item["id"], "queue": "new"})
    _write(engine, items.values())
    fresh = sum(row["queue"] == "new" for row in told)
    line = f"queue: {fresh} new, {len(told) - fresh} known already; see: prodsense findings"
    return findings(told, {**found.extras, "raised": fresh}, [*found.notes, line])


def queue(
    engine: Engine, state: str | None = None, *, ack: Sequence[str] = (), close: Sequence[str] = (),
    reopen: Sequence[str] = (), snooze: Sequence[str] = (), until: date | None = None, assign: Sequence[str] = (),
    to: str | None = None, note: str | None = None,
) -> Findings:
    """What `Warehouse.findings` answers: the items that were changed, or those of a state."""
    changes: list[tuple[Sequence[str], dict[str, Any]]] = [
        (ack, {"state": "ack"}), (close, {"state": "closed", "snoozed_until": None}),
        (reopen, {"state": "open", "snoozed_until": None}),
    ]
    if snooze:
        if until is None:
            raise UsageError("say until which day the findings are snoozed (until)")
        changes.append((snooze, {"snoozed_until": until}))
    elif until is not None:
        raise UsageError("until goes with snooze")
    if assign:
        changes.append((assign, {"assignee": (to or "").strip() or None}))
    elif to is not None:
        raise UsageError("to goes with assign")
    asked = [(ids, change) for ids, change in changes if ids]
    if not asked:
        return listed(engine, state)
    with engine.transaction():
        rows = [change_items(engine, ids, change, note) for ids, change in asked]
    import pyarrow as pa

    return Findings(arrow=pa.concat_tables([part.arrow for part in rows]), title="queue")


def listed(engine: Engine, state: str | None = None) -> Findings:
    """Items of the queue, worst and newest first; those not closed unless `state` is given (or ``all``).

    `snoozed_until` is the first day on which a finding is to be shown again; what hides it until then is the page.
    """
    if state is not None and state not in (*STATES, "all"):
        raise UsageError(f"state is one of {', '.join(STATES)} or all, not {state!r}")
    import pyarrow as pa

    rows = [
        row for row in _read(engine)
        if state == "all" or (row["state"] == state if state else row["state"] != "closed")
    ]
    rank = {"critical": 0, "warning": 1, "info": 2}
    rows.sort(key=lambda row: (rank[row["severity"]], -row["last_seen"].toordinal(), row["id"]))
    shape = _schema()
    return Findings(arrow=pa.Table.from_pylist(rows, schema=shape), title="queue")


def change_items(
    engine: Engine, ids: Iterable[str], change: Mapping[str, Any], note: str | None = None
) -> Findings:
    """Change items by id (or the beginning of one); returns them."""
    rows = {row["id"]: row for row in _read(engine)}
    changed = []
    for given in ids:
        matches = [key for key in rows if key.startswith(given)] if given else []
        if len(matches) != 1:
            why = "is the beginning of several" if matches else "is none"
            raise UnknownNameError(f"{given!r} {why} of the queue's ids.{did_you_mean(given, set(rows))}")
        rows[matches[0]] = {**rows[matches[0]], **change, **({"note": note} if note else {})}
        changed.append(rows[matches[0]])
    _write(engine, rows.values())
    import pyarrow as pa

    return Findings(arrow=pa.Table.from_pylist(changed, schema=_schema()), title="queue")


def _key(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["detector"], row["subject"], row["metric"] or ""


def _id(row: Mapping[str, Any], day: date) -> str:
    return hashlib.sha256("\x1f".join([*_key(row), day.isoformat()]).encode()).hexdigest()[:12]


def _renewed(item: Mapping[str, Any], row: Mapping[str, Any], day: date) -> dict[str, Any]:
    """An item with what was seen of it last; a day counts once, however often it is looked at."""
    times = item["times"] + (day > item["last_seen"])
    return {**item, **{name: row[name] for name in COLUMNS}, "last_seen": day, "times": times}


def _schema() -> Any:
    import pyarrow as pa

    kinds = {"VARCHAR": pa.string(), "DOUBLE": pa.float64(), "DATE": pa.date32(), "BIGINT": pa.int64()}
    return pa.schema([(name, kinds[kind]) for name, kind in _TYPES.items()])


def _read(engine: Engine) -> list[dict[str, Any]]:
    there = engine.columns(QUEUE)
    if there is None:
        return []
    # A queue of an older version lacks columns until it is written next.
    known = [name for name in _TYPES if name in there]
    rows = engine.query(f"SELECT {', '.join(known)} FROM {QUEUE}").to_pylist()
    return [{name: row.get(name) for name in _TYPES} for row in rows]


def _write(engine: Engine, rows: Iterable[Mapping[str, Any]]) -> None:
    import pyarrow as pa

    engine.create_table(QUEUE, _TYPES)
    engine.overwrite(QUEUE, pa.Table.from_pylist([dict(row) for row in rows], schema=_schema()))
