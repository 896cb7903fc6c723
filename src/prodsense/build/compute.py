"""Compute the rows of one model, whole or some partitions of it, inside the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from prodsense.build.compare import difference
from prodsense.build.graph import Graph, Node
from prodsense.build.narrow import narrowed, wrapped
from prodsense.build.partitions import column_of, condition, literal, value_of, widen
from prodsense.build.plan import Plan, Planner
from prodsense.build.report import Mode
from prodsense.build.state import Catalog, State
from prodsense.engines.base import comma, quoted
from prodsense.errors import ProdsenseError, SqlError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prodsense.engines.base import Engine

#: Holds the rows of the partitions being computed, inside the model's transaction only.
STAGE = "prodsense.stage"
#: So many partitions of a full build are computed again, each apart, to see whether the model's spread holds.
_SAMPLED_PARTITIONS = 2


class SpreadError(ProdsenseError):
    """A source row reaches partitions beyond the model's declared spread."""


@dataclass(frozen=True)
class Computed:
    """What computing a model left behind: `computed` partitions, of which `partitions` changed.

    `rows` were written; `total` are held now.
    """

    mode: Mode
    reason: str
    rows: int
    total: int = 0
    partitions: tuple[str, ...] = ()
    computed: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    narrowable: bool = True


@dataclass(frozen=True)
class _Staged:
    """Staged partitions against stored ones: which differ, and how many rows are gained over all of them.

    `newest` is the newest stored partition behind the oldest touched one; None when there is none.
    """

    changed: tuple[str, ...]
    newest: str | None
    gained: int
    all_changed: bool


