"""The SQL of a funnel: one statement in the source dialect, the same on every engine.

It goes through these relations:

    marked    the events up to as_of, with a flag for each set of events that a step or an exclusion names
    placed    the flagged rows in the order of a user: `pos` counts them
    entries   the rows that enter, with the values of the dimensions, and whether their window is over
    run       the rows of each entry's window
    l0 … lk   one step each: `h<k>` says that the row reaches step k
    reached   when each required step was first reached
    visited   the same for optional steps
    outcome   one row an entry (or a user), which the report counts

Step k is reached by a row when an earlier row reached the required step before it, near enough and with no
exclusion between. Of all earlier rows that did, the latest decides: it is the nearest, and fewest exclusions
lie between. One running maximum a step finds it, so no step multiplies rows.

Rows of one moment count as having happened in the order of the steps, exclusions and other events after them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prodsense.behavior.events import EventTable
from prodsense.behavior.funnel_steps import Step

UNIT = "user_id, entry_pos"
#: The window of a funnel without one, in seconds: longer than any log.
EVER = 1e11


@dataclass(frozen=True)
class Shape:
    """What the statement depends on; values of the request are parameters.

    `within` is the overall window in seconds; with EVER all entries count as they stand.
    """

    steps: tuple[Step, ...]
    order: str
    entries: str
    attribution: str
    within: float
    quantiles: tuple[float, ...]

    @property
    def least_age(self) -> float:
        """How long ago an entry has to be to count, in seconds."""
        return 0.0 if self.within == EVER else self.within

    @property
    def required(self) -> list[int]:
        return [i for i, item in enumerate(self.steps) if not item.optional]

    @property
    def optional(self) -> list[int]:
        return [i for i, item in enumerate(self.steps) if item.optional]

    def before(self, i: int) -> int:
        """The required step before step `i`."""
        return max(k for k in self.required if k < i)

    def after(self, i: int) -> int | None:
        """The required step after step `i`, if any."""
        return min((k for k in self.required if k > i), default=None)


def parameters(shape: Shape) -> dict[str, str]:
    """Parameter → the name of an event that it stands for."""
    names = dict.fromkeys(name for item in shape.steps for name in (*item.events, *item.without))
    return {f"e{i}": name for i, name in enumerate(names)}


def statement(table: EventTable, shape: Shape) -> str:
    """The statement; its parameters are `parameters(shape)` and :since, :until and :as_of (moments, UTC).

    One row for each combination of dimensions, named as in `EventTable.dimension_columns`: ``n<i>`` entries that
    reached step i, ``censored`` entries whose window was not over, and for each step i > 0 and quantile j the
    seconds ``s<i>_<j>`` since the required step before and ``t<i>_<j>`` since entry.
    """
    body = ",\n".join(f"{name} AS ({select})" for name, select in ctes(table, shape))
    return f"WITH {body}\n{_Writer(table, shape).report()}"


def ctes(table: EventTable, shape: Shape) -> list[tuple[str, str]]:
    """Name and SELECT of each relation up to ``outcome``: user_id, entered, complete, the dimensions and, for each
    step i > 0, ``a<i>``: when it was reached."""
    writer = _Writer(table, shape)
    found = [*writer.marked(), *writer.entries()]
    found += writer.any_order() if shape.order == "any" else writer.steps()
    return found + writer.outcome()


class _Writer:
    def __init__(self, table: EventTable, shape: Shape) -> None:
        self.table, self.shape = table, shape
        self.dims = list(table.dimension_columns.values())
        self.names = {name: f":{key}" for key, name in parameters(shape).items()}
        # One flag for each set of events: a set that several steps name is tested once.
        sets = [s.events for s in shape.steps] + [s.without for s in shape.steps if s.without]
        self.flags = {events: f"f{i}" for i, events in enumerate(dict.fromkeys(sets))}

    def _flag(self, i: int) -> str:
        return self.flags[self.shape.steps[i].events]

    def _with(self, *names: str) -> str:
        return ", ".join(name for name in names if name)

    # -- rows ----------------------------------------------------------------------------------------

    def marked(self) -> list[tuple[str, str]]:
        shape = self.shape
        tests = {
            flag: f"event_name IN ({', '.join(self.names[name] for name in events)})"
            for events, flag in self.flags.items()
        }
        flags = ", ".join(f"CASE WHEN {test} THEN 1 ELSE 0 END AS {flag}" for flag, test in tests.items())
        ranks = dict.fromkeys(self._flag(i) for i in range(len(shape.steps)))
        rank = " ".join(f"WHEN {tests[flag]} THEN {i}" for i, flag in enumerate(ranks))
        named = f" AND event_name IN ({', '.join(self.names.values())})" if shape.order != "strict" else ""
        columns = self._with("user_id", "event_time", "event_name", *self.dims)
        # Rows alike in all of this are interchangeable, so the order is the same in every run.
        order = self._with("event_time", "place", "event_name", *self.dims)
        kept = self._with("user_id", "event_time", *self.dims, *tests)
        return [
            ("events", self.table.select()),
            ("marked", f"SELECT {columns}, {flags}, CASE {rank} ELSE {len(ranks)} END AS place"
                       f" FROM events WHERE event_time <= :as_of{named}"),
            ("placed", f"SELECT {kept}, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY {order}) AS pos FROM marked"),
        ]

    def entries(self) -> list[tuple[str, str]]:
        shape = self.shape
        enters = [self._flag(i) for i in (shape.required if shape.order == "any" else [0])]
        test = " OR ".join(f"{flag} = 1" for flag in enters)
        first = shape.entries == "first"
        nth = ", ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY pos) AS nth" if first else ""
        dims = self.dims if shape.attribution == "entry" else []
        over = f"CASE WHEN seconds_between(event_time, :as_of) >= {shape.least_age!r} THEN 1 ELSE 0 END AS complete"
        found = (
            f"SELECT {self._with('user_id', 'pos AS entry_pos', 'event_time AS entered', *dims)}, {over}{nth}"
            f" FROM placed WHERE ({test}) AND event_time >= :since AND event_time < :until"
        )
        only = " WHERE nth = 1" if first else ""
        kept = self._with("user_id", "entry_pos", "entered", "complete", *dims)
        ctes = [("entered", found)]
        if shape.attribution == "entry" or not self.dims:
            ctes.append(("entries", f"SELECT {kept} FROM entered{only}"))
        else:
            ctes.append(("starts", f"SELECT {kept} FROM entered{only}"))
            ctes += self._touches()
        flags = self._with(*(f"p.{flag} AS {flag}" for flag in self.flags.values()))
        # In strict order an entry can go no further than so many rows.
        near = f" AND p.pos < e.entry_pos + {len(shape.steps)}" if shape.order == "strict" else ""
        ctes.append((
            "run",
            f"SELECT e.user_id AS user_id, e.entry_pos AS entry_pos, e.entered AS entered,"
            f" p.event_time AS event_time, p.pos AS pos, {flags}"
            f" FROM entries AS e JOIN placed AS p ON p.user_id = e.user_id AND p.pos >= e.entry_pos{near}"
            f" WHERE e.complete = 1 AND seconds_between(e.entered, p.event_time) <= {shape.within!r}",
        ))
        return ctes

    def _touches(self) -> list[tuple[str, str]]:
        """Dimensions by the first or the last known value of the user up to entry."""
        way = "DESC" if self.shape.attribution == "last" else "ASC"
        ctes = [
            (
                f"touches_{dim}",
                f"SELECT s.user_id AS user_id, s.entry_pos AS entry_pos, t.{dim} AS {dim},"
                f" ROW_NUMBER() OVER (PARTITION BY s.user_id, s.entry_pos ORDER BY t.event_time {way}, t.{dim}) AS nth"
                f" FROM starts AS s JOIN events AS t ON t.user_id = s.user_id AND t.event_time <= s.entered"
                f" WHERE t.{dim} IS NOT NULL",
            )
            for dim in self.dims
        ]
        joins = " ".join(
            f"LEFT JOIN touches_{dim} AS {dim}_t ON {dim}_t.user_id = s.user_id"
            f" AND {dim}_t.entry_pos = s.entry_pos AND {dim}_t.nth = 1"
            for dim in self.dims
        )
        values = ", ".join(f"{dim}_t.{dim} AS {dim}" for dim in self.dims)
        ctes.append((
            "entries",
            "SELECT s.user_id AS user_id, s.entry_pos AS entry_pos, s.entered AS entered, s.complete AS complete,"
            f" {values} FROM starts AS s {joins}",
        ))
        return ctes

    # -- steps ---------------------------------------------------------------------------------------

    def steps(self) -> list[tuple[str, str]]:
        """Ordered and strict."""
        shape = self.shape
        strict = shape.order == "strict"
        base = self._with(UNIT, "entered", "event_time", "pos", *self.flags.values())
        ctes = [("l0", f"SELECT {base}, CASE WHEN pos = entry_pos THEN 1 ELSE 0 END AS h0 FROM run")]
        done = [0]
        for i in range(1, len(shape.steps)):
            if not strict and shape.steps[i].optional:
                continue
            hits = ", ".join(f"h{k}" for k in done)
            extra, test = self._follows(i, strict)
            looked = f"SELECT {base}, {hits}, {', '.join(extra)} FROM l{done[-1]}"
            ctes.append((
                f"l{i}",
                f"SELECT {base}, {hits}, CASE WHEN {self._flag(i)} = 1 AND {test} THEN 1 ELSE 0 END AS h{i}"
                f" FROM ({looked}) AS looked",
            ))
            done.append(i)
        walk = f"l{done[-1]}"
        found = [i for i in shape.required if i]
        columns = ", ".join(
            f"MIN(CASE WHEN h{i} = 1 THEN event_time END) AS a{i}, MIN(CASE WHEN h{i} = 1 THEN pos END) AS p{i}"
            for i in found
        )
        ctes.append(("reached", f"SELECT {UNIT}, {columns} FROM {walk} GROUP BY {UNIT}"))
        if shape.optional:
            ctes.append(("visited", self._visited(walk, strict)))
        return ctes

    def _follows(self, i: int, strict: bool) -> tuple[list[str], str]:
        """Columns that look back from a row, and the test that the row follows the step before `i`."""
        item, p = self.shape.steps[i], self.shape.before(i)
        order = f"PARTITION BY {UNIT} ORDER BY pos"
        back = f"({order} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
        columns: dict[str, str] = {}
        tests = []
        if strict:
            # The row just before reached the step before, or one of the optional steps between.
            for k in range(p, i):
                columns[f"b{k}"] = f"LAG(h{k}) OVER ({order})"
            tests.append("(" + " OR ".join(f"b{k} = 1" for k in range(p, i)) + ")")
        if not strict or item.within is not None:
            columns["before"] = f"MAX(CASE WHEN h{p} = 1 THEN event_time END) OVER {back}"
            tests.append("before IS NOT NULL")
        if item.within is not None:
            tests.append(f"seconds_between(before, event_time) <= {item.within!r}")
        if item.without:
            flag = self.flags[item.without]
            columns["before_pos"] = f"MAX(CASE WHEN h{p} = 1 THEN pos END) OVER {back}"
            columns["stopped"] = f"MAX(CASE WHEN {flag} = 1 THEN pos END) OVER {back}"
            tests.append("(stopped IS NULL OR stopped <= before_pos)")
        return [f"{sql} AS {name}" for name, sql in columns.items()], " AND ".join(tests)

    def _visited(self, walk: str, strict: bool) -> str:
        columns = []
        for i in self.shape.optional:
            p, after, limit = self.shape.before(i), self.shape.after(i), self.shape.steps[i].within
            since, at = ("r.entered", "r.entry_pos") if p == 0 else (f"v.a{p}", f"v.p{p}")
            test = f"r.h{i} = 1" if strict else f"r.{self._flag(i)} = 1 AND r.pos > {at}"
            if after is not None:
                test += f" AND (v.p{after} IS NULL OR r.pos < v.p{after})"
            if limit is not None and not strict:
                test += f" AND seconds_between({since}, r.event_time) <= {limit!r}"
            columns.append(f"MIN(CASE WHEN {test} THEN r.event_time END) AS a{i}")
        return (
            f"SELECT r.user_id AS user_id, r.entry_pos AS entry_pos, {', '.join(columns)} FROM {walk} AS r"
            " JOIN reached AS v ON v.user_id = r.user_id AND v.entry_pos = r.entry_pos GROUP BY r.user_id, r.entry_pos"
        )

    def any_order(self) -> list[tuple[str, str]]:
        """Any order: the k-th required step to be reached, whichever it is, is level k."""
        shape = self.shape
        firsts = ", ".join(
            f"MIN(CASE WHEN {self._flag(i)} = 1 THEN event_time END) AS first{i}" for i in range(len(shape.steps))
        )
        each = " UNION ALL ".join(
            f"SELECT {UNIT}, {i} AS step, first{i} AS reached_at FROM firsts WHERE first{i} IS NOT NULL"
            for i in shape.required
        )
        levels = ", ".join(
            f"MIN(CASE WHEN level = {level} THEN reached_at END) AS a{i}"
            for level, i in enumerate(shape.required, 1) if i
        )
        ctes = [
            ("firsts", f"SELECT {UNIT}, {firsts} FROM run GROUP BY {UNIT}"),
            ("each", each),
            ("leveled", f"SELECT {UNIT}, reached_at,"
                        f" ROW_NUMBER() OVER (PARTITION BY {UNIT} ORDER BY reached_at, step) AS level FROM each"),
            ("reached", f"SELECT {UNIT}, {levels} FROM leveled GROUP BY {UNIT}"),
        ]
        if shape.optional:
            columns = ", ".join(f"first{i} AS a{i}" for i in shape.optional)
            ctes.append(("visited", f"SELECT {UNIT}, {columns} FROM firsts"))
        return ctes

    # -- the report ----------------------------------------------------------------------------------

    def outcome(self) -> list[tuple[str, str]]:
        shape = self.shape
        later = [i for i in shape.required if i]
        columns = [f"r.a{i} AS a{i}" for i in later] + [f"v.a{i} AS a{i}" for i in shape.optional]
        dims = [f"e.{dim} AS {dim}" for dim in self.dims]
        visited = (
            " LEFT JOIN visited AS v ON v.user_id = e.user_id AND v.entry_pos = e.entry_pos" if shape.optional else ""
        )
        joined = (
            "SELECT e.user_id AS user_id, e.entry_pos AS entry_pos, e.entered AS entered, e.complete AS complete,"
            f" {self._with(*dims, *columns)} FROM entries AS e"
            f" LEFT JOIN reached AS r ON r.user_id = e.user_id AND r.entry_pos = e.entry_pos{visited}"
        )
        if shape.entries != "best":
            return [("outcome", joined)]
        depth = " + ".join(f"CASE WHEN a{i} IS NULL THEN 0 ELSE 1 END" for i in later)
        names = self._with(UNIT, "entered", "complete", *self.dims, *(f"a{i}" for i in (*later, *shape.optional)))
        best = f"PARTITION BY user_id ORDER BY complete DESC, {depth} DESC, entry_pos"
        return [
            ("joined", joined),
            ("graded", f"SELECT {names}, ROW_NUMBER() OVER ({best}) AS grade FROM joined"),
            ("outcome", f"SELECT {names} FROM graded WHERE grade = 1"),
        ]

    def report(self) -> str:
        shape = self.shape
        items = [
            *self.dims,
            "COALESCE(SUM(complete), 0) AS n0",
            "COALESCE(SUM(1 - complete), 0) AS censored",
            *(f"COUNT(a{i}) AS n{i}" for i in range(1, len(shape.steps))),
        ]
        for i in range(1, len(shape.steps)):
            p = 0 if shape.order == "any" and shape.steps[i].optional else shape.before(i)
            since = f"a{p}" if p else "entered"
            for j, q in enumerate(shape.quantiles):
                items.append(f"quantile(seconds_between({since}, a{i}), {q!r}) AS s{i}_{j}")
                items.append(f"quantile(seconds_between(entered, a{i}), {q!r}) AS t{i}_{j}")
        group = f" GROUP BY {', '.join(self.dims)}" if self.dims else ""
        return f"SELECT {', '.join(items)} FROM outcome{group}"


def columns_of(shape: Shape, row: dict[str, object], i: int) -> tuple[object, Sequence[object], Sequence[object]]:
    """Of one row of the answer: entries that reached step `i`, quantiles since the step before and since entry."""
    if i == 0:
        none = [None] * len(shape.quantiles)
        return row["n0"], none, none
    span = range(len(shape.quantiles))
    return row[f"n{i}"], [row[f"s{i}_{j}"] for j in span], [row[f"t{i}_{j}"] for j in span]
