"""Retention: which share of the users who came in on a day comes back N days later.

Day N is calendar day N after the day of entry, in the report zone; `rolling` counts spans of 24 hours from the
moment of entry instead. A subject counts in a window only when the whole window is over at `as_of`; those whose
window is still open are left out of size and return alike, and counted in `censored`.

The engine aggregates entries and returns to cells of (day of entry, window); the small triangle is put together
here. The SQL is portable: the same text runs on every engine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, get_args

import pyarrow as pa

from prodsense.behavior.cohorts import Cohort
from prodsense.behavior.events import Events, EventTable, events_of
from prodsense.behavior.result import Answer, day_label, days_over, spread
from prodsense.contracts.options import Return
from prodsense.contracts.vocabulary import Comparison
from prodsense.errors import UsageError, did_you_mean
from prodsense.metrics import periods
from prodsense.metrics.result import Rows

KINDS, GRAINS, COMPARED = get_args(Return), periods.GRAINS, get_args(Comparison)

Statements = tuple[tuple[str, Mapping[str, Any]], ...]


@dataclass(frozen=True)
class Window:
    """Days `first` to `last` after entry, both inside; `last` None is without end."""

    first: int
    last: int | None

    @property
    def label(self) -> int | str:
        if self.last is None or self.first == self.last:
            return self.first
        return f"{self.first}-{self.last}"

    @property
    def closes(self) -> int:
        """The day after entry by whose end the window counts as observed."""
        return self.first if self.last is None else self.last


@dataclass(frozen=True)
class Cells:
    """What the engine returns: sums over users, by day of entry and slice.

    `sizes`: (slice, day of entry, last day after entry that is over) → entries.
    `returned`: (slice, day of entry, last day over, place of the window) → entries that came back in it.
    """

    sizes: Mapping[tuple[tuple[Any, ...], date, int], int]
    returned: Mapping[tuple[tuple[Any, ...], date, int, int], int]


def retention(
    events: Events,
    *,
    start_event: str | None = None,
    return_event: str | None = None,
    cohort: str = "first",
    kind: str = "exact",
    days: int | None = None,
    weeks: int | None = None,
    months: int | None = None,
    brackets: str | Sequence[tuple[int, int]] | None = None,
    by: str | Cohort | Sequence[str | Cohort] = (),
    grain: str | None = None,
    since: object = None,
    until: object = None,
    compare: str | None = None,
    as_of: object = None,
    tz: str = "UTC",
) -> Answer:
    """Retention of the users in `events`; one row for each cohort, slice and window.

    * `start_event` makes a user enter, `return_event` counts as coming back (any event where not given).
    * `cohort`: ``first`` enters a user once, at the first start event; ``any`` on every day with one; the name
      of a DATE or TIMESTAMP column enters at that moment (its earliest value of the user).
    * `kind`: ``exact`` active on day N; ``unbounded`` on day N or later, as seen by `as_of`; ``rolling`` in the
      24 hours that begin N × 24 hours after entry. With `brackets` (``"1-3,4-7"``) active on any day in them.
    * `days`: so many days after entry (30 unless given). `weeks` or `months` instead: active in the N-th calendar week
      or month after that of entry, over when it is.
    * `by`: columns (the value at entry) or cohorts (in it or not in it).
    * `grain` groups entry days (by the unit counted in, unless given); ``all`` pools them, which with `by` gives
      cohorts of an attribute.
    * `since` (inside) and `until` (outside) bound the day of entry; `as_of` defaults to the newest event.
    * `compare`: ``previous`` sets each cohort beside the one a period before, ``year`` beside that of a year before;
      with grain ``all`` it is the window of entry of the same length before `since`, or a year before.

    Columns: ``cohort`` (first day of the group, null for all), one for each of `by`, ``day`` (N or bracket; ``week``
    or ``month`` where these are counted), ``size`` (entries whose window is over), ``retained``, ``rate`` (share),
    ``censored`` (entries left out); with `compare` also ``size_previous``, ``rate_previous`` and ``rate_delta`` (null
    where there is no such cohort).
    Raises UsageError for wrong options and when there are no events.
    """
    events = events_of(events)
    unit, many = _counted(kind, brackets, {"day": days, "week": weeks, "month": months})
    windows = windows_of(kind, many, brackets)
    grain = grain or unit
    if grain not in GRAINS:
        raise UsageError(f"no cohorts of grain {grain!r}; choose one of {', '.join(GRAINS)}")
    for name in (start_event, return_event):
        if name is not None and not events.event:
            raise UsageError(f"to tell {name!r} from other events, name the event column (--event)")
    slices = [by] if isinstance(by, str | Cohort) else list(by)
    moment = events.as_of(as_of, tz)
    table = events.by(*(name for name in slices if isinstance(name, str)))
    first = periods.read_day(since, "since") if since is not None else None
    last = periods.read_day(until, "until") if until is not None else None
    before = _window_before(compare, grain, first, last, periods.local_day(moment, tz) + periods.DAY)

    def asked(first: date | None, last: date | None) -> tuple[Cells, Statements]:
        request = _Request(table, slices, start_event, return_event, cohort, windows, kind, moment, tz, unit)
        request.since, request.until = first, last
        return request.run()

    cells, statements = asked(first, last)
    notes = list(events.notes())
    if start_event and not cells.sizes:
        notes.append(f"nobody entered: is {start_event!r} a value of {events.event}?")
    shape: dict[str, Any] = {
        "grain": grain, "by": tuple(s if isinstance(s, str) else s.name for s in slices),
        "kind": "bracketed" if brackets else kind, "as_of": moment, "tz": tz, "dialect": events.engine.dialect,
        "unit": unit,
    }  # fmt: skip
    answer = triangle(cells, windows, **shape, notes=notes, statements=statements)
    if before is None:
        return answer
    # Cohorts of the answer are those of before too, unless the window of entry cuts them off.
    same = grain != "all" and first is None
    then_cells, more = (cells, ()) if same else asked(*before)
    return _compared(answer, triangle(then_cells, windows, **shape), compare or "", statements + more)


def _window_before(
    compare: str | None, grain: str, since: date | None, until: date | None, end: date
) -> tuple[date | None, date | None] | None:
    """Days of entry of the cohorts to compare with; None without comparison. `end` is the day after the newest."""
    if compare is None:
        return None
    if compare not in COMPARED:
        raise UsageError(f"no comparison named {compare!r}; choose one of {', '.join(COMPARED)}")
    if grain != "all":
        return since and _earlier(periods.start_of(since, grain), grain, compare), None
    if since is None:
        raise UsageError("a comparison of pooled cohorts needs the window to compare: give since (and until)")
    until = until or end
    if compare == "year":
        return periods.back_a_year(since), periods.back_a_year(until)
    return since - (until - since), since


def _earlier(cohort: date, grain: str, compare: str) -> date | None:
    """The cohort that stands beside one; None where the calendar has none (29 February)."""
    return periods.year_before(cohort, grain) if compare == "year" else periods.shift(cohort, grain, -1)


def _compared(answer: Answer, before: Answer, compare: str, statements: Statements) -> Answer:
    """The answer with the numbers of earlier cohorts beside its own."""
    by, grain, unit = (answer.extras[name] for name in ("by", "grain", "unit"))
    then = {(row["cohort"], *(row[name] for name in by), row[unit]): row for row in before.rows}
    sizes: list[int | None] = []
    rates: list[float | None] = []
    for row in answer.rows:
        cohort = None if grain == "all" else _earlier(row["cohort"], grain, compare) or date.min
        found = then.get((cohort, *(row[name] for name in by), row[unit]), {})
        sizes.append(found.get("size"))
        rates.append(found.get("rate"))
    deltas = [None if r is None else row["rate"] - r for row, r in zip(answer.rows, rates, strict=True)]
    arrow = answer.arrow
    for name, values, kind in (("size_previous", sizes, pa.int64()), ("rate_previous", rates, pa.float64()),
                               ("rate_delta", deltas, pa.float64())):  # fmt: skip
        arrow = arrow.append_column(name, pa.array(values, kind))
    return replace(
        answer, arrow=arrow, wide=None, statements=statements, extras={**answer.extras, "compare": compare},
        units={**answer.units, "size_previous": "count", "rate_previous": "share", "rate_delta": "share"},
    )  # fmt: skip


def _counted(kind: str, brackets: object, given: Mapping[str, int | None]) -> tuple[str, int]:
    """The unit that windows are counted in, and how many."""
    named = {unit: many for unit, many in given.items() if many is not None} or {"day": 30}
    if len(named) > 1:
        raise UsageError("count the time after entry in days, weeks or months, not in several of them")
    ((unit, many),) = named.items()
    if unit != "day" and (kind == "rolling" or brackets is not None):
        what = "brackets are calendar days" if brackets is not None else "rolling retention counts spans of 24 hours"
        raise UsageError(f"{what}: leave {unit}s out")
    return unit, many


def windows_of(kind: str, days: int, brackets: str | Sequence[tuple[int, int]] | None) -> list[Window]:
    if kind not in KINDS:
        hint = did_you_mean(kind, KINDS) or f" Choose one of {', '.join(KINDS)}"
        raise UsageError(f"no retention of kind {kind!r}.{hint}")
    if brackets is not None:
        if kind != "exact":
            raise UsageError(f"brackets are calendar days: they go with kind exact, not {kind}")
        found = [Window(a, b) for a, b in read_brackets(brackets)]
        if not found:
            raise UsageError("no brackets given; write them like 1-3,4-7")
        return found
    if not 0 <= days <= 3660:
        raise UsageError(f"days should be from 0 to 3660, not {days}")
    return [Window(n, None if kind == "unbounded" else n) for n in range(days + 1)]


def read_brackets(given: str | Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """``"1-3,4-7"`` as pairs of days, both inside; UsageError for any other shape."""
    if not isinstance(given, str):
        pairs = [(int(a), int(b)) for a, b in given]
    else:
        pairs = []
        for part in filter(None, (p.strip() for p in given.split(","))):
            first, dash, last = part.partition("-")
            if not first.strip().isdigit() or (dash and not last.strip().isdigit()):
                raise UsageError(f"{part!r} is no bracket of days; write them like 1-3,4-7")
            pairs.append((int(first), int(last) if dash else int(first)))
    for first_day, last_day in pairs:
        if not 0 <= first_day <= last_day:
            raise UsageError(f"a bracket runs from a day to a later one, not {first_day}-{last_day}")
    return pairs


class _Request:
    """The SQL of one request."""

    since: date | None = None
    until: date | None = None

    def __init__(
        self, events: EventTable, slices: Sequence[str | Cohort], start: str | None, again: str | None, cohort: str,
        windows: Sequence[Window], kind: str, as_of: datetime, tz: str, unit: str = "day",
    ) -> None:
        self.unit = unit
        self.events, self.slices, self.cohort, self.windows, self.kind = events, slices, cohort, windows, kind
        self.tz, self.rolling, self.start, self.again = tz, kind == "rolling", start, again
        self.params: dict[str, Any] = {"as_of": as_of, "last_day": days_over(as_of, tz)}
        if start is not None:
            self.params["start_event"] = start
        if again is not None:
            self.params["return_event"] = again

    def run(self) -> tuple[Cells, Statements]:
        ctes = self._ctes()
        keys = ", ".join(f"slice_{i}" for i in range(1, len(self.slices) + 1))
        lead = f"{keys}, " if keys else ""
        sizes = f"{ctes} SELECT {lead}entry_day, seen, COUNT(*) AS n FROM entries GROUP BY {lead}entry_day, seen"
        returned = f"{ctes}{self._returns(lead)}"
        query = self.events.engine.query
        count = len(self.slices)

        def keyed(sql: str, extra: str = "") -> dict[tuple[Any, ...], int]:
            found: dict[tuple[Any, ...], int] = {}
            for row in query(sql, self.params).to_pylist():
                values = list(row.values())
                key = (tuple(values[:count]), *values[count:-1])
                found[key] = found.get(key, 0) + int(values[-1])
            return found

        cells = Cells(keyed(sizes), self._placed(keyed(returned)))
        return cells, ((sizes, self.params), (returned, self.params))

    def _placed(self, found: Mapping[tuple[Any, ...], int]) -> dict[tuple[tuple[Any, ...], date, int, int], int]:
        """Cells by the place of their window; unbounded ones count in all windows up to the last return."""
        if self.kind != "unbounded":
            return {(key, day, seen, int(n)): users for (key, day, seen, n), users in found.items()}
        placed: Counter[tuple[tuple[Any, ...], date, int, int]] = Counter()
        for (key, day, seen, last), users in found.items():
            for n in range(min(int(last), len(self.windows) - 1) + 1):
                placed[key, day, seen, n] += users
        return placed

    # -- entries -----------------------------------------------------------------------------------

    def _anchor(self) -> str | None:
        """The column whose value is the moment of entry, if that is how users enter."""
        if self.cohort in ("first", "any"):
            return None
        column = self.events.column(self.cohort)
        kind = self.events.schema[column]
        if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
            raise UsageError(
                f"{column} holds {kind}, not times: users cannot enter on it; for cohorts by its values use"
                f" by={column!r} with grain='all'"
            )
        return column

    def _ctes(self) -> str:
        anchor = self._anchor()
        day = self.events.day
        # A calendar anchor is a day in the report zone already; moving it between zones would shift it.
        dated = anchor is not None and pa.types.is_date(self.events.schema[anchor])
        moment = "entered_at" if anchor else "event_time"
        extra = {"entered_at": f"CAST({_name(anchor)} AS TIMESTAMP)"} if anchor else {}
        starts = ["event_time <= :as_of"]
        if self.start is not None:
            starts.append("event_name = :start_event")
        if anchor:
            starts.append("entered_at IS NOT NULL")
        day_of = f"date_of({moment})" if dated else day(self.tz, moment)
        group = "user_id, entry_day" if self.cohort == "any" else "user_id"
        picked = f", {day_of} AS entry_day" if self.cohort == "any" else ""
        ctes = [
            f"events AS ({self.events.select(extra)})",
            f"starts AS (SELECT *{picked} FROM events WHERE {' AND '.join(starts)})",
            f"firsts AS (SELECT {group}, MIN({moment}) AS entered FROM starts GROUP BY {group})",
        ]
        day_of = "f.entry_day" if self.cohort == "any" else (
            "date_of(f.entered)" if dated else day(self.tz, "f.entered")
        )
        dims = list(self.events.dimension_columns.values())
        source = "firsts AS f"
        if dims:
            # The value at entry. Of several events at that very moment the smallest values win: a rule, not chance.
            ties = " AND f.entry_day = s.entry_day" if self.cohort == "any" else ""
            order = ", ".join(f"s.{column}" for column in ("event_time", *dims))
            match = "" if anchor else " AND s.event_time = f.entered"
            ctes.append(
                f"at_entry AS (SELECT f.*, {', '.join(f's.{d}' for d in dims)} FROM firsts AS f JOIN starts AS s"
                f" ON s.user_id = f.user_id{match}{ties} QUALIFY ROW_NUMBER() OVER (PARTITION BY"
                f" {', '.join('f.' + g.strip() for g in group.split(','))} ORDER BY {order}) = 1)"
            )
            source = "at_entry AS f"
        items, joins, place = [], [], 0
        for i, wanted in enumerate(self.slices, 1):
            if isinstance(wanted, Cohort):
                name = f"members_{i}"
                text, params = wanted.as_of(self.params["as_of"]).bound(name)
                self.params.update(params)
                ctes.append(f"{name} AS ({text})")
                joins.append(f" LEFT JOIN {name} ON {name}.user_id = f.user_id")
                items.append(f", CASE WHEN {name}.user_id IS NULL THEN 'not in' ELSE 'in' END AS slice_{i}")
            else:
                place += 1
                items.append(f", f.dim_{place} AS slice_{i}")
        if self.rolling:
            # Window N is over when N + 1 times 24 hours have passed.
            seen = "CAST(FLOOR(seconds_between(f.entered, :as_of) / 86400) AS BIGINT) - 1"
        else:
            # The newest period that is wholly past is the one before that of the day after.
            after = "add_days(:last_day, 1)"
            seen = f"days_between({day_of}, :last_day)" if self.unit == "day" else f"{self._gap(day_of, after)} - 1"
        bounds = []
        for bound, sign in (("since", ">="), ("until", "<")):
            value = getattr(self, bound)
            if value is not None:
                self.params[bound] = value
                bounds.append(f"{day_of} {sign} :{bound}")
        bounds.append("f.entered <= :as_of")
        ctes.append(
            f"entries AS (SELECT f.user_id, f.entered, {day_of} AS entry_day, {seen} AS seen{''.join(items)}"
            f" FROM {source}{''.join(joins)} WHERE {' AND '.join(bounds)})"
        )
        return "WITH " + ", ".join(ctes)

    def _gap(self, entered: str, day: str) -> str:
        """SQL of the number of days, weeks or months from that of one day to that of another."""
        if self.unit == "day":
            return f"days_between({entered}, {day})"
        if self.unit == "week":
            return (
                f"CAST(ratio(days_between(period_start({entered}, 'week'), period_start({day}, 'week')), 7) AS BIGINT)"
            )
        years = f"(EXTRACT(YEAR FROM {day}) - EXTRACT(YEAR FROM {entered}))"
        return f"CAST({years} * 12 + EXTRACT(MONTH FROM {day}) - EXTRACT(MONTH FROM {entered}) AS BIGINT)"

    # -- returns -----------------------------------------------------------------------------------

    def _returns(self, lead: str) -> str:
        kept = ["event_time <= :as_of"] + (["event_name = :return_event"] if self.again is not None else [])
        where = " AND ".join(kept)
        slices = "".join(f"e.{key.strip()}, " for key in lead.split(",") if key.strip())
        last = max(w.closes for w in self.windows)
        if self.rolling:
            n = "CAST(FLOOR(seconds_between(e.entered, r.event_time) / 86400) AS BIGINT)"
            return (
                f", hits AS (SELECT DISTINCT e.user_id, e.entered, {slices}e.entry_day, e.seen, {n} AS n"
                f" FROM entries AS e JOIN (SELECT user_id, event_time FROM events WHERE {where}) AS r"
                " ON r.user_id = e.user_id AND r.event_time >= e.entered)"
                f" SELECT {lead}entry_day, seen, n, COUNT(*) AS users FROM hits WHERE n <= seen AND n <= {last}"
                f" GROUP BY {lead}entry_day, seen, n"
            )
        # What happened before the moment of entry is no return: it matters on the day of entry only.
        active = (
            f", active AS (SELECT user_id, {self.events.day(self.tz)} AS day, MAX(event_time) AS latest FROM events"
            f" WHERE {where} GROUP BY user_id, {self.events.day(self.tz)})"
        )
        match = "r.user_id = e.user_id AND r.day >= e.entry_day AND r.latest >= e.entered"
        if self.kind == "unbounded":
            return (
                f"{active}, hits AS (SELECT {slices}e.entry_day, e.seen, e.user_id,"
                f" MAX({self._gap('e.entry_day', 'r.day')}) AS n FROM entries AS e JOIN active AS r ON {match}"
                f" GROUP BY {slices}e.entry_day, e.seen, e.user_id)"
                f" SELECT {lead}entry_day, seen, n, COUNT(*) AS users FROM hits GROUP BY {lead}entry_day, seen, n"
            )
        if self.unit != "day":
            # Several days of a period are one return.
            return (
                f"{active}, hits AS (SELECT DISTINCT {slices}e.user_id, e.entry_day, e.seen,"
                f" {self._gap('e.entry_day', 'r.day')} AS n FROM entries AS e JOIN active AS r ON {match})"
                f" SELECT {lead}entry_day, seen, n, COUNT(*) AS users FROM hits WHERE n <= seen AND n <= {last}"
                f" GROUP BY {lead}entry_day, seen, n"
            )
        match += f" AND r.day <= add_days(e.entry_day, {last})"
        gap = "days_between(e.entry_day, r.day)"
        if all(w.first == w.last for w in self.windows) and [w.first for w in self.windows] == list(range(last + 1)):
            return (
                f"{active}, hits AS (SELECT {slices}e.entry_day, e.seen, {gap} AS n FROM entries AS e"
                f" JOIN active AS r ON {match})"
                f" SELECT {lead}entry_day, seen, n, COUNT(*) AS users FROM hits WHERE n <= seen"
                f" GROUP BY {lead}entry_day, seen, n"
            )
        # Brackets may overlap: each is a flag of the entry, and the flags are read out one after the other.
        flags = ", ".join(
            f"MAX(CASE WHEN {gap} BETWEEN {w.first} AND {w.closes} THEN 1 ELSE 0 END) AS w{i}"
            for i, w in enumerate(self.windows)
        )
        parts = " UNION ALL ".join(
            f"SELECT {lead}entry_day, seen, {i} AS n, SUM(w{i}) AS users FROM hits WHERE seen >= {w.closes}"
            f" GROUP BY {lead}entry_day, seen"
            for i, w in enumerate(self.windows)
        )
        return (
            f"{active}, hits AS (SELECT {slices}e.entry_day, e.seen, e.user_id, {flags} FROM entries AS e"
            f" JOIN active AS r ON {match} GROUP BY {slices}e.entry_day, e.seen, e.user_id) {parts}"
        )


def _name(column: str | None) -> str:
    from prodsense.engines.base import comma

    return comma([column or ""])


# -- the triangle ----------------------------------------------------------------------------------


def triangle(
    cells: Cells, windows: Sequence[Window], *, grain: str, by: tuple[str, ...], kind: str, as_of: datetime, tz: str,
    notes: Iterable[str] = (), statements: Any = (), dialect: str = "duckdb", unit: str = "day",
) -> Answer:
    """Rates by cohort, slice and window from cells, entries with an open window left out and counted."""

    def group(day: date) -> date | None:
        return None if grain == "all" else periods.start_of(day, grain)

    size: Counter[tuple[Any, ...]] = Counter()
    censored: Counter[tuple[Any, ...]] = Counter()
    back: Counter[tuple[Any, ...]] = Counter()
    groups: dict[tuple[date | None, tuple[Any, ...]], int] = {}
    for (key, day, seen), users in cells.sizes.items():
        at = (group(day), key)
        groups[at] = groups.get(at, 0) + users
        for place, window in enumerate(windows):
            (size if window.closes <= seen else censored)[*at, place] += users
    for (key, day, seen, place), users in cells.returned.items():
        if windows[place].closes <= seen:
            back[group(day), key, place] += users
    names = ("cohort", *by, unit, "size", "retained", "rate", "censored")
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for cohort, key in sorted(groups, key=lambda at: (at[0] or date.min, [(v is None, str(v)) for v in at[1]])):
        for place, window in enumerate(windows):
            cell = (cohort, key, place)
            if not size[cell]:
                continue  # nobody's window is over: there is no number, not even 0
            label = str(window.label) if kind == "bracketed" else window.label
            row = (cohort, *key, label, size[cell], back[cell], back[cell] / size[cell], censored[cell])
            for values, value in zip(columns.values(), row, strict=True):
                values.append(value)
    open_cohorts = tuple(sorted({at[0] for at in censored if at[0] is not None}))
    total = {str(w.label): sum(n for at, n in censored.items() if at[2] == i) for i, w in enumerate(windows)}
    return answer_of(
        _typed(columns, by), open_cohorts, {label: n for label, n in total.items() if n}, sum(groups.values()),
        grain=grain, by=by, kind=kind, as_of=as_of, tz=tz, notes=notes, statements=statements, dialect=dialect,
        unit=unit,
    )


def answer_of(
    rows: pa.Table, open_cohorts: tuple[date, ...], censored: Mapping[str, int], entered: int, *, grain: str,
    by: tuple[str, ...], kind: str, as_of: datetime, tz: str, notes: Iterable[str] = (), statements: Any = (),
    dialect: str = "duckdb", unit: str = "day",
) -> Answer:
    """The answer of `retention` from its rows; `censored` tells entries left out by window."""
    said = list(notes)
    if censored:
        said.append(f"windows not over at {as_of:%Y-%m-%d %H:%M} count nobody: see censored")
    kinds = {
        "exact": f"on {unit} N" if unit == "day" else f"in {unit} N", "unbounded": f"on {unit} N or later",
        "rolling": "N × 24 hours after entry", "bracketed": "in a bracket of days",
    }  # fmt: skip
    return Answer(
        arrow=rows, method="retention", title=f"Retention {kinds[kind]}", notes=tuple(said),
        units={"rate": "share", "size": "count", "retained": "count", "censored": "count"}, as_of=as_of, tz=tz,
        incomplete=open_cohorts, statements=statements, dialect=dialect, picture=_picture, wide=_wide,
        extras={
            "kind": kind, "unit": unit, "grain": grain, "by": list(by), "entered": entered, "censored": dict(censored),
        },
    )


def _typed(columns: Mapping[str, list[Any]], by: Sequence[str]) -> pa.Table:
    """Columns with the types they have also when there are no rows."""
    kinds = {"cohort": pa.date32(), "size": pa.int64(), "retained": pa.int64(), "rate": pa.float64(),
             "censored": pa.int64()}
    return pa.table({
        name: pa.array(values, kinds.get(name)) if name in kinds and name not in by else pa.array(values)
        for name, values in columns.items()
    })


def _wide(answer: Answer) -> Rows:
    """One line a cohort, its users in front, one column a window."""
    if not len(answer):
        return answer.narrow()
    by = answer.extras["by"]
    index = by if answer.extras["grain"] == "all" and by else ["cohort", *by]
    unit = answer.extras["unit"]
    return spread(
        answer, index, unit, "rate", fixed=["size"], name=lambda n: day_label(n).replace("day", unit, 1)
    )


def _picture(answer: Answer, **options: Any) -> Any:
    """Cohorts by day as a heatmap; curves when the cohorts are pooled."""
    from prodsense.charts.builders import heatmap, line

    by, unit, rows, notes = answer.extras["by"], answer.extras["unit"], answer.rows, list(answer.notes)
    later = [row for row in rows if row[unit] != 0]
    if later and all(row["rate"] == 1 for row in rows if row[unit] == 0) and len(later) < len(rows):
        # All of a cohort are there on the day they enter: beside that, no other day would show.
        rows = later
        notes.append(f"{unit.capitalize()} 0 is 100% and left out.")
    settings: dict[str, Any] = {"unit": "share", "title": answer.title, "notes": notes, **options}
    if answer.extras["grain"] == "all" or by:
        pooled = [{**row, "slice": " · ".join(str(row[name]) for name in by)} for row in _pooled(rows, by, unit)]
        if by:
            settings |= {"series": "slice", "series_title": " · ".join(by)}
        elif "compare" in answer.extras:
            earlier = {"previous": "the window before", "year": "a year before"}[answer.extras["compare"]]
            pooled = [
                {unit: row[unit], "rate": row[column], "slice": label}
                for label, column in (("now", "rate"), (earlier, "rate_previous")) for row in rows
                if row[column] is not None
            ]
            settings |= {"series": "slice", "series_title": ""}
        return line(pooled, unit, "rate", x_title=f"{unit}s since entry", **settings)
    return heatmap(
        rows, unit, "cohort", "rate", x_title=f"{unit}s since entry", y_title="entered", grain=answer.extras["grain"],
        **settings,
    )


def _pooled(rows: Sequence[Mapping[str, Any]], by: Sequence[str], unit: str) -> list[dict[str, Any]]:
    """Rates over all cohorts of a slice: sums over sums."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for row in rows:
        at = found.setdefault((*(row[name] for name in by), row[unit]), [0, 0])
        at[0] += row["retained"]
        at[1] += row["size"]
    return [{**dict(zip([*by, unit], at, strict=True)), "rate": a / b} for at, (a, b) in found.items()]
