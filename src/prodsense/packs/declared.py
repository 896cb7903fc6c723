"""Behaviour methods as a pack declares them: a named analysis in a few lines, with parameters and a picture.

::

    ANALYSES = (
        funnel_analysis("checkout", "How far buyers get.", "shop.events", steps=["view", "cart", "?coupon", "pay"],
                        user="user_id", time="at", event="name", within="7d"),
        retention_analysis("weekly_return", "Who comes back, by week of entry.", "shop", grain="week", days=28),
    )

The table is named in full; the name of a pack stands for the event table that it declares (``EVENTS_TABLE``), with its
columns. Options of the method are given as keywords; those that are also parameters are their defaults, and
``prodsense analyze checkout --param within=1d --param by=country`` takes others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from prodsense.contracts.vocabulary import Analysis, Param, ParamType
from prodsense.errors import ContractError, UsageError

if TYPE_CHECKING:
    from prodsense.behavior.events import EventTable
    from prodsense.behavior.funnel_steps import Step
    from prodsense.behavior.result import Answer
    from prodsense.warehouse import Warehouse

    Method = Callable[[EventTable, dict[str, Any]], Answer]

#: Parameter → type and meaning. Texts of several names are parted by commas, of several cohorts by semicolons.
_KNOWN: Mapping[str, tuple[ParamType, str]] = {
    "by": ("text", "Columns to slice by."),
    "inside": ("text", "Cohorts to set against the others: 'NAME: event=pay, at_least=2'."),
    "since": ("date", "First day of entry, inside."),
    "until": ("date", "Day after the last one of entry, outside."),
    "as_of": ("timestamp", "The moment to look from; the newest event by default."),
    "tz": ("text", "Time zone of days and periods."),
    "within": ("text", "The whole way takes at most this: 7d, 12h, 30m, or ever."),
    "order": ("text", "ordered, strict or any."),
    "entries": ("text", "first, best or every."),
    "attribution": ("text", "Whose value an entry takes: entry, first or last."),
    "compare": ("text", "previous or year: beside the period before, or the one a year before."),
    "drops": ("text", "Tell who drops instead: columns to tell them by."),
    "days": ("integer", "Days after entry to look at."),
    "weeks": ("integer", "Calendar weeks after that of entry, instead."),
    "months": ("integer", "Calendar months after that of entry, instead."),
    "kind": ("text", "exact, unbounded or rolling."),
    "brackets": ("text", "Back on any day of each: 1-3,4-7."),
    "grain": ("text", "day, week, month, quarter, year (of entries also all)."),
    "cohort": ("text", "first, any or a column with the moment of entry."),
    "steps": ("integer", "So many steps."),
    "top": ("integer", "So many events by name, the others together."),
    "gap": ("text", "A session goes on while the next event comes in under this."),
    "start": ("text", "The event to begin with."),
    "merge": ("boolean", "Take an event that repeats at once as one."),
    "unit": ("text", "seconds, minutes, hours or days."),
    "confidence": ("number", "Level of the intervals."),
}
_NAMES = ("by", "drops")
_COUNTED = ("days", "weeks", "months")
_SHAPES = ("links", "matrix", "transitions")


def funnel_analysis(
    name: str, says: str, table: str, *, steps: Sequence[str | Step], user: str = "", time: str = "",
    event: str = "", where: str = "", **options: Any,
) -> Analysis:
    """A funnel (`behavior.funnel`); with the parameter `drops`, who drops out of it."""
    def run(events: EventTable, given: dict[str, Any]) -> Answer:
        from prodsense.behavior import funnel

        columns = given.pop("drops", ())
        found = funnel(events, steps, **given)
        return found.drops(columns) if columns else found

    params = ("within", "order", "entries", "by", "attribution", "since", "until", "compare", "drops", "as_of", "tz")
    return _declared(name, says, _log(table, user, time, event, where), run, params, options)


def retention_analysis(
    name: str, says: str, table: str, *, user: str = "", time: str = "", event: str = "", where: str = "",
    **options: Any,
) -> Analysis:
    """Retention (`behavior.retention`); `inside` sets cohorts against the others."""
    def run(events: EventTable, given: dict[str, Any]) -> Answer:
        from prodsense.behavior import retention

        groups = _cohorts(events, given.pop("inside", None), given)
        for unit in ("months", "weeks"):
            if unit in given:  # asked for in place of the declared days
                given = {key: value for key, value in given.items() if key == unit or key not in _COUNTED}
        return retention(events, **{**given, "by": [*given.get("by", ()), *groups]})

    params = (
        "days", "weeks", "months", "kind", "brackets", "grain", "cohort", "by", "inside", "since", "until", "compare",
        "as_of", "tz",
    )  # fmt: skip
    return _declared(name, says, _log(table, user, time, event, where), run, params, options)


def lifecycle_analysis(
    name: str, says: str, table: str, *, user: str = "", time: str = "", event: str = "", where: str = "",
    active: Sequence[str] = (), **options: Any,
) -> Analysis:
    """Lifecycle (`behavior.lifecycle`); `active` are the events that make a user active (any by default)."""
    def run(events: EventTable, given: dict[str, Any]) -> Answer:
        from prodsense.behavior import lifecycle

        return lifecycle(events, event=active, **{**given, "by": ",".join(given.get("by", ()))})

    params = ("grain", "by", "compare", "as_of", "tz")
    return _declared(name, says, _log(table, user, time, event, where), run, params, options)


def paths_analysis(
    name: str, says: str, table: str, *, user: str = "", time: str = "", event: str = "", where: str = "",
    shape: str = "links", **options: Any,
) -> Analysis:
    """Paths by `shape`: ``links`` (`behavior.paths`), ``matrix`` (`step_matrix`) or ``transitions``."""
    if shape not in _SHAPES:
        raise ContractError(f"{name}: no paths of shape {shape!r}; choose one of {', '.join(_SHAPES)}")

    def run(events: EventTable, given: dict[str, Any]) -> Answer:
        from prodsense import behavior

        method = {"links": behavior.paths, "matrix": behavior.step_matrix, "transitions": behavior.transitions}[shape]
        return method(events, **given)

    own = () if shape == "transitions" else ("steps", "top", "start")
    return _declared(
        name, says, _log(table, user, time, event, where), run, (*own, "gap", "merge", "since", "until", "as_of", "tz"),
        options,
    )  # fmt: skip


def survival_analysis(
    name: str, says: str, table: str, *, end: str, user: str = "", time: str = "", event: str = "", where: str = "",
    **options: Any,
) -> Analysis:
    """Survival (`behavior.survival`) until the event `end`."""
    def run(events: EventTable, given: dict[str, Any]) -> Answer:
        from prodsense.behavior import survival

        return survival(events, end, **given)

    params = ("start", "by", "unit", "since", "until", "confidence", "as_of", "tz")
    return _declared(name, says, _log(table, user, time, event, where), run, params, options)


def cohorts_analysis(
    name: str, says: str, table: str, *, groups: Sequence[str], user: str = "", time: str = "", event: str = "",
    where: str = "", **options: Any,
) -> Analysis:
    """Size and overlap of cohorts (`behavior.cohorts`); `groups` are rules as ``"buyers: event=pay"``."""
    def run(events: EventTable, given: dict[str, Any]) -> Answer:
        from prodsense.behavior import cohorts

        chosen = _cohorts(events, given.pop("inside"), given)
        return cohorts(events, chosen, **given)

    return _declared(
        name, says, _log(table, user, time, event, where), run, ("inside", "as_of", "tz"),
        {"inside": "; ".join(groups), **options},
    )  # fmt: skip


def events_in(
    warehouse: Warehouse, table: str | None, user: str | None, time: str | None, event: str | None,
    dimensions: tuple[str, ...], device: str | None, where: str,
) -> EventTable:
    """See `Warehouse.events`."""
    from prodsense.behavior.events import EventTable

    if table and user and time:
        relation = warehouse.relation(table)
        return EventTable.of(warehouse.engine, relation, user, time, event, dimensions, device=device, where=where)
    sources = {name: of for name in warehouse.packs if (of := warehouse.pack(name).event_source) is not None}
    meant = [name for name, of in sources.items() if table in (None, name, of.table, f"{name}.{of.table}")]
    if len(meant) > 1:
        raise UsageError(f"several packs declare an event table; say which: {', '.join(meant)}")
    if not meant:
        if table:
            warehouse.relation(table)  # raises where there is no such table either
        raise UsageError(
            (f"{table} is no pack's event table" if table else "no pack here declares an event table")
            + ": name a table with its columns for user and time (--user, --time)"
        )
    source = sources[meant[0]]
    both = f"({source.where}) AND ({where})" if source.where and where else where or source.where
    events = EventTable.of(
        warehouse.engine, warehouse.relation(f"{meant[0]}.{source.table}"), user or source.user, time or source.time,
        event or source.event, dimensions or source.dimensions, device=device or source.device, where=both,
    )
    # Rows that a pack leaves out by itself are left out aloud.
    said = (f"of {meant[0]}.{source.table} only rows where {source.where}",) if source.where else ()
    return replace(events, remarks=said)


def _log(table: str, user: str, time: str, event: str, where: str) -> dict[str, Any]:
    """What `Warehouse.events` is asked for."""
    return {"table": table, "user": user or None, "time": time or None, "event": event or None, "where": where}


def _cohorts(events: EventTable, rules: str | None, given: Mapping[str, Any]) -> list[Any]:
    from prodsense.behavior import read_cohort

    return [read_cohort(events, rule, tz=given.get("tz", "UTC")) for rule in (rules or "").split(";") if rule.strip()]


def _declared(
    name: str, says: str, log: Mapping[str, Any], method: Method, params: Sequence[str], options: Mapping[str, Any]
) -> Analysis:
    """The analysis: `options` that are parameters become their defaults, the others are passed on as they are."""
    fixed = {key: value for key, value in options.items() if key not in params}
    defaults = {
        key: ", ".join(value) if key in _NAMES and not isinstance(value, str) else value
        for key, value in options.items() if key in params
    }

    def run(warehouse: Warehouse, **given: Any) -> Answer:
        chosen = {key: value for key, value in given.items() if value is not None}
        for key in _NAMES:
            if key in chosen:
                chosen[key] = tuple(part.strip() for part in chosen[key].split(",") if part.strip())
        return method(warehouse.events(**log), {**fixed, **chosen})

    declared = tuple(Param(key, _KNOWN[key][0], defaults.get(key), _KNOWN[key][1]) for key in params)
    return Analysis(name, says, run, declared)
