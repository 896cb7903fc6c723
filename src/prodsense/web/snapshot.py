"""One version of the data as readers see it: what is true for all of them is found out once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from prodsense.errors import NotBuiltError
from prodsense.warehouse import Warehouse

if TYPE_CHECKING:
    from prodsense.engines.duckdb import DuckDBReader


class Version:
    """What is known of one version, shared by all who read it: its number, its relations, which models are built."""

    def __init__(self, seq: int, relations: Mapping[str, tuple[str, dict[str, str]]]):
        self.seq = seq
        self.relations = relations
        self.packs: tuple[str, ...] | None = None
        #: (pack, relations read) → why they cannot be read; empty where they can.
        self.rollups: dict[str, tuple[Any, ...]] = {}
        self.ready: dict[tuple[str, frozenset[str] | None], str] = {}


class Snapshot(Warehouse):
    """A warehouse in one version. It builds nothing: what is not built is said."""

    def __init__(self, engine: DuckDBReader, version: Version):
        super().__init__(engine)
        self.version = version

    @property
    def packs(self) -> tuple[str, ...]:
        if self.version.packs is None:
            self.version.packs = super().packs
        return self.version.packs

    def rollups(self, pack: str) -> tuple[Any, ...]:
        if pack not in self.version.rollups:
            from prodsense.metrics.rollups import fresh_rollups

            self.version.rollups[pack] = fresh_rollups(self.engine, pack, *self.definitions([pack]))
        return self.version.rollups[pack]

    def ready(self, pack: str, relations: Iterable[str] | None = None) -> None:
        key = (pack, None if relations is None else frozenset(relations))
        if key not in self.version.ready:
            try:
                super().ready(pack, key[1])
            except NotBuiltError as error:
                self.version.ready[key] = error.message
            else:
                self.version.ready[key] = ""
        if self.version.ready[key]:
            raise NotBuiltError(self.version.ready[key])


def state_of(engine: Any) -> tuple[Any, ...]:
    """What readers know by version besides the rows: relations, their columns, the texts of views."""
    views = engine.raw(
        "SELECT schema_name, view_name, sql FROM duckdb_views() WHERE database_name = 'warehouse' AND NOT internal"
        " ORDER BY 1, 2"
    ).fetchall()
    return engine.described(), views
