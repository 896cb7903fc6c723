"""Pre-aggregates: what the declared dashboards ask for, summed by day and slice, and asked instead of the rows.

A rollup holds, for one source, sums, counts and extremes (*atoms*) by day and the dashboards' dimensions. A metric is
read from it when all of its aggregates can be made of atoms, and only then: counts, sums, means, shares, minimum,
maximum, and distinct counts of the source's own key. Everything else, every other dimension, zone or moment (`as_of`),
reads the rows as before. The numbers are the same; floating sums, added up in another order, agree to nine digits as
everywhere (docs/sql.md).

Rollups are models that nobody declares: `build` keeps them fresh by partition, and one that is not wholly up to date
with what it reads is not used.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from prodsense.contracts.sql import parse, placeholders
from prodsense.contracts.vocabulary import Chart, Dashboard, Metric, Model
from prodsense.engines.base import SYSTEM_SCHEMA
from prodsense.errors import NotBuiltError, ProdsenseError
from prodsense.metrics.definitions import Definition, aggregates, define, leaves
from prodsense.metrics.rows import Context, Rows
from prodsense.metrics.scope import Relation, Request, Scope

if TYPE_CHECKING:
    from sqlglot import exp

    from prodsense.contracts.tables import Table
    from prodsense.engines.base import Engine
    from prodsense.metrics.parts import Part

RECORDS = f"{SYSTEM_SCHEMA}.rollups"
_COLUMNS = {"relation": "VARCHAR", "pack": "VARCHAR", "about": "VARCHAR"}

#: A rollup with more rows than this share of its source's gives up dimensions: it would save nothing.
MOST_ROWS = 0.1
#: Columns of a rollup beside its dimensions and atoms (a1, a2, ...).
DAY, PART = "rollup_day", "rollup_part"


@dataclass(frozen=True)
class Rollup:
    """What a rollup holds. `homes` are the dimensions with where they were read (a dimension that is declared anew is
    another one), `reads` the relations and columns that went into it."""

    relation: str
    source: str
    time: str
    homes: Mapping[str, str]
    atoms: tuple[str, ...]
    reads: Mapping[str, tuple[str, ...]]
    columns: Mapping[str, str] = field(default_factory=dict)

    def column(self, atom: str) -> str:
        """The column of an atom."""
        return f"a{self.atoms.index(atom) + 1}"


# -- taking a metric apart -----------------------------------------------------------------------------


def taken_apart(definition: Definition, scope: Scope) -> tuple[exp.Expression, dict[str, str]] | None:
    """A metric's value over atoms, each a column named by its number, and atom → that name; None where it has none."""
    from sqlglot import exp

    if placeholders(definition.value) or (definition.where is not None and placeholders(definition.where)):
        return None
    atoms: dict[str, str] = {}

    def take(call: exp.Expression, condition: exp.Expression | None) -> exp.Column:
        if condition is not None:
            call = exp.Filter(this=call, expression=exp.Where(this=condition.copy()))
        return exp.column(atoms.setdefault(call.sql("duckdb"), f"atom_{len(atoms) + 1}"))

    value: exp.Expression = exp.Paren(this=definition.value.copy())
    for call in aggregates(value):
        place, condition = call, definition.where
        if isinstance(call.parent, exp.Filter):
            place, inner = call.parent, call.parent.expression.this
            condition = exp.and_(condition.copy(), inner.copy()) if condition is not None else inner
        made = _made_of(call, condition, take, definition, scope)
        if made is None:
            return None
        place.replace(made)
    return value.this, atoms


def _made_of(
    call: exp.Expression, condition: exp.Expression | None, take: Any, definition: Definition, scope: Scope
) -> exp.Expression | None:
    """One aggregate out of atoms."""
    from sqlglot import exp

    def counted(what: exp.Expression, where: exp.Expression | None = condition) -> exp.Expression:
        return exp.cast(exp.Sum(this=take(exp.Count(this=what), where)), "BIGINT")

    def both(other: exp.Expression) -> exp.Expression:
        return other.copy() if condition is None else exp.and_(condition.copy(), other.copy())

    match call:
        case exp.Count() if isinstance(call.this, exp.Distinct):
            names = call.this.expressions
            key = (names[0].name.lower(),) if len(names) == 1 and isinstance(names[0], exp.Column) else ()
            return counted(names[0].copy()) if key in scope.keys(definition.relation.name) else None
        case exp.Count() if not call.expressions:
            return counted(call.this.copy())
        case exp.CountIf():
            return counted(exp.Star(), both(call.this))
        case exp.Sum() | exp.Min() | exp.Max() if not isinstance(call.this, exp.Distinct) and not call.expressions:
            return type(call)(this=take(type(call)(this=call.this.copy()), condition))
        case exp.Anonymous() if call.name.lower() == "mean":
            what = call.expressions[0]
            total = exp.Sum(this=take(exp.Sum(this=exp.cast(what.copy(), "DOUBLE")), condition))
            return exp.Anonymous(this="ratio", expressions=[total, counted(what.copy())])
        case exp.Anonymous() if call.name.lower() == "share":
            what = call.expressions[0]
            true = counted(exp.Star(), both(exp.Paren(this=what)))
            return exp.Anonymous(this="ratio", expressions=[true, counted(what.copy())])
    return None


