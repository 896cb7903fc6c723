"""The model graph: what each model reads, in which order to build, what lies under a view."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, cast

from prodsense.contracts.sql import parse_select, qualify_tables, sources
from prodsense.engines.dialect import MACROS
from prodsense.errors import SqlError, UsageError, did_you_mean

if TYPE_CHECKING:
    from sqlglot import exp

    from prodsense.contracts.tables import Table
    from prodsense.contracts.vocabulary import Model


@lru_cache(maxsize=1024)
def _qualified(sql: str, schema: str, origin: str) -> exp.Expression:
    """Parse once per process; callers copy before they change anything."""
    return qualify_tables(cast("exp.Expression", parse_select(sql, origin)), schema)


@lru_cache(maxsize=1024)
def _reads(sql: str, schema: str, origin: str) -> frozenset[str]:
    """The relations that a model reads; each question asks for them, to see whether they are built."""
    return frozenset(sources(_qualified(sql, schema, origin)))


@lru_cache(maxsize=1024)
def _normalised(sql: str) -> str:
    """The text without comments and layout, and the macros it calls: what decides a model's rows.

    Tokens rather than a rendered tree: ten times cheaper, and as insensitive to layout.
    """
    from sqlglot import tokenize

    words = [f"{token.token_type.name}:{token.text}" for token in tokenize(sql, read="duckdb")]
    macros = sorted({name for word in words if (name := word.partition(":")[2].lower()) in MACROS})
    return " ".join(words) + repr([(name, MACROS[name]) for name in macros])


def standing_on(models: Mapping[str, Model], only: Iterable[str]) -> dict[str, Model]:
    """The models of `only` and all that they read, in `models`' order; no other model is parsed."""
    found: set[str] = set()
    waiting = [name for name in only if name in models]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        try:
            reads = _reads(models[name].sql, name.rpartition(".")[0], models[name].path or name)
        except SqlError:
            continue  # the graph says what is wrong with it
        waiting += [read for read in reads if read in models]
    return {name: model for name, model in models.items() if name in found}


@dataclass(frozen=True)
class Node:
    """One model in the graph. `tree` is shared: copy before changing it. `error` says why it cannot run."""

    name: str
    model: Model
    tree: exp.Expression | None
    reads: frozenset[str]
    error: str = ""

    @property
    def is_view(self) -> bool:
        return self.model.kind == "view"


@dataclass(frozen=True)
class Base:
    """A stored relation under a model: `spread` is the days that the views in between add."""

    name: str
    spread: int = 0


class Graph:
    """Models by qualified name with the tables they stand on.

    A model that does not parse or reads an unknown relation stays in the graph with its `error`, so that
    the others can be built. A cycle is an SqlError that names it.
    """

    def __init__(self, models: Mapping[str, Model], tables: Mapping[str, Table]):
        self.tables = tables
        self.nodes: dict[str, Node] = {name: self._node(name, model, models) for name, model in models.items()}
        self.order: tuple[str, ...] = self._sorted()

    def _node(self, name: str, model: Model, models: Mapping[str, Model]) -> Node:
        schema = name.rpartition(".")[0]
        origin = model.path or name
        try:
            tree = _qualified(model.sql, schema, origin)
        except SqlError as error:
            return Node(name, model, None, frozenset(), error.message)
        reads = _reads(model.sql, schema, origin)
        known = [*models, *self.tables]
        for relation in sorted(reads):
            if relation not in models and relation not in self.tables and not relation.startswith("prodsense."):
                return Node(
                    name, model, tree, reads & frozenset(known),
                    f"{origin}: no relation named {relation}.{did_you_mean(relation, known)}",
                )
        return Node(name, model, tree, reads)

    def _sorted(self) -> tuple[str, ...]:
        order: list[str] = []
        done: set[str] = set()

        def visit(name: str, trail: tuple[str, ...]) -> None:
            if name in trail:
                cycle = " → ".join((*trail[trail.index(name):], name))
                raise SqlError(f"models read each other in a circle: {cycle}; break it at one of them")
            if name in done or name not in self.nodes:
                return
            for read in sorted(self.nodes[name].reads):
                visit(read, (*trail, name))
            done.add(name)
            order.append(name)

        for name in sorted(self.nodes):
            visit(name, ())
        return tuple(order)

    def select(self, only: Iterable[str] | None) -> tuple[str, ...]:
        """The named models and all they stand on, in build order; all models for None."""
        if only is None:
            return self.order
        wanted: set[str] = set()
        for name in only:
            if name not in self.nodes:
                raise UsageError(f"no model named {name}.{did_you_mean(name, list(self.nodes))}")
            wanted |= {name} | self.upstream(name)
        return tuple(name for name in self.order if name in wanted)

    def upstream(self, name: str) -> set[str]:
        """All models that `name` stands on."""
        found: set[str] = set()
        todo = [name]
        while todo:
            for read in self.nodes[todo.pop()].reads:
                if read in self.nodes and read not in found:
                    found.add(read)
                    todo.append(read)
        return found

    def downstream(self, name: str) -> set[str]:
        """All models that stand on `name`."""
        found = {name}
        for other in self.order:
            if found & self.nodes[other].reads:
                found.add(other)
        return found - {name}

    @cached_property
    def bases(self) -> dict[str, dict[str, Base]]:
        """For each model, the stored relations it reads, views looked through."""
        found: dict[str, dict[str, Base]] = {}
        for name in self.order:
            own: dict[str, Base] = {}
            for read in self.nodes[name].reads:
                node = self.nodes.get(read)
                if node is None or not node.is_view:
                    below = [Base(read)]
                else:
                    below = [Base(b.name, b.spread + node.model.spread_days) for b in found[read].values()]
                for base in below:
                    if base.name not in own or own[base.name].spread < base.spread:
                        own[base.name] = base
            found[name] = own
        return found

    def partition_of(self, relation: str) -> str:
        """The partition column of a stored relation, or an empty string."""
        if relation in self.nodes:
            return self.nodes[relation].model.partition
        return self.tables[relation].partition if relation in self.tables else ""

    def definition(self, name: str) -> str:
        """What decides the rows of `name`: its SQL, its header, and the views that it looks through."""
        node = self.nodes[name]
        model = node.model
        parts = [_normalised(model.sql), model.kind, model.partition, str(model.spread_days)]
        parts += [
            f"{read}={self.definition(read)}"
            for read in sorted(node.reads)
            if read in self.nodes and self.nodes[read].is_view
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def has_star(self, name: str) -> bool:
        """Whether the columns of `name` depend on those of its sources (``SELECT *``), views looked through."""
        from sqlglot import exp

        node = self.nodes[name]
        if node.tree is None:
            return False
        if any(not isinstance(star.parent, exp.Count) for star in node.tree.find_all(exp.Star)):
            return True
        return any(self.has_star(read) for read in node.reads if read in self.nodes and self.nodes[read].is_view)
