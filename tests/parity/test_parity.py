"""Every artefact of every pack gives the same answer on DuckDB and on Spark: no list of exceptions.

The artefacts are read from the packs, so a new one is covered without a line here. A failure names it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
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
GRAINS = ("all", "day", "week", "all", "day", "month", "all", "day", "quarter", "all", "day", "year")


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


def test_metrics_that_wait_for_a_window_are_the_same_once_it_has_passed(pair: Pair) -> None:
    """Retention of so many days has no value within the few days simulated; it has one half a year later."""
    scope = pair.duckdb.scope(pair.pack.name)
    found = []
    for metric in pair.pack.metrics.values():
        if any(leaf.matures for leaf in leaves(scope, metric)):
            found += _metrics(pair, scope, [metric.name], as_of=LATER, grain="all")
    assert not found


def test_metrics_are_the_same(pair: Pair) -> None:
    """Each metric by a dimension, those of a source together, so that between them they meet all dimensions; over all
    time and by a period in turn, which differ in one macro alone."""
    scope = pair.duckdb.scope(pair.pack.name)
    reached: dict[str, list[str]] = {name: [] for name in pair.pack.metrics}
    for metric, dimension in sliceable(scope):
        reached[metric].append(dimension)
    used: dict[str, int] = dict.fromkeys((d for dimensions in reached.values() for d in dimensions), 0)
    grain = cycle(GRAINS)
    found = []
    for names in _by_source(scope, reached):
        left = list(names)
        while left:
            dimension = min(reached[left[0]], key=lambda d: used[d], default=None)
            asked = [name for name in left if dimension is None or dimension in reached[name]]
            if dimension is not None:
                used[dimension] += 1
            found += _metrics(pair, scope, asked, by=dimension or (), grain=next(grain))
            left = [name for name in left if name not in asked]
    for dimension in [d for d, times in used.items() if not times]:
        found += _metrics(pair, scope, [next(n for n, d in reached.items() if dimension in d)], by=dimension)
    assert not found


def _by_source(scope: Scope, metrics: Iterable[str]) -> list[list[str]]:
    """Names of metrics, those together that read the same sources."""
    found: dict[Any, list[str]] = defaultdict(list)
    for name in metrics:
        found[tuple(sorted({leaf.source for leaf in leaves(scope, scope.metrics[name])}))].append(name)
    return list(found.values())


def _metrics(pair: Pair, scope: Scope, names: Sequence[str], **options: Any) -> list[str]:
    """Differences of some metrics, asked together, and one by one where an engine refuses them so."""
    what = " ".join(str(value) for value in options.values())
    here = _asked(pair.duckdb.engine, scope, names, options)
    if isinstance(here, str) and len(names) == 1 and options.get("grain", "all") != "all":
        # It is defined for longer periods only, or has no time.
        return _metrics(pair, scope, names, **{**options, "grain": "all"})
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
