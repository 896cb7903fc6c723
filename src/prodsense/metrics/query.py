"""Run a compiled request and shape its rows: periods without data, comparison, what is incomplete."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

from prodsense.errors import EngineError, UsageError
from prodsense.metrics import periods
from prodsense.metrics.compiler import Plan, compile, newest
from prodsense.metrics.parts import MATCHED
from prodsense.metrics.result import Result
from prodsense.metrics.scope import Request, Scope

if TYPE_CHECKING:
    import pyarrow as pa

    from prodsense.engines.base import Engine

#: Most rows that are filled up with empty periods; beyond, only rows with data are shown.
MAX_FILLED = 200_000

Key = tuple[Any, ...]


def run(engine: Engine, request: Request, scope: Scope) -> Result:
    """Compile a request and run it; raises what `compile` and `run_plan` raise."""
    return run_plan(engine, compile(request, scope))


def run_plan(engine: Engine, plan: Plan) -> Result:
    """Run a compiled request and return its rows, sorted by period and slices.

    Raises UsageError when the filter does not fit the data's types, EngineError when the engine fails.
    """
    request = plan.request
    notes = list(plan.notes)
    moment, first, empty = request.as_of, None, False
    if moment is None or plan.needs_first:
        found, first = newest(engine, plan)
        if found is None and plan.probe is not None:
            empty = True
            notes.append(f"no data in {' or '.join(plan.sources)}")
        moment = moment or found or _fallback(request)
    statements = [(plan.tree, plan.params(moment, first))]
    raw = _query(engine, plan, statements[0][1])
    if plan.grain == "all":
        before = None
        if request.compare:
            earlier = plan.moved(*_window_before(request, moment))
            statements.append((plan.tree, earlier.params(moment, first)))
            before = _query(engine, plan, statements[1][1])
        table = _windows(plan, raw, before)
        incomplete: list[date | None] = [None] if _cut_short(plan, moment) else []
    else:
        # A rolling count has a row for each day asked, even of no data at all.
        table, shown = _periods(plan, raw.slice(0, 0) if empty else raw, moment, notes)
        incomplete = [p for p in shown if _unfinished(plan, p, moment)]
        notes += _edges(plan, shown)
    if plan.matures:
        notes.append(
            f"rows count once {plan.matures} days have passed by {moment:%Y-%m-%d %H:%M}; younger ones are left out"
        )
    return Result(
        arrow=table,
        metrics=tuple(metric.name for metric in plan.metrics),
        by=plan.by,
        grain=plan.grain,
        units={metric.name: metric.unit for metric in plan.metrics},
        better={metric.name: metric.better for metric in plan.metrics},
        compare=request.compare,
        incomplete=tuple(incomplete),
        notes=tuple(notes),
        as_of=moment,
        dialect=engine.dialect,
        statements=tuple(statements),
    )


def _query(engine: Engine, plan: Plan, params: dict[str, Any]) -> pa.Table:
    try:
        table = engine.query(plan.tree, params)
    except EngineError as error:
        if plan.request.where:
            raise UsageError(f"where does not fit the data: {error}") from None
        raise
    return _plain(table, [metric.name for metric in plan.metrics])


def _plain(table: pa.Table, metrics: list[str]) -> pa.Table:
    """Metric columns as int64 or double: other types are how engines add, not what they say."""
    import pyarrow as pa

    for name in metrics:
        column = table.column(name)
        if pa.types.is_decimal(column.type):
            # Through Python: Arrow's own cast of 1497.12 gives 1497.1200000000001.
            values = column.to_pylist()
            whole = column.type.scale == 0 and all(v is None or abs(v) < 2**63 for v in values)
            exact = numbers(values, pa.int64() if whole else pa.float64())
            table = table.set_column(table.column_names.index(name), name, exact)
        elif pa.types.is_integer(column.type) and column.type != pa.int64():
            # A difference of unsigned numbers may be negative.
            table = table.set_column(table.column_names.index(name), name, column.cast(pa.int64()))
    return table


def _fallback(request: Request) -> datetime:
    """A moment for a request whose sources hold no time or no rows."""
    if request.until:
        return periods.midnight(request.until, request.tz) - periods.TICK
    return periods.end_of_day(request.since or date(1970, 1, 1), request.tz)


def _window_before(request: Request, as_of: datetime) -> tuple[date, date]:
    """The window to compare a whole window with: as long, just before it, or the same days a year before."""
    assert request.since is not None
    until = request.until or periods.local_day(as_of, request.tz) + periods.DAY
    if request.compare == "previous":
        return request.since - (until - request.since), request.since
    since, end = (periods.year_before(day, "day") or periods.year_before(day - periods.DAY, "day")
                  for day in (request.since, until))
    assert since is not None and end is not None
    return since, end


def _sort_key(values: Key) -> tuple[tuple[bool, Any], ...]:
    """Order of slices: by value, NULL last."""
    return tuple((value is None, 0 if value is None else value) for value in values)


def _slices(plan: Plan, table: pa.Table) -> list[Key]:
    """The slice of each row."""
    if not plan.by:
        return [()] * table.num_rows
    return list(zip(*(table.column(name).to_pylist() for name in plan.by), strict=True))


def _counted(plan: Plan, table: pa.Table, slices: list[Key]) -> set[Key]:
    """Slices in which any row counted for any of the metrics."""
    if not plan.sparse:
        return set(slices)
    return {s for s, matched in zip(slices, table.column(MATCHED).to_pylist(), strict=True) if matched}


def _windows(plan: Plan, raw: pa.Table, before: pa.Table | None) -> pa.Table:
    """Rows of grain all: one a slice, beside the earlier window's."""
    import pyarrow as pa

    slices = _slices(plan, raw)
    wanted = _counted(plan, raw, slices)
    where = {s: i for i, s in enumerate(slices) if s in wanted}
    if before is None:
        if len(where) == raw.num_rows:
            return raw.select([*plan.by, *(m.name for m in plan.metrics)])
        order = list(where)
        return _assemble(plan, raw, None, order, [where[s] for s in order])
    earlier = _slices(plan, before)
    there = {s: i for i, s in enumerate(earlier) if s in _counted(plan, before, earlier)}
    order = sorted(where.keys() | there.keys(), key=_sort_key)
    both = pa.concat_tables([raw, before], promote_options="permissive")
    previous = [there[s] + raw.num_rows if s in there else None for s in order]
    return _assemble(plan, both, None, order, [where.get(s) for s in order], previous)


