"""How fresh the models are, without building anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from prodsense.build.graph import Graph, standing_on
from prodsense.build.plan import Plan, Planner, Window
from prodsense.build.run import definition_of, oldest_seq
from prodsense.build.state import Catalog, Ledger, State, read_states
from prodsense.errors import SqlError

if TYPE_CHECKING:
    from prodsense.contracts.tables import Table
    from prodsense.contracts.vocabulary import Model
    from prodsense.engines.base import Engine


@dataclass(frozen=True)
class ModelStatus:
    """A model against its sources as they are now.

    `pending` are the partitions that the next build would compute anew (empty while `whole` says that it
    would be all of them). `error` is that of the last attempt; the rows are then those of the last good one.
    """

    model: str
    state: Literal["never built", "fresh", "stale"]
    reason: str = ""
    pending: tuple[str, ...] = ()
    whole: bool = False
    rows: int = 0
    built_at: datetime | None = None
    error: str = ""

    @property
    def never_built(self) -> bool:
        return self.state == "never built"

    @property
    def stale(self) -> bool:
        return self.state == "stale"


def status(
    engine: Engine, models: Mapping[str, Model], tables: Mapping[str, Table], only: Iterable[str] | None = None
) -> dict[str, ModelStatus]:
    """State of each model (of `only` and what they stand on), in build order.

    Reads the ledger and the catalogue only; writes nothing. What a stale model will pass on counts: its
    dependants are stale for the same days, widened by their spread. A view is as fresh as what it reads.
    """
    if only is not None:
        only = tuple(only)
        # An unknown name is left to the graph, which says so with its neighbours.
        if all(name in models for name in only):
            models = standing_on(models, only)
    graph = Graph(models, tables)
    states = read_states(engine)
    catalog = Catalog(engine)
    ledger = Ledger(engine, oldest_seq(graph, states))
    if states:
        ledger.refresh()
    found: dict[str, ModelStatus] = {}
    coming: dict[str, set[str | None]] = {}
    for name in graph.select(only):
        state = states.get(name, State(name))
        node = graph.nodes[name]
        if not state.sql_hash or catalog.kind(name) is None:
            error = state.error or node.error
            found[name] = ModelStatus(name, "never built", "never built", error=error)
            coming[name] = {None}
            continue
        plan = _plan(engine, graph, catalog, ledger, states, name, coming)
        if plan.mode == "full":
            coming[name] = {None}
        elif plan.mode == "incremental":
            coming[name] = set(plan.partitions)
        found[name] = ModelStatus(
            name, "fresh" if plan.mode in ("unchanged", "view") else "stale", plan.reason, plan.partitions,
            plan.mode == "full", state.rows, state.built_at, state.error,
        )
    return found


def _plan(
    engine: Engine,
    graph: Graph,
    catalog: Catalog,
    ledger: Ledger,
    states: Mapping[str, State],
    name: str,
    coming: dict[str, set[str | None]],
) -> Plan:
    node, state = graph.nodes[name], states[name]
    if node.error:
        return Plan("full", SqlError(node.error).message)
    definition = definition_of(catalog, graph, name)
    if node.is_view:
        if state.sql_hash != definition:
            return Plan("full", "its definition changed")
        stale = sorted(base for base in graph.bases[name] if coming.get(base))
        return Plan("full", f"{stale[0]} is stale") if stale else Plan("view")
    touched = ledger.since(graph.bases[name], state.seq)
    for base in graph.bases[name]:
        if coming.get(base):
            touched.setdefault(base, set()).update(coming[base])
    return Planner(engine, graph, catalog, states, name, definition).plan(touched, Window())