def _plain(metric: Metric) -> bool:
    return not (metric.rolling or metric.per or metric.last or metric.matures or metric.as_of)


# -- choosing and building -----------------------------------------------------------------------------


def chosen(scope: Scope, dashboards: Iterable[Dashboard], charts: Mapping[str, Chart]) -> list[Rollup]:
    """A rollup for each source of the dashboards' metrics, with the dimensions of their charts, then of their filters.

    They are as the dashboards would have them; `fitting` looks at the data.
    """
    asked: dict[tuple[str, str], tuple[dict[str, None], dict[str, None], dict[str, None]]] = {}
    for dashboard in dashboards:
        for names, by in _requests(dashboard, charts):
            for name in names:
                for leaf in leaves(scope, scope.metrics[name]) if name in scope.metrics else ():
                    try:
                        definition = define(scope, leaf)
                    except NotBuiltError:
                        continue
                    found = taken_apart(definition, scope) if _plain(leaf) and definition.time else None
                    if found is None:
                        continue
                    shown, filtered, atoms = asked.setdefault((definition.relation.name, definition.time), ({}, {}, {}))
                    atoms |= dict.fromkeys(found[1])
                    atoms[_matched(definition)] = None
                    shown |= dict.fromkeys(by)
                    filtered |= dict.fromkeys(dashboard.by)
    return [
        _rollup(scope, source, time, [*shown, *(d for d in filtered if d not in shown)], tuple(atoms))
        for (source, time), (shown, filtered, atoms) in asked.items()
    ]


def _requests(dashboard: Dashboard, charts: Mapping[str, Chart]) -> Iterable[tuple[tuple[str, ...], tuple[str, ...]]]:
    for section in dashboard.sections:
        yield section.metrics, ()
        for named in section.charts:
            chart = charts.get(named) if isinstance(named, str) else named
            if chart is not None and chart.metrics:
                yield chart.metrics, chart.by


def _matched(definition: Definition) -> str:
    """The atom that counts the rows a metric reads."""
    from sqlglot import exp

    call: exp.Expression = exp.Count(this=exp.Star())
    if definition.where is not None:
        call = exp.Filter(this=call, expression=exp.Where(this=definition.where.copy()))
    return call.sql("duckdb")


def _rollup(scope: Scope, source: str, time: str, dimensions: list[str], atoms: tuple[str, ...]) -> Rollup:
    homes: dict[str, str] = {}
    for name in dimensions:
        try:
            _rows(scope, source, time).dimension(scope.dimension(name))
        except ProdsenseError:
            continue  # this source cannot be sliced by it
        homes[name] = _home(scope, name)
    pack, _, bare = source.rpartition(".")
    return Rollup(f"{pack}.rollup_{bare}_{time}", source, time, homes, atoms, {})


def _home(scope: Scope, dimension: str) -> str:
    return json.dumps(sorted(scope.dimension(dimension).at.items()))


def _rows(scope: Scope, source: str, time: str) -> Rows:
    return Rows(Context(scope, Request("rollup"), "day"), scope.relation(source), time)


