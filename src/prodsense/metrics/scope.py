"""What a request may name, and the request itself.

A `Scope` is one pack as the compiler sees it: metrics, dimensions, and the relations that they read with
columns, time and many-to-one references, whether a contracted table or a model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from prodsense.contracts.tables import Reference, Table
from prodsense.contracts.vocabulary import Dimension, Metric, Model, Query
from prodsense.errors import NotBuiltError, SqlError, UsageError, did_you_mean
from prodsense.metrics import periods

Describe = Callable[[str], Mapping[str, str] | None]


@dataclass(frozen=True)
class Relation:
    """A table, view or model as the compiler sees it.

    `columns` maps each column to its type in DuckDB's spelling; `time` is the column that dates a row.
    """

    name: str
    columns: Mapping[str, str]
    time: str = ""

    @property
    def bare(self) -> str:
        return self.name.rpartition(".")[2]

    def is_day(self, column: str) -> bool:
        """Whether `column` holds days rather than moments."""
        return self.columns.get(column, "").upper() == "DATE"


@dataclass(frozen=True)
class Scope:
    """One pack's definitions, and a way to look up the columns of relations that exist.

    `describe(relation)` returns the columns of a relation of the warehouse, or None where there is no such;
    without it (checks before any data) a model's columns are inferred from its SQL.
    """

    pack: str
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    dimensions: Mapping[str, Dimension] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    models: Mapping[str, Model] = field(default_factory=dict)
    queries: Mapping[str, Query] = field(default_factory=dict)
    describe: Describe | None = None
    #: Pre-aggregates that may be read instead of their sources' rows (`metrics.rollups`).
    rollups: tuple[Any, ...] = ()
    _cache: dict[str, Relation] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, pack: Any, describe: Describe | None = None) -> Scope:
        """The scope of a `prodsense.packs.Pack`; pass ``engine.columns`` as `describe` to run on a warehouse."""
        return cls(pack.name, pack.metrics, pack.dimensions, pack.tables, pack.models, pack.queries, describe)

    def bare(self, name: str) -> str:
        """`name` without this pack's prefix."""
        prefix, _, rest = name.rpartition(".")
        if prefix and prefix != self.pack:
            raise UsageError(f"{name} belongs to another pack than {self.pack}; one request reads one pack")
        return rest

    def metric(self, name: str) -> Metric:
        return self._named("metric", name, self.metrics)

    def dimension(self, name: str) -> Dimension:
        return self._named("dimension", name, self.dimensions)

    def query(self, name: str) -> Query:
        return self._named("query", name, self.queries)

    def _named(self, kind: str, name: str, known: Mapping[str, Any]) -> Any:
        found = known.get(self.bare(name))
        if found is None:
            hint = did_you_mean(self.bare(name), set(known)) or f" See: prodsense catalog --pack {self.pack}"
            raise UsageError(f"no {kind} named {name} in {self.pack}.{hint}")
        return found

    def full(self, relation: str) -> str:
        """The two-part name of a relation that is named bare or in full."""
        return relation if "." in relation else f"{self.pack}.{relation}"

    def is_model(self, full: str) -> bool:
        return self._declared(full)[1] is not None

    def relation(self, name: str, needed_by: str = "") -> Relation:
        """The relation called `name`; SqlError when unknown, NotBuiltError when its model was never built."""
        full = self.full(name)
        if full not in self._cache:
            self._cache[full] = self._load(full, needed_by)
        return self._cache[full]

    def _declared(self, full: str) -> tuple[Table | None, Model | None]:
        schema, _, bare = full.rpartition(".")
        if schema != self.pack:
            return None, None
        return self.tables.get(bare), self.models.get(bare)

    def references(self, full: str) -> tuple[Reference, ...]:
        """Many-to-one references of a relation, declared order; only those that point to a known key."""
        table, model = self._declared(full)
        declared = table.references if table else self._model_references(model) if model else ()
        return tuple(r for r in declared if set(r.target) in [set(key) for key in self.keys(r.table)])

    def keys(self, full: str) -> tuple[tuple[str, ...], ...]:
        """Column sets of which each identifies one row of a relation."""
        table, model = self._declared(full)
        if table:
            return tuple(key for key in (table.primary_key, *table.uniques) if key)
        return (model.key,) if model and model.key else ()

    def time(self, full: str) -> str:
        """The column that dates a relation's rows, or an empty string."""
        table, model = self._declared(full)
        found = table or model
        return found.time or found.partition if found else ""

    def _load(self, full: str, needed_by: str) -> Relation:
        table, model = self._declared(full)
        by = f"{needed_by}: " if needed_by else ""
        if table is not None:
            columns = {column.name: column.type for column in table.columns.values()}
            return Relation(full, columns, table.time or table.partition)
        if model is not None:
            known = self.describe(full) if self.describe else inferred_columns(self, model)
            if not known:
                raise NotBuiltError(f"{by}{full} was never built; run: prodsense build --pack {self.pack}")
            return Relation(full, dict(known), model.time or model.partition)
        known = self.describe(full) if self.describe else _system_columns(full)
        if not known:
            bare, names = full.rpartition(".")[2], [*self.tables, *self.models]
            raise SqlError(f"{by}no table or model named {full}.{did_you_mean(bare, names)}")
        return Relation(full, dict(known))

    def _model_references(self, model: Model) -> tuple[Reference, ...]:
        found = []
        for column, target in model.references.items():
            full = self.full(target)
            bare = full.rpartition(".")[2]
            if bare in self.tables:
                key = self.tables[bare].primary_key or self.tables[bare].key
            elif bare in self.models:
                key = self.models[bare].key
            else:
                raise SqlError(f"{model.path or model.name}: references {target}, which is no table or model")
            if len(key) != 1:
                raise SqlError(
                    f"{model.path or model.name}: {column} references {target}, whose key is not one column"
                )
            found.append(Reference((column,), full, key))
        return tuple(found)