class Computer:
    """Carries out a plan."""

    def __init__(self, engine: Engine, graph: Graph, catalog: Catalog, states: Mapping[str, State]):
        self.engine = engine
        self.graph = graph
        self.catalog = catalog
        self.states = states

    def compute(self, node: Node, plan: Plan) -> Computed:
        """Write the model's rows; one whose rows turn out to reach further than its spread is computed whole."""
        if plan.mode == "incremental":
            try:
                return self._some_partitions(node, plan)
            except SpreadError as error:
                if plan.create:
                    raise
                return replace(self._whole(node, str(error)), narrowable=False)
        return self._whole(node, plan.reason)

    def _whole(self, node: Node, reason: str) -> Computed:
        assert node.tree is not None
        partition = node.model.partition
        select = node.tree
        if partition:
            # Rows in the order of the partition let later reads of some days skip the rest.
            select = wrapped(node.tree.copy(), "everything").order_by(column_of(partition), copy=False)
        rows = self.engine.replace(node.name, select, partition=partition)
        self.catalog.changed(node.name, "table")
        if partition and partition not in self.catalog.columns(node.name):
            raise SqlError(f"{node.model.path or node.name}: its partition {partition} is no column of its SELECT")
        if partition:
            held = self.engine.partition_rows(node.name)
            nulls = count(self.engine, node.name, f"{comma([partition])} IS NULL") if held is None else held.get(None)
            if nulls:
                raise _no_partition(node, nulls)
        narrowable, note = self._spread_holds(node)
        return Computed("full", "; ".join(filter(None, (reason, note))), rows, rows, narrowable=narrowable)

    def _some_partitions(self, node: Node, plan: Plan) -> Computed:
        from sqlglot import exp

        name, partition = node.name, node.model.partition
        column = column_of(partition)
        assert node.tree is not None
        if not plan.partitions:
            self.engine.replace(name, wrapped(node.tree.copy(), "nothing").where(exp.false(), copy=False))
            self.catalog.changed(name, "table")
            return Computed("incremental", plan.reason, 0, pending=plan.pending)
        # Rows out of reach are staged too, so that they are seen; those of neighbours half read are not.
        reachable = self._reachable(node, plan)
        kept = exp.or_(
            condition(column, plan.partitions, plan.kind, nulls=True),
            exp.not_(condition(column, reachable, plan.kind), copy=False),
            copy=False,
        )
        near = wrapped(narrowed(self.graph, name, plan.windows, plan.kind), "near").where(kept, copy=False)
        self.engine.replace(STAGE, near)
        staged = self._staged(node, plan)
        everything = f"SELECT * FROM {STAGE}"
        if plan.create:
            rows = self.engine.replace(name, f"{everything} ORDER BY {comma([partition])}", partition=partition)
            self.catalog.changed(name, "table")
            self.engine.drop(STAGE)
            return Computed(
                "incremental", plan.reason, rows, rows, plan.partitions, plan.partitions, pending=plan.pending
            )
        rows = 0
        if staged.changed:
            select: str | exp.Select = everything
            if not staged.all_changed:
                select = exp.select("*").from_(exp.to_table(STAGE)).where(condition(column, staged.changed, plan.kind))
            values = [value_of(p, plan.kind) for p in staged.changed]
            rows = self.engine.replace_partitions(name, select, partition, values)
        self.engine.drop(STAGE)
        newest = staged.newest
        late = tuple(
            p for p in plan.touched
            if p in staged.changed and newest and value_of(p, plan.kind) < value_of(newest, plan.kind)
        )
        total = self.states[name].rows + staged.gained
        return Computed("incremental", plan.reason, rows, total, staged.changed, plan.partitions, late, plan.pending)

    def _reachable(self, node: Node, plan: Plan) -> set[str]:
        """Partitions on which rows of the days that are read may fall, by the spread."""
        found: set[str] = set()
        for relation, days in plan.windows.items():
            reach = node.model.spread_days + self.graph.bases[node.name][relation].spread
            found |= widen(days, reach, plan.kind)
        return found

    def _staged(self, node: Node, plan: Plan) -> _Staged:
        """Compare what is staged with what the model holds.

        Rows on other partitions than those wanted prove the spread too small; rows on none are refused.
        """
        column = comma([node.model.partition])
        day = f"CAST({column} AS VARCHAR) AS day"
        sql = (
            f"SELECT {day}, TRUE AS is_new, COUNT(*) AS n, SUM(row_hash(t)) AS mark"
            f" FROM {STAGE} AS t GROUP BY {column}"
        )
        if not plan.create:
            stored = quoted(node.name)
            wanted = condition(column_of(node.model.partition), plan.partitions, plan.kind)
            sql += (
                f" UNION ALL SELECT {day}, FALSE, COUNT(*), SUM(row_hash(t)) FROM {stored} AS t"
                f" WHERE {wanted.sql('duckdb')} GROUP BY {column}"
            )
            if plan.touched:
                # Only to tell late data: looking behind the oldest touched partition alone skips the rest.
                sql += (
                    f" UNION ALL SELECT CAST(MAX({column}) AS VARCHAR), NULL, 0, NULL FROM {stored}"
                    f" WHERE {column} > {literal(plan.touched[0], plan.kind).sql('duckdb')}"
                )
        new: dict[str | None, tuple[int, int]] = {}
        old: dict[str | None, tuple[int, int]] = {}
        newest = None
        for row in self.engine.query(sql).to_pylist():
            if row["is_new"] is None:
                newest = row["day"]
            else:
                (new if row["is_new"] else old)[row["day"]] = (row["n"], row["mark"])
        if None in new:
            raise _no_partition(node, new[None][0])
        if outside := sorted(str(day) for day in new.keys() - set(plan.partitions)):
            self.engine.drop(STAGE)
            raise SpreadError(
                f"a row of {', '.join(sorted(plan.windows))} falls on partition {outside[0]}, further than the spread"
                f" of {node.model.spread_days} days; state a larger `spread` in {node.model.path or node.name}"
            )
        changed = tuple(p for p in plan.partitions if new.get(p) != old.get(p))
        gained = sum(n for n, _ in new.values()) - sum(n for n, _ in old.values())
        return _Staged(changed, newest, gained, new.keys() <= set(changed))

    def _spread_holds(self, node: Node) -> tuple[bool, str]:
        """Compute the largest partitions each apart and compare: does one day give the same rows as all days?

        It is the SELECT that is on trial, not the data or the engine, so an engine with dear statements leaves
        this to the one that the pack is tested on.
        """
        if self.engine.dear_statements:
            return True, ""
        states = {**self.states, node.name: State(node.name)}
        planner = Planner(self.engine, self.graph, self.catalog, states, node.name, "")
        if not node.model.partition or not planner.spreads:
            return True, ""
        column = comma([node.model.partition])
        sample = self.engine.query(
            f"SELECT CAST({column} AS VARCHAR) AS value, COUNT(*) AS n FROM {quoted(node.name)}"
            f" GROUP BY 1 ORDER BY n DESC, value LIMIT {_SAMPLED_PARTITIONS}"
        ).column("value").to_pylist()
        if not sample:
            return True, ""
        for partition in sample:
            differing = self._differing(node, planner, partition)
            if differing:
                return False, (
                    f"computed apart, partition {partition} differs by {differing} rows: the spread of"
                    f" {node.model.spread_days} days is too small (or the SELECT has no one answer); built in full"
                    " each time"
                )
        return True, ""

    def _differing(self, node: Node, planner: Planner, partition: str) -> int:
        """Rows in which a stored partition differs from the same one computed out of the days near it."""
        from sqlglot import exp

        kind = planner.kind
        windows = {relation: widen([partition], spread, kind) for relation, spread in planner.spreads.items()}
        wanted = condition(column_of(node.model.partition), [partition], kind)
        stored = exp.select("*").from_(exp.to_table(quoted(node.name))).where(wanted).sql("duckdb")
        apart = wrapped(narrowed(self.graph, node.name, windows, kind), "apart").where(wanted)
        return max(
            difference(
                self.engine, stored, apart.sql("duckdb", comments=False), self.catalog.columns(node.name)
            )
        )


def count(engine: Engine, relation: str, where: str = "TRUE") -> int:
    """Rows of `relation` for which `where` is true."""
    return int(engine.query(f"SELECT COUNT(*) AS n FROM {quoted(relation)} WHERE {where}").column("n")[0].as_py())


def _no_partition(node: Node, rows: int) -> SqlError:
    return SqlError(
        f"{node.model.path or node.name}: {node.model.partition} is NULL in {rows} rows, which then belong to no"
        " partition; filter them out or give them a day"
    )
