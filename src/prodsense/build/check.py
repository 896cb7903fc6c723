"""Check models without building them: what they name exists, and every engine can say it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from prodsense.build.columns import UNKNOWN, ColumnReader
from prodsense.build.graph import Graph, Node
from prodsense.build.partitions import partition_type
from prodsense.engines.dialect import DIALECTS, render
from prodsense.errors import ProdsenseError, SqlError, did_you_mean

if TYPE_CHECKING:
    from prodsense.contracts.tables import Table
    from prodsense.contracts.vocabulary import Model


def check_models(
    models: Mapping[str, Model], tables: Mapping[str, Table], *, portable: bool = True
) -> tuple[str, ...]:
    """Problems, each as ``file:line: what is wrong``, in build order; empty when all is well.

    Every model parses and reads relations and columns that exist; its columns have names, each once; the
    columns that its header names (key, partition, time, references, column) are in its output; a
    reference points to a relation with a key of one column. With `portable`, its SQL can be written
    for every dialect of the project.
    """
    try:
        graph = Graph(models, tables)
    except SqlError as error:
        return (error.message,)
    reader = ColumnReader(graph)
    return tuple(problem for name in graph.order for problem in _problems(graph, reader, graph.nodes[name], portable))


def _problems(graph: Graph, reader: ColumnReader, node: Node, portable: bool) -> Iterator[str]:
    if node.error:
        yield node.error
        return
    if any(graph.nodes[read].error for read in graph.upstream(node.name)):
        return  # said there
    try:
        columns = reader.names(node.name)
        types = reader.types(node.name)
    except SqlError as error:
        if not any(_fails(reader, read) for read in graph.upstream(node.name)):
            yield error.message
        return
    origin = node.model.path or node.name
    for column in sorted({c for c in columns if columns.count(c) > 1}):
        yield f"{origin}: its SELECT gives two columns the name {column}; give one of them another (AS …)"
    if any(not c or c.startswith("_col_") for c in columns):
        yield f"{origin}: a column of its SELECT has no name; give it one (AS …)"
    yield from _header(graph, node, columns, types, origin)
    if portable and node.tree is not None:
        for dialect in DIALECTS:
            try:
                render(node.tree, dialect)
            except ProdsenseError as error:
                yield f"{origin}: {error.message}"


def _header(
    graph: Graph, node: Node, columns: list[str], types: Mapping[str, str], origin: str
) -> Iterator[str]:
    model = node.model
    named = {
        "key": model.key,
        "partition": (model.partition,) if model.partition else (),
        "time": (model.time,) if model.time else (),
        "references": tuple(model.references),
        "column": tuple(model.columns),
    }
    for word, names in named.items():
        for name in names:
            if name not in columns:
                line = _line(model.sql, word, name)
                yield f"{origin}:{line}: `{word}` names {name}, which is no column of its SELECT." + did_you_mean(
                    name, columns
                )
    if model.partition and types.get(model.partition, UNKNOWN) != UNKNOWN:
        try:
            partition_type(types[model.partition], node.name)
        except ProdsenseError as error:
            yield f"{origin}:{_line(model.sql, 'partition', model.partition)}: {error.message}"
    if (model.spread_days or model.late_days) and not model.partition:
        word = "spread" if model.spread_days else "late"
        yield f"{origin}:{_line(model.sql, word, '')}: `{word}` means nothing without `partition`"
    schema = node.name.rpartition(".")[0]
    for column, target in model.references.items():
        relation = target if "." in target else f"{schema}.{target}"
        line = _line(model.sql, "references", column)
        if relation in graph.tables:
            key = graph.tables[relation].key
        elif relation in graph.nodes:
            key = graph.nodes[relation].model.key
        else:
            known = [name.rpartition(".")[2] for name in [*graph.tables, *graph.nodes]]
            hint = did_you_mean(target, known)
            yield f"{origin}:{line}: `references` names {target}, which is no table or model.{hint}"
            continue
        if len(key) != 1:
            states = f"a key of {len(key)} columns" if key else "no key"
            yield f"{origin}:{line}: `references` joins {column} to {target}, which has {states}; it takes one of one"


def _fails(reader: ColumnReader, name: str) -> bool:
    try:
        reader.bound(name)
    except SqlError:
        return True
    return False


def _line(sql: str, word: str, name: str) -> int:
    """Line of the header directive `word` that mentions `name`; 1 when it cannot be found."""
    for number, text in enumerate(sql.splitlines(), 1):
        if re.search(rf"--.*\b{word}\s*:", text) and re.search(rf"\b{re.escape(name)}\b" if name else "", text):
            return number
    return 1
