"""Where a column or a metric comes from, and what stands on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from prodsense.build.columns import ColumnReader
from prodsense.build.graph import Graph
from prodsense.contracts.sql import parse
from prodsense.errors import SqlError, UsageError, did_you_mean

if TYPE_CHECKING:
    from prodsense.contracts.tables import Table
    from prodsense.contracts.vocabulary import Metric, Model


@dataclass(frozen=True)
class Lineage:
    """Lineage of a table, view, model or metric.

    `columns` maps each output column (a metric's own name) to the columns of contracted tables that it
    derives from, through views and models; it is empty for a constant or a count of rows. `direct` stops at
    the relations that are read first. `edges` are (what is read, what reads it), upstream and downstream;
    `kinds` says of each relation whether it is a table, view, model or metric.
    """

    name: str
    kind: Literal["table", "view", "model", "metric"]
    columns: Mapping[str, tuple[str, ...]]
    direct: Mapping[str, tuple[str, ...]]
    edges: tuple[tuple[str, str], ...]
    kinds: Mapping[str, str]

    @property
    def upstream(self) -> tuple[str, ...]:
        """All that it stands on."""
        return tuple(sorted(_reached(self.name, self._reads())))

    @property
    def downstream(self) -> tuple[str, ...]:
        """All that stands on it."""
        return tuple(sorted(_reached(self.name, self._read_by())))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "name": self.name,
            "kind": self.kind,
            "columns": {column: list(origins) for column, origins in self.columns.items()},
            "direct": {column: list(origins) for column, origins in self.direct.items()},
            "upstream": list(self.upstream),
            "downstream": list(self.downstream),
            "edges": [list(edge) for edge in self.edges],
        }

    def mermaid(self) -> str:
        """A Mermaid flow chart of the relations."""
        shapes = {"table": ("[(", ")]"), "view": ("[/", "/]"), "model": ("[", "]"), "metric": ("([", "])")}
        names = sorted({end for edge in self.edges for end in edge} | {self.name})
        ids = {name: f"n{i}" for i, name in enumerate(names)}
        lines = ["flowchart LR"]
        for name in names:
            left, right = shapes[self.kinds.get(name, "table")]
            lines.append(f'    {ids[name]}{left}"{name}"{right}')
        lines += [f"    {ids[start]} --> {ids[end]}" for start, end in self.edges]
        lines.append(f"    style {ids[self.name]} stroke-width:3px")
        return "\n".join(lines)

    def __str__(self) -> str:
        lines = [f"{self.name} ({self.kind})"]
        lines += ["stands on"] + (self._tree(self.name, self._reads()) or ["└─ nothing"])
        if below := self._tree(self.name, self._read_by()):
            lines += ["is read by", *below]
        if self.columns:
            lines.append("columns")
            width = max(map(len, self.columns))
            for i, (column, origins) in enumerate(self.columns.items()):
                branch = "└─" if i == len(self.columns) - 1 else "├─"
                lines.append(f"{branch} {column:<{width}}  {', '.join(origins) or 'no column (a constant or a count)'}")
        return "\n".join(lines)

    def _reads(self) -> dict[str, list[str]]:
        return _adjacent(self.edges, lambda edge: (edge[1], edge[0]))

    def _read_by(self) -> dict[str, list[str]]:
        return _adjacent(self.edges, lambda edge: edge)

    def _tree(self, root: str, next_of: Mapping[str, list[str]]) -> list[str]:
        """Branches under `root`; what was already shown is not opened again."""
        lines: list[str] = []
        shown: set[str] = set()

        def branch(name: str, indent: str) -> None:
            children = next_of.get(name, [])
            for i, child in enumerate(children):
                last = i == len(children) - 1
                again = child in shown and child in next_of
                kind = self.kinds.get(child, "table")
                lines.append(f"{indent}{'└─' if last else '├─'} {child} ({kind}){' …' if again else ''}")
                if not again:
                    shown.add(child)
                    branch(child, indent + ("   " if last else "│  "))

        branch(root, "")
        return lines


def lineage(name: str, models: Mapping[str, Model], tables: Mapping[str, Table]) -> Lineage:
    """Lineage of a model, view or contracted table by its qualified name.

    Raises UsageError for an unknown name, SqlError for a model that cannot be read.
    """
    graph = Graph(models, tables)
    if name not in graph.nodes and name not in tables:
        raise UsageError(f"no table or model named {name}.{did_you_mean(name, [*graph.nodes, *tables])}")
    reader = ColumnReader(graph)
    if name in graph.nodes:
        direct = reader.direct(name)
        columns = {column: reader.origins(f"{name}.{column}") for column in direct}
        kind: Literal["table", "view", "model"] = "view" if graph.nodes[name].is_view else "model"
    else:
        direct = {}
        columns = {column: (f"{name}.{column}",) for column in tables[name].columns}
        kind = "table"
    related = {name, *_upstream(graph, name), *(_downstream(graph, name))}
    edges = _edges(graph, related)
    return Lineage(name, kind, columns, direct, edges, _kinds(graph, edges, name, kind))


def metric_lineage(
    metric: Metric,
    metrics: Mapping[str, Metric],
    models: Mapping[str, Model],
    tables: Mapping[str, Table],
    pack: str,
) -> Lineage:
    """Lineage of a metric of `pack`: of its aggregate and its condition, or through the metrics it derives from.

    `metrics` are those of the pack by bare name. Raises SqlError for a name that is not there.
    """
    graph = Graph(models, tables)
    reader = ColumnReader(graph)
    name = f"{pack}.{metric.name}"
    edges: set[tuple[str, str]] = set()
    kinds: dict[str, str] = {name: "metric"}
    relations: set[str] = set()

    def follow(current: Metric, trail: tuple[str, ...]) -> set[str]:
        own = f"{pack}.{current.name}"
        kinds[own] = "metric"
        if current.name in trail:
            raise SqlError(f"metrics derive from each other in a circle: {' → '.join((*trail, current.name))}")
        if current.source:
            source = current.source if "." in current.source else f"{pack}.{current.source}"
            relations.add(source)
            edges.add((source, own))
            texts = filter(None, (current.sql, current.where, *(current.focus or ())[1:]))
            return {column for text in texts for column in _columns(text, source, reader)}
        found: set[str] = set()
        for part in sorted(_names(current.sql)):
            if part not in metrics:
                raise SqlError(f"metric {own} reads {part}, which is no metric.{did_you_mean(part, list(metrics))}")
            edges.add((f"{pack}.{part}", own))
            found |= follow(metrics[part], (*trail, current.name))
        return found

    direct = tuple(sorted(follow(metric, ())))
    origins = tuple(sorted({origin for column in direct for origin in reader.origins(column)}))
    related = set(relations)
    for relation in relations:
        related |= _upstream(graph, relation)
    edges |= set(_edges(graph, related))
    ordered = tuple(sorted(edges))
    return Lineage(
        name, "metric", {metric.name: origins}, {metric.name: direct}, ordered,
        {**_kinds(graph, ordered, name, "metric"), **kinds},
    )


def expression_lineage(
    sql: str, source: str, models: Mapping[str, Model], tables: Mapping[str, Table]
) -> tuple[str, ...]:
    """Columns of contracted tables (``pack.table.column``) that an expression over `source` derives from."""
    reader = ColumnReader(Graph(models, tables))
    return tuple(sorted({o for column in _columns(sql, source, reader) for o in reader.origins(column)}))


def _columns(sql: str, source: str, reader: ColumnReader) -> set[str]:
    known = reader.names(source)
    found = set()
    for name in _names(sql):
        if name not in known:
            raise SqlError(f"{source} has no column {name}.{did_you_mean(name, known)}")
        found.add(f"{source}.{name}")
    return found


def _names(sql: str) -> set[str]:
    from sqlglot import exp

    return {column.name.lower() for column in parse(f"SELECT {sql}").find_all(exp.Column)}


def _upstream(graph: Graph, name: str) -> set[str]:
    if name not in graph.nodes:
        return set()
    above = {name} | graph.upstream(name)
    return above | {read for model in above for read in graph.nodes[model].reads}


def _downstream(graph: Graph, name: str) -> set[str]:
    found = {name}
    for other in graph.order:
        if found & graph.nodes[other].reads:
            found.add(other)
    return found


def _edges(graph: Graph, related: set[str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(
        (read, model)
        for model in related & graph.nodes.keys()
        for read in graph.nodes[model].reads
        if read in related
    ))  # fmt: skip


def _kinds(graph: Graph, edges: tuple[tuple[str, str], ...], name: str, kind: str) -> dict[str, str]:
    kinds = {name: kind}
    for edge in edges:
        for end in edge:
            if end in graph.nodes:
                kinds[end] = "view" if graph.nodes[end].is_view else "model"
            else:
                kinds.setdefault(end, "table")
    return kinds


def _adjacent(
    edges: tuple[tuple[str, str], ...], ends: Callable[[tuple[str, str]], tuple[str, str]]
) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for edge in edges:
        start, end = ends(edge)
        found.setdefault(start, []).append(end)
    return found


def _reached(root: str, next_of: Mapping[str, list[str]]) -> set[str]:
    found: set[str] = set()
    todo = [root]
    while todo:
        for name in next_of.get(todo.pop(), []):
            if name not in found:
                found.add(name)
                todo.append(name)
    return found
