"""Funnels: how many who begin go all the way, where the others stop, and how long it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, get_args

from prodsense.behavior import funnel_sql, kernels, kernels_funnel
from prodsense.behavior.durations import seconds, spoken
from prodsense.behavior.events import Events, EventTable, events_of
from prodsense.behavior.funnel_steps import Step, read_steps
from prodsense.behavior.log import EventLog, log_for
from prodsense.behavior.result import Answer
from prodsense.contracts.options import Attribution, Entries, Order
from prodsense.errors import UsageError
from prodsense.metrics import periods
from prodsense.metrics.result import Rows

if TYPE_CHECKING:
    from prodsense.behavior.drops import Asked

ORDERS, ENTRIES, ATTRIBUTIONS = get_args(Order), get_args(Entries), get_args(Attribution)
#: Compared with the window before.
COMPARED = ("count", "of_first", "of_step")
_EVER = datetime(1, 1, 1)


@dataclass(frozen=True, repr=False, eq=False)
class Funnel(Answer):
    """The answer of `funnel`; it can also tell who drops, as long as its events are there."""

    asked: Asked | None = field(default=None)

    def drops(
        self, columns: str | Sequence[str] = (), *, events: bool = True, at_least: int = 20, confidence: float = 0.95
    ) -> Answer:
        """Attributes (`columns`) and other events that those who drop have more, or less, than those who go on.

        See `prodsense.behavior.drops.drops`.
        """
        from prodsense.behavior.drops import drops

        assert self.asked is not None
        return drops(self.asked, columns, events=events, at_least=at_least, confidence=confidence)


def funnel(
    events: Events,
    steps: Sequence[str | Step],
    *,
    within: str | timedelta | None = None,
    order: str = "ordered",
    entries: str = "first",
    by: str | Sequence[str] = (),
    attribution: str = "entry",
    exclude: str | Sequence[str] = (),
    since: object = None,
    until: object = None,
    compare: str | None = None,
    as_of: object = None,
    quantiles: Sequence[float] = (0.5, 0.9),
    tz: str = "UTC",
) -> Funnel:
    """How many entries reach each of `steps`; one row for each slice and step.

    * A step is the name of an event (``"?coupon"`` is optional), or `step(...)` or `optional(...)`, which also take
      several events, a window since the step before and events that must not happen on the way.
    * `within`: the whole way takes at most this long (``"7d"``). May be left out where every step has a window.
      ``"ever"`` is for ways that end by themselves (an order, an upload): no window, all count as they stand.
    * `order`: ``ordered`` (other events may happen between), ``strict`` (the very next event of the user is the
      next step) or ``any`` (enter with any step; row k counts those who did k of them).
    * `entries`: ``first`` counts a user's first entry in the window from `since` (inside) to `until` (outside),
      ``best`` the one that gets furthest (the earliest of equals), ``every`` each entry by itself.
    * `by`: columns; `attribution` takes their value at ``entry``, or the ``first`` or ``last`` known value of the
      user up to entry. None looks at what came after, so those who finish have no other chance of a value.
    * `exclude`: events that end an entry wherever they happen on the way.
    * `compare`: ``previous`` is the window of the same length before `since`, ``year`` the same one a year before.

    Entries whose window is not over at `as_of` (the newest event unless given) are left out and counted: they
    could still convert. Columns: one for each of `by`, ``step``, ``name``, ``optional``, ``count``, ``of_first``
    (share of entries), ``of_step`` (share of the required step before), ``dropped``, and for each quantile
    ``step_p50`` (seconds since the required step before) and ``total_p50`` (since entry); ``censored`` entries
    of the slice. With `compare` also ``_previous`` and ``_delta`` of the first three numbers.
    Raises UsageError for steps or options that contradict each other and when there are no events.
    """
    events = events_of(events)
    _choose(order, ORDERS, "order")
    _choose(entries, ENTRIES, "entries")
    _choose(attribution, ATTRIBUTIONS, "attribution")
    if compare is not None:
        _choose(compare, ("previous", "year"), "comparison")
    if not events.event:
        raise UsageError("a funnel tells events apart: name the event column (--event)")
    read = read_steps(steps, order=order, exclude=(exclude,) if isinstance(exclude, str) else exclude)
    for q in quantiles:
        if not 0 < q < 1:
            raise UsageError(f"a quantile lies between 0 and 1, not {q}")
    shape = funnel_sql.Shape(read, order, entries, attribution, _window(within, read), tuple(quantiles))
    table = events.by(*([by] if isinstance(by, str) else by))
    moment = events.as_of(as_of, tz)
    start = _moment(since, tz, "since") if since is not None else _EVER
    end = _moment(until, tz, "until") if until is not None else moment + periods.TICK
    if start >= end:
        raise UsageError(f"nobody can enter between {start} and {end}: since should be before until")
    log, behind = log_for(events) if not table.dimensions and kernels_funnel.applies(shape) else (None, "")
    request = _Request(table, shape, moment, log)
    rows = request.run(start, end)
    window = "ever" if shape.within == funnel_sql.EVER else spoken(shape.within)
    extras: dict[str, Any] = {
        "order": order, "entries": entries, "attribution": attribution, "within": window,
        "since": since if since is None else start, "until": end, "censored": sum(r["censored"] for r in rows.values()),
        "form": kernels.form_of(log),
    }
    before: dict[tuple[Any, ...], dict[str, Any]] | None = None
    if compare:
        if since is None:
            raise UsageError("a comparison needs the window to compare: give since (and until)")
        if compare == "year":
            first, last = periods.back_a_year(start), periods.back_a_year(end)
        else:
            first, last = start - (end - start), start
        before = request.run(first, last)
        extras |= {"compare": compare, "previous_since": first, "previous_until": last}
        extras["previous_censored"] = sum(r["censored"] for r in before.values())
    found = _rows(shape, list(table.dimensions), rows, before)
    notes = [*events.notes(), *_notes(shape, extras, found, events), *filter(None, [behind])]
    units = {"of_first": "share", "of_step": "share", "count": "count", "dropped": "count", "censored": "count"}
    units |= {f"{name}_{suffix}": units[name] for name in COMPARED for suffix in ("previous", "delta")}
    units |= {f"{kind}_{_name(q)}": "seconds" for kind in ("step", "total") for q in quantiles}
    from prodsense.behavior.drops import Asked

    return Funnel(
        arrow=Rows.from_rows(found).arrow, extras=extras, units=units, notes=tuple(notes),
        dialect=events.engine.dialect, statements=tuple(request.statements), title="Funnel",
        method="funnel", as_of=moment, tz=tz, picture=picture, asked=Asked(events.by(), shape, start, end, moment, tz),
    )


def _choose(given: str, known: Sequence[str], what: str) -> None:
    if given not in known:
        raise UsageError(f"no {what} named {given!r}; choose one of {', '.join(known)}")


def _window(within: str | timedelta | None, steps: Sequence[Step]) -> float:
    """The overall window in seconds: as given, else what the windows of the steps add up to."""
    if isinstance(within, str) and within.strip().lower() == "ever":
        return funnel_sql.EVER
    if within is not None:
        return seconds(within, "within")
    limits = [item.within for item in steps[1:] if not item.optional]
    known = [limit for limit in limits if limit is not None]
    if len(known) < len(limits):
        raise UsageError("a funnel needs a window: give within (such as 7d), or a window for every required step")
    return float(sum(known)) + max((s.within or 0.0 for s in steps if s.optional), default=0.0)


def _moment(value: object, tz: str, what: str) -> datetime:
    """A moment in UTC; a day means its start in `tz`."""
    try:
        return periods.midnight(periods.read_day(value, what), tz)
    except UsageError:
        return periods.read_moment(value, tz, what)


class _Request:
    """One funnel on one table, asked for one or several windows of entry."""

    def __init__(
        self, table: EventTable, shape: funnel_sql.Shape, as_of: datetime, log: EventLog | None = None
    ) -> None:
        self.table, self.shape, self.as_of, self.log = table, shape, as_of, log
        self.sql = funnel_sql.statement(table, shape)
        self.statements: list[tuple[str, Mapping[str, Any]]] = []

    def run(self, since: datetime, until: datetime) -> dict[tuple[Any, ...], dict[str, Any]]:
        """Values of the dimensions → the statement's row; every slice that somebody entered."""
        params = {**funnel_sql.parameters(self.shape), "since": since, "until": until, "as_of": self.as_of}
        self.statements.append((self.sql, params))
        if self.log is not None:
            return {(): kernels_funnel.count(self.log, self.shape, since, until, self.as_of)}
        found = self.table.engine.query(self.sql, params).to_pylist()
        names = list(self.table.dimension_columns.values())
        rows = {tuple(row[name] for name in names): row for row in found}
        return dict(sorted(rows.items(), key=lambda item: (-int(item[1]["n0"]), str(item[0]))))


