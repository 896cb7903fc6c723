"""Rebuild history when what a metric or a session means has changed, and keep which version of it the models hold."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from prodsense.errors import NotBuiltError

from .people import PACK

if TYPE_CHECKING:
    from prodsense.warehouse import Warehouse

#: One row a version: the definitions that the models were built by, from then on.
VERSIONS = "stickiness.definition_versions"
_COLUMNS = {"version": "BIGINT", "fingerprint": "VARCHAR", "definitions": "VARCHAR", "newest_event": "TIMESTAMP"}

#: What the meaning of a number hangs on, by name: rows in an order of their own.
_SOURCES = {
    "settings": "SELECT setting, value FROM stickiness.settings ORDER BY setting",
    "active_event_types": "SELECT event_type, qualifies FROM stickiness.active_event_types ORDER BY event_type",
    "metric_registry": (
        "SELECT metric_name, version, definition, active_definition FROM stickiness.metric_registry"
        " QUALIFY ROW_NUMBER() OVER (PARTITION BY metric_name ORDER BY version DESC) = 1 ORDER BY metric_name"
    ),
}


def definitions(warehouse: Warehouse) -> dict[str, str]:
    """A hash of each source of definitions: the settings, the active rule, the registry, and the models' own SQL."""
    warehouse.ready(PACK, ["settings", "active_event_types", "metric_registry"])
    found = {name: _hash(warehouse.engine.query(sql).to_pylist()) for name, sql in _SOURCES.items()}
    models = warehouse.pack(PACK).models
    return {**found, "models": _hash([[name, model.sql] for name, model in sorted(models.items())])}


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def recalculate(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Compare the definitions with those of the last version; where they differ, build all and record the next one.

    One row: version, what changed, models and rows built. The first run records version 1.
    """
    import pyarrow as pa

    now = definitions(warehouse)
    engine = warehouse.engine
    if engine.columns(VERSIONS) is None:
        engine.create_table(VERSIONS, _COLUMNS)
    kept = engine.query(
        f"SELECT version, definitions FROM {VERSIONS} ORDER BY version DESC LIMIT 1"
    ).to_pylist()
    before = json.loads(kept[0]["definitions"]) if kept else {}
    changed = [name for name in now if now[name] != before.get(name)]
    if not changed:
        return [{"version": kept[0]["version"], "changed": "nothing", "models_built": 0, "state": "up to date"}]
    report = warehouse.build(PACK, full=True)
    failed = [entry.model for entry in report if entry.mode in ("failed", "skipped")]
    if failed:
        raise NotBuiltError(f"{failed[0]} could not be built anew; the definitions stay at their last version")
    version = kept[0]["version"] + 1 if kept else 1
    newest = engine.query("SELECT MAX(occurred_at) AS newest FROM stickiness.event_log")["newest"][0].as_py()
    engine.append(VERSIONS, pa.table({
        "version": pa.array([version], pa.int64()), "fingerprint": [_hash(now)], "definitions": [json.dumps(now)],
        "newest_event": pa.array([newest], pa.timestamp("us")),
    }))
    return [
        {
            "version": version,
            "changed": ", ".join(changed) if kept else "first version",
            "models_built": len(list(report)),
            "state": "recalculated",
        }
    ]
