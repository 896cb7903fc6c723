"""Build models: in order, each in one transaction, only the partitions that need it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from prodsense.build.compare import changed_keys, difference
from prodsense.build.graph import Graph, Node
from prodsense.build.narrow import narrowed, wrapped
from prodsense.build.partitions import condition, day_of, value_of, widen
from prodsense.build.plan import Plan, Planner, Window
from prodsense.build.report import BuildReport, Mode, ModelBuild, Restated, RestateReport
from prodsense.build.state import State, ensure_state, read_states, touched_since, write_state
from prodsense.engines.base import comma, quoted
from prodsense.errors import NotBuiltError, ProdsenseError, SqlError, UsageError, did_you_mean
from prodsense.ingest.ledger import current_seq, ensure_system_tables, touch

if TYPE_CHECKING:

    from prodsense.contracts.tables import Table
    from prodsense.contracts.vocabulary import Model
    from prodsense.engines.base import Engine

#: Called before each model: its name, its position from 0, the number of models.
Progress = Callable[[str, int, int], None]

#: Holds the rows of the partitions being computed, inside the model's transaction only.
_STAGE = "prodsense.stage"
#: Holds the rows as they were, inside a restatement's transaction only.
_BEFORE = "prodsense.before"
#: So many partitions of a full build are computed apart, to see whether the model's spread holds.
_SAMPLED_PARTITIONS = 2


class SpreadError(ProdsenseError):
    """A source row reaches partitions beyond the model's declared spread."""