def _rows(
    shape: funnel_sql.Shape, by: list[str], found: Mapping[tuple[Any, ...], dict[str, Any]],
    before: Mapping[tuple[Any, ...], dict[str, Any]] | None,
) -> list[dict[str, Any]]:
    lines = []
    for key in [*found, *(key for key in before or () if key not in found)]:
        now = _steps(shape, found.get(key))
        then = _steps(shape, before.get(key)) if before is not None else None
        for i, line in enumerate(now):
            row = {**dict(zip(by, key, strict=True)), **line}
            if then is not None:
                for name in COMPARED:
                    row[f"{name}_previous"] = then[i][name]
                    row[f"{name}_delta"] = _minus(line[name], then[i][name])
            lines.append(row)
    return lines


def _steps(shape: funnel_sql.Shape, row: dict[str, Any] | None) -> list[dict[str, Any]]:
    """One row a step; a slice that nobody entered has counts of 0 and no shares."""
    lines: list[dict[str, Any]] = []
    many = len(shape.required)
    for i, item in enumerate(shape.steps):
        count, step, total = (0, [], []) if row is None else funnel_sql.columns_of(shape, row, i)
        got = int(count)  # type: ignore[call-overload]
        free = shape.order == "any" and item.optional
        earlier = None if i == 0 else lines[0 if free else shape.before(i)]["count"]
        first = lines[0]["count"] if lines else got
        name = item.name
        if shape.order == "any" and not item.optional:
            name = f"any {shape.required.index(i) + 1} of {many}"
        line: dict[str, Any] = {
            "step": i + 1, "name": name, "optional": item.optional, "count": got,
            "of_first": got / first if first else None,
            "of_step": got / earlier if earlier else None,
            "dropped": None if earlier is None or item.optional else earlier - got,
        }
        for kind, values in (("step", step), ("total", total)):
            for j, q in enumerate(shape.quantiles):
                line[f"{kind}_{_name(q)}"] = values[j] if values else None
        line["censored"] = int(row["censored"]) if row else 0
        lines.append(line)
    return lines


