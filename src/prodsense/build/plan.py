"""Decide what a model needs: nothing, some partitions, or all of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from prodsense.build.partitions import inside, ordered, partition_type, widen
from prodsense.build.state import Catalog, State
from prodsense.errors import UsageError

if TYPE_CHECKING:
    from prodsense.build.graph import Graph
    from prodsense.engines.base import Engine

#: Relation → partitions touched (None stands for the whole relation).
Touched = Mapping[str, Collection[str | None]]


@dataclass(frozen=True)
class Window:
    """Half-open window of days that a build is limited to; both ends None is no limit."""

    since: date | None = None
    until: date | None = None

    def __post_init__(self) -> None:
        if self.since and self.until and self.until <= self.since:
            raise UsageError(f"the window from {self.since} until {self.until} holds no day (until is outside)")

    def __bool__(self) -> bool:
        return self.since is not None or self.until is not None

    def holds(self, partition: str) -> bool:
        return inside(partition, self.since, self.until)


@dataclass(frozen=True)
class Plan:
    """What to do with one model, and why.

    For mode incremental, `partitions` are computed anew out of `windows` (relation → its partitions that
    are read); `touched` are the source partitions with news. `pending` is left for a later build.
    `create` says that the table is made of these partitions alone (first build, inside a window).
    """

    mode: Literal["full", "incremental", "unchanged", "view"]
    reason: str = ""
    partitions: tuple[str, ...] = ()
    windows: Mapping[str, Collection[str]] = field(default_factory=dict)
    touched: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    kind: str = "DATE"
    create: bool = False


class Planner:
    """Plans for one model against the engine as it is now (inside the model's transaction)."""

    def __init__(
        self, engine: Engine, graph: Graph, catalog: Catalog, states: Mapping[str, State], name: str, definition: str
    ):
        self.engine = engine
        self.states = states
        self.catalog = catalog
        self.graph = graph
        self.name = name
        self.node = graph.nodes[name]
        self.state = states.get(name, State(name))
        self.definition = definition
        self.exists = catalog.kind(name) is not None

    @cached_property
    def kind(self) -> str:
        """Partition type of the model; empty when it has no partition, or none that is known yet."""
        if not self.node.model.partition:
            return ""
        if self.exists and (kind := self.kind_of(self.name)):
            return kind
        kinds = {kind for base in self.graph.bases[self.name] if (kind := self.kind_of(base))}
        return kinds.pop() if len(kinds) == 1 else ""

    def kind_of(self, relation: str) -> str:
        """Partition type of a stored relation, or an empty string."""
        partition = self.graph.partition_of(relation)
        if not partition:
            return ""
        if relation in self.graph.tables:
            return partition_type(self.graph.tables[relation].columns[partition].type, relation)
        state = self.states.get(relation)
        if state is not None and state.partition_type:
            return state.partition_type
        columns = self.catalog.columns(relation)
        return partition_type(columns[partition], relation) if partition in columns else ""

    @cached_property
    def spreads(self) -> dict[str, int]:
        """Relations whose partitions map to the model's, with the days a row reaches either way."""
        own = self.node.model.spread_days
        return {
            base.name: own + base.spread
            for base in self.graph.bases[self.name].values()
            if self.kind and self.kind_of(base.name) == self.kind
        }

    def plan(self, touched: Touched, window: Window, full: bool = False) -> Plan:
        """`touched` is what the model's bases report since `state.seq`."""
        if self.node.is_view:
            return Plan("view")
        if not self.state.sql_hash or not self.exists:
            if window and self._by_day():
                return self._first_in_window(window)
            return Plan("full", "first build")
        windowed = bool(window) and self._by_day()
        if self.state.sql_hash != self.definition:
            note = "; a window cannot mix two definitions, so all of it" if windowed else ""
            return Plan("full", "its definition changed" + note)
        if full and not windowed:
            return Plan("full", "asked for")
        whole, days = self._affected(touched)
        if whole and not windowed:
            return Plan("full", whole)
        wanted = self._everything() if whole else days | set(self.state.pending)
        if full:
            now = {p for p in self._everything() if window.holds(p)}
            return self._some(now, wanted - now, "asked for", touched)
        now = {p for p in wanted if window.holds(p)} if windowed else wanted
        return self._some(now, wanted - now, whole, touched)

    def forced(self, window: Window) -> Plan:
        """Compute each partition in the window anew, whatever the ledger says; what is pending stays so."""
        if not self._by_day():
            return Plan("full", "it cannot be computed by day, so all of it")
        now = {p for p in self._everything() if window.holds(p)}
        return self._some(now, set(self.state.pending) - now, "asked for")

    def _by_day(self) -> bool:
        """Whether a window of days can be computed apart from the rest."""
        return self.kind == "DATE" and bool(self.spreads) and self.state.narrowable

    def _affected(self, touched: Touched) -> tuple[str, set[str]]:
        """Why all partitions are affected (or an empty string), and else which."""
        bases = self.graph.bases[self.name]
        untracked = sorted(b for b in bases if b not in self.graph.tables and b not in self.graph.nodes)
        if untracked:
            return f"{untracked[0]} keeps no record of its changes", set()
        news = {relation: set(values) for relation, values in touched.items() if relation in bases and values}
        if not news:
            return "", set()
        if not self.node.model.partition:
            return f"{_named(news)} changed", set()
        if not self.state.narrowable:
            spread = self.node.model.spread_days
            return f"rows reach further than its spread of {spread} days; state a larger one to build by day", set()
        unmapped = {relation for relation in news if relation not in self.spreads}
        if unmapped:
            return f"{_named(unmapped)} changed, which has no partition of its own kind", set()
        whole = {relation for relation, values in news.items() if None in values}
        if whole:
            return f"all of {_named(whole)} changed", set()
        days: set[str] = set()
        for relation, values in news.items():
            days |= widen([v for v in values if v is not None], self.spreads[relation], self.kind)
        return "", days

    def _everything(self) -> set[str]:
        """Each partition that the model holds or could hold."""
        found = set(self.state.pending)
        if self.exists:
            found |= self._values(self.name)
        for relation, spread in self.spreads.items():
            found |= widen(self._values(relation), spread, self.kind)
        return found

    def _values(self, relation: str) -> set[str]:
        held = self.engine.partition_rows(relation)
        if held is not None:
            return {value for value in held if value is not None}
        column = '"' + self.graph.partition_of(relation).replace('"', '""') + '"'
        rows = self.engine.query(f"SELECT DISTINCT CAST({column} AS VARCHAR) AS value FROM {relation}")
        return {value for value in rows.column("value").to_pylist() if value is not None}

    def _first_in_window(self, window: Window) -> Plan:
        everything = self._everything()
        now = {p for p in everything if window.holds(p)}
        plan = self._some(now, everything - now, "first build")
        return replace(plan, mode="incremental", create=True)

    def _some(self, now: set[str], later: set[str], reason: str, touched: Touched | None = None) -> Plan:
        """Compute `now`, leave `later`."""
        values = {v for partitions in (touched or {}).values() for v in partitions if v is not None}
        return Plan(
            "incremental" if now else "unchanged",
            reason,
            ordered(now, self.kind),
            {relation: widen(now, spread, self.kind) for relation, spread in self.spreads.items()},
            ordered(values & now, self.kind),
            ordered(later, self.kind),
            self.kind,
        )


def _named(relations: Collection[str]) -> str:
    names = sorted(relations)
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"

