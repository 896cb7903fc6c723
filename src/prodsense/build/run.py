"""Build models: in order, each in one transaction, only the partitions that need it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from prodsense.build.compare import changed_keys, difference
from prodsense.build.compute import Computed, Computer, count
from prodsense.build.graph import Graph, Node
from prodsense.build.partitions import column_of, condition, day_of, partition_type
from prodsense.build.plan import Plan, Planner, Window
from prodsense.build.report import BuildReport, Mode, ModelBuild, Restated, RestateReport
from prodsense.build.state import Catalog, Ledger, State, ensure_state, read_states, write_state
from prodsense.engines.base import comma, quoted
from prodsense.errors import NotBuiltError, ProdsenseError, SqlError, UsageError, did_you_mean
from prodsense.ingest.ledger import ensure_system_tables, now

if TYPE_CHECKING:

    from prodsense.contracts.tables import Table
    from prodsense.contracts.vocabulary import Model
    from prodsense.engines.base import Engine

#: Called before each model: its name, its position from 0, the number of models.
Progress = Callable[[str, int, int], None]

#: Holds the rows as they were, inside a restatement's transaction only.
_BEFORE = "prodsense.before"


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


class _Run:
    """One pass over the graph: what exists, what is remembered, what went wrong so far."""

    def __init__(self, engine: Engine, graph: Graph):
        self.engine = engine
        self.graph = graph
        ensure_system_tables(engine)
        ensure_state(engine)
        self.states = read_states(engine)
        self._look_again()
        self.broken: dict[str, str] = {}
        self.compared: dict[str, tuple[int, int, int]] = {}
        for relation, table in graph.tables.items():
            if self.catalog.kind(relation) is None:
                columns = {c.name: c.type for c in table.columns.values()}
                engine.create_table(relation, columns, table.partition)
                self.catalog.changed(relation, "table")

    def _look_again(self) -> None:
        """Forget what was seen of the engine: at the start, and when a transaction was rolled back."""
        self.catalog = Catalog(self.engine)
        self.computer = Computer(self.engine, self.graph, self.catalog, self.states)
        self.ledger = Ledger(self.engine, oldest_seq(self.graph, self.states))

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
            self._look_again()
            return self._gave_up(name, state, "failed", error.message, started)
        self.states[name] = after
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
        return ModelBuild(name, mode, reason, total_rows=state.rows, seconds=time.perf_counter() - started)

    def _build(
        self, node: Node, state: State, window: Window, full: bool, forced: bool, compare: bool
    ) -> tuple[Computed, State]:
        name = node.name
        definition = definition_of(self.catalog, self.graph, name)
        if self.catalog.kind(name) not in (None, node.model.kind):
            self.engine.drop(name)
            self.catalog.changed(name, None)
        if node.is_view:
            return self._view(node, state, definition)
        planner = Planner(self.engine, self.graph, self.catalog, self.states, name, definition)
        self.ledger.refresh()
        seq = self.ledger.seq
        touched = self.ledger.since(self.graph.bases[name], state.seq)
        plan = planner.forced(window) if forced else planner.plan(touched, window, full)
        if plan.mode == "unchanged":
            after = replace(state, pending=plan.pending, status="built", error="")
            if touched:
                after = replace(after, seq=seq)
            if after != state:
                write_state(self.engine, after)
            return Computed("unchanged", "", 0, pending=plan.pending), after
        compare = compare and planner.exists
        if compare:
            self.engine.replace(_BEFORE, f"SELECT * FROM {quoted(name)}{_only(node, plan)}")
        done = self.computer.compute(node, plan)
        if compare:
            self._compare(node, plan)
            self.engine.drop(_BEFORE)
        partly = done.mode == "incremental"
        self.ledger.touch(name, done.partitions if partly and not plan.create else [None])
        after = State(
            name, definition, state.seq if forced and partly else seq, now(), done.total, "built", "",
            done.pending, state.narrowable if partly else done.narrowable,
            (partly and state.partition_type) or self._partition_type(node),
        )
        write_state(self.engine, after)
        return done, after

    def _view(self, node: Node, state: State, definition: str) -> tuple[Computed, State]:
        assert node.tree is not None
        if state.sql_hash == definition and state.status == "built" and self.catalog.kind(node.name) == "view":
            return Computed("view", "", 0), state
        self.engine.create_view(node.name, node.tree)
        self.catalog.changed(node.name, "view")
        after = State(node.name, definition, built_at=now(), status="built")
        write_state(self.engine, after)
        return Computed("view", "", 0), after

    def _partition_type(self, node: Node) -> str:
        if not node.model.partition:
            return ""
        return partition_type(self.catalog.columns(node.name)[node.model.partition], node.name)

    def _compare(self, node: Node, plan: Plan) -> None:
        columns = self.catalog.columns(node.name)
        old_columns = self.engine.columns(_BEFORE) or {}
        old = f"SELECT {comma(columns)} FROM {_BEFORE}"
        new = f"SELECT {comma(columns)} FROM {quoted(node.name)}{_only(node, plan)}"
        before = count(self.engine, _BEFORE)
        after = self.engine.query(f"SELECT COUNT(*) AS n FROM ({new}) AS m").column("n")[0].as_py()
        if set(columns) != set(old_columns):
            changed = max(before, after)
        elif node.model.key:
            changed = changed_keys(self.engine, old, new, columns, node.model.key)
        else:
            changed = max(difference(self.engine, old, new, columns))
        self.compared[node.name] = (before, after, changed)


def _only(node: Node, plan: Plan) -> str:
    """A WHERE for the partitions of an incremental plan; empty for the whole model."""
    if plan.mode != "incremental":
        return ""
    return " WHERE " + condition(column_of(node.model.partition), plan.partitions, plan.kind).sql("duckdb")


def oldest_seq(graph: Graph, states: Mapping[str, State]) -> int:
    """The ledger number from which on some stored model may have news."""
    seqs = [state.seq for name, node in graph.nodes.items() if not node.is_view and (state := states.get(name))]
    return min(seqs, default=0)


def definition_of(catalog: Catalog, graph: Graph, name: str) -> str:
    """Hash of all that decides the rows of `name` besides the data."""
    definition = graph.definition(name)
    # An engine binds a view to the columns that it reads: it is made anew when they change.
    if not graph.nodes[name].is_view and not graph.has_star(name):
        return definition
    columns = [
        [(c.name, c.type) for c in graph.tables[read].columns.values()] if read in graph.tables
        else list(catalog.columns(read).items())
        for read in sorted(graph.bases[name])
    ]
    return hashlib.sha256(f"{definition}\n{columns}".encode()).hexdigest()