def _name(q: float) -> str:
    """p50 of 0.5, p99_9 of 0.999."""
    return "p" + f"{q * 100:.10g}".replace(".", "_")


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def _notes(
    shape: funnel_sql.Shape, extras: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], events: EventTable
) -> list[str]:
    notes = []
    one, many = ("entry", "entries") if shape.entries == "every" else ("user", "users")
    for name, of in (("censored", ""), ("previous_censored", " of the earlier window")):
        if count := extras.get(name):
            notes.append(
                f"{count} {one if count == 1 else many}{of} left out: {extras['within']} since entry not over at as_of"
            )
    entered = sum(row["count"] for row in rows if row["step"] == 1)
    if not entered and not extras["censored"]:
        notes.append(f"nobody entered: is {shape.steps[0].name!r} a value of {events.event}?")
    return notes


def picture(answer: Answer, **options: Any) -> Any:
    """The funnel as bars: one a step, or for each step one a slice."""
    from prodsense.charts import bar
    from prodsense.charts import funnel as draw

    rows = chart_data(answer)
    options = {"title": answer.title, "notes": answer.notes, **options}
    if rows and "slice" in rows[0]:
        sides = " · ".join(answer.arrow.column_names[: answer.arrow.column_names.index("step")])
        if sides in ("label", "of_first"):
            sides = "slice"
        named = [{"label": row["label"], "of_first": row["of_first"], sides: row["slice"]} for row in rows]
        return bar(named, "label", "of_first", series=sides, unit="share", sort="given", top=len(rows), **options)
    if rows and "of_first_previous" in rows[0]:
        then: dict[str, Any] = {"previous": "of_first_previous", "sort": "given", "top": len(rows)}
        if answer.extras.get("compare") == "year":
            then["previous_label"] = "a year before"
        return bar(rows, "label", "of_first", unit="share", **then, **options)
    return draw(rows, "name", "count", optional="optional", **options)


def chart_data(answer: Answer) -> list[dict[str, Any]]:
    """The rows that `picture` draws: those of the answer with ``label`` (numbered step) and ``slice`` added."""
    names = answer.arrow.column_names
    by = names[: names.index("step")] if "step" in names else []
    rows = []
    for row in answer.rows:
        line = {**row, "label": f"{row['step']}. {row['name']}" + (" (optional)" if row["optional"] else "")}
        if by:
            line["slice"] = " · ".join("(none)" if row[name] is None else str(row[name]) for name in by)
        rows.append(line)
    return rows