def _periods(plan: Plan, raw: pa.Table, as_of: datetime, notes: list[str]) -> tuple[pa.Table, list[date]]:
    """Rows by period: empty periods are there, with nulls; returns the rows and the periods shown."""
    request, grain = plan.request, plan.grain
    starts: list[date] = raw.column("period").to_pylist()
    slices = _slices(plan, raw)
    wanted = _counted(plan, raw, slices)
    where = {(p, s): i for i, (p, s) in enumerate(zip(starts, slices, strict=True)) if s in wanted}
    first = periods.start_of(request.since, grain) if request.since else min(starts, default=None)
    end = request.until - periods.DAY if request.until else periods.local_day(as_of, request.tz)
    last = max(periods.start_of(end, grain), first) if first else None
    seen = sorted({s for _, s in where}, key=_sort_key) if plan.by else [()]
    length = periods.count(first, last, grain) if first and last else 0
    keys: list[tuple[date, Key]]
    if length * len(seen) <= MAX_FILLED:
        shown = periods.spine(first, last, grain) if first and last else []
        keys = list(product(shown, seen))
    else:
        notes.append(f"{length:,} periods by {len(seen):,} slices: periods without data are not shown")
        keys = sorted((k for k in where if first and k[0] >= first), key=lambda k: (k[0], _sort_key(k[1])))
        shown = sorted({p for p, _ in keys})
    previous = None
    if request.compare:
        earlier = {p: _before(plan, p) for p in shown}
        previous = [where.get((earlier[p], s)) for p, s in keys]  # type: ignore[arg-type]
    table = _assemble(
        plan, raw, [p for p, _ in keys], [s for _, s in keys], [where.get(k) for k in keys], previous
    )
    return table, shown


def _before(plan: Plan, start: date) -> date | None:
    if plan.request.compare == "previous":
        return periods.shift(start, plan.grain, -1)
    return periods.year_before(start, plan.grain)


