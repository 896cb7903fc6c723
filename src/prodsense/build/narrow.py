"""A model's SELECT over some partitions only.

Each reference to a partitioned relation becomes a subquery filtered to the days that can matter, so
that the engine reads those row groups alone; views are written out, so that the filter reaches the
tables under them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from prodsense.build.partitions import column_of, condition

if TYPE_CHECKING:
    from sqlglot import exp

    from prodsense.build.graph import Graph


def narrowed(graph: Graph, name: str, windows: Mapping[str, Collection[str]], kind: str) -> exp.Expression:
    """The SELECT of model `name` with each relation in `windows` cut down to the given partitions.

    `kind` is the partition type that all of them share. Relations outside `windows` are read whole.
    """
    from sqlglot import exp

    node = graph.nodes[name]
    assert node.tree is not None, f"{name} does not parse"
    tree = node.tree.copy()
    for table in list(tree.find_all(exp.Table)):
        if not table.db:
            continue  # a CTE
        relation = f"{table.db}.{table.name}".lower()
        inner = graph.nodes.get(relation)
        select: exp.Expression
        if relation in windows:
            column = column_of(graph.partition_of(relation))
            contract = graph.tables.get(relation)
            nulls = contract is not None and contract.columns[contract.partition].nullable
            bare = exp.Table(this=table.this.copy(), db=table.args["db"].copy())
            days = condition(column, windows[relation], kind, nulls=nulls)
            select = exp.select("*").from_(bare, copy=False).where(days, copy=False)
        elif inner is not None and inner.is_view and graph.bases[relation].keys() & set(windows):
            select = narrowed(graph, relation, windows, kind)
        else:
            continue
        _replace(table, select)
    return tree


def wrapped(select: exp.Expression, alias: str) -> exp.Select:
    """``SELECT * FROM (select) AS alias``; takes `select` over, so give it a copy of what is shared."""
    from sqlglot import exp

    subquery = exp.Subquery(this=select, alias=exp.TableAlias(this=exp.to_identifier(alias)))
    return exp.select("*").from_(subquery, copy=False)


def _replace(table: exp.Table, select: exp.Expression) -> None:
    """Put `select` where `table` stands, under the same alias, with the joins and samples that hang on it."""
    from sqlglot import exp

    alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name))
    subquery = exp.Subquery(this=select, alias=alias.copy())
    for key in ("joins", "laterals", "pivots", "sample"):
        if table.args.get(key):
            subquery.set(key, table.args[key])
    table.replace(subquery)