def _system_columns(relation: str) -> Mapping[str, str] | None:
    """Columns of one of the warehouse's own tables, known without a warehouse."""
    from prodsense.ingest.ledger import TABLES

    return TABLES.get(relation)


def inferred_columns(scope: Scope, model: Model) -> dict[str, str]:
    """Output columns of a model's SELECT with their types, as far as SQLGlot can tell without an engine."""
    return dict(_inferred(model.sql, model.path or model.name, scope.pack, _schema_of(scope, model)))


def _schema_of(scope: Scope, model: Model) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    from prodsense.contracts.sql import parse_select, sources

    relations = []
    for name in sorted(sources(parse_select(model.sql, model.path or model.name), scope.pack)):
        if name == scope.full(model.name):
            raise SqlError(f"{model.path or model.name}: reads itself")
        relations.append((name, tuple(scope.relation(name, model.path or model.name).columns.items())))
    return tuple(relations)


@lru_cache(maxsize=256)
def _inferred(
    sql: str, origin: str, pack: str, schema: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
) -> tuple[tuple[str, str], ...]:
    from sqlglot import exp
    from sqlglot.optimizer.annotate_types import annotate_types

    from prodsense.contracts.sql import bind_columns, parse_select, qualify_tables
    from prodsense.engines.dialect import expand_macros

    tree = expand_macros(qualify_tables(parse_select(sql, origin), pack), "duckdb")
    bound = bind_columns(tree, {name: dict(columns) for name, columns in schema}, origin)
    typed = annotate_types(bound, dialect="duckdb")
    assert isinstance(typed, exp.Query)
    return tuple(
        (item.alias_or_name.lower(), item.type.sql("duckdb") if item.type else "") for item in typed.selects
    )


@dataclass(frozen=True, init=False)
class Request:
    """What is asked of the metrics, read and checked from what users type.

    `since` is inside and `until` outside, both midnights in `tz`. `as_of` None means the newest moment of the
    sources; a day means its end. An empty `grain` means the metrics' own. Which rows count at all is not asked but
    granted: see `privacy.guard`.
    """

    metrics: tuple[str, ...]
    by: tuple[str, ...]
    grain: str
    since: date | None
    until: date | None
    where: str
    compare: str
    as_of: datetime | None
    tz: str

    def __init__(
        self,
        metrics: str | Iterable[str],
        by: str | Iterable[str] = (),
        grain: str | None = None,
        since: date | str | None = None,
        until: date | str | None = None,
        where: str | None = None,
        compare: str | None = None,
        as_of: datetime | date | str | None = None,
        tz: str = "UTC",
    ) -> None:
        """Raises UsageError that says which part is wrong."""
        names = (metrics,) if isinstance(metrics, str) else tuple(metrics)
        slices = (by,) if isinstance(by, str) else tuple(by or ())
        if not names:
            raise UsageError("name at least one metric; see: prodsense catalog --kind metric")
        for what, values in (("metric", names), ("dimension", slices)):
            twice = next((v for i, v in enumerate(values) if v in values[:i]), None)
            if twice is not None:
                raise UsageError(f"{what} {twice} is asked for twice")
        if grain and grain not in periods.GRAINS:
            raise UsageError(f"grain {grain!r} is none of {', '.join(periods.GRAINS)}")
        if compare and compare not in ("previous", "year"):
            raise UsageError(f"compare {compare!r} is neither previous nor year")
        periods.zone(tz)
        first = periods.read_day(since, "since") if since is not None else None
        end = periods.read_day(until, "until") if until is not None else None
        moment = periods.read_moment(as_of, tz) if as_of is not None else None
        for what, day in (("since", first), ("until", end), ("as_of", moment)):
            if day and not 1000 <= day.year <= 9000:
                raise UsageError(f"{what} {day} is outside the years 1000 to 9000")
        if first and end and first >= end:
            raise UsageError(f"since {first} is not before until {end} (until is outside the window)")
        read: dict[str, Any] = {
            "metrics": names, "by": slices, "grain": grain or "", "since": first, "until": end,
            "where": (where or "").strip(), "compare": compare or "", "as_of": moment, "tz": tz,
        }
        for name, value in read.items():
            object.__setattr__(self, name, value)