def _assemble(
    plan: Plan,
    raw: pa.Table,
    starts: list[date] | None,
    slices: list[Key],
    rows: list[int | None],
    previous: list[int | None] | None = None,
) -> pa.Table:
    """A table with the given keys, values taken from rows of `raw` (None: null)."""
    import pyarrow as pa

    names: list[str] = []
    columns: list[Any] = []

    def put(name: str, values: Any) -> None:
        names.append(name)
        columns.append(values)

    if starts is not None:
        put("period", numbers([day.toordinal() - EPOCH for day in starts], pa.date32()))
    if plan.by:
        # Any row of a slice holds its values, in their own type.
        holder = dict(zip(_slices(plan, raw), range(raw.num_rows), strict=True))
        keys = _take(raw, plan.by, [holder[s] for s in slices])
        for name in plan.by:
            put(name, keys.column(name))
    names_of = [metric.name for metric in plan.metrics]
    now = _take(raw, names_of, rows)
    for name in names_of:
        values = now.column(name)
        put(name, values)
        if previous is not None:
            before = _take(raw, [name], previous).column(name)
            put(f"{name}_previous", before)
            if pa.types.is_floating(values.type) or pa.types.is_integer(values.type):
                delta, change = _change(values.to_pylist(), before.to_pylist())
                put(f"{name}_delta", numbers(delta, values.type))
                put(f"{name}_change", numbers(change, pa.float64()))
    return pa.Table.from_arrays(columns, names=names)


def _take(table: pa.Table, names: Sequence[str], rows: list[int | None]) -> pa.Table:
    """The named columns at the given rows (None: null)."""
    import pyarrow as pa

    found = table.select(list(names))
    # Mostly nothing is missing and all stand in order: then Arrow's compute module need not load.
    return found if rows == list(range(table.num_rows)) else found.take(numbers(rows, pa.int64()))


#: Day 0 of Arrow's dates.
EPOCH = date(1970, 1, 1).toordinal()


def numbers(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """An Arrow array of numbers (or days since 1970), None as null.

    Made from buffers, because ``pa.array`` imports pandas where that is installed: half a second for nothing.
    """
    import numpy as np
    import pyarrow as pa

    stored = {"date32[day]": "int32", "double": "float64", "float": "float32"}.get(str(kind), str(kind))
    data = np.array([0 if value is None else value for value in values], stored)
    there = np.array([value is not None for value in values], bool)
    bitmap = None if there.all() else pa.py_buffer(np.packbits(there, bitorder="little"))
    return pa.Array.from_buffers(kind, len(data), [bitmap, pa.py_buffer(data)])


def _change(values: list[Any], before: list[Any]) -> tuple[list[Any], list[Any]]:
    """Absolute changes, and changes relative to the earlier value's size (None where that is 0 or unknown)."""
    delta = [None if a is None or b is None else a - b for a, b in zip(values, before, strict=True)]
    change = [d / abs(b) if d is not None and b else None for d, b in zip(delta, before, strict=True)]
    return delta, change


def _unfinished(plan: Plan, start: date, as_of: datetime) -> bool:
    """Whether a period ends after the day of `as_of`, or holds rows whose window has not passed by then."""
    tz = plan.request.tz
    end = periods.last_day(start, plan.grain)
    if end > periods.local_day(as_of, tz):
        return True
    return bool(plan.matures) and periods.end_of_day(end, tz) + timedelta(days=plan.matures) > as_of


def _cut_short(plan: Plan, as_of: datetime) -> bool:
    """The same for one whole window: it ends with `until`, or with `as_of` where none is given."""
    tz, until = plan.request.tz, plan.request.until
    end = until - periods.DAY if until else periods.local_day(as_of, tz)
    if end > periods.local_day(as_of, tz):
        return True
    return bool(plan.matures) and periods.end_of_day(end, tz) + timedelta(days=plan.matures) > as_of


def _edges(plan: Plan, shown: list[date]) -> list[str]:
    """Notes on periods that since or until cut."""
    request, grain, found = plan.request, plan.grain, []
    if shown and request.since and periods.start_of(request.since, grain) != request.since:
        found.append(f"the {grain} of {shown[0]} holds only days from {request.since} (since)")
    if shown and request.until and periods.start_of(request.until, grain) != request.until:
        found.append(f"the {grain} of {shown[-1]} holds only days before {request.until} (until)")
    return found
