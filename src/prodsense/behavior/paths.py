"""Paths: what users do next, inside sessions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from prodsense.behavior import kernels, kernels_paths
from prodsense.behavior.durations import seconds, spoken
from prodsense.behavior.events import Events, EventTable, events_of
from prodsense.behavior.kernels_paths import SessionWalk
from prodsense.behavior.log import log_for
from prodsense.behavior.result import Answer
from prodsense.contracts.options import Shape
from prodsense.errors import UsageError
from prodsense.metrics import periods
from prodsense.metrics.result import Rows

START, END, OTHER, NONE = "(start)", "(end)", "(other)", "(none)"


def paths(
    events: Events, *, steps: int = 5, top: int = 7, gap: str | timedelta = "30m", start: str | None = None,
    merge: bool = False, since: object = None, until: object = None, as_of: object = None, tz: str = "UTC",
) -> Answer:
    """The first `steps` events of sessions as links from each step to the next; drawn as a Sankey diagram.

    A session goes on while the user's next event comes in under `gap`. Events of one moment follow each other by name.
    With `start` a path begins at the first such event of the session, and sessions without one are left out.
    `merge` takes an event that repeats at once as one. At each step the `top` most frequent events are kept and the
    others folded into ``(other)``; ``(end)`` is where sessions stop.

    Only sessions that begin from `since` (inside) to `until` (outside) and are over at `as_of` (the newest event
    unless given) count; those that may still go on are left out and counted.

    Columns: ``step`` (of the source, from 1), ``source``, ``target``, ``count`` (sessions), ``share`` (of those at
    the source). Raises UsageError for wrong options and when there are no events.
    """
    if steps < 2 or top < 1:
        raise UsageError("paths need at least 2 steps and 1 event a step")
    request = _Request(events, gap, start, merge, since, until, as_of, tz)
    found = request.run(
        "SELECT step, event_name, next_name, COUNT(*) AS sessions FROM walked"
        f" WHERE step <= {steps} GROUP BY step, event_name, next_name",
        lambda walk: walk.steps(steps),
    )
    sizes: dict[int, Counter[str]] = {}
    for row in found:
        sizes.setdefault(row["step"], Counter())[row["event_name"]] += row["sessions"]
    kept = {step: set(_largest(size, top)) for step, size in sizes.items()}

    def fold(step: int, name: str | None) -> str:
        return END if name is None else _shown(name) if name in kept.get(step, ()) else OTHER

    links: Counter[tuple[int, str, str]] = Counter()
    for row in found:
        step = row["step"]
        if step < steps:
            links[step, fold(step, row["event_name"]), fold(step + 1, row["next_name"])] += row["sessions"]
    at: Counter[tuple[int, str]] = Counter()
    for (step, source, _), count in links.items():
        at[step, source] += count
    rows = [
        {"step": step, "source": source, "target": target, "count": count, "share": count / at[step, source]}
        for (step, source, target), count in sorted(links.items(), key=lambda i: (i[0][0], -i[1], i[0]))
    ]
    return request.answer("paths", "Paths", rows, picture=_sankey, steps=steps, top=top)


def step_matrix(
    events: Events, *, steps: int = 10, top: int = 15, gap: str | timedelta = "30m", start: str | None = None,
    merge: bool = False, since: object = None, until: object = None, as_of: object = None, tz: str = "UTC",
) -> Answer:
    """Which share of sessions stands at which event after so many steps; drawn as a heatmap.

    Options as of `paths`; `top` events over all steps are kept, the others folded into ``(other)``. ``(end)`` are
    sessions that stopped before. The shares of a step add up to 1.
    Columns: ``step`` (from 1), ``event``, ``count`` (sessions), ``share`` (of all sessions).
    """
    if steps < 1 or top < 1:
        raise UsageError("a step matrix needs at least 1 step and 1 event")
    request = _Request(events, gap, start, merge, since, until, as_of, tz)
    found = request.run(
        f"SELECT step, event_name, COUNT(*) AS sessions FROM walked WHERE step <= {steps} GROUP BY step, event_name",
        lambda walk: walk.steps(steps),
    )
    sizes: Counter[str] = Counter()
    for row in found:
        sizes[row["event_name"]] += row["sessions"]
    names = _largest(sizes, top)
    cells: Counter[tuple[int, str]] = Counter()
    for row in found:
        cells[row["step"], _shown(row["event_name"]) if row["event_name"] in names else OTHER] += row["sessions"]
    everyone = sum(count for (step, _), count in cells.items() if step == 1)
    shown = [_shown(name) for name in names] + ([OTHER] if len(sizes) > len(names) else [])
    rows = []
    for step in range(1, steps + 1) if everyone else ():
        here = {name: cells[step, name] for name in shown}
        here[END] = everyone - sum(here.values())
        rows += [
            {"step": step, "event": name, "count": count, "share": count / everyone} for name, count in here.items()
        ]
    return request.answer("step_matrix", "Events by step", rows, picture=_step_heatmap, steps=steps, top=top)


def transitions(
    events: Events, *, gap: str | timedelta = "30m", merge: bool = False, since: object = None,
    until: object = None, as_of: object = None, tz: str = "UTC",
) -> Answer:
    """How often each event is followed by each other inside sessions, and how soon; drawn as a heatmap.

    Options as of `paths`. The first event of a session follows ``(start)``, after its last comes ``(end)``.
    Columns: ``source``, ``target``, ``count``, ``share`` (of all that follows the source), ``p50`` (median seconds
    between the two; null at start and end), the most frequent first.
    """
    request = _Request(events, gap, None, merge, since, until, as_of, tz)
    found = request.run(
        "SELECT event_name AS source, next_name AS target, COUNT(*) AS times,"
        " quantile(seconds_between(event_time, next_time), 0.5) AS p50 FROM walked GROUP BY event_name, next_name",
        lambda walk: walk.pairs(),
    )
    begun = request.run(
        "SELECT event_name AS target, COUNT(*) AS times FROM walked WHERE step = 1 GROUP BY event_name",
        lambda walk: walk.begun(),
    )
    lines = [{"source": START, "target": _shown(r["target"]), "count": r["times"], "p50": None} for r in begun]
    lines += [
        {
            "source": _shown(r["source"]), "target": END if r["target"] is None else _shown(r["target"]),
            "count": r["times"], "p50": r["p50"],
        }
        for r in found
    ]
    leaving: Counter[str] = Counter()
    for line in lines:
        leaving[line["source"]] += line["count"]
    rows = [
        {**{k: line[k] for k in ("source", "target", "count")}, "share": line["count"] / leaving[line["source"]],
         "p50": line["p50"]}
        for line in sorted(lines, key=lambda r: (-r["count"], r["source"], r["target"]))
    ]  # fmt: skip
    return request.answer("transitions", "What follows what", rows, picture=_transition_heatmap)


def _largest(sizes: Mapping[str, int], top: int) -> list[str]:
    """The `top` most frequent names, those of one size by name; a single one left over is not worth folding."""
    kept = top + 1 if len(sizes) == top + 1 else top
    return sorted(sizes, key=lambda name: (-sizes[name], name))[:kept]


def _shown(name: str) -> str:
    """A name as rows hold it: an event that is called like one of our marks is told apart."""
    return f"{name} [event]" if name in (START, END, OTHER) else name


class _Request:
    """Sessions of one request, asked for several aggregates."""

    def __init__(
        self, given: Events, gap: str | timedelta, start: str | None, merge: bool, since: object,
        until: object, as_of: object, tz: str,
    ) -> None:
        events = events_of(given)
        if not events.event:
            raise UsageError("paths tell events apart: name the event column (--event)")
        self.events, self.start, self.tz = events.by(), start, tz
        self.gap = seconds(gap, "the gap between sessions")
        self.as_of = events.as_of(as_of, tz)
        begin = periods.midnight(periods.read_day(since, "since"), tz) if since is not None else datetime(1, 1, 1)
        end = periods.midnight(periods.read_day(until, "until"), tz) if until is not None else (
            self.as_of + periods.TICK
        )
        self.params: dict[str, Any] = {"as_of": self.as_of, "since": begin, "until": end}
        if start is not None:
            self.params["start"] = start
        self.ctes = walked(self.events, self.gap, anchored=start is not None, merge=merge)
        self.statements: list[tuple[str, Mapping[str, Any]]] = []
        log, self.behind = log_for(events)
        self.walk = None
        if log is not None and kernels_paths.applies(log):
            self.walk = SessionWalk(log, self.gap, begin, end, self.as_of, NONE, start, merge)

    def run(self, select: str, kernel: Callable[[SessionWalk], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        """The rows of `select` over ``walked``, or those of `kernel`, which says the same over the log."""
        sql = f"{self.ctes}\n{select}"
        self.statements.append((sql, self.params))
        if self.walk is not None:
            return kernel(self.walk)
        return self.events.engine.query(sql, self.params).to_pylist()

    def _sessions(self) -> tuple[int, int]:
        """Sessions that are over at as_of, and those that may go on."""
        if self.walk is not None:
            return self.walk.sessions
        found = self.events.engine.query(
            f"{self.ctes}\nSELECT COALESCE(SUM(complete), 0) AS whole, COALESCE(SUM(1 - complete), 0) AS going"
            " FROM sessions",
            self.params,
        ).to_pylist()[0]
        return int(found["whole"]), int(found["going"])

    def answer(
        self, method: str, title: str, rows: list[dict[str, Any]], *, picture: Callable[..., Any], **extras: Any
    ) -> Answer:
        whole, going = self._sessions()
        notes = [*self.events.notes(), *filter(None, [self.behind])]
        if going:
            what = "session" if going == 1 else "sessions"
            notes.append(f"{going} {what} left out: {spoken(self.gap)} without an event not over at as_of")
        if not rows and whole and self.start:
            notes.append(f"no session has {self.start!r}: is it a value of {self.events.event}?")
        facts = {"gap": spoken(self.gap), "sessions": whole, "censored": going, "start": self.start,
                 "form": kernels.form_of(self.walk and self.walk.log)}
        return Answer(
            arrow=Rows.from_rows(rows).arrow, extras={**facts, **extras}, notes=tuple(notes), title=title,
            units={"count": "count", "share": "share", "p50": "seconds"}, dialect=self.events.engine.dialect,
            statements=tuple(self.statements), method=method, as_of=self.as_of, tz=self.tz, picture=picture,
        )


def walked(events: EventTable, gap: float, *, anchored: bool, merge: bool) -> str:
    """The WITH clause of all answers here, in the source dialect.

    ``sessions`` has a row a session that begins in the window (``complete`` is 1 where it is over), ``walked`` a row
    for each event of those that are over: its ``step`` from 1, ``event_time``, ``event_name``, and time and name of
    the next event, null at the end. Parameters: :as_of, :since, :until, and :start where anchored.
    """
    within = "PARTITION BY user_id, session_no ORDER BY pos"
    ctes = [
        ("events", events.select()),
        ("placed", f"SELECT user_id, event_time, COALESCE(event_name, '{NONE}') AS event_name,"
                   " ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY event_time, event_name) AS pos,"
                   " LAG(event_time) OVER (PARTITION BY user_id ORDER BY event_time, event_name) AS before"
                   " FROM events WHERE event_time <= :as_of"),
        ("numbered", "SELECT user_id, event_time, event_name, pos,"
                     f" SUM(CASE WHEN before IS NULL OR seconds_between(before, event_time) >= {gap!r} THEN 1 ELSE 0"
                     " END) OVER (PARTITION BY user_id ORDER BY pos ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
                     " AS session_no FROM placed"),
        ("bounds", "SELECT user_id, session_no, MIN(event_time) AS began,"
                   f" CASE WHEN seconds_between(MAX(event_time), :as_of) >= {gap!r} THEN 1 ELSE 0 END AS complete"
                   " FROM numbered GROUP BY user_id, session_no"),
        ("sessions", "SELECT user_id, session_no, complete FROM bounds WHERE began >= :since AND began < :until"),
        ("inside", "SELECT n.user_id AS user_id, n.session_no AS session_no, n.event_time AS event_time,"
                   " n.event_name AS event_name, n.pos AS pos FROM numbered AS n JOIN sessions AS s"
                   " ON s.user_id = n.user_id AND s.session_no = n.session_no WHERE s.complete = 1"),
    ]  # fmt: skip
    last = "inside"
    if anchored:
        ctes += [
            ("anchors", "SELECT user_id, session_no, MIN(pos) AS anchor FROM inside WHERE event_name = :start"
                        " GROUP BY user_id, session_no"),
            ("after", "SELECT i.user_id AS user_id, i.session_no AS session_no, i.event_time AS event_time,"
                      " i.event_name AS event_name, i.pos AS pos FROM inside AS i JOIN anchors AS a"
                      " ON a.user_id = i.user_id AND a.session_no = i.session_no WHERE i.pos >= a.anchor"),
        ]  # fmt: skip
        last = "after"
    if merge:
        ctes += [
            ("compared", f"SELECT user_id, session_no, event_time, event_name, pos,"
                         f" LAG(event_name) OVER ({within}) AS name_before FROM {last}"),
            ("merged", "SELECT user_id, session_no, event_time, event_name, pos FROM compared"
                       " WHERE name_before IS NULL OR name_before <> event_name"),
        ]  # fmt: skip
        last = "merged"
    ctes.append((
        "walked",
        f"SELECT event_time, event_name, ROW_NUMBER() OVER ({within}) AS step,"
        f" LEAD(event_name) OVER ({within}) AS next_name, LEAD(event_time) OVER ({within}) AS next_time FROM {last}",
    ))
    return "WITH " + ",\n".join(f"{name} AS ({select})" for name, select in ctes)


# --- pictures -------------------------------------------------------------------------------------


def _options(answer: Answer, options: Mapping[str, Any]) -> dict[str, Any]:
    return {"title": answer.title, "notes": answer.notes, **options}


def _sankey(answer: Answer, **options: Any) -> Any:
    from prodsense.charts.sankey import sankey

    return sankey(answer.rows, "step", "source", "target", "count", last=(OTHER, END), **_options(answer, options))


#: What of the paths is told, and how.
SHAPES: Mapping[Shape, Callable[..., Answer]] = {
    "links": paths, "matrix": step_matrix, "transitions": transitions,
}  # fmt: skip


def _step_heatmap(answer: Answer, **options: Any) -> Any:
    from prodsense.charts import heatmap

    titles = {"x_title": "step", "y_title": ""}
    return heatmap(answer.rows, "step", "event", "share", unit="share", **titles, **_options(answer, options))


#: Events in a heatmap of transitions: more are not readable.
_DRAWN = 15


def _transition_heatmap(answer: Answer, **options: Any) -> Any:
    from prodsense.charts import heatmap

    return heatmap(
        chart_data(answer), "target", "source", "share", unit="share", x_title="next", y_title="",
        **_options(answer, options),
    )


def chart_data(answer: Answer) -> Sequence[Mapping[str, Any]]:
    """The rows that the picture of an answer draws: of transitions those between the 15 most frequent events."""
    if answer.method != "transitions":
        return answer.rows
    sizes: Counter[str] = Counter()
    for row in answer.rows:
        sizes[row["source"]] += row["count"]
    names = [START, *_largest({n: c for n, c in sizes.items() if n != START}, _DRAWN), END]
    cells = {(row["source"], row["target"]): row for row in answer.rows}
    return [cells[s, t] for s in names for t in names if (s, t) in cells]