def select_of(rollup: Rollup, scope: Scope) -> tuple[exp.Select, dict[str, tuple[str, ...]], str]:
    """The SELECT that makes a rollup, what it reads (relation → columns), and its partition column."""
    from sqlglot import exp

    rows = _rows(scope, rollup.source, rollup.time)
    part = _partition(scope, rollup.source)
    keys: dict[str, exp.Expression] = {PART: rows.column(part)} if part else {}
    keys[DAY] = rows.period("day")
    keys |= {name: rows.dimension(scope.dimension(name)) for name in rollup.homes}
    items = [exp.alias_(value, name, quoted=True) for name, value in keys.items()]
    items += [exp.alias_(rows.own(parse(atom)), rollup.column(atom)) for atom in rollup.atoms]
    aliases = {rows.alias: rollup.source} | {alias: path[-1].table for path, alias in rows._joins.items()}
    reads: dict[str, set[str]] = {relation: set() for relation in aliases.values()}
    for item in items:
        for column in item.find_all(exp.Column):
            reads[aliases[column.table]].add(column.name)
    for path in rows._joins:
        reads[path[-1].table] |= set(path[-1].target)
    known = exp.Not(this=exp.Is(this=rows.column(rollup.time), expression=exp.Null()))
    query = rows.select(items, [known])
    query = query.group_by(*(exp.Literal.number(i + 1) for i in range(len(keys))), copy=False)
    return query, {relation: tuple(sorted(columns)) for relation, columns in reads.items()}, part


def _partition(scope: Scope, source: str) -> str:
    bare = source.rpartition(".")[2]
    declared = scope.models.get(bare) or scope.tables.get(bare)
    part = declared.partition if declared else ""
    return part if part in scope.relation(source).columns else ""


def fitting(engine: Engine, rollup: Rollup, scope: Scope) -> Rollup | None:
    """The rollup with as many of its dimensions, from the first on, as the data leave small; None for none worth it."""
    from prodsense.engines.base import quoted

    rows = engine.query(f"SELECT COUNT(*) AS n FROM {quoted(rollup.source)}")["n"][0].as_py()
    kept = list(rollup.homes)
    while True:
        tried = replace(rollup, homes={name: rollup.homes[name] for name in kept})
        select, _, _ = select_of(replace(tried, atoms=()), scope)
        groups = engine.query(f"SELECT COUNT(*) AS n FROM ({select.sql('duckdb')}) AS groups")["n"][0].as_py()
        if groups <= MOST_ROWS * rows:
            return tried
        if not kept:
            return None
        kept.pop()


def build_rollups(
    engine: Engine, pack: Any, models: Mapping[str, Model], tables: Mapping[str, Table], *, full: bool = False
) -> list[Rollup]:
    """Bring the rollups of a pack's dashboards up to date; its models have been built. Returns those that are there.

    Dimensions are chosen once: they stay while the dashboards ask for the same, or until a `full` build.
    """
    from prodsense.build import build

    scope = Scope.of(pack, engine.columns)
    before = {one.relation: one for one in _recorded(engine) if one.source.split(".")[0] == pack.name}
    found: list[Rollup] = []
    made: dict[str, Model] = {}
    for wanted in chosen(scope, pack.dashboards.values(), pack.charts):
        known = before.get(wanted.relation)
        same = known is not None and known.atoms == wanted.atoms and known.homes.items() <= wanted.homes.items()
        rollup = known if same and not full else fitting(engine, wanted, scope)
        if rollup is None:
            continue
        select, reads, part = select_of(rollup, scope)
        found.append(replace(rollup, reads=reads))
        made[rollup.relation] = Model(
            rollup.relation.rpartition(".")[2], f"Sums of {rollup.source} for dashboards.", select.sql("duckdb"),
            key=(*((PART,) if part else ()), DAY, *rollup.homes), partition=PART if part else "",
        )
    if made:
        report = build(engine, {**models, **made}, tables, only=list(made), full=full)
        if failed := [one for one in report.failed if one.model in made]:
            raise ProdsenseError(f"{failed[0].model} could not be built: {failed[0].reason}")
    for relation in before.keys() - made.keys():
        engine.drop(relation)
    _record(engine, pack.name, found)
    return found


def _recorded(engine: Engine) -> list[Rollup]:
    if engine.columns(RECORDS) is None:
        return []
    rows = engine.query(f"SELECT relation, about FROM {RECORDS}").to_pylist()
    return [_read(row["relation"], json.loads(row["about"])) for row in rows]


def _read(relation: str, about: Mapping[str, Any]) -> Rollup:
    reads = {name: tuple(columns) for name, columns in about["reads"].items()}
    return Rollup(relation, about["source"], about["time"], about["homes"], tuple(about["atoms"]), reads)


