"""Every artefact of every pack gives the same answer on DuckDB and on Spark: no list of exceptions.

The artefacts are read from the packs, so a new one is covered without a line here. A failure names it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from parity_rows import Pair, differences, named

from prodsense.engines.base import Engine
from prodsense.errors import ProdsenseError
from prodsense.metrics import Request, Result, Scope, run
from prodsense.metrics.definitions import leaves
from prodsense.metrics.validate import sliceable

pytestmark = pytest.mark.spark

LATER = "2024-08-01"
#: Longer grains differ in one macro alone: the metrics of each source are asked by one of them, in turn.
LONGER = ("week", "month", "quarter", "year")


def test_loads_take_in_the_same(pair: Pair) -> None:
    found = []
    for name, table in pair.pack.tables.items():
        sql = f"SELECT * FROM {table.relation}"
        found += named(name, differences(pair.duckdb.engine.query(sql).to_pylist(), pair.spark.engine.query(sql).to_pylist()))
    counts = "SELECT relation, read, accepted, updated, duplicate, quarantined FROM prodsense.loads"
    found += named("loads", differences(pair.duckdb.engine.query(counts).to_pylist(), pair.spark.engine.query(counts).to_pylist()))
    assert not found


def test_models_hold_the_same_rows(pair: Pair) -> None:
    found, rows = [], 0
    for name in pair.pack.models:
        sql = f"SELECT * FROM {pair.pack.name}.{name}"
        here, there = (w.engine.query(sql).to_pylist() for w in (pair.duckdb, pair.spark))
        found += named(name, differences(here, there))
        rows += len(here)
    assert not found
    assert rows or not pair.pack.models


def test_queries_return_the_same_rows(pair: Pair) -> None:
    found = []
    for name in pair.pack.queries:
        answers = [_answer(lambda w=w, n=name: w.query(f"{pair.pack.name}.{n}").rows) for w in (pair.duckdb, pair.spark)]
        found += named(name, _compared(*answers))
    assert not found


def test_policies_find_the_same_violations(pair: Pair) -> None:
    found = []
    for name in pair.pack.policies:
        answers = [
            _answer(lambda w=w, n=name: w.policies(f"{pair.pack.name}.{n}")[0].violations.rows)
            for w in (pair.duckdb, pair.spark)
        ]
        found += named(name, _compared(*answers))
    assert not found


@pytest.mark.parametrize("grain", ["all", "day", "longer"])
def test_metrics_are_the_same_at_each_grain(pair: Pair, grain: str) -> None:
    scope = pair.duckdb.scope(pair.pack.name)
    by_source: dict[Any, list[str]] = defaultdict(list)
    for metric in pair.pack.metrics.values():
        by_source[tuple(sorted({leaf.source for leaf in leaves(scope, metric)}))].append(metric.name)
    found = []
    for turn, names in enumerate(by_source.values()):
        found += _metrics(pair, scope, names, grain=LONGER[turn % len(LONGER)] if grain == "longer" else grain)
    assert not found


def test_metrics_that_wait_for_a_window_are_the_same_once_it_has_passed(pair: Pair) -> None:
    """Retention of so many days has no value within the few days simulated; it has one half a year later."""
    scope = pair.duckdb.scope(pair.pack.name)
    found = []
    for metric in pair.pack.metrics.values():
        if any(leaf.matures for leaf in leaves(scope, metric)):
            found += _metrics(pair, scope, [metric.name], as_of=LATER, grain="all")
    assert not found


def test_metrics_are_the_same_by_a_dimension(pair: Pair) -> None:
    """Each metric by a dimension, those of a source together, so that between them they meet them all."""
    scope = pair.duckdb.scope(pair.pack.name)
    reached: dict[str, list[str]] = defaultdict(list)
    for metric, dimension in sliceable(scope):
        reached[metric].append(dimension)
    by_source: dict[Any, list[str]] = defaultdict(list)
    for metric in reached:
        by_source[tuple(sorted({leaf.source for leaf in leaves(scope, pair.pack.metrics[metric])}))].append(metric)
    used: dict[str, int] = dict.fromkeys((d for dimensions in reached.values() for d in dimensions), 0)
    found = []
    for names in by_source.values():
        left = list(names)
        while left:
            dimension = min(reached[left[0]], key=lambda d: used[d])
            asked = [name for name in left if dimension in reached[name]]
            used[dimension] += 1
            found += _metrics(pair, scope, asked, by=dimension)
            left = [name for name in left if name not in asked]
    for dimension in [d for d, times in used.items() if not times]:
        found += _metrics(pair, scope, [next(n for n, d in reached.items() if dimension in d)], by=dimension)
    assert not found


def _metrics(pair: Pair, scope: Scope, names: Sequence[str], **options: Any) -> list[str]:
    """Differences of some metrics, asked together, and one by one where an engine refuses them so."""
    what = " ".join(str(value) for value in options.values())
    here = _asked(pair.duckdb.engine, scope, names, options)
    if options.get("grain") != "all" and isinstance(here, Result):
        # The newest moment was compared at grain all; a Spark job less each time.
        options = {"as_of": here.as_of, **options}
    there = _asked(pair.spark.engine, scope, names, options)
    if len(names) > 1 and (isinstance(here, str) or isinstance(there, str)):
        return [line for name in names for line in _metrics(pair, scope, [name], **options)]
    return named(f"{', '.join(names)} ({what})", _compared(_rows(here), _rows(there)))


def _asked(engine: Engine, scope: Scope, names: Sequence[str], options: Mapping[str, Any]) -> Result | str:
    return _answer(lambda: run(engine, Request(list(names), **options), scope))


def _rows(answer: Result | str) -> list[dict[str, Any]] | str:
    return answer if isinstance(answer, str) else answer.arrow.to_pylist()


def _answer(ask: Any) -> Any:
    """The answer, or what the engine says against it."""
    try:
        return ask()
    except ProdsenseError as error:
        return f"{type(error).__name__}: {error}"


def _compared(here: list[dict[str, Any]] | str, there: list[dict[str, Any]] | str) -> list[str]:
    if isinstance(here, str) or isinstance(there, str):
        # What is refused before an engine is asked is refused alike.
        return [] if here == there else [f"{str(here)[:300]} against {str(there)[:300]}"]
    return differences(here, there)