def build(
    engine: Engine,
    models: Mapping[str, Model],
    tables: Mapping[str, Table],
    since: date | str | None = None,
    until: date | str | None = None,
    full: bool = False,
    only: Iterable[str] | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """Bring models up to date with their tables.

    `models` and `tables` are keyed by qualified name. `since` (inside) and `until` (outside) limit the work
    to those days; the others stay pending. `full` computes everything anew. `only` names the models
    wanted; those they stand on are built too.

    A model that fails keeps its last good version; its dependants are skipped; others go on. Nothing of
    this raises: see the report. SqlError for a cycle, UsageError for an unknown model or a bad window.
    """
    window = Window(day_of(since, "since"), day_of(until, "until"))
    graph = Graph(models, tables)
    names = graph.select(only)
    run = _Run(engine, graph)
    started = time.perf_counter()
    entries = []
    for position, name in enumerate(names):
        if progress:
            progress(name, position, len(names))
        entries.append(run.build(name, window, full))
    return BuildReport(tuple(entries), time.perf_counter() - started)


def restate(
    engine: Engine,
    models: Mapping[str, Model],
    tables: Mapping[str, Table],
    model: str,
    since: date | str | None = None,
    until: date | str | None = None,
    progress: Progress | None = None,
) -> RestateReport:
    """Compute the days from `since` (inside) until `until` (outside) of `model` anew, and what follows from them
    in the models that stand on it.

    A model without daily partitions is computed whole. Raises UsageError for an unknown model, NotBuiltError
    where there is nothing to restate.
    """
    window = Window(day_of(since, "since"), day_of(until, "until"))
    graph = Graph(models, tables)
    if model not in graph.nodes:
        raise UsageError(f"no model named {model}.{did_you_mean(model, list(graph.nodes))}")
    if graph.nodes[model].is_view:
        raise UsageError(f"{model} is a view: it is never out of date; restate a model that is stored")
    run = _Run(engine, graph)
    if not run.states.get(model, State(model)).sql_hash:
        raise NotBuiltError(f"{model} was never built; run `prodsense build` first")
    followers = graph.downstream(model)
    names = [name for name in graph.order if name == model or name in followers]
    entries = []
    for position, name in enumerate(names):
        if progress:
            progress(name, position, len(names))
        entry = run.build(name, window if name == model else Window(), False, forced=name == model, compare=True)
        if not graph.nodes[name].is_view:
            before, after, changed = run.compared.get(name, (0, 0, 0))
            entries.append(Restated(name, entry.mode, entry.partitions, before, after, changed, entry.reason))
    return RestateReport(tuple(entries))


def verify(
    engine: Engine, models: Mapping[str, Model], tables: Mapping[str, Table], only: Iterable[str] | None = None
) -> dict[str, tuple[int, int]]:
    """Compare each stored model with its SELECT over all data: the ground truth of an incremental build.

    Returns model → (rows only stored, rows only in the SELECT) for those that differ; costs a full build.
    Models that are not built are left out.
    """
    graph = Graph(models, tables)
    existing = engine.relations()
    found = {}
    for name in graph.select(only):
        node = graph.nodes[name]
        if node.is_view or node.error or name not in existing:
            continue
        columns = engine.columns(name) or {}
        removed, added = difference(engine, f"SELECT * FROM {quoted(name)}", engine_sql(node), columns)
        if removed or added:
            found[name] = (removed, added)
    return found


def engine_sql(node: Node) -> str:
    """The model's SELECT as text in the source dialect, tables qualified."""
    assert node.tree is not None
    return node.tree.sql("duckdb", comments=False)


@dataclass(frozen=True)
class _Done:
    """What computing a model left behind."""

    mode: Mode
    reason: str
    rows: int
    partitions: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    narrowable: bool = True


class _Run:
    """One pass over the graph: what exists, what is remembered, what went wrong so far."""

    def __init__(self, engine: Engine, graph: Graph):
        self.engine = engine
        self.graph = graph
        ensure_system_tables(engine)
        ensure_state(engine)
        self.states = read_states(engine)
        self.existing = engine.relations()
        self.broken: dict[str, str] = {}
        self.compared: dict[str, tuple[int, int, int]] = {}
        for relation, table in graph.tables.items():
            if relation not in self.existing:
                columns = {c.name: c.type for c in table.columns.values()}
                engine.create_table(relation, columns, table.partition)
                self.existing[relation] = "table"

    def build(
        self, name: str, window: Window, full: bool, *, forced: bool = False, compare: bool = False
    ) -> ModelBuild:
        """Build one model; never raises for what is wrong with it or its data."""
        started = time.perf_counter()
        node = self.graph.nodes[name]
        state = self.states.get(name, State(name))
        blocker = next((read for read in sorted(node.reads) if read in self.broken), None)
        if blocker:
            reason = f"{blocker} {self.broken[blocker]}"
            return self._gave_up(name, state, "skipped", reason, started)
        try:
            if node.error:
                raise SqlError(node.error)
            with self.engine.transaction():
                done, after = self._build(node, state, window, full, forced, compare)
        except ProdsenseError as error:
            return self._gave_up(name, state, "failed", error.message, started)
        self.states[name] = after
        self.existing[name] = node.model.kind
        return ModelBuild(
            name, done.mode, done.reason, done.partitions, done.late, done.pending, done.rows, after.rows,
            time.perf_counter() - started,
        )

    def _gave_up(self, name: str, state: State, mode: Mode, reason: str, started: float) -> ModelBuild:
        self.broken[name] = "failed" if mode == "failed" else "was skipped"
        after = replace(state, status=mode, error=reason)
        if after != state:
            write_state(self.engine, after)
        self.states[name] = after
        return ModelBuild(
            name, mode, reason, total_rows=state.rows, seconds=time.perf_counter() - started,
        )

    def _build(
        self, node: Node, state: State, window: Window, full: bool, forced: bool, compare: bool
    ) -> tuple[_Done, State]:
        name = node.name
        definition = definition_of(self.engine, self.graph, name)
        if self.existing.get(name, node.model.kind) != node.model.kind:
            self.engine.drop(name)
            del self.existing[name]
        if node.is_view:
            return self._view(node, state, definition)
        planner = Planner(self.engine, self.graph, name, state, definition, name in self.existing)
        seq = current_seq(self.engine)
        touched = touched_since(self.engine, self.graph.bases[name], state.seq)
        plan = planner.forced(window) if forced else planner.plan(touched, window, full)
        if plan.mode == "unchanged":
            after = replace(state, pending=plan.pending, status="built", error="")
            if touched:
                after = replace(after, seq=seq)
            if after != state:
                write_state(self.engine, after)
            return _Done("unchanged", "", 0, pending=plan.pending), after
        if compare and name in self.existing:
            self.engine.replace(_BEFORE, f"SELECT * FROM {quoted(name)}{_only(node, plan)}")
        done = self._compute(node, plan)
        if compare and name in self.existing:
            self._compare(node, plan if done.mode == "incremental" else Plan("full"))
            self.engine.drop(_BEFORE)
        touch(self.engine, name, list(done.partitions) if done.mode == "incremental" and not plan.create else [None])
        after = State(
            name, definition, state.seq if forced and done.mode == "incremental" else seq,
            datetime.now(UTC).replace(tzinfo=None), self._count(name), "built", "", done.pending,
            done.narrowable if done.mode == "full" else state.narrowable,
        )
        write_state(self.engine, after)
        return done, after

    def _view(self, node: Node, state: State, definition: str) -> tuple[_Done, State]:
        assert node.tree is not None
        self.engine.create_view(node.name, node.tree)
        if state.sql_hash == definition and state.status == "built":
            return _Done("view", "", 0), state
        after = State(
            node.name, definition, built_at=datetime.now(UTC).replace(tzinfo=None), status="built"
        )
        write_state(self.engine, after)
        return _Done("view", "", 0), after

    def _compute(self, node: Node, plan: Plan) -> _Done:
        if plan.mode == "incremental":
            try:
                return self._some_partitions(node, plan)
            except SpreadError as error:
                if plan.create:
                    raise
                return replace(self._whole(node, str(error)), narrowable=False)
        return self._whole(node, plan.reason)

    def _whole(self, node: Node, reason: str) -> _Done:
        assert node.tree is not None
        partition = node.model.partition
        select = node.tree
        if partition:
            # Rows in the order of the partition let later reads of some days skip the rest.
            from sqlglot import exp

            column = exp.column(exp.to_identifier(partition, quoted=True))
            select = wrapped(node.tree, "everything").order_by(column)
        rows = self.engine.replace(node.name, select, partition=partition)
        self._refuse_null_partitions(node)
        narrowable, note = self._spread_holds(node)
        return _Done("full", "; ".join(filter(None, (reason, note))), rows, narrowable=narrowable)

    def _some_partitions(self, node: Node, plan: Plan) -> _Done:
        from sqlglot import exp

        name, partition = node.name, node.model.partition
        column = exp.column(exp.to_identifier(partition, quoted=True))
        newest = None if plan.create else self._newest(node)
        if not plan.partitions:
            assert node.tree is not None
            empty = wrapped(node.tree, "nothing").where(exp.false())
            return _Done("incremental", plan.reason, self.engine.replace(name, empty), pending=plan.pending)
        self.engine.replace(_STAGE, narrowed(self.graph, name, plan.windows, plan.kind))
        self._check_reach(node, plan)
        wanted = condition(column, plan.partitions, plan.kind, nulls=True)
        staged = exp.select("*").from_(exp.to_table(_STAGE)).where(wanted)
        if plan.create:
            rows = self.engine.replace(name, staged.order_by(column), partition=partition)
        else:
            values = [value_of(p, plan.kind) for p in plan.partitions]
            rows = self.engine.replace_partitions(name, staged, partition, values)
        self.engine.drop(_STAGE)
        self._refuse_null_partitions(node)
        late = tuple(
            p for p in plan.touched if newest is not None and value_of(p, plan.kind) < value_of(newest, plan.kind)
        )
        return _Done("incremental", plan.reason, rows, plan.partitions, late, plan.pending)

    def _check_reach(self, node: Node, plan: Plan) -> None:
        """Rows that fall on partitions which the days read cannot reach by the spread prove it too small."""
        from sqlglot import exp

        reachable: set[str] = set()
        for relation, days in plan.windows.items():
            reach = node.model.spread_days + self.graph.bases[node.name][relation].spread
            reachable |= widen(days, reach, plan.kind)
        column = exp.column(exp.to_identifier(node.model.partition, quoted=True))
        outside = exp.not_(condition(column, reachable, plan.kind))
        rows = self.engine.query(
            exp.select(exp.alias_(exp.cast(exp.Min(this=column.copy()), "VARCHAR"), "day"))
            .from_(exp.to_table(_STAGE)).where(outside)
        )
        found = rows.column("day")[0].as_py()
        if found is not None:
            self.engine.drop(_STAGE)
            raise SpreadError(
                f"a row of {', '.join(sorted(plan.windows))} falls on partition {found}, further than the spread of"
                f" {node.model.spread_days} days; state a larger `spread` in {node.model.path or node.name}"
            )

    def _spread_holds(self, node: Node) -> tuple[bool, str]:
        """Compute the largest partitions apart and compare: do some days give the same rows as all days?"""
        from sqlglot import exp

        planner = Planner(self.engine, self.graph, node.name, State(node.name), "", True)
        if not node.model.partition or not planner.spreads:
            return True, ""
        column = comma([node.model.partition])
        sample = self.engine.query(
            f"SELECT CAST({column} AS VARCHAR) AS value, COUNT(*) AS n FROM {quoted(node.name)}"
            f" GROUP BY 1 ORDER BY n DESC, value LIMIT {_SAMPLED_PARTITIONS}"
        ).column("value").to_pylist()
        if not sample:
            return True, ""
        kind = planner.kind
        windows = {relation: widen(sample, spread, kind) for relation, spread in planner.spreads.items()}
        wanted = condition(exp.column(exp.to_identifier(node.model.partition, quoted=True)), sample, kind)
        stored = exp.select("*").from_(exp.to_table(quoted(node.name))).where(wanted).sql("duckdb")
        apart = wrapped(narrowed(self.graph, node.name, windows, kind), "apart").where(wanted)
        removed, added = difference(
            self.engine, stored, apart.sql("duckdb", comments=False), self.engine.columns(node.name) or {}
        )
        if not removed and not added:
            return True, ""
        return False, (
            f"computed apart, partitions {' and '.join(sample)} differ by {max(removed, added)} rows: the spread of"
            f" {node.model.spread_days} days is too small (or the SELECT has no one answer); built in full each time"
        )

    def _refuse_null_partitions(self, node: Node) -> None:
        partition = node.model.partition
        if not partition:
            return
        if partition not in (self.engine.columns(node.name) or {}):
            raise SqlError(f"{node.model.path or node.name}: its partition {partition} is no column of its SELECT")
        rows = self.engine.query(
            f"SELECT COUNT(*) AS n FROM {quoted(node.name)} WHERE {comma([partition])} IS NULL"
        ).column("n")[0].as_py()
        if rows:
            raise SqlError(
                f"{node.model.path or node.name}: {partition} is NULL in {rows} rows, which then belong to no"
                " partition; filter them out or give them a day"
            )

    def _compare(self, node: Node, plan: Plan) -> None:
        columns = self.engine.columns(node.name) or {}
        old_columns = self.engine.columns(_BEFORE) or {}
        old = f"SELECT {comma(columns)} FROM {_BEFORE}"
        new = f"SELECT {comma(columns)} FROM {quoted(node.name)}{_only(node, plan)}"
        before = self._count(_BEFORE)
        after = self.engine.query(f"SELECT COUNT(*) AS n FROM ({new}) AS m").column("n")[0].as_py()
        if set(columns) != set(old_columns):
            changed = max(before, after)
        elif node.model.key:
            changed = changed_keys(self.engine, old, new, columns, node.model.key)
        else:
            changed = max(difference(self.engine, old, new, columns))
        self.compared[node.name] = (before, after, changed)

    def _newest(self, node: Node) -> str | None:
        column = comma([node.model.partition])
        rows = self.engine.query(f"SELECT CAST(MAX({column}) AS VARCHAR) AS value FROM {quoted(node.name)}")
        return rows.column("value")[0].as_py()

    def _count(self, relation: str) -> int:
        return int(self.engine.query(f"SELECT COUNT(*) AS n FROM {quoted(relation)}").column("n")[0].as_py())


def _only(node: Node, plan: Plan) -> str:
    """A WHERE for the partitions of an incremental plan; empty for the whole model."""
    from sqlglot import exp

    if plan.mode != "incremental":
        return ""
    column = exp.column(exp.to_identifier(node.model.partition, quoted=True))
    return " WHERE " + condition(column, plan.partitions, plan.kind).sql("duckdb")


def definition_of(engine: Engine, graph: Graph, name: str) -> str:
    """Hash of all that decides the rows of `name` besides the data."""
    definition = graph.definition(name)
    if not graph.has_star(name):
        return definition
    columns = [sorted((engine.columns(read) or {}).items()) for read in sorted(graph.bases[name])]
    return hashlib.sha256(f"{definition}\n{columns}".encode()).hexdigest()