def _record(engine: Engine, pack: str, rollups: Iterable[Rollup]) -> None:
    import pyarrow as pa

    engine.create_table(RECORDS, _COLUMNS)
    others = engine.query(f"SELECT relation, pack, about FROM {RECORDS} WHERE pack <> :pack", {"pack": pack})
    own = [
        {"relation": one.relation, "pack": pack, "about": json.dumps({
            "source": one.source, "time": one.time, "homes": dict(one.homes), "atoms": list(one.atoms),
            "reads": {name: list(columns) for name, columns in one.reads.items()},
        })}
        for one in rollups
    ]  # fmt: skip
    engine.overwrite(RECORDS, pa.concat_tables([others, pa.Table.from_pylist(own, schema=others.schema)]))


def fresh_rollups(
    engine: Engine, pack: str, models: Mapping[str, Model], tables: Mapping[str, Table]
) -> tuple[Rollup, ...]:
    """The rollups of a pack that hold exactly what their sources hold now."""
    from prodsense.build.graph import Graph
    from prodsense.build.state import read_states
    from prodsense.ingest.ledger import PARTITIONS

    recorded = [one for one in _recorded(engine) if one.source.split(".")[0] == pack]
    if not recorded:
        return ()
    touched = {
        row["relation"]: row["seq"] for row in engine.query(
            f"SELECT relation, MAX(seq) AS seq FROM {PARTITIONS} GROUP BY relation"
        ).to_pylist()
    }  # fmt: skip
    graph, states = Graph(models, tables), read_states(engine)
    found = []
    for one in recorded:
        state = states.get(one.relation)
        columns = engine.columns(one.relation)
        if state is None or not columns or state.status != "built" or state.pending:
            continue
        stored = set[str]()
        for relation in one.reads:
            node = graph.nodes.get(relation)
            stored |= set(graph.bases[relation]) if node is not None and node.is_view else {relation}
        if all(touched.get(relation, 0) <= state.seq for relation in stored):
            found.append(replace(one, columns=columns))
    return tuple(found)


# -- asking ------------------------------------------------------------------------------------------


class RollupRows(Rows):
    """The rows of a rollup: days, dimensions as columns, atoms."""

    def __init__(self, context: Context, rollup: Rollup):
        self.rollup = rollup
        super().__init__(context, Relation(rollup.relation, rollup.columns, DAY), DAY)

    def dimension(self, dimension: Any) -> exp.Expression:
        return self.column(dimension.name)

    def _type(self, column: exp.Column) -> str:
        return self.rollup.columns.get(column.name, "")


def answering(part: Part, context: Context) -> Rollup | None:
    """A rollup that holds all that a part asks for; None where the rows must be read."""
    from sqlglot import exp

    request, shape = context.request, part.shape
    if not context.scope.rollups or shape.form != "plain" or shape.matures or request.tz != "UTC" or request.as_of:
        return None
    named = set(shape.by)
    if context.filter is not None:
        named |= {column.name for column in context.filter.find_all(exp.Column)}
    for rollup in context.scope.rollups:
        if rollup.source != shape.source or rollup.time != shape.time:
            continue
        # A name that is no dimension is a column of the source, which the rollup has not.
        if not named <= context.scope.dimensions.keys():
            continue
        if any(rollup.homes.get(name) != _home(context.scope, name) for name in named):
            continue
        if all(_held(rollup, definition, context.scope) for definition in part.measures.values()):
            return rollup
    return None


def _held(rollup: Rollup, definition: Definition, scope: Scope) -> bool:
    if not _plain(definition.metric) or _matched(definition) not in rollup.atoms:
        return False
    found = taken_apart(definition, scope)
    return found is not None and set(found[1]) <= set(rollup.atoms)


def rewritten(definition: Definition, rollup: Rollup, rows: RollupRows) -> exp.Expression:
    """A metric's value over the columns of a rollup."""
    from sqlglot import exp

    found = taken_apart(definition, rows.context.scope)
    assert found is not None
    value, atoms = found
    names = {name: rollup.column(atom) for atom, name in atoms.items()}
    holder = exp.Paren(this=value)
    for column in list(holder.find_all(exp.Column)):
        column.replace(rows.column(names[column.name]))
    return holder.this


def matched(part: Part, rollup: Rollup, rows: RollupRows) -> exp.Expression:
    """Above 0 where any metric of the part reads a row."""
    from sqlglot import exp

    counts = [exp.Sum(this=rows.column(rollup.column(_matched(d)))) for d in part.measures.values()]
    total: exp.Expression = counts[0]
    for count in counts[1:]:
        total = exp.Add(this=total, expression=count)
    return total
